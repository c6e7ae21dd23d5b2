//! A run: the one place that knows the whole order of the steps. Planning decides, this executes.
//!
//! Phases: issue (8 at a time) → publish → one reload per service → verify → commit. Certificates that share a service go through the
//! phases together; a certificate waits for no other.

mod deploy;
mod groups;
mod job;
mod prepare;
mod undo;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OnceCell, Semaphore};

pub(in crate::steps) use job::describe_leaf;

use self::job::{Job, report_of};
use super::issue::Session;
use super::record::Notes;
use super::run::{Begun, Run, interrupted};
use super::swap::Place;
use crate::config::settings::{Certificate, Settings};
use crate::model::clock::{Clock, Time};
use crate::model::entry::{Entry, Outcome};
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::name::CertName;
use crate::model::report::{CertReport, Report, Watch};
use crate::plan::decide::{Action, Step, decide};
use crate::plan::inventory::{self, Tree};

/// Certificates that are issued at a time.
const AT_A_TIME: usize = 8;

/// What `renew` was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// These certificates; empty: all.
    pub names: Vec<CertName>,
    /// Sign anew whatever the plan says.
    pub force: bool,
    /// How long to wait for another run's lock.
    pub wait: Duration,
}

/// What all certificates of a run share.
pub(super) struct Shared<'a> {
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    pub(super) watch: &'a dyn Watch,
    pub(super) permits: Semaphore,
    session: OnceCell<Result<Session, Failure>>,
}

impl Shared<'_> {
    /// The run's one session with OpenBao, opened when the first certificate needs it.
    pub(super) async fn session(&self) -> Result<&Session, Failure> {
        let open = || Session::open(&self.settings.openbao, self.clock, self.settings.credentials.as_deref());
        self.session.get_or_init(open).await.as_ref().map_err(Clone::clone)
    }
}

/// Runs blocking disk work off the network's thread.
pub(super) async fn block<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|why| Err(Failure::new(Stage::Commit, "interrupted", format!("the run is ending: {why}"))))
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
        Err(why) => return run.end_all_failed(&wanted, &super::swap::disk_failure(Stage::Plan, &why)),
    };
    let now = clock.now();
    let mut reports: BTreeMap<CertName, CertReport> = BTreeMap::new();
    let mut due = Vec::new();
    let mut entries = Vec::new();
    for (observed, certificate) in found.certificates.into_iter().zip(&wanted) {
        match observed.tree {
            Err(why) => {
                let failure = super::swap::disk_failure(Stage::Plan, &why);
                let (report, entry) = run.failed(&observed.name, failure, now);
                entries.push(entry);
                reports.insert(observed.name, report);
            }
            Ok(tree) => {
                let step = decide(settings, certificate, &tree, now, options.force);
                if step.action == Action::Nothing {
                    if tree.leftovers || found.half_made || tree.state.begun.is_some() {
                        after_kill(settings, certificate, &tree, &run, now);
                    }
                    reports.insert(observed.name, report_of(&step, &tree));
                } else {
                    due.push((*certificate, step, tree));
                }
            }
        }
    }
    if !due.is_empty() {
        for (report, entry) in act(settings, clock, watch, &run, due) {
            entries.extend(entry);
            reports.insert(report.name.clone(), report);
        }
    }
    run.end(entries, wanted.iter().filter_map(|c| reports.remove(c.name())).collect())
}

/// A run that was killed, and left nothing to do but its remains: opening the place removes them, and its end is written down.
fn after_kill(settings: &Arc<Settings>, certificate: &Certificate, tree: &Tree, run: &Run, now: Time) {
    let place = match Place::open(settings, certificate) {
        Ok(place) => Arc::new(place),
        Err(why) => return tracing::warn!(%why, "the remains of a killed run stay"),
    };
    let Some(cut) = interrupted(tree, certificate.name(), now) else { return };
    run.note(&cut);
    if let Err(why) = Notes::new(place, &run.id, tree.state.clone()).over() {
        tracing::warn!(%why, "an interrupted run stays noted");
    }
}

type Due<'a> = (&'a Certificate, Step, Tree);

/// Does what the plan says. Only from here on is there a runtime, a network and whatever else a run needs.
fn act(settings: &Arc<Settings>, clock: Clock, watch: &dyn Watch, run: &Run, due: Vec<Due<'_>>) -> Vec<(CertReport, Option<Entry>)> {
    let mut ended = Vec::new();
    let mut jobs = Vec::new();
    for (certificate, step, tree) in due {
        if let Some(cut) = interrupted(&tree, certificate.name(), clock.now()) {
            run.note(&cut);
        }
        match Job::open(settings, certificate, step, tree, &run.id) {
            Ok(job) => jobs.push(job),
            Err(report) => {
                let failure = report.error.clone().unwrap_or_else(|| Failure::new(Stage::Plan, "disk", "it cannot be opened"));
                let (_, entry) = run.failed(certificate.name(), failure, clock.now());
                ended.push((*report, Some(entry)));
            }
        }
    }
    let runtime = match super::run::runtime() {
        Ok(runtime) => runtime,
        Err(failure) => {
            ended.extend(jobs.into_iter().map(|mut job| {
                job.fail(Outcome::Failed, failure.clone());
                job.end(&run.id, clock.now())
            }));
            return ended;
        }
    };
    let shared = Shared { settings: settings.clone(), clock, watch, permits: Semaphore::new(AT_A_TIME), session: OnceCell::new() };
    ended.extend(runtime.block_on(all(shared, run, jobs)));
    // A blocked name resolution must not hold up the end of a run.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

async fn all(shared: Shared<'_>, run: &Run, jobs: Vec<Job>) -> Vec<(CertReport, Option<Entry>)> {
    let mut ended = Vec::new();
    let mut working: FuturesUnordered<_> = groups::by_service(jobs).into_iter().map(|group| together(&shared, group)).collect();
    while let Some(group) = working.next().await {
        for job in group {
            let (report, entry) = job.end(&run.id, shared.clock.now());
            if let Some(entry) = &entry {
                run.note(entry);
            }
            shared.watch.finished(&report);
            // Its line is in the ledger already.
            ended.push((report, None));
        }
    }
    drop(working);
    if let Some(Ok(session)) = shared.session.into_inner() {
        add_warnings(&mut ended, session.close().await);
    }
    ended
}

/// What the server said about the run as a whole is said of every certificate that was asked for in it.
fn add_warnings(ended: &mut [(CertReport, Option<Entry>)], warnings: Vec<Warning>) {
    for warning in warnings {
        for (report, _) in ended.iter_mut().filter(|(report, _)| report.outcome != Outcome::NotDue) {
            report.warnings.push(warning.clone());
        }
    }
}

/// One group: its certificates are prepared side by side and brought out together.
async fn together(shared: &Shared<'_>, group: Vec<Job>) -> Vec<Job> {
    let mut preparing: FuturesUnordered<_> = group.into_iter().map(|job| prepare::prepare(shared, job)).collect();
    let (mut staged, mut done) = (Vec::new(), Vec::new());
    while let Some((job, result)) = preparing.next().await {
        match result {
            Some(generation) => staged.push((job, generation)),
            None => done.push(job),
        }
    }
    done.extend(deploy::deploy(shared, staged).await);
    done
}
