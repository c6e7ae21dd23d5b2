//! A group of staged certificates brought out: publish → one reload per service → verify → commit. What fails goes to `undo`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use futures_util::future::join_all;

use super::job::Job;
use super::undo;
use super::{Shared, block};
use crate::config::settings::{Driver, Nginx};
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::state::Proof;
use crate::steps::commit::{collect, commit};
use crate::steps::reload::{self, ServiceState, TakenUp};
use crate::steps::swap::{Published, Staged};
use crate::steps::verify::{self, Proven};

/// What each service answered to one round of reloads.
pub(super) type Answers = BTreeMap<Driver, Result<TakenUp, Failure>>;

/// A certificate that is out and waits for its proof.
pub(super) type Out = (Job, Published);

/// Brings the group out.
pub(super) async fn deploy(shared: &Shared<'_>, staged: Vec<(Job, Staged)>) -> Vec<Job> {
    let mut done = Vec::new();
    let mut out = Vec::new();
    for (job, staged) in staged {
        match publish(shared, job, staged).await {
            Ok(published) => out.push(published),
            Err(job) => done.push(*job),
        }
    }
    if out.is_empty() {
        return done;
    }
    let answers = reload_all(shared, &out).await;
    let (refused, taken): (Vec<Out>, Vec<Out>) = out.into_iter().partition(|(job, _)| first_refusal(job, &answers).is_some());
    done.extend(undo::after_refused_reload(shared, refused, &answers).await);
    done.extend(prove(shared, taken, &answers).await);
    done
}

async fn publish(shared: &Shared<'_>, mut job: Job, staged: Staged) -> Result<Out, Box<Job>> {
    let generation = staged.generation();
    job.reach(Stage::Publish);
    match block(move || Published::new(staged).map_err(|why| why.1)).await {
        Ok(published) => {
            job.report.warnings.extend_from_slice(published.warnings());
            Ok((job, published))
        }
        Err(failure) => {
            undo::files_back(shared, &mut job).await;
            job.fail_noted(Outcome::Failed, failure, Some(generation), shared.clock.now()).await;
            Err(Box::new(job))
        }
    }
}

/// Asks every service of these certificates once.
pub(super) async fn reload_all(shared: &Shared<'_>, out: &[Out]) -> Answers {
    let drivers: BTreeSet<Driver> = out.iter().flat_map(|(job, _)| job.drivers().iter().cloned()).collect();
    if !drivers.is_empty() {
        out.iter().for_each(|(job, _)| shared.watch.stage(&job.step.name, Stage::Reload));
    }
    let asked = drivers.into_iter().map(|driver| async {
        let answer = take_up(shared, &driver).await;
        (driver, answer)
    });
    join_all(asked).await.into_iter().collect()
}

/// Makes one service take new files up. A failed one gets one start in a run, whatever is tried after that.
async fn take_up(shared: &Shared<'_>, driver: &Driver) -> Result<TakenUp, Failure> {
    let state = reload::state(driver).await?;
    if state == ServiceState::Failed && !shared.started.lock().unwrap_or_else(PoisonError::into_inner).insert(driver.clone()) {
        let text = format!("{} had its one start in this run and has failed again", reload::name(driver));
        return Err(Failure::new(Stage::Reload, Code::ReloadFailed, text).hint("its own log says why"));
    }
    reload::take_up(driver, state).await
}

/// The first refusal among a certificate's services.
pub(super) fn first_refusal(job: &Job, answers: &Answers) -> Option<Failure> {
    job.drivers().iter().find_map(|driver| answers.get(driver)?.as_ref().err().cloned())
}

fn stopped(job: &Job, answers: &Answers) -> Vec<String> {
    let is_stopped = |driver: &&Driver| matches!(answers.get(*driver), Some(Ok(TakenUp::Stopped)));
    job.drivers().iter().filter(is_stopped).map(reload::name).collect()
}

/// Verifies what the services took, commits what is proven, and takes the rest back.
async fn prove(shared: &Shared<'_>, taken: Vec<Out>, answers: &Answers) -> Vec<Job> {
    let looked = join_all(taken.into_iter().map(|(job, published)| look(shared, job, published, answers))).await;
    let mut done = Vec::new();
    let mut failed = Vec::new();
    for (job, result) in looked {
        match result {
            Look::Proven(proven) => done.push(commit_one(shared, job, *proven, None).await),
            Look::StillStopped => done.push(job),
            Look::Failed(published, failure) => failed.push((job, *published, failure)),
        }
    }
    if failed.is_empty() {
        return done;
    }
    undo::after_failed_proof(shared, failed, done).await
}

