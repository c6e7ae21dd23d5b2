//! What a run would do to one certificate, as `plan` prints it. Only reads.

use serde::Serialize;

use super::budget::{self, Life};
use super::choice::Plan;
use super::decide::{Decision, Wishes, decide};
use super::inventory::{StateFile, Tree};
use super::overdue::Deadline;
use super::serving::leaf_found;
use super::window::Hold;
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::DiskError;
use crate::model::clock::Time;
use crate::model::name::{CertName, Generation};
use crate::model::reason::{Reason, ReasonCode};
use crate::model::window::Opening;

/// What a run does to a certificate, in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Ask the CA for a new one.
    Issue,
    /// Nothing.
    Nothing,
    /// Deploy a generation that is already here.
    Settle(Generation),
}

impl From<&Plan> for Action {
    fn from(plan: &Plan) -> Self {
        match plan {
            Plan::Rest => Self::Nothing,
            Plan::Issue(_) => Self::Issue,
            Plan::Settle(settle) => Self::Settle(settle.generation),
        }
    }
}

/// What a run would do to one certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// Its name.
    pub name: CertName,
    /// Whether a run would do anything.
    pub due: bool,
    /// When it is due by its lifetime.
    pub due_at: Option<Time>,
    /// When what consumers find expires.
    pub expires: Option<Time>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What.
    pub action: Action,
    /// The window that a run waits for, where it does nothing before that.
    pub waits_for: Option<Opening>,
    /// When the budget lets the next request be sent, where it does not let it at once; for who decides when to look again.
    #[serde(skip)]
    pub next_request: Option<Time>,
}

/// A certificate in whose place something lies that is not ours: one strange file does not take the others' report away. What may not be
/// read is an error of the whole, never "due".
pub(super) fn strange(certificate: &Certificate, why: DiskError) -> Result<Planned, DiskError> {
    if why.denied() {
        return Err(why);
    }
    let reasons = vec![Reason::new(ReasonCode::Unreadable, why.to_string())];
    Ok(Planned {
        name: certificate.name().clone(),
        due: true,
        due_at: None,
        expires: None,
        reasons,
        action: Action::Issue,
        waits_for: None,
        next_request: None,
    })
}

/// What a run would do to a certificate; `period` is how often the installed scheduler looks.
pub(super) fn planned(
    settings: &Settings,
    certificate: &Certificate,
    tree: &Tree,
    now: Time,
    period: Option<std::time::Duration>,
) -> Planned {
    let Decision { name, due_at, expires: committed, mut reasons, plan, hold } =
        decide(settings, certificate, tree, now, Wishes::default());
    let waits_for = if let Hold::Until(opening) = hold { Some(opening) } else { None };
    let overdue = due_at.zip(committed).and_then(|(due, expires)| Deadline { due, expires, period }.reason(now));
    // What waits for its window is not late.
    if waits_for.is_some() {
        reasons.retain(|reason| reason.code != ReasonCode::Overdue);
    } else if let Some(overdue) = overdue {
        reasons.retain(|reason| reason.code != ReasonCode::Overdue);
        reasons.push(overdue);
        reasons.sort_by_key(|reason| reason.code);
    }
    let action = Action::from(&plan);
    let expires = leaf_found(tree).map(|facts| facts.not_after);
    // A run would fail over a state of a newer version, and say so: that is no "nothing to do".
    let due = action != Action::Nothing || matches!(tree.state_file, StateFile::Newer(_));
    let requests = budget::counted(&tree.state, &budget::subject(settings, certificate));
    let life = Life::of(tree.live.as_ref().and_then(|live| live.facts.as_ref()), certificate.request.ttl);
    let next_request = budget::next_after_burst(requests, life, now);
    Planned { name, due, due_at, expires, reasons, action, waits_for, next_request }
}
