//! One audit: which services are read for which targets, in which order.

use std::path::PathBuf;

use super::consumer::systemd::{self, Systemd, Unit, told};
use super::consumer::{SERVICES, scripts};
use super::facts::findings::HostFindings;
pub use super::facts::given::Given;
use super::facts::service::{Service, Source};
use super::facts::timer::Timer;
use super::facts::unread;
use super::facts::wiring::Wiring;
use super::rules::material::{self, Basis};
use super::rules::timers;
use super::target::AuditTarget;
use crate::io::look::View;
use crate::model::audit::{Location, Target};

/// Looks at files: the targets, or the usual places where there are none. What listens and what calls is given back for the network's part.
pub fn files(view: &View, targets: &[AuditTarget], given: &Given, findings: &mut HostFindings) -> Wiring {
    files_of(SERVICES, view, targets, given, findings)
}

/// The same for these services.
pub fn files_of(known: &[&'static Service], view: &View, targets: &[AuditTarget], given: &Given, findings: &mut HostFindings) -> Wiring {
    given.untrusted.iter().cloned().for_each(|untrusted| findings.add(untrusted));
    let basis = Basis::new(view, given);
    let mut wiring = Wiring::default();
    let mut scheduled = Vec::new();
    if targets.is_empty() {
        let units = systemd::read(view, &unit_words(known), findings);
        let scripts = scripts::read(view, &units.commands, findings);
        wiring.files.extend(units.files.iter().chain(&scripts.files).cloned());
        wiring.join(units.wiring.clone());
        wiring.join(scripts.wiring);
        services(known, view, &units, given, &mut wiring, findings);
        scheduled = [units.timers, scripts.timers].concat();
    }
    for target in targets {
        wiring.join(one(&basis, target, findings));
    }
    let shortest = material::judge(&basis, &wiring, findings);
    if let Some(life) = shortest {
        timers::judge(&scheduled, life, findings);
    }
    wiring
}

fn one(basis: &Basis<'_>, target: &AuditTarget, findings: &mut HostFindings) -> Wiring {
    let view = basis.view;
    if let Some(path) = target.path()
        && let Err(error) = view.meta(path)
    {
        unread::asked_for(findings, Target::new("file", path.display().to_string()), Location::file(path), &error);
        return Wiring::default();
    }
    match target {
        AuditTarget::Path(path) => material::file(basis, path, findings),
        // It is asked over the network, after the files.
        AuditTarget::Endpoint(_) => {}
        AuditTarget::Service(target) => {
            return (target.kind.read)(Source { view, variables: &[], started: &[] }, &target.operand, findings);
        }
    }
    Wiring::default()
}

/// What the usual places of the services say, and the files that were given.
#[must_use]
pub fn wiring(view: &View, given: &Given, findings: &mut HostFindings) -> Wiring {
    let mut wiring = Wiring::default();
    let units = systemd::read(view, &unit_words(SERVICES), findings);
    services(SERVICES, view, &units, given, &mut wiring, findings);
    wiring
}

/// What a host is told, unjudged.
#[derive(Debug, Default)]
pub struct Told {
    /// What its services use.
    pub wiring: Wiring,
    /// Units that have to do with certificates.
    pub units: Vec<Unit>,
    /// What runs by itself, of systemd and cron.
    pub timers: Vec<Timer>,
    /// Files of units and scripts.
    pub files: Vec<PathBuf>,
}

/// What the usual places say of services, units and cron.
#[must_use]
pub fn told(view: &View, findings: &mut HostFindings) -> Told {
    let units = systemd::read(view, &unit_words(SERVICES), findings);
    let scripts = scripts::read(view, &units.commands, findings);
    let mut wiring = Wiring::default();
    services(SERVICES, view, &units, &Given::default(), &mut wiring, findings);
    let timers = [units.timers, scripts.timers].concat();
    Told { wiring, units: units.units, timers, files: [units.files, scripts.files].concat() }
}

/// Words by which a unit has to do with one of these services.
fn unit_words(known: &[&'static Service]) -> Vec<&'static str> {
    known.iter().flat_map(|service| service.unit_words).copied().collect()
}

/// Services at their usual places, and where units and settings say that they are.
fn services(known: &[&'static Service], view: &View, units: &Systemd, given: &Given, wiring: &mut Wiring, findings: &mut HostFindings) {
    for service in known {
        let variables = service.environment.map(|word| told::environment(view, &units.units, word)).unwrap_or_default();
        let started = told::started(view, &units.units, service.started_as);
        let source = Source { view, variables: &variables, started: &started };
        let named = given.files.iter().filter(|file| file.service == service.name).map(|file| file.path.clone());
        let told = named.chain(told::configurations(&units.units, service.started_as)).collect();
        for file in each_once(view, told, (service.usual)(view)) {
            wiring.join((service.read)(source, &file, findings));
        }
    }
    accounts(known, units, wiring);
    credentials(units, wiring);
}

/// What systemd copies for a service is judged where it comes from; it is the service's own then.
fn credentials(units: &Systemd, wiring: &mut Wiring) {
    let source = |path: &PathBuf| told::credential(&units.units, path);
    for pair in &mut wiring.pairs {
        let (certificate, key) = (source(&pair.certificate), pair.key.as_ref().and_then(source));
        if certificate.is_some() || key.is_some() {
            pair.account = None;
        }
        pair.certificate = certificate.unwrap_or_else(|| pair.certificate.clone());
        pair.key = key.or_else(|| pair.key.take());
    }
    for trust in &mut wiring.trusts {
        for file in &mut trust.files {
            if let Some(path) = told::credential(&units.units, file) {
                *file = path;
                trust.terms.account = None;
            }
        }
    }
}

/// Who reads the keys and the trust lists, by the units.
fn accounts(known: &[&'static Service], units: &Systemd, wiring: &mut Wiring) {
    for program in known.iter().flat_map(|service| service.programs).filter(|program| !program.executables.is_empty()) {
        let Some(account) = told::account(&units.units, program.executables) else { continue };
        for pair in wiring.pairs.iter_mut().filter(|pair| pair.consumer.program == *program && pair.account.is_none()) {
            pair.account = Some(account.clone());
        }
        for authority in wiring.authorities.iter_mut().filter(|authority| authority.consumer.program == *program) {
            authority.account = Some(account.clone());
        }
        for trust in wiring.trusts.iter_mut().filter(|trust| trust.consumer.program == *program && trust.terms.account.is_none()) {
            trust.terms.account = Some(account.clone());
        }
    }
}

/// A file under two names is read once; one that a unit names and that is not there is what the unit's own findings speak of.
fn each_once(view: &View, told: Vec<PathBuf>, usual: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut files = Vec::new();
    for file in told.into_iter().filter(|file| view.meta(file).is_ok()).chain(usual) {
        let real = view.real(&file).unwrap_or_else(|_| file.clone());
        // A directory of configurations was read as a whole.
        if !seen.iter().any(|before| real.starts_with(before)) {
            seen.push(real);
            files.push(file);
        }
    }
    files
}
