//! What SPIRE keeps on disk: its own keys, its data and its sockets.

use super::lints;
use super::plugin::Plugin;
use super::reader::{Side, SpireReader};
use crate::audit::facts::hcl::Body;
use crate::model::audit::Location;

/// Where a key manager has its keys.
pub(super) fn key_manager(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    if plugin.name == "memory" {
        let lint = if reader.side == Side::Server { &lints::MEMORY } else { &lints::AGENT_MEMORY };
        let draft = reader.draft(lint, &plugin.at(plugin.line), "memory").expected("KeyManager \"disk\"").found("KeyManager \"memory\"");
        reader.add(draft);
    }
    let (option, name) = if reader.side == Side::Server { ("keys_path", "") } else { ("directory", "keys.json") };
    let Some(path) = plugin.text(option).filter(|_| plugin.name == "disk") else { return };
    let path = if name.is_empty() { reader.path(&path) } else { reader.path(&path).join(name) };
    if let Ok(meta) = reader.view.meta(&path)
        && meta.mode & 0o007 != 0
    {
        let draft = plugin.draft(reader, &lints::KEYS_READABLE, option).file(Location::file(&path)).expected("mode 0600");
        reader.add(draft.found(format!("{} has mode {:04o}", path.display(), meta.mode)));
    }
}

/// The directory with the datastore, and with the agent's identity.
pub(super) fn directory(reader: &mut SpireReader<'_>, section: &Body) {
    let Some((name, line)) = section.text("data_dir").filter(|(name, _)| !name.trim().is_empty()) else { return };
    let path = reader.path(&name);
    if let Ok(meta) = reader.view.meta(&path)
        && meta.mode & 0o007 != 0
    {
        let severity = if meta.mode & 0o002 == 0 { crate::model::finding::Severity::Low } else { crate::model::finding::Severity::High };
        let spot = reader.spot(line);
        let draft = reader.draft(&lints::DATA_DIRECTORY, &spot, "data_dir").severity(severity).file(Location::file(&path));
        reader.add(draft.expected("mode 0700").found(format!("{} has mode {:04o}", path.display(), meta.mode)));
    }
}

/// A unix socket's path has room for 108 bytes, and SPIRE needs some of them.
pub(super) fn socket(reader: &mut SpireReader<'_>, section: &Body, limit: usize) {
    for key in ["socket_path", "admin_socket_path"] {
        let Some((path, line)) = section.text(key).filter(|(path, _)| path.len() > limit) else { continue };
        let words = match (reader.side, path.len()) {
            (Side::Agent, _) => "the agent ends with \"bind: invalid argument\"",
            (Side::Server, ..108) => "its /ready stays 500",
            (Side::Server, _) => "the server hangs at its start, and does not even stop on TERM",
        };
        let spot = reader.spot(line);
        let draft =
            reader.draft(&lints::SOCKET, &spot, key).expected(format!("at most {limit} bytes")).found(format!("{} bytes", path.len()));
        reader.add(draft.evidence(words));
    }
}
