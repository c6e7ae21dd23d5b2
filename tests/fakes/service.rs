//! A driver that is not in src/: settings of its own, a file of its own in each generation, a proof of its own, a rank of its own. The
//! service behind it is a directory: a bell that reads a leaf when it is rung, and counts.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::ready;
use omens::config::keys::{Key, Kind, Table};
use omens::config::service::{
    Answer, Deployed, Done, DriverKind, Question, Rank, Rendered, Rendering, Reply, Seen, Service, ServiceId, ServiceState, Shown,
};
use omens::config::shape::{Errors, Shape, boolean, one_of, parsed};
use omens::config::tree::Node;
use omens::config::value;
use omens::model::code::Code;
use omens::model::failure::{Failure, Stage};

/// `{ bell = { dir = DIR, sound = "low" | "high", start = false } }`.
pub static KIND: DriverKind = DriverKind { name: "bell", table: &TABLE, parse, always: None };

/// The file that it has in a generation.
pub const FILE: &str = "bell.json";

/// What lies in a bell's directory.
pub const STATE: &str = "state";
/// There: it refuses to be rung.
pub const REFUSES: &str = "refuses";
/// There: it is rung and reads nothing.
pub const DEAF: &str = "deaf";
/// The leaf that it has read.
pub const HEARD: &str = "heard";
/// How often it has read one.
pub const RINGS: &str = "rings";

#[derive(Debug)]
struct Bell {
    dir: PathBuf,
    sound: &'static str,
    start: bool,
}

static TABLE: Table = Table {
    title: "reload driver bell",
    about: "A service of a test.",
    keys: &[
        Key::required("dir", Kind::Text("a directory"), "\"/tmp\"", "Where its files are."),
        Key::or("sound", Kind::Text("low or high"), "\"low\"", "\"high\"", "How it sounds."),
        Key::or("start", Kind::Flag, "false", "true", "Whether it is started."),
    ],
};

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let dir = shape.required("dir", parsed(value::path));
    let sound = shape.or("sound", "low", one_of(&[("low", "low"), ("high", "high")]));
    let start = shape.or("start", false, boolean);
    shape.finish();
    Some(Arc::new(Bell { dir: dir?, sound: sound?, start: start? }))
}

impl Bell {
    fn has(&self, file: &str) -> bool {
        self.dir.join(file).exists()
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.join(file)).unwrap_or_default()
    }

    fn rings(&self) -> u64 {
        self.text(RINGS).parse().unwrap_or_default()
    }

    /// Reads what the file of the generation names, through the constant link, as a service would.
    fn ring(&self, deployed: &Deployed) -> Result<Reply, Failure> {
        if self.has(REFUSES) {
            return Err(Failure::new(Stage::Reload, Code::ReloadFailed, "the bell is stuck").hint("oil it"));
        }
        let before = serde_json::json!(self.rings());
        if !self.has(DEAF) {
            let link = deployed.directory.parent().expect("a certificate's directory").join(FILE);
            let told: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(link).expect("the bell's file")).expect("JSON");
            let leaf = std::fs::read_to_string(told["cert"].as_str().expect("a path")).expect("the leaf");
            std::fs::write(self.dir.join(HEARD), leaf).expect("heard");
            std::fs::write(self.dir.join(RINGS), (self.rings() + 1).to_string()).expect("rings");
        }
        Ok(Reply::Done(Done { before, ..Done::default() }))
    }

    fn look(&self, question: &Question<'_>) -> Result<Shown, Failure> {
        let heard = omens::plan::generation::certificates(self.text(HEARD).as_bytes());
        let heard = heard.first().map(|der| omens::model::anchor::Fingerprint::of(der));
        let rung = self.rings() > question.before.as_u64().unwrap_or_default();
        if rung && heard.as_ref() == Some(&question.deployed.leaf.sha256) {
            return Ok(Shown::only(Seen::Read));
        }
        Err(Failure::new(Stage::Verify, Code::OldLeaf, format!("the bell has not read {}", question.deployed.generation))
            .hint("ring louder"))
    }
}

impl Service for Bell {
    fn id(&self) -> ServiceId {
        ServiceId::new(KIND.name, [Some(self.dir.clone()), Some(self.sound.into()), self.start.then(|| "start".into())])
    }

    fn name(&self) -> String {
        format!("bell ({})", self.dir.display())
    }

    fn rank(&self) -> Rank {
        Rank(1)
    }

    fn state(&self) -> Answer<'_, ServiceState> {
        let state = match self.text(STATE).as_str() {
            "running" => ServiceState::Running,
            "failed" => ServiceState::Failed,
            _ => ServiceState::Stopped,
        };
        ready(Ok(state)).boxed()
    }

    fn ask<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        ready(deployed.iter().try_fold(Reply::Stopped, |_, one| self.ring(one))).boxed()
    }

    fn start<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        std::fs::write(self.dir.join(STATE), "running").expect("state");
        self.ask(deployed)
    }

    fn wants_start(&self) -> bool {
        self.start
    }

    fn prove<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown> {
        ready(self.look(question)).boxed()
    }

    fn files(&self, rendering: &Rendering<'_>) -> Vec<Rendered> {
        let told = serde_json::json!({ "sound": self.sound, "cert": rendering.directory.join("cert.pem") });
        vec![Rendered { name: FILE.to_owned(), bytes: told.to_string().into_bytes() }]
    }
}
