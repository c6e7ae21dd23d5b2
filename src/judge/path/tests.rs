//! Paths that are found, and what is said where there is none.

use std::slice::from_ref;

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose as Ku, NameConstraints};

use super::super::gate::Verdict;
use super::super::kit::{self, *};
use crate::model::profile::Purpose;
use crate::model::request::Request;

fn path_is(verdict: &Verdict, expected: &[&[u8]]) {
    let path = verdict.path.as_ref().unwrap_or_else(|| panic!("{:?}", verdict.findings));
    assert_eq!(path.iter().map(Vec::as_slice).collect::<Vec<_>>(), expected);
}

/// root → upper → lower → leaf.
struct Deep {
    pki: Pki,
    lower: Authority,
    leaf: Vec<u8>,
}

fn deep() -> Deep {
    let pki = Pki::new();
    let lower = pki.middle.below("Page of Omens");
    let leaf = lower.sign(&kit::leaf(), &pki.key);
    Deep { pki, lower, leaf }
}

#[test]
fn intermediates_come_out_in_order_whatever_order_they_came_in() {
    let Deep { pki, lower, leaf } = deep();
    let stranger = Authority::root("Somebody else");
    let (up, low, root) = (&pki.middle.der, &lower.der, &pki.root.der);
    type Row<'a> = (&'a str, Vec<Vec<u8>>, &'a [&'a str]);
    let rows: [Row<'_>; 8] = [
        ("in order", vec![low.clone(), up.clone()], &[]),
        ("reordered", vec![up.clone(), low.clone()], &["chain.order"]),
        ("twice", vec![low.clone(), up.clone(), low.clone()], &["chain.duplicate"]),
        ("with the root", vec![low.clone(), up.clone(), root.clone()], &["chain.root-included"]),
        ("with the leaf", vec![leaf.clone(), low.clone(), up.clone()], &["chain.leaf-included"]),
        ("with a stranger", vec![low.clone(), stranger.der, up.clone()], &["chain.surplus"]),
        ("with junk", vec![b"junk".to_vec(), low.clone(), up.clone()], &["chain.malformed"]),
        ("with a namesake", vec![low.clone(), pki.root.below(INTERMEDIATE).der, up.clone()], &["chain.same-name"]),
    ];
    for (what, candidates, expected) in rows {
        let verdict = pki.judge(&leaf, &candidates);
        assert_eq!(ids(&verdict.findings), expected, "{what}");
        assert!(!verdict.refused(), "{what}");
        path_is(&verdict, &[low, up]);
    }
}

#[test]
fn what_is_missing_is_named() {
    let Deep { pki, lower, leaf } = deep();
    let verdict = pki.judge(&leaf, &[lower.der]);
    assert_eq!(ids(&verdict.findings), ["path.other-root"]);
    let found = &verdict.findings[0].found;
    assert!(found.starts_with("a path to CN=Page of Omens, signed by CN=Book of Omens: another root, or an authority below"), "{found}");
    let verdict = pki.judge(&leaf, &[]);
    assert_eq!((ids(&verdict.findings), verdict.findings[0].found.as_str()), (vec!["path.missing-intermediate"], "no intermediates"));
    assert!(verdict.refused() && verdict.path.is_none());
}

#[test]
fn another_root_of_the_same_name_is_refused_loudly() {
    let (ours, theirs) = (Pki::new(), Pki::new());
    let leaf = theirs.middle.sign(&kit::leaf(), &ours.key);
    let bare = ours.judge(&leaf, from_ref(&theirs.middle.der));
    assert_eq!(ids(&bare.findings), ["anchor.other-key"]);
    let with_root = ours.judge(&leaf, &[theirs.middle.der.clone(), theirs.root.der.clone()]);
    assert_eq!(ids(&with_root.findings), ["anchor.other-key"]);
    // Even beside a path that is good: somebody shows us a false root.
    let beside = ours.judge(&ours.leaf(), &[ours.middle.der.clone(), theirs.root.der.clone()]);
    assert_eq!(ids(&beside.findings), ["anchor.other-key"]);
    assert!(bare.refused() && with_root.refused() && beside.refused());
}

