//! What webpki leaves out about authorities and anchor ([webpki](crate::judge#webpki)), and what else lies in a chain. It must never look
//! for a path.

use super::cert::{AuthorityKey, Facts, NameConstraints};
use super::form;
use super::lint::{self, Findings, audit};
use super::oid;
use super::parsed::Parsed;
use crate::model::anchor::{Fingerprint, hex};
use crate::model::clock::Time;

/// Judges a path: every authority, every edge, the anchor, and dates from the leaf upwards. `authorities` are the intermediates, leaf side first.
pub fn check(findings: &mut Findings<'_>, leaf: &Facts, authorities: &[&Facts], anchor: &Facts, now: Time) {
    // A certificate that is trusted itself is the whole path: none of the rules for authorities and edges holds for it.
    if anchor.sha256 == leaf.sha256 {
        return;
    }
    if authorities.is_empty() {
        findings.add(&lint::NO_INTERMEDIATE, "an intermediate between leaf and root", format!("signed by {}", leaf.issuer));
    }
    for facts in authorities {
        let of = format!(" of {}", facts.subject);
        form::check(findings, facts, &of);
        authority(findings, facts, &of);
        if !facts.valid_at(now) {
            findings.add(&lint::PATH_CA_EXPIRED, format!("valid at {now}"), format!("{} to {}{of}", facts.not_before, facts.not_after));
        }
        if !facts.extensions.basic.is_some_and(|basic| basic.ca) {
            findings.add(&lint::PATH_NOT_CA, "CA:TRUE", format!("not so{of}"));
        }
    }
    let upwards: Vec<&Facts> = [leaf].into_iter().chain(authorities.iter().copied()).chain([anchor]).collect();
    for (child, issuer) in upwards.iter().zip(upwards.iter().skip(1)) {
        key_ids(findings, child, issuer);
        if child.sha256 != leaf.sha256 && child.not_after > issuer.not_after {
            let found = format!("{}, {} until {}", child.subject, child.not_after, issuer.not_after);
            findings.add(&lint::CA_OUTLIVES, format!("an end before that of {}", issuer.subject), found);
        }
    }
    if let Some(first) = upwards.iter().skip(1).filter(|facts| leaf.not_after > facts.not_after).min_by_key(|facts| facts.not_after) {
        let expected = format!("an end no later than {}, when {} ends", first.not_after, first.subject);
        findings.add(&lint::OUTLIVES_ISSUER, expected, leaf.not_after.to_string());
    }
    root(findings, anchor, authorities, now);
}

/// The shape of a certificate authority.
fn authority(findings: &mut Findings<'_>, facts: &Facts, of: &str) {
    let extensions = &facts.extensions;
    if extensions.basic.is_some_and(|basic| !basic.critical) {
        findings.add(&lint::CA_BC_NOT_CRITICAL, "critical", format!("not critical{of}"));
    }
    match &extensions.key_usage {
        None => findings.add(&lint::CA_NO_KEY_USAGE, "keyCertSign", format!("no keyUsage{of}")),
        Some(usage) if !usage.values.iter().any(|value| value == "keyCertSign") => {
            findings.add(&lint::CA_NO_CERT_SIGN, "keyCertSign", format!("{}{of}", usage.values.join(", ")));
        }
        Some(_) => {}
    }
    if extensions.subject_key.is_none() {
        findings.add(&lint::CA_NO_SKI, "a subject key identifier", format!("none{of}"));
    }
    if facts.subject.is_empty() {
        findings.add(&lint::CA_EMPTY_SUBJECT, "a name", "an empty subject");
    }
    if facts.key.weak {
        findings.add(
            &lint::CA_WEAK_KEY,
            "P-256, P-384, P-521, Ed25519, ML-DSA or RSA of 2048 bits and more",
            format!("{}{of}", facts.key.text),
        );
    }
    if let Some(constraints) = extensions.name_constraints {
        name_constraints(findings, constraints, of);
    }
    for oid in &extensions.lax {
        findings.add(&audit::CA_NOT_CRITICAL, "critical", format!("{oid} is not critical{of}"));
    }
}

