//! `rollback NAME`: a person's way back to the generation before `live`, through the same steps. It never signs anything.

use std::sync::Arc;
use std::time::Duration;

use super::commit::commit;
use super::flow::describe_leaf;
use super::record::Notes;
use super::reload::{self, TakenUp};
use super::run::{Begun, Run, runtime};
use super::swap::{Place, Published, Staged, disk_failure, put_back, reopen};
use super::validate::{Material, validate};
use super::verify::{Proven, verify};
use crate::config::settings::{Certificate, Settings};
use crate::model::clock::Clock;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::name::Generation;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::{CertReport, Report, Watch};
use crate::plan::inventory::{self, Tree};

/// Rolls one certificate back.
#[must_use]
pub fn rollback(settings: &Arc<Settings>, certificate: &Certificate, wait: Duration, clock: Clock, watch: &dyn Watch) -> Report {
    let run = match Run::begin("rollback", settings, wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let observed = inventory::take(settings, &[certificate]).and_then(|inventory| {
        let none = || crate::io::dir::DiskError::new("find", &settings.paths.state, rustix::io::Errno::NOENT);
        inventory.certificates.into_iter().next().ok_or_else(none)?.tree
    });
    let report = match observed {
        Err(why) => {
            let failure = disk_failure(Stage::Plan, &why);
            CertReport { outcome: Outcome::Failed, error: Some(failure), ..CertReport::new(certificate.name().clone(), Outcome::Failed) }
        }
        Ok(tree) => attempt(settings, certificate, &run, tree, clock, watch),
    };
    watch.finished(&report);
    let mut line = run.line_of(&report, clock.now());
    line.generation = report.generation;
    run.end(vec![line], vec![report])
}

fn attempt(settings: &Arc<Settings>, certificate: &Certificate, run: &Run, tree: Tree, clock: Clock, watch: &dyn Watch) -> CertReport {
    let mut report = CertReport::new(certificate.name().clone(), Outcome::Refused);
    report.previous = tree.published.generation;
    report.generation = tree.published.generation;
    describe_leaf(&mut report, tree.published.facts.as_ref());
    match roll(settings, certificate, run, tree, clock, watch, &mut report) {
        Ok(()) => report.outcome = Outcome::RolledBack,
        Err((outcome, failure)) => {
            report.outcome = outcome;
            report.error = Some(failure);
        }
    }
    report
}

type Ended = Result<(), (Outcome, Failure)>;

fn roll(
    settings: &Arc<Settings>,
    certificate: &Certificate,
    run: &Run,
    tree: Tree,
    clock: Clock,
    watch: &dyn Watch,
    report: &mut CertReport,
) -> Ended {
    let name = certificate.name();
    let failed = |failure| (Outcome::Failed, failure);
    let none = |text: &str| (Outcome::Refused, Failure::new(Stage::Plan, "nothing-to-go-back-to", format!("{name}: {text}")));
    let live = tree.live.as_ref().map(|kept| kept.generation).ok_or_else(|| none("nothing was committed yet"))?;
    let target = tree.complete.iter().rev().copied().find(|g| *g < live);
    let target = target.ok_or_else(|| none(&format!("there is no generation before {live}")))?;
    report.reasons.push(Reason::new(ReasonCode::Forced, format!("from {live} back to {target}, asked for by a person")));
    let place = Arc::new(Place::open(settings, certificate).map_err(failed)?);
    watch.stage(name, Stage::Validate);
    let reopened = reopen(&place, target).map_err(|failure| (Outcome::Refused, failure))?;
    let material = Material { leaf_pem: reopened.cert_pem(), others: vec![reopened.chain_pem()], spki: reopened.key().spki().to_vec() };
    let validated = validate(material, &certificate.request, &settings.anchor, clock.now()).map_err(|(_, why)| {
        report.findings.clone_from(&why.findings);
        (Outcome::Refused, why.failure)
    })?;
    // Written before anything moves: a kill from here on must not bring the withdrawn generation back as debt.
    let notes = Notes::new(place.clone(), &run.id, tree.state.clone());
    let withdrawn: Vec<Generation> = tree.complete.iter().copied().filter(|g| *g > target).collect();
    notes.set_withdrawn(withdrawn).map_err(failed)?;
    let facts = validated.facts().clone();
    let runtime = runtime().map_err(failed)?;
    watch.stage(name, Stage::Publish);
    let published = Staged::again(&place, reopened, &validated)
        .map_err(|why| failed(why.1))
        .and_then(|staged| Published::new(staged).map_err(|why| failed(why.1)));
    let proven = published.and_then(|published| runtime.block_on(take_up(certificate, published, &tree, clock, watch)).map_err(failed));
    let committed = proven.and_then(|proven| commit(proven).map_err(|why| failed(why.1)));
    match committed {
        Ok(committed) => {
            report.proof = Some(committed.proof());
            report.generation = place.published();
            describe_leaf(report, Some(&facts));
            notes.committed(&committed, None, clock.now()).map_err(failed)
        }
        Err(why) => {
            undo(&runtime, certificate, &place, live, &notes, &tree);
            report.generation = place.published();
            Err(why)
        }
    }
}

async fn take_up(certificate: &Certificate, published: Published, tree: &Tree, clock: Clock, watch: &dyn Watch) -> Result<Proven, Failure> {
    let name = certificate.name();
    let mut stopped = 0;
    watch.stage(name, Stage::Reload);
    for driver in &certificate.reload {
        if reload::take_up(driver).await? == TakenUp::Stopped {
            stopped += 1;
        }
    }
    if stopped > 0 && stopped == certificate.reload.len() {
        return Ok(Proven::services_stopped(published));
    }
    watch.stage(name, Stage::Verify);
    let previous = tree.published.facts.as_ref().map(|facts| facts.sha256.clone());
    verify(published, previous.as_ref(), stopped > 0, clock).await.map_err(|why| why.1)
}

/// The rollback itself was not taken up: what was live comes back, and is no longer withdrawn.
fn undo(runtime: &tokio::runtime::Runtime, certificate: &Certificate, place: &Place, live: Generation, notes: &Notes, tree: &Tree) {
    let back = put_back(place, live).map(drop);
    for driver in &certificate.reload {
        if let Err(why) = runtime.block_on(reload::take_up(driver)) {
            tracing::warn!(%why, "the service was not reloaded on the way back");
        }
    }
    if let Err(why) = back.and_then(|()| notes.set_withdrawn(tree.state.withdrawn.clone())) {
        tracing::error!(%why, "the way back from a failed rollback failed");
    }
}