#[test]
fn a_root_of_another_name_is_refused() {
    let pki = Pki::new();
    let other = Authority::root("Plun-Darr");
    let middle = other.below(INTERMEDIATE);
    let leaf = middle.sign(&kit::leaf(), &pki.key);
    let middle = middle.der;
    let verdict = pki.judge(&leaf, &[middle.clone(), other.der]);
    assert_eq!(ids(&verdict.findings), ["path.other-root"]);
    assert_eq!(verdict.findings[0].found, "a path to another root, CN=Plun-Darr");
    // As servers send it: without the root.
    let verdict = pki.judge(&leaf, &[middle]);
    assert_eq!(ids(&verdict.findings), ["path.other-root"]);
}

#[test]
fn a_signature_that_is_not_its_issuers_is_refused() {
    let pki = Pki::new();
    let mut forged = pki.leaf();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let verdict = pki.judge(&forged, from_ref(&pki.middle.der));
    assert_eq!(ids(&verdict.findings), ["path.signature"]);
    let imposter = pki.root.below(INTERMEDIATE);
    let verdict = pki.judge(&imposter.sign(&kit::leaf(), &pki.key), from_ref(&pki.middle.der));
    assert_eq!(ids(&verdict.findings), ["path.signature"]);
}

#[test]
fn a_cross_signed_intermediate_is_no_obstacle() {
    let pki = Pki::new();
    let other = Authority::root("Plun-Darr");
    let cross = pki.middle.params.signed_by(&pki.middle.key, &other.issuer()).unwrap().der().to_vec();
    for candidates in [vec![cross.clone(), pki.middle.der.clone()], vec![pki.middle.der.clone(), cross.clone()]] {
        let verdict = pki.judge(&pki.leaf(), &candidates);
        assert_eq!(ids(&verdict.findings), ["chain.same-name"]);
        path_is(&verdict, &[&pki.middle.der]);
    }
    assert!(pki.judge(&pki.leaf(), &[cross, other.der]).refused());
}

/// An expired and an unfit certificate of the same key stand before the good one.
#[test]
fn a_better_path_is_looked_for_behind_a_bad_one() {
    let pki = Pki::new();
    let signed = |change: fn(&mut rcgen::CertificateParams)| {
        let mut params = kit::ca(INTERMEDIATE);
        change(&mut params);
        params.signed_by(&pki.middle.key, &pki.root.issuer()).unwrap().der().to_vec()
    };
    let expired = signed(|p| p.not_after = kit::time(now().plus(-DAY)));
    let unfit = signed(|p| p.key_usages = vec![Ku::CrlSign]);
    let verdict = pki.judge(&pki.leaf(), &[expired.clone(), unfit.clone(), pki.middle.der.clone()]);
    path_is(&verdict, &[&pki.middle.der]);
    assert_eq!(ids(&verdict.findings), ["chain.same-name", "chain.same-name"]);
    let alone = |der: Vec<u8>| pki.judge(&pki.leaf(), &[der]);
    assert_eq!(ids(&alone(unfit).findings), ["ca.no-cert-sign"]);
    assert_eq!(ids(&alone(expired).findings), ["path.ca-not-valid-now", "validity.outlives-issuer"]);
}

#[test]
fn limits_of_an_authority_hold() {
    type Change = fn(&mut rcgen::CertificateParams);
    let within = |name: &str| NameConstraints { permitted_subtrees: vec![GeneralSubtree::DnsName(name.into())], excluded_subtrees: vec![] };
    let rows: [(&str, Change, &[&str]); 4] = [
        ("path length", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), &["path.too-long"]),
        ("no authority", |p| p.is_ca = IsCa::ExplicitNoCa, &["path.not-a-ca"]),
        ("clients only", |p| p.extended_key_usages = vec![Eku::ClientAuth], &["path.ca-eku"]),
        ("from tomorrow", |p| p.not_before = kit::time(now().plus(DAY)), &["path.ca-not-valid-now"]),
    ];
    for (what, change, expected) in rows {
        let pki = Pki::new();
        let mut params = kit::ca(INTERMEDIATE);
        change(&mut params);
        let upper = pki.root.below_as(params, kit::key());
        let lower = upper.below("Page of Omens");
        let verdict = pki.judge(&lower.sign(&kit::leaf(), &pki.key), &[lower.der, upper.der]);
        assert_eq!(ids(&verdict.findings), expected, "{what}: {:?}", verdict.findings);
        assert!(verdict.refused(), "{what}");
    }
    let pki = Pki::new();
    let mut params = kit::ca(INTERMEDIATE);
    params.name_constraints = Some(within("example.org"));
    let upper = pki.root.below_as(params, kit::key());
    let verdict = pki.judge(&upper.sign(&kit::leaf(), &pki.key), &[upper.der]);
    assert_eq!(ids(&verdict.findings), ["path.name-constraints"]);
}

