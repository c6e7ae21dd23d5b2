//! Upstream authorities: the CA on disk, and OpenBao or Vault. It must never show a token.

use super::plugin::Plugin;
use super::reader::{Side, SpireReader};
use super::{lints, own};
use crate::audit::facts::address;
use crate::audit::facts::hcl::Body;
use crate::audit::facts::plugged::PairOptions;
use crate::audit::facts::wiring::{Authority, CallTerms, Connection, Needs, Pair, Trust};
use crate::model::audit::Location;
use crate::model::profile::Purpose;

/// By which options the client of OpenBao and Vault names its pair.
const CLIENT: PairOptions =
    PairOptions { cert: "cert_auth.client_cert_path", key: "cert_auth.client_key_path", ca: Some("ca_cert_path"), chain: None };

/// Reads one of them.
pub(super) fn read(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    match plugin.name.as_str() {
        "disk" if reader.side == Side::Server => disk(reader, plugin),
        "vault" => vault(reader, plugin),
        _ => {}
    }
}

/// Certificate and key of an authority: not a pair that anybody serves.
fn disk(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    for option in ["cert_file_path", "key_file_path", "bundle_file_path"] {
        let Some(name) = plugin.text(option) else {
            if option != "bundle_file_path" {
                let draft = plugin.draft(reader, &lints::KEY_MISSING, option).expected(option).found("it is not set");
                reader.add(draft);
            }
            continue;
        };
        let path = reader.path(&name);
        if reader.is_missing(&path) {
            let draft = plugin
                .draft(reader, &lints::AUTHORITY_ABSENT, option)
                .expected("a PEM file")
                .found(format!("{} does not exist", path.display()));
            reader.add(draft);
        }
        if option == "key_file_path" && reader.view.meta(&path).is_ok_and(|meta| meta.mode & 0o007 != 0) {
            let draft = plugin.draft(reader, &lints::KEYS_READABLE, option).file(Location::file(&path)).expected("mode 0600");
            reader.add(draft.found(format!("{} is open to others", path.display())));
        }
    }
    if let (Some(certificate), Some(key)) = (plugin.text("cert_file_path"), plugin.text("key_file_path")) {
        let authority = Authority {
            consumer: reader.consumer(&plugin.spot("cert_file_path")),
            certificate: reader.path(&certificate),
            key: reader.path(&key),
            bundle: plugin.text("bundle_file_path").map(|bundle| reader.path(&bundle)),
            account: None,
        };
        reader.wiring.authorities.push(authority);
    }
    if let Some(bundle) = plugin.text("bundle_file_path") {
        let consumer = reader.consumer(&plugin.spot("bundle_file_path"));
        let files = vec![reader.path(&bundle)];
        reader.wiring.trust(Trust { consumer, files, of: Purpose::Both, needs: Needs::Any, terms: Default::default() });
    }
}

fn vault(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    if own::flag(&plugin.data, "insecure_skip_verify") {
        let draft =
            plugin.draft(reader, &lints::SKIP_VERIFY, "insecure_skip_verify").expected("ca_cert_path").found("insecure_skip_verify = true");
        reader.add(draft);
    }
    secrets(reader, plugin);
    let trust = plugin.text("ca_cert_path").map(|ca| {
        let consumer = reader.consumer(&plugin.spot("ca_cert_path"));
        let trust = Trust { consumer, files: vec![reader.path(&ca)], of: Purpose::Server, needs: Needs::Any, terms: Default::default() };
        reader.wiring.trust(trust)
    });
    let login = plugin.data.bodies("cert_auth").last().map(|(body, _)| body.clone());
    let pair = login.and_then(|body| client(reader, plugin, &body));
    let Some(url) = plugin.text("vault_addr") else { return };
    let tls = !url.to_ascii_lowercase().starts_with("http://");
    if !tls {
        let draft = plugin.draft(reader, &lints::UPSTREAM_HTTP, "vault_addr").expected("https://…").found(url.clone());
        reader.add(draft);
    }
    if let Some((host, port)) = address::of_url(&url) {
        let consumer = reader.consumer(&plugin.spot("vault_addr"));
        let name = Some(host.clone()).filter(|_| tls);
        reader.wiring.connections.push(Connection {
            consumer,
            host,
            port,
            tls,
            name,
            trust,
            pair,
            terms: CallTerms { login: pair.is_some(), ..CallTerms::default() },
        });
    }
}

fn client(reader: &mut SpireReader<'_>, plugin: &Plugin, login: &Body) -> Option<usize> {
    let (certificate, line) = login.text("client_cert_path")?;
    let pair = Pair::new(
        reader.consumer(&plugin.at(line)),
        reader.path(&certificate),
        login.text("client_key_path").map(|(key, _)| reader.path(&key)),
        Purpose::Client,
    );
    let pair = reader.wiring.pair(pair);
    plugin.reads(reader, pair, CLIENT);
    Some(pair)
}

/// Tokens and secret ids that everybody who reads the file has.
fn secrets(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    for (block, key, variable) in [("token_auth", "token", "VAULT_TOKEN"), ("approle_auth", "approle_secret_id", "VAULT_APPROLE_SECRET_ID")]
    {
        let set = plugin.data.bodies(block).last().and_then(|(body, _)| body.text(key)).filter(|(text, _)| !text.is_empty());
        if let Some((_, line)) = set {
            let draft = reader
                .draft(&lints::TOKEN_IN_FILE, &plugin.at(line), key)
                .expected(format!("{variable} in the environment of the service"));
            reader.add(draft.found(format!("{key} with a value")));
        }
    }
}
