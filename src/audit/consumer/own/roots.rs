//! The roots that the settings of a host pin, against the files that lie there: the pin is what a person compared, the file is what anybody
//! may have exchanged. It must never give a root that is not pinned.

use std::path::Path;

use toml::{Table, Value};

use super::lints;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::unread;
use crate::config::shape::FILL_IN;
use crate::io::look::View;
use crate::judge::lint::Findings;
use crate::judge::pem;
use crate::model::anchor::Fingerprint;
use crate::model::audit::{Location, Target};

/// The certificates of a PEM text.
pub(super) fn ders(text: &str) -> Vec<Vec<u8>> {
    pem::read(text, &mut Findings::new(&std::collections::BTreeMap::new()))
}

/// DER of every pinned root that lies there, and what is wrong with those that do; `file` is that of the settings. What does not lie there
/// may have been left out of a copy.
pub(super) fn pinned(view: &View, main: &Table, file: &Path, findings: &mut HostFindings) -> Vec<Vec<u8>> {
    let trust = main.get("trust").and_then(Value::as_table);
    let also = trust.and_then(|trust| trust.get("also")?.as_array()).into_iter().flatten().filter_map(Value::as_table);
    let text = |table: &Table, key: &str| table.get(key)?.as_str().map(str::to_owned);
    let all = trust.into_iter().chain(also).filter_map(|table| Some((text(table, "anchor")?, text(table, "anchor_sha256")?)));
    let roots: Vec<Root> = all.map(|(anchor, pin)| Root { settings: file, anchor, pin }).collect();
    roots.iter().filter_map(|root| root.read(view, findings)).collect()
}

/// A root as the settings name it.
struct Root<'a> {
    settings: &'a Path,
    anchor: String,
    pin: String,
}

impl Root<'_> {
    /// The pinned one, if its file holds it.
    fn read(&self, view: &View, findings: &mut HostFindings) -> Option<Vec<u8>> {
        let Some(pin) = Fingerprint::parse(&self.pin) else {
            // What is still to be filled in is said already.
            if !self.pin.starts_with(FILL_IN) {
                let draft = NewFinding::at(&lints::SETTINGS, self.target(), Location::file(self.settings));
                findings.add(draft.expected("anchor_sha256 of 64 hexadecimal digits").found(self.pin.clone()));
            }
            return None;
        };
        let location = || Location::file(&self.anchor);
        let held = match view.text(Path::new(&self.anchor)) {
            Ok(text) => ders(&text),
            Err(error) => {
                if !error.is_absent() {
                    unread::unreadable(findings, self.target(), location(), &error);
                }
                return None;
            }
        };
        if let Some(root) = held.iter().find(|der| pin.is_of(der)) {
            return Some(root.clone());
        }
        match held.first() {
            Some(first) => {
                let draft = NewFinding::at(&lints::SETTINGS, self.target(), location()).file(Location::file(self.settings));
                let draft = draft.expected(pin.to_string()).found(Fingerprint::of(first).to_string());
                findings.add(draft.remedy(
                    "find out where the root was made which is right: put the right root into the file, or its SHA-256 into the settings",
                ));
            }
            None => unread::malformed(findings, self.target(), location(), "a certificate", "none"),
        }
        None
    }

    fn target(&self) -> Target {
        Target::new("settings", self.settings.display().to_string())
    }
}
