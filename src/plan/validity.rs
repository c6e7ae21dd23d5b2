//! What a certificate's validity says about renewing it.

use super::due::Renewal;
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::span;

/// The reason for renewal in a certificate's validity, if there is one.
#[must_use]
pub fn time_reason(renewal: &Renewal<'_>, facts: &Facts, now: Time) -> Option<Reason> {
    let due = renewal.due_at(facts.not_before, facts.not_after);
    // As OpenSSL has it, the last second is over (judge/facts.md, "Peers").
    if now >= facts.not_after {
        let text = format!("since {} ({} ago)", facts.not_after, span::about(now.since(facts.not_after)));
        return Some(Reason::new(ReasonCode::Expired, text));
    }
    if now < facts.not_before {
        return Some(Reason::new(ReasonCode::NotYetValid, format!("valid only from {}; is this host's clock right?", facts.not_before)));
    }
    let left = || format!("{} left until {}", span::about(facts.not_after.since(now)), facts.not_after);
    (now >= due).then(|| Reason::new(ReasonCode::InWindow, format!("due since {due} by its lifetime, {}", left())))
}

/// The reason to leave a certificate alone.
#[must_use]
pub fn fresh(renewal: &Renewal<'_>, facts: Option<&Facts>, now: Time) -> Reason {
    let Some(facts) = facts else { return Reason::new(ReasonCode::Fresh, "nothing to do") };
    let due = renewal.due_at(facts.not_before, facts.not_after);
    let text = format!("valid since {} until {}, due in {} at {due}", facts.not_before, facts.not_after, span::about(due.since(now)));
    Reason::new(ReasonCode::Fresh, text)
}

/// Whether a certificate is valid at this time.
#[must_use]
pub fn is_valid(facts: &Facts, now: Time) -> bool {
    facts.not_before <= now && now < facts.not_after
}
