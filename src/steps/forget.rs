//! `forget NAME`: a person's word that what is left of a certificate, which the settings no longer name, may go: its keys, its generations
//! and its state. Consumers' own files are not touched, and nothing is asked of a CA.

use std::time::Duration;

use super::commit::wipe_keys;
use super::key::Stores;
use super::run::{Begun, Command, Run, line};
use super::swap::disk_failure;
use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write;
use crate::model::clock::Clock;
use crate::model::entry::{Entry, Outcome};
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::report::{CertReport, Report};
use crate::plan::unnamed::Unnamed;

/// Removes what is left of one certificate that the settings do not name; that they do not, the caller has seen to.
#[must_use]
pub fn forget(settings: &Settings, name: &CertName, wait: Duration, clock: Clock) -> Report {
    let run = match Run::begin(Command::Forget, settings, wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let report = CertReport::new(name.clone(), Outcome::Forgotten);
    let report = match remove(settings, name, &run) {
        Ok(found) => CertReport { removed: found.goes, left_alone: found.stays, ..report },
        // Its state is not written to: that would bring back what was just removed.
        Err(failure) => run.failed_unnoted(report, failure),
    };
    run.end(vec![report])
}

fn remove(settings: &Settings, name: &CertName, run: &Run) -> Result<Unnamed, Failure> {
    let disk = |why: DiskError| disk_failure(Stage::Commit, &why);
    let gone = || Unnamed { name: name.clone(), live: None, facts: None, goes: Vec::new(), stays: Vec::new() };
    let found = Unnamed::look(&settings.paths, name).map_err(disk)?.unwrap_or_else(gone);
    if let Some(published) = Dir::open(&settings.paths.run).map_err(disk)? {
        remove_tree(&published, name, || {}).map_err(disk)?;
    }
    let told = || {
        let line = line("", name, Stage::Commit, Outcome::Forgotten, run.clock().now());
        let facts = found.facts.as_ref();
        let (serial, sha256) = (facts.map(|facts| facts.serial.clone()), facts.map(|facts| facts.sha256.clone()));
        run.forgotten(Entry { generation: found.live, serial, sha256, ..line });
    };
    let Some(certs) = run.state().child(layout::CERTS).map_err(disk)? else {
        told();
        return Ok(found);
    };
    remove_tree(&certs, name, told).map_err(disk)?;
    // A sealing key that only these generations needed goes as well.
    for store in Stores::of(settings, None).all() {
        if let Err(why) = store.collect() {
            tracing::warn!(%why, "a sealing key that nothing needs was not removed");
        }
    }
    Ok(found)
}

/// Removes `NAME` of one tree. The directory itself goes last, and `before_last` before it: after a kill in between, `status` still names
/// what is left, and the command can be repeated.
fn remove_tree(parent: &Dir, name: &CertName, before_last: impl FnOnce()) -> Result<(), DiskError> {
    let dir = if parent.kind(name.as_str())? == Some(Kind::Directory) { parent.child(name.as_str())? } else { None };
    if let Some(dir) = dir {
        let mut names = dir.names()?;
        // Keys first, whatever becomes of the rest; then generations, and what tells of them last.
        names.sort_by_key(|name| (Generation::parse(name).is_none(), name.clone()));
        for generation in &names {
            if dir.kind(generation)? == Some(Kind::Directory)
                && let Some(files) = dir.child(generation)?
            {
                wipe_keys(&files)?;
            }
        }
        for entry in &names {
            write::remove(&dir, entry)?;
        }
        write::sync(&dir)?;
    }
    before_last();
    // A link that somebody put in its place goes as well, and what it leads to stays.
    if parent.kind(name.as_str())?.is_some() {
        write::remove(parent, name.as_str())?;
        write::sync(parent)?;
    }
    Ok(())
}
