//! Driver `keylime_verifier`: it reads its pair at start only, so its whole control group is started anew, never signalled. Afterwards agents
//! that stay silent would be PASS for ever, since the verifier has lost their timers: they are named.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::keys::{self, Agents};
use super::running::Running;
use super::runs::{By, Runs};
use super::served::{Admin, Spot};
use super::verdicts::Verifier;
use crate::config::program;
use crate::config::service::{Answer, Deployed, DriverKind, Eyes, Question, Rank, Reply, Seen, Service, Shown};
use crate::config::shape::{Errors, Shape, Wrong, one_of, parsed};
use crate::config::tree::Node;
use crate::config::value;
use crate::model::code::Code;
use crate::model::failure::{Failure, Warning};

/// `{ keylime_verifier = { unit | start, stop, pid; address, agents, deadline, admin } }`.
pub(super) static KIND: DriverKind = DriverKind { name: "keylime_verifier", table: &keys::KEYLIME_VERIFIER, parse, always: None };

/// How long agents may take to attest again.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct KeylimeVerifier {
    runs: Runs,
    address: Option<String>,
    agents: Agents,
    deadline: Duration,
    admin: Option<Admin>,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&keys::KEYLIME_VERIFIER, node, errors)?;
    let runs = Runs::parse(&shape, node, errors, By::Restart, &["keylime_verifier"]);
    let address = shape.optional("address", parsed(value::address));
    let agents = shape.optional("agents", one_of(&Agents::ALL.map(|word| (word.as_str(), word))));
    let deadline = shape.or("deadline", DEADLINE, parsed(program::timeout));
    let admin = shape.optional("admin", Admin::parse);
    shape.finish();
    let (agents, admin) = (agents?, admin?);
    let agents = agents.unwrap_or(if admin.is_some() { Agents::Wait } else { Agents::Ignore });
    if agents != Agents::Ignore && admin.is_none() {
        let wrong = Wrong::new(Code::Missing, "only an administrator is told of a verifier's agents, and there is no \"admin\"");
        errors.at(&node.place, wrong.suggest("add admin = { cert = FILE, key = \"file:FILE\" }, or write agents = \"ignore\""));
        return None;
    }
    Some(Arc::new(KeylimeVerifier { runs: runs?, address: address?, agents, deadline: deadline?, admin }))
}

impl KeylimeVerifier {
    async fn verifier(&self, deployed: &Deployed) -> Result<Verifier, String> {
        let admin = self.admin.as_ref().ok_or("there is no administrator's pair")?;
        let spot = Spot::of(self.address.as_deref(), deployed).ok_or("there is neither an address nor an entry of verify")?;
        Verifier::at(&spot, admin, &deployed.eyes).await
    }

    /// The agents that are fresh; null where the verifier does not say.
    async fn fresh(&self, deployed: Option<&Deployed>) -> Result<Vec<String>, String> {
        let Some(deployed) = deployed.filter(|_| self.agents != Agents::Ignore) else { return Ok(Vec::new()) };
        self.verifier(deployed).await?.fresh(deployed.eyes.clock.now().unix()).await
    }

    async fn restart(&self, deployed: &[Deployed]) -> Result<Reply, Failure> {
        let fresh = self.fresh(deployed.first()).await;
        let mut reply = self.runs.restart(deployed.first().map(|one| &one.eyes)).await?;
        if let Reply::Done(done) = &mut reply {
            match fresh {
                Ok(fresh) => {
                    if let Value::Object(before) = &mut done.before {
                        before.insert("fresh".to_owned(), json!(fresh));
                    }
                }
                Err(why) => {
                    let text = format!("which agents attested before the restart could not be asked: {why}");
                    done.warnings.push(Warning::new(Code::VerdictUnreachable, text));
                }
            }
        }
        Ok(reply)
    }

    /// Looks for a new attestation of every agent that was fresh before; those that stay silent are named.
    async fn agents(&self, question: &Question<'_>) -> Option<Warning> {
        let fresh: Vec<String> = serde_json::from_value(question.before.get("fresh")?.clone()).ok()?;
        let since = question.before.get("at")?.as_i64()?;
        let Eyes { clock, .. } = question.deployed.eyes;
        let end = clock.instant() + self.deadline;
        let mut silent = fresh;
        while !silent.is_empty() {
            if let Ok(verifier) = self.verifier(question.deployed).await {
                silent = verifier.silent(&silent, since).await;
            }
            if self.agents == Agents::Report || clock.instant() >= end {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let text = format!(
            "attested before the restart and not since: {}; the verifier goes on to call them PASS. Look at these agents, or reactivate them",
            silent.join(", ")
        );
        (!silent.is_empty()).then(|| Warning::new(Code::VerdictFrozen, text))
    }

    async fn look(&self, question: &Question<'_>) -> Result<Shown, Failure> {
        let mut seen = Seen::Nothing;
        if let Some(spot) = Spot::of(self.address.as_deref(), question.deployed) {
            spot.serves(question.deployed, spot.deadline).await?;
            // 410 is what one in push mode answers.
            spot.answers("version", &[200, 410], &question.deployed.eyes).await?;
            seen = Seen::Leaf;
        }
        self.runs.is_steady(question.before, &self.name()).await?;
        Ok(Shown { seen, warnings: self.agents(question).await.into_iter().collect() })
    }
}

impl Running for KeylimeVerifier {
    const DRIVER: &'static str = KIND.name;
    const RANK: Rank = Rank(2);
    const BY: By = By::Restart;

    fn runs(&self) -> &Runs {
        &self.runs
    }

    fn settings(&self) -> Vec<Option<String>> {
        let agents = format!("{} {:?}", self.agents.as_str(), self.deadline);
        vec![self.address.clone(), Some(agents), self.admin.as_ref().map(Admin::shown)]
    }

    fn take_up<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        self.restart(deployed).boxed()
    }

    fn shown<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown> {
        self.look(question).boxed()
    }
}
