//! Driver `keylime_agent`: the pull agent reads its pair at start only, so it is started anew; its own data stay. An agent up to 0.2.8 uses its
//! TLS key for its payload too, which is in PCR 16: with a new key it would fail its attestation, so it is given none.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::keys;
use super::running::Running;
use super::runs::{By, Runs};
use super::served::{Admin, Spot};
use super::verdicts::Verifier;
use crate::config::program;
use crate::config::service::{Answer, Deployed, DriverKind, Examined, Question, Rank, Reply, Seen, Service, Shown};
use crate::config::shape::{Errors, Shape, Wrong, parsed};
use crate::config::tree::Node;
use crate::config::value;
use crate::io::process::Call;
use crate::io::read;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::text;

/// `{ keylime_agent = { unit | start, stop, pid; address, verifier, agent, admin, deadline } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "keylime_agent", table: &keys::KEYLIME_AGENT, parse, always: None };

/// What its program is called.
const PROGRAM: &str = "keylime_agent";
/// The first version that has a key of its own for its payload.
const FIRST_GOOD: [u32; 3] = [0, 2, 9];
/// How long it may take to say its version.
const SAYING: Duration = Duration::from_secs(5);
/// How long it may take to attest again.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at its verdict.
const PAUSE: Duration = Duration::from_secs(1);

/// Who says whether it attests.
#[derive(Debug)]
struct Appraised {
    verifier: String,
    agent: String,
    admin: Admin,
}

#[derive(Debug)]
struct KeylimeAgent {
    runs: Runs,
    address: Option<String>,
    appraised: Option<Appraised>,
    deadline: Duration,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&keys::KEYLIME_AGENT, node, errors)?;
    let runs = Runs::parse(&shape, node, errors, By::Restart, &[PROGRAM]);
    let address = shape.optional("address", parsed(value::address));
    let verifier = shape.optional("verifier", parsed(value::https));
    let agent = shape.optional("agent", parsed(agent_id));
    let admin = shape.optional("admin", Admin::parse);
    let deadline = shape.or("deadline", DEADLINE, parsed(program::timeout));
    shape.finish();
    let appraised = match (verifier?, agent?, admin?) {
        (None, None, None) => None,
        (Some(verifier), Some(agent), Some(admin)) => Some(Appraised { verifier, agent, admin }),
        _ => {
            let wrong = Wrong::new(
                Code::Missing,
                "a verdict is asked of a \"verifier\", about an \"agent\", by an \"admin\"; not all of them are there",
            );
            errors.at(&node.place, wrong.suggest("name all three, or none of them"));
            return None;
        }
    };
    Some(Arc::new(KeylimeAgent { runs: runs?, address: address?, appraised, deadline: deadline? }))
}

/// What Keylime takes for an identifier.
fn agent_id(text: &str) -> Result<String, Wrong> {
    let fits = !text.is_empty() && text.len() <= 80 && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    fits.then(|| text.to_owned())
        .ok_or_else(|| Wrong::value("expected the UUID of an agent").suggest("it stands in the agent's own configuration"))
}

/// What is known of an agent's version.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Good,
    Old(String),
    Unknown(String),
}

impl Version {
    /// From what `keylime_agent --version` says.
    fn of(said: &str) -> Self {
        let shown = text::one_line(said, 60);
        let number = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let parts: Option<Vec<u32>> = number.map(|word| word.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect());
        match parts {
            Some(parts) if parts.len() >= 3 && parts.iter().take(3).lt(FIRST_GOOD.iter()) => Self::Old(shown),
            Some(parts) if parts.len() >= 3 => Self::Good,
            _ => Self::Unknown(format!("it says \"{shown}\"")),
        }
    }
}

impl KeylimeAgent {
    fn program(&self) -> String {
        let started = self.runs.started_with().and_then(|words| words.into_iter().next());
        started.filter(|path| Path::new(path).file_name().is_some_and(|name| name == PROGRAM)).unwrap_or_else(|| PROGRAM.to_owned())
    }

    async fn version(&self) -> Version {
        let program = self.program();
        let places = if program.contains('/') {
            vec![program]
        } else {
            ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin"].map(|dir| format!("{dir}/{program}")).into()
        };
        for place in places {
            // The Python agent knows no such option: it would start.
            match read::from(Path::new(&place), 0, 128) {
                Err(_) => continue,
                Ok(head)
                    if head.starts_with(b"#!")
                        && String::from_utf8_lossy(&head).lines().next().is_some_and(|line| line.contains("python")) =>
                {
                    return Version::Unknown(format!("{place} is not the agent written in Rust"));
                }
                Ok(_) => {}
            }
            let call = Call { program: place.into(), arguments: vec!["--version".into()], limit: SAYING };
            return match call.run(200).await {
                Ok(ended) if ended.code == Some(0) => Version::of(&ended.stdout),
                Ok(ended) => Version::Unknown(format!("keylime_agent --version ended with {}", ended.how())),
                Err(why) => Version::Unknown(why.to_string()),
            };
        }
        Version::Unknown("there is no program keylime_agent".to_owned())
    }