/// What came of looking for one certificate's proof.
pub(super) enum Look {
    Proven(Box<Proven>),
    StillStopped,
    Failed(Box<Published>, Failure),
}

/// Looks for the proof of one certificate.
pub(super) async fn look(shared: &Shared<'_>, mut job: Job, published: Published, answers: &Answers) -> (Job, Look) {
    for driver in job.drivers().to_vec() {
        if let Some(Ok(TakenUp::Asked(warnings))) = answers.get(&driver) {
            job.report.warnings.extend(warnings.iter().cloned());
        }
    }
    job.stopped = stopped(&job, answers);
    let previous = job.found.as_ref().map(|facts| facts.sha256.clone());
    if is_all_stopped(&job) && job.drivers().iter().any(is_known_by_pid) {
        // A pid file is only a file: with a wrong one a service would never be proven again, and nobody would know.
        let (endpoints, anchor) = (&job.certificate().verify, &shared.settings.anchor);
        if let Err(failure) = verify::is_silent(endpoints, published.facts(), previous.as_ref(), anchor, shared.clock).await {
            return (job, Look::Failed(Box::new(published), failure));
        }
    }
    let all_stopped = is_all_stopped(&job);
    // Committed like that already: nothing happened, nothing is noted (ONDISK: `not-due`).
    if all_stopped && job.step.unproven && job.place.committed() == Some(published.generation()) && job.report.error.is_none() {
        return (job, Look::StillStopped);
    }
    if all_stopped {
        return (job, Look::Proven(Box::new(Proven::services_stopped(published))));
    }
    job.reach(Stage::Verify);
    shared.watch.stage(&job.step.name, Stage::Verify);
    let some_stopped = !job.stopped.is_empty();
    let verified = match shared.looks.acquire().await {
        Ok(_permit) => verify::verify(published, previous.as_ref(), some_stopped, shared.clock).await,
        Err(_) => Err(Box::new((published, Failure::new(Stage::Verify, Code::Interrupted, "the run is ending")))),
    };
    match verified {
        Ok(proven) => (job, Look::Proven(Box::new(proven))),
        Err(why) => {
            let (published, failure) = *why;
            (job, Look::Failed(Box::new(published), failure))
        }
    }
}

fn is_all_stopped(job: &Job) -> bool {
    !job.stopped.is_empty() && job.stopped.len() == job.drivers().len()
}

const fn is_known_by_pid(driver: &Driver) -> bool {
    matches!(driver, Driver::Nginx(Nginx::Process { pid: Some(_), .. }))
}

/// Commits, notes that, and removes what nobody needs any more. `failure` is why a generation is committed without a proof.
pub(super) async fn commit_one(shared: &Shared<'_>, mut job: Job, proven: Proven, failure: Option<Failure>) -> Job {
    let now = shared.clock.now();
    let generation = proven.published().generation();
    let (notes, place) = (job.notes.clone(), job.place.clone());
    let earlier = failure.clone().or_else(|| job.report.error.clone());
    let stopped = if proven.proof() == Proof::ServiceStopped { job.stopped.clone() } else { Vec::new() };
    let keeps_all = job.step.going_back;
    let ended = block(move || {
        let committed = commit(proven).map_err(|why| why.1)?;
        let noted = notes.committed(&committed, stopped, earlier.as_ref(), now);
        let state = notes.state();
        // After a person's rollback nothing is thrown away: what was rolled back may be wanted for a look.
        if !keeps_all && let Err(why) = collect(&place, &state) {
            tracing::warn!(%why, "an old generation was not removed");
        }
        Ok((committed, noted))
    });
    match ended.await {
        Ok((committed, noted)) => {
            job.committed(&committed);
            if let Err(why) = noted {
                job.warn(Code::StateNotWritten, why.text);
            }
            if let Some(failure) = failure {
                job.fail(Outcome::Failed, failure);
            }
        }
        Err(failure) => job.fail_noted(Outcome::Failed, failure, Some(generation), now).await,
    }
    job
}
