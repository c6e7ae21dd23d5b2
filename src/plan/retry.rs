//! When a process that goes on (`omens run`) looks at a certificate again: when it is due, when its window opens, and, where a run could not
//! renew it and it ends before the next tick, within the budget's pauses. Pure.

use super::planned::{Action, Keeps, Planned};
use crate::model::clock::Time;

/// Between two tries, this part of what is left, like the pauses of the budget.
const PART: i64 = 8;
/// The shortest pause, in seconds: a certificate of a minute still gets some tries.
const SHORTEST: i64 = 5;
/// The longest pause, and that once it has ended.
const LONGEST: i64 = 3600;
const ENDED: i64 = 60;

/// A time to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at: Time,
    /// Only where the tick comes no sooner than this: a certificate that holds beyond it waits for its turn.
    pub ends: Option<Time>,
}

/// When to look again, for each certificate for which there is a reason; `planned` is what the run that has ended left.
#[must_use]
pub fn wakes(planned: &[Planned], now: Time) -> Vec<Wake> {
    planned.iter().filter_map(|planned| wake(planned, now)).collect()
}

fn wake(planned: &Planned, now: Time) -> Option<Wake> {
    let later = |at: Time| Some(Wake { at, ends: None }).filter(|wake| wake.at > now);
    if let Some(window) = planned.waits_for.filter(|wait| wait.why == Keeps::Window) {
        return later(window.opens);
    }
    if planned.action == Action::Nothing {
        return planned.due_at.and_then(later);
    }
    let ends = planned.expires?;
    let left = ends.since(now);
    let pause = if left > 0 { (left / PART).clamp(SHORTEST, LONGEST) } else { ENDED };
    let next_request = planned.next_request.filter(|_| planned.action == Action::Issue);
    let at = now.plus(pause);
    Some(Wake { at: next_request.map_or(at, |next| next.max(at)), ends: Some(ends) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::{CertName, Generation};
    use crate::plan::planned::Wait;

    fn at(seconds: i64) -> Time {
        Time::from_unix(1_800_000_000 + seconds)
    }

    #[test]
    fn what_failed_is_tried_again_before_it_ends_and_never_sooner_than_the_budget_lets_it() {
        let (nothing, issue) = (Action::Nothing, Action::Issue);
        let settle = Action::Settle(Generation::parse("gen-3").unwrap());
        // What is to be done, when it is due, when it ends, when the budget grants a request; when it is looked at again, and until when.
        let rows = [
            ("rests", nothing, Some(100), Some(200), None, Some((100, None))),
            ("rests, and the clock was set", nothing, Some(-5), Some(200), None, None),
            ("a day's, 8 h left", issue, Some(-1), Some(28_800), None, Some((3600, Some(28_800)))),
            ("a day's, 80 min left", issue, Some(-1), Some(4800), None, Some((600, Some(4800)))),
            ("the budget grants nothing for 20 min", issue, Some(-1), Some(4800), Some(1200), Some((1200, Some(4800)))),
            ("the budget granted it long ago", issue, Some(-1), Some(4800), Some(-9), Some((600, Some(4800)))),
            ("debt asks nobody for a signature", settle, Some(-1), Some(4800), Some(1200), Some((600, Some(4800)))),
            ("of a minute, 20 s left", issue, Some(-1), Some(20), None, Some((5, Some(20)))),
            ("ended", issue, Some(-90), Some(-1), None, Some((60, Some(-1)))),
            ("there never was one", issue, None, None, None, None),
        ];
        for (what, action, due_at, expires, next_request, expected) in rows {
            let planned = Planned {
                name: CertName::parse("web").unwrap(),
                due: action != Action::Nothing,
                due_at: due_at.map(at),
                expires: expires.map(at),
                reasons: Vec::new(),
                action,
                waits_for: None,
                next_request: next_request.map(at),
            };
            let expected = expected.map(|(wake, ends): (i64, Option<i64>)| Wake { at: at(wake), ends: ends.map(at) });
            assert_eq!(wake(&planned, at(0)), expected, "{what}");
            // Nothing is done outside of a window: it is looked at when that opens.
            let waits = Planned { waits_for: Some(Wait { opens: at(777), ends: Some(at(999)), why: Keeps::Window }), ..planned };
            assert_eq!(wake(&waits, at(0)), Some(Wake { at: at(777), ends: None }), "{what}");
        }
    }
}
