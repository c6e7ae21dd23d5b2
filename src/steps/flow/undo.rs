//! The way back: what a service did not take up goes, the committed generation returns and is looked for on the wire.

use futures_util::future::join_all;

use super::deploy::{Answers, Look, Out, commit_one, first_refusal, look, reload_all};
use super::job::Job;
use super::{Shared, block};
use crate::config::settings::Driver;
use crate::judge::cert::Facts;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::state::Proof;
use crate::steps::swap::{Published, put_back};
use crate::steps::verify::{Proven, serves};

/// Certificates tried alone that may fail before the rest is left for the next run (ONDISK, Shared reload).
const ALONE_FAILURES: usize = 2;

type Undone = (Job, Published, Failure);

/// Gives consumers the committed generation back, if there is one to go back to.
pub(super) async fn files_back(shared: &Shared<'_>, job: &mut Job) {
    let Some(generation) = job.step.way_back else { return };
    let (place, now) = (job.place.clone(), shared.clock.now());
    match block(move || put_back(&place, generation, now)).await {
        Ok((_, warnings)) => job.report.warnings.extend(warnings),
        Err(why) => job.warn(Code::NotPutBack, why.text),
    }
}

/// Ends certificates that have no way back: they stay, committed without proof, as debt (ONDISK, No way back).
async fn stay(shared: &Shared<'_>, stuck: Vec<Undone>) -> Vec<Job> {
    let mut done = Vec::new();
    for (job, published, failure) in stuck {
        done.push(commit_one(shared, job, Proven::no_way_back(published), Some(failure)).await);
    }
    done
}

/// A service refused its reload: all of this run's certificates of it go back, one reload, then each is tried alone. Those that cannot go
/// back stay published through that; the reload without the others shows whether they were the reason.
pub(super) async fn after_refused_reload(shared: &Shared<'_>, refused: Vec<Out>, answers: &Answers) -> Vec<Job> {
    let failed: Vec<Undone> = refused.into_iter().map(|out| with_refusal(out, answers)).collect();
    let (back, stuck): (Vec<Undone>, Vec<Undone>) = failed.into_iter().partition(|(job, _, _)| job.step.way_back.is_some());
    if back.is_empty() {
        return stay(shared, stuck).await;
    }
    let several = back.len() + stuck.len() > 1;
    let (back, answers) = take_back(shared, back).await;
    let mut done = without_the_others(shared, stuck, &answers).await;
    if !several {
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
                reverted.extend(take_back(shared, vec![*undone]).await.0);
            }
        }
    }
    let touched = drivers_of(&reverted);
    done = look_again_where(shared, done, &touched).await;
    done.extend(judge_reverts(shared, reverted).await);
    done
}

fn with_refusal((job, published): Out, answers: &Answers) -> Undone {
    let unknown = || Failure::new(Stage::Reload, Code::ReloadFailed, "its service refused the reload");
    let failure = first_refusal(&job, answers).unwrap_or_else(unknown);
    (job, published, failure)
}

fn drivers_of(undone: &[Undone]) -> Vec<Driver> {
    undone.iter().flat_map(|(job, _, _)| job.drivers().to_vec()).collect()
}

/// What could not go back, after the others did: taken up by the reload without them, or the reason itself.
async fn without_the_others(shared: &Shared<'_>, stuck: Vec<Undone>, answers: &Answers) -> Vec<Job> {
    let mut done = Vec::new();
    for (job, published, failure) in stuck {
        let asked = job.drivers().iter().all(|driver| answers.contains_key(driver));
        if !asked || first_refusal(&job, answers).is_some() {
            done.extend(stay(shared, vec![(job, published, failure)]).await);
            continue;
        }
        done.push(match look(shared, job, published, answers).await {
            (job, Look::Proven(proven)) => commit_one(shared, job, *proven, None).await,
            (job, Look::StillStopped) => job,
            (job, Look::Failed(published, why)) => commit_one(shared, job, Proven::no_way_back(*published), Some(why)).await,
        });
    }
    done
}

