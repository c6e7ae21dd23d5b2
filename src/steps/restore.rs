//! `restore`: the run directory rebuilt from the state directory, as after every boot. No network, no process, no waiting for a lock.

mod bare;
mod notes;

use std::cell::OnceCell;
use std::sync::Arc;

use self::bare::Ground;
use self::notes::{note_failures, note_renamed};
use super::flow::describe_leaf;
use super::run::disk_error;
use super::swap::renames;
use super::swap::{Place, Trees, disk_failure, put_back};
use crate::config::settings::{Certificate, Faulty, Paths, Remains, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::lock::Lock;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::{CertReport, Report, RunError, SettingsError};
use crate::plan::debt::{debt_is_void, proof_of_live, publishable};
use crate::plan::faulty::{committed, on_disk};
use crate::plan::generation::Kept;
use crate::plan::inventory::{self, Roots, Tree};
use crate::plan::trust::{TrustFiles, Trusted};

/// Restores every certificate of the settings, and those whose settings are broken from what they carry.
#[must_use]
pub fn restore(settings: &Arc<Settings>, clock: Clock) -> Report {
    let started = clock.now();
    let ground = Ground::of(settings, clock);
    let work = Work { settings: Some(settings), faulty: on_disk(settings), ground: &ground, clock };
    let ended = work.all(&settings.paths, started);
    report(settings.host.clone(), settings.faults.errors.clone(), started, clock.now(), ended)
}

/// Restores every committed certificate although the settings cannot be used at all; `None` where there is none.
#[must_use]
pub fn restore_without_settings(remains: &Remains, paths: &Paths, clock: Clock) -> Option<Report> {
    let started = clock.now();
    let faulty = committed(remains, paths);
    let ground = Ground::of_remains(remains, paths, &faulty, clock);
    if faulty.is_empty() {
        return None;
    }
    let ended = Work { settings: None, faulty, ground: &ground, clock }.all(paths, started);
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

/// What there is to restore.
struct Work<'a> {
    settings: Option<&'a Arc<Settings>>,
    /// Those that are restored from what they carry.
    faulty: Vec<Faulty>,
    ground: &'a Ground<'a>,
    clock: Clock,
}

impl Work<'_> {
    fn certificates(&self) -> &[Certificate] {
        self.settings.map_or(&[], |settings| &settings.certificates)
    }

    fn all(&self, paths: &Paths, started: Time) -> Ended {
        let names = || self.certificates().iter().map(Certificate::name).chain(self.faulty.iter().map(|faulty| &faulty.name));
        let (certificates, error) = match Dir::open(&paths.state) {
            Ok(None) => (names().map(nothing).collect(), None),
            Err(why) => {
                let failure = disk_failure(Stage::Publish, &why);
                (names().map(|name| failed(CertReport::new(name.clone(), Outcome::Failed), failure.clone())).collect(), None)
            }
            Ok(Some(state)) => match Lock::try_take(&state, layout::LOCK) {
                Ok(Some(lock)) => {
                    let renamed = self.settings.map_or_else(Vec::new, |settings| renames::carry_over(&state, settings));
                    let mut reports = self.each();
                    note_renamed(&state, &renamed, &mut reports, started);
                    note_failures(&state, &reports, started, self.clock.now());
                    drop(lock);
                    (reports, None)
                }
                // Nobody else can be at work on a state directory that cannot be written; what it holds can be published all the same.
                Err(why) if why.errno == rustix::io::Errno::ROFS => (self.each(), None),
                // Held: a run is at work, which waits for systemctl, which may wait for us (swap/ondisk.md, "Restore"). Look, and do not touch.
                Ok(None) => self.while_locked(&state),
                Err(why) => (Vec::new(), Some(disk_error(&why))),
            },
        };
        Ended { certificates, error }
    }

    fn each(&self) -> Vec<CertReport> {
        let mut reports = self.settings.map_or_else(Vec::new, |settings| all(settings, self.clock));
        reports.extend(self.faulty.iter().map(|faulty| self.ground.restore(faulty)));
        if self.settings.is_none() {
            self.ground.show_trust();
        }
        reports
    }

    /// Another run is at work: 0 if every tree is complete already, else `locked`.
    fn while_locked(&self, state: &Dir) -> (Vec<CertReport>, Option<RunError>) {
        let found = |settings: &Arc<Settings>| -> Vec<CertReport> {
            let trust = trust_of(settings);
            settings.certificates.iter().map(|c| as_it_is(c.name(), inventory::one(settings, c, &trust))).collect()
        };
        let of_settings = self.settings.into_iter().flat_map(found);
        let of_ground = self.faulty.iter().map(|faulty| as_it_is(&faulty.name, self.ground.tree(&faulty.name)));
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

fn all(settings: &Arc<Settings>, clock: Clock) -> Vec<CertReport> {
    // Opened once, and only if there is something to write.
    let trees = OnceCell::new();
    let open = || trees.get_or_init(|| Trees::open(settings)).clone();
    let trust = trust_of(settings);
    let reports: Vec<CertReport> = settings.certificates.iter().map(|c| one(settings, c, &trust, &open, clock.now())).collect();
    // Where nothing was to be published, what consumers are to trust may be missing all the same.
    let published = reports.iter().any(|report| report.generation.is_some());
    if published && let Err(why) = open() {
        tracing::warn!(%why, "what consumers are to trust was not written");
    }
    reports
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

/// What consumers are to trust, by what is committed; where that cannot be read, each certificate says so in its turn.
fn trust_of(settings: &Settings) -> Arc<TrustFiles> {
    let certs = Dir::open(&settings.paths.state).ok().flatten().and_then(|state| state.child(layout::CERTS).ok().flatten());
    Arc::new(Trusted::of_settings(settings, certs.as_ref()).files())
}

/// Restores one certificate.
fn one(
    settings: &Settings,
    certificate: &Certificate,
    trust: &Arc<TrustFiles>,
    trees: &dyn Fn() -> Result<Arc<Trees>, Failure>,
    now: Time,
) -> CertReport {
    let report = CertReport::new(certificate.name().clone(), Outcome::Kept);
    let tree = match inventory::one(settings, certificate, trust) {
        Ok(tree) => tree,
        Err(why) => return failed(report, disk_failure(Stage::Publish, &why)),
    };
    if let Err(failure) = tree.rename.demand_done(certificate.name()) {
        return failed(report, failure);
    }
    let mut report = CertReport { previous: tree.published.generation, generation: tree.published.generation, ..report };
    let Some((kept, is_debt)) = choose(settings, certificate, &tree, now, &mut report) else { return nothing(certificate.name()) };
    match differs(settings, certificate, trust, kept) {
        Err(why) => return failed(report, disk_failure(Stage::Publish, &why)),
        Ok(None) if publishable(settings, certificate, kept, now) => {
            describe_leaf(&mut report, kept.facts.as_ref());
            report.proof = proof_of_live(&tree).filter(|_| !is_debt);
            return report;
        }
        Ok(text) => report.reasons.extend(text.map(|text| Reason::new(ReasonCode::Unpublished, text))),
    }
    let generation = kept.generation;
    match trees().and_then(|trees| Place::open(&trees, certificate.name())).and_then(|place| put_back(&place, generation, now)) {
        Err(mut failure) => {
            // Keeping the key is what failed where its file does not open; everything else is publishing.
            if failure.code == Code::BlobDamaged {
                failure.stage = Stage::Seal;
            }
            failed(report, failure)
        }
        Ok((facts, warnings)) => {
            report.outcome = Outcome::Restored;
            report.warnings.extend(warnings);
            report.generation = Some(generation);
            report.proof = proof_of_live(&tree).filter(|_| !is_debt);
            describe_leaf(&mut report, Some(&facts));
            report
        }
    }
}

/// `live`; if absent, damaged or expired, the newest valid debt; if there is none, the expired `live` all the same, with a warning.
fn choose<'a>(
    settings: &Settings,
    certificate: &Certificate,
    tree: &'a Tree,
    now: Time,
    report: &mut CertReport,
) -> Option<(&'a Kept, bool)> {
    let expired = tree.live.as_ref().and_then(|live| live.facts.as_ref()).is_some_and(|facts| facts.not_after <= now);
    let damaged = tree.live.as_ref().is_some_and(|live| !expired && !publishable(settings, certificate, live, now));
    let valid_debt = tree.debt.as_ref().filter(|debt| debt_is_void(settings, certificate, debt, now).is_none());
    match (&tree.live, valid_debt) {
        (Some(live), _) if !expired && !damaged => Some((live, false)),
        (live, Some(debt)) => {
            let why = match live {
                Some(_) if expired => "the committed certificate has expired",
                Some(_) => "the committed certificate is damaged",
                None => "nothing was committed yet",
            };
            report.warnings.push(Warning::new(Code::DebtPublished, format!("{why}; {} was issued and is valid", debt.generation)));
            Some((debt, true))
        }
        (Some(live), None) => {
            if expired {
                let text = "the committed certificate has expired and is published all the same; run `omens renew --all`";
                report.warnings.push(Warning::new(Code::Expired, text));
            }
            Some((live, false))
        }
        (None, None) => None,
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
