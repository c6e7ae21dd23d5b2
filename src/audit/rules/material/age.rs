//! Whether an authority lives long enough for the leaves below it: its last days come earlier than its end.

use super::lints;
use crate::judge::cert::Facts;
use crate::judge::lint::Lint;
use crate::model::clock::Time;
use crate::model::span;

/// What is wrong with an age.
pub(super) struct ShortLife {
    pub(super) lint: &'static Lint,
    pub(super) expected: String,
    pub(super) found: String,
}

/// The age of an authority above a leaf, where it is still valid.
pub(super) fn authority(facts: &Facts, leaf: &Facts, at: Time) -> Option<ShortLife> {
    let left = facts.not_after.since(at);
    // A leaf that was signed now would outlive it, or be cut short.
    (facts.valid_at(at) && left < leaf.lifetime()).then(|| {
        let expected = format!("more life than the {} of its leaves", span::about(leaf.lifetime()));
        let found = format!("{} left of {}, until {}", span::about(left), facts.subject, facts.not_after);
        ShortLife { lint: &lints::AUTHORITY_ENDS, expected, found }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::kit::{self, DAY, Pki, now};

    #[test]
    fn an_authority_must_outlive_a_leaf_that_is_signed_now() {
        let pki = Pki::new();
        let facts = |from: i64, to: i64| {
            let mut params = kit::leaf();
            params.not_before = kit::time(now().plus(from));
            params.not_after = kit::time(now().plus(to));
            Facts::parse(&pki.leaf_of(&params)).unwrap()
        };
        let day = facts(0, DAY);
        for (from, to, expected) in [
            (-365 * DAY, 365 * DAY, None),
            (-365 * DAY, DAY, None),
            (-365 * DAY, DAY - 60, Some("validity.authority-ends")),
            (-365 * DAY, 0, None),
            (60, DAY / 2, None),
        ] {
            assert_eq!(authority(&facts(from, to), &day, now()).map(|short| short.lint.id), expected, "{to}");
        }
    }
}