fn name_constraints(findings: &mut Findings<'_>, constraints: NameConstraints, of: &str) {
    if constraints.empty {
        findings.add(&audit::CA_NC_EMPTY, "permitted or excluded names", format!("none{of}"));
    }
    if !constraints.critical {
        findings.add(&lint::CA_NC_SHAPE, "critical", format!("not critical{of}"));
    }
    if constraints.leading_dot {
        findings.add(&audit::CA_NC_DOT, "a domain without a leading dot", format!("one with it{of}"));
    }
}

/// Authority key identifier of the child against the issuer it was signed by.
fn key_ids(findings: &mut Findings<'_>, child: &Facts, issuer: &Facts) {
    let named = child.extensions.authority_key.as_ref();
    let Some(id) = named.and_then(|key| key.key_id.as_deref()) else {
        findings.add(&lint::AKI_ABSENT, "an authority key identifier", format!("none in {}", child.subject));
        return;
    };
    if let Some(own) = issuer.extensions.subject_key.as_ref().filter(|key| key.key_id != id) {
        findings.add(
            &lint::AKI_MISMATCH,
            format!("{} of {}", hex(&own.key_id), issuer.subject),
            format!("{} in {}", hex(id), child.subject),
        );
    }
    if let Some(serial) = named.and_then(|key| key.serial_octets.as_ref()).filter(|serial| **serial != issuer.serial_octets) {
        let expected = format!("serial number {} of {}", issuer.serial, issuer.subject);
        findings.add(&lint::AKI_MISMATCH, expected, format!("{} in {}", hex(serial), child.subject));
    }
}

/// The anchor's own certificate, of which webpki reads name, key and name constraints only.
fn root(findings: &mut Findings<'_>, anchor: &Facts, authorities: &[&Facts], now: Time) {
    let of = format!(" of the root {}", anchor.subject);
    // Version 1 has no extensions that could say what it may do (RFC 5280 §6.1.1 (d) asks for name and key alone).
    let old = anchor.version == 1 && anchor.self_issued();
    if old {
        findings.add(&lint::ANCHOR_VERSION, "a root of X.509 version 3", format!("version 1{of}"));
    } else {
        form::extensions(findings, anchor, &of);
        authority(findings, anchor, &of);
    }
    if !anchor.valid_at(now) {
        findings.add(&lint::ANCHOR_EXPIRED, format!("valid at {now}"), format!("{} to {}", anchor.not_before, anchor.not_after));
    }
    match anchor.extensions.basic {
        Some(basic) if basic.ca => {
            // Self-issued ones count too, as in webpki: key rollover by them is not followed (judge/facts.md, "webpki").
            let count = authorities.len();
            if let Some(most) = basic.path_length.filter(|most| usize::try_from(*most).is_ok_and(|most| count > most)) {
                findings.add(&lint::PATH_LENGTH, format!("at most {most} intermediates below the root"), count.to_string());
            }
        }
        _ if old => {}
        _ => findings.add(&lint::ANCHOR_NOT_CA, "CA:TRUE", format!("not so{of}")),
    }
    match &anchor.extensions.authority_key {
        Some(named) if anchor.self_issued() => own_key_id(findings, anchor, named, &of),
        // RFC 5280 §4.2.1.1: only a self-signed certificate may leave it out.
        None if !anchor.self_issued() => findings.add(&lint::AKI_ABSENT, "an authority key identifier", format!("none{of}")),
        _ => {}
    }
    if let Some(eku) = &anchor.extensions.eku {
        let found: Vec<&str> = eku.values.iter().map(|oid| oid::eku_name(oid)).collect();
        findings.add(&lint::ANCHOR_EKU, "none", format!("{}{of}", found.join(", ")));
    }
}

/// What a self-issued anchor says about the key that signed it.
fn own_key_id(findings: &mut Findings<'_>, anchor: &Facts, named: &AuthorityKey, of: &str) {
    let own = anchor.extensions.subject_key.as_ref().map(|key| &key.key_id);
    if let (Some(own), Some(named)) = (own, named.key_id.as_ref().filter(|named| Some(*named) != own)) {
        findings.add(&lint::ANCHOR_AKI, hex(own), hex(named));
    }
    if named.serial_octets.is_some() || named.names_issuer {
        findings.add(&lint::ANCHOR_AKI, "a key id alone", format!("issuer and serial number{of}"));
    } else if named.key_id.is_none() {
        findings.add(&lint::ANCHOR_AKI, "a key id", format!("none{of}"));
    }
}

