//! `restore`: the run directory rebuilt from the state directory, as after every boot. No network, no process, no waiting for a lock.

mod bare;
mod choose;
mod ground;
mod notes;

use std::sync::Arc;

use self::choose::choose;
use self::ground::Ground;
use self::notes::{note_failures, note_renamed};
use super::flow::describe_leaf;
use super::run::{disk_error, tell_what_serves};
use super::swap::{demand_publishable, disk_failure, keep_anchors, refuse_foreign, refuse_foreign_run, renames};
use crate::config::settings::{Certificate, Faulty, Paths, Remains, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::lock::Lock;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::{CertReport, Report, RunError, SettingsError};
use crate::plan::debt::{proof_of_live, publishable};
use crate::plan::faulty::{committed, on_disk};
use crate::plan::generation::Kept;
use crate::plan::inventory::{self, Roots, Tree};
use crate::plan::outlet::Outlet;
use crate::plan::trust::TrustFiles;

/// Restores every certificate of the settings, and those whose settings are broken from what they carry.
#[must_use]
pub fn restore(settings: &Settings, clock: Clock) -> Report {
    let started = clock.now();
    let ended = Work { known: Known::Settings(settings), paths: &settings.paths, faulty: on_disk(settings), clock }.all(started);
    report(settings.host.clone(), settings.faults.errors.clone(), started, clock.now(), ended)
}

/// Restores every committed certificate although the settings cannot be used at all; `None` where there is none.
#[must_use]
pub fn restore_without_settings(remains: &Remains, paths: &Paths, clock: Clock) -> Option<Report> {
    let started = clock.now();
    let faulty = committed(remains, paths);
    if faulty.is_empty() {
        return None;
    }
    let ended = Work { known: Known::Remains(remains), paths, faulty, clock }.all(started);
    Some(report(remains.host.clone().unwrap_or_default(), remains.errors.clone(), started, clock.now(), ended))
}

/// How it ended: with an error of the whole, or with what became of each.
struct Ended {
    certificates: Vec<CertReport>,
    error: Option<RunError>,
}

fn report(host: String, errors: Vec<SettingsError>, started: Time, finished: Time, ended: Ended) -> Report {
    let Ended { certificates, error } = ended;
    let bad = error.is_some() || !errors.is_empty() || certificates.iter().any(|c| c.outcome == Outcome::Failed);
    Report { schema: "omens.restore/1".to_owned(), host, started, finished, exit: u8::from(bad), error, errors, certificates }
}

/// What the settings are good for.
#[derive(Clone, Copy)]
enum Known<'a> {
    /// They can be used.
    Settings(&'a Settings),
    /// They cannot.
    Remains(&'a Remains),
}

/// What there is to restore.
struct Work<'a> {
    known: Known<'a>,
    paths: &'a Paths,
    /// Those that are restored from what they carry.
    faulty: Vec<Faulty>,
    clock: Clock,
}

impl<'a> Work<'a> {
    const fn settings(&self) -> Option<&'a Settings> {
        match self.known {
            Known::Settings(settings) => Some(settings),
            Known::Remains(_) => None,
        }
    }

    /// Looked at once nothing is carried over to another name any more.
    fn ground(&self) -> Ground<'a> {
        match self.known {
            Known::Settings(settings) => Ground::of(settings),
            Known::Remains(remains) => Ground::of_remains(remains, self.paths, &self.faulty),
        }
    }

    fn names(&self) -> impl Iterator<Item = &CertName> {
        let certificates = self.settings().map_or(&[][..], |settings| &settings.certificates);
        certificates.iter().map(Certificate::name).chain(self.faulty.iter().map(|faulty| &faulty.name))
    }

    fn all(&self, started: Time) -> Ended {
        let (certificates, error) = match self.state() {
            Ok(None) => (self.names().map(nothing).collect(), None),
            Err(failure) => (self.all_failed(&failure), None),
            Ok(Some(state)) => match Lock::try_take(&state, layout::LOCK) {
                Ok(Some(lock)) => {
                    let reports = self.under_lock(&state, started);
                    drop(lock);
                    (reports, None)
                }
                // Nobody else can be at work on a state directory that cannot be written; what it holds can be published all the same.
                Err(why) if why.errno == rustix::io::Errno::ROFS => {
                    tracing::warn!(%why, "the state directory is not written to, and what it holds is published");
                    (self.each(), None)
                }
                // Held: a run is at work, which waits for systemctl, which may wait for us (swap/ondisk.md, "Restore"). Look, and do not touch.
                Ok(None) => self.while_locked(&state),
                // Where the lock cannot be had at all no other run gets it either.
                Err(why) => (self.each(), Some(disk_error(&why))),
            },
        };
        let mut certificates = certificates;
        certificates.iter_mut().for_each(|report| tell_what_serves(&self.paths.run, report));
        Ended { certificates, error }
    }

    /// The state directory, where it is there and ours.
    fn state(&self) -> Result<Option<Dir>, Failure> {
        let state = Dir::open(&self.paths.state).map_err(|why| disk_failure(Stage::Publish, &why))?;
        state.as_ref().map_or(Ok(()), refuse_foreign)?;
        Ok(state)
    }

    fn under_lock(&self, state: &Dir, started: Time) -> Vec<CertReport> {
        let renamed = self.settings().map_or_else(Vec::new, |settings| renames::carry_over(state, settings));
        if let Some(Err(why)) = self.settings().map(|settings| keep_anchors(state, &settings.anchors())) {
            tracing::warn!(%why, "the pinned roots were not kept for a boot at which the settings are broken");
        }
        let mut reports = self.each();
        note_renamed(state, &renamed, &mut reports, started);
        note_failures(state, &reports, started, self.clock.now());
        reports
    }

    fn all_failed(&self, failure: &Failure) -> Vec<CertReport> {
        self.names().map(|name| failed(CertReport::new(name.clone(), Outcome::Failed), failure.clone())).collect()
    }

    fn each(&self) -> Vec<CertReport> {
        // Also where all is in its place: what lies in somebody else's directory may be exchanged at any time.
        if let Err(failure) = refuse_foreign_run(self.paths) {
            return self.all_failed(&failure);
        }
        let (ground, now) = (self.ground(), self.clock.now());
        let of_settings = |settings: &'a Settings| settings.certificates.iter().map(|certificate| one(settings, certificate, &ground, now));
        let mut reports: Vec<CertReport> = self.settings().into_iter().flat_map(of_settings).collect();
        reports.extend(self.faulty.iter().map(|faulty| bare::restore(&ground, faulty, now)));
        // Where nothing was to be published, what consumers are to trust may be missing all the same.
        if self.settings().is_none() || reports.iter().any(|report| report.generation.is_some()) {
            ground.show_trust();
        }
        reports.into_iter().map(whole).collect()
    }

    /// Another run is at work: 0 if every tree is complete already, else `locked`.
    fn while_locked(&self, state: &Dir) -> (Vec<CertReport>, Option<RunError>) {
        if let Err(failure) = refuse_foreign_run(self.paths) {
            return (self.all_failed(&failure), None);
        }
        let ground = self.ground();
        let found = |settings: &'a Settings| {
            settings.certificates.iter().map(|c| as_it_is(c.name(), inventory::one(settings, c, &ground.trust))).collect::<Vec<_>>()
        };
        let of_settings = self.settings().into_iter().flat_map(found);
        let of_ground = self.faulty.iter().map(|faulty| as_it_is(&faulty.name, ground.tree(faulty)));
        let reports: Vec<CertReport> = of_settings.chain(of_ground).collect();
        let is_incomplete = |report: &&CertReport| report.error.as_ref().is_some_and(|failure| failure.code == Code::Locked);
        let incomplete: Vec<&str> = reports.iter().filter(is_incomplete).map(|report| report.name.as_str()).collect();
        let error = (!incomplete.is_empty()).then(|| RunError {
            code: Code::Locked,
            text: format!("another run holds {}; not complete: {}", state.join(layout::LOCK).display(), incomplete.join(", ")),
            hint: Some("that run publishes what is missing; restore again when it has ended".to_owned()),
        });
        (reports, error)
    }
}

