//! The services that the audit knows. Each has a folder with its descriptor, its reader and its checks, and one line in this table.
//!
//! To add one: write `NAME/mod.rs` with a `SERVICE` ([`Service`]), its programs, its lints and its reader, then name it here. Targets and their
//! help, the usual places, the catalogue, owners and accounts, and the lines of `probe`'s remedies all come from there.

pub mod agents;
pub mod keylime;
pub mod nginx;
pub mod openbao;
pub mod own;
pub mod renewers;
pub mod scripts;
pub mod spire;
pub mod systemd;

use super::facts::service::{Operand, Service, TargetKind};

/// All of them, in the order in which they are read and listed.
pub static SERVICES: &[&Service] = &[
    &nginx::SERVICE,
    &keylime::SERVICE,
    &spire::SERVICE,
    &openbao::SERVICE,
    &systemd::SERVICE,
    &own::SERVICE,
    &scripts::SERVICE,
    &agents::SERVICE,
    &renewers::SERVICE,
];

/// Every kind of target, in the order in which people are told of them: those that are no path come first.
#[must_use]
pub fn targets(services: &[&'static Service]) -> Vec<&'static TargetKind> {
    let mut all: Vec<&TargetKind> = services.iter().flat_map(|service| service.targets).collect();
    all.sort_by_key(|kind| kind.operand == Operand::Path);
    all
}

/// The kinds of target for a help text: `unit:NAME, nginx:FILE … or openbao:FILE`.
#[must_use]
pub fn targets_in_words(services: &[&'static Service]) -> String {
    let kinds = targets(services);
    listed(&kinds.iter().map(|kind| format!("{}:{}{}", kind.prefix, kind.value, kind.note)).collect::<Vec<_>>(), "or")
}

/// The services whose usual places are looked at, for a help text: `nginx, Keylime … and systemd`.
#[must_use]
pub fn titles_in_words(services: &[&'static Service]) -> String {
    listed(&services.iter().filter_map(|service| service.title.map(str::to_owned)).collect::<Vec<_>>(), "and")
}

fn listed(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests;
