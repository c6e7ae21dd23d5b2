//! Every finding there can be, from the tables beside the checks. It must never hold a check or a table itself.

use crate::judge::lint::{self, Lint};

/// The tables, in the order in which `--list-findings` shows them.
const TABLES: &[&[Lint]] = &[
    lint::ALL,
    lint::audit::ALL,
    super::input::ALL,
    super::material::lints::ALL,
    super::nginx::lints::ALL,
    super::keylime::lints::ALL,
    super::spire::lints::ALL,
    super::openbao::lints::ALL,
    super::systemd::lints::ALL,
    super::own::lints::ALL,
    super::served::ALL,
    super::issued::ALL,
    super::report::merge::ALL,
    super::scripts::ALL,
    super::probe::lints::ALL,
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Lint> {
    TABLES.iter().flat_map(|table| table.iter())
}

/// The lint of this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Lint> {
    all().find(|lint| lint.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_of_one_shape() {
        let mut seen = std::collections::BTreeSet::new();
        for lint in all() {
            assert!(seen.insert(lint.id), "{} twice", lint.id);
            let (area, rest) = lint.id.split_once('.').unwrap();
            let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            assert!(word(area) && word(rest) && !lint.title.is_empty() && !lint.title.ends_with('.'), "{}", lint.id);
        }
    }
}
