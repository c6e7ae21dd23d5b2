//! What passes the gate and what does not, certificate by certificate.

use std::slice::from_ref;

use rcgen::{DnType, ExtendedKeyUsagePurpose as Eku, KeyUsagePurpose as Ku, SanType};

use super::super::kit::{self, *};
use super::*;
use crate::model::finding::Severity;
use crate::model::key::KeyAlgorithm;

#[test]
fn a_healthy_certificate_passes_without_a_single_finding() {
    let pki = Pki::new();
    let verdict = pki.judge(&pki.leaf(), from_ref(&pki.middle.der));
    assert_eq!(verdict.findings, []);
    assert!(!verdict.refused());
    assert_eq!(verdict.path, Some(vec![pki.middle.der.clone()]));
}

/// Each row changes one thing of the good certificate and says everything that must be found.
#[test]
fn nothing_that_differs_from_the_profile_passes() {
    type Change = fn(&mut rcgen::CertificateParams);
    let rows: &[(&str, Change, &[&str])] = &[
        ("cn", |p| p.distinguished_name.push(DnType::CommonName, "evil.funlab.casa"), &["name.cn-other"]),
        ("no cn", |p| p.distinguished_name = rcgen::DistinguishedName::new(), &["name.cn-absent"]),
        ("name missing", |p| drop(p.subject_alt_names.remove(1)), &["name.missing"]),
        ("address missing", |p| drop(p.subject_alt_names.remove(2)), &["name.missing"]),
        ("no names", |p| p.subject_alt_names.clear(), &["name.missing", "name.missing", "name.missing"]),
        ("name extra", |p| p.subject_alt_names.push(kit::dns("evil.funlab.casa")), &["name.extra"]),
        ("address extra", |p| p.subject_alt_names.push(SanType::IpAddress([10, 0, 0, 1].into())), &["name.extra"]),
        ("email", |p| p.subject_alt_names.push(SanType::Rfc822Name("a@b.c".try_into().unwrap())), &["name.extra"]),
        ("uri", |p| p.subject_alt_names.push(SanType::URI("spiffe://funlab.casa/x".try_into().unwrap())), &["name.extra"]),
        ("wildcard", |p| p.subject_alt_names.push(kit::dns("*.funlab.casa")), &["name.extra", "name.wildcard"]),
        ("underscore", |p| p.subject_alt_names.push(kit::dns("a_b.funlab.casa")), &["name.extra", "name.malformed"]),
        ("no eku", |p| p.extended_key_usages.clear(), &["eku.absent"]),
        ("any eku", |p| p.extended_key_usages.push(Eku::Any), &["eku.any"]),
        ("wrong eku", |p| p.extended_key_usages = vec![Eku::ClientAuth], &["eku.extra", "eku.missing"]),
        ("eku beyond", |p| p.extended_key_usages.push(Eku::ClientAuth), &["eku.extra"]),
        ("no key usage", |p| p.key_usages.clear(), &["ku.missing"]),
        ("wrong key usage", |p| p.key_usages = vec![Ku::ContentCommitment], &["ku.extra", "ku.missing"]),
        ("usage of a ca", |p| p.key_usages.push(Ku::KeyCertSign), &["ku.ca-on-leaf"]),
        ("usage of a crl issuer", |p| p.key_usages.push(Ku::CrlSign), &["ku.ca-on-leaf"]),
        ("a ca", |p| p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained), &["bc.ca-leaf"]),
        ("from tomorrow", |p| p.not_before = kit::time(now().plus(60)), &["validity.not-yet-valid", "validity.other-than-asked"]),
        ("expired", |p| p.not_after = kit::time(now()), &["validity.expired", "validity.too-short"]),
        ("too long", |p| p.not_after = kit::time(now().plus(8 * DAY)), &["validity.too-long"]),
        ("too short", |p| p.not_after = kit::time(now().plus(300)), &["validity.too-short"]),
        ("inverted", |p| p.not_after = kit::time(now().plus(-60)), &["validity.inverted"]),
        ("outlives", |p| p.not_after = kit::time(now().plus(400 * DAY)), &["validity.outlives-issuer", "validity.too-long"]),
    ];
    let pki = Pki::new();
    let mut wrong = Vec::new();
    for (what, change, expected) in rows {
        let mut params = kit::leaf();
        change(&mut params);
        let verdict = pki.judge(&pki.leaf_of(&params), from_ref(&pki.middle.der));
        if ids(&verdict.findings) != *expected || !verdict.refused() {
            wrong.push((*what, verdict.findings));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same for what rcgen does not make: elements of the DER are exchanged and signed anew.
#[test]
fn nothing_that_no_certificate_should_hold_passes() {
    type Change = fn(&mut Parts);
    let rows: &[(&str, Change, &[&str])] = &[
        ("serial zero", |p| p.serial = tlv(2, &[0]), &["serial.zero"]),
        ("negative serial", |p| p.serial = tlv(2, &[0xff; 9]), &["serial.negative"]),
        ("long serial", |p| p.serial = tlv(2, &[1; 21]), &["serial.too-long"]),
        ("unique id", |p| p.unique_ids = tlv(0x81, &[0, 1]), &["cert.unique-id"]),
        ("version 2", |p| p.version = tlv(0xa0, &tlv(2, &[1])), &["cert.version"]),
        ("unknown critical", |p| p.extensions.push(extension(UNKNOWN, true, &[5, 0])), &["ext.unknown-critical"]),
        ("duplicate", |p| p.extensions.push(p.extensions[0].clone()), &["ext.duplicate"]),
        ("name constraints", |p| p.extensions.push(extension(NAME_CONSTRAINTS, true, NC_EXAMPLE)), &["nc.leaf"]),
        ("critical aki", |p| make_critical(p, AKI), &["aki.critical"]),
        ("critical ski", |p| p.extensions.push(extension(SKI, true, &tlv(4, &[7; 20]))), &["ski.critical"]),
        ("empty eku", |p| replace(p, EKU, &tlv(0x30, &[])), &["eku.absent"]),
        ("broken san", |p| replace(p, SAN, &[0x30, 0x05, 0x82]), &["ext.malformed", "name.missing", "name.missing", "name.missing"]),
        ("address of 5 octets", |p| add_name(p, &tlv(0x87, &[1, 2, 3, 4, 5])), &["name.extra", "name.malformed"]),
        ("other name", |p| add_name(p, &tlv(0xa0, &[tlv(6, UNKNOWN), tlv(0xa0, &tlv(12, b"x"))].concat())), &["name.extra"]),
        ("directory name", |p| add_name(p, &tlv(0xa4, &p.subject.clone())), &["name.extra"]),
        ("registered id", |p| add_name(p, &tlv(0x88, UNKNOWN)), &["name.extra"]),
        ("nul in a name", |p| add_name(p, &tlv(0x82, b"localhost\0.evil")), &["name.extra", "name.malformed"]),
        ("foreign aki", |p| replace(p, AKI, &tlv(0x30, &tlv(0x80, &[9; 20]))), &["aki.mismatch"]),
        ("sha-1 inside and outside", sha1, &["signature.weak"]),
        ("other algorithm outside", |p| p.outer = tlv(0x30, &tlv(6, ECDSA_SHA384)), &["path.signature", "signature.algorithm-differs"]),
    ];
    let pki = Pki::new();
    let mut wrong = Vec::new();
    for (what, change, expected) in rows {
        let mut parts = Parts::of(&pki.leaf());
        change(&mut parts);
        let verdict = pki.judge(&parts.sign(&pki.middle.key), from_ref(&pki.middle.der));
        if ids(&verdict.findings) != *expected || !verdict.refused() {
            wrong.push((*what, verdict.findings));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// permitted: dNSName funlab.casa.
const NC_EXAMPLE: &[u8] = b"\x30\x11\xa0\x0f\x30\x0d\x82\x0bfunlab.casa";

fn sha1(parts: &mut Parts) {
    parts.algorithm = tlv(0x30, &tlv(6, ECDSA_SHA1));
    parts.outer = parts.algorithm.clone();
}

fn replace(parts: &mut Parts, oid: &[u8], value: &[u8]) {
    parts.remove(oid);
    parts.extensions.push(extension(oid, false, value));
}

fn make_critical(parts: &mut Parts, oid: &[u8]) {
    let value = parts.remove(oid);
    parts.extensions.push(extension(oid, true, &value));
}

fn add_name(parts: &mut Parts, name: &[u8]) {
    let names = parts.remove(SAN);
    parts.extensions.push(extension(SAN, false, &tlv(0x30, &[content(&names), name].concat())));
}

#[test]
fn what_is_accepted_with_a_finding_says_so() {
    type Change = fn(&mut Parts);
    let rows: &[(&str, Change, &str, Severity)] = &[
        ("name twice", |p| add_name(p, &tlv(0x82, b"LOCALHOST")), "name.twice", Severity::Low),
        ("no aki", |p| drop(p.remove(AKI)), "aki.absent", Severity::Medium),
        ("eku critical", |p| make_critical(p, EKU), "eku.critical", Severity::Medium),
        ("san critical", |p| make_critical(p, SAN), "name.san-critical", Severity::Low),
        ("path length", |p| p.extensions.push(extension(BASIC, true, &[0x30, 3, 2, 1, 0])), "bc.path-length-on-leaf", Severity::Low),
        ("short serial", |p| p.serial = tlv(2, &[1, 2, 3]), "serial.low-entropy", Severity::Low),
        ("key usage not critical", |p| replace(p, KEY_USAGE, &tlv(3, &[7, 0x80])), "ku.not-critical", Severity::Low),
        ("ec with encipherment", |p| replace_critical(p, KEY_USAGE, &tlv(3, &[5, 0xa0])), "ku.ec-encipherment", Severity::Medium),
    ];
    let pki = Pki::new();
    for (what, change, id, severity) in rows {
        let mut parts = Parts::of(&pki.leaf());
        change(&mut parts);
        let verdict = pki.judge(&parts.sign(&pki.middle.key), from_ref(&pki.middle.der));
        let found: Vec<(&str, Severity)> = verdict.findings.iter().map(|f| (f.id.as_str(), f.severity)).collect();
        assert_eq!(found, [(*id, *severity)], "{what}");
        assert!(!verdict.refused(), "{what}");
    }
}

fn replace_critical(parts: &mut Parts, oid: &[u8], value: &[u8]) {
    replace(parts, oid, value);
    make_critical(parts, oid);
}

#[test]
fn all_rejections_come_at_once() {
    let pki = Pki::new();
    let mut params = kit::leaf();
    params.extended_key_usages.clear();
    params.subject_alt_names.push(kit::dns("evil.funlab.casa"));
    params.not_after = kit::time(now().plus(30 * DAY));
    let leaf = pki.middle.sign(&params, &kit::key());
    let verdict = pki.judge(&leaf, &[]);
    assert_eq!(ids(&verdict.findings), ["eku.absent", "name.extra", "pair.mismatch", "path.missing-intermediate", "validity.too-long"]);
    assert!(verdict.findings.iter().all(|f| !f.expected.is_empty() && !f.found.is_empty()), "{:?}", verdict.findings);
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let pki = Pki::new();
    let good = pki.leaf();
    for bad in [vec![], b"hello".to_vec(), good[..good.len() - 1].to_vec(), [good.clone(), vec![0]].concat()] {
        let verdict = pki.judge(&bad, from_ref(&pki.middle.der));
        assert_eq!((ids(&verdict.findings), verdict.refused()), (vec!["cert.malformed"], true));
    }
}

#[test]
fn no_byte_of_a_certificate_can_be_changed_unseen() {
    let pki = Pki::new();
    let good = pki.leaf();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x11;
        assert!(pki.judge(&bad, from_ref(&pki.middle.der)).refused(), "byte {at}");
    }
}

#[test]
fn a_profile_cannot_lower_what_must_hold_and_can_lower_the_rest() {
    let lower = |ids: &[&str]| request_with(|p| p.lints = ids.iter().map(|id| ((*id).to_owned(), Severity::Info)).collect());
    let pki = Pki::new();
    let chain = [pki.middle.der.clone()];
    let mut parts = Parts::of(&pki.leaf());
    parts.remove(EKU);
    parts.serial = tlv(2, &[1; 21]);
    let leaf = parts.sign(&pki.middle.key);
    let severities = |request: &Request| -> Vec<(String, Severity)> {
        pki.judge_by(request, &leaf, &chain).findings.into_iter().map(|f| (f.id, f.severity)).collect()
    };
    let both = severities(&lower(&["eku.absent", "serial.too-long"]));
    assert_eq!(both, [("serial.too-long".to_owned(), Severity::Info), ("eku.absent".to_owned(), Severity::High)]);
}

#[test]
fn even_a_profile_that_lowers_everything_needs_a_path() {
    let pki = Pki::new();
    let request = request_with(|p| p.lints = lint::ALL.iter().map(|l| (l.id.to_owned(), Severity::Info)).collect());
    let mut params = kit::leaf();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let verdict = pki.judge_by(&request, &pki.leaf_of(&params), from_ref(&pki.middle.der));
    assert!(verdict.path.is_none() && verdict.refused());
    assert_eq!(ids(&verdict.findings), ["bc.ca-leaf", "path.none"]);
}

#[test]
fn the_kind_of_key_is_the_one_asked_for() {
    let pki = Pki::new();
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let leaf = pki.middle.sign(&kit::leaf(), &p384);
    let facts = Facts::parse(&leaf).unwrap();
    assert_eq!(ids(&fits(&facts, &request())), ["key.other-algorithm"]);
    let only_p256 = request_with(|p| p.keys = vec![KeyAlgorithm::EcP256]);
    assert_eq!(ids(&fits(&facts, &only_p256)), ["key.other-algorithm", "key.outside-profile"]);
    let asked = Request { algorithm: KeyAlgorithm::EcP384, ..request() };
    assert_eq!(fits(&facts, &asked), []);
}

#[test]
fn a_key_that_is_none_is_refused_even_where_it_is_the_one_asked_for() {
    let pki = Pki::new();
    let mut parts = Parts::of(&pki.leaf());
    *parts.spki.last_mut().unwrap() ^= 1;
    let leaf = parts.sign(&pki.middle.key);
    let anchor = pki.root.anchor();
    let verdict = gate(
        &Gate {
            request: &request(),
            anchors: &[&anchor],
            leaf: &leaf,
            candidates: from_ref(&pki.middle.der),
            spki: &parts.spki,
            serves_until: None,
        },
        now(),
    );
    assert_eq!((ids(&verdict.findings), verdict.refused()), (vec!["key.unsound"], true));
}

#[test]
fn an_anchor_that_does_not_parse_leads_nowhere() {
    let pki = Pki::new();
    let anchor = Anchor::new(b"root".to_vec());
    let verdict = gate(
        &Gate {
            request: &request(),
            anchors: &[&anchor],
            leaf: &pki.leaf(),
            candidates: from_ref(&pki.middle.der),
            spki: &pki.spki(),
            serves_until: None,
        },
        now(),
    );
    assert_eq!((ids(&verdict.findings), verdict.refused()), (vec!["anchor.malformed"], true));
}

#[test]
fn fits_asks_for_names_usages_and_key_and_nothing_else() {
    let pki = Pki::new();
    let mut params = kit::leaf();
    params.not_after = kit::time(now().plus(-DAY));
    params.not_before = kit::time(now().plus(-2 * DAY));
    let facts = Facts::parse(&kit::Authority::root("Elsewhere").sign(&params, &pki.key)).unwrap();
    assert_eq!(fits(&facts, &request()), []);
    let other = Request { common_name: "api.funlab.casa".to_owned(), ..request() };
    assert_eq!(ids(&fits(&facts, &other)), ["name.cn-other", "name.extra", "name.missing"]);
}
