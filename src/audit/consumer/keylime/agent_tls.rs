//! What the Rust agent serves, whom it trusts and whom it calls, as the pull and as the push model use it. It must never give the push agent
//! a certificate: it has none.

use std::path::{Path, PathBuf};

use super::settings::Settings;
use super::{KeylimeReader, lints, registrar};
use crate::audit::facts::wiring::{ClientAuth, Connection, Listener, Needs, Pair, Trust};
use crate::model::profile::Purpose;

/// `default`, empty, relative and absolute names as the agent resolves them.
fn path(settings: &Settings, directory: &Path, option: &str, default: &str) -> PathBuf {
    let name = settings.text(option, "default").trim();
    directory.join(if matches!(name, "" | "default") { default } else { name })
}

fn is_own(settings: &Settings, option: &str) -> bool {
    !matches!(settings.text(option, "default").trim(), "" | "default")
}

/// The agent that is asked: it listens, sends its leaf alone, and refuses who shows no certificate ([TLS](crate::audit#tls)).
pub(super) fn pull(reader: &mut KeylimeReader<'_>, settings: &Settings, directory: &Path) {
    let with_tls = settings.flag("enable_agent_mtls", true);
    if !with_tls {
        let draft = settings.draft(&lints::AGENT_MTLS, "enable_agent_mtls").expected("enable_agent_mtls = true");
        reader.findings.add(draft.found("enable_agent_mtls = false").breaks("keylime_verifier"));
    }
    let pair = Some(()).filter(|()| with_tls).and_then(|()| served(reader, settings, directory));
    let trust = Some(()).filter(|()| with_tls).and_then(|()| clients(reader, settings, directory));
    reader.wiring.listeners.push(Listener {
        consumer: settings.consumer("port"),
        host: settings.text("ip", "127.0.0.1").to_owned(),
        port: settings.port("port", 9002),
        tls: with_tls,
        names: Vec::new(),
        pairs: pair.into_iter().collect(),
        client_auth: if with_tls { ClientAuth::Required } else { ClientAuth::No },
        trust,
        terms: Default::default(),
    });
}

fn served(reader: &mut KeylimeReader<'_>, settings: &Settings, directory: &Path) -> Option<usize> {
    let certificate = path(settings, directory, "server_cert", "server-cert.crt");
    // The agent makes its own where none is named, and signs it itself.
    if !is_own(settings, "server_cert") {
        return None;
    }
    let account = settings.text("run_as", "").split(':').next().filter(|user| !user.is_empty()).map(str::to_owned);
    Some(reader.wiring.pair(Pair {
        consumer: settings.consumer("server_cert"),
        certificate,
        key: Some(path(settings, directory, "server_key", "server-private.pem")),
        intermediates: Vec::new(),
        purpose: Purpose::Server,
        names: Vec::new(),
        passphrase: settings.get("server_key_password").is_some_and(|setting| !setting.value.is_empty()),
        account,
        leaf_only: true,
        placeholder: false,
    }))
}

fn clients(reader: &mut KeylimeReader<'_>, settings: &Settings, directory: &Path) -> Option<usize> {
    let option = "trusted_client_ca";
    let own = is_own(settings, option);
    let listed = if own { settings.text(option, "") } else { "cv_ca/cacert.crt" };
    let files: Vec<PathBuf> = names(listed).map(|name| directory.join(name)).collect();
    if files.is_empty() || (!own && !files.iter().any(|file| reader.view.is_file(file))) {
        return None;
    }
    Some(reader.wiring.trust(Trust {
        consumer: settings.consumer(option),
        files,
        of: Purpose::Client,
        needs: Needs::Root,
        terms: Default::default(),
    }))
}

/// "a,b" and what a list became of.
fn names(value: &str) -> impl Iterator<Item = String> {
    let bare = value.trim_matches(['[', ']', ' ']);
    bare.split(',').map(|name| name.trim().trim_matches(['\'', '"']).to_owned()).filter(|name| !name.is_empty() && name != "default")
}

/// The agent that sends its evidence: it trusts the first certificate of each file, and shows none of its own.
pub(super) fn push(reader: &mut KeylimeReader<'_>, settings: &Settings, directory: &Path) {
    let url = settings.text("verifier_url", "https://localhost:8881").trim().to_owned();
    if url.starts_with("http://") {
        reader
            .findings
            .add(settings.draft(&lints::VERIFIER_HTTP, "verifier_url").expected("https://…").found(format!("verifier_url = \"{url}\"")));
    }
    let verifier = trusted(reader, settings, directory, "verifier_tls_ca_cert");
    if let Some((host, port)) = crate::audit::facts::address::of_url(&url) {
        let tls = !url.starts_with("http://");
        let consumer = settings.consumer("verifier_url");
        reader.wiring.connections.push(Connection {
            consumer,
            host,
            port,
            tls,
            name: None,
            trust: verifier,
            pair: None,
            terms: Default::default(),
        });
    }
    let tls = settings.flag("registrar_tls_enabled", false);
    let port = settings.port("registrar_port", registrar::PLAIN_PORT);
    if tls && port == registrar::PLAIN_PORT {
        reader.findings.add(
            settings.draft(&lints::REGISTRAR_PLAIN, "registrar_port").expected("registrar_port = 8891").found("registrar_port = 8890"),
        );
    }
    let trust = Some(()).filter(|()| tls).and_then(|()| trusted(reader, settings, directory, "registrar_tls_ca_cert"));
    let consumer = settings.consumer("registrar_port");
    let host = settings.text("registrar_ip", "127.0.0.1").to_owned();
    reader.wiring.connections.push(Connection { consumer, host, port, tls, name: None, trust, pair: None, terms: Default::default() });
}

fn trusted(reader: &mut KeylimeReader<'_>, settings: &Settings, directory: &Path, option: &str) -> Option<usize> {
    if !is_own(settings, option) {
        return None;
    }
    let files = vec![path(settings, directory, option, "cv_ca/cacert.crt")];
    Some(reader.wiring.trust(Trust {
        consumer: settings.consumer(option),
        files,
        of: Purpose::Server,
        needs: Needs::FirstIsRoot,
        terms: Default::default(),
    }))
}

/// A call in plain HTTP, which is all that the pull agent knows.
pub(super) fn call(reader: &mut KeylimeReader<'_>, settings: &Settings, option: &str, host: &str, port: u16) {
    let consumer = settings.consumer(option);
    reader.wiring.connections.push(Connection {
        consumer,
        host: host.to_owned(),
        port,
        tls: false,
        name: None,
        trust: None,
        pair: None,
        terms: Default::default(),
    });
}
