//! The Keylime attestor's two halves: what they show to the verifier and to the agent, and whom they believe
//! ([The Keylime plugin](crate::audit#the-keylime-plugin)).

use super::plugin::Plugin;
use super::reader::{Side, SpireReader};
use super::{lints, own};
use crate::audit::facts::findings::NewFinding;
use crate::audit::facts::plugged::PairOptions;
use crate::audit::facts::wiring::{Connection, Needs, Pair, Trust};
use crate::model::profile::Purpose;

/// What the plugin takes where an option is not set.
const DEFAULTS: [(&str, &str); 3] = [
    ("keylime_tls_ca_cert_file", "/var/lib/keylime/cv_ca/cacert.crt"),
    ("keylime_tls_cert_file", "/var/lib/keylime/cv_ca/server-cert.crt"),
    ("keylime_tls_key_file", "/var/lib/keylime/cv_ca/server-private.pem"),
];
/// By which options the server's half names its pair, and the agent's.
const SERVER_PAIR: PairOptions =
    PairOptions { cert: "keylime_tls_cert_file", key: "keylime_tls_key_file", ca: Some("keylime_tls_ca_cert_file"), chain: None };
const AGENT_PAIR: PairOptions =
    PairOptions { cert: "keylime_agent_client_cert", key: "keylime_agent_client_key", ca: Some("keylime_agent_ca_cert"), chain: None };
/// The registrar's ports.
const REGISTRAR: [&str; 2] = ["8890", "8891"];

/// Reads one half.
pub(super) fn read(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    match reader.side {
        Side::Server => verifier(reader, plugin),
        Side::Agent => agent(reader, plugin),
    }
}

/// What follows from a misspelled option: the three hours.
pub(super) fn consequence(draft: NewFinding, name: &str, meant: &str, is_set: bool) -> NewFinding {
    if is_set {
        return draft.evidence(format!("{meant} is set as well, and counts"));
    }
    let draft = draft.evidence(format!("the plugin drops it without a word, so {meant} is not set"));
    match DEFAULTS.iter().find(|(option, _)| name == "keylime" && *option == meant) {
        Some((option, default)) if *option != "keylime_tls_ca_cert_file" => draft
            .evidence(format!("its default applies: {default}, of Keylime's own authority"))
            .evidence("the verifier refuses that: \"remote error: tls: unknown certificate authority\"")
            .breaks("spire-server"),
        Some((_, default)) => draft.evidence(format!("its default applies: {default}")).breaks("spire-server"),
        None => draft,
    }
}

fn file(reader: &SpireReader<'_>, plugin: &Plugin, option: &str) -> std::path::PathBuf {
    let default = DEFAULTS.iter().find(|(known, _)| *known == option).map_or("", |(_, default)| *default);
    reader.path(&plugin.text(option).unwrap_or_else(|| default.to_owned()))
}

fn verifier(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    let pair = Pair::new(
        reader.consumer(&plugin.spot("keylime_tls_cert_file")),
        file(reader, plugin, "keylime_tls_cert_file"),
        Some(file(reader, plugin, "keylime_tls_key_file")),
        Purpose::Client,
    );
    let pair = reader.wiring.pair(pair);
    plugin.reads(reader, pair, SERVER_PAIR);
    let (certificate, key) = (plugin.text("keylime_tls_cert_file"), plugin.text("keylime_tls_key_file"));
    if certificate.is_some() != key.is_some() {
        incomplete(reader, plugin, ["keylime_tls_cert_file", "keylime_tls_key_file"], certificate.is_some());
    }
    if certificate.is_none() && key.is_none() && plugin.text("keylime_tls_ca_cert_file").is_some() {
        let draft = plugin.draft(reader, &lints::KEYLIME_PAIR_UNSET, "keylime_tls_cert_file").breaks("spire-server");
        let draft =
            draft.expected("keylime_tls_cert_file and keylime_tls_key_file").found("neither is set (a commented line sets nothing)");
        reader.add(draft.evidence(format!(
            "the default applies: {} of Keylime's own authority",
            file(reader, plugin, "keylime_tls_cert_file").display()
        )));
    }
    let trust = Trust {
        consumer: reader.consumer(&plugin.spot("keylime_tls_ca_cert_file")),
        files: vec![file(reader, plugin, "keylime_tls_ca_cert_file")],
        of: Purpose::Server,
        needs: Needs::Any,
        terms: Default::default(),
    };
    let trust = reader.wiring.trust(trust);
    let host = host(reader, plugin, "keylime_verifier_host");
    let Some(port) = port(reader, plugin, "keylime_verifier_port", "8881") else { return };
    if REGISTRAR.contains(&port.to_string().as_str()) {
        let what = if port == 8890 { "the registrar's plain HTTP port" } else { "the registrar's TLS port" };
        let draft = plugin.draft(reader, &lints::KEYLIME_PORT, "keylime_verifier_port").expected("keylime_verifier_port = \"8881\"");
        reader.add(draft.found(format!("keylime_verifier_port = \"{port}\", {what}")).breaks("spire-server"));
    }
    let consumer = reader.consumer(&plugin.spot("keylime_verifier_host"));
    // Upstream's plugin checks no name; the one that is in use does (audit/spire.md, "The Keylime plugin").
    let name = Some(host.clone());
    reader.wiring.connections.push(Connection {
        consumer,
        host,
        port,
        tls: true,
        name,
        trust: Some(trust),
        pair: Some(pair),
        terms: Default::default(),
    });
}

