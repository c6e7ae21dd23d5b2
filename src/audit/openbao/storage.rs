//! Storage, and the peers that a raft node joins. It must never look into the storage.

use super::lints;
use super::reading::{Reading, flag, text};
use super::{seal, server};
use crate::audit::address;
use crate::audit::hcl::Body;
use crate::audit::wiring::{Connection, Needs, Trust};
use crate::model::audit::Place;
use crate::model::profile::Purpose;

/// Reads it.
pub(super) fn read(reading: &mut Reading<'_>, body: &Body) {
    for (kind, (storage, line)) in ["storage", "backend"].into_iter().flat_map(|key| server::blocks(body, key)).take(server::MANY) {
        let name = format!("storage {kind}");
        match kind.as_str() {
            "inmem" | "inmem_ha" => {
                let draft = reading
                    .draft(&lints::STORAGE_MEMORY, &name, "storage", line)
                    .expected("storage \"raft\"")
                    .found(format!("storage \"{kind}\""));
                reading.add(draft);
            }
            "file" if !reading.is_vault() => {
                let draft =
                    reading.draft(&lints::STORAGE_GONE, &name, "storage", line).expected("storage \"raft\"").found("storage \"file\"");
                reading.add(draft.evidence("the log ends with \"unknown storage type file\" (2.7 and later)"));
            }
            "raft" => raft(reading, body, storage, &name, line),
            _ => {}
        }
        directory(reading, storage, &name);
    }
}

fn directory(reading: &mut Reading<'_>, storage: &Body, name: &str) {
    let Some((path, line)) = text(storage, "path").filter(|(path, _)| path.starts_with('/')) else { return };
    let path = reading.path(&path);
    if let Ok(meta) = reading.view.meta(&path)
        && meta.mode & 0o007 != 0
    {
        let draft = reading.draft(&lints::DATA_DIRECTORY, name, "path", line).file(Place::file(&path)).expected("mode 0700");
        reading.add(draft.found(format!("{} has mode {:04o}", path.display(), meta.mode)));
    }
}

fn raft(reading: &mut Reading<'_>, body: &Body, storage: &Body, name: &str, line: u32) {
    if text(body, "cluster_addr").is_none() && text(body, "api_addr").is_none() && text(storage, "cluster_addr").is_none() {
        let draft = reading
            .draft(&lints::CLUSTER_UNSET, name, "cluster_addr", line)
            .expected("cluster_addr")
            .found("neither cluster_addr nor api_addr");
        reading.add(draft);
    }
    for (join, line) in storage.bodies("retry_join").take(server::MANY) {
        leader(reading, join, name, line);
    }
}

fn leader(reading: &mut Reading<'_>, join: &Body, name: &str, line: u32) {
    if flag(join, "leader_tls_skip_verify").unwrap_or(false) {
        let draft = reading.draft(&lints::SKIP_VERIFY, name, "leader_tls_skip_verify", line).expected("leader_ca_cert_file");
        reading.add(draft.found("leader_tls_skip_verify = true"));
    }
    let Some((url, at)) = text(join, "leader_api_addr") else { return };
    let tls = !url.to_ascii_lowercase().starts_with("http://");
    if !tls {
        let draft = reading
            .draft(&lints::ADDRESS_HTTP, name, "leader_api_addr", at)
            .expected("https://…")
            .found(format!("leader_api_addr = \"{url}\""));
        reading.add(draft);
    }
    let trust = text(join, "leader_ca_cert_file").map(|(ca, at)| {
        let trust = Trust { consumer: reading.consumer(name, at), files: vec![reading.path(&ca)], of: Purpose::Server, needs: Needs::Any };
        reading.wiring.trust(trust)
    });
    let pair = text(join, "leader_client_cert_file").map(|(certificate, at)| {
        let pair = seal::client(reading, name, at, &certificate, text(join, "leader_client_key_file"));
        reading.wiring.pair(pair)
    });
    if let Some((host, port)) = address::of_url(&url) {
        let expected = text(join, "leader_tls_servername").map_or_else(|| host.clone(), |(name, _)| name);
        let consumer = reading.consumer(name, at);
        reading.wiring.connections.push(Connection { consumer, host, port, tls, name: Some(expected).filter(|_| tls), trust, pair });
    }
}
