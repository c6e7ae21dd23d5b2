//! `revoke NAME`: a person has a certificate revoked at the CA, by its serial number: the one that was replaced last, or, where that was said,
//! the one that serves or another one. The one that serves is due then by itself.

use std::collections::BTreeSet;
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
use crate::plan::generation::leaf;
use crate::plan::inventory;

/// What is to be revoked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The certificate.
    pub name: CertName,
    /// The serial number; without it that of what serves where `live` is set, else that of the generation that was committed before.
    pub serial: Option<String>,
    /// Why, for the ledger.
    pub reason: Option<String>,
    /// Whether it is, or with a serial number may be, the one that serves.
    pub live: bool,
    /// Why there was nothing to revoke before a person could be asked for a yes: that is the answer then, whatever lies there by now.
    pub refused: Option<Failure>,
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
    let report = CertReport::new(request.name.clone(), Outcome::Failed);
    let ended = match allowed(settings, run.state(), request) {
        Err(refused) => run.refused(report, refused),
        Ok(subject) => {
            let Subject { generation, serial } = subject;
            let asked = within(world.issuer.revoke(std::slice::from_ref(&serial))).and_then(|asked| asked);
            match asked.and_then(|asked| asked.answers.into_iter().collect::<Result<Vec<()>, _>>().map(|_| asked.warnings)) {
                // What a person asked for and did not get says nothing of the certificate.
                Err(failure) => run.failed_unnoted(CertReport { serial: Some(serial), ..report }, failure),
                Ok(warnings) => {
                    if let Err(why) = note_revoked(run.state(), &request.name, &serial) {
                        tracing::warn!(%why, "that a certificate was revoked is not noted");
                    }
                    let done = CertReport { outcome: Outcome::Revoked, generation, serial: Some(serial), warnings, ..report };
                    run.revoked(done, request.reason.clone())
                }
            }
        }
    };
    run.end(vec![ended])
}

/// One certificate that was issued for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which generation it is, where that is still here.
    pub generation: Option<Generation>,
    /// Its serial number.
    pub serial: String,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(generation) = self.generation {
            write!(f, "{generation}, ")?;
        }
        write!(f, "serial number {}", self.serial)
    }
}

/// What a request is about, by what lies on this host now.
///
/// # Errors
/// There is no such certificate, or it cannot be read.
pub fn subject(settings: &Settings, request: &Request) -> Result<Subject, Failure> {
    let state = Dir::open(&settings.paths.state).map_err(|why| disk_failure(Stage::Plan, &why))?;
    let known =
        state.map_or_else(|| Ok(Vec::new()), |state| known(&state, &request.name)).map_err(|why| disk_failure(Stage::Plan, &why))?;
    chosen(settings, &known, request)
}

fn chosen(settings: &Settings, known: &[Known], request: &Request) -> Result<Subject, Failure> {
    let by = |is_it: &dyn Fn(&Known) -> bool| known.iter().find(|one| is_it(one)).map(|one| one.subject.clone());
    if let Some(serial) = &request.serial {
        return Ok(by(&|one| one.subject.serial == *serial).unwrap_or_else(|| Subject { generation: None, serial: serial.clone() }));
    }
    let none = |text| Failure::new(Stage::Plan, Code::NothingToGoBackTo, text);
    if request.live {
        let published = published(settings, &request.name);
        return published.or_else(|| by(&|one| one.is_live)).ok_or_else(|| {
            none(format!("no certificate of {} serves on this host", request.name)).hint("name the serial number with --serial")
        });
    }
    by(&|one| one.is_previous).ok_or_else(|| {
        let failure = none(format!("{} has no generation before the committed one", request.name));
        failure.hint("name the serial number with --serial; or say --live for the one that serves, which makes it due by itself")
    })
}

/// What consumers find.
fn published(settings: &Settings, name: &CertName) -> Option<Subject> {
    let published = inventory::published(&settings.paths.run, name).ok()?;
    Some(Subject { generation: published.generation, serial: published.facts?.serial })
}

