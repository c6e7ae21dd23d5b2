//! The gate: all checks over one answer of a CA, and the two smaller questions that are asked with the same engine.
//! It must never stop at the first rejection, and never accept without a path to the pinned anchor.

use std::collections::BTreeMap;

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::cert::Facts;
use super::lint::{self, Findings};
use super::parsed::Parsed;
use super::path::{Anchors, Search, Way};
use super::{chain, form, lifetime, name, pair, path, usage};
use crate::model::anchor::Anchor;
use crate::model::clock::Time;
use crate::model::finding::{Finding, Severity};
use crate::model::profile::Purpose;
use crate::model::request::Request;
use crate::model::text;

/// More certificates than this are not looked at: no chain of ours comes near, and each costs work.
const MAX_CANDIDATES: usize = 32;

/// What is to be judged, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// What was asked for.
    pub request: &'a Request,
    /// The pinned root.
    pub anchor: &'a Anchor,
    /// DER of the certificate that was answered.
    pub leaf: &'a [u8],
    /// DER of whatever came with it, in any order, junk included.
    pub candidates: &'a [Vec<u8>],
    /// DER of our own public key.
    pub spki: &'a [u8],
    /// The end of the certificate that this one would take the place of, where that is good.
    pub serves_until: Option<Time>,
}

/// What the gate says.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What the leaf says, where it parses.
    pub facts: Option<Facts>,
    /// DER of the intermediates, leaf side first, without the root; `None` where no path leads to the anchor.
    pub path: Option<Vec<Vec<u8>>>,
    /// Everything that was found; the ones of severity `high` block.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether the certificate must not go further.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.facts.is_none() || self.path.is_none() || self.findings.iter().any(Finding::blocks)
    }
}

/// Judges an answer at a time: every check runs, and all that is wrong is said at once.
#[must_use]
pub fn gate(gate: &Gate<'_>, now: Time) -> Verdict {
    let mut findings = Findings::new(&gate.request.profile.lints);
    let leaf = Parsed::new(gate.leaf).map_err(|fault| findings.add(&lint::MALFORMED, "a certificate", fault.to_string())).ok();
    let anchor =
        Parsed::new(&gate.anchor.der).map_err(|fault| findings.add(&lint::ANCHOR_MALFORMED, "a certificate", fault.to_string())).ok();
    if let Some(leaf) = &leaf {
        form::check(&mut findings, &leaf.facts, "");
        form::leaf(&mut findings, &leaf.facts);
        fit(&mut findings, &leaf.facts, gate.request);
        own_key(&mut findings, &leaf.facts, gate.spki);
        lifetime::check(&mut findings, &leaf.facts, gate.request, gate.serves_until, now);
    }
    let path = match (&leaf, &anchor) {
        (Some(leaf), Some(anchor)) => to_anchor(&mut findings, gate, leaf, anchor, now),
        _ => None,
    };
    if path.is_none() && !findings.blocks() {
        findings.add(&lint::PATH_NONE, "a path to the pinned root", "none");
    }
    Verdict { facts: leaf.map(|leaf| leaf.facts), path, findings: findings.into_vec() }
}

