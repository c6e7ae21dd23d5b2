//! The whole of a server's configuration, block by block. It must never be taken for all of it: `-config` may name a directory.

use super::reader::{OpenBaoReader, flag, text};
use super::{blocks, lints, listener, seal, storage};
use crate::audit::facts::address;
use crate::audit::facts::hcl::Body;
use crate::audit::facts::wiring::Advertised;

/// Reads it.
pub(super) fn read(reader: &mut OpenBaoReader<'_>, body: &Body) {
    blocks::unknown(reader, body, "server", false);
    for block in blocks::of(body, "listener").into_iter().take(blocks::MANY) {
        listener::read(reader, block.kind, block.body, block.line);
    }
    seal::read(reader, body);
    storage::read(reader, body);
    addresses(reader, body);
    advertised(reader, body);
    if let Ok(true) = flag(body, "raw_storage_endpoint") {
        let line = body.get("raw_storage_endpoint").map_or(1, |item| item.line);
        let draft = reader.draft(&lints::RAW_ENDPOINT, "server", "raw_storage_endpoint", line).expected("raw_storage_endpoint = false");
        reader.add(draft.found("raw_storage_endpoint = true"));
    }
    if let Some(item) = body.get("disable_mlock").filter(|_| !reader.is_vault())
        && let Ok(false) = flag(body, "disable_mlock")
    {
        let draft =
            reader.draft(&lints::MLOCK, "server", "disable_mlock", item.line).expected("no such line").found("disable_mlock = false");
        reader.add(draft.breaks("openbao"));
    }
}

/// Where clients of a standby, and those who ask for the leader, are sent. Of `cluster_addr` peers use host and port alone: they look for the
/// name of a certificate that the leader makes for itself and hands out through the storage, never for one of the listener's (openbao
/// vault/cluster.go `setupCluster`, vault/request_forwarding.go `ServerName`).
fn advertised(reader: &mut OpenBaoReader<'_>, body: &Body) {
    if let Some((url, line)) = text(body, "api_addr").filter(|(url, _)| url.to_ascii_lowercase().starts_with("https://"))
        && let Some((host, port)) = address::of_url(&url).filter(|(host, _)| !host.contains('{'))
    {
        let consumer = reader.consumer("server", line);
        reader.wiring.advertised.push(Advertised { consumer, option: "api_addr", host, port });
    }
}

fn addresses(reader: &mut OpenBaoReader<'_>, body: &Body) {
    let secure = reader.wiring.listeners.iter().any(|listener| listener.tls);
    for key in ["api_addr", "cluster_addr"] {
        if let Some((url, line)) = text(body, key)
            && url.to_ascii_lowercase().starts_with("http://")
            && (secure || key == "cluster_addr")
        {
            let draft = reader
                .draft(&lints::ADDRESS_HTTP, "server", key, line)
                .expected(format!("{key} = \"https://…\""))
                .found(format!("{key} = \"{url}\""));
            reader.add(draft);
        }
    }
}
