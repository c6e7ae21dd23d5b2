//! `revoke NAME`: a person has a certificate revoked at the CA, by its serial number: the one that was replaced last, or another one. The one
//! that serves only where that was said; it is due then by itself.

use std::time::Duration;

use super::flow::faulty;
use super::flow::world::World;
use super::record::{certificate_dir, note_revoked, noted};
use super::run::{Begun, Command, Run};
use super::swap::disk_failure;
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::runtime::within;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::report::{CertReport, Report};
use crate::plan::generation::Kept;
use crate::plan::inventory;

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
    let ended = match serial_of(settings, run.state(), request, &mut report) {
        Err(refused) => run.refused(report, refused),
        Ok(serial) => {
            let asked = within(world.issuer.revoke(std::slice::from_ref(&serial))).and_then(|asked| asked);
            report.serial = Some(serial.clone());
            match asked.and_then(|asked| asked.answers.into_iter().collect::<Result<Vec<()>, _>>().map(|_| asked.warnings)) {
                Err(failure) => run.failed(report, failure),
                Ok(warnings) => {
                    if let Err(why) = note_revoked(run.state(), &request.name, &serial) {
                        tracing::warn!(%why, "that a certificate was revoked is not noted");
                    }
                    report.warnings.extend(warnings);
                    run.revoked(CertReport { outcome: Outcome::Revoked, ..report }, request.reason.clone())
                }
            }
        }
    };
    run.end(vec![ended])
}

/// Which one it is. What lies on this host is said in the report.
fn serial_of(settings: &Settings, state: &Dir, request: &Request, report: &mut CertReport) -> Result<String, Failure> {
    let Known { live, previous } = known(state, &request.name).map_err(|why| disk_failure(Stage::Plan, &why))?;
    let serial = request.serial.clone().or(previous).ok_or_else(|| {
        Failure::new(Stage::Plan, Code::NothingToGoBackTo, format!("{} has no generation before the committed one", request.name))
            .hint("name the serial number with --serial")
    })?;
    report.serial = live;
    match serving(settings, state, &serial) {
        Some(name) if *name != request.name => {
            let text = format!("{serial} is the certificate of {name} that serves, and none of {}", request.name);
            Err(Failure::new(Stage::Plan, Code::Usage, text).hint(format!("name that one: `omens revoke {name} --serial {serial} --live`")))
        }
        Some(name) if !request.live => {
            let text = format!("{serial} is the certificate of {name} that serves");
            Err(Failure::new(Stage::Plan, Code::Usage, text)
                .hint("renew it first; or say --live, which makes it due by itself: `omens renew` replaces it"))
        }
        _ => Ok(serial),
    }
}

/// The certificate of this host that serves by this serial number: what is committed, or what consumers were given and is not proven yet.
fn serving<'a>(settings: &'a Settings, state: &Dir, serial: &str) -> Option<&'a CertName> {
    let is_it = |name: &&CertName| {
        let committed = known(state, name).ok().and_then(|known| known.live);
        let published = inventory::published(&settings.paths.run, name).ok().and_then(|published| published.facts);
        committed.as_deref() == Some(serial) || published.is_some_and(|facts| facts.serial == serial)
    };
    settings.certificates.iter().map(Certificate::name).find(is_it)
}

/// Serial numbers of what lies on this host.
struct Known {
    live: Option<String>,
    previous: Option<String>,
}

fn known(state: &Dir, name: &CertName) -> Result<Known, DiskError> {
    let Some(var) = certificate_dir(state, name)? else { return Ok(Known { live: None, previous: None }) };
    let noted = noted(&var)?.unwrap_or_default();
    let serial = |generation: Option<Generation>| -> Result<Option<String>, DiskError> {
        Ok(generation.map(|generation| Kept::read(&var, generation)).transpose()?.and_then(|kept| kept.facts).map(|facts| facts.serial))
    };
    let live = var.link(layout::LIVE)?.as_deref().and_then(Generation::parse);
    Ok(Known { live: serial(live)?, previous: serial(noted.previous)? })
}
