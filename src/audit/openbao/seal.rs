//! Seals: what opens the storage, and which secrets of it lie in the file. It must never show one of them.

use super::lints;
use super::reading::{Reading, flag, text};
use super::server;
use crate::audit::address;
use crate::audit::hcl::Body;
use crate::audit::wiring::{Connection, Needs, Pair, Trust};
use crate::model::profile::Purpose;

/// Options that hold a secret themselves.
const SECRETS: &[&str] = &["token", "pin", "secret_key", "client_secret", "access_key", "session_token"];

/// Reads all of them.
pub(super) fn read(reading: &mut Reading<'_>, body: &Body) {
    for (kind, (seal, line)) in server::blocks(body, "seal").into_iter().take(server::MANY) {
        let name = format!("seal {kind}");
        for key in SECRETS {
            if let Some((_, at)) = text(seal, key).filter(|(value, _)| !is_reference(value)) {
                let draft = reading
                    .draft(&lints::SECRET, &name, key, at)
                    .expected(format!("no {key} in the file"))
                    .found(format!("{key} with a value"));
                reading.add(draft);
            }
        }
        for key in ["current_key", "previous_key"] {
            if let Some((_, at)) = text(seal, key).filter(|(value, _)| kind == "static" && !is_reference(value)) {
                let draft = reading
                    .draft(&lints::SEAL_KEY, &name, key, at)
                    .expected(format!("{key} = \"file:///…\""))
                    .found(format!("{key} with a value"));
                reading.add(draft);
            }
        }
        if flag(seal, "tls_skip_verify").unwrap_or(false) {
            let at = seal.get("tls_skip_verify").map_or(line, |item| item.line);
            let draft =
                reading.draft(&lints::SKIP_VERIFY, &name, "tls_skip_verify", at).expected("tls_ca_cert").found("tls_skip_verify = true");
            reading.add(draft);
        }
        if kind == "transit" {
            transit(reading, seal, &name);
        }
    }
}

/// A file or variable that is named, not the secret itself.
fn is_reference(value: &str) -> bool {
    ["file://", "env://", "${", "{{"].iter().any(|start| value.starts_with(start))
}

/// The server that holds the key.
fn transit(reading: &mut Reading<'_>, seal: &Body, name: &str) {
    let Some((url, line)) = text(seal, "address") else { return };
    let tls = !url.to_ascii_lowercase().starts_with("http://");
    if !tls {
        let draft = reading.draft(&lints::ADDRESS_HTTP, name, "address", line).expected("https://…").found(format!("address = \"{url}\""));
        reading.add(draft);
    }
    let trust = text(seal, "tls_ca_cert").map(|(ca, at)| {
        let trust = Trust { consumer: reading.consumer(name, at), files: vec![reading.path(&ca)], of: Purpose::Server, needs: Needs::Any };
        reading.wiring.trust(trust)
    });
    let pair = text(seal, "tls_client_cert").map(|(certificate, at)| {
        let pair = client(reading, name, at, &certificate, text(seal, "tls_client_key"));
        reading.wiring.pair(pair)
    });
    if let Some((host, port)) = address::of_url(&url) {
        let expected = text(seal, "tls_server_name").map_or_else(|| host.clone(), |(name, _)| name);
        let consumer = reading.consumer(name, line);
        reading.wiring.connections.push(Connection { consumer, host, port, tls, name: Some(expected).filter(|_| tls), trust, pair });
    }
}

/// A pair that the server shows to others.
pub(super) fn client(reading: &Reading<'_>, name: &str, line: u32, certificate: &str, key: Option<(String, u32)>) -> Pair {
    Pair {
        consumer: reading.consumer(name, line),
        certificate: reading.path(certificate),
        key: key.map(|(key, _)| reading.path(&key)),
        intermediates: Vec::new(),
        purpose: Purpose::Client,
        names: Vec::new(),
        passphrase: false,
        account: None,
        leaf_only: false,
    }
}
