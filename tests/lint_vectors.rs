//! The certificates of zlint's own tests through the judge: where a lint of zlint's and one of ours are the same rule (`fixtures/zlint.toml`), we
//! find what it finds and pass what it passes; and pkilint finds in each of them what we find (`fixtures/pkilint.toml`), whose own test cases no
//! registry carries. Rules for public authorities do not bind a private PKI and are not compared.
//! `./run test` fetches the data and pkilint; without them the test says so and proves nothing.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reads its data, says what it did, and stops where that is broken"
)]

#[path = "vectors/pkilint.rs"]
mod pkilint;
#[path = "vectors/skipped.rs"]
mod skipped;
#[path = "vectors/zlint.rs"]
mod zlint;

use std::collections::{BTreeMap, BTreeSet};

use omens::judge::assess::{Judge, Requirements};
use omens::judge::cert::Facts;
use omens::judge::lint::{self, Findings};
use omens::judge::{chain, pem};
use omens::model::clock::Time;
use omens::model::finding::Finding;
use omens::model::profile::Purpose;
use pkilint::Among;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use skipped::skipped;
use zlint::{Place, Table, data, files, lints};

/// A chain in which nothing is wrong, for every certificate to stand in.
struct Good {
    leaf: Facts,
    middle: Facts,
    root: Facts,
    judge: Judge,
    at: Time,
}

impl Good {
    fn make() -> Self {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.use_authority_key_identifier_extension = true;
            params
        };
        let key = || KeyPair::generate().expect("a key");
        let facts = |der: &[u8]| Facts::parse(der).expect("facts");
        let (root, root_key) = (authority("Eye of Thundera"), key());
        let (middle, middle_key) = (authority("Book of Omens"), key());
        let mut leaf = CertificateParams::new(["web.funlab.casa".to_owned()]).expect("a name");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.use_authority_key_identifier_extension = true;
        let asked = Requirements { purpose: Some(Purpose::Server), ..Requirements::default() };
        Self {
            leaf: facts(leaf.signed_by(&key(), &Issuer::from_params(&middle, &middle_key)).expect("a leaf").der()),
            middle: facts(middle.signed_by(&middle_key, &Issuer::from_params(&root, &root_key)).expect("an intermediate").der()),
            root: facts(root.self_signed(&root_key).expect("a root").der()),
            judge: Judge::new(&asked, &[], &[]),
            at: Time::parse("2026-01-10T12:00:00Z").expect("a time"),
        }
    }

    /// What is found of a certificate in each place of the chain. No signature is looked at: none leads from theirs to this chain.
    fn judge(&self, der: &[u8]) -> BTreeMap<Place, Vec<Finding>> {
        let alone = self.judge.assess(der, &[], None, self.at);
        let mut found = BTreeMap::from([(Place::Leaf, alone.findings)]);
        let Some(facts) = alone.facts else { return found };
        let none = BTreeMap::new();
        let within = |leaf: &Facts, middle: &Facts, root: &Facts| {
            let mut findings = Findings::new(&none);
            chain::check(&mut findings, leaf, &[middle], root, self.at);
            findings.into_vec()
        };
        found.entry(Place::Leaf).or_default().extend(within(&facts, &self.middle, &self.root));
        found.insert(Place::Authority, within(&self.leaf, &facts, &self.root));
        found.insert(Place::Root, within(&self.leaf, &self.middle, &facts));
        found
    }
}

/// Every certificate of theirs with what is found of it.
type Judged = BTreeMap<String, BTreeMap<Place, Vec<Finding>>>;

fn judged() -> Option<Judged> {
    let Some(files) = files() else {
        missing();
        return None;
    };
    let good = Good::make();
    let certificates = files.into_iter().filter_map(|(name, bytes)| Some((name, pem::first(&bytes)?)));
    Some(certificates.map(|(name, der)| (name, good.judge(&der))).collect())
}

fn missing() {
    skipped(&format!("zlint: its test certificates are not at {} (./run test fetches them, which needs Go)", data().display()));
}

/// Whether one of these was found in this place, with these words.
fn says(place: Place, ids: &[String], words: &str, found: &BTreeMap<Place, Vec<Finding>>) -> bool {
    found.get(&place).into_iter().flatten().any(|finding| ids.contains(&finding.id) && finding.found.contains(words))
}

impl Among {
    fn holds(self, found: &BTreeMap<Place, Vec<Finding>>) -> bool {
        let is_authority = says(Place::Leaf, &[lint::CA_LEAF.id.to_owned()], "", found);
        self == Self::All || is_authority == (self == Self::Authorities)
    }

    fn place(self) -> Place {
        if self == Self::Authorities { Place::Authority } else { Place::Leaf }
    }
}

