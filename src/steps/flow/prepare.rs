//! One certificate up to the point where it is staged: attest → key → issue → validate → keep → stage, or reopen → validate → stage.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::SemaphorePermit;

use super::before::report_of;
use super::end::End;
use super::ending;
use super::task::Task;
use super::{Context, Due, block};
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::name::Generation;
use crate::model::report::CertReport;
use crate::model::span;
use crate::plan::choice::{Issue, Plan, Settle, Why};
use crate::plan::generation::container;
use crate::steps::issue::{self, Budget, Issued};
use crate::steps::keep::keep;
use crate::steps::key::Key;
use crate::steps::record::Notes;
use crate::steps::swap::{Place, Staged, demand_memory, demand_room, disk_failure, put_back, reopen};
use crate::steps::validate::{Against, Rejection, Unvalidated, Validated, validate};

/// What came of preparing a certificate.
pub(super) enum Prepared<'a> {
    /// Its part of the run ended here, and its report says how.
    Ended(Box<CertReport>),
    /// It is staged in both trees.
    Staged(Box<Task<'a>>, Box<Staged>),
}

/// Prepares a certificate. What is to be issued waits here for its turn, so that no more than a few are open at a time.
pub(super) async fn prepare<'a>(context: &Context<'a>, due: Due<'_>) -> Prepared<'a> {
    let issues = matches!(due.decision.plan, Plan::Issue(_));
    let turn = if issues { context.permits.acquire().await.ok() } else { None };
    if context.ending.is_asked() {
        let mut report = report_of(&due.decision, &due.tree);
        report.warnings.extend(due.warnings);
        return not_opened(context, report, ending::not_begun());
    }
    let task = match Task::open(context, due).await {
        Ok(task) => task,
        Err((report, failure)) => return not_opened(context, *report, failure),
    };
    if task.plan != Plan::Rest
        && let Err(failure) = accept(&task).await
    {
        return Prepared::Ended(Box::new(task.finish(End::failed(failure)).await));
    }
    match task.plan.clone() {
        Plan::Rest => Prepared::Ended(Box::new(task.finish(End::StillStopped).await)),
        Plan::Issue(issue) => issue_anew(context, task, &issue, turn).await,
        Plan::Settle(planned) => settle(context, task, &planned).await,
    }
}

fn not_opened<'a>(context: &Context<'a>, report: CertReport, failure: Failure) -> Prepared<'a> {
    Prepared::Ended(Box::new(context.run.failed(report, failure)))
}

/// A new certificate; where none comes, consumers that were given the committed one back in this run are still brought to use it.
async fn issue_anew<'a>(context: &Context<'a>, mut task: Task<'a>, issue: &Issue, turn: Option<SemaphorePermit<'_>>) -> Prepared<'a> {
    if let Err(failure) = make_room(context, &mut task, issue).await {
        return Prepared::Ended(Box::new(task.finish(End::failed(failure)).await));
    }
    let end = match new_generation(context, &mut task, issue, turn).await {
        Ok(staged) => return Prepared::Staged(Box::new(task), Box::new(staged)),
        Err(end) => end,
    };
    let (mut task, given_back) = match task.otherwise(issue, end).await {
        Ok(second) => second,
        Err(only) => {
            let (task, end) = *only;
            return Prepared::Ended(Box::new(task.finish(end).await));
        }
    };
    match stage_again(context, &mut task, &given_back).await {
        Ok(staged) => Prepared::Staged(Box::new(task), Box::new(staged)),
        Err(why) => {
            task.journal.warn(Code::NotRepublished, why.text);
            Prepared::Ended(Box::new(task.finish_short().await))
        }
    }
}

/// What must be on the disk before anything is asked: withdrawn debt, and the committed generation where consumers lack it.
async fn make_room(context: &Context<'_>, task: &mut Task<'_>, issue: &Issue) -> Result<(), Failure> {
    if !issue.withdraw.is_empty() {
        begin(context, task, &issue.withdraw).await?;
    }
    if let Some(given_back) = &issue.otherwise {
        let (place, now, generation) = (task.place.clone(), context.clock.now(), given_back.generation);
        let (facts, warnings) = block(Stage::Publish, move || put_back(&place, generation, now)).await?;
        task.journal.add_warnings(warnings);
        task.journal.gave_back(facts);
    }
    Ok(())
}