    /// Whether it goes on attesting with a new key.
    async fn survives(&self) -> Result<Option<Warning>, Failure> {
        match self.version().await {
            Version::Good => Ok(None),
            Version::Old(version) => {
                let text = format!(
                    "{} is {version}, whose TLS key is also its payload key and in PCR 16: a new one would fail its attestation",
                    self.name()
                );
                Err(Failure::new(Stage::Reload, Code::AgentTooOld, text).hint("update the agent to 0.2.9 or newer"))
            }
            Version::Unknown(why) => {
                let text = format!(
                    "whether {} is newer than 0.2.8 is not known ({why}): an older one would fail its attestation with a new key",
                    self.name()
                );
                Ok(Some(Warning::new(Code::AgentVersionUnknown, text)))
            }
        }
    }

    async fn restart(&self, deployed: &[Deployed]) -> Result<Reply, Failure> {
        let warning = self.survives().await?;
        let mut reply = self.runs.restart(deployed.first().map(|one| &one.eyes)).await?;
        if let Reply::Done(done) = &mut reply {
            done.warnings.extend(warning);
        }
        Ok(reply)
    }

    /// Waits for PASS by a quote that is newer than the restart.
    async fn attests(&self, question: &Question<'_>) -> Result<(), Failure> {
        let (Some(Appraised { verifier, agent, admin }), Some(since)) =
            (&self.appraised, question.before.get("at").and_then(Value::as_i64))
        else {
            return Ok(());
        };
        let eyes = &question.deployed.eyes;
        let end = eyes.clock.instant() + self.deadline;
        loop {
            let asked = match Verifier::at_url(verifier, admin, eyes) {
                Ok(verifier) => verifier.verdict(agent).await,
                Err(why) => Err(why),
            };
            let failure = match asked {
                Ok(verdict) if verdict.is_new(since) => return Ok(()),
                Ok(verdict) => {
                    let code = if verdict.status == "FAIL" { Code::VerdictFailed } else { Code::VerdictStale };
                    let status = text::one_line(&verdict.status, 20);
                    Failure::new(
                        Stage::Verify,
                        code,
                        format!("agent {agent} is {status} at the verifier, without a new quote since it was started"),
                    )
                    .hint("look at the logs of agent and verifier; the registrar must have the agent's new certificate")
                }
                Err(why) => Failure::new(Stage::Verify, Code::VerdictUnreachable, why).hint("check `verifier` and `admin` of the driver"),
            };
            if eyes.clock.instant() >= end {
                return Err(failure);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn look(&self, question: &Question<'_>) -> Result<Shown, Failure> {
        let mut seen = Seen::Nothing;
        if let Some(spot) = Spot::of(self.address.as_deref(), question.deployed) {
            spot.serves(question.deployed, spot.deadline).await?;
            seen = Seen::Leaf;
        }
        self.runs.is_steady(question.before, &self.name()).await?;
        self.attests(question).await?;
        Ok(Shown::only(seen))
    }
}

impl Running for KeylimeAgent {
    const DRIVER: &'static str = KIND.name;
    const RANK: Rank = Rank(3);
    const BY: By = By::Restart;
    const WAITS_FOR: &'static [&'static str] = &["keylime_registrar", "keylime_verifier"];

    fn runs(&self) -> &Runs {
        &self.runs
    }

    fn settings(&self) -> Vec<Option<String>> {
        let appraised = self.appraised.as_ref().map(|by| format!("{} {} {}", by.verifier, by.agent, by.admin.shown()));
        vec![self.address.clone(), appraised, Some(format!("{:?}", self.deadline))]
    }

    fn take_up<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        self.restart(deployed).boxed()
    }

    fn fits(&self) -> Answer<'_, ()> {
        async move { self.survives().await.map(drop) }.boxed()
    }

    fn examined(&self) -> BoxFuture<'_, Vec<Examined>> {
        async move {
            match self.survives().await {
                Ok(warning) => warning.map(Examined::Warned).into_iter().collect(),
                Err(failure) => vec![Examined::Refused(failure)],
            }
        }
        .boxed()
    }

    fn shown<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown> {
        self.look(question).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_up_to_0_2_8_are_too_old() {
        for (said, expected) in [
            ("keylime_agent 0.2.8\n", Version::Old("keylime_agent 0.2.8".to_owned())),
            ("keylime_agent 0.1.99", Version::Old("keylime_agent 0.1.99".to_owned())),
            ("keylime_agent 0.2.9", Version::Good),
            ("keylime_agent 0.2.10-dev", Version::Good),
            ("1.0.0", Version::Good),
            ("keylime_agent", Version::Unknown("it says \"keylime_agent\"".to_owned())),
            ("keylime_agent 0.2", Version::Unknown("it says \"keylime_agent 0.2\"".to_owned())),
        ] {
            assert_eq!(Version::of(said), expected, "{said}");
        }
    }
}
