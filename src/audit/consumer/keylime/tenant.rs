//! The tenant: an administrator's tool, whose certificate opens everything.

use super::settings::Settings;
use super::tls::{self, Side};
use super::{Base, KeylimeReader, lints, python, registrar};
use crate::audit::facts::wiring::{Connection, Needs};
use crate::model::finding::Severity;

/// Reads it; the verifier's settings are those of the same host.
pub(super) fn read(reader: &mut KeylimeReader<'_>, settings: &Settings, verifier: Option<&Settings>, base: &Base) {
    tls::absent(reader, settings, base);
    let push = verifier.is_some_and(|verifier| verifier.text("mode", "pull").trim() == "push");
    // It asks pull agents for a quote itself, and they send their leaf alone (audit/keylime.md, "Options that go wrong" and "TLS").
    let needs = if push { Needs::Root } else { Needs::RootAndIntermediate };
    let pair = tls::pair(reader, settings, base, Side::Client);
    let trust = tls::trust(reader, settings, base, Side::Client, needs);
    checks(reader, settings);
    for (host, port, default) in [("verifier_ip", "verifier_port", 8881), ("registrar_ip", "registrar_port", registrar::TLS_PORT)] {
        let connection = Connection {
            consumer: settings.consumer(port),
            host: settings.text(host, "127.0.0.1").to_owned(),
            port: settings.port(port, default),
            tls: true,
            name: None,
            trust,
            pair,
            terms: tls::made_later(reader, settings, base, pair),
        };
        reader.wiring.connections.push(connection);
    }
    if settings.port("registrar_port", registrar::TLS_PORT) == registrar::PLAIN_PORT {
        let draft =
            settings.draft(&lints::REGISTRAR_PLAIN, "registrar_port").expected("registrar_port = 8891").found("registrar_port = 8890");
        reader.findings.add(draft);
    }
}

fn checks(reader: &mut KeylimeReader<'_>, settings: &Settings) {
    let script = settings.text("ek_check_script", "").trim();
    if !settings.flag("require_ek_cert", true) && script.is_empty() {
        let draft = settings.draft(&lints::EK_UNCHECKED, "require_ek_cert").expected("require_ek_cert = True, or an ek_check_script");
        reader.findings.add(draft.found("require_ek_cert = False without ek_check_script"));
    }
    if let Some(setting) = settings.get("accept_tpm_hash_algs") {
        let listed = python::list(&setting.value).unwrap_or_else(|| setting.value.split(',').map(|one| one.trim().to_owned()).collect());
        if listed.iter().any(|one| one.eq_ignore_ascii_case("sha1")) {
            let draft = settings
                .draft(&lints::SHA1, "accept_tpm_hash_algs")
                .expected("sha256 and better")
                .found(format!("accept_tpm_hash_algs = {}", setting.value));
            reader.findings.add(draft);
        }
    }
    if !settings.flag("enable_agent_mtls", true) {
        let draft = settings.draft(&lints::AGENT_MTLS, "enable_agent_mtls").severity(Severity::Medium);
        reader.findings.add(draft.expected("enable_agent_mtls = True").found("enable_agent_mtls = False"));
    }
}
