//! The metrics that every run leaves for a textfile collector, in one file that is renamed into place. It must never decide an exit code.

use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::write::{self, Ownership};
use crate::model::clock::Clock;
use crate::model::report::Report;
use crate::plan::{metrics, view};

/// Writes them after a run, where the settings name a file.
pub fn leave(settings: &Settings, report: &Report, clock: Clock) {
    let Some(file) = &settings.metrics else { return };
    let wrote = || -> Result<(), DiskError> {
        let none = |errno| DiskError::new("write", file, errno);
        let (Some(parent), Some(name)) = (file.parent(), file.file_name().and_then(std::ffi::OsStr::to_str)) else {
            return Err(none(rustix::io::Errno::INVAL));
        };
        let all: Vec<&Certificate> = settings.certificates.iter().collect();
        let status = view::status(settings, &all, clock.now())?;
        let text = format!("{}{}", metrics::prometheus(&status), metrics::of_run(report.started, report.finished));
        let dir = Dir::open(parent)?.ok_or_else(|| none(rustix::io::Errno::NOENT))?;
        // Whoever collects them is another user.
        write::replace_any(&dir, name, text.as_bytes(), 0o644, Ownership::default())
    };
    if let Err(why) = wrote() {
        tracing::warn!(%why, "the metrics were not written");
    }
}
