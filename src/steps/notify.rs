//! The notice of a run: a program of the administrator's is told, once a run, when a certificate failed or recovered. It is given one JSON
//! document on its standard input, in which no secret is, and never decides an exit code.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record;
use super::run::{line, runtime, wait_for};
use crate::config::settings::{Remains, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::lock::Lock;
use crate::io::{process, write};
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::entry::{Entry, Outcome};
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::program::Program;
use crate::model::report::{CertReport, Report, RunError, SettingsError};

/// Another run's note takes milliseconds; one that never comes to its end is not waited for.
const NOTING: Duration = Duration::from_secs(5);

/// What the program reads.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// `omens.notify/1`.
    pub schema: &'static str,
    /// `host.name`.
    pub host: String,
    /// The schema of the report of the run.
    pub run: String,
    /// When the run began.
    pub started: Time,
    /// When it ended.
    pub finished: Time,
    /// Its exit code.
    pub exit: u8,
    /// An error of the whole run.
    pub error: Option<RunError>,
    /// The certificates that failed in it.
    pub failed: Vec<Failed>,
    /// Those that had failed in the last run that was about them, and are well now.
    pub recovered: Vec<Recovered>,
}

/// A certificate that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// Its name.
    pub name: CertName,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub error: Option<Failure>,
    /// When what serves ends.
    pub not_after: Option<Time>,
}

/// A certificate that recovered.
#[derive(Clone, Debug, Serialize)]
pub struct Recovered {
    /// Its name.
    pub name: CertName,
    /// What became of it.
    pub outcome: Outcome,
    /// What it had failed with.
    pub was: Option<Code>,
    /// When what serves ends.
    pub not_after: Option<Time>,
}

/// `notified.json` of the state directory: what was told to have failed, and did not recover yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    v: u32,
    failing: BTreeMap<String, Option<Code>>,
}

/// Tells of a run, where the settings name somebody to tell and there is something to tell. What goes wrong with that is a warning of the
/// certificates that it was about, and a line in the ledger.
pub fn tell(settings: &Settings, report: &mut Report, clock: Clock) {
    if let Some(program) = &settings.notify {
        deliver(program, Dir::open(&settings.paths.state).ok().flatten().as_ref(), report, clock);
    }
}

/// Tells of a run that could not use the settings, where these say all the same who is told.
pub fn tell_without_settings(remains: &Remains, report: &Report, clock: Clock) {
    let Some(program) = &remains.notify else { return };
    let state = remains.paths.as_ref().and_then(|paths| Dir::open(&paths.state).ok().flatten());
    let of_settings = |error: &SettingsError| {
        let text = format!("{}: {}", error.place(), error.text);
        RunError { code: error.code, text, hint: error.suggestion.clone() }
    };
    let error = report.error.clone().or_else(|| report.errors.first().map(of_settings));
    deliver(program, state.as_ref(), &mut Report { error, ..report.clone() }, clock);
}

/// `state`: the state directory, where there is one already.
fn deliver(program: &Program, state: Option<&Dir>, report: &mut Report, clock: Clock) {
    let told = state.and_then(read).unwrap_or_default();
    let notice = notice(report, &told);
    if notice.failed.is_empty() && notice.recovered.is_empty() && notice.error.is_none() {
        return;
    }
    let sent = serde_json::to_vec(&notice).map_err(|why| why.to_string()).and_then(|document| {
        let ended = runtime().map_err(|failure| failure.text)?.block_on(process::exec(program, &[], &document));
        let ended = ended.map_err(|why| why.to_string())?;
        if ended.code == Some(0) {
            return Ok(());
        }
        Err(format!("{} ended with {}: {}", program.path.display(), ended.how(), ended.said()))
    });
    let Some(state) = state else {
        return sent.unwrap_or_else(|why| tracing::warn!(%why, "the notice of this run was not delivered"));
    };
    match sent {
        Ok(()) => {
            let alone = || wait_for(|| Lock::try_take_directory(state), NOTING, clock);
            if let Err(why) = remember(state, &notice, alone) {
                tracing::warn!(%why, "what was told of a run is not noted");
            }
        }
        Err(why) => say(state, report, &notice, &why, clock),
    }
}

