//! Plugin blocks: which there are, what they run, and where their data comes from. It must never start a plugin.

use std::path::PathBuf;

use super::reading::{Reading, Side, Spot};
use super::{attestors, disk, keylime, known, lints, upstream};
use crate::audit::hcl::{self, Body, Item};
use crate::audit::input;
use crate::audit::sheet::Draft;
use crate::judge::lint::Lint;
use crate::model::anchor::hex;
use crate::model::audit::{Place, Target};
use crate::model::finding::Severity;

/// As many plugins are read of one file, and as many unknown options told of one plugin; a data file has no more bytes.
const PLUGINS: usize = 64;
const UNKNOWN: usize = 50;
const DATA: usize = 256 << 10;

/// One block with its data, wherever that is.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) data: Body,
    /// The file and the line of its data.
    pub(super) file: PathBuf,
    pub(super) data_line: u32,
    /// Whether SPIRE can read the data anew while it runs.
    pub(super) from_file: bool,
    target: String,
}

impl Plugin {
    /// A key of its data.
    pub(super) fn spot(&self, key: &str) -> Spot {
        self.at(self.data.get(key).map_or(self.data_line, |item| item.line))
    }

    pub(super) fn at(&self, line: u32) -> Spot {
        Spot { name: self.target.clone(), file: self.file.clone(), line }
    }

    /// A finding at a key of its data.
    pub(super) fn draft(&self, reading: &Reading<'_>, lint: &'static Lint, key: &str) -> Draft {
        reading.draft(lint, &self.spot(key), key)
    }

    /// An option's text, where it is set and not empty.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.data.text(key).map(|(text, _)| text).filter(|text| !text.trim().is_empty())
    }

    /// Whether it is the Keylime attestor, whatever it is called here.
    fn is_keylime(&self, command: &str) -> bool {
        self.kind == "NodeAttestor" && (self.name.contains("keylime") || command.contains("keylime"))
    }
}

/// Reads every plugin that is switched on.
pub(super) fn read(reading: &mut Reading<'_>, body: &Body) {
    let mut there: Vec<(String, String, u32)> = Vec::new();
    let kinds = known::kinds(reading.side);
    let mut strangers = 0;
    for item in body.bodies("plugins").flat_map(|(plugins, _)| &plugins.items) {
        let kind = kinds.iter().find(|kind| **kind == item.key).map_or(item.key.as_str(), |kind| *kind);
        if !kinds.contains(&kind) {
            strangers += 1;
            if strangers <= UNKNOWN {
                unknown_kind(reading, item, kinds);
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
                there.push((kind.to_owned(), block.key.clone(), block.line));
                one(reading, kind, block, inner);
            }
        }
    }
    if body.bodies("plugins").next().is_some() {
        complete(reading, &there, body);
    }
}

fn unknown_kind(reading: &mut Reading<'_>, item: &Item, kinds: &[&str]) {
    let spot = reading.spot(item.line);
    let meant = crate::audit::meant::option(&item.key, kinds);
    let expected = meant.map_or_else(|| kinds.join(", "), str::to_owned);
    let draft = reading.draft(&lints::KIND_UNKNOWN, &spot, &item.key).expected(expected).found(item.key.clone());
    reading.add(draft);
}

