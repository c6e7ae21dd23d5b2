//! Seals: what opens the storage, and which secrets of it lie in the file. It must never show one of them.

use super::blocks::{self, Block};
use super::lints;
use super::reader::{OpenBaoReader, flag, text};
use crate::audit::facts::address;
use crate::audit::facts::hcl::Body;
use crate::audit::facts::package;
use crate::audit::facts::wiring::{Connection, Needs, Pair, Trust};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// Options that hold a secret themselves.
const SECRETS: &[&str] = &["token", "pin", "secret_key", "client_secret", "access_key", "session_token"];

/// Reads all of them.
pub(super) fn read(reader: &mut OpenBaoReader<'_>, body: &Body) {
    for Block { kind, body: seal, line } in blocks::of(body, "seal").into_iter().take(blocks::MANY) {
        let name = format!("seal {kind}");
        for key in SECRETS {
            if let Some((_, at)) = text(seal, key).filter(|(value, _)| !is_reference(value)) {
                let draft = reader
                    .draft(&lints::SECRET, &name, key, at)
                    .expected(format!("no {key} in the file"))
                    .found(format!("{key} with a value"));
                reader.add(draft);
            }
        }
        for key in ["current_key", "previous_key"] {
            if let Some((_, at)) = text(seal, key).filter(|(value, _)| kind == "static" && !is_reference(value)) {
                let draft = reader
                    .draft(&lints::SEAL_KEY, &name, key, at)
                    .expected(format!("{key} = \"file:///…\""))
                    .found(format!("{key} with a value"));
                reader.add(draft);
            }
        }
        if flag(seal, "tls_skip_verify").unwrap_or(false) {
            let at = seal.get("tls_skip_verify").map_or(line, |item| item.line);
            let draft =
                reader.draft(&lints::SKIP_VERIFY, &name, "tls_skip_verify", at).expected("tls_ca_cert").found("tls_skip_verify = true");
            reader.add(draft);
        }
        left(reader, body, &kind, &name, line);
        if kind == "transit" {
            transit(reader, seal, &name);
        }
    }
}

/// Seals that OpenBao 2.7 took out of its binary: they are plugins since then, and have to be configured as such.
fn left(reader: &mut OpenBaoReader<'_>, body: &Body, kind: &str, name: &str, line: u32) {
    const LEFT: [&str; 6] = ["awskms", "azurekeyvault", "gcpckms", "ocikms", "alicloudkms", "pkcs11"];
    let plugin = blocks::of(body, "plugin").iter().any(|block| block.kind == "kms") || body.get("plugin_directory").is_some();
    let version = package::version(reader.view, &["openbao", "openbao-hsm"]);
    if reader.is_vault() || plugin || !LEFT.contains(&kind) || version.is_some_and(|version| version < [2, 7, 0]) {
        return;
    }
    let draft = reader.draft(&lints::SEAL_LEFT, name, "seal", line).expected("a plugin for this seal, or transit or static");
    let draft = draft.found(format!("seal \"{kind}\""));
    reader.add(match version {
        Some(version) => draft.severity(Severity::High).evidence(format!("OpenBao {} is installed", package::words(version))),
        None => draft.evidence("up to 2.6 it is part of the binary"),
    });
}

/// A file or variable that is named, not the secret itself.
fn is_reference(value: &str) -> bool {
    ["file://", "env://", "${", "{{"].iter().any(|start| value.starts_with(start))
}

/// The server that holds the key.
fn transit(reader: &mut OpenBaoReader<'_>, seal: &Body, name: &str) {
    let Some((url, line)) = text(seal, "address") else { return };
    let tls = !url.to_ascii_lowercase().starts_with("http://");
    if !tls {
        let draft = reader.draft(&lints::ADDRESS_HTTP, name, "address", line).expected("https://…").found(format!("address = \"{url}\""));
        reader.add(draft);
    }
    let trust = text(seal, "tls_ca_cert").map(|(ca, at)| {
        let trust = Trust {
            consumer: reader.consumer(name, at),
            files: vec![reader.path(&ca)],
            of: Purpose::Server,
            needs: Needs::Any,
            terms: Default::default(),
        };
        reader.wiring.trust(trust)
    });
    let pair = text(seal, "tls_client_cert").map(|(certificate, at)| {
        let pair = client(reader, name, at, &certificate, text(seal, "tls_client_key"));
        reader.wiring.pair(pair)
    });
    if let Some((host, port)) = address::of_url(&url) {
        let expected = text(seal, "tls_server_name").map_or_else(|| host.clone(), |(name, _)| name);
        let consumer = reader.consumer(name, line);
        reader.wiring.connections.push(Connection {
            consumer,
            host,
            port,
            tls,
            name: Some(expected).filter(|_| tls),
            trust,
            pair,
            terms: Default::default(),
        });
    }
}

/// A pair that the server shows to others.
pub(super) fn client(reader: &OpenBaoReader<'_>, name: &str, line: u32, certificate: &str, key: Option<(String, u32)>) -> Pair {
    Pair::new(reader.consumer(name, line), reader.path(certificate), key.map(|(key, _)| reader.path(&key)), Purpose::Client)
}