/// What there is to tell of a run, after what was told before.
fn notice(report: &Report, told: &Told) -> Notice {
    let is_failed = |report: &&CertReport| match report.outcome {
        Outcome::Failed | Outcome::Refused | Outcome::RolledBack | Outcome::Exhausted => true,
        Outcome::Blocked => report.error.as_ref().is_none_or(|error| error.code != Code::OutsideWindow),
        _ => report.error.is_some(),
    };
    // A rollback that a person asked for is no failure.
    let asked_for = report.exit == 0 && report.schema == "omens.rollback/1";
    let failed: Vec<&CertReport> = report.certificates.iter().filter(is_failed).filter(|_| !asked_for).collect();
    let well = report.certificates.iter().filter(|one| asked_for || !is_failed(one)).filter(|one| one.outcome != Outcome::Blocked);
    let recovered = well.filter_map(|one| {
        let was = told.failing.get(one.name.as_str())?;
        Some(Recovered { name: one.name.clone(), outcome: one.outcome, was: *was, not_after: one.not_after })
    });
    Notice {
        schema: "omens.notify/1",
        host: report.host.clone(),
        run: report.schema.clone(),
        started: report.started,
        finished: report.finished,
        exit: report.exit,
        error: report.error.clone(),
        failed: failed
            .into_iter()
            .map(|one| Failed { name: one.name.clone(), outcome: one.outcome, error: one.error.clone(), not_after: one.not_after })
            .collect(),
        recovered: recovered.collect(),
    }
}

fn read(state: &Dir) -> Option<Told> {
    let content = state.read(layout::NOTIFIED).ok().flatten()?;
    serde_json::from_slice(&content.bytes).ok()
}

/// Only what was told can recover; a certificate that the settings no longer name stays until it is told of again. The run has ended, and the
/// lock with it: another one may have told of its own since, or be about to.
fn remember(state: &Dir, notice: &Notice, alone: impl FnOnce() -> Result<Option<Lock>, DiskError>) -> Result<(), DiskError> {
    let held = alone();
    if let Err(why) = &held {
        tracing::debug!(%why, "what was told is noted without a lock");
    }
    let told = read(state).unwrap_or_default();
    let mut failing = told.failing.clone();
    for recovered in &notice.recovered {
        failing.remove(recovered.name.as_str());
    }
    for failed in &notice.failed {
        failing.insert(failed.name.to_string(), failed.error.as_ref().map(|error| error.code));
    }
    let now = Told { v: 1, failing };
    let wrote = if now == told { Ok(()) } else { write_told(state, &now) };
    drop(held);
    wrote
}

fn write_told(state: &Dir, told: &Told) -> Result<(), DiskError> {
    write::replace_file(state, layout::NOTIFIED, &write::json(state, layout::NOTIFIED, told)?, 0o600)
}

fn say(state: &Dir, report: &mut Report, notice: &Notice, why: &str, clock: Clock) {
    let text = format!("nobody was told of it: {why}");
    tracing::warn!(%why, "the notice of this run was not delivered");
    let about: Vec<&CertName> = notice.failed.iter().map(|one| &one.name).chain(notice.recovered.iter().map(|one| &one.name)).collect();
    let run = format!("{}-notify", report.started);
    let mut lines: Vec<Entry> = Vec::new();
    for one in report.certificates.iter_mut().filter(|one| about.contains(&&one.name)) {
        one.warnings.push(Warning::new(Code::NotNotified, text.clone()));
        let stage = one.error.as_ref().map_or(Stage::Commit, |error| error.stage);
        let error = Some(Failure::new(stage, Code::NotNotified, text.clone()));
        lines.push(Entry { error, ..line(&run, &one.name, stage, one.outcome, clock.now()) });
    }
    if let Err(why) = record::append(state, &lines, true) {
        tracing::error!(%why, "the ledger was not written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str, is_failed: bool) -> Notice {
        let name = CertName::parse(name).unwrap();
        let failed = Failed { name: name.clone(), outcome: Outcome::Failed, error: None, not_after: None };
        let recovered = Recovered { name, outcome: Outcome::Renewed, was: None, not_after: None };
        let (failed, recovered) = if is_failed { (vec![failed], Vec::new()) } else { (Vec::new(), vec![recovered]) };
        let now = Time::from_unix(0);
        let (schema, host, run) = ("omens.notify/1", "host".to_owned(), "omens.renew/1".to_owned());
        Notice { schema, host, run, started: now, finished: now, exit: 1, error: None, failed, recovered }
    }

    #[test]
    fn runs_that_end_together_keep_what_the_others_told() {
        let temp = tempfile::tempdir().unwrap();
        let state = Dir::open(temp.path()).unwrap().unwrap();
        let names: Vec<String> = (0..8).map(|number| format!("web-{number}")).collect();
        for is_failed in [true, false] {
            std::thread::scope(|scope| {
                for name in &names {
                    let state = &state;
                    let alone = || Ok(std::iter::repeat_with(|| Lock::try_take_directory(state)).find_map(Result::unwrap));
                    scope.spawn(move || remember(state, &about(name, is_failed), alone).unwrap());
                }
            });
            let told: Vec<String> = read(&state).unwrap().failing.into_keys().collect();
            assert_eq!(told, if is_failed { names.clone() } else { Vec::new() });
        }
        assert_eq!(state.names().unwrap(), [layout::NOTIFIED]);
    }
}
