//! Cases of others through the judgement engine: x509-limbo (C2SP) and BetterTLS (Netflix), both Apache-2.0.
//!
//! Two verdicts: the path alone on every case, the gate on the authored ones. A wrong accept is a fault; every deviation stands in a list
//! with its reason, and an entry that no longer deviates fails the test. Without the data the test says so and proves nothing.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reads its data, says what it did, and stops where that is broken"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use omens::judge::cert::Facts;
use omens::judge::lint::{self, Findings};
use omens::judge::path::{Parsed, Search};
use omens::judge::{Gate, gate, named, pem};
use omens::model::anchor::Anchor;
use omens::model::clock::Time;
use omens::model::finding::Severity;
use omens::model::key::KeyAlgorithm;
use omens::model::name::CertName;
use omens::model::profile::{Profile, Purpose, Usage};
use omens::model::request::Request;
use serde::Deserialize;

/// Beside the checkout, as `shared/vectors/README.md` describes it.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors/x509-limbo.json.xz");

/// What webpki accepts or refuses although the case asks for the other verdict; the gate's own checks are not asked here.
const PATH_DEVIATIONS: &[(&str, &str)] = &[
    ("crl::revoked-certificate-with-crl", "CRLs are not looked at yet"),
    ("crl::crlnumber-missing", "CRLs are not looked at yet"),
    ("crl::crlnumber-critical", "CRLs are not looked at yet"),
    ("crl::issuer-missing-crlsign", "CRLs are not looked at yet"),
    ("pathlen::validation-ignores-pathlen-in-leaf", "webpki takes no CA certificate as leaf"),
    ("pathlen::self-issued-certs-pathlen", "webpki does not follow self-issued key rollover"),
    ("rfc5280::ca-as-leaf", "webpki takes no CA certificate as leaf"),
    ("rfc5280::nc::permitted-dn-match", "webpki refuses constraints on directory names"),
    ("rfc5280::nc::nc-permits-email-exact", "webpki refuses constraints on mail addresses"),
    ("rfc5280::nc::nc-permits-email-domain", "webpki refuses constraints on mail addresses"),
    ("rfc5280::nc::nc-permits-email-literal-asterisk-exact-match", "webpki refuses constraints on mail addresses"),
    ("rfc5280::nc::nc-permits-email-literal-mid-asterisk", "webpki refuses constraints on mail addresses"),
    ("rfc5280::aki::leaf-missing-aki", "left to the gate: aki.absent"),
    ("rfc5280::aki::intermediate-missing-aki", "left to the gate: aki.absent"),
    ("rfc5280::nc::permitted-dns-match-noncritical", "left to the gate: ca.name-constraints-shape"),
    ("rfc5280::nc::not-allowed-in-ee-noncritical", "left to the gate: nc.leaf"),
    ("rfc5280::nc::not-allowed-in-ee-critical", "left to the gate: nc.leaf"),
    ("rfc5280::san::noncritical-with-empty-subject", "left to the gate: name.san-not-critical"),
    ("rfc5280::san::underscore-dns", "left to the gate: name.malformed"),
    ("rfc5280::serial::too-long", "left to the gate: serial.too-long"),
    ("rfc5280::serial::zero", "left to the gate: serial.zero"),
    ("rfc5280::ski::intermediate-missing-ski", "left to the gate: ca.no-ski"),
    ("rfc5280::unknown-critical-extension-root", "left to the gate: ext.unknown-critical"),
    ("webpki::aki::root-with-aki-all-fields", "left to the gate: anchor.aki"),
    ("webpki::aki::root-with-aki-ski-mismatch", "left to the gate: anchor.aki"),
    ("webpki::cn::ipv6-uppercase-mismatch", "left to the gate: name.cn-spelling"),
    ("webpki::cn::ipv6-uncompressed-mismatch", "left to the gate: name.cn-spelling"),
    ("webpki::cn::utf8-vs-punycode-mismatch", "left to the gate: name.cn-spelling"),
    ("webpki::cn::case-mismatch", "left to the gate: name.cn-spelling"),
    ("webpki::eku::ee-anyeku", "left to the gate: eku.any"),
    ("webpki::eku::ee-without-eku", "left to the gate: eku.absent"),
    ("webpki::eku::root-has-eku", "left to the gate: anchor.eku"),
    ("webpki::san::san-critical-with-nonempty-subject", "left to the gate: name.san-critical"),
    ("webpki::malformed-aia", "left to the gate: ext.malformed"),
    ("webpki::forbidden-dsa-leaf", "left to the gate: key.other-algorithm"),
    ("webpki::forbidden-weak-rsa-in-leaf", "left to the gate: key.other-algorithm"),
    ("webpki::forbidden-rsa-not-divisible-by-8-in-root", "left to the gate: ca.weak-key"),
    ("webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf", "left to the gate: key.other-algorithm"),
];