#[test]
fn what_zlint_finds_is_found_and_what_it_passes_is_not() {
    let Some(judged) = judged() else { return };
    let table = Table::read();
    let (mut agreed, mut explained, mut faults) = (0, 0, Vec::new());
    for rule in &table.rule {
        let expected = rule.shows.iter().map(|file| (file, true)).chain(rule.passes.iter().map(|file| (file, false)));
        for (file, theirs) in expected {
            let Some(found) = judged.get(file) else {
                faults.push(format!("{}: no certificate in {file}", rule.lint));
                continue;
            };
            match (says(rule.place, &rule.ours, &rule.found, found) == theirs, rule.differs.contains_key(file)) {
                (true, false) => agreed += 1,
                (false, true) => explained += 1,
                (true, true) => faults.push(format!("{}: {file} differs no more", rule.lint)),
                (false, false) => {
                    let ids: BTreeSet<&str> = found.values().flatten().map(|finding| finding.id.as_str()).collect();
                    let way = if theirs { "is missed" } else { "is a false alarm" };
                    faults.push(format!("{}: {file} {way} by {}; found of it: {ids:?}", rule.lint, rule.ours.join(" or ")));
                }
            }
        }
        for file in rule.differs.keys().filter(|file| !rule.shows.contains(*file) && !rule.passes.contains(*file)) {
            faults.push(format!("{}: {file} is explained and not compared", rule.lint));
        }
    }
    let rules = table.rule.len();
    println!("zlint {}: {} certificates, {rules} rules, {agreed} as expected, {explained} explained", table.made_with, judged.len());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert!(judged.len() > 1_200 && agreed > 200, "only {} certificates, {agreed} as expected", judged.len());
}

/// Both ways, over all that pkilint reads: what it finds and we do not, and what we find and it does not.
#[test]
fn pkilint_and_we_find_the_same() {
    let Some(judged) = judged() else { return };
    let Some(theirs) = pkilint::findings(&data().join("testdata")) else {
        return skipped(&format!("pkilint: it is not at {} (./run test installs it from PyPI)", pkilint::place().display()));
    };
    let table = pkilint::Table::read();
    let (mut agreed, mut explained, mut faults) = (0, 0, Vec::new());
    for rule in &table.rule {
        assert!(rule.ours.iter().all(|id| lint::find(id).is_some()), "no finding is one of {:?}", rule.ours);
        let of_rule = |(code, at): &(String, String)| rule.codes.contains(code) && at.contains(&rule.at);
        for (file, found) in &theirs {
            let Some(ours) = judged.get(file).filter(|ours| rule.among.holds(ours)) else { continue };
            let (we, they) = (says(rule.among.place(), &rule.ours, &rule.found, ours), found.iter().any(of_rule));
            match (we == they, rule.differs.get(file)) {
                (true, None) => agreed += usize::from(we),
                (false, Some(why)) if !why.is_empty() => explained += 1,
                (true, Some(_)) => faults.push(format!("{:?}: {file} differs no more", rule.codes)),
                (false, _) => {
                    faults.push(format!("{:?} or {:?}: {file} has only {}", rule.codes, rule.ours, if we { "ours" } else { "theirs" }))
                }
            }
        }
    }
    let compared = theirs.len();
    println!("pkilint {}: {compared} certificates, {agreed} findings of both, {explained} of one and explained", table.made_with);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert!(compared > 1_000 && agreed > 600, "only {compared} certificates and {agreed} findings");
}

#[test]
fn no_certificate_of_zlint_s_is_called_malformed_without_a_reason() {
    let Some(judged) = judged() else { return };
    let is_malformed = |found: &BTreeMap<Place, Vec<Finding>>| found.values().flatten().any(|finding| finding.id == lint::MALFORMED.id);
    let malformed: Vec<&String> = judged.iter().filter(|(_, found)| is_malformed(found)).map(|(name, _)| name).collect();
    assert_eq!(malformed, Table::read().malformed.keys().collect::<Vec<_>>());
}

/// Lists of revoked certificates and answers of OCSP lie among them, and certificates that only look like one.
#[test]
fn no_file_of_zlint_s_breaks_a_reader() {
    let Some(files) = files() else {
        return missing();
    };
    let (good, mut lists) = (Good::make(), Vec::new());
    for (_, bytes) in &files {
        // Whatever it is, it may be named as any of these.
        drop(Facts::parse(bytes));
        lists.extend(pem::lists(&String::from_utf8_lossy(bytes)));
        lists.push(bytes.clone());
    }
    let judge = Judge::new(&Requirements::default(), &lists, &lists);
    let der = files.iter().find_map(|(_, bytes)| pem::first(bytes)).expect("a certificate");
    let faults = judge.assess(&der, &lists, None, good.at).findings;
    println!("zlint: {} files, {} findings when all of them are lists, authorities and anchors", files.len(), faults.len());
    assert!(faults.iter().any(|finding| finding.id == "crl.malformed"), "no list was read");
}

/// A lint that a new version brings is put among the rules or the others, by a person.
#[test]
fn every_lint_of_zlint_s_for_everyone_is_a_rule_of_ours_or_said_not_to_be() {
    let table = Table::read();
    let reasons = table.rule.iter().flat_map(|rule| rule.differs.values()).chain(table.malformed.values());
    assert!(reasons.chain(table.not_ours.iter().map(|other| &other.why)).all(|why| why.len() > 10), "a difference without a reason");
    let mut known = BTreeSet::new();
    for name in table.rule.iter().map(|rule| &rule.lint).chain(table.not_ours.iter().flat_map(|other| &other.lints)) {
        assert!(known.insert(name.clone()), "{name} is there twice");
    }
    for id in table.rule.iter().flat_map(|rule| &rule.ours) {
        assert!(lint::find(id).is_some(), "no finding is {id}");
    }
    if !data().join("lints").is_dir() {
        return missing();
    }
    // Those of RFC 5280 and of general use; the others bind public authorities.
    let theirs: BTreeSet<String> = ["rfc", "community"].into_iter().flat_map(lints).collect();
    let unknown: Vec<&String> = theirs.difference(&known).collect();
    assert!(theirs.len() > 150 && unknown.is_empty(), "of {} lints fixtures/zlint.toml has not: {unknown:#?}", theirs.len());
}
