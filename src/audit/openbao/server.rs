//! The whole of a server's configuration, block by block. It must never be taken for all of it: `-config` may name a directory.

use super::reading::{Reading, flag, text};
use super::{known, lints, listener, seal, storage};
use crate::audit::hcl::Body;
use crate::model::finding::Severity;

/// As many unknown options of one block are told, and as many listeners read.
pub(super) const MANY: usize = 50;

/// Reads it.
pub(super) fn read(reading: &mut Reading<'_>, body: &Body) {
    unknown(reading, body, "server", false);
    for (item, block) in blocks(body, "listener").into_iter().take(MANY) {
        listener::read(reading, item, block.0, block.1);
    }
    seal::read(reading, body);
    storage::read(reading, body);
    addresses(reading, body);
    if let Ok(true) = flag(body, "raw_storage_endpoint") {
        let line = body.get("raw_storage_endpoint").map_or(1, |item| item.line);
        let draft = reading.draft(&lints::RAW_ENDPOINT, "server", "raw_storage_endpoint", line).expected("raw_storage_endpoint = false");
        reading.add(draft.found("raw_storage_endpoint = true"));
    }
    if let Some(item) = body.get("disable_mlock").filter(|_| !reading.is_vault())
        && let Ok(false) = flag(body, "disable_mlock")
    {
        let draft =
            reading.draft(&lints::MLOCK, "server", "disable_mlock", item.line).expected("no such line").found("disable_mlock = false");
        reading.add(draft.breaks("openbao"));
    }
}

/// `listener "tcp" { … }`, and `listener { type = "tcp" … }`: type, body and line.
pub(super) fn blocks<'a>(body: &'a Body, key: &'a str) -> Vec<(String, (&'a Body, u32))> {
    let mut found = Vec::new();
    for (block, line) in body.bodies(key) {
        let labelled: Vec<_> =
            block.items.iter().flat_map(|item| item.value.bodies().into_iter().map(move |inner| (item, inner))).collect();
        let own = block.items.iter().any(|item| item.value.bodies().is_empty());
        if own || labelled.is_empty() {
            let kind = text(block, "type").map_or_else(String::new, |(text, _)| text);
            found.push((kind, (block, line)));
        } else {
            found.extend(labelled.into_iter().map(|(item, inner)| (item.key.clone(), (inner, item.line))));
        }
    }
    found
}

/// What OpenBao warns of once and then goes on without.
pub(super) fn unknown(reading: &mut Reading<'_>, body: &Body, name: &str, listener: bool) {
    let options = known::options(listener);
    let strangers = body.items.iter().filter(|item| !options.iter().any(|option| option.eq_ignore_ascii_case(&item.key)));
    for item in strangers.take(MANY) {
        let meant = known::meant(&item.key, &options);
        let is_set = meant.is_some_and(|meant| body.get(meant).is_some());
        let severity = match meant {
            Some(_) if is_set => Severity::Low,
            Some(meant) if known::is_weighty(meant) => Severity::High,
            Some(_) => Severity::Medium,
            None => Severity::Low,
        };
        let draft = reading.draft(&lints::OPTION_UNKNOWN, name, &item.key, item.line).severity(severity).found(item.key.clone());
        let draft = draft.expected(meant.unwrap_or("an option of OpenBao"));
        reading.add(draft.evidence(format!("the log has \"unknown or unsupported field {} found in configuration\"", item.key)));
    }
}

fn addresses(reading: &mut Reading<'_>, body: &Body) {
    let secure = reading.wiring.listeners.iter().any(|listener| listener.tls);
    for key in ["api_addr", "cluster_addr"] {
        if let Some((url, line)) = text(body, key)
            && url.to_ascii_lowercase().starts_with("http://")
            && (secure || key == "cluster_addr")
        {
            let draft = reading
                .draft(&lints::ADDRESS_HTTP, "server", key, line)
                .expected(format!("{key} = \"https://…\""))
                .found(format!("{key} = \"{url}\""));
            reading.add(draft);
        }
    }
}
