//! The section `server { }`: where it listens, where it keeps its keys, whom it federates with. It must never judge a plugin.

use super::reading::Reading;
use super::{disk, lints, own};
use crate::audit::address;
use crate::audit::hcl::Body;
use crate::audit::wiring::{ClientAuth, Connection, Listener, Pair};
use crate::model::profile::Purpose;

/// From here on `/ready` is 500; three bytes more, and it hangs at its start ([Limits](crate::audit#limits)).
const SOCKET: usize = 105;

/// As many partners are read.
const PARTNERS: usize = 500;

/// Reads the section.
pub(super) fn read(reading: &mut Reading<'_>, body: &Body) {
    let Some((server, line)) = body.bodies("server").last() else { return };
    own::required(reading, server, line, "trust_domain");
    own::required(reading, server, line, "data_dir");
    let port = own::port(reading, server, "bind_port", 8081);
    let host = server.text("bind_address").map_or_else(|| "0.0.0.0".to_owned(), |(text, _)| text);
    let spot = reading.spot(server.get("bind_port").map_or(line, |item| item.line));
    // It serves an identity of its own making; agents show theirs, or none before they are attested.
    let consumer = reading.consumer(&spot);
    reading.wiring.listeners.push(Listener {
        consumer,
        host,
        port,
        tls: true,
        names: vec![],
        pairs: vec![],
        client_auth: ClientAuth::Optional,
        trust: None,
    });
    disk::socket(reading, server, SOCKET);
    disk::directory(reading, server);
    for (federation, _) in server.bodies("federation") {
        endpoint(reading, federation);
        partners(reading, federation);
    }
}

/// The bundle endpoint, with a certificate of the web where it has the profile for it.
fn endpoint(reading: &mut Reading<'_>, federation: &Body) {
    let Some((endpoint, line)) = federation.bodies("bundle_endpoint").last() else { return };
    let port = own::port(reading, endpoint, "port", 443);
    let host = endpoint.text("address").map_or_else(|| "0.0.0.0".to_owned(), |(text, _)| text);
    let mut pairs = Vec::new();
    for (_, profile) in endpoint.labelled("profile").filter(|(item, _)| item.key == "https_web") {
        for (serving, line) in profile.bodies("serving_cert_file") {
            let Some((certificate, at)) = serving.text("cert_file_path") else { continue };
            let spot = reading.spot(at);
            let pair = Pair {
                consumer: reading.consumer(&spot),
                certificate: reading.path(&certificate),
                key: serving.text("key_file_path").map(|(key, _)| reading.path(&key)),
                intermediates: Vec::new(),
                purpose: Purpose::Server,
                names: Vec::new(),
                passphrase: false,
                account: None,
                leaf_only: false,
            };
            pairs.push(reading.wiring.pair(pair));
            if serving.get("file_sync_interval").is_none() {
                let spot = reading.spot(line);
                let draft = reading.draft(&lints::SYNC, &spot, "file_sync_interval").expected("file_sync_interval = \"1m\"");
                reading.add(draft.found("not set: one hour"));
            }
        }
    }
    let spot = reading.spot(line);
    let consumer = reading.consumer(&spot);
    reading.wiring.listeners.push(Listener {
        consumer,
        host,
        port,
        tls: true,
        names: vec![],
        pairs,
        client_auth: ClientAuth::No,
        trust: None,
    });
}

fn partners(reading: &mut Reading<'_>, federation: &Body) {
    for (item, partner) in federation.labelled("federates_with").take(PARTNERS) {
        let Some((url, line)) = partner.text("bundle_endpoint_url") else { continue };
        let spot = reading.spot(line);
        if url.starts_with("http://") {
            let draft = reading.draft(&lints::UPSTREAM_HTTP, &spot, &item.key).expected("https://…").found(url.clone());
            reading.add(draft);
        }
        if let Some((host, port)) = address::of_url(&url) {
            let consumer = reading.consumer(&spot);
            let tls = !url.starts_with("http://");
            reading.wiring.connections.push(Connection { consumer, host, port, tls, name: None, trust: None, pair: None });
        }
    }
}
