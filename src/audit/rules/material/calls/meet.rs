//! Which listener of this host a call reaches.

use std::net::IpAddr;
use std::path::Path;

use super::super::host::HostMaterial;
use super::super::names;
use crate::audit::facts::wiring::{Connection, Listener};

/// As many listeners are passed through.
const HOPS: usize = 8;

/// The listener whose handshake a call meets: what hands bytes on is passed through. `None` where that is not known, or on another host.
pub(super) fn end<'a>(material: &HostMaterial<'a>, connection: &Connection, host: &str) -> Option<&'a Listener> {
    let mut call = connection.clone();
    for _ in 0..HOPS {
        let reached = listener(material, &call, host)?;
        let Some(passes) = &reached.terms.passes else { return Some(reached) };
        let mut onward = passes.iter().filter_map(|index| material.wiring.connections.get(*index));
        let next = onward.find(|next| listener(material, next, host).is_some())?;
        let name = call.name.take().unwrap_or(call.host);
        call = Connection { name: Some(name), host: next.host.clone(), port: next.port, ..call };
    }
    None
}

/// The listener that a call of this host reaches, where it is one of this host's.
fn listener<'a>(material: &HostMaterial<'a>, connection: &Connection, host: &str) -> Option<&'a Listener> {
    let on_port = || material.wiring.listeners.iter().filter(|listener| listener.port == connection.port);
    let reached = |listener: &&Listener| reaches(material, connection, listener, host);
    let named = |listener: &&Listener| {
        let asked = connection.name.as_deref().unwrap_or(&connection.host);
        listener.names.iter().any(|name| name.eq_ignore_ascii_case(asked))
    };
    on_port().filter(reached).find(named).or_else(|| on_port().find(reached))
}

fn reaches(material: &HostMaterial<'_>, connection: &Connection, listener: &Listener, host: &str) -> bool {
    let bound = address(&listener.host);
    let everywhere = bound.is_none_or(|ip| ip.is_unspecified()) && (listener.host.is_empty() || listener.host == "*" || bound.is_some());
    match resolve(material, &connection.host, host) {
        Local::Loopback => everywhere || listener.host == "localhost" || bound.is_some_and(|ip| ip.is_loopback()),
        Local::Address(ip) => bound == Some(ip) || (everywhere && serves(material, listener, &connection.host)),
        Local::Own => everywhere || bound.is_some_and(|ip| !ip.is_loopback()) || listener.host.eq_ignore_ascii_case(&connection.host),
        Local::Name => {
            listener.host.eq_ignore_ascii_case(&connection.host)
                || has_name(listener, &connection.host)
                || (everywhere && serves(material, listener, &connection.host))
        }
    }
}

enum Local {
    /// The host itself, by loopback.
    Loopback,
    /// The host itself, by its name.
    Own,
    /// Some address.
    Address(IpAddr),
    /// Some name.
    Name,
}

fn resolve(material: &HostMaterial<'_>, name: &str, host: &str) -> Local {
    let of_ip = |ip: IpAddr| if ip.is_loopback() || ip.is_unspecified() { Local::Loopback } else { Local::Address(ip) };
    if let Some(ip) = address(name) {
        return of_ip(ip);
    }
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    if name.eq_ignore_ascii_case("localhost") {
        return Local::Loopback;
    }
    if name.eq_ignore_ascii_case(host) || (!host.is_empty() && short(name) == short(host) && (name.contains('.') != host.contains('.'))) {
        return Local::Own;
    }
    hosts_file(material, name).map_or(Local::Name, of_ip)
}

/// hosts(5) of the host that is looked at.
fn hosts_file(material: &HostMaterial<'_>, name: &str) -> Option<IpAddr> {
    let text = material.basis.view.text(Path::new("/etc/hosts")).ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let ip = address(words.next()?)?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
    })
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn has_name(listener: &Listener, name: &str) -> bool {
    listener.names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether its certificate is for this name: then the call is meant for it.
fn serves(material: &HostMaterial<'_>, listener: &Listener, name: &str) -> bool {
    let pairs = listener.pairs.iter().filter_map(|index| material.wiring.pairs.get(*index));
    has_name(listener, name) || pairs.filter_map(|pair| material.leaf(pair)).any(|leaf| names::covers(&leaf.facts, name))
}
