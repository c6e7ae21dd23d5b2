//! The section `server { }`: where it listens, where it keeps its keys, whom it federates with.

use super::reader::SpireReader;
use super::{disk, lints, own};
use crate::audit::facts::address;
use crate::audit::facts::hcl::Body;
use crate::audit::facts::wiring::{ClientAuth, Connection, Listener, Pair};
use crate::model::profile::Purpose;

/// From here on `/ready` is 500; three bytes more, and it hangs at its start ([Limits](crate::audit#limits)).
const SOCKET: usize = 105;

/// As many partners are read.
const PARTNERS: usize = 500;

/// Reads the section.
pub(super) fn read(reader: &mut SpireReader<'_>, body: &Body) {
    let Some((server, line)) = body.bodies("server").last() else { return };
    own::required(reader, server, line, "trust_domain");
    own::required(reader, server, line, "data_dir");
    let port = own::port(reader, server, "bind_port", 8081);
    let host = server.text("bind_address").map_or_else(|| "0.0.0.0".to_owned(), |(text, _)| text);
    let spot = reader.spot(server.get("bind_port").map_or(line, |item| item.line));
    // It serves an identity of its own making; agents show theirs, or none before they are attested.
    let consumer = reader.consumer(&spot);
    reader.wiring.listeners.push(Listener {
        consumer,
        host,
        port,
        tls: true,
        names: vec![],
        pairs: vec![],
        client_auth: ClientAuth::Optional,
        trust: None,
        terms: Default::default(),
    });
    disk::socket(reader, server, SOCKET);
    disk::directory(reader, server);
    for (federation, _) in server.bodies("federation") {
        endpoint(reader, federation);
        partners(reader, federation);
    }
}

/// The bundle endpoint, with a certificate of the web where it has the profile for it.
fn endpoint(reader: &mut SpireReader<'_>, federation: &Body) {
    let Some((endpoint, line)) = federation.bodies("bundle_endpoint").last() else { return };
    let port = own::port(reader, endpoint, "port", 443);
    let host = endpoint.text("address").map_or_else(|| "0.0.0.0".to_owned(), |(text, _)| text);
    let mut pairs = Vec::new();
    for (_, profile) in endpoint.labelled("profile").filter(|(item, _)| item.key == "https_web") {
        for (serving, line) in profile.bodies("serving_cert_file") {
            let Some((certificate, at)) = serving.text("cert_file_path") else { continue };
            let spot = reader.spot(at);
            let pair = Pair::new(
                reader.consumer(&spot),
                reader.path(&certificate),
                serving.text("key_file_path").map(|(key, _)| reader.path(&key)),
                Purpose::Server,
            );
            pairs.push(reader.wiring.pair(pair));
            if serving.get("file_sync_interval").is_none() {
                let spot = reader.spot(line);
                let draft = reader.draft(&lints::SYNC, &spot, "file_sync_interval").expected("file_sync_interval = \"1m\"");
                reader.add(draft.found("not set: one hour"));
            }
        }
    }
    let spot = reader.spot(line);
    let consumer = reader.consumer(&spot);
    reader.wiring.listeners.push(Listener {
        consumer,
        host,
        port,
        tls: true,
        names: vec![],
        pairs,
        client_auth: ClientAuth::No,
        trust: None,
        terms: Default::default(),
    });
}

fn partners(reader: &mut SpireReader<'_>, federation: &Body) {
    for (item, partner) in federation.labelled("federates_with").take(PARTNERS) {
        let Some((url, line)) = partner.text("bundle_endpoint_url") else { continue };
        let spot = reader.spot(line);
        if url.starts_with("http://") {
            let draft = reader.draft(&lints::UPSTREAM_HTTP, &spot, &item.key).expected("https://…").found(url.clone());
            reader.add(draft);
        }
        if let Some((host, port)) = address::of_url(&url) {
            let consumer = reader.consumer(&spot);
            let tls = !url.starts_with("http://");
            reader.wiring.connections.push(Connection {
                consumer,
                host,
                port,
                tls,
                name: None,
                trust: None,
                pair: None,
                terms: Default::default(),
            });
        }
    }
}