/// Notes that this run acts on the certificate, and what must not be published again.
async fn begin(context: &Context<'_>, task: &Task<'_>, withdraw: &[Generation]) -> Result<(), Failure> {
    let (notes, now, withdraw) = (task.journal.notes.clone(), context.clock.now(), withdraw.to_vec());
    block(Stage::Plan, move || notes.begin(now, &withdraw)).await
}

async fn new_generation(
    context: &Context<'_>,
    task: &mut Task<'_>,
    issue: &Issue,
    turn: Option<SemaphorePermit<'_>>,
) -> Result<Staged, End> {
    let issued = tokio::select! {
        issued = ask(context, task, issue) => issued?,
        () = context.ending.grace_is_over() => return Err(End::failed(ending::not_answered())),
    };
    // The CA has answered: the next one's turn, while this one is judged and written.
    drop(turn);
    task.journal.reach(Stage::Validate);
    let (key, signed) = issued.into_parts();
    task.journal.add_warnings(signed.warnings);
    let material = Unvalidated { leaf_pem: signed.leaf_pem, others: signed.others, spki: key.spki().to_vec() };
    let serves_until = task.journal.fallback().map(|serves| serves.not_after);
    let validated = judge(context, task, material, serves_until).map_err(End::Refused)?;
    if !issue.supersede.is_empty() {
        begin(context, task, &issue.supersede).await.map_err(End::failed)?;
    }
    keep_and_stage(context, task, issue, validated, key).await
}

/// Asks for a certificate, once attestation, budget and key store allow it.
async fn ask(context: &Context<'_>, task: &mut Task<'_>, issue: &Issue) -> Result<Issued, End> {
    task.journal.reach(Stage::Attest);
    let attested = context.world.gate.pass(context.clock).await.map_err(End::Blocked)?;
    task.journal.break_glass = attested.break_glass().map(str::to_owned);
    if let Some(warning) = attested.warning() {
        task.journal.warn_once(warning.clone());
    }
    task.journal.reach(Stage::Issue);
    // Not even a login is asked for what the budget does not allow.
    task.journal.notes.allowance(context.clock.now()).map_err(End::Exhausted)?;
    let (place, now) = (task.place.clone(), context.clock.now());
    // Before anything is asked of the CA: an absent TPM costs no signature.
    let warning = block(Stage::Seal, move || ready_to_keep(&place, now)).await.map_err(End::failed)?;
    if let Some(warning) = warning {
        task.journal.warn_once(warning);
    }
    let until = context.clock.instant() + issue::LIMIT;
    let asking = issue::open(&attested, context.world.issuer.as_ref(), until).await.map_err(End::failed)?;
    let (place, generation) = (task.place.clone(), issue.generation);
    let made = tokio::task::spawn_blocking(move || {
        let certificate = place.certificate();
        place.stores().keeping(certificate.keep)?.make(place.name(), generation, certificate.request.algorithm)
    });
    let key = asking.in_time(task.place.name(), made).await.map_err(End::failed)?;
    let budget = RequestBudget { notes: task.journal.notes.clone(), clock: context.clock };
    let certificate = task.certificate();
    let wanted = issue::Wanted { request: &certificate.request, issuer: &certificate.issuer, budget: &budget };
    let asked = asking.issue(key, wanted).await.map_err(|failure| issue::placed(failure, &certificate.role_at));
    asked.map_err(|failure| if failure.code == Code::Exhausted { End::Exhausted(failure) } else { End::failed(failure) })
}

/// Sees to it that the new key can be kept and published.
fn ready_to_keep(place: &Place, now: Time) -> Result<Option<Warning>, Failure> {
    demand_room(&place.var().map_err(|why| disk_failure(Stage::Publish, &why))?)?;
    let keep = place.certificate().keep;
    if keep.is_only_in_memory() {
        demand_memory(&place.run().map_err(|why| disk_failure(Stage::Publish, &why))?)?;
    }
    place.stores().keeping(keep)?.make_ready(now)
}

/// The gate, with what it noted.
fn judge(
    context: &Context<'_>,
    task: &mut Task<'_>,
    material: Unvalidated,
    serves_until: Option<Time>,
) -> Result<Validated, Box<Rejection>> {
    let against = Against { serves_until, ..Against::new(&context.settings, task.certificate()) };
    let validated = validate(material, &against, context.clock.now());
    let validated = validated.map_err(|why| why.1)?;
    task.journal.set_findings(validated.findings());
    Ok(validated)
}

