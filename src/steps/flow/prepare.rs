//! One certificate up to the point where it is staged: issue → validate → seal → stage, or reopen → validate → stage.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::SemaphorePermit;

use super::ending;
use super::job::{Job, report_of};
use super::{Shared, block};
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::name::Generation;
use crate::model::report::CertReport;
use crate::plan::decide::{Action, Step};
use crate::plan::inventory::Tree;
use crate::steps::issue::{self, Budget, Issued, Wanted};
use crate::steps::keep::keep;
use crate::steps::record::Notes;
use crate::steps::run::interrupted;
use crate::steps::swap::{Place, Staged, demand_memory, disk_failure, put_back, reopen};
use crate::steps::validate::{Rejection, Unvalidated, Validated, validate};

/// What came of preparing a certificate.
pub(super) enum Prepared {
    /// Its part of the run ended here, and its report says how.
    Ended(Box<Job>),
    /// It is staged in both trees.
    Staged(Box<Job>, Box<Staged>),
    /// Its place could not be opened.
    Unopened(Box<CertReport>, Failure),
}

/// Prepares a certificate. What is to be issued waits here for its turn, so that no more than a few are open at a time.
pub(super) async fn prepare(shared: &Shared<'_>, step: Step, tree: Tree) -> Prepared {
    let issues = step.action == Action::Issue;
    let turn = if issues { shared.permits.acquire().await.ok() } else { None };
    if shared.ending.is_asked() {
        return Prepared::Unopened(Box::new(report_of(&step, &tree)), ending::not_begun());
    }
    let mut job = match open(shared, step, tree).await {
        Ok(job) => job,
        Err((report, failure)) => return Prepared::Unopened(report, failure),
    };
    let staged = match job.step.action {
        Action::Nothing => None,
        Action::Issue => new_generation(shared, &mut job, turn).await,
        Action::Settle(generation) => known_generation(shared, &mut job, generation).await,
    };
    match staged {
        Some(staged) => Prepared::Staged(job, Box::new(staged)),
        None => Prepared::Ended(job),
    }
}

async fn open(shared: &Shared<'_>, step: Step, tree: Tree) -> Result<Box<Job>, (Box<CertReport>, Failure)> {
    let cut = interrupted(&tree, &step.name, shared.clock.now());
    let (trees, run, report) = (shared.trees.clone(), shared.run.id.clone(), report_of(&step, &tree));
    let opened = block(move || Ok(Job::open(&trees, step, tree, &run))).await;
    let job = opened.unwrap_or_else(|failure| Err((Box::new(report), failure)))?;
    if let Some(cut) = cut {
        shared.run.note(&cut);
        job.over();
    }
    Ok(Box::new(job))
}

