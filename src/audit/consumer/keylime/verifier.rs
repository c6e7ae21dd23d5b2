//! The verifier: who may administer it, how it attests, and whom it calls.

use super::settings::Settings;
use super::tls::{self, Side};
use super::{Base, KeylimeReader, known, lints};
use crate::audit::facts::wiring::{ClientAuth, Connection, Listener, Needs};

/// What the Rust push agent waits between two attestations by default, in seconds.
const PUSH_PERIOD: f64 = 60.0;

/// Reads it; the agent's settings are those of the same host.
pub(super) fn read(reader: &mut KeylimeReader<'_>, settings: &Settings, agent: Option<&Settings>, base: &Base) {
    mandatory(reader, settings);
    tls::generated(reader, settings, base);
    let push = mode(reader, settings);
    let server = tls::pair(reader, settings, base, Side::Server);
    let clients = tls::trust(reader, settings, base, Side::Server, Needs::Root);
    reader.wiring.listeners.push(Listener {
        consumer: settings.consumer("port"),
        host: settings.text("ip", "127.0.0.1").to_owned(),
        port: settings.port("port", 8881),
        tls: true,
        names: Vec::new(),
        pairs: server.into_iter().collect(),
        // Agents that push show no certificate; administrators do.
        client_auth: if push { ClientAuth::Optional } else { ClientAuth::Required },
        trust: clients,
        terms: Default::default(),
    });
    if push {
        interval(reader, settings, agent);
        return;
    }
    let client = tls::pair(reader, settings, base, Side::Client);
    let agents = tls::trust(reader, settings, base, Side::Client, Needs::RootAndIntermediate);
    shared(reader, settings);
    let with_tls = settings.flag("enable_agent_mtls", true);
    if !with_tls {
        let draft =
            settings.draft(&lints::AGENT_MTLS, "enable_agent_mtls").expected("enable_agent_mtls = True").found("enable_agent_mtls = False");
        reader
            .findings
            .add(draft.evidence("it changes nothing at the verifier's own port: client certificates are asked for there all the same"));
    }
    if let Some(agent) = agent {
        reader.wiring.connections.push(Connection {
            consumer: settings.consumer("client_cert"),
            host: agent.text("contact_ip", agent.text("ip", "127.0.0.1")).to_owned(),
            port: agent.port("contact_port", agent.port("port", 9002)),
            tls: agent.flag("enable_agent_mtls", true),
            name: None,
            trust: agents,
            pair: client,
            terms: tls::made_later(reader, settings, base, client),
        });
    }
}

fn mandatory(reader: &mut KeylimeReader<'_>, settings: &Settings) {
    if settings.files.is_empty() || !settings.sections.contains_key("verifier") {
        return;
    }
    for (section, option) in known::MANDATORY {
        if settings.of(section, option).is_none() {
            let location = settings.sections.get(*section).cloned().unwrap_or_else(|| settings.location("version"));
            let draft =
                settings.at(&lints::OPTION_MISSING, option, location).expected(format!("{option} in [{section}]")).found("it is not set");
            reader.findings.add(draft.breaks("keylime_verifier"));
        }
    }
}

/// Whether agents push their evidence.
fn mode(reader: &mut KeylimeReader<'_>, settings: &Settings) -> bool {
    match settings.text("mode", "pull").trim() {
        "push" => true,
        "pull" | "" => false,
        other => {
            let near = crate::audit::facts::spelling::option(other, &["pull", "push"]);
            let draft = settings.draft(&lints::MODE, "mode").expected(near.unwrap_or("pull or push")).found(format!("mode = {other}"));
            reader.findings.add(draft);
            near == Some("push")
        }
    }
}

/// Five intervals are waited for a push agent's next quote ([Options that go wrong](crate::audit#options-that-go-wrong)).
fn interval(reader: &mut KeylimeReader<'_>, settings: &Settings, agent: Option<&Settings>) {
    let Ok(interval) = settings.text("quote_interval", "2").trim().parse::<f64>() else { return };
    let period = agent.and_then(|agent| agent.text("attestation_interval_seconds", "60").trim().parse::<f64>().ok()).unwrap_or(PUSH_PERIOD);
    if interval > 0.0 && interval * 5.0 < period {
        let draft = settings
            .draft(&lints::INTERVAL, "quote_interval")
            .expected(format!("at least {} (a fifth of {period} s)", (period / 5.0).ceil()));
        reader.findings.add(draft.found(format!("quote_interval = {interval}")));
    }
}

/// The homelab's verifier.crt for both.
fn shared(reader: &mut KeylimeReader<'_>, settings: &Settings) {
    let value = |option: &str| settings.get(option).map(|setting| setting.value.trim()).filter(|value| !matches!(*value, "" | "default"));
    if let (Some(server), Some(client)) = (value("server_cert"), value("client_cert"))
        && server == client
    {
        let draft = settings
            .draft(&lints::CLIENT_IS_SERVER, "client_cert")
            .expected("a client certificate of its own")
            .found(format!("client_cert = {client}"));
        reader.findings.add(draft.file(settings.location("server_cert")));
    }
}
