//! Plugins of SPIRE that read a pair, as the settings of their driver have them: the driver's file takes the place of their data.

use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::{Table, Value as Toml};

use super::material::{self, Material};
use super::{Look, Root};
use crate::audit::facts::hcl::{Body, Value};
use crate::audit::facts::plugged::Plugged;
use crate::audit::facts::program::Program;
use crate::io::look::View;

/// Words in the names of options that hold what must not be repeated.
const SECRET: [&str; 3] = ["password", "secret", "token"];

/// A plugin as `plugin = { … }` of its driver.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plugin {
    /// What SPIRE calls its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The option that names the certificate.
    pub cert: &'static str,
    /// The option that names the key.
    pub key: &'static str,
    /// The option that names the roots, where those are the anchor of the settings and nothing else.
    pub ca: Option<&'static str>,
    /// Its other options.
    pub data: Table,
    /// Options that hold a secret, which are not repeated.
    pub secrets: Vec<String>,
    /// The file that SPIRE logs to.
    pub log: Option<PathBuf>,
    /// Where its block begins.
    pub file: String,
    /// The line.
    pub line: Option<u32>,
    /// Whether its data lie in a file of their own already.
    pub from_file: bool,
}

/// Those of a program that read this pair.
pub(super) fn of(look: &Look<'_>, pair: &Material, program: &Program) -> Vec<Plugin> {
    let wiring = &look.told.wiring;
    let reads = |plugged: &&Plugged| {
        pair.indexes.contains(&plugged.pair) && wiring.pairs.get(plugged.pair).is_some_and(|pair| pair.consumer.program == program)
    };
    wiring.plugged.iter().filter(reads).map(|plugged| one(look, plugged)).collect()
}

fn one(look: &Look<'_>, plugged: &Plugged) -> Plugin {
    let options = plugged.options;
    let mut secrets = Vec::new();
    let mut data = table(&plugged.data, &mut secrets);
    let knows = |option: &&str| {
        let file = at(&data, option).and_then(Toml::as_str);
        file.is_some_and(|file| look.anchor.is_some_and(|anchor| is_only_root(look.view, Path::new(file), anchor)))
    };
    let ca = options.ca.filter(knows);
    for option in [Some(options.cert), Some(options.key), ca, options.chain].into_iter().flatten() {
        remove(&mut data, option);
    }
    Plugin {
        kind: plugged.kind.clone(),
        name: plugged.name.clone(),
        cert: options.cert,
        key: options.key,
        ca,
        data,
        secrets,
        log: plugged.log.clone(),
        file: plugged.block.path.clone(),
        line: plugged.block.line,
        from_file: plugged.from_file,
    }
}

/// Whether a file holds this root and no other: then the driver's own list says the same.
fn is_only_root(view: &View, file: &Path, root: &Root) -> bool {
    let found = material::certificates(view, file);
    let mut roots = found.iter().filter(|facts| facts.self_issued()).peekable();
    roots.peek().is_some() && roots.all(|facts| facts.sha256.to_string() == root.sha256)
}

/// The options of a body; of one that is set twice the last counts, blocks of one name become one.
fn table(body: &Body, secrets: &mut Vec<String>) -> Table {
    let mut all = Table::new();
    for item in &body.items {
        let lower = item.key.to_ascii_lowercase();
        if item.value.text().is_some_and(|text| !text.is_empty())
            && SECRET.iter().any(|word| lower.contains(word))
            && !lower.ends_with("path")
        {
            secrets.push(item.key.clone());
            continue;
        }
        let Some(value) = value(&item.value, secrets) else { continue };
        let key = all.keys().find(|key| key.eq_ignore_ascii_case(&item.key)).cloned().unwrap_or_else(|| item.key.clone());
        match (all.get_mut(&key), value) {
            (Some(Toml::Table(known)), Toml::Table(more)) => known.extend(more),
            (_, value) => drop(all.insert(key, value)),
        }
    }
    all
}

fn value(value: &Value, secrets: &mut Vec<String>) -> Option<Toml> {
    Some(match value {
        Value::Text(text) => Toml::String(text.clone()),
        Value::Number(text) => {
            let number = text.parse().map(Toml::Integer).ok();
            number.or_else(|| text.parse().map(Toml::Float).ok()).unwrap_or_else(|| Toml::String(text.clone()))
        }
        Value::Bool(flag) => Toml::Boolean(*flag),
        Value::Null => return None,
        Value::List(list) => Toml::Array(list.iter().filter_map(|one| self::value(one, secrets)).collect()),
        Value::Body(body) => Toml::Table(table(body, secrets)),
    })
}

/// An option, inside of the blocks that its dots lead through; SPIRE does not look at the case of letters.
fn at<'a>(all: &'a Table, option: &str) -> Option<&'a Toml> {
    let (first, rest) = option.split_once('.').map_or((option, None), |(first, rest)| (first, Some(rest)));
    let found = all.iter().find(|(key, _)| key.eq_ignore_ascii_case(first)).map(|(_, value)| value)?;
    rest.map_or(Some(found), |rest| at(found.as_table()?, rest))
}

fn remove(all: &mut Table, option: &str) {
    let (first, rest) = option.split_once('.').map_or((option, None), |(first, rest)| (first, Some(rest)));
    let Some(key) = all.keys().find(|key| key.eq_ignore_ascii_case(first)).cloned() else { return };
    match (rest, all.get_mut(&key)) {
        (Some(rest), Some(Toml::Table(inner))) => {
            remove(inner, rest);
            if inner.is_empty() {
                all.remove(&key);
            }
        }
        (None, _) => drop(all.remove(&key)),
        (Some(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::facts::hcl;

    #[test]
    fn what_the_driver_puts_there_itself_goes_and_secrets_stay_where_they_are() {
        let text = "vault_addr = \"https://b:8200\"\nretries = 3\nlist = [\"a\", 1.5, true]\ntoken = \"hunter2\"\ntoken_file_path = \"/t\"\n\
                    cert_auth { Client_Cert_Path = \"/a\" client_key_path = \"/b\" }\nother { secret_id = \"hunter3\" role = \"r\" }\n";
        let mut secrets = Vec::new();
        let mut data = table(&hcl::parse(text).0, &mut secrets);
        assert_eq!(at(&data, "cert_auth.client_cert_path").and_then(Toml::as_str), Some("/a"));
        remove(&mut data, "cert_auth.client_cert_path");
        remove(&mut data, "cert_auth.client_key_path");
        remove(&mut data, "no.such");
        assert_eq!(secrets, ["token", "secret_id"]);
        let expected =
            "list = [\"a\", 1.5, true]\nretries = 3\ntoken_file_path = \"/t\"\nvault_addr = \"https://b:8200\"\n\n[other]\nrole = \"r\"\n";
        assert_eq!(data, expected.parse::<Table>().unwrap());
    }
}
