//! Upstream authorities: the CA on disk, and OpenBao or Vault. It must never show a token.

use super::plugin::Plugin;
use super::reading::{Reading, Side};
use super::{lints, own};
use crate::audit::address;
use crate::audit::hcl::Body;
use crate::audit::wiring::{Connection, Needs, Pair, Trust};
use crate::model::audit::Place;
use crate::model::profile::Purpose;

/// Reads one of them.
pub(super) fn read(reading: &mut Reading<'_>, plugin: &Plugin) {
    match plugin.name.as_str() {
        "disk" if reading.side == Side::Server => disk(reading, plugin),
        "vault" => vault(reading, plugin),
        _ => {}
    }
}

/// Certificate and key of an authority: not a pair that anybody serves.
fn disk(reading: &mut Reading<'_>, plugin: &Plugin) {
    for option in ["cert_file_path", "key_file_path", "bundle_file_path"] {
        let Some(name) = plugin.text(option) else {
            if option != "bundle_file_path" {
                let draft = plugin.draft(reading, &lints::KEY_MISSING, option).expected(option).found("it is not set");
                reading.add(draft);
            }
            continue;
        };
        let path = reading.path(&name);
        if reading.is_missing(&path) {
            let draft = plugin
                .draft(reading, &lints::AUTHORITY_ABSENT, option)
                .expected("a PEM file")
                .found(format!("{} does not exist", path.display()));
            reading.add(draft);
        }
        if option == "key_file_path" && reading.view.meta(&path).is_ok_and(|meta| meta.mode & 0o007 != 0) {
            let draft = plugin.draft(reading, &lints::KEYS_READABLE, option).file(Place::file(&path)).expected("mode 0600");
            reading.add(draft.found(format!("{} is open to others", path.display())));
        }
    }
    if let Some(bundle) = plugin.text("bundle_file_path") {
        let consumer = reading.consumer(&plugin.spot("bundle_file_path"));
        let files = vec![reading.path(&bundle)];
        reading.wiring.trust(Trust { consumer, files, of: Purpose::Both, needs: Needs::Any });
    }
}

fn vault(reading: &mut Reading<'_>, plugin: &Plugin) {
    if own::flag(&plugin.data, "insecure_skip_verify") {
        let draft = plugin
            .draft(reading, &lints::SKIP_VERIFY, "insecure_skip_verify")
            .expected("ca_cert_path")
            .found("insecure_skip_verify = true");
        reading.add(draft);
    }
    secrets(reading, plugin);
    let trust = plugin.text("ca_cert_path").map(|ca| {
        let consumer = reading.consumer(&plugin.spot("ca_cert_path"));
        let trust = Trust { consumer, files: vec![reading.path(&ca)], of: Purpose::Server, needs: Needs::Any };
        reading.wiring.trust(trust)
    });
    let login = plugin.data.bodies("cert_auth").last().map(|(body, _)| body.clone());
    let pair = login.and_then(|body| client(reading, plugin, &body));
    let Some(url) = plugin.text("vault_addr") else { return };
    let tls = !url.to_ascii_lowercase().starts_with("http://");
    if !tls {
        let draft = plugin.draft(reading, &lints::UPSTREAM_HTTP, "vault_addr").expected("https://…").found(url.clone());
        reading.add(draft);
    }
    if let Some((host, port)) = address::of_url(&url) {
        let consumer = reading.consumer(&plugin.spot("vault_addr"));
        let name = Some(host.clone()).filter(|_| tls);
        reading.wiring.connections.push(Connection { consumer, host, port, tls, name, trust, pair });
    }
}

fn client(reading: &mut Reading<'_>, plugin: &Plugin, login: &Body) -> Option<usize> {
    let (certificate, line) = login.text("client_cert_path")?;
    let pair = Pair {
        consumer: reading.consumer(&plugin.at(line)),
        certificate: reading.path(&certificate),
        key: login.text("client_key_path").map(|(key, _)| reading.path(&key)),
        intermediates: Vec::new(),
        purpose: Purpose::Client,
        names: Vec::new(),
        passphrase: false,
        account: None,
        leaf_only: false,
    };
    Some(reading.wiring.pair(pair))
}

/// Tokens and secret ids that everybody who reads the file has.
fn secrets(reading: &mut Reading<'_>, plugin: &Plugin) {
    for (block, key, variable) in [("token_auth", "token", "VAULT_TOKEN"), ("approle_auth", "approle_secret_id", "VAULT_APPROLE_SECRET_ID")]
    {
        let set = plugin.data.bodies(block).last().and_then(|(body, _)| body.text(key)).filter(|(text, _)| !text.is_empty());
        if let Some((_, line)) = set {
            let draft = reading
                .draft(&lints::TOKEN_IN_FILE, &plugin.at(line), key)
                .expected(format!("{variable} in the environment of the service"));
            reading.add(draft.found(format!("{key} with a value")));
        }
    }
}
