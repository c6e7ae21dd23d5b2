//! The metrics that every run leaves for a textfile collector, in one file that is renamed into place: what `status` would say then, whatever
//! became of the run. It must never decide an exit code.

use std::path::{Path, PathBuf};

use super::run::earlier_metrics;
use crate::config;
use crate::config::settings::{Certificate, MetricsFile, Paths, Remains, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::write::{self, Ownership};
use crate::model::clock::Clock;
use crate::model::report::Report;
use crate::plan::faulty::{committed, on_disk};
use crate::plan::view::{End, StatusDocument};
use crate::plan::{broken, metrics};

/// Writes them after a run, where the settings name a file.
pub fn leave(settings: &Settings, report: &Report, clock: Clock) {
    let Some(file) = place(&settings.metrics, &settings.file, Some(&settings.paths)) else { return };
    // Not every run reads the secrets, and `status` looks at them.
    if let Err(remains) = config::as_runs_find_them(&settings.options()) {
        return leave_without_settings(&remains, report, clock);
    }
    let all: Vec<&Certificate> = settings.certificates.iter().collect();
    put(&file, report, broken::status(settings, &all, &on_disk(settings), clock.now()));
}

/// Writes them after a run that could not use the settings, where these name a file all the same: what an earlier run left would go on
/// saying that all is well.
pub fn leave_without_settings(remains: &Remains, report: &Report, clock: Clock) {
    let Some(file) = place(&remains.metrics, &remains.file, remains.paths.as_ref()) else { return };
    let status = |paths| broken::status_without_settings(remains, paths, &committed(remains, paths), clock.now());
    put(&file, report, remains.paths.as_ref().map_or_else(|| Ok(nothing_known(report)), status));
}

/// The file; where these settings do not say it any more, the one that they named when a run last could read them. Those of another
/// configuration are not theirs: a mistyped `--config` says nothing about the host.
fn place(said: &MetricsFile, settings: &Path, paths: Option<&Paths>) -> Option<PathBuf> {
    match said {
        MetricsFile::None => None,
        MetricsFile::At(file) => Some(file.clone()),
        MetricsFile::AsBefore => earlier_metrics(&Dir::open(&paths?.state).ok().flatten()?, settings),
    }
}

/// What cannot be read is not healthy.
fn nothing_known(report: &Report) -> StatusDocument {
    StatusDocument::refused(report.host.clone(), End::well(report.finished), Vec::new())
}

fn put(file: &Path, report: &Report, status: Result<StatusDocument, DiskError>) {
    let status = status.unwrap_or_else(|why| {
        tracing::warn!(%why, "the metrics say no more than that not all is well");
        nothing_known(report)
    });
    let text = format!("{}{}", metrics::prometheus(&status), metrics::of_run(report.started, report.finished));
    if let Err(why) = replace(file, &text) {
        let hint = why.hint();
        tracing::warn!("metrics.textfile: the metrics were not written: {why}; {hint}");
    }
}

fn replace(file: &Path, text: &str) -> Result<(), DiskError> {
    let none = |errno| DiskError::new("write", file, errno);
    let (Some(parent), Some(name)) = (file.parent(), file.file_name().and_then(std::ffi::OsStr::to_str)) else {
        return Err(none(rustix::io::Errno::INVAL));
    };
    let dir = Dir::open(parent)?.ok_or_else(|| none(rustix::io::Errno::NOENT))?;
    // Whoever collects them is another user.
    write::replace_any(&dir, name, text.as_bytes(), 0o644, Ownership::default())
}
