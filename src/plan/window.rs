//! What windows do to a plan: outside, what is due waits for the next one; inside, what falls due before the next one ends is due now, since
//! otherwise most short lives would run out between two windows. A certificate that would not live to be renewed overrides them.

use super::choice::{Plan, Settle, Why};
use super::due::Renewal;
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::window::{Opening, Place, Windows};

/// A window is overridden where less than this part of a life is left.
const LEAST: i64 = 6;

/// How long a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its first second.
    pub not_before: Time,
    /// Its last second.
    pub not_after: Time,
}

impl Life {
    /// The validity of a certificate.
    #[must_use]
    pub const fn of(facts: &Facts) -> Self {
        Self { not_before: facts.not_before, not_after: facts.not_after }
    }
}

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
pub fn hold(windows: Option<&Windows>, plan: &Plan, live: Option<Life>, now: Time) -> Hold {
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
        Plan::Issue(_) | Plan::Settle(Settle { why: Why::Debt | Why::NotProven | Why::ServiceStopped | Why::TrustChanged, .. }) => true,
    }
}

fn overrides(live: Option<Life>, now: Time, next: Opening) -> Option<String> {
    let live = live?;
    let (life, left) = (live.not_after.since(live.not_before), live.not_after.since(now));
    if live.not_after <= next.ends {
        return Some(format!("it expires at {}, before the next window ends at {}", live.not_after, next.ends));
    }
    (left * LEAST < life)
        .then(|| format!("less than a sixth of its life is left, until {}; the next window opens at {}", live.not_after, next.opens))
}