async fn new_generation(shared: &Shared<'_>, job: &mut Job, turn: Option<SemaphorePermit<'_>>) -> Option<Staged> {
    if let Err(failure) = make_ready(shared, job).await {
        return fail(shared, job, failure).await;
    }
    job.reach(Stage::Issue);
    shared.watch.stage(&job.step.name, Stage::Issue);
    let asked = tokio::select! {
        asked = ask(shared, job) => asked,
        () = shared.ending.grace_is_over() => Err(ending::not_answered()),
    };
    // The CA has answered: the next one's turn, while this one is judged and written.
    drop(turn);
    let issued = match asked {
        Ok(issued) => issued,
        Err(failure) => {
            let outcome = match (failure.stage, failure.code) {
                (Stage::Attest, _) => Outcome::Blocked,
                (_, Code::Exhausted) => Outcome::Exhausted,
                _ => Outcome::Failed,
            };
            return end_without(shared, job, outcome, failure).await;
        }
    };
    shared.watch.stage(&job.step.name, Stage::Validate);
    job.reach(Stage::Validate);
    let (key, signed) = issued.into_parts();
    job.report.warnings.extend(signed.warnings);
    let material = Unvalidated { leaf_pem: signed.leaf_pem, others: signed.others, spki: key.spki().to_vec() };
    let validated = match judged(shared, job, material) {
        Ok(validated) => validated,
        Err((_, rejection)) => {
            let failure = refuse(job, *rejection);
            return end_without(shared, job, Outcome::Refused, failure).await;
        }
    };
    job.report.findings = validated.findings().to_vec();
    if !job.step.supersede.is_empty() {
        let (notes, now, superseded) = (job.notes.clone(), shared.clock.now(), job.step.supersede.clone());
        if let Err(failure) = block(move || notes.begin(now, &superseded)).await {
            return end_without(shared, job, Outcome::Failed, failure).await;
        }
    }
    let generation = job.step.next;
    shared.watch.stage(&job.step.name, Stage::Seal);
    let (place, now) = (job.place.clone(), shared.clock.now());
    let stored = match keep(place.name(), generation, validated, key) {
        Ok(stored) => stored,
        Err(why) => return end_without(shared, job, Outcome::Failed, why.1).await,
    };
    job.new = Some((generation, stored.facts().clone()));
    let place = job.place.clone();
    shared.watch.stage(&job.step.name, Stage::Publish);
    match block(move || Staged::new(&place, stored, now).map_err(|why| why.1)).await {
        Ok(staged) => Some(staged),
        Err(failure) => {
            // Whole in the state directory, it is debt, whatever was wrong with the other tree.
            job.waits = job.place.is_complete(generation).then_some(generation);
            end_without(shared, job, Outcome::Failed, failure).await
        }
    }
}

/// What must be on the disk before anything is asked: withdrawn debt, and the committed generation where consumers lack it.
async fn make_ready(shared: &Shared<'_>, job: &mut Job) -> Result<(), Failure> {
    let (notes, now, withdraw) = (job.notes.clone(), shared.clock.now(), job.step.withdraw.clone());
    if !withdraw.is_empty() {
        block(move || notes.begin(now, &withdraw)).await?;
    }
    if let Some(generation) = job.step.republish {
        let place = job.place.clone();
        let (facts, warnings) = block(move || put_back(&place, generation, now)).await?;
        job.report.warnings.extend(warnings);
        job.back = job.back.take().or(Some(facts));
    }
    Ok(())
}

async fn ask(shared: &Shared<'_>, job: &mut Job) -> Result<Issued, Failure> {
    let attested = shared.gate.pass(shared.clock).await?;
    // Not even a login is asked for what the budget does not allow.
    job.notes.allowance(shared.clock.now())?;
    let (place, now) = (job.place.clone(), shared.clock.now());
    // Before anything is asked of the CA: an absent TPM costs no signature.
    let warning = block(move || ready_to_keep(&place, now)).await?;
    job.report.warnings.extend(warning);
    let until = shared.clock.instant() + issue::LIMIT;
    let asking = issue::open(&attested, &*shared.issuer, until).await?;
    let (place, generation) = (job.place.clone(), job.step.next);
    let made = tokio::task::spawn_blocking(move || {
        let certificate = place.certificate();
        place.stores().keeping(certificate.keep)?.make(place.name(), generation, certificate.request.algorithm)
    });
    let key = asking.in_time(job.place.name(), made).await?;
    let budget = Purse { notes: job.notes.clone(), clock: shared.clock };
    let certificate = job.certificate();
    let wanted = Wanted { request: &certificate.request, issuer: &certificate.issuer, budget: &budget };
    asking.issue(key, wanted).await
}

/// Sees to it that the new key can be kept and published.
fn ready_to_keep(place: &Place, now: Time) -> Result<Option<Warning>, Failure> {
    let keep = place.certificate().keep;
    if keep.is_only_in_memory() {
        demand_memory(&place.run().map_err(|why| disk_failure(Stage::Publish, &why))?)?;
    }
    place.stores().keeping(keep)?.make_ready(now)
}

