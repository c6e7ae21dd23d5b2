//! Whether a certificate has been due for so long that whoever should renew it does not: the one yardstick of `plan`, `status` and the
//! audit.

use std::time::Duration;

use crate::model::clock::Time;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::span;

/// The part of the life left at the due date that may pass before somebody has to look.
const PART: i64 = 5;
/// So many times the scheduler may come by in vain.
const PERIODS: u32 = 2;

/// When a certificate was due and when it ends, and how often the installed scheduler looks, where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// When it was due by its lifetime.
    pub due: Time,
    /// Its notAfter.
    pub expires: Time,
    /// The longest time between two runs.
    pub period: Option<Duration>,
}

impl Deadline {
    /// From when on it is overdue.
    #[must_use]
    pub fn overdue_at(&self) -> Time {
        let part = self.expires.since(self.due).max(0) / PART;
        let periods = self.period.map(|period| i64::try_from((period * PERIODS).as_secs()).unwrap_or(i64::MAX));
        self.due.plus(periods.map_or(part, |periods| part.min(periods)))
    }

    /// Whether it is overdue at this time.
    #[must_use]
    pub fn is_over(&self, now: Time) -> bool {
        now > self.overdue_at()
    }

    /// The reason in words, where it is overdue and has not ended yet: what has ended says so itself.
    #[must_use]
    pub fn reason(&self, now: Time) -> Option<Reason> {
        if !self.is_over(now) || now >= self.expires {
            return None;
        }
        let late = span::about(now.since(self.due));
        let limit = span::about(self.overdue_at().since(self.due));
        let text = format!("due since {}, {late} ago; no run renewed it within {limit}: is the timer, or `omens run`, at work?", self.due);
        Some(Reason::new(ReasonCode::Overdue, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_what_was_left_or_two_periods_whichever_is_sooner() {
        let due = Time::from_unix(1_800_000_000);
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        // Life left at the due date in hours, period, seconds from which on it is overdue.
        for (left, period, expected) in
            [(8, None, 5760), (8, Some(Duration::from_secs(1800)), 3600), (8, hours(24), 5760), (720, hours(1), 7200), (0, None, 0)]
        {
            let deadline = Deadline { due, expires: due.plus(left * 3600), period };
            assert_eq!(deadline.overdue_at().since(due), expected, "{left} {period:?}");
            for (at, over) in [(expected - 1, false), (expected, false), (expected + 1, true)] {
                assert_eq!(deadline.is_over(due.plus(at)), over, "{left} {period:?} {at}");
            }
        }
    }

    #[test]
    fn what_has_ended_is_told_as_that() {
        let due = Time::from_unix(1_800_000_000);
        let deadline = Deadline { due, expires: due.plus(3600), period: None };
        assert_eq!(deadline.reason(due.plus(720)), None);
        assert_eq!(deadline.reason(due.plus(721)).map(|reason| reason.code), Some(ReasonCode::Overdue));
        assert_eq!(deadline.reason(due.plus(3600)), None);
        assert!(deadline.is_over(due.plus(3600)));
    }
}
