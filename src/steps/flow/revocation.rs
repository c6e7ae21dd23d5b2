//! Revocation around a run: what a proven certificate took the place of is revoked where the settings want it, and what serves is looked up
//! where the authority was asked for something anyway. It never fails a certificate.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::context::Context;
use super::world::World;
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::Dir;
use crate::io::runtime::within;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Warning};
use crate::model::name::CertName;
use crate::model::report::CertReport;
use crate::plan::inventory;
use crate::steps::issue::Revocations;
use crate::steps::record::{certificate_dir, note_revoked, noted};
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

impl Numbered {
    /// Of a certificate that nothing is done about.
    pub(super) fn resting(report: &CertReport) -> Option<Self> {
        (report.outcome == Outcome::NotDue).then_some(())?;
        Some(Self { name: report.name.clone(), serial: report.serial.clone()? })
    }
}

/// A certificate that is still to be revoked, by the one that took its place.
struct Owed<'a> {
    name: &'a CertName,
    serial: String,
}

/// Revokes what was replaced, once the new ones are proven and committed: by this run, or by one that could not have it done. Nothing is asked
/// while attestation blocks.
pub(super) async fn replaced(context: &Context<'_>, reports: &mut [CertReport]) {
    let owed = owed(&context.settings, context.run.state(), context.clock.now());
    if owed.is_empty() {
        return;
    }
    let serials: Vec<String> = owed.iter().map(|one| one.serial.clone()).collect();
    let asked = match context.world.gate.pass(context.clock).await {
        Ok(_) => context.world.issuer.revoke(&serials).await,
        Err(blocked) => Err(blocked),
    };
    let Revocations { answers, warnings } = asked
        .unwrap_or_else(|failure| Revocations { answers: serials.iter().map(|_| Err(failure.clone())).collect(), warnings: Vec::new() });
    let mut warnings = Some(warnings);
    for (Owed { name, serial }, answer) in owed.into_iter().zip(answers) {
        let report = reports.iter_mut().find(|report| report.name == *name);
        if answer.is_ok() {
            note(context.run, name, &serial);
        }
        let refused = answer.err().map(|failure| {
            let again = "the next run in which something is due asks for it again";
            let text = format!("{serial}, which was replaced, is not revoked ({again}): {}", failure.text);
            Warning { hint: failure.hint, ..Warning::new(Code::NotRevoked, text) }
        });
        let Some(report) = report else {
            if let Some(warning) = refused {
                tracing::warn!(certificate = %name, "{}", warning.text);
            }
            continue;
        };
        report.warnings.extend(refused);
        // Of the login it is said once.
        report.warnings.extend(warnings.take().into_iter().flatten());
    }
}

/// What is to be revoked, as earlier commits noted it.
fn owed<'a>(settings: &'a Settings, state: &Dir, now: Time) -> Vec<Owed<'a>> {
    let asks = settings.certificates.iter().filter(|certificate| certificate.revoke_replaced);
    let of_one = |certificate: &'a Certificate| {
        let name = certificate.name();
        let state = certificate_dir(state, name).and_then(|var| var.map_or(Ok(None), |var| noted(&var))).ok().flatten().unwrap_or_default();
        state.to_revoke.into_iter().filter(move |owed| owed.ends > now).map(move |owed| Owed { name, serial: owed.serial })
    };
    asks.flat_map(of_one).collect()
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

/// The same before anything is planned, because a person asked for it. What cannot be asked, or not while attestation blocks, is a warning for
/// every certificate.
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