/// Which one it is, once it is known that it may be revoked.
fn allowed(settings: &Settings, state: &Dir, request: &Request) -> Result<Subject, Failure> {
    if let Some(refused) = &request.refused {
        return Err(refused.clone());
    }
    let known = known(state, &request.name).map_err(|why| disk_failure(Stage::Plan, &why))?;
    let subject = chosen(settings, &known, request)?;
    let serial = &subject.serial;
    match serving(settings, state, request, &subject)? {
        Some(name) if *name != request.name => {
            let text = format!("{serial} is the certificate of {name} that serves, and none of {}", request.name);
            Err(Failure::new(Stage::Plan, Code::Usage, text).hint(format!("name that one: `omens revoke {name} --serial {serial} --live`")))
        }
        Some(name) if !request.live => {
            let text = format!("{serial} is the certificate of {name} that serves");
            Err(Failure::new(Stage::Plan, Code::Usage, text)
                .hint("renew it first; or say --live, which makes it due by itself: `omens renew` replaces it"))
        }
        _ => Ok(subject),
    }
}

/// The certificate of this host that serves by this serial number: what is committed, or what consumers were given and is not proven yet.
/// What was issued for one certificate is no other one's: the others are asked about only where nothing of its own has that number.
///
/// # Errors
/// By which number one of them serves cannot be read: it may be this one.
fn serving<'a>(settings: &'a Settings, state: &Dir, request: &'a Request, subject: &Subject) -> Result<Option<&'a CertName>, Failure> {
    let faulty = settings.faults.certificates.iter().map(|faulty| &faulty.name);
    let others = settings.certificates.iter().map(Certificate::name).chain(faulty);
    let others = others.filter(|name| subject.generation.is_none() && **name != request.name);
    for name in std::iter::once(&request.name).chain(others) {
        if serves_by(settings, state, name, &subject.serial)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn serves_by(settings: &Settings, state: &Dir, name: &CertName, serial: &str) -> Result<bool, Failure> {
    let disk = |why: DiskError| {
        let failure = disk_failure(Stage::Plan, &why);
        let text = format!("whether {serial} is the certificate of {name} that serves is not known: {}", failure.text);
        Failure { text, ..failure }
    };
    let published = inventory::published(&settings.paths.run, name).map_err(disk)?;
    let Some(var) = certificate_dir(state, name).map_err(disk)? else { return Ok(published.facts.is_some_and(|it| it.serial == serial)) };
    let live = var.link(layout::LIVE).map_err(disk)?.as_deref().and_then(Generation::parse);
    let mut wanted = BTreeSet::from_iter(live);
    match &published.facts {
        Some(facts) if facts.serial == serial => return Ok(true),
        Some(_) => {}
        // What consumers were given is damaged there; here it may not be.
        None => wanted.extend(published.generation),
    }
    for generation in wanted {
        match leaf(&var, generation).map_err(disk)? {
            Some(facts) if facts.serial == serial => return Ok(true),
            Some(_) => {}
            None => {
                let file = var.join(&generation.to_string()).join(layout::CERT);
                let text = format!(
                    "whether {serial} is the certificate of {name} that serves is not known: {} holds no certificate",
                    file.display()
                );
                let hint = format!("`omens renew {name}` replaces what is damaged; then repeat this");
                return Err(Failure::new(Stage::Plan, Code::Unreadable, text).hint(hint));
            }
        }
    }
    Ok(false)
}

/// A generation that lies on this host.
struct Known {
    subject: Subject,
    /// Whether it is the committed one.
    is_live: bool,
    /// Whether it is the one that was committed before.
    is_previous: bool,
}

fn known(state: &Dir, name: &CertName) -> Result<Vec<Known>, DiskError> {
    let Some(mut var) = certificate_dir(state, name)? else { return Ok(Vec::new()) };
    let previous = noted(&var)?.unwrap_or_default().previous;
    let live = var.link(layout::LIVE)?.as_deref().and_then(Generation::parse);
    let mut generations = Vec::new();
    var.each_name(|name, can_be_directory| generations.extend(Generation::parse(name).filter(|_| can_be_directory)))?;
    let mut known = Vec::new();
    for generation in generations {
        let Some(facts) = leaf(&var, generation)? else { continue };
        let subject = Subject { generation: Some(generation), serial: facts.serial };
        known.push(Known { subject, is_live: live == Some(generation), is_previous: previous == Some(generation) });
    }
    Ok(known)
}
