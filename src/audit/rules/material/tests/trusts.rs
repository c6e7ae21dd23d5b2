//! Trust lists, pins and roots.

use super::super::estate::{CERT, Estate, KEY, ROOT, ids, pems, stranger, trust};
use super::{Row, check, found};
use crate::audit::consumer::{keylime, openbao};
use crate::audit::facts::wiring::Needs;
use crate::judge::kit::{self as certs, Authority, DAY, now};
use crate::model::audit::Verdict;
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

const TRUSTS: &[Row] = &[
    (
        "nothing but an expired root",
        |e| {
            let mut params = certs::ca("Old Eye");
            params.not_after = certs::time(now().plus(-DAY));
            let old = params.self_signed(&certs::key()).unwrap();
            e.put("/etc/old/root.pem", pems(&[old.der()]), 0o644);
            e.wiring.trust(trust(&openbao::program::OPENBAO, &["/etc/old/root.pem"], Purpose::Client, Needs::Any));
        },
        "trust.expired",
        Severity::High,
    ),
    ("absent", |e| e.remove(ROOT), "trust.absent", Severity::High),
    ("empty", |e| e.put(ROOT, "", 0o644), "trust.empty", Severity::High),
    (
        "cut off",
        |e| {
            let text = pems(&[&e.pki.root.der]);
            e.put(ROOT, &text[..200], 0o644);
        },
        "trust.malformed",
        Severity::High,
    ),
    ("intermediate alone", |e| e.put(ROOT, pems(&[&e.pki.middle.der]), 0o644), "trust.no-root", Severity::High),
    ("root alone for bare leaves", |e| e.wiring.trusts[0].needs = Needs::RootAndIntermediate, "trust.no-intermediate", Severity::High),
    (
        "intermediate first",
        |e| {
            e.put(ROOT, pems(&[&e.pki.middle.der, &e.pki.root.der]), 0o644);
            e.wiring.trusts[0].needs = Needs::FirstIsRoot;
        },
        "trust.first-not-root",
        Severity::High,
    ),
    ("a leaf in it", |e| e.put(ROOT, pems(&[&e.pki.root.der, &e.pki.leaf()]), 0o644), "trust.leaf", Severity::Medium),
    ("twice", |e| e.put(ROOT, pems(&[&e.pki.root.der, &e.pki.root.der]), 0o644), "trust.duplicate", Severity::Low),
    (
        "stale",
        |e| {
            let mut params = certs::ca("Old Eye");
            params.not_after = certs::time(now().plus(-DAY));
            let old = params.self_signed(&certs::key()).unwrap();
            let root = e.pki.root.der.clone();
            e.put(ROOT, pems(&[&root, old.der()]), 0o644);
        },
        "trust.stale",
        Severity::Low,
    ),
    (
        "no hash links",
        |e| {
            e.put("/etc/anchors/root.pem", pems(&[&e.pki.root.der]), 0o644);
            e.wiring.trusts[0].files = vec!["/etc/anchors".into()];
        },
        "trust.no-hash-links",
        Severity::High,
    ),
    (
        "another key",
        |e| {
            e.anchors = vec![e.pki.root.der.clone()];
            e.put(ROOT, pems(&[&Authority::root(certs::ROOT).der]), 0o644);
        },
        "anchor.other-key",
        Severity::High,
    ),
    (
        "surplus",
        |e| {
            e.anchors = vec![e.pki.root.der.clone()];
            e.put(ROOT, pems(&[&e.pki.root.der, &Authority::root("Plun-Darr").der]), 0o644);
        },
        "trust.surplus-root",
        Severity::Low,
    ),
];

#[test]
fn what_is_wrong_with_a_trust_list_is_named() {
    check(TRUSTS);
}

#[test]
fn with_no_root_at_all_nothing_is_said_of_paths() {
    let mut estate = Estate::new();
    estate.remove(ROOT);
    estate.wiring.trusts.clear();
    assert_eq!(estate.ids(Severity::Medium), [] as [&str; 0]);
}

#[test]
fn a_root_that_no_configuration_names_is_one_all_the_same() {
    let mut estate = Estate::new();
    estate.wiring.trusts.clear();
    estate.remove(ROOT);
    estate.put("/etc/ssl/funlab/root.pem", pems(&[&estate.pki.root.der]), 0o644);
    assert_eq!(estate.audit().chains[0].verdict, Verdict::Accept);
    estate.put(CERT, pems(&[&estate.pki.leaf()]), 0o644);
    assert_eq!(estate.ids(Severity::High), ["path.missing-intermediate"]);
    // Even where nothing is trusted, a leaf alone that names somebody else as its issuer is not enough.
    estate.remove("/etc/ssl/funlab/root.pem");
    assert_eq!(estate.ids(Severity::High), ["path.missing-intermediate"]);
}

#[test]
fn a_list_with_another_root_of_the_name_that_own_chains_lead_to_is_found_without_a_pin() {
    let mut estate = Estate::new();
    estate.put("/etc/other/root.pem", pems(&[&Authority::root(certs::ROOT).der]), 0o644);
    estate.wiring.trust(trust(&keylime::programs::VERIFIER, &["/etc/other/root.pem"], Purpose::Client, Needs::Root));
    let document = estate.audit();
    assert_eq!(
        (ids(&document, Severity::High), found(&document, "anchor.other-key").files[0].path.as_str()),
        (vec!["anchor.other-key".to_owned()], "/etc/other/root.pem")
    );
    estate.put("/etc/other/root.pem", pems(&[&Authority::root(certs::ROOT).der, &estate.pki.root.der]), 0o644);
    assert_eq!(estate.ids(Severity::High), [] as [&str; 0]);
}

#[test]
fn a_pin_makes_a_public_certificate_no_forgery_and_a_private_one_from_elsewhere_one() {
    let mut estate = Estate::new();
    let (root, middle, leaf, key) = stranger(|_| {});
    estate.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
    estate.put(KEY, key.serialize_pem(), 0o600);
    estate.anchors = vec![estate.pki.root.der.clone()];
    assert_eq!(estate.ids(Severity::High), ["path.other-root"]);
    estate.put("/etc/ssl/certs/ca-certificates.crt", pems(&[&root.der]), 0o644);
    assert_eq!(estate.ids(Severity::Low), ["name.localhost"]);
}
