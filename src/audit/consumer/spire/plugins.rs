//! Plugin blocks: which there are, what they run, and where their data comes from.

use super::plugin::Plugin;
use super::reader::{Side, SpireReader};
use super::{attestors, disk, keylime, known, lints, store, upstream};
use crate::audit::facts::hcl::{self, Body, Item};
use crate::audit::facts::unread;
use crate::model::anchor::hex;
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;

/// As many plugins are read of one file, and as many unknown options told of one plugin; a data file has no more bytes.
const PLUGINS: usize = 64;
const UNKNOWN: usize = 50;
const DATA: usize = 256 << 10;

/// A plugin that is switched on, as its block names it.
struct Named {
    kind: String,
    name: String,
    line: u32,
}

/// Reads every plugin that is switched on.
pub(super) fn read(reader: &mut SpireReader<'_>, body: &Body) {
    let mut there: Vec<Named> = Vec::new();
    let kinds = known::kinds(reader.side);
    let mut strangers = 0;
    for item in body.bodies("plugins").flat_map(|(plugins, _)| &plugins.items) {
        let kind = kinds.iter().find(|kind| **kind == item.key).map_or(item.key.as_str(), |kind| *kind);
        if !kinds.contains(&kind) {
            strangers += 1;
            if strangers <= UNKNOWN {
                unknown_kind(reader, item, kinds);
            }
            continue;
        }
        let blocks = item.value.bodies().into_iter().flat_map(|body| &body.items);
        for (block, inner) in blocks.flat_map(|block| block.value.bodies().into_iter().map(move |body| (block, body))) {
            if there.len() >= PLUGINS {
                return;
            }
            let switched_off = inner.text("enabled").is_some_and(|(text, _)| text == "false");
            if !switched_off {
                there.push(Named { kind: kind.to_owned(), name: block.key.clone(), line: block.line });
                one(reader, kind, block, inner);
            }
        }
    }
    if body.bodies("plugins").next().is_some() {
        complete(reader, &there, body);
    }
}

fn unknown_kind(reader: &mut SpireReader<'_>, item: &Item, kinds: &[&str]) {
    let spot = reader.spot(item.line);
    let meant = crate::audit::facts::spelling::option(&item.key, kinds);
    let expected = meant.map_or_else(|| kinds.join(", "), str::to_owned);
    let draft = reader.draft(&lints::KIND_UNKNOWN, &spot, &item.key).expected(expected).found(item.key.clone());
    reader.add(draft);
}

fn one(reader: &mut SpireReader<'_>, kind: &str, block: &Item, body: &Body) {
    let target = format!("{} {kind} {}", reader.side.name(), block.key);
    let mut plugin = Plugin {
        kind: kind.to_owned(),
        name: block.key.clone(),
        line: block.line,
        data: Body::default(),
        file: reader.file.clone(),
        data_line: block.line,
        from_file: false,
        target,
    };
    let keys: Vec<&str> = known::BLOCK.split_whitespace().collect();
    let strangers = body.items.iter().filter(|item| !keys.iter().any(|key| key.eq_ignore_ascii_case(&item.key)));
    for item in strangers.take(UNKNOWN) {
        let meant = known::meant(&item.key, &keys);
        let draft = plugin.block_draft(reader, &lints::BLOCK_KEY, item.line, &item.key).found(item.key.clone());
        let severity = if meant.is_some() { Severity::High } else { Severity::Medium };
        let words = if meant.is_some_and(|meant| meant.starts_with("plugin_data")) {
            "so the plugin runs without its data"
        } else {
            "it has no effect"
        };
        reader.add(draft.severity(severity).expected(meant.unwrap_or("a key of a plugin block")).evidence(words));
    }
    data(reader, &mut plugin, body);
    let command = body.text("plugin_cmd").map(|(text, _)| text).unwrap_or_default();
    binary(reader, &plugin, body, &command);
    let own = if plugin.is_keylime(&command) { "keylime".to_owned() } else { plugin.name.clone() };
    options(reader, &plugin, &own, &plugin.data, &mut Vec::new());
    match (plugin.kind.as_str(), own.as_str()) {
        ("NodeAttestor", "keylime") => keylime::read(reader, &plugin),
        ("NodeAttestor", _) => attestors::read(reader, &plugin),
        ("UpstreamAuthority", _) => upstream::read(reader, &plugin),
        ("KeyManager", _) => disk::key_manager(reader, &plugin),
        ("DataStore", "sql") => store::read(reader, &plugin),
        _ => {}
    }
}

