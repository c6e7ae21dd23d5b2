//! A run: the one place that knows the whole order of the steps. Planning decides, this executes.
//!
//! Phases: issue (8 at a time) → publish → one reload per service → verify → commit. Certificates that share a service go through the
//! phases together; a certificate waits for no other.

mod deploy;
pub mod ending;
mod groups;
mod job;
mod keys;
mod prepare;
mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;

pub(in crate::steps) use job::describe_leaf;
pub(in crate::steps) use keys::collect_sealing_keys;

use self::ending::Ending;
use self::job::{Job, report_of};
use self::keys::{Undecided, clean_sealing_keys};
use self::prepare::Prepared;
use super::attest::AttestationGate;
use super::issue::{self, Issuer};
use super::record::Notes;
use super::run::{Begun, Run, interrupted, runtime};
use super::swap::{Place, Trees, disk_failure};
use crate::config::settings::{Certificate, Driver, Settings};
use crate::io::tpm::limit::Unanswered;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::key::Keep;
use crate::model::name::CertName;
use crate::model::report::{CertReport, Report, Watch};
use crate::plan::decide::{Action, Step, decide};
use crate::plan::inventory::{self, Tree};
use crate::plan::sealing::plaintext_warning;

/// Certificates that are issued at a time.
const AT_A_TIME: usize = 8;
/// Certificates that are looked for on the wire at a time.
const LOOKS_AT_A_TIME: usize = 32;

/// What `renew` was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// These certificates; empty: all.
    pub names: Vec<CertName>,
    /// Sign anew whatever the plan says.
    pub force: bool,
    /// How long to wait for another run's lock.
    pub wait: Duration,
    /// Whether the run is asked to end early.
    pub ending: Ending,
    /// What earlier runs of this process gave up.
    pub unanswered: Unanswered,
}

/// What all certificates of a run share.
struct Shared<'a> {
    settings: Arc<Settings>,
    trees: Arc<Trees>,
    run: &'a Run,
    clock: Clock,
    watch: &'a dyn Watch,
    ending: &'a Ending,
    /// Certificates that may be issued.
    permits: Semaphore,
    /// Certificates that may be looked for on the wire: each look is a socket.
    looks: Semaphore,
    /// Failed services that had their one start.
    started: Mutex<BTreeSet<Driver>>,
    /// Who signs; opened by the first certificate that needs it.
    issuer: Arc<dyn Issuer>,
    /// Whether they may be asked.
    gate: AttestationGate,
}

/// Runs blocking disk work off the network's thread.
async fn block<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|why| Err(Failure::new(Stage::Commit, Code::Interrupted, format!("the run is ending: {why}"))))
}

/// Renews what is due.
#[must_use]
pub fn renew(settings: &Arc<Settings>, options: &Options, clock: Clock, watch: &dyn Watch) -> Report {
    let run = match Run::begin("renew", settings, options.wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let wanted: Vec<&Certificate> =
        settings.certificates.iter().filter(|c| options.names.is_empty() || options.names.contains(c.name())).collect();
    let found = match inventory::take(settings, &wanted) {
        Ok(inventory) => inventory,
        Err(why) => {
            let failure = disk_failure(Stage::Plan, &why);
            let all = wanted.iter().map(|c| run.failed(CertReport::new(c.name().clone(), Outcome::Failed), failure.clone())).collect();
            return run.end(all);
        }
    };
    let now = clock.now();
    let mut reports: BTreeMap<CertName, CertReport> = BTreeMap::new();
    let mut due = Vec::new();
    for (observed, certificate) in found.certificates.into_iter().zip(&wanted) {
        match observed.tree {
            Err(why) => {
                let report = CertReport::new(observed.name.clone(), Outcome::Failed);
                reports.insert(observed.name, run.failed(report, disk_failure(Stage::Plan, &why)));
            }
            Ok(tree) => {
                let step = decide(settings, certificate, &tree, now, options.force);
                if step.action == Action::Nothing {
                    if tree.leftovers || found.half_made || tree.state.begun.is_some() {
                        after_kill(settings, certificate, &tree, &run, now);
                    }
                    let mut report = report_of(&step, &tree);
                    report.warnings.extend(plaintext_warning(&tree.in_clear));
                    reports.insert(observed.name, report);
                } else {
                    due.push((*certificate, step, tree));
                }
            }
        }
    }
    // A run that does something collects them at its end.
    if found.sealing.leftovers || (due.is_empty() && found.sealing.are_several()) {
        clean_sealing_keys(settings);
    }
    if !due.is_empty() {
        let around = Around { clock, watch, ending: &options.ending };
        let ended = renew_due(settings, (now, options), around, &run, due);
        reports.extend(ended.into_iter().map(|report| (report.name.clone(), report)));
    }
    run.end(wanted.iter().filter_map(|c| reports.remove(c.name())).collect())
}

fn renew_due(
    settings: &Arc<Settings>,
    (now, options): (Time, &Options),
    around: Around<'_>,
    run: &Run,
    due: Vec<Due<'_>>,
) -> Vec<CertReport> {
    let (force, unanswered) = (options.force, options.unanswered.clone());
    let trees = match Trees::open_after(settings, unanswered) {
        Ok(trees) => trees,
        Err(failure) => return due.iter().map(|(_, step, tree)| run.failed(report_of(step, tree), failure.clone())).collect(),
    };
    let (mut ended, mut ready, mut warnings) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (certificate, step, mut tree) in due {
        let mut report = report_of(&step, &tree);
        match (Undecided { settings, certificate, now, force }).with_keys(&trees, &mut tree, step) {
            Ok((step, said)) => {
                warnings.insert(certificate.name().clone(), said);
                ready.push((certificate, step, tree));
            }
            Err(failure) => {
                report.warnings.extend(plaintext_warning(&tree.in_clear));
                ended.push(run.failed(report, failure));
            }
        }
    }
    make_ready(&trees, &ready, now);
    ended.extend(act(&trees, around, run, ready).into_iter().map(|mut report| {
        // That the sealing key does not open is said once, by whoever found it out first.
        for said in warnings.remove(&report.name).unwrap_or_default() {
            report.warnings.retain(|warning| warning.code != said.code);
            report.warnings.insert(0, said);
        }
        report
    }));
    collect_sealing_keys(&trees);
    ended
}

/// Opens the TPM for the keys that need it, and closes it, before certificates go their ways: from then on children are started, and libtss2
/// opens it without close-on-exec. What fails is kept by the store, and each certificate says it in its turn.
fn make_ready(trees: &Trees, ready: &[Due<'_>], now: Time) {
    let issued = ready.iter().filter(|(_, step, _)| step.action == Action::Issue);
    let keeps: BTreeSet<Keep> = issued.map(|(certificate, ..)| certificate.keep).collect();
    for keep in keeps {
        if let Err(why) = trees.stores().keeping(keep).and_then(|store| store.make_ready(now)) {
            tracing::debug!(%why, "no key can be kept");
        }
    }
}

/// A run that was killed, and left nothing to do but its remains: opening the place removes them, and its end is written down.
fn after_kill(settings: &Arc<Settings>, certificate: &Certificate, tree: &Tree, run: &Run, now: Time) {
    let place = match Trees::open(settings).and_then(|trees| Place::open(&trees, certificate.name())) {
        Ok(place) => Arc::new(place),
        Err(why) => return tracing::warn!(%why, "the remains of a killed run stay"),
    };
    let Some(cut) = interrupted(tree, certificate.name(), now) else { return };
    run.note(&cut);
    if let Err(why) = Notes::new(place, &run.id, tree.state.clone()).over() {
        tracing::warn!(%why, "an interrupted run stays noted");
    }
}

/// What a run is given by whoever asked for it.
#[derive(Clone, Copy)]
pub(in crate::steps) struct Around<'a> {
    pub(in crate::steps) clock: Clock,
    pub(in crate::steps) watch: &'a dyn Watch,
    pub(in crate::steps) ending: &'a Ending,
}

/// A certificate, what is to be done about it, and what it was decided from.
pub(in crate::steps) type Due<'a> = (&'a Certificate, Step, Tree);

