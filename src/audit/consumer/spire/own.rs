//! SPIRE's own sections: keys that end it, and keys it cannot do without.

use super::known;
use super::reader::{Side, SpireReader};
use super::{lints, start};
use crate::audit::facts::hcl::{Body, Item, Value};
use crate::model::finding::Severity;

/// SPIRE ends at a key that it does not know ([Unknown options](crate::audit#unknown-options)); telemetry and plugins are let pass.
pub(super) fn keys(reader: &mut SpireReader<'_>, body: &Body) {
    section(reader, body, &mut Vec::new(), &mut 0);
}

/// As many unknown keys of one file are told.
const UNKNOWN: usize = 50;

fn section(reader: &mut SpireReader<'_>, body: &Body, path: &mut Vec<String>, strangers: &mut usize) {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(known) = known::section(reader.side, &names) else { return };
    for item in &body.items {
        let Some(key) = known.iter().find(|key| key.eq_ignore_ascii_case(&item.key)) else {
            *strangers += 1;
            if *strangers <= UNKNOWN {
                unknown(reader, item, &known, path);
            }
            continue;
        };
        path.push((*key).to_owned());
        for inner in item.value.bodies() {
            section(reader, inner, path, strangers);
        }
        path.pop();
    }
}

fn unknown(reader: &mut SpireReader<'_>, item: &Item, known: &[&str], path: &[String]) {
    let spot = reader.spot(item.line);
    let meant = known::meant(&item.key, known);
    // A newer SPIRE may know a key that is not known here.
    let severity = if meant.is_some() { Severity::High } else { Severity::Medium };
    let inside = path.last().map_or_else(|| "the file".to_owned(), |section| format!("{section} {{ }}"));
    let draft = reader.draft(&lints::KEY_UNKNOWN, &spot, &item.key).severity(severity).found(format!("{} in {inside}", item.key));
    let other = if reader.side == Side::Server { "agent" } else { "server" };
    let draft = match meant {
        Some(meant) => draft.expected(meant),
        None if item.key == other => draft.expected("one of server { } and agent { }"),
        None => draft.expected(format!("a key of {inside}")),
    };
    let service = format!("spire-{}", reader.side.name());
    reader.add(draft.breaks(&service));
}

/// Says that a key is missing; gives its text and line where it is there.
pub(super) fn required(reader: &mut SpireReader<'_>, body: &Body, line: u32, key: &str) -> Option<(String, u32)> {
    let set = body.get(key).and_then(|item| Some((item.value.text()?, item.line))).filter(|(text, _)| !text.trim().is_empty());
    if set.is_none() {
        let spot = reader.spot(line);
        let draft = reader.draft(&lints::KEY_MISSING, &spot, key).expected(key).found("it is not set");
        let service = format!("spire-{}", reader.side.name());
        reader.add(draft.breaks(&service));
    }
    set
}

/// A port, written as a number or as text; what is none is said.
pub(super) fn port(reader: &mut SpireReader<'_>, body: &Body, key: &str, default: u16) -> u16 {
    let Some((text, line)) = body.text(key) else { return default };
    if start::is_variable(&text) {
        return default;
    }
    text.trim().parse().unwrap_or_else(|_| {
        let spot = reader.spot(line);
        let draft = reader.draft(&lints::VALUE_INVALID, &spot, key).expected("a port number").found(format!("{key} = {text}"));
        reader.add(draft);
        default
    })
}

/// Whether a key is `true`.
pub(super) fn flag(body: &Body, key: &str) -> bool {
    body.get(key).is_some_and(|item| match &item.value {
        Value::Bool(flag) => *flag,
        Value::Text(text) | Value::Number(text) => matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true"),
        _ => false,
    })
}
