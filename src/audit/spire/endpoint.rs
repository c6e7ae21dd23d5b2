//! What else listens: health checks, and metrics for Prometheus with or without TLS. It must never call either.

use super::own;
use super::reading::Reading;
use crate::audit::hcl::Body;
use crate::audit::wiring::{ClientAuth, Listener, Needs, Pair, Trust};
use crate::model::profile::Purpose;

/// Reads both.
pub(super) fn read(reading: &mut Reading<'_>, body: &Body) {
    for (health, line) in body.bodies("health_checks").filter(|(health, _)| own::flag(health, "listener_enabled")) {
        let host = health.text("bind_address").map_or_else(|| "localhost".to_owned(), |(text, _)| text);
        let port = own::port(reading, health, "bind_port", 80);
        let spot = reading.spot(line);
        let consumer = reading.consumer(&spot);
        reading.wiring.listeners.push(Listener {
            consumer,
            host,
            port,
            tls: false,
            names: vec![],
            pairs: vec![],
            client_auth: ClientAuth::No,
            trust: None,
        });
    }
    for (metrics, line) in body.bodies("telemetry").flat_map(|(telemetry, _)| telemetry.bodies("Prometheus")) {
        prometheus(reading, metrics, line);
    }
}

fn prometheus(reading: &mut Reading<'_>, metrics: &Body, line: u32) {
    let Some((port, _)) = metrics.text("port").and_then(|(text, line)| Some((text.trim().parse().ok()?, line))) else { return };
    let host = metrics.text("host").map_or_else(|| "localhost".to_owned(), |(text, _)| text);
    let tls = metrics.bodies("tls").last();
    let spot = reading.spot(tls.map_or(line, |(_, line)| line));
    let consumer = reading.consumer(&spot);
    let pair = tls.and_then(|(tls, _)| tls.text("cert_file").map(|(certificate, _)| (tls, certificate))).map(|(tls, certificate)| Pair {
        consumer: consumer.clone(),
        certificate: reading.path(&certificate),
        key: tls.text("key_file").map(|(key, _)| reading.path(&key)),
        intermediates: Vec::new(),
        purpose: Purpose::Server,
        names: Vec::new(),
        passphrase: false,
        account: None,
        leaf_only: false,
    });
    let clients = tls.and_then(|(tls, _)| tls.text("ca_file")).map(|(ca, _)| reading.path(&ca));
    let trust = clients.map(|file| Trust { consumer: consumer.clone(), files: vec![file], of: Purpose::Client, needs: Needs::Any });
    let (pairs, trust) = (pair.map(|pair| reading.wiring.pair(pair)), trust.map(|trust| reading.wiring.trust(trust)));
    let client_auth = if trust.is_some() { ClientAuth::Required } else { ClientAuth::No };
    let listener =
        Listener { consumer, host, port, tls: tls.is_some(), names: vec![], pairs: pairs.into_iter().collect(), client_auth, trust };
    reading.wiring.listeners.push(listener);
}
