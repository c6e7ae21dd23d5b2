//! x509-limbo and BetterTLS through the judge: verdict `path` on every case, verdict `profile` on the authored ones.
//!
//! A wrong accept is a fault. Every wrong reject stands in `fixtures/limbo-rejects.toml` with its reason, and a line that no longer rejects
//! fails the test. Without the data the test says so and proves nothing.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test reads its data, says what it did, and stops where that is broken"
)]

#[path = "vectors/limbo.rs"]
mod cases;
#[path = "vectors/skipped.rs"]
mod skipped;

use std::collections::{BTreeMap, BTreeSet};

use cases::{Case, MISSING};
use omens::judge::assess::{Assessment, Question, Requirements, assess};
use omens::model::audit::Verdict;
use skipped::skipped;

/// Reasons by verdict and id.
type Rejects = BTreeMap<String, BTreeMap<String, String>>;

fn rejects() -> Rejects {
    toml::from_str(include_str!("../fixtures/limbo-rejects.toml")).expect("the list of wrong rejects")
}

fn judged(case: &Case, asked: &Requirements) -> Assessment {
    let (leaf, candidates, anchors, crls) = (case.leaf(), case.intermediates(), case.anchors(), case.lists());
    assess(&Question { leaf: &leaf, candidates: &candidates, anchors: &anchors, crls: &crls, spki: None, asked, at: case.time() })
}

#[derive(Default)]
struct Score {
    passed: usize,
    wrong_accepts: usize,
    wrong_rejects: usize,
}

/// Runs the cases and holds what deviates against the list.
fn score(verdict: &str, cases: &[&Case], ask: impl Fn(&Case) -> Requirements) {
    let mut listed = rejects().remove(verdict).unwrap_or_default();
    listed.extend(rejects().remove("both").unwrap_or_default());
    let (mut topics, mut faults, mut rejected) = (BTreeMap::<&str, Score>::new(), Vec::new(), BTreeSet::new());
    for case in cases {
        let answer = judged(case, &ask(case));
        let blocking: Vec<String> = answer.findings.iter().filter(|f| f.blocks()).map(|f| format!("{} ({})", f.id, f.found)).collect();
        let accepted = answer.verdict == Verdict::Accept;
        assert!(accepted == blocking.is_empty(), "{}: {:?} with {blocking:?}", case.id, answer.verdict);
        let score = topics.entry(case.id.rsplit_once("::").map_or(case.id.as_str(), |(topic, _)| topic)).or_default();
        match (accepted, case.must_pass()) {
            (true, false) => {
                score.wrong_accepts += 1;
                faults.push(format!("wrong accept: {}: {}", case.id, case.description.trim()));
            }
            (false, true) => {
                score.wrong_rejects += 1;
                rejected.insert(case.id.clone());
                if !listed.contains_key(&case.id) {
                    faults.push(format!("wrong reject, not listed: {}: {blocking:?}", case.id));
                }
            }
            _ => score.passed += 1,
        }
    }
    for (topic, score) in &topics {
        println!("{verdict}: {topic}: {}/{}/{} passed/wrong accepts/wrong rejects", score.passed, score.wrong_accepts, score.wrong_rejects);
    }
    faults.extend(listed.keys().filter(|id| !rejected.contains(*id)).map(|id| format!("stale: {id} is listed and not rejected")));
    assert!(faults.is_empty(), "{verdict}:\n{}", faults.join("\n"));
}

#[test]
fn cases_of_others_get_the_verdict_they_ask_for() {
    let Some(all) = Case::all() else {
        return skipped(&format!("x509-limbo and BetterTLS: {MISSING}"));
    };
    let all: Vec<&Case> = all.iter().collect();
    let authored: Vec<&Case> = all.iter().copied().filter(|case| !case.id.starts_with("bettertls::")).collect();
    assert!(authored.len() > 100 && all.len() > 1_000, "{} cases", all.len());
    score("path", &all, |case| Requirements { path_only: true, ..case.asked() });
    score("profile", &authored, |case| Requirements { strict: true, ..case.asked() });
}

/// A case may be refused for the wrong reason: the finding has to name the defect of the description.
#[test]
fn refusals_name_the_defect_of_the_case() {
    let Some(all) = Case::all() else {
        return skipped(&format!("x509-limbo, refusals by name: {MISSING}"));
    };
    let rows = [
        ("crl::revoked-certificate-with-crl", "crl.revoked"),
        ("crl::crlnumber-missing", "crl.number-missing"),
        ("crl::crlnumber-critical", "crl.number-critical"),
        ("crl::issuer-missing-crlsign", "crl.issuer-no-crl-sign"),
        ("rfc5280::aki::intermediate-missing-aki", "aki.absent"),
        ("rfc5280::ski::intermediate-missing-ski", "ca.no-ski"),
        ("rfc5280::serial::too-long", "serial.too-long"),
        ("rfc5280::serial::zero", "serial.zero"),
        ("rfc5280::eku::ee-eku-empty", "eku.empty"),
        ("rfc5280::nc::not-allowed-in-ee-critical", "nc.leaf"),
        ("rfc5280::san::underscore-dns", "name.malformed"),
        ("rfc5280::san::noncritical-with-empty-subject", "name.san-not-critical"),
        ("rfc5280::validity::expired-leaf", "validity.expired"),
        ("rfc5280::validity::expired-intermediate", "path.ca-not-valid-now"),
        ("rfc5280::unknown-critical-extension-root", "ext.unknown-critical"),
        ("rfc5280::duplicate-extensions", "ext.duplicate"),
        ("rfc5280::intermediate-ca-without-ca-bit", "path.not-a-ca"),
        ("rfc5280::chain-untrusted-root", "path.other-root"),
        ("pathlen::intermediate-pathlen-too-long", "path.too-long"),
        ("webpki::aki::root-with-aki-ski-mismatch", "anchor.aki"),
        ("webpki::cn::case-mismatch", "name.cn-spelling"),
        ("webpki::eku::ee-anyeku", "eku.any"),
        ("webpki::eku::ee-without-eku", "eku.absent"),
        ("webpki::eku::root-has-eku", "anchor.eku"),
        ("webpki::san::mismatch-domain-san", "name.missing"),
        ("webpki::forbidden-weak-rsa-in-leaf", "key.weak"),
        ("webpki::forbidden-dsa-leaf", "key.weak"),
        ("webpki::malformed-aia", "ext.malformed"),
        ("webpki::ca-as-leaf", "bc.ca-leaf"),
    ];
    for (id, lint) in rows {
        let case = all.iter().find(|case| case.id == id).expect("a case of this id");
        for asked in [Requirements { path_only: true, ..case.asked() }, Requirements { strict: true, ..case.asked() }] {
            let found: Vec<String> = judged(case, &asked).findings.into_iter().filter(|f| f.blocks()).map(|f| f.id).collect();
            assert!(found.iter().any(|id| id == lint), "{id}: {found:?}");
        }
    }
}
