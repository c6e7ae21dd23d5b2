//! Every finding there can be, from the tables beside the checks.

use super::consumer::SERVICES;
use super::facts::service::Service;
use super::facts::unread;
use super::rules::{across, issued, material, served, timers};
use super::{consumer, probe};
use crate::judge::lint::{self, Lint};

/// A table that is no service's.
struct Table {
    /// The service behind whose own it is listed: `--list-findings` keeps its order, and new services come last.
    after: Option<&'static str>,
    lints: &'static [Lint],
}

const OMENS: Option<&str> = Some(consumer::own::SERVICE.name);
const SCRIPTS: Option<&str> = Some(consumer::scripts::SERVICE.name);

const TABLES: &[Table] = &[
    Table { after: None, lints: lint::ALL },
    Table { after: None, lints: lint::audit::ALL },
    Table { after: None, lints: unread::ALL },
    Table { after: None, lints: material::lints::ALL },
    Table { after: OMENS, lints: served::ALL },
    Table { after: OMENS, lints: issued::ALL },
    Table { after: OMENS, lints: across::ALL },
    Table { after: SCRIPTS, lints: timers::ALL },
    Table { after: SCRIPTS, lints: probe::lints::ALL },
];

/// All of them, in the order in which `--list-findings` shows them.
pub fn all() -> impl Iterator<Item = &'static Lint> {
    of(SERVICES)
}

/// The same with these services.
pub fn of(services: &[&'static Service]) -> impl Iterator<Item = &'static Lint> {
    let behind = |service: Option<&'static str>| TABLES.iter().filter(move |table| table.after == service).flat_map(|table| table.lints);
    behind(None).chain(services.iter().flat_map(move |service| service.lints.iter().chain(behind(Some(service.name)))))
}

/// The id that was meant by a word: a third of it may be mistyped; further away is another word.
#[must_use]
pub fn nearest(word: &str) -> Option<&'static str> {
    let (distance, id) = all().map(|lint| (strsim::osa_distance(lint.id, word), lint.id)).min()?;
    (distance * 3 <= word.chars().count()).then_some(id)
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

    #[test]
    fn every_finding_has_a_remedy() {
        let without: Vec<&str> = all().filter(|lint| lint.remedy.is_empty()).map(|lint| lint.id).collect();
        assert_eq!(without, [""; 0]);
    }

    #[test]
    fn every_table_that_is_no_services_is_listed_behind_one_that_is_there() {
        for table in TABLES {
            assert!(table.after.is_none_or(|name| SERVICES.iter().any(|service| service.name == name)), "{:?}", table.after);
        }
    }
}