fn to_anchor(findings: &mut Findings<'_>, gate: &Gate<'_>, leaf: &Parsed<'_>, anchor: &Parsed<'_>, now: Time) -> Option<Vec<Vec<u8>>> {
    if gate.candidates.len() > MAX_CANDIDATES {
        findings.add(&lint::CHAIN_TOO_MANY, format!("at most {MAX_CANDIDATES}"), gate.candidates.len().to_string());
        return None;
    }
    let usable = chain::usable(findings, gate.candidates, &leaf.der, anchor);
    let (usable, anchors): (Vec<&Parsed<'_>>, _) = (usable.iter().collect(), Anchors::new([anchor.clone()]));
    let search = Search { leaf, candidates: &usable, anchors: &anchors, purpose: Some(gate.request.profile.purpose), now };
    let lints = &gate.request.profile.lints;
    // Where no path is good, the best one says what is wrong with it.
    match search.best(&|way| blocking(&judged(lints, leaf, way, now)).count()) {
        Ok(way) => {
            chain::check(findings, &leaf.facts, &way.facts(), &anchor.facts, now);
            chain::surplus(findings, &usable, &way.authorities);
            Some(way.authorities.iter().map(|parsed| parsed.der.to_vec()).collect())
        }
        Err(error) => {
            search.explain(findings, &error);
            None
        }
    }
}

/// What is to be said of one way.
fn judged(lints: &BTreeMap<String, Severity>, leaf: &Parsed<'_>, way: &Way<'_>, now: Time) -> Vec<Finding> {
    let mut own = Findings::new(lints);
    chain::check(&mut own, &leaf.facts, &way.facts(), &way.anchor.facts, now);
    own.into_vec()
}

/// What needs neither a signature nor a clock: names, usages, kind of key. The planner asks it of every certificate on every run.
#[must_use]
pub fn fits(leaf: &Facts, request: &Request) -> Vec<Finding> {
    let mut findings = Findings::new(&request.profile.lints);
    fit(&mut findings, leaf, request);
    findings.into_vec()
}

fn fit(findings: &mut Findings<'_>, leaf: &Facts, request: &Request) {
    name::check(findings, leaf, request);
    usage::check(findings, leaf, &request.profile);
    if leaf.key.algorithm != Some(request.algorithm) {
        findings.add(&lint::KEY_OTHER, request.algorithm.as_str(), &leaf.key.text);
    }
    if !request.profile.keys.iter().any(|allowed| leaf.key.algorithm == Some(*allowed)) {
        let allowed: Vec<&str> = request.profile.keys.iter().map(|key| key.as_str()).collect();
        findings.add(&lint::KEY_OUTSIDE, allowed.join(", "), &leaf.key.text);
    }
}

fn own_key(findings: &mut Findings<'_>, leaf: &Facts, spki: &[u8]) {
    let print = |spki: &[u8]| format!("public key with sha256 {}", crate::model::anchor::Fingerprint::of(spki));
    if leaf.spki != spki {
        findings.add(&lint::PAIR_MISMATCH, print(spki), print(&leaf.spki));
    }
    if let (Some(_), Err(fault)) = (leaf.key.algorithm, pair::sound(&leaf.spki)) {
        findings.add(&lint::KEY_UNSOUND, "a sound public key", fault.to_string());
    }
}

/// Whether a chain as it came over the wire leads to the anchor and is for this name, a DNS name or an IP address.
///
/// # Errors
/// Why not, in one line that is safe to print.
pub fn served(anchor: &Anchor, chain_as_sent: &[Vec<u8>], server_name: &str, now: Time) -> Result<(), String> {
    let safe = |words: &str| text::one_line(words, text::SERVER_TEXT);
    let (leaf, others) = chain_as_sent.split_first().ok_or("no certificate was sent")?;
    let parsed = Parsed::new(leaf).map_err(|fault| safe(&fault.to_string()))?;
    let root = Parsed::new(&anchor.der).map_err(|fault| safe(&format!("the pinned root: {fault}")))?;
    let severities = BTreeMap::new();
    let mut findings = Findings::new(&severities);
    let others = others.get(..MAX_CANDIDATES.min(others.len())).unwrap_or_default();
    let usable = chain::usable(&mut findings, others, leaf, &root);
    let (usable, anchors): (Vec<&Parsed<'_>>, _) = (usable.iter().collect(), Anchors::new([root.clone()]));
    let search = Search { leaf: &parsed, candidates: &usable, anchors: &anchors, purpose: Some(Purpose::Server), now };
    match search.best(&|way| blocking(&judged(&severities, &parsed, way, now)).count()) {
        Ok(way) => {
            let own = judged(&severities, &parsed, &way, now);
            none_of(blocking(&own).chain(blocking(&findings.into_vec())))?;
        }
        Err(error) => {
            search.explain(&mut findings, &error);
            none_of(blocking(&findings.into_vec()))?;
            return Err(safe(&format!("no path to the pinned root {}: {}", root.facts.subject, path::words(&error))));
        }
    }
    named(leaf, server_name)
}

fn blocking(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.blocks())
}

fn none_of<'f>(findings: impl Iterator<Item = &'f Finding>) -> Result<(), String> {
    let found: Vec<String> = findings.map(|f| format!("{}: expected {}, found {}", f.id, f.expected, f.found)).collect();
    if found.is_empty() { Ok(()) } else { Err(found.join("; ")) }
}

/// Whether a leaf is for this name by its subject alternative names, wildcards included.
///
/// # Errors
/// Why not, in one line that is safe to print.
pub fn named(leaf: &[u8], server_name: &str) -> Result<(), String> {
    let refused = |found: &str| text::one_line(&format!("expected a certificate for {server_name}, found {found}"), text::SERVER_TEXT);
    let wanted = ServerName::try_from(server_name).map_err(|_| refused("that this is neither a DNS name nor an address"))?;
    let der = CertificateDer::from(leaf);
    let certificate = EndEntityCert::try_from(&der).map_err(|error| refused(&path::words(&error)))?;
    certificate.verify_is_valid_for_subject_name(&wanted).map_err(|_| {
        let san = Facts::parse(leaf).ok().and_then(|facts| facts.extensions.san).unwrap_or_default();
        let names: Vec<String> = san.dns.into_iter().chain(san.ip.iter().map(ToString::to_string)).collect();
        refused(&format!("one for {}", if names.is_empty() { "no name".to_owned() } else { names.join(", ") }))
    })
}

#[cfg(test)]
mod tests {
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
                anchor: &anchor,
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
                anchor: &anchor,
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

    #[test]
    fn a_served_chain_must_lead_to_the_anchor_and_be_for_the_name() {
        let pki = Pki::new();
        let anchor = pki.root.anchor();
        let chain = [pki.leaf(), pki.middle.der.clone()];
        for name in ["web.funlab.casa", "localhost", "127.0.0.1", "WEB.funlab.casa"] {
            assert_eq!(served(&anchor, &chain, name, now()), Ok(()), "{name}");
        }
        let other = kit::Authority::root(ROOT);
        let rows: [(&str, Result<(), String>, &str); 7] = [
            (
                "other name",
                served(&anchor, &chain, "api.funlab.casa", now()),
                "expected a certificate for api.funlab.casa, found one for web.funlab.casa, localhost, 127.0.0.1",
            ),
            ("other address", served(&anchor, &chain, "127.0.0.2", now()), "expected a certificate for 127.0.0.2"),
            ("nothing sent", served(&anchor, &[], "localhost", now()), "no certificate was sent"),
            ("no intermediate", served(&anchor, &chain[..1], "localhost", now()), "path.missing-intermediate"),
            ("leaf twice", served(&anchor, &[chain[0].clone(), chain[0].clone()], "localhost", now()), "path.missing-intermediate"),
            ("other root of the name", served(&other.anchor(), &chain, "localhost", now()), "anchor.other-key"),
            ("expired", served(&anchor, &chain, "localhost", now().plus(2 * DAY)), "expired"),
        ];
        for (what, answer, words) in rows {
            let text = answer.expect_err(what);
            assert!(text.to_lowercase().contains(words), "{what}: {text}");
        }
    }
}
