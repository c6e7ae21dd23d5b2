//! `install`: links (or copies) at the paths where consumers look, made by the administrator once. What was there is kept aside.

use std::sync::Arc;
use std::time::Duration;

use super::run::{Begun, Run};
use super::swap::{Place, disk_failure, write_copies};
use crate::config::settings::{Certificate, Install, InstallKind, Part, Settings};
use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write;
use crate::model::clock::Clock;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::report::{CertReport, Report};
use crate::plan::inventory::part_file;

/// The first name under which a file that was there is kept.
const ASIDE: &str = "before-omens";
/// Names tried before giving up.
const ASIDES: u32 = 100;

/// Installs every certificate that has `install` entries.
#[must_use]
pub fn install(settings: &Arc<Settings>, wait: Duration, clock: Clock) -> Report {
    let run = match Run::begin("install", settings, wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let reports: Vec<CertReport> = settings.certificates.iter().filter(|c| !c.install.is_empty()).map(|c| one(settings, c)).collect();
    let lines = reports.iter().filter(|r| r.outcome == Outcome::Failed).map(|r| run.line_of(r, clock.now())).collect();
    run.end(lines, reports)
}

fn one(settings: &Arc<Settings>, certificate: &Certificate) -> CertReport {
    let mut report = CertReport::new(certificate.name().clone(), Outcome::Unchanged);
    match entries(settings, certificate, &mut report) {
        Ok(true) => report.outcome = Outcome::Installed,
        Ok(false) => {}
        Err(failure) => {
            report.outcome = Outcome::Failed;
            report.error = Some(failure);
        }
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
            Failure::new(Stage::Publish, "missing", text).hint(format!("`omens renew {name}` first, or `omens restore` after a boot"))
        );
    }
    let place = Place::open(settings, certificate)?;
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
        Failure::new(Stage::Publish, "missing", text).hint("make it with the owner and mode its service wants, or mend `dir` in `install`")
    };
    let dir = Dir::open(&install.dir).map_err(disk)?.ok_or_else(missing)?;
    match install.kind {
        InstallKind::Link => {
            let mut changed = false;
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
        Some(Kind::Link) if dir.link(file)?.as_deref() == Some(target.as_str()) => return Ok(false),
        Some(Kind::Directory) => return Err(DiskError::new("install over", dir.join(file), rustix::io::Errno::ISDIR)),
        Some(_) => keep_aside(dir, file, report)?,
        None => {}
    }
    write::replace_link(dir, file, &target)?;
    Ok(true)
}

/// Gives what is there a second name before its own is replaced in one step: there is no moment without a file.
fn keep_aside(dir: &Dir, file: &str, report: &mut CertReport) -> Result<(), DiskError> {
    let mut last = DiskError::new("keep aside", dir.join(file), rustix::io::Errno::EXIST);
    for number in 1..=ASIDES {
        let aside = if number == 1 { format!("{file}.{ASIDE}") } else { format!("{file}.{ASIDE}-{number}") };
        match write::keep_aside(dir, file, &aside) {
            Ok(()) => {
                report
                    .warnings
                    .push(Warning::new("kept-aside", format!("{} is now {}", dir.join(file).display(), dir.join(&aside).display())));
                if is_plaintext_key(dir, &aside) {
                    let text = format!("{} holds a private key in clear text: remove it when nothing needs it", dir.join(&aside).display());
                    report.warnings.push(Warning::new("plaintext-key", text));
                }
                return Ok(());
            }
            Err(why) if why.errno == rustix::io::Errno::EXIST => last = why,
            Err(why) => return Err(why),
        }
    }
    Err(last)
}

fn is_plaintext_key(dir: &Dir, file: &str) -> bool {
    let has = |text: &[u8], part: &str| String::from_utf8_lossy(text).contains(part);
    let content = dir.kind(file).ok().filter(|kind| *kind == Some(Kind::File)).and_then(|_| dir.read(file).ok().flatten());
    content.is_some_and(|c| has(&c.bytes, "PRIVATE KEY-----") && !has(&c.bytes, "ENCRYPTED"))
}

/// Copies are written by every publish; here the files that were there before the first one are kept aside.
fn copies(place: &Place, dir: &Dir, install: &Install, report: &mut CertReport) -> Result<bool, DiskError> {
    let Some(generation) = place.published() else { return Ok(false) };
    let before: Vec<_> = install.files.iter().map(|(_, file)| state_of(dir, file)).collect();
    for (part, file) in &install.files {
        let current = part_file(*part).map_or(Ok(None), |inner| current_bytes(place, inner))?;
        let same = dir.kind(file)? == Some(Kind::File) && dir.read(file)?.map(|c| c.bytes) == current;
        if dir.kind(file)?.is_some() && !same && *part != Part::Ca {
            keep_aside(dir, file, report)?;
        }
    }
    write_copies(place, install, generation)?;
    Ok(install.files.iter().zip(before).any(|((_, file), before)| state_of(dir, file) != before))
}

fn current_bytes(place: &Place, file: &str) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, DiskError> {
    let Some(live) = place.run.link(layout::LIVE)? else { return Ok(None) };
    let Some(dir) = place.run.child(&live)? else { return Ok(None) };
    Ok(dir.read(file)?.map(|content| content.bytes))
}

fn state_of(dir: &Dir, file: &str) -> Option<(Option<Kind>, zeroize::Zeroizing<Vec<u8>>)> {
    let kind = dir.kind(file).ok()?;
    let bytes = if kind == Some(Kind::File) { dir.read(file).ok().flatten()?.bytes } else { zeroize::Zeroizing::default() };
    Some((kind, bytes))
}