fn nothing(name: &CertName) -> CertReport {
    let mut report = CertReport::new(name.clone(), Outcome::Kept);
    report.reasons.push(Reason::new(ReasonCode::Missing, "no certificate was committed yet: there is nothing to restore"));
    report
}

fn failed(mut report: CertReport, failure: Failure) -> CertReport {
    report.outcome = Outcome::Failed;
    report.error = Some(failure);
    report
}

/// A file that consumers were promised and do not find is a failure, however much of the rest was published.
fn whole(report: CertReport) -> CertReport {
    let missing = report.warnings.iter().find(|warning| warning.code == Code::ContainerNotMade).map(|warning| warning.text.clone());
    match missing.filter(|_| report.error.is_none()) {
        Some(text) => {
            let hint = "everything else of it is published; mend that, then `omens restore` again";
            failed(report, Failure::new(Stage::Publish, Code::ContainerNotMade, text).hint(hint))
        }
        None => report,
    }
}

/// Restores one certificate. That two names claim it, or that it could not be carried over to its own, is a failure after that: it costs
/// nobody the files that are there.
fn one(settings: &Settings, certificate: &Certificate, ground: &Ground<'_>, now: Time) -> CertReport {
    let report = CertReport::new(certificate.name().clone(), Outcome::Kept);
    let tree = match inventory::one(settings, certificate, &ground.trust) {
        Ok(tree) => tree,
        Err(why) => return failed(report, disk_failure(Stage::Publish, &why)),
    };
    let report = CertReport { previous: tree.published.generation, generation: tree.published.generation, ..report };
    let report = back(settings, certificate, ground, &tree, now, report);
    match tree.rename.demand_done(certificate.name()) {
        Err(failure) if report.error.is_none() => failed(report, failure),
        _ => report,
    }
}

