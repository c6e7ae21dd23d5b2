//! Set-ups that look odd and are good, and many server blocks at once.

use super::super::estate::{CERT, Estate, KEY, ROOT, ids, pair, pems, stranger, trust};
use super::found;
use crate::audit::consumer::{keylime, nginx};
use crate::audit::facts::wiring::Needs;
use crate::judge::kit::{self as certs, Authority};
use crate::model::audit::Verdict;
use crate::model::finding::Severity;
use crate::model::profile::Purpose;
use rcgen::KeyPair;

#[test]
fn a_healthy_pair_gives_nothing_at_all() {
    let document = Estate::new().audit();
    // Its names hold localhost, which no judge of chains likes.
    assert_eq!(ids(&document, Severity::Info), ["name.localhost"]);
    assert_eq!((document.chains.len(), document.chains[0].verdict, document.chains[0].links.len()), (1, Verdict::Accept, 3));
    assert!(document.chains[0].elapsed.unwrap() < 0.01);
}

/// What is done to a healthy host.
type Change = fn(&mut Estate);

/// Set-ups that look odd and are good.
const HEALTHY: &[(&str, Change)] = &[
    ("self-signed for tests", |e| {
        let mut params = certs::leaf();
        params.extended_key_usages.clear();
        let cert = params.self_signed(&e.pki.key).unwrap();
        e.put(CERT, pems(&[cert.der()]), 0o644);
    }),
    ("an agent that sends its leaf alone", |e| {
        e.put(CERT, pems(&[&e.pki.leaf()]), 0o644);
        e.put(ROOT, pems(&[&e.pki.root.der, &e.pki.middle.der]), 0o644);
        e.wiring.pairs[0].leaf_only = true;
    }),
    ("an agent of whose authorities nothing lies here", |e| {
        e.put(CERT, pems(&[&e.pki.leaf()]), 0o644);
        e.wiring.pairs[0].leaf_only = true;
    }),
    ("a copy without /run", |e| {
        e.wiring.pairs[0].certificate = "/run/omens/web/live/fullchain.pem".into();
        e.wiring.pairs[0].key = Some("/var/lib/other/key.pem".into());
        e.put("/var/log/x", "", 0o644);
    }),
    ("its key is its group's", |e| {
        e.mode(KEY, 0o640);
        e.own(KEY, "root", "keylime");
        e.wiring.pairs[0].consumer.program = &keylime::programs::VERIFIER;
        e.wiring.pairs[0].account = Some("keylime".into());
    }),
    ("RSA", |e| {
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        e.put(KEY, key.serialize_pem(), 0o600);
        e.serve(&e.pki.middle.sign(&certs::leaf(), &key));
    }),
    ("RSA beside EC", |e| {
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        e.put("/etc/tls/rsa.key", key.serialize_pem(), 0o600);
        e.put("/etc/tls/rsa.pem", pems(&[&e.pki.middle.sign(&certs::leaf(), &key), &e.pki.middle.der]), 0o644);
        e.wiring.pair(pair(&nginx::program::NGINX, "/etc/tls/rsa.pem", "/etc/tls/rsa.key", Purpose::Server));
    }),
    ("combined", |e| {
        let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]) + &e.pki.key.serialize_pem();
        e.put("/etc/tls/combined.pem", text, 0o600);
        e.wiring.pairs[0].certificate = "/etc/tls/combined.pem".into();
        e.wiring.pairs[0].key = Some("/etc/tls/combined.pem".into());
    }),
    ("text around", |e| e.put(CERT, format!("subject=CN = web\n{}\nafter\n", pems(&[&e.pki.leaf(), &e.pki.middle.der])), 0o644)),
    ("encrypted", |e| {
        e.put(KEY, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600);
        e.wiring.pairs[0].passphrase = true;
    }),
    ("in the TPM", |e| e.put(KEY, "-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n", 0o600)),
    ("service group", |e| {
        e.mode(KEY, 0o640);
        e.own(KEY, "root", "keylime");
        e.wiring.pairs[0].consumer.program = &keylime::programs::VERIFIER;
    }),
    ("service's own", |e| {
        e.own(KEY, "keylime", "keylime");
        e.own("/etc/tls", "keylime", "keylime");
        e.wiring.pairs[0].consumer.program = &keylime::programs::VERIFIER;
    }),
    ("generations", |e| {
        for generation in ["gen-3", "gen-4"] {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]);
            e.put(&format!("/run/omens/web/{generation}/fullchain.pem"), &text, 0o644);
            e.put(&format!("/run/omens/web/{generation}/key.pem"), e.pki.key.serialize_pem(), 0o600);
            e.put(&format!("/run/omens/web/{generation}/combined.pem"), text + &e.pki.key.serialize_pem(), 0o600);
        }
        e.link("/run/omens/web/live", "gen-4");
        e.wiring.pairs[0].certificate = "/run/omens/web/live/fullchain.pem".into();
        e.wiring.pairs[0].key = Some("/run/omens/web/live/key.pem".into());
    }),
    ("rotation", |e| {
        let next = Authority::root("Eye of Thundera G2");
        let cross = e.pki.root.below_as(certs::ca("Eye of Thundera G2"), KeyPair::from_pem(&next.key.serialize_pem()).unwrap());
        let middle = next.below("Book of Omens G2");
        let leaf = middle.sign(&certs::leaf(), &e.pki.key);
        e.put(CERT, pems(&[&leaf, &middle.der, &cross.der]), 0o644);
        e.put(ROOT, pems(&[&e.pki.root.der, &next.der]), 0o644);
    }),
    ("public certificate", |e| {
        let (root, middle, leaf, key) = stranger(|_| {});
        e.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
        e.put(KEY, key.serialize_pem(), 0o600);
        e.put("/etc/ssl/certs/ca-certificates.crt", pems(&[&root.der]), 0o644);
    }),
    ("public certificate, its root unknown", |e| {
        let (_, middle, leaf, key) = stranger(|_| {});
        e.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
        e.put(KEY, key.serialize_pem(), 0o600);
    }),
];