async fn keep_and_stage(context: &Context<'_>, task: &mut Task<'_>, issue: &Issue, validated: Validated, key: Key) -> Result<Staged, End> {
    let (generation, now) = (issue.generation, context.clock.now());
    task.journal.reach(Stage::Seal);
    let stored = keep(task.place.name(), generation, validated, key).map_err(|why| End::failed(why.1))?;
    task.journal.set_new(generation, stored.facts());
    let place = task.place.clone();
    let staged = block(Stage::Publish, move || Staged::new(&place, stored, now).map_err(|why| why.1)).await;
    // Whole in the state directory, it is debt, whatever was wrong with the other tree.
    staged.map_err(|failure| End::Failed { failure, waits: task.place.is_complete(generation).then_some(generation) })
}

/// Whether all services can be given another certificate at all, in the forms that they read.
async fn accept(task: &Task<'_>) -> Result<(), Failure> {
    container::are_ready(task.certificate())?;
    for service in &task.services {
        service.accepts().await?;
    }
    Ok(())
}

/// A generation that is here.
async fn settle<'a>(context: &Context<'a>, mut task: Task<'a>, planned: &Settle) -> Prepared<'a> {
    // A stopped service that is still stopped is not even noted.
    if (planned.why != Why::ServiceStopped || !planned.withdraw.is_empty())
        && let Err(failure) = begin(context, &task, &planned.withdraw).await
    {
        return Prepared::Ended(Box::new(task.finish(End::failed(failure)).await));
    }
    match stage_again(context, &mut task, planned).await {
        Ok(staged) => Prepared::Staged(Box::new(task), Box::new(staged)),
        Err(failure) => {
            let end = End::NotDeployable { failure, generation: planned.generation };
            Prepared::Ended(Box::new(task.finish(end).await))
        }
    }
}

/// Settling goes through the gate like everything else.
async fn stage_again(context: &Context<'_>, task: &mut Task<'_>, planned: &Settle) -> Result<Staged, Failure> {
    task.journal.reach(Stage::Validate);
    let (place, generation) = (task.place.clone(), planned.generation);
    let reopened = block(Stage::Publish, move || reopen(&place, generation)).await?;
    let material = Unvalidated { leaf_pem: reopened.cert_pem(), others: vec![reopened.chain_pem()], spki: reopened.spki().to_vec() };
    let validated = judge(context, task, material, None).map_err(|rejection| rejection.failure)?;
    if planned.why == Why::Rollback {
        warn_of_a_shorter_life(task, &validated, context.clock.now());
    }
    task.journal.set_new(generation, validated.facts());
    let place = task.place.clone();
    block(Stage::Publish, move || Staged::again(&place, reopened, &validated).map_err(|why| why.1)).await
}

/// A person may go back to a certificate that has little life left, and is told what a renewal would be refused for.
fn warn_of_a_shorter_life(task: &mut Task<'_>, validated: &Validated, now: Time) {
    let (target, asked) = (validated.facts(), task.certificate().request.ttl);
    let left = u64::try_from(target.not_after.since(now)).map_or(Duration::ZERO, Duration::from_secs);
    let Some(serves) = task.journal.fallback().filter(|serves| target.not_after < serves.not_after) else { return };
    if left < asked / 2 {
        let (left, asked) = (span::show(left), span::show(asked));
        let text = format!(
            "{left} are left of it, of {asked} that are asked for, until {}; what served ends at {}",
            target.not_after, serves.not_after
        );
        task.journal.warn(Code::ShorterThanServing, text);
    }
}

/// The budget of one certificate, counted on disk before a request is sent.
struct RequestBudget {
    notes: Arc<Notes>,
    clock: Clock,
}

impl Budget for RequestBudget {
    fn take(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let (notes, now) = (self.notes.clone(), self.clock.now());
        Box::pin(block(Stage::Issue, move || notes.take_request(now)))
    }

    fn give_back(&self) -> BoxFuture<'_, ()> {
        let notes = self.notes.clone();
        Box::pin(async move {
            if let Err(failure) = block(Stage::Issue, move || notes.give_back_request()).await {
                tracing::warn!(%failure, "a refused signing request stays counted");
            }
        })
    }
}
