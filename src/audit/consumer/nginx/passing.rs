//! What all server blocks of one address have in common, and stream servers that hand bytes on as they came.

use std::collections::BTreeMap;

use super::scope::Scope;
use crate::audit::facts::wiring::{Versions, Wiring};

/// A stream server without TLS of its own passes on whatever its caller speaks (`ngx_stream_proxy_module`): its listeners and calls from
/// these indexes on.
pub(super) fn hands_on(wiring: &mut Wiring, listeners: usize, connections: usize) {
    let through: Vec<usize> = (connections..wiring.connections.len()).collect();
    let own = wiring.listeners.get_mut(listeners..).unwrap_or_default();
    let raw = own.iter().all(|listener| !listener.tls);
    for listener in own.iter_mut().filter(|listener| !listener.tls) {
        listener.terms.passes = Some(through.clone());
    }
    for connection in wiring.connections.get_mut(connections..).unwrap_or_default() {
        connection.terms.raw = raw;
    }
}

/// The versions of TLS of an address are chosen before the name is known: those of all its blocks are possible, from this listener on.
pub(super) fn one_address_one_set(wiring: &mut Wiring, first: usize) {
    let mut all: BTreeMap<String, Option<Versions>> = BTreeMap::new();
    let own = wiring.listeners.get_mut(first..).unwrap_or_default();
    for listener in own.iter() {
        let versions = listener.terms.versions;
        all.entry(format!("{}:{}", listener.host, listener.port))
            .and_modify(|known| *known = known.zip(versions).map(|(a, b)| a.or(b)))
            .or_insert(versions);
    }
    for listener in own {
        listener.terms.versions = all.get(&format!("{}:{}", listener.host, listener.port)).copied().flatten();
    }
}

/// What `ssl_protocols` or its like of a call says; without it whatever a version of nginx may take for its default.
pub(super) fn versions(scope: &Scope<'_>, directive: &str) -> Versions {
    let lines = scope.all(directive);
    if lines.is_empty() {
        return Versions { old: true, tls12: true, tls13: true };
    }
    let has = |name: &str| lines.iter().flat_map(|line| &line.args).any(|arg| arg.eq_ignore_ascii_case(name));
    let old = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1"].iter().any(|name| has(name));
    Versions { old, tls12: has("TLSv1.2"), tls13: has("TLSv1.3") }
}
