//! `install`: links (or copies) at the paths where consumers look, made by the administrator once. What was there is kept aside.

use std::sync::Arc;
use std::time::Duration;

use super::flow::faulty;
use super::run::{Begun, Command, Run};
use super::swap::{Place, Trees, disk_failure, keep_aside, write_copies};
use crate::config::settings::{Certificate, Install, InstallKind, Part, Settings};
use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::report::{CertReport, Report};
use crate::plan::copies::leftovers;
use crate::plan::links::target;

/// Installs every certificate that has `install` entries.
#[must_use]
pub fn install(settings: &Arc<Settings>, wait: Duration, clock: Clock) -> Report {
    let run = match Run::begin(Command::Install, settings, wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let mut reports: Vec<CertReport> =
        settings.certificates.iter().filter(|c| !c.install.is_empty()).map(|c| one(settings, c, &run)).collect();
    reports.extend(faulty::all(&run, settings));
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
    let trees = Trees::open(settings)?;
    report.warnings.extend(trees.removed_lists());
    let place = Place::open(&trees, certificate.name())?;
    report.generation = place.published();
    report.previous = report.generation;
    // All targets of an entry are looked at before one of them is changed.
    let mut dirs = Vec::new();
    for install in &certificate.install {
        dirs.push(open(install)?);
    }
    report.warnings.extend(certificate.install.iter().zip(&dirs).filter_map(|(install, dir)| open_to_others(install, dir)));
    let mut changed = false;
    for (install, dir) in certificate.install.iter().zip(&dirs) {
        changed |= entry(&place, install, dir, report)?;
    }
    Ok(changed)
}

/// The consumer's directory, in which every target can be made.
fn open(install: &Install) -> Result<Dir, Failure> {
    let disk = |why: DiskError| disk_failure(Stage::Publish, &why);
    let missing = || {
        let text = format!("the directory {} does not exist", install.dir.display());
        Failure::new(Stage::Publish, Code::Missing, text)
            .hint("make it with the owner and mode its service wants, or mend `dir` in `install`")
    };
    let dir = Dir::open(&install.dir).map_err(disk)?.ok_or_else(missing)?;
    for (_, file) in &install.files {
        if dir.kind(file).map_err(disk)? == Some(Kind::Directory) {
            let why = DiskError::new("install over", dir.join(file), rustix::io::Errno::ISDIR);
            return Err(disk(why).hint("a directory lies where a file is to be: move it away, or mend `install`; nothing was changed"));
        }
    }
    if let Some(why) = dir.refuses_writing() {
        return Err(Failure::new(Stage::Publish, Code::Unwritable, why).hint("nothing was changed"));
    }
    Ok(dir)
}

/// A directory in which others may exchange the key that a service reads.
fn open_to_others(install: &Install, dir: &Dir) -> Option<Warning> {
    let (mode, ..) = dir.owner().ok()?;
    let holds_key = install.files.iter().any(|(part, _)| part.holds_key());
    let path = install.dir.display();
    let text = format!(
        "{path} may be written by others (mode {mode:04o}), who can put another key and certificate in the place of these: chmod go-w {path}"
    );
    (holds_key && mode & 0o022 != 0).then(|| Warning::new(Code::Permissions, text))
}

fn entry(place: &Place, install: &Install, dir: &Dir, report: &mut CertReport) -> Result<bool, Failure> {
    let disk = |why: DiskError| disk_failure(Stage::Publish, &why);
    match install.kind {
        InstallKind::Link => {
            for leftover in leftovers(install, &dir.names().map_err(disk)?) {
                write::remove(dir, &leftover).map_err(disk)?;
            }
            let said = report.warnings.len();
            let mut links = Links { place, dir, made: Vec::new() };
            match install.files.iter().try_for_each(|(part, file)| links.make(*part, file, &mut report.warnings)) {
                Ok(()) => Ok(!links.made.is_empty()),
                Err(why) => {
                    links.take_back();
                    report.warnings.truncate(said);
                    Err(disk(why).hint("the links of this entry are as they were before"))
                }
            }
        }
        InstallKind::Copy => copies(place, dir, install, report).map_err(disk),
    }
}

/// The links of one entry, made one after the other.
struct Links<'a> {
    place: &'a Place,
    dir: &'a Dir,
    made: Vec<Made>,
}

/// A link that was made, and what it took the place of.
struct Made {
    file: String,
    /// Where that lies now.
    aside: Option<String>,
}

impl Links<'_> {
    fn make(&mut self, part: Part, file: &str, warnings: &mut Vec<Warning>) -> Result<(), DiskError> {
        let own = self.place.settings().paths.run.join(self.place.name().as_str());
        let target = target(&own, part);
        let aside = match self.dir.kind(file)? {
            Some(Kind::Link) if self.dir.links_to(file, &target)? => return Ok(()),
            Some(_) => Some(keep_aside(self.dir, file, warnings)?),
            None => None,
        };
        self.made.push(Made { file: file.to_owned(), aside });
        write::replace_link(self.dir, file, &target)
    }

    /// A consumer must not find a new certificate beside an old key.
    fn take_back(&self) {
        for made in self.made.iter().rev() {
            let taken = match &made.aside {
                // Two names of one file: the rename does nothing then, and the second one goes.
                Some(aside) => write::rename(self.dir, aside, &made.file).and_then(|()| write::remove(self.dir, aside)),
                None => self.dir.kind(&made.file).and_then(|kind| kind.map_or(Ok(()), |_| write::remove(self.dir, &made.file))),
            };
            if let Err(why) = taken {
                tracing::error!(%why, "a link that was made stays");
            }
        }
    }
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
