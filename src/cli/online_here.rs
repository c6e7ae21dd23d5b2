//! `check-config --online`: what of the settings holds on this host, and at the roles that are to sign. It must never start a process nor
//! change anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::check::{Check, Severity};
use super::online_names;
use crate::config::settings::{Certificate, Endpoint, ServerName, Settings};
use crate::io::dir::Dir;
use crate::io::handshake::{self, NotSeen, Target};
use crate::io::look::View;
use crate::io::openbao::{Grant, Server};
use crate::io::tpm::Tpm;
use crate::io::tpm::limit::{LIMIT, Unanswered};
use crate::judge;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::key::KeyAlgorithm;
use crate::model::login_end::LoginEnd;
use crate::model::pcr;
use crate::model::span;
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
        Err(why @ (NotSeen::Refused { .. } | NotSeen::Stalled(_) | NotSeen::InClear { .. })) => {
            Check::new(Code::HandshakeRefused, Severity::Warning, format!("{address}: {why}; `verify` looks there"))
                .hint("`omens probe` with this address says who refuses whom")
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

/// What the roles say about the certificates that they are to sign, where the login may read them.
pub(super) async fn roles(settings: &Settings, server: &Server, grant: &Grant) -> Vec<Check> {
    let mut by_role: BTreeMap<&str, Vec<&Certificate>> = BTreeMap::new();
    for certificate in &settings.certificates {
        by_role.entry(certificate.issuer.role()).or_default().push(certificate);
    }
    let known = online_names::roles(settings, server, grant).await;
    let mut unknown = known.as_deref().map(|known| online_names::unknown_roles(settings, known)).unwrap_or_default();
    let mut checks = Vec::new();
    for (name, certificates) in by_role {
        if let Some(said) = unknown.remove(name) {
            checks.extend(said);
            continue;
        }
        let path = format!("{}/roles/{name}", settings.openbao.mount);
        match server.read(&path, Some(grant)).await {
            Ok(Some(role)) => checks.extend(certificates.into_iter().flat_map(|certificate| of_role(name, &role, certificate))),
            Ok(None) => {
                let text = format!("{path} is not there, or the login may not read it: names, key and ttl were not compared with it");
                checks.push(Check::new(Code::Role, Severity::Info, text));
            }
            Err(problem) => checks.push(Check::new(Code::Role, Severity::Warning, problem.failure.text)),
        }
    }
    checks
}

/// What a role refuses of one certificate.
fn of_role(name: &str, role: &Value, certificate: &Certificate) -> Vec<Check> {
    let request = &certificate.request;
    let refused = |what: String| {
        Check::new(Code::RoleRefused, Severity::Error, format!("certificate {}: the role {name} {what}", request.name))
            .hint("change the certificate in the settings, or the role")
    };
    let mut checks: Vec<Check> = request
        .dns_names()
        .iter()
        .filter(|dns| !allows_name(role, dns))
        .map(|dns| refused(format!("does not allow the name {dns}")))
        .collect();
    let is = |key: &str, default: bool| role.get(key).and_then(Value::as_bool).unwrap_or(default);
    if !request.ip.is_empty() && !is("allow_ip_sans", true) {
        checks.push(refused("allows no IP addresses (allow_ip_sans)".to_owned()));
    }
    if let Some(wanted) = role.get("key_type").and_then(Value::as_str).filter(|kind| !fits_key(kind, role, request.algorithm)) {
        let bits = role.get("key_bits").and_then(Value::as_u64).unwrap_or_default();
        checks.push(refused(format!("wants keys of type {wanted} with {bits} bits, the settings make {}", request.algorithm.as_str())));
    }
    let longest = role.get("max_ttl").and_then(Value::as_u64).filter(|seconds| *seconds > 0).map(Duration::from_secs);
    if let Some(longest) = longest.filter(|longest| *longest < request.ttl) {
        let text = format!("certificate {}: the role {name} shortens {} to {}", request.name, span::show(request.ttl), span::show(longest));
        checks.push(Check::new(Code::RoleRefused, Severity::Warning, text).hint("ask for a shorter ttl, or raise max_ttl of the role"));
    }
    if checks.is_empty() {
        checks.push(Check::new(
            Code::Role,
            Severity::Info,
            format!("certificate {}: the role {name} allows names, key and ttl", request.name),
        ));
    }
    checks
}

/// Whether a role allows a DNS name, as OpenBao's PKI engine reads its fields; what it cannot say without more, such as patterns, it allows.
fn allows_name(role: &Value, name: &str) -> bool {
    let is = |key: &str| role.get(key).and_then(Value::as_bool).unwrap_or(false);
    if is("allow_any_name") || (is("allow_localhost") && matches!(name, "localhost" | "localdomain")) {
        return true;
    }
    // A pattern, or one that depends on who asks, is OpenBao's to judge.
    if is("allow_glob_domains") || is("allowed_domains_template") {
        return true;
    }
    let plain = name.strip_prefix("*.");
    if plain.is_some() && role.get("allow_wildcard_certificates").and_then(Value::as_bool) == Some(false) {
        return false;
    }
    let domains = role.get("allowed_domains").and_then(Value::as_array);
    let domains = domains.into_iter().flatten().filter_map(Value::as_str).map(str::to_ascii_lowercase);
    let fits = |domain: String| {
        let is_below = plain.unwrap_or(name).strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
        (plain.is_none() && is("allow_bare_domains") && name == domain)
            || (is("allow_subdomains") && (is_below || plain == Some(domain.as_str())))
    };
    domains.into_iter().any(fits)
}

fn fits_key(kind: &str, role: &Value, algorithm: KeyAlgorithm) -> bool {
    let word = algorithm.as_str();
    let bits = role.get("key_bits").and_then(Value::as_u64).filter(|bits| *bits > 0);
    let has_bits = bits.is_none_or(|bits| word.ends_with(&bits.to_string()));
    match kind {
        "any" => true,
        // A role's bits are the fewest for RSA, and the curve for EC.
        "rsa" => word.strip_prefix("rsa-").and_then(|own| own.parse::<u64>().ok()).is_some_and(|own| bits.is_none_or(|bits| own >= bits)),
        "ec" => word.starts_with("ec-p") && has_bits,
        other => word.starts_with(other),
    }
}

/// Logins that end before they are needed the time after next: of those that were just granted, and of certificates that log in.
pub(super) fn logins(settings: &Settings, granted: Vec<LoginEnd>, now: Time) -> Vec<Check> {
    let all: Vec<&Certificate> = settings.certificates.iter().collect();
    let Ok(status) = view::status(settings, &all, now) else { return Vec::new() };
    let mut logins: Vec<LoginEnd> =
        status.logins.into_iter().filter(|login| granted.iter().all(|one| one.method != login.method)).collect();
    logins.extend(granted);
    let warnings = Needs::of(settings, &status.certificates, now).map_or_else(Vec::new, |needs| needs.warnings(&logins, now));
    warnings.into_iter().map(Check::warned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_read_as_the_pki_engine_reads_them() {
        let role = json!({"allowed_domains": ["funlab.casa"], "allow_subdomains": true, "allow_bare_domains": false});
        for (name, allowed) in [
            ("web.funlab.casa", true),
            ("a.b.funlab.casa", true),
            ("funlab.casa", false),
            ("xfunlab.casa", false),
            ("other.example", false),
            ("*.funlab.casa", true),
            ("localhost", false),
        ] {
            assert_eq!(allows_name(&role, name), allowed, "{name}");
        }
        let bare = json!({"allowed_domains": ["funlab.casa"], "allow_bare_domains": true, "allow_localhost": true});
        for (name, allowed) in [("funlab.casa", true), ("web.funlab.casa", false), ("localhost", true)] {
            assert_eq!(allows_name(&bare, name), allowed, "{name}");
        }
        let strict = json!({"allowed_domains": ["funlab.casa"], "allow_subdomains": true, "allow_wildcard_certificates": false});
        assert!(!allows_name(&strict, "*.funlab.casa") && allows_name(&json!({"allow_any_name": true}), "any.example"));
    }

    #[test]
    fn keys_are_held_against_type_and_bits() {
        for (role, algorithm, fits) in [
            (json!({"key_type": "ec", "key_bits": 256}), KeyAlgorithm::EcP256, true),
            (json!({"key_type": "ec", "key_bits": 256}), KeyAlgorithm::EcP384, false),
            (json!({"key_type": "rsa", "key_bits": 2048}), KeyAlgorithm::Rsa3072, true),
            (json!({"key_type": "rsa", "key_bits": 4096}), KeyAlgorithm::Rsa3072, false),
            (json!({"key_type": "rsa", "key_bits": 0}), KeyAlgorithm::EcP256, false),
            (json!({"key_type": "any"}), KeyAlgorithm::EcP256, true),
        ] {
            assert_eq!(fits_key(role["key_type"].as_str().unwrap(), &role, algorithm), fits, "{role} {algorithm:?}");
        }
    }
}
