//! Node attestors that come with SPIRE: x509pop, tpm_devid, join_token. It must never say what a certificate is good for.

use super::lints;
use super::plugin::Plugin;
use super::reading::{Reading, Side};
use crate::audit::wiring::{Needs, Pair, Trust};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// Reads one of them.
pub(super) fn read(reading: &mut Reading<'_>, plugin: &Plugin) {
    match (plugin.name.as_str(), reading.side) {
        ("x509pop", Side::Server) => {
            let bundles = plugin
                .text("ca_bundle_path")
                .into_iter()
                .chain(plugin.data.get("ca_bundle_paths").map(|item| item.value.texts()).unwrap_or_default());
            let key = if plugin.data.get("ca_bundle_path").is_some() { "ca_bundle_path" } else { "ca_bundle_paths" };
            let trusted = trust(reading, plugin, key, bundles.collect());
            // Agents show their certificate inside of the stream, not in the handshake; by whom it is believed is the same question.
            if let Some(listener) = reading.wiring.listeners.first_mut() {
                listener.trust = trusted;
            }
            let by_id = plugin.text("mode").is_some_and(|mode| mode == "spiffe");
            if plugin.text("agent_path_template").is_none() && !by_id {
                let draft = plugin.draft(reading, &lints::PATH_TEMPLATE, "agent_path_template");
                reading.add(
                    draft.expected("agent_path_template = \"/x509pop/cn/{{ .Subject.CommonName }}\"").found("not set: the fingerprint"),
                );
            }
        }
        ("x509pop", Side::Agent) => {
            let (Some(certificate), key) = (plugin.text("certificate_path"), plugin.text("private_key_path")) else {
                return missing(reading, plugin);
            };
            if key.is_none() {
                missing(reading, plugin);
            }
            let pair = Pair {
                consumer: reading.consumer(&plugin.spot("certificate_path")),
                certificate: reading.path(&certificate),
                key: key.map(|key| reading.path(&key)),
                intermediates: plugin.text("intermediates_path").map(|path| reading.path(&path)).into_iter().collect(),
                purpose: Purpose::Client,
                names: Vec::new(),
                passphrase: false,
                account: None,
                leaf_only: false,
            };
            let pair = reading.wiring.pair(pair);
            if let Some(call) = reading.wiring.connections.first_mut() {
                call.pair = Some(pair);
            }
        }
        ("tpm_devid", Side::Server) => {
            trust(reading, plugin, "devid_ca_path", plugin.text("devid_ca_path").into_iter().collect());
        }
        ("join_token", side) => {
            // A server may keep it beside another attestor for a first contact.
            let severity = if side == Side::Agent { Severity::Medium } else { Severity::Low };
            let draft = reading.draft(&lints::JOIN_TOKEN, &plugin.at(plugin.line), "join_token").severity(severity);
            reading.add(draft.expected("an attestor that can attest again").found("NodeAttestor \"join_token\""));
        }
        _ => {}
    }
}

fn missing(reading: &mut Reading<'_>, plugin: &Plugin) {
    let draft = plugin.draft(reading, &lints::KEY_MISSING, "certificate_path").expected("certificate_path and private_key_path");
    // With spiffe_endpoint_socket it takes its identity from there.
    if plugin.text("spiffe_endpoint_socket").is_none() {
        reading.add(draft.found("one of them, or both, not set"));
    }
}

fn trust(reading: &mut Reading<'_>, plugin: &Plugin, key: &str, files: Vec<String>) -> Option<usize> {
    if files.is_empty() {
        return None;
    }
    let files = files.iter().map(|file| reading.path(file)).collect();
    let consumer = reading.consumer(&plugin.spot(key));
    Some(reading.wiring.trust(Trust { consumer, files, of: Purpose::Client, needs: Needs::Any }))
}
