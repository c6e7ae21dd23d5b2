//! What else listens: health checks, and metrics for Prometheus with or without TLS.

use super::own;
use super::reader::SpireReader;
use crate::audit::facts::hcl::Body;
use crate::audit::facts::wiring::{ClientAuth, Listener, Needs, Pair, Trust};
use crate::model::profile::Purpose;

/// Reads both.
pub(super) fn read(reader: &mut SpireReader<'_>, body: &Body) {
    for (health, line) in body.bodies("health_checks").filter(|(health, _)| own::flag(health, "listener_enabled")) {
        let host = health.text("bind_address").map_or_else(|| "localhost".to_owned(), |(text, _)| text);
        let port = own::port(reader, health, "bind_port", 80);
        let spot = reader.spot(line);
        let consumer = reader.consumer(&spot);
        reader.wiring.listeners.push(Listener {
            consumer,
            host,
            port,
            tls: false,
            names: vec![],
            pairs: vec![],
            client_auth: ClientAuth::No,
            trust: None,
            terms: Default::default(),
        });
    }
    for (metrics, line) in body.bodies("telemetry").flat_map(|(telemetry, _)| telemetry.bodies("Prometheus")) {
        prometheus(reader, metrics, line);
    }
}

fn prometheus(reader: &mut SpireReader<'_>, metrics: &Body, line: u32) {
    let Some((port, _)) = metrics.text("port").and_then(|(text, line)| Some((text.trim().parse().ok()?, line))) else { return };
    let host = metrics.text("host").map_or_else(|| "localhost".to_owned(), |(text, _)| text);
    let tls = metrics.bodies("tls").last();
    let spot = reader.spot(tls.map_or(line, |(_, line)| line));
    let consumer = reader.consumer(&spot);
    let pair = tls.and_then(|(tls, _)| tls.text("cert_file").map(|(certificate, _)| (tls, certificate))).map(|(tls, certificate)| {
        Pair::new(consumer.clone(), reader.path(&certificate), tls.text("key_file").map(|(key, _)| reader.path(&key)), Purpose::Server)
    });
    let clients = tls.and_then(|(tls, _)| tls.text("ca_file")).map(|(ca, _)| reader.path(&ca));
    let trust = clients.map(|file| Trust {
        consumer: consumer.clone(),
        files: vec![file],
        of: Purpose::Client,
        needs: Needs::Any,
        terms: Default::default(),
    });
    let (pairs, trust) = (pair.map(|pair| reader.wiring.pair(pair)), trust.map(|trust| reader.wiring.trust(trust)));
    let client_auth = if trust.is_some() { ClientAuth::Required } else { ClientAuth::No };
    let listener = Listener {
        consumer,
        host,
        port,
        tls: tls.is_some(),
        names: vec![],
        pairs: pairs.into_iter().collect(),
        client_auth,
        trust,
        terms: Default::default(),
    };
    reader.wiring.listeners.push(listener);
}
