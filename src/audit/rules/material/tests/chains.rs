//! Chains, and where a missing piece of one lies.

use super::super::estate::{CERT, Estate, KEY, client, pems, stranger};
use super::{Row, check, found};
use crate::audit::consumer::keylime;
use crate::judge::kit::{self as certs, Authority, DAY, now};
use crate::model::audit::Verdict;
use crate::model::finding::Severity;
use rcgen::{DnType, ExtendedKeyUsagePurpose as Eku, KeyPair};

const CHAINS: &[Row] = &[
    (
        "self-signed",
        |e| {
            let cert = certs::leaf().self_signed(&e.pki.key).unwrap();
            e.put(CERT, pems(&[cert.der()]), 0o644);
        },
        "cert.self-signed",
        Severity::Low,
    ),
    (
        "another PKI",
        |e| {
            let (_, middle, leaf, key) = stranger(|_| {});
            e.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
            e.put(KEY, key.serialize_pem(), 0o600);
        },
        "path.issuer-unknown",
        Severity::Low,
    ),
    ("root sent", |e| e.put(CERT, pems(&[&e.pki.leaf(), &e.pki.middle.der, &e.pki.root.der]), 0o644), "chain.root-included", Severity::Low),
    ("twice", |e| e.put(CERT, pems(&[&e.pki.leaf(), &e.pki.middle.der, &e.pki.middle.der]), 0o644), "chain.duplicate", Severity::Low),
    (
        "leaf twice",
        |e| {
            let leaf = e.pki.leaf();
            e.put(CERT, pems(&[&leaf, &leaf, &e.pki.middle.der]), 0o644);
        },
        "chain.leaf-included",
        Severity::Low,
    ),
    (
        "a stranger",
        |e| e.put(CERT, pems(&[&e.pki.leaf(), &e.pki.middle.der, &Authority::root("Plun-Darr").below("Castle").der]), 0o644),
        "chain.surplus",
        Severity::Low,
    ),
    (
        "no EKU",
        |e| {
            let leaf = e.leaf(|p| p.extended_key_usages.clear());
            e.serve(&leaf);
        },
        "eku.absent",
        Severity::High,
    ),
    (
        "for clients",
        |e| {
            let leaf = e.leaf(client);
            e.serve(&leaf);
        },
        "eku.missing",
        Severity::High,
    ),
    (
        "no names",
        |e| {
            let leaf = e.leaf(|p| p.subject_alt_names.clear());
            e.serve(&leaf);
        },
        "name.absent",
        Severity::High,
    ),
    (
        "an intermediate that ends first",
        |e| {
            let mut params = certs::ca(certs::INTERMEDIATE);
            params.not_after = certs::time(now().plus(DAY / 2));
            let middle = e.pki.root.below_as(params, KeyPair::from_pem(&e.pki.middle.key.serialize_pem()).unwrap());
            let leaf = e.leaf(|p| p.not_after = certs::time(now().plus(DAY / 4)));
            e.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
        },
        "ca.expires-soon",
        Severity::Medium,
    ),
    ("leaf not first", |e| e.put(CERT, pems(&[&e.pki.middle.der, &e.pki.leaf()]), 0o644), "chain.leaf-not-first", Severity::High),
    ("expired", |e| e.at = now().plus(2 * DAY), "validity.expired", Severity::High),
    ("not yet valid", |e| e.at = now().plus(-3600), "validity.not-yet-valid", Severity::High),
    ("late", |e| e.at = now().plus(DAY - 3600), "validity.expires-soon", Severity::Medium),
    ("names", |e| e.wiring.pairs[0].names = vec!["auth.funlab.casa".into()], "name.not-covered", Severity::High),
    (
        "one name of two",
        |e| e.wiring.pairs[0].names = vec!["auth.funlab.casa".into(), "web.funlab.casa".into()],
        "name.not-covered",
        Severity::Medium,
    ),
    (
        "agent",
        |e| {
            let leaf = e.leaf(|p| {
                p.extended_key_usages.push(Eku::ClientAuth);
                p.distinguished_name.push(DnType::CommonName, "agent");
            });
            e.serve(&leaf);
            e.wiring.pairs[0].consumer.program = &keylime::programs::AGENT;
        },
        "keylime.agent-administrator",
        Severity::High,
    ),
];

#[test]
fn what_is_wrong_with_the_chain_is_named() {
    check(CHAINS);
}

#[test]
fn a_missing_intermediate_is_found_where_it_lies() {
    let estate = Estate::new();
    estate.put(CERT, pems(&[&estate.pki.leaf()]), 0o644);
    estate.put("/etc/tls/intermediate.crt", pems(&[&estate.pki.middle.der]), 0o644);
    let document = estate.audit();
    let finding = found(&document, "path.missing-intermediate");
    assert_eq!(finding.severity, Severity::High);
    assert!(finding.remedy.starts_with("append /etc/tls/intermediate.crt to /etc/tls/cert.pem"), "{}", finding.remedy);
    assert_eq!(finding.files[0].path, CERT);
    assert_eq!(document.chains[0].verdict, Verdict::Reject);
    estate.remove("/etc/tls/intermediate.crt");
    assert_eq!(found(&estate.audit(), "path.missing-intermediate").severity, Severity::High);
}

#[test]
fn an_expired_intermediate_is_named_whatever_its_leaf_says() {
    let estate = Estate::new();
    let mut params = certs::ca(certs::INTERMEDIATE);
    params.not_after = certs::time(now().plus(-DAY));
    let middle = estate.pki.root.below_as(params, KeyPair::from_pem(&estate.pki.middle.key.serialize_pem()).unwrap());
    estate.put(CERT, pems(&[&estate.pki.leaf(), &middle.der]), 0o644);
    assert_eq!(estate.ids(Severity::High), ["path.ca-not-valid-now", "validity.outlives-issuer"]);
}