fn agent(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    let tls = own::flag(&plugin.data, "keylime_agent_use_tls");
    let (certificate, key) = (plugin.text("keylime_agent_client_cert"), plugin.text("keylime_agent_client_key"));
    if certificate.is_some() != key.is_some() {
        incomplete(reader, plugin, ["keylime_agent_client_cert", "keylime_agent_client_key"], certificate.is_some());
    }
    let ca = plugin.text("keylime_agent_ca_cert");
    if !tls && (certificate.is_some() || ca.is_some()) {
        let draft = plugin.draft(reader, &lints::KEYLIME_PLAIN, "keylime_agent_use_tls").expected("keylime_agent_use_tls = true");
        reader.add(draft.found("not set, or false"));
    }
    let pair = certificate.filter(|_| tls).map(|certificate| client(reader, plugin, &certificate, key.as_deref()));
    let trust = ca.filter(|_| tls).map(|ca| {
        let consumer = reader.consumer(&plugin.spot("keylime_agent_ca_cert"));
        let trust = Trust { consumer, files: vec![reader.path(&ca)], of: Purpose::Server, needs: Needs::Any, terms: Default::default() };
        reader.wiring.trust(trust)
    });
    let host = host(reader, plugin, "keylime_agent_host");
    let Some(port) = port(reader, plugin, "keylime_agent_port", "9002") else { return };
    let consumer = reader.consumer(&plugin.spot("keylime_agent_host"));
    reader.wiring.connections.push(Connection { consumer, host, port, tls, name: None, trust, pair, terms: Default::default() });
}

/// The pair that is loaded once, and that opens the verifier too where that trusts its authority
/// ([The Keylime plugin](crate::audit#the-keylime-plugin)).
fn client(reader: &mut SpireReader<'_>, plugin: &Plugin, certificate: &str, key: Option<&str>) -> usize {
    let draft =
        plugin.draft(reader, &lints::KEYLIME_ADMIN, "keylime_agent_client_cert").expected("an authority of its own for this certificate");
    reader.add(draft.found(format!("keylime_agent_client_cert = \"{certificate}\"")));
    if !plugin.from_file {
        let draft = plugin
            .draft(reader, &lints::LOADED_ONCE, "keylime_agent_client_cert")
            .expected("plugin_data_file with the paths of one generation");
        reader.add(draft.found("plugin_data in the configuration itself, which USR1 does not read again"));
    }
    let pair = Pair::new(
        reader.consumer(&plugin.spot("keylime_agent_client_cert")),
        reader.path(certificate),
        key.map(|key| reader.path(key)),
        Purpose::Client,
    );
    let pair = reader.wiring.pair(pair);
    plugin.reads(reader, pair, AGENT_PAIR);
    pair
}

fn incomplete(reader: &mut SpireReader<'_>, plugin: &Plugin, [certificate, key]: [&str; 2], has_certificate: bool) {
    let (there, missing) = if has_certificate { (certificate, key) } else { (key, certificate) };
    let draft = plugin.draft(reader, &lints::KEYLIME_PAIR, there).expected(missing).found(format!("{there} alone"));
    reader.add(draft);
}

/// A host name: what looks like a URL becomes `https://https://…`.
fn host(reader: &mut SpireReader<'_>, plugin: &Plugin, option: &str) -> String {
    let host = plugin.text(option).unwrap_or_else(|| "127.0.0.1".to_owned());
    if host.contains("://") || host.contains('/') {
        let draft =
            plugin.draft(reader, &lints::VALUE_INVALID, option).expected("a host name or address").found(format!("{option} = \"{host}\""));
        reader.add(draft);
        return crate::audit::facts::address::of_url(&host).map_or(host, |(host, _)| host);
    }
    host
}

fn port(reader: &mut SpireReader<'_>, plugin: &Plugin, option: &str, default: &str) -> Option<u16> {
    let text = plugin.text(option).unwrap_or_else(|| default.to_owned());
    let port = text.trim().parse().ok();
    if port.is_none() {
        let draft = plugin.draft(reader, &lints::VALUE_INVALID, option).expected("a port number").found(format!("{option} = \"{text}\""));
        reader.add(draft);
    }
    port
}