fn one(reading: &mut Reading<'_>, kind: &str, block: &Item, body: &Body) {
    let target = format!("{} {kind} {}", reading.side.name(), block.key);
    let mut plugin = Plugin {
        kind: kind.to_owned(),
        name: block.key.clone(),
        line: block.line,
        data: Body::default(),
        file: reading.file.clone(),
        data_line: block.line,
        from_file: false,
        target,
    };
    let keys: Vec<&str> = known::BLOCK.split_whitespace().collect();
    let strangers = body.items.iter().filter(|item| !keys.iter().any(|key| key.eq_ignore_ascii_case(&item.key)));
    for item in strangers.take(UNKNOWN) {
        let meant = known::meant(&item.key, &keys);
        let draft = plugin.block_draft(reading, &lints::BLOCK_KEY, item.line, &item.key).found(item.key.clone());
        let severity = if meant.is_some() { Severity::High } else { Severity::Medium };
        let words = if meant.is_some_and(|meant| meant.starts_with("plugin_data")) {
            "so the plugin runs without its data"
        } else {
            "it has no effect"
        };
        reading.add(draft.severity(severity).expected(meant.unwrap_or("a key of a plugin block")).evidence(words));
    }
    data(reading, &mut plugin, body);
    let command = body.text("plugin_cmd").map(|(text, _)| text).unwrap_or_default();
    binary(reading, &plugin, body, &command);
    let own = if plugin.is_keylime(&command) { "keylime".to_owned() } else { plugin.name.clone() };
    options(reading, &plugin, &own, &plugin.data, &mut Vec::new());
    match (plugin.kind.as_str(), own.as_str()) {
        ("NodeAttestor", "keylime") => keylime::read(reading, &plugin),
        ("NodeAttestor", _) => attestors::read(reading, &plugin),
        ("UpstreamAuthority", _) => upstream::read(reading, &plugin),
        ("KeyManager", _) => disk::key_manager(reading, &plugin),
        _ => {}
    }
}

impl Plugin {
    fn block_draft(&self, reading: &Reading<'_>, lint: &'static Lint, line: u32, key: &str) -> Draft {
        let spot = Spot { name: self.target.clone(), file: reading.file.clone(), line };
        reading.draft(lint, &spot, key)
    }
}

/// `plugin_data`, or what its file holds.
fn data(reading: &mut Reading<'_>, plugin: &mut Plugin, body: &Body) {
    let inline = body.bodies("plugin_data").last();
    if let Some((data, line)) = inline {
        plugin.data = data.clone();
        plugin.data_line = line;
    }
    let Some((name, line)) = body.text("plugin_data_file").filter(|(name, _)| !name.trim().is_empty()) else { return };
    if inline.is_some() {
        let draft = plugin.block_draft(reading, &lints::DATA_TWICE, line, "plugin_data_file");
        reading.add(draft.expected("plugin_data or plugin_data_file").found("both"));
    }
    let path = reading.path(&name);
    if !name.trim().starts_with('/') {
        let draft = plugin.block_draft(reading, &lints::DATA_RELATIVE, line, "plugin_data_file");
        reading.add(draft.expected("an absolute path").found(name));
    }
    match reading.view.text(&path) {
        Ok(text) if text.len() > DATA => {
            let target = Target::new("spire", plugin.target.clone());
            let found = format!("{} bytes", text.len());
            input::malformed(reading.sheet, target, Place::file(&path), "the options of one plugin", &found);
        }
        Ok(text) => {
            let (data, fault) = hcl::parse(&text);
            if let Some(fault) = fault {
                let target = Target::new("spire", plugin.target.clone());
                input::malformed(reading.sheet, target, Place::line(&path, fault.line), fault.expected, &fault.found);
            }
            reading.wiring.files.push(path.clone());
            plugin.data = data;
            plugin.data_line = 1;
            plugin.file = path;
            plugin.from_file = true;
        }
        Err(error) if error.is_absent() => {
            if reading.is_missing(&path) {
                let draft = plugin.block_draft(reading, &lints::DATA_ABSENT, line, "plugin_data_file");
                reading.add(draft.expected("a file with the plugin's data").found(format!("{} does not exist", path.display())));
            }
        }
        Err(error) => input::unreadable(reading.sheet, Target::new("spire", plugin.target.clone()), Place::file(&path), &error),
    }
}

