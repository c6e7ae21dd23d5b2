//! What SPIRE keeps on disk: its own keys, its data and its sockets. It must never read a key.

use super::lints;
use super::plugin::Plugin;
use super::reading::{Reading, Side};
use crate::audit::hcl::Body;
use crate::model::audit::Place;

/// Where a key manager has its keys.
pub(super) fn key_manager(reading: &mut Reading<'_>, plugin: &Plugin) {
    if plugin.name == "memory" {
        let lint = if reading.side == Side::Server { &lints::MEMORY } else { &lints::AGENT_MEMORY };
        let draft = reading.draft(lint, &plugin.at(plugin.line), "memory").expected("KeyManager \"disk\"").found("KeyManager \"memory\"");
        reading.add(draft);
    }
    let (option, name) = if reading.side == Side::Server { ("keys_path", "") } else { ("directory", "keys.json") };
    let Some(path) = plugin.text(option).filter(|_| plugin.name == "disk") else { return };
    let path = if name.is_empty() { reading.path(&path) } else { reading.path(&path).join(name) };
    if let Ok(meta) = reading.view.meta(&path)
        && meta.mode & 0o007 != 0
    {
        let draft = plugin.draft(reading, &lints::KEYS_READABLE, option).file(Place::file(&path)).expected("mode 0600");
        reading.add(draft.found(format!("{} has mode {:04o}", path.display(), meta.mode)));
    }
}

/// The directory with the datastore, and with the agent's identity.
pub(super) fn directory(reading: &mut Reading<'_>, section: &Body) {
    let Some((name, line)) = section.text("data_dir").filter(|(name, _)| !name.trim().is_empty()) else { return };
    let path = reading.path(&name);
    if let Ok(meta) = reading.view.meta(&path)
        && meta.mode & 0o007 != 0
    {
        let severity = if meta.mode & 0o002 == 0 { crate::model::finding::Severity::Low } else { crate::model::finding::Severity::High };
        let spot = reading.spot(line);
        let draft = reading.draft(&lints::DATA_DIRECTORY, &spot, "data_dir").severity(severity).file(Place::file(&path));
        reading.add(draft.expected("mode 0700").found(format!("{} has mode {:04o}", path.display(), meta.mode)));
    }
}

/// A unix socket's path has room for 108 bytes, and SPIRE needs some of them.
pub(super) fn socket(reading: &mut Reading<'_>, section: &Body, limit: usize) {
    for key in ["socket_path", "admin_socket_path"] {
        let Some((path, line)) = section.text(key).filter(|(path, _)| path.len() > limit) else { continue };
        let words = match (reading.side, path.len()) {
            (Side::Agent, _) => "the agent ends with \"bind: invalid argument\"",
            (Side::Server, ..108) => "its /ready stays 500",
            (Side::Server, _) => "the server hangs at its start, and does not even stop on TERM",
        };
        let spot = reading.spot(line);
        let draft =
            reading.draft(&lints::SOCKET, &spot, key).expected(format!("at most {limit} bytes")).found(format!("{} bytes", path.len()));
        reading.add(draft.evidence(words));
    }
}
