//! What windows do to a plan: outside, what is due waits for the next one; inside, what falls due before the next one ends is due now, since
//! otherwise most short lives would run out between two windows. A certificate that would not live to be renewed overrides them.

use super::choice::{Plan, Settle, Why};
use super::due::due_at;
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::name::CertName;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::window::{Opening, Place, Windows};

/// A window is overridden where less than this part of a life is left.
const LEAST: i64 = 6;

/// Whether a plan may be carried out now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing keeps it.
    None,
    /// A window would, but waiting for it would cost the certificate; why, in words.
    Overridden(String),
    /// It waits for this window.
    Until(Opening),
}

/// Whether a plan may be carried out now, by the windows of its certificate. `live` is the committed certificate.
#[must_use]
pub fn hold(windows: Option<&Windows>, plan: &Plan, live: Option<&Facts>, now: Time) -> Hold {
    let Some(windows) = windows.filter(|_| is_held(plan)) else { return Hold::None };
    match windows.place(now) {
        Place::Inside { .. } => Hold::None,
        Place::Never => Hold::Overridden("none of its windows opens within weeks".to_owned()),
        Place::Outside { next } => overrides(live, now, next).map_or(Hold::Until(next), Hold::Overridden),
    }
}

/// What consumers lack, what a killed run left, and what a person takes back is not put off: that is no change of its own.
const fn is_held(plan: &Plan) -> bool {
    match plan {
        Plan::Rest | Plan::Settle(Settle { why: Why::Interrupted | Why::Rollback | Why::Unpublished, .. }) => false,
        Plan::Issue(_) | Plan::Settle(Settle { why: Why::Debt | Why::NotProven | Why::ServiceStopped, .. }) => true,
    }
}

fn overrides(live: Option<&Facts>, now: Time, next: Opening) -> Option<String> {
    let live = live?;
    let (life, left) = (live.not_after.since(live.not_before), live.not_after.since(now));
    if live.not_after <= next.ends {
        return Some(format!("it expires at {}, before the next window ends at {}", live.not_after, next.ends));
    }
    (left * LEAST < life).then(|| format!("less than a sixth of its life is left, until {}; the next window opens at {}", live.not_after, next.opens))
}

/// The reason to renew a certificate before its time, inside a window. One that was staged in this very window has been renewed for it.
#[must_use]
pub fn early(windows: &Windows, host: &str, name: &CertName, live: &Facts, staged: Option<Time>, now: Time) -> Option<Reason> {
    let Place::Inside { this, next: Some(next) } = windows.place(now) else { return None };
    let due = due_at(host, name, live.not_before, live.not_after);
    let renewed = staged.unwrap_or(live.not_before) >= this.opens;
    (due < next.ends && !renewed)
        .then(|| Reason::new(ReasonCode::InWindow, format!("due at {due}, before the next window ends at {}; this one ends at {}", next.ends, this.ends)))
}
