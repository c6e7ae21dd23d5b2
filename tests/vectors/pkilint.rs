//! What pkilint finds in the certificates of zlint's tests, and which of its findings are ours too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/pkilint.toml");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/by_pkilint.py");

/// Which certificates a rule is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Among {
    /// Every one, judged as a leaf.
    #[default]
    All,
    /// Those without CA:TRUE.
    Leaves,
    /// Those with it, judged as intermediates.
    Authorities,
}

/// Findings of theirs that are one of ours.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) codes: Vec<String>,
    /// What must be in the place of theirs, where a code is for more than this rule.
    #[serde(default)]
    pub(crate) at: String,
    pub(crate) ours: Vec<String>,
    /// What must be in what we found, where an id is for more than this rule.
    #[serde(default)]
    pub(crate) found: String,
    #[serde(default)]
    pub(crate) among: Among,
    /// Files that only one of us finds wanting, and why that is right or can be borne.
    #[serde(default)]
    pub(crate) differs: BTreeMap<String, String>,
}

/// `fixtures/pkilint.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// The version that the table was made with.
    pub(crate) made_with: String,
    pub(crate) rule: Vec<Rule>,
}

impl Table {
    pub(crate) fn read() -> Self {
        toml::from_str(&std::fs::read_to_string(TABLE).expect("the table")).expect("a table")
    }
}

/// Where `./run test` installs it.
pub(crate) fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/pkilint")
}

/// Codes with their places in the certificate.
type Found = BTreeSet<(String, String)>;

/// What it finds by file, of those that it reads to their ends; `None` where it is not installed.
pub(crate) fn findings(top: &Path) -> Option<BTreeMap<String, Found>> {
    let python = place().join("bin/python");
    if !python.exists() || !place().join("version").exists() {
        return None;
    }
    let output = Command::new(python).arg("-B").arg(SCRIPT).arg(top).output().expect("python runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pkilint: {words}");
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    let mut unread = BTreeSet::new();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let mut parts = line.split('\t');
        let file = parts.next().expect("a file").to_owned();
        let found = all.entry(file.clone()).or_default();
        match (parts.next(), parts.next()) {
            (Some("unread"), _) => drop(unread.insert(file)),
            (Some(code), Some(place)) => drop(found.insert((code.to_owned(), place.to_owned()))),
            _ => {}
        }
    }
    all.retain(|file, _| !unread.contains(file));
    Some(all)
}
