//! Renewal scripts and cron tables: what they do with certificates, keys and tokens, and what of it goes wrong in silence. It must never run
//! one, nor take what it does not understand for a fault.

pub mod access;
mod answers;
pub(super) mod check;
mod cron;
mod keys;
pub mod lints;
mod places;
pub(super) mod run;
pub mod schedule;
pub(super) mod script;
pub mod shell;
pub mod timer;
pub mod token;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use lints::ALL;
pub use timer::Timer;

use super::input;
use super::sheet::{Draft, Sheet};
use super::systemd::Systemd;
use crate::io::look::View;
use crate::model::audit::{Place, Target};
use run::Runner;
use script::{Around, Does};

/// As many scripts are read.
const SCRIPTS: usize = 1_000;
/// The largest text that is taken for a script.
const LARGEST: usize = 1 << 20;

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    /// Every script and table that was read.
    pub files: Vec<PathBuf>,
    /// What cron runs, and how often.
    pub timers: Vec<Timer>,
}

/// Reads cron tables, what they and the units run, and the scripts at the usual places.
#[must_use]
pub fn read(view: &View, units: &Systemd, sheet: &mut Sheet) -> Scripts {
    let around = Around { fixed: units.fixed.clone(), umask: false };
    let mut out = Scripts::default();
    let mut wanted: BTreeMap<PathBuf, bool> = units.scripts.iter().map(|script| (script.path.clone(), script.umask)).collect();
    let mut mentions: BTreeSet<String> = units.mentions.clone();
    let mut jobs: Vec<(usize, Vec<PathBuf>)> = Vec::new();
    for table in cron::tables(view, sheet) {
        tables(view, &table, &around, &mut out, &mut jobs, &mut mentions, sheet);
    }
    for (path, period) in cron::parts(view, sheet) {
        let target = Target::new("cron", path.display().to_string());
        let runner = Runner { target, place: Place::file(&path), account: None };
        let command = shell::Command { words: vec![path.display().to_string()] };
        let run = run::judge(view, &runner, &[command], sheet);
        jobs.push((out.timers.len(), run));
        out.timers.push(Timer::cron(&path, None, cron::period(period), &path.display().to_string()));
    }
    let run: Vec<PathBuf> = jobs.iter().flat_map(|(_, run)| run.clone()).collect();
    mentions.extend(run.iter().map(|path| path.display().to_string()));
    wanted.extend(run.into_iter().map(|path| (path, false)));
    let usual = places::usual(view);
    wanted.extend(usual.iter().filter(|path| !wanted.contains_key(*path)).map(|path| (path.clone(), false)).collect::<Vec<_>>());
    let does = all(view, wanted, &around, &mut out, &mut mentions, sheet);
    for (timer, run) in jobs {
        if let Some(timer) = out.timers.get_mut(timer) {
            timer.renews |= run.iter().any(|path| does.get(path).is_some_and(|does| does.issues));
        }
    }
    orphans(&usual, &does, &mentions, sheet);
    out
}

/// Reads only what these units run, for a target that names one of them.
#[must_use]
pub fn of_units(view: &View, units: &Systemd, sheet: &mut Sheet) -> Scripts {
    let around = Around { fixed: units.fixed.clone(), umask: false };
    let mut out = Scripts::default();
    let wanted = units.scripts.iter().map(|script| (script.path.clone(), script.umask)).collect();
    all(view, wanted, &around, &mut out, &mut BTreeSet::new(), sheet);
    out
}

fn tables(
    view: &View,
    table: &cron::Table,
    around: &Around,
    out: &mut Scripts,
    jobs: &mut Vec<(usize, Vec<PathBuf>)>,
    mentions: &mut BTreeSet<String>,
    sheet: &mut Sheet,
) {
    let target = Target::new("cron", table.path.display().to_string());
    let mut lines = table.environment.clone();
    lines.extend(table.jobs.iter().map(|job| job.line.clone()));
    mentions.extend(script::read(&target, &table.path, &lines, around, sheet).mentions);
    for job in &table.jobs {
        let place = Place::line(&table.path, job.line.number);
        let runner = Runner { target: target.clone(), place, account: job.account.clone() };
        let run = run::judge(view, &runner, &shell::commands(&job.line.text), sheet);
        jobs.push((out.timers.len(), run));
        let period = job.schedule.as_ref().and_then(|schedule| schedule::longest_gap(std::slice::from_ref(schedule)));
        out.timers.push(Timer::cron(&table.path, Some(job.line.number), period, &job.line.text));
    }
    out.files.push(table.path.clone());
}

/// Reads scripts, and those that they name themselves.
fn all(
    view: &View,
    wanted: BTreeMap<PathBuf, bool>,
    around: &Around,
    out: &mut Scripts,
    mentions: &mut BTreeSet<String>,
    sheet: &mut Sheet,
) -> BTreeMap<PathBuf, Does> {
    let mut does: BTreeMap<PathBuf, Does> = BTreeMap::new();
    let mut queue: Vec<(PathBuf, bool)> = wanted.into_iter().collect();
    queue.reverse();
    while let Some((path, umask)) = queue.pop() {
        if does.contains_key(&path) || does.len() >= SCRIPTS {
            continue;
        }
        let Some(text) = text(view, &path, sheet) else { continue };
        let target = Target::new("script", path.display().to_string());
        let around = Around { umask, ..around.clone() };
        let found = script::read(&target, &path, &shell::lines(&text), &around, sheet);
        let named = found
            .mentions
            .iter()
            .filter(|word| word.starts_with('/') && places::is_script_name(word))
            .map(|word| (PathBuf::from(word), umask));
        queue.extend(named);
        mentions.extend(found.mentions.iter().cloned());
        out.files.push(path.clone());
        does.insert(path, found);
    }
    does
}

/// The text of a script: a first line `#!`, or a name that says so.
fn text(view: &View, path: &Path, sheet: &mut Sheet) -> Option<String> {
    let named = places::is_script_name(&path.display().to_string());
    if !named && !view.is_file(path) {
        return None;
    }
    match view.bytes(path) {
        Ok(bytes) if bytes.len() <= LARGEST && (bytes.starts_with(b"#!") || (named && !bytes.contains(&0))) => {
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Ok(_) => None,
        Err(error) => {
            if named && !error.is_absent() {
                input::unreadable(sheet, Target::new("script", path.display().to_string()), Place::file(path), &error);
            }
            None
        }
    }
}

/// Scripts that renew and that nobody runs, such as those of an older way to renew.
fn orphans(usual: &[PathBuf], does: &BTreeMap<PathBuf, Does>, mentions: &BTreeSet<String>, sheet: &mut Sheet) {
    for (path, _) in usual.iter().filter_map(|path| does.get(path).filter(|does| does.issues).map(|does| (path, does))) {
        let text = path.display().to_string();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if mentions.contains(&text) || mentions.contains(name) {
            continue;
        }
        let draft = Draft::at(&lints::ORPHAN, Target::new("script", text.clone()), Place::file(path));
        sheet.add(draft.expected("a timer, a cron table or a unit that runs it").found("none"));
    }
}

#[cfg(test)]
mod tests;
