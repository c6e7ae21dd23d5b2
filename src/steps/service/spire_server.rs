//! Driver `spire_server`: SIGUSR1 to the main process, after which it has configured its plugin with the data file of the new generation. Where
//! the settings say so, an agent is then evicted, so that the new pair is used at once. It must never get SIGHUP, and is never started anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::Value;

use super::keys;
use super::plugin::Plugin;
use super::running::Running;
use super::runs::{By, Runs};
use super::spire_agent::{ask, began, look};
use crate::config::keys::{Key, Kind, Table};
use crate::config::service::{Answer, Deployed, DriverKind, Question, Rank, Rendered, Rendering, Reply, Service, Shown};
use crate::config::shape::{Errors, Shape, Wrong, boolean, parsed, quoted};
use crate::config::tree::Node;
use crate::config::value;
use crate::io::process::{self, Call};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};

/// `{ spire_server = { unit | pid | start, stop; plugin, log, evict, agent, socket } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "spire_server", table: &TABLE, parse, always: None };

/// What the settings may say of it.
static TABLE: Table = Table {
    title: "reload driver spire_server",
    about: "SPIRE's server: SIGUSR1, after which it configures its plugin with the new files. Its `plugin_data_file` is /run/omens/NAME/spire-KIND-NAME.json.",
    keys: &[
        keys::UNIT,
        keys::PID,
        keys::START,
        keys::STOP,
        keys::PLUGIN,
        keys::LOG,
        Key::or("evict", Kind::Flag, "false", "true", "Whether `agent` is evicted afterwards, so that the new pair is used at once."),
        Key::optional(
            "agent",
            Kind::Text("a SPIFFE ID"),
            "needed for `evict`",
            "\"spiffe://example.net/spire/agent/x509pop/1f\"",
            "The agent that is evicted.",
        ),
        Key::optional(
            "socket",
            Kind::Text("a path"),
            "SPIRE's own",
            "\"/run/spire-server/private/api.sock\"",
            "The server's own socket, for `evict`.",
        ),
    ],
};

/// How long SPIRE's own program may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long an evicted agent may take to attest again: it notices at its next synchronisation.
const AGAIN: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// More than SPIRE says of one agent.
const SAID: usize = 256 * 1024;

#[derive(Debug)]
struct SpireServer {
    runs: Runs,
    plugin: Plugin,
    log: Option<PathBuf>,
    /// The agent that is evicted.
    evict: Option<String>,
    socket: Option<PathBuf>,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let runs = Runs::parse(&shape, node, errors, By::Signal, &["spire-server"]);
    let plugin = shape.required("plugin", Plugin::parse);
    let path = |key| shape.optional(key, parsed(value::path));
    let (log, socket) = (path("log"), path("socket"));
    let evict = shape.or("evict", false, boolean);
    let agent = shape.optional("agent", parsed(spiffe_id));
    shape.finish();
    let agent = agent?;
    if evict? && agent.is_none() {
        errors
            .at(&node.place, Wrong::new(Code::Missing, "evict = true needs the \"agent\" to evict").suggest("add agent = \"spiffe://…\""));
        return None;
    }
    let evict = agent.filter(|_| evict == Some(true));
    Some(Arc::new(SpireServer { runs: runs?, plugin: plugin?, log: log?, evict, socket: socket? }))
}

fn spiffe_id(text: &str) -> Result<String, Wrong> {
    let fits = text
        .strip_prefix("spiffe://")
        .is_some_and(|rest| rest.contains('/') && rest.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)));
    fits.then(|| text.to_owned()).ok_or_else(|| {
        Wrong::value(format!("expected the SPIFFE ID of an agent, found {}", quoted(text))).suggest("`spire-server agent list` shows them")
    })
}

/// What SPIRE knows of an agent.
#[derive(Debug)]
struct Agent {
    attestation: String,
    serial: String,
}

impl SpireServer {
    /// Runs `spire-server agent VERB` of the program that the server itself runs.
    async fn command(&self, verb: &str, agent: &str) -> Result<Value, String> {
        let own = self.runs.main_pid().await.and_then(process::executable);
        let mut arguments: Vec<std::ffi::OsString> =
            ["agent", verb, "-spiffeID", agent, "-output", "json"].iter().map(Into::into).collect();
        if let Some(socket) = &self.socket {
            arguments.extend(["-socketPath".into(), socket.into()]);
        }
        let call = Call { program: own.unwrap_or_else(|| "spire-server".into()), arguments, limit: LIMIT };
        let ended = call.run(SAID).await.map_err(|why| why.to_string())?;
        if ended.code != Some(0) {
            return Err(format!("spire-server agent {verb} ended with {}: {}", ended.how(), ended.said()));
        }
        Ok(serde_json::from_str(&ended.stdout).unwrap_or_default())
    }

    async fn agent(&self, id: &str) -> Result<Agent, String> {
        let said = self.command("show", id).await?;
        let text = |key: &str| found(&said, key).and_then(Value::as_str).map(ToOwned::to_owned);
        let serial = text("x509svid_serial_number").ok_or_else(|| format!("spire-server says nothing of {id}"))?;
        Ok(Agent { attestation: text("attestation_type").unwrap_or_default(), serial })
    }

    /// Makes the agent attest itself again, with what the plugin has read.
    async fn evict(&self, id: &str, clock: Clock) -> Result<Option<Warning>, Failure> {
        let not = |why: String| Ok(Some(Warning::new(Code::NotEvicted, format!("{id} was not evicted: {why}"))));
        let before = match self.agent(id).await {
            Ok(agent) if agent.attestation == "join_token" => {
                return not("an agent that came by a join token could not come back".to_owned());
            }
            Ok(agent) => agent,
            Err(why) => return not(why),
        };
        if let Err(why) = self.command("evict", id).await {
            return not(why);
        }
        let end = clock.instant() + AGAIN;
        while clock.instant() < end {
            if self.agent(id).await.is_ok_and(|agent| agent.serial != before.serial) {
                return Ok(None);
            }
            tokio::time::sleep(PAUSE).await;
        }
        let text = format!("{id} was evicted and has not attested again within {} s", AGAIN.as_secs());
        Err(Failure::new(Stage::Verify, Code::OldLeaf, text).hint("the logs of SPIRE's server and agent say why"))
    }

    async fn look(&self, question: &Question<'_>) -> Result<Shown, Failure> {
        let mut shown = look(&self.runs, &self.plugin, question).await?;
        if let Some(id) = self.evict.as_ref().filter(|_| question.before.get("read").is_some()) {
            shown.warnings.extend(self.evict(id, question.deployed.eyes.clock).await?);
        }
        Ok(shown)
    }
}

/// The value of a key, wherever it stands.
fn found<'a>(said: &'a Value, key: &str) -> Option<&'a Value> {
    match said {
        Value::Object(map) => map.get(key).or_else(|| map.values().find_map(|inner| found(inner, key))),
        Value::Array(items) => items.iter().find_map(|item| found(item, key)),
        _ => None,
    }
}

impl Running for SpireServer {
    const DRIVER: &'static str = KIND.name;
    const RANK: Rank = Rank(4);
    const BY: By = By::Signal;

    fn runs(&self) -> &Runs {
        &self.runs
    }

    fn settings(&self) -> Vec<Option<String>> {
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        vec![Some(self.plugin.shown()), shown(&self.log), self.evict.clone(), shown(&self.socket)]
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
        self.look(question).boxed()
    }
}
