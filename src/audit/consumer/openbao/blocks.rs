//! Blocks with a type, such as `listener "tcp"`, and options that the server passes over.

use super::reader::{OpenBaoReader, text};
use super::{known, lints};
use crate::audit::facts::hcl::Body;
use crate::model::finding::Severity;

/// As many unknown options of one block are told, and as many listeners read.
pub(super) const MANY: usize = 50;

/// A block of some type.
pub(super) struct Block<'a> {
    /// `tcp`, `raft`, `awskms` …
    pub(super) kind: String,
    pub(super) body: &'a Body,
    pub(super) line: u32,
}

/// `listener "tcp" { … }`, and `listener { type = "tcp" … }`.
pub(super) fn of<'a>(body: &'a Body, key: &'a str) -> Vec<Block<'a>> {
    let mut found = Vec::new();
    for (block, line) in body.bodies(key) {
        let labelled: Vec<_> =
            block.items.iter().flat_map(|item| item.value.bodies().into_iter().map(move |inner| (item, inner))).collect();
        let own = block.items.iter().any(|item| item.value.bodies().is_empty());
        if own || labelled.is_empty() {
            let kind = text(block, "type").map_or_else(String::new, |(text, _)| text);
            found.push(Block { kind, body: block, line });
        } else {
            found.extend(labelled.into_iter().map(|(item, inner)| Block { kind: item.key.clone(), body: inner, line: item.line }));
        }
    }
    found
}

/// What OpenBao warns of once and then goes on without.
pub(super) fn unknown(reader: &mut OpenBaoReader<'_>, body: &Body, name: &str, listener: bool) {
    let options = known::options(listener, reader.is_vault());
    let strangers = body.items.iter().filter(|item| !options.iter().any(|option| option.eq_ignore_ascii_case(&item.key)));
    for item in strangers.take(MANY) {
        // One that is set already was not meant.
        let free: Vec<&str> = options.iter().copied().filter(|option| body.get(option).is_none()).collect();
        let near = known::meant(&item.key, &options);
        let meant = known::meant(&item.key, &free).or(near.filter(|near| known::is_same(&item.key, near)));
        let is_set = meant.is_some_and(|meant| body.get(meant).is_some());
        let severity = match meant {
            Some(_) if is_set => Severity::Low,
            Some(meant) if known::is_weighty(meant) => Severity::High,
            Some(_) => Severity::Medium,
            None => Severity::Low,
        };
        let draft = reader.draft(&lints::OPTION_UNKNOWN, name, &item.key, item.line).severity(severity).found(item.key.clone());
        let draft = draft.expected(meant.unwrap_or("an option of OpenBao"));
        reader.add(draft.evidence(format!("the log has \"unknown or unsupported field {} found in configuration\"", item.key)));
    }
}