#[test]
fn healthy_estates_give_nothing_of_weight() {
    for (what, change) in HEALTHY {
        let mut estate = Estate::new();
        change(&mut estate);
        let document = estate.audit();
        let bad: Vec<_> = document.findings.iter().filter(|f| f.severity >= Severity::Medium).collect();
        assert!(bad.is_empty(), "{what}: {bad:#?}");
        assert!(document.chains.len() == estate.wiring.pairs.len() || *what == "a copy without /run", "{what}");
    }
}

#[test]
fn one_defect_of_many_server_blocks_is_one_finding_with_all_their_lines() {
    let mut estate = Estate::new();
    for line in [20, 30] {
        let mut other = pair(&nginx::program::NGINX, CERT, KEY, Purpose::Server);
        other.consumer.location.line = Some(line);
        other.names = vec![format!("n{line}.funlab.casa")];
        estate.wiring.pair(other);
        let mut list = trust(&nginx::program::NGINX, &[ROOT], Purpose::Client, Needs::Root);
        list.consumer.location.line = Some(line);
        estate.wiring.trust(list);
    }
    estate.put(KEY, certs::key().serialize_pem(), 0o600);
    estate.put(ROOT, pems(&[&estate.pki.middle.der]), 0o644);
    let document = estate.audit();
    let count = |id: &str| document.findings.iter().filter(|f| f.id == id).count();
    assert_eq!((count("pair.mismatch"), count("trust.no-root"), count("name.not-covered")), (1, 1, 2));
    let lines: Vec<_> = found(&document, "trust.no-root").files.iter().filter_map(|f| f.line).collect();
    assert_eq!(lines, [9, 20, 30]);
}