/// [webpki](crate::judge#webpki): webpki alone takes a leaf without EKU for every purpose.
#[test]
fn extended_key_usage_is_judged_for_every_purpose() {
    let both: &[Eku] = &[Eku::ServerAuth, Eku::ClientAuth];
    type Row<'a> = (&'a str, &'a [Eku], [&'a [&'a str]; 3]);
    let rows: [Row<'_>; 5] = [
        ("both", both, [&["eku.extra"], &["eku.extra"], &[]]),
        ("none", &[], [&["eku.absent"], &["eku.absent"], &["eku.absent"]]),
        ("server", &[Eku::ServerAuth], [&[], &["eku.extra", "eku.missing"], &["eku.missing"]]),
        ("client", &[Eku::ClientAuth], [&["eku.extra", "eku.missing"], &[], &["eku.missing"]]),
        ("code", &[Eku::CodeSigning], [&["eku.extra", "eku.missing"], &["eku.extra", "eku.missing"], &["eku.extra", "eku.missing"]]),
    ];
    let pki = Pki::new();
    for (what, eku, expected) in rows {
        let mut params = kit::leaf();
        params.extended_key_usages = eku.to_vec();
        let leaf = pki.leaf_of(&params);
        for (purpose, expected) in [Purpose::Server, Purpose::Client, Purpose::Both].into_iter().zip(expected) {
            let verdict = pki.judge_by(&for_purpose(purpose), &leaf, from_ref(&pki.middle.der));
            assert_eq!(ids(&verdict.findings), expected, "{what} for {purpose:?}");
            assert_eq!(verdict.refused(), !expected.is_empty(), "{what} for {purpose:?}");
        }
    }
}

fn for_purpose(purpose: Purpose) -> Request {
    request_with(|profile| {
        profile.purpose = purpose;
        profile.eku.required.clear();
    })
}

/// Two certificates of one intermediate, one per purpose: no single chain serves both.
#[test]
fn one_path_must_serve_both_purposes() {
    let pki = Pki::new();
    let with_eku = |eku: &[Eku]| {
        let mut params = kit::ca(INTERMEDIATE);
        params.extended_key_usages = eku.to_vec();
        params.signed_by(&pki.middle.key, &pki.root.issuer()).unwrap().der().to_vec()
    };
    let (server, client) = (with_eku(&[Eku::ServerAuth]), with_eku(&[Eku::ClientAuth]));
    let mut params = kit::leaf();
    params.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
    let leaf = pki.leaf_of(&params);
    let request = for_purpose(Purpose::Both);
    assert_eq!(ids(&pki.judge_by(&request, &leaf, &[server.clone(), client.clone()]).findings), ["path.ca-eku"]);
    let verdict = pki.judge_by(&request, &leaf, &[server, client, pki.middle.der.clone()]);
    path_is(&verdict, &[&pki.middle.der]);
}

#[test]
fn rsa_signs_as_well() {
    let rsa = || KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let (params, key) = (kit::ca(ROOT), rsa());
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let root = Authority { params, key, der };
    let middle = root.below_as(kit::ca(INTERMEDIATE), rsa());
    let pki = Pki { root, middle, key: kit::key() };
    let verdict = pki.judge(&pki.leaf(), from_ref(&pki.middle.der));
    assert_eq!((verdict.refused(), verdict.findings), (false, vec![]));
}

#[test]
fn a_flood_of_certificates_is_refused_and_does_not_cost_time() {
    let pki = Pki::new();
    let flood = vec![pki.middle.der.clone(); 33];
    assert_eq!(ids(&pki.judge(&pki.leaf(), &flood).findings), ["chain.too-many"]);
}