/// Does what the plan says. Only from here on is there a runtime, a network and whatever else a run needs.
pub(in crate::steps) fn act(trees: &Arc<Trees>, around: Around<'_>, run: &Run, due: Vec<Due<'_>>) -> Vec<CertReport> {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(failure) => return due.iter().map(|(_, step, tree)| run.failed(report_of(step, tree), failure.clone())).collect(),
    };
    let Around { clock, watch, ending } = around;
    let shared = Shared {
        settings: trees.settings().clone(),
        trees: trees.clone(),
        run,
        clock,
        watch,
        ending,
        permits: Semaphore::new(AT_A_TIME),
        looks: Semaphore::new(LOOKS_AT_A_TIME),
        started: Mutex::default(),
        issuer: issue::of(trees.settings(), clock),
        // `[attestation] required` is not available in this build.
        gate: AttestationGate::open(),
    };
    let ended = runtime.block_on(all(shared, due));
    // A blocked name resolution must not hold up the end of a run.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

async fn all(shared: Shared<'_>, due: Vec<Due<'_>>) -> Vec<CertReport> {
    let mut ended = Vec::new();
    let mut working: FuturesUnordered<_> = groups::by_service(due).into_iter().map(|group| together(&shared, group)).collect();
    while let Some(group) = working.next().await {
        ended.extend(group);
    }
    drop(working);
    add_warnings(&mut ended, &shared.issuer.close().await);
    ended
}

/// What the server said about the run as a whole is said of every certificate that was asked for in it.
fn add_warnings(ended: &mut [CertReport], warnings: &[Warning]) {
    for report in ended.iter_mut().filter(|report| report.outcome != Outcome::NotDue) {
        report.warnings.extend_from_slice(warnings);
    }
}

/// One group: its certificates are prepared side by side and brought out together.
async fn together(shared: &Shared<'_>, group: Vec<Due<'_>>) -> Vec<CertReport> {
    let mut preparing: FuturesUnordered<_> = group.into_iter().map(|(_, step, tree)| prepare::prepare(shared, step, tree)).collect();
    let (mut staged, mut ended) = (Vec::new(), Vec::new());
    while let Some(prepared) = preparing.next().await {
        match prepared {
            Prepared::Staged(job, generation) => staged.push((*job, *generation)),
            Prepared::Ended(job) => ended.push(finish(shared, *job)),
            Prepared::Unopened(report, failure) => ended.push(shared.run.failed(*report, failure)),
        }
    }
    ended.extend(deploy::deploy(shared, staged).await.into_iter().map(|job| finish(shared, job)));
    ended
}

/// Ends a certificate's part: its line in the ledger, and only then the note that a run is at work on it is taken away.
fn finish(shared: &Shared<'_>, job: Job) -> CertReport {
    let (report, entry) = job.end(&shared.run.id, shared.clock.now());
    if let Some(entry) = &entry {
        shared.run.note(entry);
        job.over();
    }
    shared.watch.finished(&report);
    report
}
