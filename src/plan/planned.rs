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

/// What keeps a run from doing what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeps {
    /// Its windows: none is open.
    Window,
    /// The budget: five signing requests brought no certificate.
    Budget,
}

/// What a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// From when on it is done.
    pub opens: Time,
    /// Until when, where that ends.
    pub ends: Option<Time>,
    /// What keeps it until then.
    pub why: Keeps,
}

impl Wait {
    /// What keeps a run from carrying out this plan now. It is what the run itself goes by: the hold of its decision, and the budget before a
    /// request is sent.
    fn of(plan: &Plan, hold: &Hold, next_request: Option<Time>, now: Time) -> Option<Self> {
        if let Hold::Until(window) = hold {
            return Some(Self { opens: window.opens, ends: Some(window.ends), why: Keeps::Window });
        }
        let next = next_request.filter(|next| *next > now && matches!(plan, Plan::Issue(_)))?;
        Some(Self { opens: next, ends: None, why: Keeps::Budget })
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
    /// What a run waits for, where it does nothing before that.
    pub waits_for: Option<Wait>,
    /// When the budget lets the next request be sent, where it does not let it at once; for who decides when to look again.
    #[serde(skip)]
    pub next_request: Option<Time>,
}

impl Planned {
    /// Whether a run waits for a window.
    #[must_use]
    pub fn waits_for_window(&self) -> bool {
        self.waits_for.is_some_and(|wait| wait.why == Keeps::Window)
    }
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
    let requests = budget::counted(&tree.state, &budget::subject(settings, certificate));
    let life = Life::of(tree.live.as_ref().and_then(|live| live.facts.as_ref()), certificate.request.ttl);
    let next_request = budget::next_after_burst(requests, life, now);
    let waits_for = Wait::of(&plan, &hold, next_request, now);
    let overdue = due_at.zip(committed).and_then(|(due, expires)| Deadline { due, expires, period }.reason(now));
    // What waits for its window is not late.
    if matches!(hold, Hold::Until(_)) {
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
    Planned { name, due, due_at, expires, reasons, action, waits_for, next_request }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::window::Opening;
    use crate::plan::choice::{Issue, Settle, Why};

    #[test]
    fn a_window_keeps_what_is_due_and_the_budget_what_is_to_be_signed() {
        let at = |seconds: i64| Time::from_unix(1_800_000_000 + seconds);
        let issue =
            Plan::Issue(Issue { generation: Generation(2), withdraw: Vec::new(), supersede: Vec::new(), fallback: None, otherwise: None });
        let settle = Plan::Settle(Settle { generation: Generation(2), why: Why::Debt, withdraw: Vec::new(), fallback: None });
        let window = Wait { opens: at(50), ends: Some(at(60)), why: Keeps::Window };
        let budget = Wait { opens: at(9), ends: None, why: Keeps::Budget };
        let until = Hold::Until(Opening { opens: at(50), ends: at(60) });
        let overridden = Hold::Overridden("it expires before that".to_owned());
        for (what, plan, hold, next, expected) in [
            ("due", &issue, &Hold::None, None, None),
            ("outside of its windows", &issue, &until, None, Some(window)),
            ("debt outside of its windows", &settle, &until, None, Some(window)),
            ("the budget is spent", &issue, &Hold::None, Some(at(9)), Some(budget)),
            ("and its pause is over", &issue, &Hold::None, Some(at(0)), None),
            ("debt asks nobody for a signature", &settle, &Hold::None, Some(at(9)), None),
            ("a window that is overridden", &issue, &overridden, Some(at(9)), Some(budget)),
            ("both: nothing is done before the window", &issue, &until, Some(at(9)), Some(window)),
            ("nothing is due", &Plan::Rest, &Hold::None, Some(at(9)), None),
        ] {
            assert_eq!(Wait::of(plan, hold, next, at(0)), expected, "{what}");
        }
    }
}
