//! The frame of every command that changes a host: one lock, one run id, one report, lines in the ledger, one exit code.

mod command;
mod lines;
mod locking;
mod owner;
mod serves;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use super::record;
use super::swap::disk_failure;
use super::swap::renames::{self, Renamed};
use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError};
use crate::io::lock::Lock;
use crate::io::rotate;
pub use crate::io::runtime::runtime;
use crate::io::write;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::entry::{Entry, Outcome};
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::login_end::Logins;
use crate::model::name::CertName;
use crate::model::report::{CertReport, Report, RunError, SettingsError};
use crate::model::state::LastError;
pub use lines::interrupted;
pub(super) use lines::{line, renamed, renamed_warning};
pub(super) use locking::{disk_error, wait_for};
pub(super) use owner::earlier_metrics;
pub(super) use serves::tell as tell_what_serves;

pub use command::Command;

/// A run that holds the lock.
#[derive(Debug)]
pub struct Run {
    /// Its id in ledger and state: when it began and eight random bytes.
    pub id: String,
    command: Command,
    host: String,
    started: Time,
    /// When it had the lock.
    locked: Time,
    clock: Clock,
    state: Dir,
    /// Where consumers find what is published.
    published: PathBuf,
    /// Held until the run is gone.
    _lock: Lock,
    /// Why the ledger could not be written, if it could not.
    unwritten: RefCell<Option<DiskError>>,
    /// What is wrong in the settings and costs single certificates, or none.
    errors: Vec<SettingsError>,
    /// Whether some of that is wrong with no certificate of the report.
    is_beyond_certificates: bool,
    /// Whether it is about all certificates, also about those whose names nobody can make out.
    of_all: bool,
    /// What it carried over from earlier names before anything else.
    renamed: Vec<Renamed>,
}

/// Either a run, or the report of why there is none.
#[derive(Debug)]
pub enum Begun {
    /// The lock is held.
    Run(Box<Run>),
    /// It ended before it began.
    Report(Box<Report>),
}

impl Run {
    /// Takes the lock of the state directory, waiting for another run up to `wait`.
    #[must_use]
    pub fn begin(command: Command, settings: &Settings, wait: Duration, clock: Clock) -> Begun {
        let started = clock.now();
        let host = settings.host.clone();
        let (errors, is_beyond_certificates) = (settings.faults.errors.clone(), settings.faults.is_beyond_certificates());
        let of_all = !matches!(command, Command::Revoke | Command::Rollback | Command::Unblock | Command::Forget);
        let refuse = |error: RunError| {
            // Two configurations in one state directory are a fault of the settings: nothing was attempted.
            let exit = if error.code == Code::SharedState { 2 } else { 1 };
            let error = Some(error);
            let (schema, host, finished) = (command.schema().to_owned(), host.clone(), clock.now());
            Begun::Report(Box::new(Report {
                schema,
                host,
                started,
                finished,
                exit,
                error,
                errors: settings.faults.errors.clone(),
                certificates: Vec::new(),
            }))
        };
        let state = match locking::open(settings) {
            Ok(state) => state,
            Err(error) => return refuse(error),
        };
        match locking::wait_for_lock(&state, wait, clock) {
            Ok(Some(lock)) => {
                if let Err(error) = owner::claim(&state, settings) {
                    return refuse(error);
                }
                lock.touch();
                let random = match write::random_digits() {
                    Ok(random) => random,
                    Err(errno) => return refuse(disk_error(&DiskError::new("get random bytes for a run in", state.path(), errno))),
                };
                let id = format!("{started}-{random}");
                let renamed = renames::carry_over(&state, settings);
                let run = Self {
                    id,
                    command,
                    host,
                    started,
                    locked: clock.now(),
                    clock,
                    state,
                    published: settings.paths.run.clone(),
                    _lock: lock,
                    unwritten: RefCell::default(),
                    errors,
                    is_beyond_certificates,
                    of_all,
                    renamed,
                };
                run.note_renamed();
                Begun::Run(Box::new(run))
            }
            Ok(None) => refuse(locking::locked(&state, wait)),
            Err(why) => refuse(disk_error(&why)),
        }
    }

    /// The same run, about some certificates by their names.
    #[must_use]
    pub fn of_some(self) -> Self {
        Self { of_all: false, ..self }
    }

    /// The clock that it reads.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The state directory.
    pub(super) const fn state(&self) -> &Dir {
        &self.state
    }

    /// Appends one line to the ledger, in a new file where the last one is large. That it cannot be written is an error of the run, said at
    /// its end.
    pub fn note(&self, entry: &Entry) {
        // This run holds the lock: nobody else renames.
        self.kept(rotate::rotate(&self.state, layout::LEDGER, layout::LEDGER_LIMIT, layout::LEDGER_KEPT));
        self.kept(record::append(&self.state, std::slice::from_ref(entry), false));
    }

    fn kept(&self, result: Result<(), DiskError>) {
        if let Err(why) = result {
            tracing::error!(%why, "the ledger was not written");
            self.unwritten.replace(Some(why));
        }
    }

    /// A certificate that failed before or outside of the flow: said in its state, in the ledger and in its report.
    #[must_use]
    pub fn failed(&self, report: CertReport, failure: Failure) -> CertReport {
        let now = self.clock.now();
        if let Err(why) = record::note_failure(&self.state, &report.name, &failure, now) {
            tracing::error!(%why, certificate = %report.name, "its failure could not be noted");
        }
        self.failed_unnoted(report, failure)
    }