/// The reason to renew a certificate before its time, inside a window. One that was staged in this very window has been renewed for it; what
/// `reseal` made of an older one was not.
#[must_use]
pub fn early(windows: &Windows, renewal: &Renewal<'_>, live: Life, staged: Option<Time>, now: Time) -> Option<Reason> {
    let Place::Inside { this, next: Some(next) } = windows.place(now) else { return None };
    let due = renewal.due_at(live.not_before, live.not_after);
    let renewed = staged.unwrap_or(live.not_before) >= this.opens;
    (due < next.ends && !renewed).then(|| {
        Reason::new(
            ReasonCode::InWindow,
            format!(
                "due at {due} by its lifetime, before its next window ends at {}; the one that is open ends at {}",
                next.ends, this.ends
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::{CertName, Generation};
    use crate::model::renew_at::RenewAt;
    use crate::model::window::Weekly;
    use crate::plan::choice::Issue;

    fn at(text: &str) -> Time {
        Time::parse(&format!("2026-06-{text}:00Z")).unwrap()
    }

    fn windows(spans: &[&str]) -> Windows {
        Windows { weekly: spans.iter().map(|span| Weekly::parse(span).unwrap()).collect(), zone: jiff::tz::TimeZone::UTC }
    }

    fn life(from: &str, hours: i64) -> Life {
        Life { not_before: at(from), not_after: at(from).plus(hours * 3600) }
    }

    fn issue() -> Plan {
        Plan::Issue(Issue { generation: Generation(2), withdraw: Vec::new(), supersede: Vec::new(), fallback: None, otherwise: None })
    }

    fn settle(why: Why) -> Plan {
        Plan::Settle(Settle { generation: Generation(2), why, withdraw: Vec::new(), fallback: None })
    }

    #[test]
    fn what_is_due_waits_unless_that_would_cost_the_certificate() {
        // 1 June is a Monday; each window is from 02:00 to 05:00.
        let daily = windows(&["02:00-05:00"]);
        for (what, plan, live, now, expected) in [
            ("inside", issue(), Some(life("01T00:00", 48)), "02T02:00", "none"),
            ("outside", issue(), Some(life("01T00:00", 72)), "02T18:00", "until 2026-06-03T02:00:00Z"),
            ("the first issue", issue(), None, "02T18:00", "until 2026-06-03T02:00:00Z"),
            ("debt", settle(Why::Debt), Some(life("01T00:00", 72)), "02T18:00", "until 2026-06-03T02:00:00Z"),
            ("a stopped service", settle(Why::ServiceStopped), Some(life("01T00:00", 72)), "02T18:00", "until 2026-06-03T02:00:00Z"),
            ("after a boot", settle(Why::Unpublished), Some(life("01T00:00", 72)), "02T18:00", "none"),
            ("a proof that is owed", settle(Why::NotProven), Some(life("01T00:00", 72)), "02T18:00", "until 2026-06-03T02:00:00Z"),
            ("another trust", settle(Why::TrustChanged), Some(life("01T00:00", 72)), "02T18:00", "until 2026-06-03T02:00:00Z"),
            ("a person's rollback", settle(Why::Rollback), Some(life("01T00:00", 72)), "02T18:00", "none"),
            ("after a kill", settle(Why::Interrupted), Some(life("01T00:00", 72)), "02T18:00", "none"),
            ("nothing", Plan::Rest, Some(life("01T00:00", 72)), "02T18:00", "none"),
            ("it would expire inside the next one", issue(), Some(life("02T02:10", 24)), "02T18:30", "overridden"),
            ("it ends with the next one", issue(), Some(life("01T18:00", 35)), "02T18:00", "overridden"),
            (
                "it outlives the next one by a second",
                issue(),
                Some(Life { not_before: at("01T18:00"), not_after: at("03T05:00").plus(1) }),
                "02T18:00",
                "until 2026-06-03T02:00:00Z",
            ),
            ("a sixth is left", issue(), Some(life("01T00:00", 240)), "09T08:00", "until 2026-06-10T02:00:00Z"),
            ("less than a sixth is left", issue(), Some(life("01T00:00", 240)), "09T08:01", "overridden"),
            ("it has expired", issue(), Some(life("01T00:00", 24)), "02T18:00", "overridden"),
        ] {
            let found = match hold(Some(&daily), &plan, live, at(now)) {
                Hold::None => "none".to_owned(),
                Hold::Overridden(_) => "overridden".to_owned(),
                Hold::Until(opening) => format!("until {}", opening.opens),
            };
            assert_eq!(found, expected, "{what}");
            assert_eq!(hold(None, &plan, live, at(now)), Hold::None, "{what}: no windows");
        }
        let never = hold(Some(&windows(&[])), &issue(), Some(life("01T00:00", 72)), at("02T18:00"));
        assert!(matches!(never, Hold::Overridden(_)), "what never opens is not waited for: {never:?}");
    }

    #[test]
    fn inside_a_window_what_falls_due_before_the_next_one_ends_is_due_now() {
        let renewal = Renewal { host: "host", name: &CertName::parse("web").unwrap(), at: RenewAt::Usual };
        for (what, spans, live, staged, now, expected) in [
            // Due at the end of the second of three days.
            ("before the next one", "02:00-05:00", life("01T00:00", 40), Some("01T00:00"), "01T02:00", true),
            ("after the next one", "02:00-05:00", life("01T00:00", 72), Some("01T00:00"), "01T02:00", false),
            ("the window after", "02:00-05:00", life("01T00:00", 72), Some("01T00:00"), "02T02:00", true),
            ("outside", "02:00-05:00", life("01T00:00", 48), Some("01T00:00"), "01T05:00", false),
            ("renewed in this window", "02:00-05:00", life("01T02:00", 24), Some("01T02:00"), "01T02:01", false),
            ("renewed just before it", "02:00-05:00", life("01T01:59", 24), Some("01T01:59"), "01T02:01", true),
            ("renewed in this window, and dated back", "02:00-05:00", life("01T01:59", 24), Some("01T02:00"), "01T02:01", false),
            ("begun before it, nobody knows when it was staged", "02:00-05:00", life("01T00:00", 40), None, "01T02:00", true),
            ("begun in it, nobody knows when it was staged", "02:00-05:00", life("01T02:00", 24), None, "01T02:01", false),
            ("once a week", "Mon 02:00-05:00", life("01T00:00", 240), Some("01T00:00"), "01T02:00", true),
            ("always open", "00:00-24:00", life("01T00:00", 24), Some("01T00:00"), "01T02:00", false),
        ] {
            let found = early(&windows(&[spans]), &renewal, live, staged.map(at), at(now));
            assert_eq!(found.is_some(), expected, "{what}: {found:?}");
        }
        // To the second: what is due as the next window ends can wait for it.
        let live = life("01T00:00", 40);
        let later = at("02T05:00").since(renewal.due_at(live.not_before, live.not_after));
        for (seconds, expected) in [(later, false), (later - 1, true)] {
            let live = Life { not_before: live.not_before.plus(seconds), not_after: live.not_after.plus(seconds) };
            let found = early(&windows(&["02:00-05:00"]), &renewal, live, Some(at("01T00:00")), at("01T04:59"));
            assert_eq!(found.is_some(), expected, "{seconds}: {found:?}");
        }
    }
}