/// What there is of it, published where it is not yet.
fn back(settings: &Settings, certificate: &Certificate, ground: &Ground<'_>, tree: &Tree, now: Time, mut report: CertReport) -> CertReport {
    let name = certificate.name();
    let Some((kept, is_debt)) = choose(settings, certificate, tree, now, &mut report) else { return nothing(name) };
    match differs(settings, certificate, &ground.trust, kept) {
        Err(why) => return failed(report, disk_failure(Stage::Publish, &why)),
        Ok(None) if publishable(settings, certificate, kept, now) => {
            ground.publish_earlier(tree, kept, &mut report.warnings);
            describe_leaf(&mut report, kept.facts.as_ref());
            report.proof = proof_of_live(tree).filter(|_| !is_debt);
            return report;
        }
        Ok(text) => report.reasons.extend(text.map(|text| Reason::new(ReasonCode::Unpublished, text))),
    }
    let outlet = || Outlet::of_settings(settings, certificate, kept.generation, Some(ground.trust.clone()));
    let published = demand_publishable(settings, certificate, kept, now)
        .and_then(|_| ground.publish(name, tree.rename.name_on_disk(name), kept, outlet()));
    match published {
        Err(mut failure) => {
            // Keeping the key is what failed where its file does not open; everything else is publishing.
            if failure.code == Code::BlobDamaged {
                failure.stage = Stage::Seal;
            }
            failed(report, failure)
        }
        Ok(warnings) => {
            report.outcome = Outcome::Restored;
            report.warnings.extend(warnings);
            ground.publish_earlier(tree, kept, &mut report.warnings);
            report.generation = Some(kept.generation);
            report.proof = proof_of_live(tree).filter(|_| !is_debt);
            describe_leaf(&mut report, kept.facts.as_ref());
            report
        }
    }
}

fn differs(settings: &Settings, certificate: &Certificate, trust: &Arc<TrustFiles>, kept: &Kept) -> Result<Option<String>, DiskError> {
    let run = Dir::open(&settings.paths.run)?;
    inventory::unpublished(settings, certificate, Roots { certs: None, run: run.as_ref(), trust: Some(trust) }, kept)
}

/// What is said of a certificate while another run is at work on it.
fn as_it_is(name: &CertName, tree: Result<Tree, DiskError>) -> CertReport {
    let mut report = CertReport::new(name.clone(), Outcome::Kept);
    let tree = match tree {
        Err(why) => return failed(report, disk_failure(Stage::Publish, &why)),
        Ok(tree) => tree,
    };
    report.generation = tree.published.generation;
    report.previous = tree.published.generation;
    describe_leaf(&mut report, tree.published.facts.as_ref());
    // A run in the middle of a swap publishes before it commits: a complete newer generation is complete too.
    let whole = tree.published.facts.is_some();
    let ahead = whole && tree.published.generation > tree.live.as_ref().map(|live| live.generation);
    if tree.live.is_none() || (tree.unpublished.is_none() && whole) || ahead {
        return report;
    }
    let text = format!("{name} is not complete, and another run holds the lock");
    failed(report, Failure::new(Stage::Publish, Code::Locked, text).hint("`omens restore` again when that run has ended"))
}
