//! Node attestors that come with SPIRE: x509pop, tpm_devid, join_token.

use super::lints;
use super::plugin::Plugin;
use super::reader::{Side, SpireReader};
use crate::audit::facts::plugged::PairOptions;
use crate::audit::facts::wiring::{Needs, Pair, Trust};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// By which options the agent's half of x509pop names its pair.
const X509POP: PairOptions = PairOptions { cert: "certificate_path", key: "private_key_path", ca: None, chain: Some("intermediates_path") };

/// Reads one of them.
pub(super) fn read(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    match (plugin.name.as_str(), reader.side) {
        ("x509pop", Side::Server) => {
            let bundles = plugin
                .text("ca_bundle_path")
                .into_iter()
                .chain(plugin.data.get("ca_bundle_paths").map(|item| item.value.texts()).unwrap_or_default());
            let key = if plugin.data.get("ca_bundle_path").is_some() { "ca_bundle_path" } else { "ca_bundle_paths" };
            let trusted = trust(reader, plugin, key, bundles.collect());
            // Agents show their certificate inside of the stream, not in the handshake; by whom it is believed is the same question.
            if let Some(listener) = reader.wiring.listeners.first_mut() {
                listener.trust = trusted;
            }
            let by_id = plugin.text("mode").is_some_and(|mode| mode == "spiffe");
            if plugin.text("agent_path_template").is_none() && !by_id {
                let draft = plugin.draft(reader, &lints::PATH_TEMPLATE, "agent_path_template");
                reader.add(
                    draft.expected("agent_path_template = \"/x509pop/cn/{{ .Subject.CommonName }}\"").found("not set: the fingerprint"),
                );
            }
        }
        ("x509pop", Side::Agent) => {
            let (Some(certificate), key) = (plugin.text("certificate_path"), plugin.text("private_key_path")) else {
                return missing(reader, plugin);
            };
            if key.is_none() {
                missing(reader, plugin);
            }
            let pair = Pair {
                consumer: reader.consumer(&plugin.spot("certificate_path")),
                certificate: reader.path(&certificate),
                key: key.map(|key| reader.path(&key)),
                intermediates: plugin.text("intermediates_path").map(|path| reader.path(&path)).into_iter().collect(),
                purpose: Purpose::Client,
                names: Vec::new(),
                passphrase: false,
                account: None,
                leaf_only: false,
                placeholder: false,
            };
            let pair = reader.wiring.pair(pair);
            plugin.reads(reader, pair, X509POP);
            if let Some(call) = reader.wiring.connections.first_mut() {
                call.pair = Some(pair);
            }
        }
        ("tpm_devid", Side::Server) => {
            trust(reader, plugin, "devid_ca_path", plugin.text("devid_ca_path").into_iter().collect());
        }
        ("join_token", side) => {
            // A server may keep it beside another attestor for a first contact.
            let severity = if side == Side::Agent { Severity::Medium } else { Severity::Low };
            let draft = reader.draft(&lints::JOIN_TOKEN, &plugin.at(plugin.line), "join_token").severity(severity);
            reader.add(draft.expected("an attestor that can attest again").found("NodeAttestor \"join_token\""));
        }
        _ => {}
    }
}

fn missing(reader: &mut SpireReader<'_>, plugin: &Plugin) {
    let draft = plugin.draft(reader, &lints::KEY_MISSING, "certificate_path").expected("certificate_path and private_key_path");
    // With spiffe_endpoint_socket it takes its identity from there.
    if plugin.text("spiffe_endpoint_socket").is_none() {
        reader.add(draft.found("one of them, or both, not set"));
    }
}

fn trust(reader: &mut SpireReader<'_>, plugin: &Plugin, key: &str, files: Vec<String>) -> Option<usize> {
    if files.is_empty() {
        return None;
    }
    let files = files.iter().map(|file| reader.path(file)).collect();
    let consumer = reader.consumer(&plugin.spot(key));
    Some(reader.wiring.trust(Trust { consumer, files, of: Purpose::Client, needs: Needs::Any, terms: Default::default() }))
}