/// `plugin_data`, or what its file holds.
fn data(reader: &mut SpireReader<'_>, plugin: &mut Plugin, body: &Body) {
    let inline = body.bodies("plugin_data").last();
    if let Some((data, line)) = inline {
        plugin.data = data.clone();
        plugin.data_line = line;
    }
    let Some((name, line)) = body.text("plugin_data_file").filter(|(name, _)| !name.trim().is_empty()) else { return };
    if inline.is_some() {
        let draft = plugin.block_draft(reader, &lints::DATA_TWICE, line, "plugin_data_file");
        reader.add(draft.expected("plugin_data or plugin_data_file").found("both"));
    }
    let path = reader.path(&name);
    if !name.trim().starts_with('/') {
        let draft = plugin.block_draft(reader, &lints::DATA_RELATIVE, line, "plugin_data_file");
        reader.add(draft.expected("an absolute path").found(name));
    }
    match reader.view.text(&path) {
        Ok(text) if text.len() > DATA => {
            let target = Target::new("spire", plugin.target.clone());
            let found = format!("{} bytes", text.len());
            unread::malformed(reader.findings, target, Location::file(&path), "the options of one plugin", &found);
        }
        Ok(text) => {
            let (data, fault) = hcl::parse(&text);
            if let Some(fault) = fault {
                let target = Target::new("spire", plugin.target.clone());
                unread::malformed(reader.findings, target, Location::line(&path, fault.line), fault.expected, &fault.found);
            }
            reader.wiring.files.push(path.clone());
            plugin.data = data;
            plugin.data_line = 1;
            plugin.file = path;
            plugin.from_file = true;
        }
        Err(error) if error.is_absent() => {
            if reader.is_missing(&path) {
                let draft = plugin.block_draft(reader, &lints::DATA_ABSENT, line, "plugin_data_file");
                reader.add(draft.expected("a file with the plugin's data").found(format!("{} does not exist", path.display())));
            }
        }
        Err(error) => unread::unreadable(reader.findings, Target::new("spire", plugin.target.clone()), Location::file(&path), &error),
    }
}