/// What the gate says although the case asks for the other verdict.
const GATE_DEVIATIONS: &[(&str, &str)] = &[
    ("crl::revoked-certificate-with-crl", "CRLs are not looked at yet"),
    ("crl::crlnumber-missing", "CRLs are not looked at yet"),
    ("crl::crlnumber-critical", "CRLs are not looked at yet"),
    ("crl::issuer-missing-crlsign", "CRLs are not looked at yet"),
    ("pathlen::validation-ignores-pathlen-in-leaf", "policy: a leaf is no authority"),
    ("rfc5280::ca-as-leaf", "policy: a leaf is no authority"),
    ("pathlen::self-issued-certs-pathlen", "webpki does not follow self-issued key rollover"),
    ("rfc5280::eku::ee-without-eku", "policy: a leaf says what it is for; conflicts with webpki::eku::ee-without-eku"),
    ("rfc5280::nc::permitted-dn-match", "webpki refuses constraints on directory names"),
    ("rfc5280::nc::nc-permits-email-exact", "webpki refuses constraints on mail addresses"),
    ("rfc5280::nc::nc-permits-email-domain", "webpki refuses constraints on mail addresses"),
    ("rfc5280::nc::nc-permits-email-literal-asterisk-exact-match", "webpki refuses constraints on mail addresses"),
    ("rfc5280::nc::nc-permits-email-literal-mid-asterisk", "webpki refuses constraints on mail addresses"),
    (
        "webpki::nc::permitted-dns-match-noncritical",
        "lints of form refuse here; conflicts with rfc5280::nc::permitted-dns-match-noncritical",
    ),
];

#[derive(Deserialize)]
struct Suite {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    expected_peer_name: Option<PeerName>,
    expected_result: String,
}

#[derive(Deserialize)]
struct PeerName {
    value: String,
}

impl Case {
    fn time(&self) -> Time {
        let fixed = self.validation_time.as_deref().unwrap_or("2026-01-01T00:00:00Z");
        Time::parse(fixed).expect("a time of the suite")
    }

    fn purpose(&self) -> Purpose {
        if self.validation_kind == "SERVER" { Purpose::Server } else { Purpose::Client }
    }

    fn leaf(&self) -> Vec<u8> {
        ders(&self.peer_certificate).remove(0)
    }

    fn anchors(&self) -> impl Iterator<Item = Vec<u8>> {
        self.trusted_certs.iter().map(|pem| ders(pem).remove(0))
    }

    fn intermediates(&self) -> Vec<Vec<u8>> {
        self.untrusted_intermediates.iter().flat_map(|pem| ders(pem)).collect()
    }

    fn peer_is_named(&self) -> Result<(), String> {
        self.expected_peer_name.as_ref().map_or(Ok(()), |name| named(&self.leaf(), &name.value))
    }
}

fn ders(pem: &str) -> Vec<Vec<u8>> {
    let none = BTreeMap::new();
    pem::read(pem, &mut Findings::new(&none))
}

fn path_verdict(case: &Case) -> Result<(), String> {
    let (leaf, intermediates) = (case.leaf(), case.intermediates());
    let leaf = Parsed::new(&leaf).map_err(|fault| fault.to_string())?;
    let candidates: Vec<Parsed<'_>> = intermediates.iter().filter_map(|der| Parsed::new(der).ok()).collect();
    let to = |anchor: Vec<u8>| {
        let anchor = Parsed::new(&anchor).map_err(|fault| fault.to_string())?;
        let search = Search { leaf: &leaf, candidates: &candidates, anchor: &anchor, purpose: case.purpose(), now: case.time() };
        search.find(&|_| true).map(drop).map_err(|error| format!("{error:?}"))
    };
    any(case.anchors().map(to))?;
    case.peer_is_named()
}

