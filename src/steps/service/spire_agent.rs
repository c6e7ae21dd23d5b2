//! Driver `spire_agent`: SIGUSR1 to the main process, after which it has configured its plugin with the data file of the new generation. It must
//! never get SIGHUP, which ends it, and is never started anew.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt as _;
use serde_json::Value;

use super::keys;
use super::life::Life;
use super::plugin::{Plugin, reconfigure};
use super::running::Running;
use super::runs::{By, Runs};
use crate::config::keys::Table;
use crate::config::service::{Answer, Deployed, DriverKind, Question, Rank, Rendered, Rendering, Reply, Seen, Service, Shown};
use crate::config::shape::{Errors, Shape, parsed};
use crate::config::tree::Node;
use crate::config::value;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// `{ spire_agent = { unit | pid | start, stop; plugin, log } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "spire_agent", table: &TABLE, parse, always: None };

/// What the settings may say of it.
static TABLE: Table = Table {
    title: "reload driver spire_agent",
    about: "SPIRE's agent: SIGUSR1, after which it configures its plugin with the new files. Its `plugin_data_file` is /run/omens/NAME/spire-KIND-NAME.json.",
    keys: &[keys::UNIT, keys::PID, keys::START, keys::STOP, keys::PLUGIN, keys::LOG],
};

#[derive(Debug)]
struct SpireAgent {
    runs: Runs,
    plugin: Plugin,
    log: Option<PathBuf>,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let runs = Runs::parse(&shape, node, errors, By::Signal, &["spire-agent"]);
    let plugin = shape.required("plugin", Plugin::parse);
    let log = shape.optional("log", parsed(value::path));
    shape.finish();
    Some(Arc::new(SpireAgent { runs: runs?, plugin: plugin?, log: log? }))
}

/// Asks SPIRE to configure the plugin with the file of what is deployed; a plugin has one certificate.
pub(super) async fn ask(runs: &Runs, plugin: &Plugin, log: Option<&PathBuf>, deployed: &[Deployed]) -> Result<Reply, Failure> {
    let mut reply = Reply::done();
    for one in deployed {
        let hash = plugin.hash(one);
        reply = reconfigure(runs, plugin, log.map(PathBuf::as_path), &hash, one.eyes.clock).await?;
    }
    Ok(reply)
}

/// What SPIRE has said of the data file of a generation. One that was started reads it too, and ends soon where it cannot use it.
pub(super) async fn look(runs: &Runs, plugin: &Plugin, question: &Question<'_>) -> Result<Shown, Failure> {
    if Life::noted(question.before).is_some() {
        runs.is_steady(question.before, &runs.name("SPIRE")).await?;
    }
    said(plugin, question)
}

fn said(plugin: &Plugin, question: &Question<'_>) -> Result<Shown, Failure> {
    let hash = plugin.hash(question.deployed);
    let is = |key: &str| question.before.get(key).and_then(Value::as_str) == Some(hash.as_str());
    if is("read") {
        return Ok(Shown::only(Seen::Leaf));
    }
    if is("sent") {
        return Ok(Shown::default());
    }
    let text = format!("SPIRE has not configured {} with the data file of {}", plugin.named(), question.deployed.generation);
    Err(Failure::new(Stage::Verify, Code::OldLeaf, text).hint("its log says what it read"))
}

impl Running for SpireAgent {
    const DRIVER: &'static str = KIND.name;
    const RANK: Rank = Rank(5);
    const BY: By = By::Signal;

    fn runs(&self) -> &Runs {
        &self.runs
    }

    fn settings(&self) -> Vec<Option<String>> {
        let log = self.log.as_ref().map(|log| log.display().to_string());
        vec![Some(self.plugin.shown()), log]
    }

    fn single(&self) -> Option<String> {
        Some(format!("{} of {}", self.plugin.named(), self.runs.name(Self::DRIVER)))
    }

    fn take_up<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        ask(&self.runs, &self.plugin, self.log.as_ref(), deployed).boxed()
    }

    /// A start reads the file as well.
    fn began(&self, deployed: &[Deployed], reply: Reply) -> Reply {
        began(&self.plugin, deployed, reply)
    }

    fn rendered(&self, rendering: &Rendering<'_>) -> Vec<Rendered> {
        self.plugin.files(rendering)
    }

    fn shown<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown> {
        look(&self.runs, &self.plugin, question).boxed()
    }
}

/// What is noted of one that was started: it reads the file that is there.
pub(super) fn began(plugin: &Plugin, deployed: &[Deployed], reply: Reply) -> Reply {
    match (reply, deployed.last()) {
        (Reply::Done(done), Some(one)) => {
            let life = Life::noted(&done.before).unwrap_or(Life::Unknown);
            let before = life.note("sent", &plugin.hash(one).into());
            Reply::Done(crate::config::service::Done { before, ..done })
        }
        (reply, _) => reply,
    }
}
