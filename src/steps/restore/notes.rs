//! What `restore` leaves in the ledger and in the state of certificates.

use crate::io::dir::Dir;
use crate::model::clock::Time;
use crate::model::entry::{Entry, Outcome};
use crate::model::failure::Stage;
use crate::model::report::CertReport;
use crate::steps::record;
use crate::steps::run::{self, line, renamed_warning};
use crate::steps::swap::renames::Renamed;

/// Says in ledger and reports what was carried over from earlier names.
pub(super) fn note_renamed(state: &Dir, renamed: &[Renamed], reports: &mut [CertReport], now: Time) {
    for one in renamed {
        let of = reports.iter_mut().filter(|report| report.name == one.name);
        of.for_each(|report| report.warnings.push(renamed_warning(one)));
    }
    let lines: Vec<Entry> = renamed.iter().map(|one| run::renamed(&format!("{now}-restore"), one, now)).collect();
    if let Err(why) = record::append(state, &lines, true) {
        tracing::error!(%why, "the ledger was not written");
    }
}

/// A failure is never only a line on a terminal.
pub(super) fn note_failures(state: &Dir, reports: &[CertReport], started: Time, now: Time) {
    let run = format!("{started}-restore");
    let entry = |report: &CertReport| {
        let stage = report.error.as_ref().map_or(Stage::Publish, |failure| failure.stage);
        Entry { error: report.error.clone(), ..line(&run, &report.name, stage, report.outcome, now) }
    };
    let entries: Vec<Entry> = reports.iter().filter(|r| r.outcome == Outcome::Failed).map(entry).collect();
    if let Err(why) = record::append(state, &entries, true) {
        tracing::error!(%why, "the ledger was not written");
    }
    // `status` says why, until it succeeds or a run had no cause to repeat it.
    for report in reports {
        let noted = match &report.error {
            Some(failure) => record::note_failure(state, &report.name, failure, now),
            None if report.outcome == Outcome::Restored => record::forget_failure(state, &report.name),
            None => Ok(()),
        };
        if let Err(why) = noted {
            tracing::warn!(%why, certificate = %report.name, "how restoring ended was not noted");
        }
    }
}