fn gate_verdict(case: &Case) -> Result<(), String> {
    let (leaf, candidates) = (case.leaf(), case.intermediates());
    let facts = Facts::parse(&leaf).map_err(|fault| fault.to_string())?;
    let request = as_it_is(case, &facts);
    let to = |anchor: Vec<u8>| {
        let anchor = Anchor::new(anchor);
        let verdict =
            gate(&Gate { request: &request, anchor: &anchor, leaf: &leaf, candidates: &candidates, spki: &facts.spki }, case.time());
        // Which names are right is the case's to say, by the name that is expected.
        let names = [lint::NAME_MISSING.id, lint::NAME_EXTRA.id, lint::NAME_CN_ABSENT.id];
        let blocking = verdict.findings.iter().filter(|finding| finding.blocks() && !names.contains(&finding.id.as_str()));
        let why: Vec<String> = blocking.map(|finding| format!("{} ({})", finding.id, finding.found)).collect();
        if why.is_empty() && verdict.path.is_some() { Ok(()) } else { Err(why.join(", ")) }
    };
    any(case.anchors().map(to))?;
    case.peer_is_named()
}

fn any(mut verdicts: impl Iterator<Item = Result<(), String>>) -> Result<(), String> {
    verdicts.try_fold("no anchor".to_owned(), |_, verdict| verdict.map_or_else(Ok, |()| Err(()))).map_or(Ok(()), Err)
}

/// A request for just what the leaf holds, so that form, usage and path are judged; every lint about form refuses.
fn as_it_is(case: &Case, facts: &Facts) -> Request {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let san = facts.extensions.san.clone().unwrap_or_default();
    let usages = words(&["digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement"]);
    let areas = ["aki.", "anchor.", "ca.", "eku.", "ext.", "name.", "nc.", "serial."];
    let spared = [lint::CA_OUTLIVES.id, lint::NAME_SUBJECT.id, lint::CA_NO_KEY_USAGE.id];
    let strict = |lint: &&lint::Lint| !lint.fixed && areas.iter().any(|area| lint.id.starts_with(area)) && !spared.contains(&lint.id);
    let profile = Profile {
        name: "limbo".to_owned(),
        purpose: case.purpose(),
        eku: Usage { required: vec![], allowed: words(&["serverAuth", "clientAuth"]) },
        key_usage: Usage { required: vec![], allowed: usages },
        keys: KeyAlgorithm::ALL.to_vec(),
        lifetime_min: Duration::ZERO,
        lifetime_max: Duration::MAX,
        wildcard: true,
        lints: lint::ALL.iter().filter(strict).map(|lint| (lint.id.to_owned(), Severity::High)).collect(),
    };
    Request {
        name: CertName::parse("limbo").expect("a name"),
        profile: Arc::new(profile),
        role: "limbo".to_owned(),
        ttl: Duration::from_secs(u64::try_from(facts.lifetime()).unwrap_or(0)),
        common_name: facts.subject.common_names.first().cloned().unwrap_or_default(),
        dns: san.dns,
        ip: san.ip,
        algorithm: facts.key.algorithm.unwrap_or(KeyAlgorithm::EcP256),
    }
}

/// Runs the cases and holds the deviations against the list.
fn score(what: &str, cases: &[&Case], verdict: fn(&Case) -> Result<(), String>, listed: &[(&str, &str)]) {
    let known: BTreeSet<&str> = listed.iter().map(|(id, _)| *id).collect();
    let (mut passed, mut deviating, mut wrong) = (0, BTreeSet::new(), Vec::new());
    for case in cases {
        let got = verdict(case);
        if got.is_ok() == (case.expected_result == "SUCCESS") {
            passed += 1;
            continue;
        }
        deviating.insert(case.id.as_str());
        if !known.contains(case.id.as_str()) {
            wrong.push(format!("{}: expected {}, got {got:?}", case.id, case.expected_result));
        }
    }
    println!("{what}: {passed} of {} as expected, {} deviations listed with a reason", cases.len(), deviating.intersection(&known).count());
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
    let stale: Vec<&&str> = known.difference(&deviating).collect();
    assert!(stale.is_empty(), "{what}: listed but as expected: {stale:?}");
}

#[test]
fn cases_of_others_get_the_verdict_they_ask_for() {
    let Ok(packed) = std::fs::read(DATA) else {
        println!("NOT RUN: x509-limbo and BetterTLS, as their data is not at {DATA}");
        return;
    };
    let mut text = Vec::new();
    lzma_rs::xz_decompress(&mut packed.as_slice(), &mut text).expect("xz");
    let suite: Suite = serde_json::from_slice(&text).expect("the suite's schema");
    let all: Vec<&Case> = suite.testcases.iter().collect();
    let authored: Vec<&Case> = all.iter().copied().filter(|case| !case.id.starts_with("bettertls::")).collect();
    assert!(authored.len() > 100 && all.len() > 1_000, "{} cases", all.len());
    score("path", &all, path_verdict, PATH_DEVIATIONS);
    score("gate", &authored, gate_verdict, GATE_DEVIATIONS);
}
