//! Where some things are written in the settings, for what is found to be wrong with them once they are used.

use super::files::Merged;
use super::tree::{Node, Place, Value};

/// The places. What is not written has that of the table above it.
#[derive(Clone, Debug)]
pub struct Written {
    /// `openbao.mount`.
    pub mount: Place,
    /// `openbao.address`, or `addresses`.
    pub address: Place,
    /// `openbao.login`.
    pub login: Place,
    /// Each of its entries.
    pub logins: Vec<Place>,
    /// `paths.state`.
    pub state: Place,
    /// `paths.run`.
    pub run: Place,
    /// `metrics.textfile`.
    pub textfile: Place,
}

impl Written {
    pub(super) fn of(merged: &Merged) -> Self {
        let place = |table: &str, keys: &[&str]| {
            let above = merged.entries.iter().find(|entry| entry.key == table).map(|entry| &entry.node);
            let node = above.map(|above| keys.iter().find_map(|key| below(above, key)).unwrap_or(above));
            node.map_or_else(|| merged.start.clone(), |node| node.place.clone())
        };
        let openbao = merged.entries.iter().find(|entry| entry.key == "openbao");
        let logins = match openbao.and_then(|entry| below(&entry.node, "login")).map(|login| &login.value) {
            Some(Value::Array(logins)) => logins.iter().map(|login| login.place.clone()).collect(),
            _ => Vec::new(),
        };
        Self {
            mount: place("openbao", &["mount"]),
            address: place("openbao", &["address", "addresses"]),
            login: place("openbao", &["login"]),
            logins,
            state: place("paths", &["state"]),
            run: place("paths", &["run"]),
            textfile: place("metrics", &["textfile"]),
        }
    }
}

fn below<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Table(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
}
