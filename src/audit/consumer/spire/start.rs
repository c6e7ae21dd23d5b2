//! What the command line adds to a configuration: options that come before the file's own, and variables put in by `-expandEnv`
//! (`spire-server run -help`). Where no unit says how SPIRE is started, variables in the file are left alone and nothing is said of them.

use std::path::Path;

use super::reader::Side;
use super::side;
use crate::audit::facts::hcl::{self, Body, HclError, Item, Value};
use crate::audit::facts::started::Started;

/// An option of the command line, and the key of the file that it stands for.
struct Flag {
    option: &'static str,
    key: &'static str,
}

const fn flag(option: &'static str, key: &'static str) -> Flag {
    Flag { option, key }
}

const SERVER: &[Flag] = &[
    flag("bindAddress", "bind_address"),
    flag("dataDir", "data_dir"),
    flag("serverPort", "bind_port"),
    flag("socketPath", "socket_path"),
    flag("trustDomain", "trust_domain"),
];
const AGENT: &[Flag] = &[
    flag("dataDir", "data_dir"),
    flag("joinToken", "join_token"),
    flag("joinTokenFile", "join_token_file"),
    flag("serverAddress", "server_address"),
    flag("serverPort", "server_port"),
    flag("socketPath", "socket_path"),
    flag("trustBundle", "trust_bundle_path"),
    flag("trustBundleUrl", "trust_bundle_url"),
    flag("trustDomain", "trust_domain"),
];

/// A file as SPIRE reads it.
pub(super) fn parse(text: &str, file: &Path, started: &[Started]) -> (Body, Option<HclError>) {
    let (raw, fault) = hcl::parse(text);
    let Some(side) = side(&raw) else { return (raw, fault) };
    let Some(start) = of(started, file, side) else {
        // Whether its variables are put in is not known.
        return if text.contains('$') { hcl::parse(&quoted(text)) } else { (raw, fault) };
    };
    let (mut body, fault) = if start.has("expandEnv") { hcl::parse(&start.expand(text)) } else { (raw, fault) };
    options(&mut body, start, side);
    (body, fault)
}

/// The command that reads this file.
fn of<'a>(started: &'a [Started], file: &Path, side: Side) -> Option<&'a Started> {
    let program = format!("spire-{}", side.name());
    let own: Vec<&Started> = started.iter().filter(|start| start.program == program).collect();
    let named = own.iter().find(|start| start.option("config").is_some_and(|config| Path::new(config) == file));
    match own.as_slice() {
        _ if named.is_some() => named.copied(),
        [only] if only.option("config").is_none_or(|config| !config.starts_with('/')) => Some(only),
        _ => None,
    }
}

/// What the command line says comes before what the file says.
fn options(body: &mut Body, start: &Started, side: Side) {
    let flags = if side == Side::Server { SERVER } else { AGENT };
    let Some(section) = body.items.iter_mut().rev().find(|item| item.key.eq_ignore_ascii_case(side.name())) else { return };
    let line = section.line;
    let Value::Body(section) = &mut section.value else { return };
    for flag in flags {
        if let Some(value) = start.option(flag.option) {
            section.items.push(Item { key: flag.key.to_owned(), line, value: Value::Text(start.expand(value)) });
        }
    }
    if side == Side::Agent && start.has("insecureBootstrap") {
        section.items.push(Item { key: "insecure_bootstrap".to_owned(), line, value: Value::Bool(true) });
    }
}

/// Variables that stand for a whole value are put in quotes.
fn quoted(text: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, value)) if value.trim().starts_with('$') && !value.contains('"') => format!("{key}= \"{}\"", value.trim()),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether a value is a variable that nobody put in.
pub(super) fn is_variable(value: &str) -> bool {
    value.contains("${") || value.trim().starts_with('$')
}
