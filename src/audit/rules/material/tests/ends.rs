//! Both ends of a call.

use super::super::estate::{CERT, Estate, ROOT, client, connection, ids, listener, pair, pems, stranger, trust};
use super::found;
use crate::audit::consumer::{nginx, spire};
use crate::audit::facts::wiring::{ClientAuth, Needs};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// SPIRE's plugin as the caller, nginx as the listener that asks for a client certificate.
fn call(estate: &mut Estate) {
    let leaf = estate.leaf(client);
    estate.put("/etc/spire/client.pem", pems(&[&leaf, &estate.pki.middle.der]), 0o644);
    estate.put("/etc/spire/client.key", estate.pki.key.serialize_pem(), 0o600);
    let shown = estate.wiring.pair(pair(&spire::programs::SERVER, "/etc/spire/client.pem", "/etc/spire/client.key", Purpose::Client));
    let own = estate.wiring.trust(trust(&spire::programs::SERVER, &["/etc/spire/root.pem"], Purpose::Server, Needs::Any));
    estate.put("/etc/spire/root.pem", pems(&[&estate.pki.root.der]), 0o644);
    estate.wiring.listeners.push(listener(&nginx::program::NGINX, 8881, 0, ClientAuth::Required, Some(0)));
    estate.wiring.connections.push(connection(&spire::programs::SERVER, 8881, Some(own), Some(shown)));
}

#[test]
fn a_call_whose_ends_disagree_is_named_with_both() {
    type Change = fn(&mut Estate);
    let rows: [(&str, Change, &[&str]); 11] = [
        ("healthy", |_| {}, &[]),
        ("plain to TLS", |e| e.wiring.connections[0].tls = false, &["call.plain-to-tls"]),
        ("TLS to plain", |e| e.wiring.listeners[0].tls = false, &["call.tls-to-plain"]),
        ("no certificate", |e| e.wiring.connections[0].pair = None, &["call.no-client-certificate"]),
        ("intermediate alone", |e| e.put(ROOT, pems(&[&e.pki.middle.der]), 0o644), &["call.client-untrusted", "trust.no-root"]),
        ("server's certificate shown", |e| e.wiring.connections[0].pair = Some(0), &["call.client-purpose"]),
        (
            "a stranger's certificate",
            |e| {
                let (_, middle, leaf, key) = stranger(client);
                e.put("/etc/spire/client.pem", pems(&[&leaf, &middle.der]), 0o644);
                e.put("/etc/spire/client.key", key.serialize_pem(), 0o600);
            },
            &["call.client-untrusted"],
        ),
        ("a stranger's root", |e| e.put("/etc/spire/root.pem", pems(&[&stranger(client).0.der]), 0o644), &["call.server-untrusted"]),
        (
            "a client's certificate served",
            |e| {
                let leaf = e.leaf(client);
                e.serve(&leaf);
            },
            &["call.server-purpose", "eku.missing"],
        ),
        ("a name nobody has", |e| e.wiring.connections[0].name = Some("verifier.funlab.casa".into()), &["call.name"]),
        (
            "by its name",
            |e| {
                e.wiring.connections[0].host = "web.funlab.casa".into();
                e.wiring.connections[0].tls = false;
            },
            &["call.plain-to-tls"],
        ),
    ];
    for (what, change, expected) in rows {
        let mut estate = Estate::new();
        call(&mut estate);
        change(&mut estate);
        let document = estate.audit();
        assert_eq!(ids(&document, Severity::High), expected, "{what}");
        if let Some(id) = expected.first() {
            let lines: Vec<_> = found(&document, id).files.iter().map(|f| (f.path.as_str(), f.line)).collect();
            assert!(
                lines.contains(&("/etc/spire/agent.conf", Some(20))) && lines.contains(&("/etc/nginx/nginx.conf", Some(3))),
                "{what}: {lines:?}"
            );
        }
    }
}

#[test]
fn a_call_to_somebody_else_is_not_ours_to_judge() {
    let mut estate = Estate::new();
    call(&mut estate);
    estate.wiring.connections[0].pair = None;
    for host in ["10.0.0.9", "vault.funlab.casa", "other.funlab.casa"] {
        estate.wiring.connections[0].host = host.into();
        assert_eq!(estate.ids(Severity::High), [] as [&str; 0], "{host}");
    }
    estate.put("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 other.funlab.casa other # ourselves\n", 0o644);
    assert_eq!(estate.ids(Severity::High), ["call.no-client-certificate"]);
}

#[test]
fn a_client_that_shows_its_leaf_alone_is_refused_by_a_list_of_the_root_alone() {
    let mut estate = Estate::new();
    call(&mut estate);
    estate.put("/etc/spire/client.pem", pems(&[&estate.leaf(client)]), 0o644);
    assert_eq!(estate.ids(Severity::High), ["call.client-untrusted"]);
    estate.put(ROOT, pems(&[&estate.pki.root.der, &estate.pki.middle.der]), 0o644);
    assert_eq!(estate.ids(Severity::High), [] as [&str; 0]);
}

#[test]
fn openssl_completes_a_served_chain_from_its_own_list() {
    let mut estate = Estate::new();
    call(&mut estate);
    estate.put(CERT, pems(&[&estate.pki.leaf()]), 0o644);
    estate.put(ROOT, pems(&[&estate.pki.root.der, &estate.pki.middle.der]), 0o644);
    let document = estate.audit();
    assert_eq!(found(&document, "chain.completed-by-trust").severity, Severity::Medium);
    assert_eq!(ids(&document, Severity::High), [] as [&str; 0]);
}
