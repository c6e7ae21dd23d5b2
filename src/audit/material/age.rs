//! Where in its life a certificate is, as a fraction: days mean nothing for one of 24 hours (facts/x509 §6). It must never judge anything else.

use super::lints;
use crate::judge::cert::Facts;
use crate::judge::lint::{self, Lint};
use crate::model::clock::Time;
use crate::model::span;

/// A renewal is late when less than this part of the life is left; windows end long before.
const LATE: i64 = 8;
/// An authority is old when less than this part of its life is left.
const OLD: i64 = 10;

/// What is wrong with an age: the lint, what was expected, and what is there.
pub(super) type Fault = (&'static Lint, String, String);

/// A leaf's age.
pub(super) fn leaf(facts: &Facts, at: Time) -> Option<Fault> {
    let left = facts.not_after.since(at);
    if facts.not_after < facts.not_before {
        Some((&lint::INVERTED, format!("an end after {}", facts.not_before), facts.not_after.to_string()))
    } else if at < facts.not_before {
        Some((&lint::NOT_YET_VALID, format!("valid at {at}"), format!("valid from {}", facts.not_before)))
    } else if !facts.valid_at(at) {
        Some((&lint::EXPIRED, format!("valid at {at}"), format!("valid until {}, {} ago", facts.not_after, span::about(-left))))
    } else if left.saturating_mul(LATE) < facts.lifetime() {
        Some((
            &lints::LATE,
            "at least an eighth of its life".to_owned(),
            format!("{} of {} left, until {}", span::about(left), span::about(facts.lifetime()), facts.not_after),
        ))
    } else {
        None
    }
}

/// The age of an authority above a leaf, where it is still valid.
pub(super) fn authority(facts: &Facts, leaf: &Facts, at: Time) -> Option<Fault> {
    let left = facts.not_after.since(at);
    if left <= 0 || at < facts.not_before {
        return None;
    }
    let words = || format!("{} left of {}, until {}", span::about(left), facts.subject, facts.not_after);
    if left < leaf.lifetime() {
        Some((&lints::AUTHORITY_ENDS, format!("more life than the {} of its leaves", span::about(leaf.lifetime())), words()))
    } else if left.saturating_mul(OLD) < facts.lifetime() {
        Some((&lints::AUTHORITY_OLD, "a tenth of its life or more".to_owned(), words()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::kit::{self, DAY, Pki, now};

    /// Of 24 hours, judged at any age.
    #[test]
    fn a_day_long_certificate_is_healthy_until_seven_eighths() {
        let pki = Pki::new();
        let facts = |from: i64, to: i64| {
            let mut params = kit::leaf();
            params.not_before = kit::time(now().plus(from));
            params.not_after = kit::time(now().plus(to));
            Facts::parse(&pki.leaf_of(&params)).unwrap()
        };
        let rows: [(i64, Option<&str>); 7] = [
            (-1, Some("validity.not-yet-valid")),
            (0, None),
            (DAY / 2, None),
            (DAY * 7 / 8, None),
            (DAY * 7 / 8 + 60, Some("validity.renewal-late")),
            (DAY, Some("validity.expired")),
            (DAY + 1, Some("validity.expired")),
        ];
        for (age, expected) in rows {
            let leaf_facts = facts(0, DAY);
            assert_eq!(leaf(&leaf_facts, now().plus(age)).map(|(lint, ..)| lint.id), expected, "{age}");
        }
        let day = facts(0, DAY);
        for (from, to, expected) in [
            (-365 * DAY, 365 * DAY, None),
            (-365 * DAY, 20 * DAY, Some("validity.authority-old")),
            (-365 * DAY, DAY / 2, Some("validity.authority-ends")),
            (-365 * DAY, 0, None),
        ] {
            assert_eq!(authority(&facts(from, to), &day, now()).map(|(lint, ..)| lint.id), expected, "{to}");
        }
    }
}
