//! Storage, and the peers that a raft node joins.

use super::blocks::{self, Block};
use super::lints;
use super::reader::{OpenBaoReader, flag, text};
use super::seal;
use crate::audit::facts::address;
use crate::audit::facts::hcl::Body;
use crate::audit::facts::wiring::{Connection, Needs, Trust};
use crate::model::audit::Location;
use crate::model::profile::Purpose;

/// Reads it.
pub(super) fn read(reader: &mut OpenBaoReader<'_>, body: &Body) {
    for Block { kind, body: storage, line } in ["storage", "backend"].into_iter().flat_map(|key| blocks::of(body, key)).take(blocks::MANY) {
        let name = format!("storage {kind}");
        match kind.as_str() {
            "inmem" | "inmem_ha" => {
                let draft = reader
                    .draft(&lints::STORAGE_MEMORY, &name, "storage", line)
                    .expected("storage \"raft\"")
                    .found(format!("storage \"{kind}\""));
                reader.add(draft);
            }
            "file" if !reader.is_vault() => {
                let draft =
                    reader.draft(&lints::STORAGE_GONE, &name, "storage", line).expected("storage \"raft\"").found("storage \"file\"");
                reader.add(draft.evidence("the log ends with \"unknown storage type file\" (2.7 and later)"));
            }
            // Vault's others were never OpenBao's (command/commands.go of both).
            "consul" | "etcd" | "mysql" | "mssql" | "s3" | "gcs" | "azure" | "dynamodb" | "zookeeper" | "cassandra" | "cockroachdb"
            | "couchdb" | "foundationdb" | "manta" | "oci" | "spanner" | "swift" | "aerospike" | "alicloudoss"
                if !reader.is_vault() =>
            {
                let draft = reader.draft(&lints::STORAGE_GONE, &name, "storage", line).expected("storage \"raft\" or \"postgresql\"");
                reader
                    .add(draft.found(format!("storage \"{kind}\"")).evidence(format!("the log ends with \"unknown storage type {kind}\"")));
            }
            "raft" => raft(reader, body, storage, &name, line),
            _ => {}
        }
        directory(reader, storage, &name);
    }
}

fn directory(reader: &mut OpenBaoReader<'_>, storage: &Body, name: &str) {
    let Some((path, line)) = text(storage, "path").filter(|(path, _)| path.starts_with('/')) else { return };
    let path = reader.path(&path);
    if let Ok(meta) = reader.view.meta(&path)
        && meta.mode & 0o007 != 0
    {
        let draft = reader.draft(&lints::DATA_DIRECTORY, name, "path", line).file(Location::file(&path)).expected("mode 0700");
        reader.add(draft.found(format!("{} has mode {:04o}", path.display(), meta.mode)));
    }
}

fn raft(reader: &mut OpenBaoReader<'_>, body: &Body, storage: &Body, name: &str, line: u32) {
    if text(body, "cluster_addr").is_none() && text(body, "api_addr").is_none() && text(storage, "cluster_addr").is_none() {
        let draft = reader
            .draft(&lints::CLUSTER_UNSET, name, "cluster_addr", line)
            .expected("cluster_addr")
            .found("neither cluster_addr nor api_addr");
        reader.add(draft);
    }
    for (join, line) in storage.bodies("retry_join").take(blocks::MANY) {
        leader(reader, join, name, line);
    }
}

fn leader(reader: &mut OpenBaoReader<'_>, join: &Body, name: &str, line: u32) {
    if flag(join, "leader_tls_skip_verify").unwrap_or(false) {
        let draft = reader.draft(&lints::SKIP_VERIFY, name, "leader_tls_skip_verify", line).expected("leader_ca_cert_file");
        reader.add(draft.found("leader_tls_skip_verify = true"));
    }
    let Some((url, at)) = text(join, "leader_api_addr") else { return };
    let tls = !url.to_ascii_lowercase().starts_with("http://");
    if !tls {
        let draft = reader
            .draft(&lints::ADDRESS_HTTP, name, "leader_api_addr", at)
            .expected("https://…")
            .found(format!("leader_api_addr = \"{url}\""));
        reader.add(draft);
    }
    let trust = text(join, "leader_ca_cert_file").map(|(ca, at)| {
        let trust = Trust {
            consumer: reader.consumer(name, at),
            files: vec![reader.path(&ca)],
            of: Purpose::Server,
            needs: Needs::Any,
            terms: Default::default(),
        };
        reader.wiring.trust(trust)
    });
    let pair = text(join, "leader_client_cert_file").map(|(certificate, at)| {
        let pair = seal::client(reader, name, at, &certificate, text(join, "leader_client_key_file"));
        reader.wiring.pair(pair)
    });
    if let Some((host, port)) = address::of_url(&url) {
        let expected = text(join, "leader_tls_servername").map_or_else(|| host.clone(), |(name, _)| name);
        let consumer = reader.consumer(name, at);
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