/// Sorts candidates: the ones a path may use, and findings about the rest.
#[must_use]
pub fn usable<'a>(findings: &mut Findings<'_>, candidates: &'a [Vec<u8>], leaf: &[u8], anchors: &[Parsed<'_>]) -> Vec<Parsed<'a>> {
    let mut list: Vec<Parsed<'a>> = Vec::new();
    for der in candidates {
        let parsed = match Parsed::new(der) {
            Ok(parsed) => parsed,
            Err(fault) => {
                findings.add_about(&Fingerprint::of(der), &lint::CHAIN_MALFORMED, "a certificate", fault.to_string());
                continue;
            }
        };
        let words = format!("{} (sha256 {})", parsed.facts.subject, parsed.facts.sha256);
        let of_name: Vec<&Parsed<'_>> = anchors.iter().filter(|anchor| parsed.facts.subject.der == anchor.facts.subject.der).collect();
        if anchors.iter().any(|anchor| **der == *anchor.der) {
            findings.add(&lint::CHAIN_ROOT, "intermediates only", words);
        } else if der == leaf {
            findings.add(&lint::CHAIN_LEAF, "intermediates only", words);
        } else if list.iter().any(|known| *known.der == **der) {
            findings.add(&lint::CHAIN_DUPLICATE, "each certificate once", words);
        } else if let Some(twin) = of_name.iter().find(|anchor| parsed.facts.spki == anchor.facts.spki) {
            findings.add(&lint::ANCHOR_OTHER_CERT, format!("the pinned root (sha256 {})", twin.facts.sha256), words);
        } else if let Some(other) = of_name.first() {
            findings.add(&lint::ANCHOR_OTHER_KEY, format!("the pinned root (sha256 {})", other.facts.sha256), words);
        } else {
            list.push(parsed);
        }
    }
    list
}

