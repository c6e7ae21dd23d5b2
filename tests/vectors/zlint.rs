//! The certificates of zlint's own tests, and which of its lints are rules of ours too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where `./run test` puts `testdata` and `lints` of the module.
const CACHE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab/zlint");
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/zlint.toml");

/// The data, by `OMENS_ZLINT` or where `./run test` puts it.
pub(crate) fn data() -> PathBuf {
    std::env::var_os("OMENS_ZLINT").map_or_else(|| PathBuf::from(CACHE), PathBuf::from)
}

/// What a certificate is judged as: rules differ.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// A server's.
    #[default]
    Leaf,
    /// An intermediate above a leaf.
    Authority,
    /// What is trusted.
    Root,
}

/// One of their lints that is a rule of ours.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) lint: String,
    /// Ids of ours; any of them will do.
    pub(crate) ours: Vec<String>,
    /// What must be in what we found, where the id is for more than this rule.
    #[serde(default)]
    pub(crate) found: String,
    #[serde(default)]
    pub(crate) place: Place,
    /// Files that their lint finds wanting, and those that it passes, as their tests have them.
    #[serde(default)]
    pub(crate) shows: BTreeSet<String>,
    #[serde(default)]
    pub(crate) passes: BTreeSet<String>,
    /// Those of the above of which we say the opposite, and why that is right or can be borne.
    #[serde(default)]
    pub(crate) differs: BTreeMap<String, String>,
}

/// Lints of theirs that are no rules of ours.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotOurs {
    pub(crate) lints: BTreeSet<String>,
    pub(crate) why: String,
}

/// `fixtures/zlint.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// The version of the module that the table was made with.
    pub(crate) made_with: String,
    /// Files that we call no certificate, and why.
    pub(crate) malformed: BTreeMap<String, String>,
    pub(crate) rule: Vec<Rule>,
    pub(crate) not_ours: Vec<NotOurs>,
}

impl Table {
    pub(crate) fn read() -> Self {
        toml::from_str(&std::fs::read_to_string(TABLE).expect("the table")).expect("a table")
    }
}

/// Every file of their test data with its name below it; `None` where the data is not there.
pub(crate) fn files() -> Option<Vec<(String, Vec<u8>)>> {
    let (top, mut all) = (data().join("testdata"), Vec::new());
    if !top.is_dir() {
        return None;
    }
    collect(&top, "", &mut all);
    all.sort();
    Some(all)
}

fn collect(directory: &Path, prefix: &str, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = format!("{prefix}{}", path.file_name().and_then(|name| name.to_str()).expect("a name"));
        if path.is_dir() {
            collect(&path, &format!("{name}/"), into);
        } else {
            into.push((name, std::fs::read(&path).expect("a file")));
        }
    }
}

/// The names of their lints of one source, such as `rfc`, of whatever they judge.
pub(crate) fn lints(source: &str) -> BTreeSet<String> {
    let mut sources = Vec::new();
    collect(&data().join("lints").join(source), "", &mut sources);
    let is_source = |(name, _): &&(String, Vec<u8>)| name.ends_with(".go") && !name.ends_with("_test.go");
    let texts = sources.iter().filter(is_source).map(|(_, bytes)| String::from_utf8_lossy(bytes));
    let name = |line: &str| line.trim().strip_prefix("Name:")?.trim().strip_prefix('"')?.split_once('"').map(|(name, _)| name.to_owned());
    texts.flat_map(|text| text.lines().filter_map(name).collect::<Vec<_>>()).collect()
}