/// What an external plugin runs.
fn binary(reader: &mut SpireReader<'_>, plugin: &Plugin, body: &Body, command: &str) {
    let Some((_, line)) = body.text("plugin_cmd").filter(|(text, _)| !text.trim().is_empty()) else {
        let built_in = known::built_in(reader.side, &plugin.kind);
        let meant = known::meant(&plugin.name, built_in).filter(|_| !built_in.contains(&plugin.name.as_str()));
        let stranger = plugin.name.contains("keylime") && plugin.kind == "NodeAttestor";
        if meant.is_some() || stranger {
            let draft = plugin.block_draft(reader, &lints::PLUGIN_UNKNOWN, plugin.line, "plugin_cmd");
            reader.add(
                draft.expected(meant.unwrap_or("plugin_cmd")).found(format!("{} \"{}\" without plugin_cmd", plugin.kind, plugin.name)),
            );
        }
        return;
    };
    let path = reader.path(command);
    if reader.is_missing(&path) {
        // A copy of a host has its configuration first of all, and seldom its binaries.
        let severity = if reader.view.is_elsewhere() { Severity::Medium } else { Severity::High };
        let draft = plugin.block_draft(reader, &lints::BINARY_ABSENT, line, "plugin_cmd").severity(severity);
        reader.add(draft.expected("the plugin's binary").found(format!("{} does not exist", path.display())));
    }
    if reader.view.meta(&path).is_ok_and(|meta| meta.mode & 0o002 != 0) {
        let draft = plugin.block_draft(reader, &lints::BINARY_WRITABLE, line, "plugin_cmd");
        reader.add(draft.file(Location::file(&path)).expected("0755").found(format!("{} may be written by everybody", path.display())));
    }
    let sum = body.text("plugin_checksum").filter(|(sum, _)| !sum.trim().is_empty());
    let Some((sum, line)) = sum else {
        let draft = plugin.block_draft(reader, &lints::CHECKSUM_ABSENT, line, "plugin_checksum");
        reader.add(draft.expected("plugin_checksum").found("none"));
        return;
    };
    let real = reader.view.bytes(&path).ok().map(|bytes| hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes).as_ref()));
    let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_sum || real.as_ref().is_some_and(|real| !real.eq_ignore_ascii_case(&sum)) {
        let draft = plugin.block_draft(reader, &lints::CHECKSUM_WRONG, line, "plugin_checksum").found(sum);
        reader.add(draft.expected(real.unwrap_or_else(|| "64 hexadecimal digits".to_owned())));
    }
}

/// Options that the plugin drops without a word.
fn options(reader: &mut SpireReader<'_>, plugin: &Plugin, name: &str, body: &Body, path: &mut Vec<String>) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(table) = known::data(reader.side, &plugin.kind, name, &names) else { return };
    let table: Vec<&str> = table.split_whitespace().collect();
    let mut strangers = 0;
    for item in &body.items {
        if let Some(key) = table.iter().find(|key| key.eq_ignore_ascii_case(&item.key)) {
            path.push((*key).to_owned());
            for inner in item.value.bodies() {
                options(reader, plugin, name, inner, path);
            }
            path.pop();
            continue;
        }
        strangers += 1;
        if strangers > UNKNOWN {
            return;
        }
        let draft = reader.draft(&lints::OPTION_UNKNOWN, &plugin.at(item.line), &item.key).found(item.key.clone());
        let Some(meant) = known::meant(&item.key, &table) else {
            let expected = if table.is_empty() { "no options".to_owned() } else { format!("one of {}", table.join(", ")) };
            reader.add(draft.expected(expected).evidence("the plugin does not know it, and says nothing"));
            continue;
        };
        let is_set = body.get(meant).is_some();
        let draft = draft.expected(meant).severity(if is_set { Severity::Low } else { Severity::High });
        let draft = keylime::consequence(draft, name, meant, is_set);
        reader.add(draft.remedy(format!("rename {} to {meant}; spire-server validate does not see it", item.key)));
    }
}

/// What SPIRE demands of the set (catalog constraints).
fn complete(reader: &mut SpireReader<'_>, there: &[Named], body: &Body) {
    let line = body.get("plugins").map_or(1, |item| item.line);
    let demands: &[(&str, bool)] = match reader.side {
        Side::Server => &[("DataStore", true), ("KeyManager", true)],
        Side::Agent => &[("KeyManager", true), ("NodeAttestor", true), ("WorkloadAttestor", false)],
    };
    for (kind, only) in demands {
        let found: Vec<&Named> = there.iter().filter(|there| there.kind == *kind).collect();
        let spot = reader.spot(found.last().map_or(line, |there| there.line));
        if found.is_empty() || (*only && found.len() > 1) {
            let names = found.iter().map(|there| there.name.as_str()).collect::<Vec<_>>().join(", ");
            let draft =
                reader.draft(&lints::PLUGIN_MISSING, &spot, kind).expected(format!("{} {kind}", if *only { "exactly one" } else { "a" }));
            reader.add(draft.found(if found.is_empty() { "none".to_owned() } else { names }));
        }
    }
}
