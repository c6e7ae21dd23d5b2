//! Revocation around a run: what a proven certificate took the place of is revoked where the settings want it, and what serves is looked up
//! where the authority was asked for something anyway. It never fails a certificate.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::context::Context;
use super::world::World;
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::DiskError;
use crate::io::runtime::within;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Warning};
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::reason::ReasonCode;
use crate::model::report::CertReport;
use crate::model::state::{Proof, State};
use crate::plan::generation::Kept;
use crate::plan::inventory;
use crate::steps::record::note_revoked;
use crate::steps::run::Run;

/// Looking up what serves ends within this; what was not asked about by then is asked about in another run.
const LIMIT: Duration = Duration::from_secs(10);
/// Certificates that are asked about at a time.
const AT_A_TIME: usize = 8;

/// A certificate by its name and serial number.
#[derive(Clone, Debug)]
pub(super) struct Numbered {
    pub(super) name: CertName,
    pub(super) serial: String,
}

/// Revokes what this run has replaced, once the new ones are proven and committed.
pub(super) async fn replaced(context: &Context<'_>, reports: &mut [CertReport]) {
    let mut wanted = Vec::new();
    for (at, report) in reports.iter().enumerate() {
        let asks = context.settings.certificate(&report.name).is_some_and(|certificate| certificate.revoke_replaced);
        if asks && took_the_place_of_another(report) {
            wanted.extend(previous(context.run, report, context.clock.now().unix()).ok().flatten().map(|serial| (at, serial)));
        }
    }
    if wanted.is_empty() {
        return;
    }
    let serials: Vec<String> = wanted.iter().map(|(_, serial)| serial.clone()).collect();
    let answers = match context.world.issuer.revoke(&serials).await {
        Ok(answers) => answers,
        Err(failure) => serials.iter().map(|_| Err(failure.clone())).collect(),
    };
    for ((at, serial), answer) in wanted.into_iter().zip(answers) {
        let Some(report) = reports.get_mut(at) else { continue };
        match answer {
            Ok(()) => note(context.run, &report.name, &serial),
            Err(failure) => {
                let text = format!("{serial}, which was replaced, is not revoked: {}", failure.text);
                report.warnings.push(Warning::new(Code::NotRevoked, text));
            }
        }
    }
}

/// Whether another certificate is known to be in use than before. One that nobody has seen yet replaces nothing.
fn took_the_place_of_another(report: &CertReport) -> bool {
    let is_proven = matches!(report.proof, Some(Proof::Served | Proof::File));
    let is_another = report.generation != report.previous
        || report.reasons.iter().any(|reason| matches!(reason.code, ReasonCode::Debt | ReasonCode::Unproven));
    matches!(report.outcome, Outcome::Renewed | Outcome::Settled) && is_proven && is_another
}

/// The serial number of what was committed before, where that has not ended and is not revoked.
fn previous(run: &Run, report: &CertReport, now: i64) -> Result<Option<String>, DiskError> {
    let Some(var) = run.state().child(layout::CERTS)?.map_or(Ok(None), |certs| certs.child(report.name.as_str()))? else { return Ok(None) };
    let state = var.read(layout::STATE)?.and_then(|content| serde_json::from_slice::<State>(&content.bytes).ok()).unwrap_or_default();
    let Some(generation) = state.previous else { return Ok(None) };
    let facts = Kept::read(&var, generation)?.facts.filter(|facts| facts.not_after.unix() > now);
    let serial = facts.map(|facts| facts.serial).filter(|serial| !state.revoked.contains(serial));
    Ok(serial.filter(|serial| report.serial.as_ref() != Some(serial)))
}

fn note(run: &Run, name: &CertName, serial: &str) {
    if let Err(why) = note_revoked(run.state(), name, serial) {
        tracing::warn!(%why, certificate = %name, "that a certificate was revoked is not noted");
    }
}

/// Asks about certificates that this run does not replace, and notes which of them are revoked: they are due at the next look.
pub(super) async fn look_up(world: &World<'_>, run: &Run, resting: &[Numbered]) -> Result<(), Failure> {
    let asked = futures_util::stream::iter(resting.iter().cloned()).map(|one| async move {
        let answer = world.issuer.revoked(&one.serial).await;
        (one, answer)
    });
    let mut failure = None;
    let all = asked.buffer_unordered(AT_A_TIME).for_each(|(one, answer)| {
        match answer {
            Ok(Some(_)) => note(run, &one.name, &one.serial),
            Ok(None) => {}
            Err(why) => failure = Some(why),
        }
        futures_util::future::ready(())
    });
    // What the limit cuts off is asked about in another run.
    tokio::time::timeout(LIMIT, all).await.ok();
    failure.map_or(Ok(()), Err)
}

/// The same before anything is planned, because a person asked for it. What cannot be asked is a warning for every certificate.
pub(super) fn check(settings: &Settings, wanted: &[&Certificate], world: &World<'_>, run: &Run) -> Option<Warning> {
    let serving = |certificate: &&Certificate| {
        let facts = inventory::published(&settings.paths.run, certificate.name()).ok()?.facts?;
        Some(Numbered { name: certificate.name().clone(), serial: facts.serial })
    };
    let serving: Vec<Numbered> = wanted.iter().filter_map(serving).collect();
    if serving.is_empty() {
        return None;
    }
    let looked = within(async {
        // Nothing is asked of the authority by a host whose state is not vouched for where that is required.
        world.gate.pass(world.clock).await?;
        look_up(world, run, &serving).await
    });
    let looked = looked.and_then(|looked| looked);
    looked.err().map(|why| Warning::new(Code::RevocationUnknown, format!("whether it is revoked could not be asked: {}", why.text)))
}
