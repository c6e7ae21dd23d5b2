//! `revoke NAME`: a person has a certificate revoked at the CA, by its serial number: the one that was replaced last, or another one. The one
//! that serves only where that was said; it is due then by itself.

use std::time::Duration;

use super::flow::faulty;
use super::flow::world::World;
use super::record::note_revoked;
use super::run::{Begun, Command, Run};
use super::swap::disk_failure;
use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError};
use crate::io::runtime::within;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::report::{CertReport, Report};
use crate::model::state::State;
use crate::plan::generation::Kept;

/// What is to be revoked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The certificate.
    pub name: CertName,
    /// The serial number; without it the one of the generation that was committed before.
    pub serial: Option<String>,
    /// Why, for the ledger.
    pub reason: Option<String>,
    /// Whether it may be the one that serves.
    pub live: bool,
    /// How long to wait for another run's lock.
    pub wait: Duration,
}

/// Has one certificate revoked.
#[must_use]
pub fn revoke(settings: &Settings, request: &Request, world: &World<'_>) -> Report {
    let run = match Run::begin(Command::Revoke, settings, request.wait, world.clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    if settings.certificate(&request.name).is_none() {
        let reports = faulty::named(&run, settings, std::slice::from_ref(&request.name));
        return run.end(reports);
    }
    let mut report = CertReport::new(request.name.clone(), Outcome::Failed);
    let ended = match serial_of(run.state(), request, &mut report) {
        Err(refused) => run.refused(report, refused),
        Ok(serial) => {
            let answer = within(world.issuer.revoke(std::slice::from_ref(&serial))).and_then(|answer| answer);
            report.serial = Some(serial.clone());
            match answer.and_then(|answers| answers.into_iter().collect::<Result<Vec<()>, _>>()) {
                Err(failure) => run.failed(report, failure),
                Ok(_) => {
                    if let Err(why) = note_revoked(run.state(), &request.name, &serial) {
                        tracing::warn!(%why, "that a certificate was revoked is not noted");
                    }
                    run.revoked(CertReport { outcome: Outcome::Revoked, ..report }, request.reason.clone())
                }
            }
        }
    };
    run.end(vec![ended])
}

/// Which one it is. What lies on this host is said in the report.
fn serial_of(state: &Dir, request: &Request, report: &mut CertReport) -> Result<String, Failure> {
    let Known { live, previous } = known(state, &request.name).map_err(|why| disk_failure(Stage::Plan, &why))?;
    let serial = request.serial.clone().or(previous).ok_or_else(|| {
        Failure::new(Stage::Plan, Code::NothingToGoBackTo, format!("{} has no generation before the committed one", request.name))
            .hint("name the serial number with --serial")
    })?;
    report.serial.clone_from(&live);
    if live.as_ref() == Some(&serial) && !request.live {
        let text = format!("{serial} is the certificate of {} that serves", request.name);
        return Err(Failure::new(Stage::Plan, Code::Usage, text)
            .hint("renew it first; or say --live, which makes it due by itself: `omens renew` replaces it"));
    }
    Ok(serial)
}

/// Serial numbers of what lies on this host.
struct Known {
    live: Option<String>,
    previous: Option<String>,
}

fn known(state: &Dir, name: &CertName) -> Result<Known, DiskError> {
    let Some(var) = state.child(layout::CERTS)?.map_or(Ok(None), |certs| certs.child(name.as_str()))? else {
        return Ok(Known { live: None, previous: None });
    };
    let noted = var.read(layout::STATE)?.and_then(|content| serde_json::from_slice::<State>(&content.bytes).ok()).unwrap_or_default();
    let serial = |generation: Option<Generation>| -> Result<Option<String>, DiskError> {
        Ok(generation.map(|generation| Kept::read(&var, generation)).transpose()?.and_then(|kept| kept.facts).map(|facts| facts.serial))
    };
    let live = var.link(layout::LIVE)?.as_deref().and_then(Generation::parse);
    Ok(Known { live: serial(live)?, previous: serial(noted.previous)? })
}