/// What an external plugin runs.
fn binary(reading: &mut Reading<'_>, plugin: &Plugin, body: &Body, command: &str) {
    let Some((_, line)) = body.text("plugin_cmd").filter(|(text, _)| !text.trim().is_empty()) else {
        let built_in = known::built_in(reading.side, &plugin.kind);
        let meant = known::meant(&plugin.name, built_in).filter(|_| !built_in.contains(&plugin.name.as_str()));
        let stranger = plugin.name.contains("keylime") && plugin.kind == "NodeAttestor";
        if meant.is_some() || stranger {
            let draft = plugin.block_draft(reading, &lints::PLUGIN_UNKNOWN, plugin.line, "plugin_cmd");
            reading.add(
                draft.expected(meant.unwrap_or("plugin_cmd")).found(format!("{} \"{}\" without plugin_cmd", plugin.kind, plugin.name)),
            );
        }
        return;
    };
    let path = reading.path(command);
    if reading.is_missing(&path) {
        // A copy of a host has its configuration first of all, and seldom its binaries.
        let severity = if reading.view.is_elsewhere() { Severity::Medium } else { Severity::High };
        let draft = plugin.block_draft(reading, &lints::BINARY_ABSENT, line, "plugin_cmd").severity(severity);
        reading.add(draft.expected("the plugin's binary").found(format!("{} does not exist", path.display())));
    }
    if reading.view.meta(&path).is_ok_and(|meta| meta.mode & 0o002 != 0) {
        let draft = plugin.block_draft(reading, &lints::BINARY_WRITABLE, line, "plugin_cmd");
        reading.add(draft.file(Place::file(&path)).expected("0755").found(format!("{} may be written by everybody", path.display())));
    }
    let sum = body.text("plugin_checksum").filter(|(sum, _)| !sum.trim().is_empty());
    let Some((sum, line)) = sum else {
        let draft = plugin.block_draft(reading, &lints::CHECKSUM_ABSENT, line, "plugin_checksum");
        reading.add(draft.expected("plugin_checksum").found("none"));
        return;
    };
    let real = reading.view.bytes(&path).ok().map(|bytes| hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes).as_ref()));
    let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_sum || real.as_ref().is_some_and(|real| !real.eq_ignore_ascii_case(&sum)) {
        let draft = plugin.block_draft(reading, &lints::CHECKSUM_WRONG, line, "plugin_checksum").found(sum);
        reading.add(draft.expected(real.unwrap_or_else(|| "64 hexadecimal digits".to_owned())));
    }
}

/// Options that the plugin drops without a word.
fn options(reading: &mut Reading<'_>, plugin: &Plugin, name: &str, body: &Body, path: &mut Vec<String>) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(table) = known::data(reading.side, &plugin.kind, name, &names) else { return };
    let table: Vec<&str> = table.split_whitespace().collect();
    let mut strangers = 0;
    for item in &body.items {
        if let Some(key) = table.iter().find(|key| key.eq_ignore_ascii_case(&item.key)) {
            path.push((*key).to_owned());
            for inner in item.value.bodies() {
                options(reading, plugin, name, inner, path);
            }
            path.pop();
            continue;
        }
        strangers += 1;
        if strangers > UNKNOWN {
            return;
        }
        let draft = reading.draft(&lints::OPTION_UNKNOWN, &plugin.at(item.line), &item.key).found(item.key.clone());
        let Some(meant) = known::meant(&item.key, &table) else {
            let expected = if table.is_empty() { "no options".to_owned() } else { format!("one of {}", table.join(", ")) };
            reading.add(draft.expected(expected).evidence("the plugin does not know it, and says nothing"));
            continue;
        };
        let is_set = body.get(meant).is_some();
        let draft = draft.expected(meant).severity(if is_set { Severity::Low } else { Severity::High });
        let draft = keylime::consequence(draft, name, meant, is_set);
        reading.add(draft.remedy(format!("rename {} to {meant}; spire-server validate does not see it", item.key)));
    }
}

/// What SPIRE demands of the set (catalog constraints).
fn complete(reading: &mut Reading<'_>, there: &[(String, String, u32)], body: &Body) {
    let line = body.get("plugins").map_or(1, |item| item.line);
    let demands: &[(&str, bool)] = match reading.side {
        Side::Server => &[("DataStore", true), ("KeyManager", true)],
        Side::Agent => &[("KeyManager", true), ("NodeAttestor", true), ("WorkloadAttestor", false)],
    };
    for (kind, only) in demands {
        let found: Vec<&(String, String, u32)> = there.iter().filter(|(there, ..)| there == kind).collect();
        let spot = reading.spot(found.last().map_or(line, |(_, _, line)| *line));
        if found.is_empty() || (*only && found.len() > 1) {
            let names = found.iter().map(|(_, name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            let draft =
                reading.draft(&lints::PLUGIN_MISSING, &spot, kind).expected(format!("{} {kind}", if *only { "exactly one" } else { "a" }));
            reading.add(draft.found(if found.is_empty() { "none".to_owned() } else { names }));
        }
    }
}
