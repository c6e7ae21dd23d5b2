//! The registrar: a plain port, on which agents register themselves, and a TLS one. It must never be taken for a guard: registering is public.

use super::settings::Settings;
use super::tls::{self, Side};
use super::{Base, KeylimeReader};
use crate::audit::facts::wiring::{ClientAuth, Listener, Needs};

/// The port that agents register on.
pub(super) const PLAIN_PORT: u16 = 8890;
/// The one for administrators.
pub(super) const TLS_PORT: u16 = 8891;

/// Reads it.
pub(super) fn read(reader: &mut KeylimeReader<'_>, settings: &Settings, base: &Base) {
    tls::generated(reader, settings, base);
    let server = tls::pair(reader, settings, base, Side::Server);
    let clients = tls::trust(reader, settings, base, Side::Server, Needs::Root);
    let host = settings.text("ip", "127.0.0.1").to_owned();
    let listener = |option: &str, port: u16, tls: bool| Listener {
        consumer: settings.consumer(option),
        host: host.clone(),
        port,
        tls,
        names: Vec::new(),
        pairs: server.filter(|_| tls).into_iter().collect(),
        client_auth: if tls { ClientAuth::Optional } else { ClientAuth::No },
        trust: clients.filter(|_| tls),
        terms: Default::default(),
    };
    let ports =
        [listener("port", settings.port("port", PLAIN_PORT), false), listener("tls_port", settings.port("tls_port", TLS_PORT), true)];
    reader.wiring.listeners.extend(ports);
}