/// Tries one certificate by itself.
async fn alone(shared: &Shared<'_>, mut job: Job, published: Published) -> Result<Box<Job>, Box<Undone>> {
    let published = match block(move || Ok(published.again())).await {
        Ok(Ok(published)) => published,
        Ok(Err(why)) => {
            let (published, failure) = *why;
            return Err(Box::new((job, published, failure)));
        }
        // Only a runtime that is going away ends here; the generation stays complete on disk and is debt for the next run.
        Err(failure) => {
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
    let mut ended = stay(shared, stuck).await;
    let touched = drivers_of(&back);
    let (back, _) = take_back(shared, back).await;
    ended.extend(judge_reverts(shared, back).await);
    ended.extend(look_again_where(shared, done, &touched).await);
    ended
}

async fn look_again_where(shared: &Shared<'_>, done: Vec<Job>, touched: &[Driver]) -> Vec<Job> {
    let mut ended = Vec::new();
    for job in done {
        let shares = job.drivers().iter().any(|driver| touched.contains(driver));
        ended.push(if shares { look_again(shared, job).await } else { job });
    }
    ended
}

async fn look_again(shared: &Shared<'_>, mut job: Job) -> Job {
    let Some((generation, facts)) = job.new.clone() else { return job };
    if !matches!(job.report.outcome, Outcome::Renewed | Outcome::Settled) || job.report.proof != Some(Proof::Served) {
        return job;
    }
    if let Err(failure) = seen(shared, &job, &facts).await {
        lost_proof(shared, &mut job, generation, &failure).await;
        job.fail(Outcome::Failed, failure);
    }
    job
}

async fn seen(shared: &Shared<'_>, job: &Job, facts: &Facts) -> Result<(), Failure> {
    let _permit = shared.looks.acquire().await.map_err(|_| Failure::new(Stage::Verify, Code::Interrupted, "the run is ending"))?;
    serves(&job.certificate().verify, facts, &shared.settings.anchor, shared.clock).await
}

async fn lost_proof(shared: &Shared<'_>, job: &mut Job, generation: crate::model::name::Generation, failure: &Failure) {
    let (notes, said, now) = (job.notes.clone(), failure.clone(), shared.clock.now());
    if let Err(why) = block(move || notes.lost_proof(generation, &said, now)).await {
        job.warn(Code::StateNotWritten, why.text);
    }
    job.report.proof = Some(Proof::None);
}

/// Puts the committed generations back and reloads their services once.
async fn take_back(shared: &Shared<'_>, back: Vec<Undone>) -> (Vec<Undone>, Answers) {
    let mut failures = Vec::new();
    let mut out = Vec::new();
    for (mut job, published, failure) in back {
        files_back(shared, &mut job).await;
        failures.push(failure);
        out.push((job, published));
    }
    // A revert is judged on the wire, not by the reload's exit; that is only asked about what stayed published.
    let answers = reload_all(shared, &out).await;
    (out.into_iter().zip(failures).map(|((job, published), failure)| (job, published, failure)).collect(), answers)
}

/// Looks whether the previous certificates serve again, and notes what failed.
async fn judge_reverts(shared: &Shared<'_>, reverted: Vec<Undone>) -> Vec<Job> {
    let one = |(mut job, published, failure): Undone| async move {
        let generation = published.generation();
        let back = job.place.published() == job.step.way_back;
        // Of a person's rollback that was not taken up, what is back is what was live: that is a failure, and nothing waits.
        let going_back = job.step.going_back;
        let outcome = if back && !going_back { Outcome::RolledBack } else { Outcome::Failed };
        job.fail_noted(outcome, failure, Some(generation).filter(|_| !going_back), shared.clock.now()).await;
        if let Some((facts, previous)) = job.back.clone().zip(job.step.way_back)
            && let Err(why) = seen(shared, &job, &facts).await
        {
            job.warn(Code::PreviousNotSeen, format!("the previous certificate is back, but not seen on the wire: {}", why.text));
            lost_proof(shared, &mut job, previous, &why).await;
        }
        job
    };
    join_all(reverted.into_iter().map(one)).await
}