    /// The same without a word in its state.
    #[must_use]
    pub fn failed_unnoted(&self, report: CertReport, failure: Failure) -> CertReport {
        let mut entry = line(&self.id, &report.name, failure.stage, Outcome::Failed, self.clock.now());
        entry.error = Some(failure.clone());
        self.note(&entry);
        CertReport { outcome: Outcome::Failed, error: Some(failure), ..report }
    }

    /// A request of a person that is refused as such: said in the ledger and in the report. What the certificate's state says stays.
    #[must_use]
    pub fn refused(&self, report: CertReport, failure: Failure) -> CertReport {
        let mut entry = line(&self.id, &report.name, failure.stage, Outcome::Refused, self.clock.now());
        entry.error = Some(failure.clone());
        self.note(&entry);
        CertReport { outcome: Outcome::Refused, error: Some(failure), ..report }
    }

    /// A budget that a person began anew: said in the ledger.
    #[must_use]
    pub fn unblocked(&self, report: CertReport) -> CertReport {
        self.note(&line(&self.id, &report.name, Stage::Issue, Outcome::Unblocked, self.clock.now()));
        report
    }

    /// A certificate that a person had revoked: said in the ledger, with why.
    #[must_use]
    pub fn revoked(&self, report: CertReport, reason: Option<String>) -> CertReport {
        let entry = line(&self.id, &report.name, Stage::Issue, Outcome::Revoked, self.clock.now());
        self.note(&Entry { generation: report.generation, serial: report.serial.clone(), reason, ..entry });
        report
    }

    /// Keeps what the run learnt about the end of its logins, for `status`. What cannot be kept is learnt again.
    pub(super) fn note_logins(&self, logins: &Logins) {
        if let Err(why) = record::note_logins(&self.state, logins) {
            tracing::warn!(%why, "when the login ends was not noted");
        }
    }

    /// Keeps that the committed key of a certificate does not sign any more, so that it is due.
    pub(super) fn note_refused_key(&self, name: &CertName, failure: Failure) {
        if let Err(why) = record::note_refused_key(&self.state, name, failure, self.clock.now()) {
            tracing::warn!(%why, certificate = %name, "that its key does not sign was not noted");
        }
    }

    fn note_renamed(&self) {
        for one in &self.renamed {
            self.note(&renamed(&self.id, one, self.clock.now()));
        }
    }

    /// What was left of a certificate is gone: said in the ledger, with the generation that was live.
    pub(super) fn forgotten(&self, entry: Entry) {
        self.note(&Entry { run: self.id.clone(), time: self.clock.now(), ..entry });
    }

    /// Ends the run: flushes the ledger, notes the time, and gives the report with its exit code.
    #[must_use]
    pub fn end(self, certificates: Vec<CertReport>) -> Report {
        // `not-due` leaves no line; a ledger that got one is flushed once, at the end.
        let wrote = certificates.iter().any(|c| !matches!(c.outcome, Outcome::NotDue | Outcome::Blocked));
        self.kept(self.flush(wrote));
        let mut certificates = certificates;
        for one in &self.renamed {
            let of = certificates.iter_mut().filter(|report| report.name == one.name);
            of.for_each(|report| report.warnings.push(renamed_warning(one)));
        }
        for report in &mut certificates {
            tell_what_serves(&self.published, report);
            if report.error.is_none() && matches!(report.outcome, Outcome::Installed | Outcome::Unchanged) {
                self.outlive(&report.name, |last| last.failure.stage == Stage::Publish);
            }
        }
        let error = self.unwritten.take().map(|why| {
            self.note_unwritten(&certificates, &why);
            disk_error(&why)
        });
        let is_faulty = self.of_all && self.is_beyond_certificates;
        Report {
            exit: u8::from(error.is_some() || is_faulty || certificates.iter().any(|c| !c.is_good(self.command == Command::Rollback))),
            schema: self.command.schema().to_owned(),
            host: self.host,
            started: self.started,
            finished: self.clock.now(),
            error,
            errors: self.errors,
            certificates,
        }
    }

    /// A failure that an earlier run noted a moment ago is over where this one had no cause to repeat it, although both may be of one second.
    pub(super) fn outlive(&self, name: &CertName, is_over: fn(&LastError) -> bool) {
        if let Err(why) = record::outlive_failure(&self.state, name, self.locked, is_over) {
            tracing::warn!(%why, certificate = %name, "a failure that is over stays noted");
        }
    }

    /// What a run has done and its ledger does not say is still to be seen when the run is over: in `status`, until the next run.
    fn note_unwritten(&self, certificates: &[CertReport], why: &DiskError) {
        let failure = disk_failure(Stage::Commit, why);
        for report in certificates.iter().filter(|report| report.error.is_none() && report.outcome != Outcome::NotDue) {
            if let Err(why) = record::note_failure(&self.state, &report.name, &failure, self.clock.now()) {
                tracing::error!(%why, certificate = %report.name, "that the ledger was not written could not be noted");
            }
        }
    }

    fn flush(&self, wrote: bool) -> Result<(), DiskError> {
        if wrote && self.state.kind(layout::LEDGER)?.is_some() { write::append(&self.state, layout::LEDGER, "", true) } else { Ok(()) }
    }
}
