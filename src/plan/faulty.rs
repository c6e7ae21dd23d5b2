//! Certificates whose settings are wrong: which there are, and what a report says of them. Only reads.

use std::path::Path;

use super::generation::certificates;
use super::inventory;
use super::trust::Trusted;
use crate::config::settings::{Faulty, Paths, Remains, Settings};
use crate::io::dir::Dir;
use crate::model::anchor::Anchor;
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::report::SettingsError;

/// Those that the settings name, and, while nobody can make out all names, those too that lie in the state directory and that nothing names:
/// the file that cannot be read may be theirs.
#[must_use]
pub fn on_disk(settings: &Settings) -> Vec<Faulty> {
    let mut all = settings.faults.certificates.clone();
    let Some(hidden) = &settings.faults.hidden else { return all };
    let state = Dir::open(&settings.paths.state).ok().flatten();
    let certs = state.and_then(|state| state.child(layout::CERTS).ok().flatten());
    let unnamed = certs.map(|certs| inventory::unnamed(&certs, settings).unwrap_or_default()).unwrap_or_default();
    all.extend(unnamed.iter().filter_map(|name| CertName::parse(name).ok()).map(|name| of_unknown(name, hidden)));
    all
}

/// All that is committed in the state directory, where the settings cannot be used at all.
#[must_use]
pub fn committed(remains: &Remains, paths: &Paths) -> Vec<Faulty> {
    let Some(error) = remains.errors.first() else { return Vec::new() };
    let state = Dir::open(&paths.state).ok().flatten();
    let Some(certs) = state.and_then(|state| state.child(layout::CERTS).ok().flatten()) else { return Vec::new() };
    let names = certs.names().unwrap_or_default().into_iter().filter_map(|name| CertName::parse(&name).ok());
    let is_committed = |name: &CertName| matches!(certs.kind(&format!("{name}/{}", layout::LIVE)), Ok(Some(_)));
    names.filter(is_committed).map(|name| Faulty { name, renamed_from: None, error: error.clone() }).collect()
}

/// The roots that the last run kept in the state directory, the first one first.
#[must_use]
pub fn kept_anchors(state: &Path) -> Vec<Anchor> {
    let content = Dir::open(state).ok().flatten().and_then(|state| state.read(layout::ANCHOR).ok().flatten());
    content.map(|content| certificates(&content.bytes).into_iter().map(Anchor::new).collect()).unwrap_or_default()
}

/// What consumers are to trust where the settings cannot be used: the roots that can be made out, and what is committed.
#[must_use]
pub fn trusted(remains: &Remains, paths: &Paths, faulty: &[Faulty]) -> Trusted {
    let roots = if remains.anchors.is_empty() { kept_anchors(&paths.state) } else { remains.anchors.clone() };
    let certs = Dir::open(&paths.state).ok().flatten().and_then(|state| state.child(layout::CERTS).ok().flatten());
    let trusted = Trusted::new(roots, certs.as_ref(), faulty.iter().map(|faulty| &faulty.name));
    match Dir::open(&paths.state) {
        Ok(Some(state)) => trusted.with_every_list(&state),
        _ => trusted,
    }
}

/// The certificate may be what the broken file names.
fn of_unknown(name: CertName, hidden: &SettingsError) -> Faulty {
    let text = format!("nothing that can be read names {name}, and this file cannot be read as a whole: {}", hidden.text);
    Faulty { name, renamed_from: None, error: SettingsError { text, ..hidden.clone() } }
}