/// The budget of one certificate, counted on disk before a request is sent.
struct Purse {
    notes: Arc<Notes>,
    clock: Clock,
}

impl Budget for Purse {
    fn take(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let (notes, now) = (self.notes.clone(), self.clock.now());
        block(move || notes.take_request(now)).boxed()
    }

    fn give_back(&self) -> BoxFuture<'_, ()> {
        let notes = self.notes.clone();
        let given_back = block(move || notes.give_back_request());
        let told =
            given_back.map(|done| done.unwrap_or_else(|failure| tracing::warn!(%failure, "a refused signing request stays counted")));
        told.boxed()
    }
}

fn judged(shared: &Shared<'_>, job: &Job, material: Unvalidated) -> Result<Validated, (Unvalidated, Box<Rejection>)> {
    let certificate = job.certificate();
    validate(material, &certificate.request, &certificate.issuer, &shared.settings.anchor, shared.clock.now())
}

fn refuse(job: &mut Job, rejection: Rejection) -> Failure {
    job.report.findings = rejection.findings;
    job.refused_pem = rejection.refused_pem;
    job.refused = Some((rejection.serial, rejection.sha256));
    rejection.failure
}

/// Ends a certificate's part without a new generation. Consumers that were given the committed one back in this run still take it up.
async fn end_without(shared: &Shared<'_>, job: &mut Job, outcome: Outcome, failure: Failure) -> Option<Staged> {
    let now = shared.clock.now();
    let (notes, said, waits) = (job.notes.clone(), failure.clone(), job.waits);
    if let Err(why) = block(move || notes.failed(&said, waits, now)).await {
        job.warn(Code::StateNotWritten, why.text);
    }
    job.fail(outcome, failure);
    let generation = job.step.republish?;
    match revalidate(shared, job, generation).await {
        Ok(staged) => Some(staged),
        Err(why) => {
            job.warn(Code::NotRepublished, why.text);
            None
        }
    }
}

async fn known_generation(shared: &Shared<'_>, job: &mut Job, generation: Generation) -> Option<Staged> {
    // A stopped service that is still stopped is not even noted (ONDISK: `not-due`).
    if !job.step.unproven {
        let (notes, now, withdraw) = (job.notes.clone(), shared.clock.now(), job.step.withdraw.clone());
        if let Err(failure) = block(move || notes.begin(now, &withdraw)).await {
            return fail(shared, job, failure).await;
        }
    }
    match revalidate(shared, job, generation).await {
        Ok(staged) => Some(staged),
        Err(failure) => {
            let outcome = if job.step.going_back { Outcome::Refused } else { Outcome::Failed };
            let debt = Some(generation).filter(|_| !job.step.going_back);
            job.fail_noted(outcome, failure, debt, shared.clock.now()).await;
            None
        }
    }
}

async fn fail(shared: &Shared<'_>, job: &mut Job, failure: Failure) -> Option<Staged> {
    job.fail_noted(Outcome::Failed, failure, None, shared.clock.now()).await;
    None
}

/// Settling goes through `validate` like everything else.
async fn revalidate(shared: &Shared<'_>, job: &mut Job, generation: Generation) -> Result<Staged, Failure> {
    shared.watch.stage(&job.step.name, Stage::Validate);
    let place = job.place.clone();
    let reopened = block(move || reopen(&place, generation)).await?;
    let material = Unvalidated { leaf_pem: reopened.cert_pem(), others: vec![reopened.chain_pem()], spki: reopened.spki().to_vec() };
    let validated = judged(shared, job, material).map_err(|(_, why)| why.failure)?;
    if job.report.error.is_none() {
        job.report.findings = validated.findings().to_vec();
    }
    job.new = Some((generation, validated.facts().clone()));
    shared.watch.stage(&job.step.name, Stage::Publish);
    let place = job.place.clone();
    block(move || Staged::again(&place, reopened, &validated).map_err(|why| why.1)).await
}