/// Findings about usable candidates that are not on the path, or on it in another order.
pub fn surplus(findings: &mut Findings<'_>, usable: &[&Parsed<'_>], path: &[&Parsed<'_>]) {
    let place = |parsed: &Parsed<'_>| path.iter().position(|on| on.der == parsed.der);
    for parsed in usable.iter().copied().filter(|parsed| place(parsed).is_none()) {
        let words = format!("{} (sha256 {})", parsed.facts.subject, parsed.facts.sha256);
        let twin = path.iter().any(|on| on.facts.subject.der == parsed.facts.subject.der);
        findings.add(if twin { &lint::CHAIN_SAME_NAME } else { &lint::CHAIN_SURPLUS }, "the certificates of the path only", words);
    }
    let places: Vec<usize> = usable.iter().copied().filter_map(place).collect();
    if !places.is_sorted() {
        findings.add(&lint::CHAIN_ORDER, "each certificate followed by its issuer", "another order");
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use rcgen::{BasicConstraints, IsCa};

    use super::super::cert::Facts;
    use super::super::kit::{self, *};
    use super::super::lint::Findings;
    use crate::model::finding::Finding;

    /// The findings when root or intermediate are taken apart, changed and signed anew with the same key.
    fn with_root(change: impl FnOnce(&mut Parts)) -> Vec<Finding> {
        let mut pki = Pki::new();
        let mut parts = Parts::of(&pki.root.der);
        change(&mut parts);
        pki.root.der = parts.sign(&pki.root.key);
        pki.judge(&pki.leaf(), from_ref(&pki.middle.der)).findings
    }

    fn with_middle(change: impl FnOnce(&mut Parts)) -> Vec<Finding> {
        let pki = Pki::new();
        let mut parts = Parts::of(&pki.middle.der);
        change(&mut parts);
        pki.judge(&pki.leaf(), &[parts.sign(&pki.root.key)]).findings
    }

    fn put(parts: &mut Parts, oid: &[u8], critical: bool, value: &[u8]) {
        parts.remove(oid);
        parts.extensions.push(extension(oid, critical, value));
    }

    fn not_critical(parts: &mut Parts, oid: &[u8]) {
        let value = parts.remove(oid);
        parts.extensions.push(extension(oid, false, &value));
    }

    const DIGITAL_SIGNATURE: &[u8] = &[3, 2, 7, 0x80];
    const NOT_A_CA: &[u8] = &[0x30, 0];

    fn dates(from: &str, to: &str) -> Vec<u8> {
        tlv(0x30, &[tlv(0x17, from.as_bytes()), tlv(0x17, to.as_bytes())].concat())
    }

    /// [webpki](crate::judge#webpki): webpki reads nothing of the anchor but name, key and name constraints.
    #[test]
    fn the_anchor_is_judged_too() {
        type Change = fn(&mut Parts);
        let rows: [(&str, Change, &[&str]); 15] = [
            (
                "expired",
                |p| p.validity = dates("200101000000Z", "260101000000Z"),
                &["anchor.not-valid-now", "ca.outlives-issuer", "validity.outlives-issuer"],
            ),
            ("from tomorrow", |p| p.validity = dates("260111000000Z", "300101000000Z"), &["anchor.not-valid-now"]),
            ("no basicConstraints", |p| drop(p.remove(BASIC)), &["anchor.not-a-ca"]),
            ("CA:FALSE", |p| put(p, BASIC, true, NOT_A_CA), &["anchor.not-a-ca"]),
            ("basicConstraints not critical", |p| not_critical(p, BASIC), &["ca.bc-not-critical"]),
            ("no keyCertSign", |p| put(p, KEY_USAGE, true, DIGITAL_SIGNATURE), &["ca.no-cert-sign"]),
            ("no keyUsage", |p| drop(p.remove(KEY_USAGE)), &["ca.no-key-usage"]),
            ("no SKI", |p| drop(p.remove(SKI)), &["ca.no-ski"]),
            ("unknown critical", |p| p.extensions.push(extension(UNKNOWN, true, &[5, 0])), &["ext.unknown-critical"]),
            ("unknown, not critical", |p| p.extensions.push(extension(UNKNOWN, false, &[5, 0])), &[]),
            ("another's AKI", |p| p.extensions.push(extension(AKI, false, &tlv(0x30, &tlv(0x80, &[9; 20])))), &["anchor.aki"]),
            ("AKI by serial", |p| p.extensions.push(extension(AKI, false, &tlv(0x30, &tlv(0x82, &[1])))), &["anchor.aki"]),
            ("EKU", |p| p.extensions.push(extension(EKU, false, &tlv(0x30, &tlv(6, UNKNOWN)))), &["anchor.eku"]),
            ("path length 0", |p| put(p, BASIC, true, &[0x30, 6, 1, 1, 0xff, 2, 1, 0]), &["path.too-long"]),
            ("path length 1", |p| put(p, BASIC, true, &[0x30, 6, 1, 1, 0xff, 2, 1, 1]), &[]),
        ];
        for (what, change, expected) in rows {
            // The kit's roots have an AKI of their own only where the row adds one.
            let findings = with_root(|parts| {
                if parts.extensions.iter().any(|e| content(elements(content(e))[0]) == AKI) {
                    parts.remove(AKI);
                }
                change(parts);
            });
            assert_eq!(ids(&findings), expected, "{what}: {findings:?}");
        }
    }

    #[test]
    fn every_authority_of_the_path_is_judged() {
        type Change = fn(&mut Parts);
        let rows: [(&str, Change, &[&str]); 14] = [
            ("no keyCertSign", |p| put(p, KEY_USAGE, true, DIGITAL_SIGNATURE), &["ca.no-cert-sign"]),
            ("no keyUsage", |p| drop(p.remove(KEY_USAGE)), &["ca.no-key-usage"]),
            ("basicConstraints not critical", |p| not_critical(p, BASIC), &["ca.bc-not-critical"]),
            ("no basicConstraints", |p| drop(p.remove(BASIC)), &["path.not-a-ca"]),
            ("no SKI", |p| drop(p.remove(SKI)), &["ca.no-ski"]),
            ("another SKI", |p| put(p, SKI, false, &tlv(4, &[9; 20])), &["aki.mismatch"]),
            ("no AKI", |p| drop(p.remove(AKI)), &["aki.absent"]),
            ("another's AKI", |p| put(p, AKI, false, &tlv(0x30, &tlv(0x80, &[9; 20]))), &["aki.mismatch"]),
            ("AKI without key id", |p| put(p, AKI, false, &tlv(0x30, &[])), &["aki.absent"]),
            ("serial zero", |p| p.serial = tlv(2, &[0]), &["serial.zero"]),
            ("unknown critical", |p| p.extensions.push(extension(UNKNOWN, true, &[5, 0])), &["ext.unknown-critical"]),
            ("duplicate", |p| p.extensions.push(p.extensions[0].clone()), &["ext.duplicate"]),
            ("outlives the root", |p| p.validity = dates("250101000000Z", "480101000000Z"), &["ca.outlives-issuer"]),
            ("ends before the leaf", |p| p.validity = dates("250101000000Z", "260111000000Z"), &["validity.outlives-issuer"]),
        ];
        for (what, change, expected) in rows {
            let findings = with_middle(change);
            assert_eq!(ids(&findings), expected, "{what}: {findings:?}");
        }
    }

    #[test]
    fn name_constraints_of_an_authority_have_their_form() {
        let permitted = tlv(0x30, &tlv(0xa0, &tlv(0x30, &tlv(0x82, b"funlab.casa"))));
        let with_localhost = tlv(0x30, &tlv(0xa1, &tlv(0x30, &tlv(0x82, b"example.org"))));
        let found = |critical: bool, value: &[u8]| -> Vec<String> {
            with_middle(|parts| parts.extensions.push(extension(NAME_CONSTRAINTS, critical, value))).into_iter().map(|f| f.id).collect()
        };
        assert_eq!(found(true, &with_localhost), [""; 0]);
        assert_eq!(found(false, &with_localhost), ["ca.name-constraints-shape"]);
        assert_eq!(found(true, &permitted), ["path.name-constraints"]);
    }

    /// No library signs with these, so the rule is asked without a path.
    #[test]
    fn a_weak_authority_is_refused() {
        let pki = Pki::new();
        let [leaf, anchor] = [pki.leaf(), pki.root.der.clone()].map(|der| Facts::parse(&der).unwrap());
        let none = std::collections::BTreeMap::new();
        for (bits, weak) in [(1024, true), (2047, true), (2048, false)] {
            let mut parts = Parts::of(&pki.middle.der);
            parts.spki = rsa_spki(bits, 65_537);
            let middle = Facts::parse(&parts.sign(&pki.root.key)).unwrap();
            let mut findings = Findings::new(&none);
            super::check(&mut findings, &leaf, &[&middle], &anchor, now());
            assert_eq!(ids(&findings.into_vec()), if weak { vec!["ca.weak-key"] } else { vec![] }, "{bits}");
        }
    }

    #[test]
    fn an_authority_has_a_name() {
        let pki = Pki::new();
        let [mut middle, mut leaf] = [&pki.middle.der, &pki.leaf()].map(|der| Parts::of(der));
        middle.subject = tlv(0x30, &[]);
        leaf.issuer = middle.subject.clone();
        let verdict = pki.judge(&leaf.sign(&pki.middle.key), &[middle.sign(&pki.root.key)]);
        assert_eq!((ids(&verdict.findings), verdict.refused()), (vec!["ca.empty-subject"], true));
    }

    #[test]
    fn a_leaf_of_the_root_itself_is_accepted_and_said() {
        let pki = Pki::new();
        let verdict = pki.judge(&pki.root.sign(&kit::leaf(), &pki.key), &[]);
        assert_eq!((ids(&verdict.findings), verdict.refused(), verdict.path), (vec!["path.no-intermediate"], false, Some(vec![])));
    }

    #[test]
    fn another_certificate_of_the_pinned_key_is_not_the_pin() {
        let pki = Pki::new();
        let mut params = kit::ca(ROOT);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(5));
        let again = params.self_signed(&pki.root.key).unwrap().der().to_vec();
        let verdict = pki.judge(&pki.leaf(), &[pki.middle.der.clone(), again]);
        assert_eq!(ids(&verdict.findings), ["anchor.other-certificate"]);
        assert_eq!(verdict.path, Some(vec![pki.middle.der.clone()]));
    }
}
