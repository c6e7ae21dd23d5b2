//! What a finding looks like where it is one, and what is right instead, as examples of a line or two.

use crate::judge::lint::Lint;

const TEXT: &str = include_str!("examples.txt");

/// A bad and a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    on: &'static str,
    /// What is wrong.
    pub bad: &'static str,
    /// What is right.
    pub good: &'static str,
}

fn all() -> impl Iterator<Item = Example> {
    TEXT.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (on, rest) = line.split_once(" | ")?;
        let (bad, good) = rest.split_once(" | ")?;
        Some(Example { on, bad, good })
    })
}

/// That of a finding: of its id, or of its area.
#[must_use]
pub fn of(lint: &Lint) -> Option<Example> {
    all().filter(|example| lint.id.starts_with(example.on)).max_by_key(|example| example.on.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::catalogue;

    #[test]
    fn every_finding_has_an_example_and_every_example_is_of_one() {
        let lints: Vec<_> = catalogue::all().collect();
        for lint in &lints {
            assert!(of(lint).is_some_and(|example| !example.bad.is_empty() && !example.good.is_empty()), "{} has none", lint.id);
        }
        for example in all() {
            assert!(lints.iter().any(|lint| lint.id.starts_with(example.on)), "no finding is {}", example.on);
        }
        assert_eq!(all().count(), TEXT.lines().filter(|line| !line.starts_with('#')).count(), "a line without its three parts");
    }
}
