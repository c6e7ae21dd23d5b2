//! `install`: links (or copies) at the paths where consumers look, made by the administrator once. What was there is kept aside.

use std::sync::Arc;
use std::time::Duration;

use super::run::{Begun, Command, Run};
use super::swap::{Place, Trees, disk_failure, keep_aside, write_copies};
use crate::config::settings::{Certificate, Install, InstallKind, Part, Settings};
use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::report::{CertReport, Report};
use crate::plan::copies::{leftovers, part_file};

/// Installs every certificate that has `install` entries.
#[must_use]
pub fn install(settings: &Arc<Settings>, wait: Duration, clock: Clock) -> Report {
    let run = match Run::begin(Command::Install, settings, wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let reports = settings.certificates.iter().filter(|c| !c.install.is_empty()).map(|c| one(settings, c, &run)).collect();
    run.end(reports)
}

fn one(settings: &Arc<Settings>, certificate: &Certificate, run: &Run) -> CertReport {
    let mut report = CertReport::new(certificate.name().clone(), Outcome::Unchanged);
    match entries(settings, certificate, &mut report) {
        Ok(true) => report.outcome = Outcome::Installed,
        Ok(false) => {}
        Err(failure) => return run.failed(report, failure),
    }
    report
}

fn entries(settings: &Arc<Settings>, certificate: &Certificate, report: &mut CertReport) -> Result<bool, Failure> {
    let name = certificate.name();
    let disk = |why: DiskError| disk_failure(Stage::Publish, &why);
    let run = Dir::open(&settings.paths.run).map_err(disk)?.map_or(Ok(None), |run| run.child(name.as_str())).map_err(disk)?;
    let live = run.as_ref().map_or(Ok(None), |run| run.link(layout::LIVE)).map_err(disk)?;
    if live.is_none() {
        let text = format!("{name} has no certificate yet: nothing was installed");
        return Err(
            Failure::new(Stage::Publish, Code::Missing, text).hint(format!("`omens renew {name}` first, or `omens restore` after a boot"))
        );
    }
    let place = Place::open(&Trees::open(settings)?, certificate.name())?;
    report.generation = place.published();
    report.previous = report.generation;
    let mut changed = false;
    for install in &certificate.install {
        changed |= entry(&place, install, report)?;
    }
    Ok(changed)
}

fn entry(place: &Place, install: &Install, report: &mut CertReport) -> Result<bool, Failure> {
    let disk = |why: DiskError| disk_failure(Stage::Publish, &why);
    let missing = || {
        let text = format!("the directory {} does not exist", install.dir.display());
        Failure::new(Stage::Publish, Code::Missing, text)
            .hint("make it with the owner and mode its service wants, or mend `dir` in `install`")
    };
    let dir = Dir::open(&install.dir).map_err(disk)?.ok_or_else(missing)?;
    match install.kind {
        InstallKind::Link => {
            let mut changed = false;
            for leftover in leftovers(install, &dir.names().map_err(disk)?) {
                write::remove(&dir, &leftover).map_err(disk)?;
            }
            for (part, file) in &install.files {
                changed |= link(place, &dir, *part, file, report).map_err(disk)?;
            }
            Ok(changed)
        }
        InstallKind::Copy => copies(place, &dir, install, report).map_err(disk),
    }
}

fn link(place: &Place, dir: &Dir, part: Part, file: &str, report: &mut CertReport) -> Result<bool, DiskError> {
    let run = &place.settings().paths.run;
    let target = match part_file(part) {
        Some(inner) => run.join(place.name().as_str()).join(layout::LIVE).join(inner),
        None => run.join(layout::TRUST).join(layout::ANCHOR),
    };
    let target = target.display().to_string();
    match dir.kind(file)? {
        Some(Kind::Link) if dir.links_to(file, &target)? => return Ok(false),
        Some(Kind::Directory) => return Err(DiskError::new("install over", dir.join(file), rustix::io::Errno::ISDIR)),
        Some(_) => keep_aside(dir, file, &mut report.warnings)?,
        None => {}
    }
    write::replace_link(dir, file, &target)?;
    Ok(true)
}

/// Copies are what every publish writes.
fn copies(place: &Place, dir: &Dir, install: &Install, report: &mut CertReport) -> Result<bool, DiskError> {
    let Some(generation) = place.published() else { return Ok(false) };
    let before: Vec<_> = install.files.iter().map(|(_, file)| state_of(dir, file)).collect();
    report.warnings.extend(write_copies(place, install, generation)?);
    Ok(install.files.iter().zip(before).any(|((_, file), before)| state_of(dir, file) != before))
}

fn state_of(dir: &Dir, file: &str) -> Option<(Option<Kind>, zeroize::Zeroizing<Vec<u8>>)> {
    let kind = dir.kind(file).ok()?;
    let bytes = if kind == Some(Kind::File) { dir.read(file).ok().flatten()?.bytes } else { zeroize::Zeroizing::default() };
    Some((kind, bytes))
}
