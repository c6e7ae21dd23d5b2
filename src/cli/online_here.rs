//! `check-config --online`: what of the settings holds on this host. It must never start a process nor change anything.

use std::collections::BTreeSet;
use std::time::Duration;

use super::check::{Check, Severity};
use crate::config::settings::{Certificate, Endpoint, ServerName, Settings};
use crate::io::dir::Dir;
use crate::io::handshake::{self, NotSeen, Target};
use crate::io::look::View;
use crate::io::tpm::Tpm;
use crate::io::tpm::limit::{LIMIT, Unanswered};
use crate::judge;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::login_end::{LoginEnd, Logins};
use crate::model::pcr;
use crate::plan::logins::Needs;
use crate::plan::{scheduler, view};

/// For one look at an endpoint; those of a list are looked at one after the other.
const LOOK: Duration = Duration::from_secs(3);

/// Looks at every endpoint of `verify`.
pub(super) async fn endpoints(settings: &Settings, clock: Clock) -> Vec<Check> {
    let mut seen: BTreeSet<(&str, String)> = BTreeSet::new();
    let mut checks = Vec::new();
    for endpoint in settings.certificates.iter().flat_map(|certificate| &certificate.verify) {
        let name = match &endpoint.server_name {
            ServerName::Dns(name) => name.clone(),
            ServerName::Ip(address) => address.to_string(),
        };
        if seen.insert((endpoint.address.as_str(), name.clone())) {
            checks.push(self::endpoint(settings, endpoint, name, clock).await);
        }
    }
    checks
}

async fn endpoint(settings: &Settings, endpoint: &Endpoint, server_name: String, clock: Clock) -> Check {
    let address = endpoint.address.clone();
    let target = Target {
        address: address.clone(),
        server_name: server_name.clone(),
        only: None,
        starttls: endpoint.starttls,
        identity: None,
        deadline: LOOK,
    };
    match handshake::look(&target, clock).await {
        Ok(seen) => match judge::served(&settings.anchors(), &seen.chain, &server_name, clock.now()) {
            Ok(()) => Check::new(Code::Endpoint, Severity::Info, format!("{address} serves {server_name} with a chain to the pinned root")),
            Err(why) => Check::new(Code::Endpoint, Severity::Warning, format!("{address} serves {server_name}, but {why}"))
                .hint("that is as it should be before the first renewal; after it `omens status` says what is served"),
        },
        Err(NotSeen::Unreachable(why)) => Check::new(Code::Unreachable, Severity::Warning, format!("{why}; `verify` looks there"))
            .hint("start the service, or correct `address` in `verify`: until somebody answers no renewal is proven"),
        Err(NotSeen::Refused { text, no_tls: true, .. }) => {
            let hint = "have the service speak TLS at that port, or correct `address` in `verify`; where TLS begins after words in clear, write \
                        starttls = \"smtp\" (or imap, pop3, ldap, postgres, mysql) there";
            Check::new(Code::HandshakeRefused, Severity::Warning, format!("`verify` looks for TLS where there is none: {text}")).hint(hint)
        }
        Err(why @ (NotSeen::Refused { .. } | NotSeen::Stalled(_) | NotSeen::InClear { .. })) => {
            Check::new(Code::HandshakeRefused, Severity::Warning, format!("`verify` looks there, and no handshake came about: {why}"))
                .hint(&format!("`omens probe {address}` says who refuses whom"))
        }
    }
}

/// Whether the units of `reload` are installed.
pub(super) fn units(settings: &Settings, view: &View) -> Vec<Check> {
    let services = settings.certificates.iter().flat_map(|certificate| &certificate.reload);
    let units: BTreeSet<String> = services.map(|service| service.name()).filter(|name| name.ends_with(".service")).collect();
    // One that is not there is told with the nearest name (`services::unknown_units`).
    let there = units.iter().filter(|unit| scheduler::has_unit(view, unit));
    there.map(|unit| Check::new(Code::Unit, Severity::Info, format!("the unit {unit} is installed"))).collect()
}

/// Whether the PCRs of the settings were measured into.
pub(super) fn pcrs(settings: &Settings) -> Option<Check> {
    let sealing = settings.sealing.as_ref().filter(|sealing| !sealing.pcrs.is_empty())?;
    let (tcti, list) = (sealing.tcti.clone(), sealing.pcrs.clone());
    let asked = Unanswered::default().within(LIMIT, &sealing.tcti, move || Tpm::are_measured(&tcti, &list)).and_then(|found| found);
    Some(match asked {
        Ok(()) => Check::new(Code::Pcrs, Severity::Info, format!("the TPM has values for {}", pcr::named(sealing.pcrs.numbers()))),
        Err(why) => Check::failed(Severity::Error, why.failure()),
    })
}

/// Whether the run directory is, or will be, in memory, where a sealed key needs that.
pub(super) fn memory(settings: &Settings) -> Option<Check> {
    settings.certificates.iter().find(|certificate| certificate.keep.is_only_in_memory())?;
    let there = settings.paths.run.ancestors().find_map(|path| Dir::open(path).ok().flatten())?;
    let text = format!("{} is in memory", settings.paths.run.display());
    // That it is not is said with and without --online.
    there.is_memory_backed().ok()?.then(|| Check::new(Code::RunNotTmpfs, Severity::Info, text))
}

/// Logins that end before they are needed the time after next: of those that were just granted, and of certificates that log in. What nobody
/// knows is said as that.
pub(super) fn logins(settings: &Settings, granted: Logins, now: Time) -> Vec<Check> {
    let all: Vec<&Certificate> = settings.certificates.iter().collect();
    let Ok(status) = view::status(settings, &all, now) else { return Vec::new() };
    let of_now = granted.logins.iter().map(|one| &one.method).chain(granted.unknown.iter().map(|one| &one.method)).chain(&granted.endless);
    let of_now: Vec<&String> = of_now.collect();
    let mut logins: Vec<LoginEnd> = status.logins.into_iter().filter(|login| !of_now.contains(&&login.method)).collect();
    logins.extend(granted.logins.iter().cloned());
    let warnings = Needs::of(settings, &status.certificates, now).map_or_else(Vec::new, |needs| needs.warnings(&logins, now));
    let unknown = granted.unknown.into_iter().map(|login| {
        let text = format!("when the login by {} ends is not known: {}", login.method, login.why);
        Check::new(Code::LoginEndUnknown, Severity::Info, text)
    });
    let endless =
        granted.endless.iter().map(|method| Check::new(Code::Login, Severity::Info, format!("the login by {method} does not end")));
    let ending = granted
        .logins
        .iter()
        .map(|login| Check::new(Code::Login, Severity::Info, format!("the login by {} ends at {}", login.method, login.expires)));
    warnings.into_iter().map(Check::warned).chain(unknown).chain(endless).chain(ending).collect()
}
