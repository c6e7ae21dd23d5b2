//! The way back: what a service did not take up goes, the committed generation returns and is looked for on the wire.

use futures_util::future::join_all;

use super::deploy::{Answers, Look, Out, commit_one, first_refusal, look, reload_all};
use super::job::Job;
use super::{Shared, block};
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::steps::swap::{Published, put_back};
use crate::steps::verify::{Proven, serves};

/// Certificates tried alone that may fail before the rest is left for the next run (ONDISK, Shared reload).
const ALONE_FAILURES: usize = 2;

type Undone = (Job, Published, Failure);

/// Gives consumers the committed generation back, if there is one to go back to.
pub(super) async fn files_back(job: &Job) -> Result<(), Failure> {
    let Some(generation) = job.step.way_back else { return Ok(()) };
    let place = job.place.clone();
    block(move || put_back(&place, generation).map(drop)).await
}

/// Ends certificates that have no way back: they stay, committed without proof, as debt (ONDISK, No way back).
async fn stay(shared: &Shared<'_>, stuck: Vec<Undone>) -> Vec<Job> {
    let mut done = Vec::new();
    for (job, published, failure) in stuck {
        done.push(commit_one(shared, job, Proven::no_way_back(published), Some(failure)).await);
    }
    done
}

/// A service refused its reload: all of this run's certificates of it go back, one reload, then each is tried alone.
pub(super) async fn after_refused_reload(shared: &Shared<'_>, refused: Vec<Out>, answers: &Answers) -> Vec<Job> {
    let unknown = || Failure::new(Stage::Reload, "reload-failed", "its service refused the reload");
    let failed: Vec<Undone> = refused
        .into_iter()
        .map(|(job, published)| {
            let failure = first_refusal(&job, answers).unwrap_or_else(unknown);
            (job, published, failure)
        })
        .collect();
    let (back, stuck): (Vec<Undone>, Vec<Undone>) = failed.into_iter().partition(|(job, _, _)| job.step.way_back.is_some());
    let mut done = stay(shared, stuck).await;
    let back = take_back(shared, back).await;
    if back.len() < 2 {
        done.extend(judge_reverts(shared, back).await);
        return done;
    }
    let mut reverted = Vec::new();
    let mut failures = 0;
    for (job, published, failure) in back {
        if failures >= ALONE_FAILURES {
            reverted.push((job, published, failure));
            continue;
        }
        match alone(shared, job, published).await {
            Ok(job) => done.push(*job),
            Err(undone) => {
                failures += 1;
                reverted.extend(take_back(shared, vec![*undone]).await);
            }
        }
    }
    done.extend(judge_reverts(shared, reverted).await);
    done
}

/// Tries one certificate by itself.
async fn alone(shared: &Shared<'_>, job: Job, published: Published) -> Result<Box<Job>, Box<Undone>> {
    let published = match block(move || Ok(published.again())).await {
        Ok(Ok(published)) => published,
        Ok(Err(why)) => {
            let (published, failure) = *why;
            return Err(Box::new((job, published, failure)));
        }
        // Only a runtime that is going away ends here; the generation stays complete on disk and is debt for the next run.
        Err(failure) => {
            let mut job = job;
            job.fail(Outcome::Failed, failure);
            return Ok(Box::new(job));
        }
    };
    let out = [(job, published)];
    let answers = reload_all(shared, &out).await;
    let [(job, published)] = out;
    if let Some(failure) = first_refusal(&job, &answers) {
        return Err(Box::new((job, published, failure)));
    }
    match look(shared, job, published, &answers).await {
        (job, Look::Proven(proven)) => Ok(Box::new(commit_one(shared, job, *proven, None).await)),
        (job, Look::StillStopped) => Ok(Box::new(job)),
        (job, Look::Failed(published, failure)) => Err(Box::new((job, *published, failure))),
    }
}

/// Some were not proven: the proven are committed by now, the others go back with one more reload, and the proven are looked at again.
pub(super) async fn after_failed_proof(shared: &Shared<'_>, failed: Vec<Undone>, done: Vec<Job>) -> Vec<Job> {
    let (back, stuck): (Vec<Undone>, Vec<Undone>) = failed.into_iter().partition(|(job, _, _)| job.step.way_back.is_some());
    let touched: Vec<_> = back.iter().flat_map(|(job, _, _)| job.drivers().to_vec()).collect();
    let mut ended = stay(shared, stuck).await;
    let back = take_back(shared, back).await;
    ended.extend(judge_reverts(shared, back).await);
    for job in done {
        let shares = job.drivers().iter().any(|driver| touched.contains(driver));
        ended.push(if shares { look_again(shared, job).await } else { job });
    }
    ended
}

async fn look_again(shared: &Shared<'_>, mut job: Job) -> Job {
    let Some((generation, facts)) = job.new.clone() else { return job };
    if !matches!(job.report.outcome, Outcome::Renewed | Outcome::Settled) || job.report.proof != Some(crate::model::state::Proof::Served) {
        return job;
    }
    let seen = serves(&job.certificate().verify, &facts, &shared.settings.anchor, shared.clock).await;
    if let Err(failure) = seen {
        if let Err(why) = job.notes.lost_proof(generation, &failure, shared.clock.now()) {
            job.warn("state-not-written", why.text);
        }
        job.report.proof = Some(crate::model::state::Proof::None);
        job.fail(Outcome::Failed, failure);
    }
    job
}

/// Puts the committed generations back and reloads their services once.
async fn take_back(shared: &Shared<'_>, back: Vec<Undone>) -> Vec<Undone> {
    let mut failures = Vec::new();
    let mut out = Vec::new();
    for (mut job, published, failure) in back {
        if let Err(why) = files_back(&job).await {
            job.warn("not-put-back", why.text);
        }
        failures.push(failure);
        out.push((job, published));
    }
    // A revert is judged on the wire, not by the reload's exit.
    reload_all(shared, &out).await;
    out.into_iter().zip(failures).map(|((job, published), failure)| (job, published, failure)).collect()
}

/// Looks whether the previous certificates serve again, and notes what failed.
async fn judge_reverts(shared: &Shared<'_>, reverted: Vec<Undone>) -> Vec<Job> {
    let one = |(mut job, published, failure): Undone| async move {
        let generation = published.generation();
        let back = job.place.published() == job.step.way_back;
        if let Some(facts) = job.back.clone() {
            let seen = serves(&job.certificate().verify, &facts, &shared.settings.anchor, shared.clock).await;
            if let Err(why) = seen {
                job.warn("previous-not-seen", format!("the previous certificate is back, but not seen on the wire: {}", why.text));
            }
        }
        let outcome = if back { Outcome::RolledBack } else { Outcome::Failed };
        job.fail_noted(outcome, failure, Some(generation), shared.clock.now());
        job
    };
    join_all(reverted.into_iter().map(one)).await
}
