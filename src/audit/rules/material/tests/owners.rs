//! Who else may read a key or replace what is used.

use super::super::estate::{CERT, Estate, KEY, ROOT, pair, pems};
use super::{Row, check};
use crate::audit::consumer::openbao;
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

const OWNERS: &[Row] = &[
    ("everybody", |e| e.mode(KEY, 0o644), "key.readable-by-others", Severity::High),
    (
        "behind a closed directory",
        |e| {
            e.mode(KEY, 0o644);
            e.mode("/etc/tls", 0o700);
        },
        "key.readable-by-others",
        Severity::Medium,
    ),
    (
        "beside the certificate",
        |e| {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]) + &e.pki.key.serialize_pem();
            e.put(CERT, text, 0o644);
        },
        "pem.key-beside-certificate",
        Severity::High,
    ),
    (
        "people in the group",
        |e| {
            e.mode(KEY, 0o640);
            e.own(KEY, "root", "ops");
        },
        "key.readable-by-group",
        Severity::Medium,
    ),
    (
        "another service in the group",
        |e| {
            e.mode(KEY, 0o640);
            e.own(KEY, "root", "mesh");
        },
        "key.readable-by-group",
        Severity::Low,
    ),
    (
        "a key that its service may not read",
        |e| e.wiring.pairs[0].account = Some("www-data".into()),
        "key.unreadable-for-service",
        Severity::Medium,
    ),
    ("a person's", |e| e.own(KEY, "alice", "alice"), "key.owner", Severity::Medium),
    ("directory for all", |e| e.mode("/etc/tls", 0o777), "way.writable-by-others", Severity::High),
    ("sticky directory", |e| e.mode("/etc/tls", 0o1777), "way.writable-by-others", Severity::Medium),
    (
        "directory of a group",
        |e| {
            e.mode("/etc/tls", 0o775);
            e.own("/etc/tls", "root", "ops");
        },
        "way.writable-by-others",
        Severity::Medium,
    ),
    ("directory of a person", |e| e.own("/etc/tls", "alice", "alice"), "way.owner", Severity::Medium),
    (
        "link target",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put("/srv/keys/key.pem", text, 0o600);
            e.mode("/srv/keys", 0o777);
            e.remove(KEY);
            e.link(KEY, "/srv/keys/key.pem");
        },
        "way.writable-by-others",
        Severity::High,
    ),
    ("trust list", |e| e.mode(ROOT, 0o666), "file.writable-by-others", Severity::High),
    (
        "a copy",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put("/etc/tls/other.key", text, 0o600);
        },
        "key.copy",
        Severity::Low,
    ),
    (
        "an open copy",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put("/etc/tls/other.key", text, 0o644);
        },
        "key.readable-by-others",
        Severity::High,
    ),
    (
        "a backup",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put("/etc/tls/key.pem.bak", text, 0o600);
        },
        "key.backup",
        Severity::Medium,
    ),
    ("an orphan", |e| e.put("/etc/tls/cert.pem.new", "", 0o644), "file.leftover", Severity::Low),
    (
        "an authority's key",
        |e| {
            let text = e.pki.middle.key.serialize_pem();
            e.put("/etc/tls/ca.key", text, 0o600);
        },
        "ca.key-on-host",
        Severity::Medium,
    ),
];

#[test]
fn who_may_read_or_replace_a_key_is_named() {
    check(OWNERS);
}

#[test]
fn a_key_of_the_generation_before_and_one_of_two_services_are_told() {
    let mut estate = Estate::new();
    estate.put("/run/omens/web/gen-4/fullchain.pem", pems(&[&estate.pki.leaf(), &estate.pki.middle.der]), 0o644);
    estate.put(
        "/run/omens/web/gen-5/fullchain.pem",
        pems(&[&estate.leaf(|p| p.serial_number = Some(77_u64.into())), &estate.pki.middle.der]),
        0o644,
    );
    estate.link("/run/omens/web/live", "gen-5");
    estate.wiring.pair(pair(&openbao::program::OPENBAO, "/run/omens/web/live/fullchain.pem", KEY, Purpose::Server));
    assert_eq!(estate.ids(Severity::Low), ["key.reused", "key.two-certificates", "name.localhost", "serial.low-entropy"]);
    assert_eq!(estate.ids(Severity::Medium), [] as [&str; 0]);
}
