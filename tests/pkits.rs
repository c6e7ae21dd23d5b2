//! NIST PKITS through the judge: every test that needs no policy inputs, with its own chain and revocation lists, verdict `path`.
//!
//! A wrong accept is a fault. A wrong reject is none: PKITS asks for much that a PKI of OpenBao never uses (delta and indirect lists, key
//! rollover, constraints on directory names), and its leaves have neither names nor purposes. `./run test` fetches the data; without it the
//! test says so and proves nothing.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test reads its data, says what it did, and stops where that is broken"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};
use omens::judge::assess::{Asked, Judge};
use omens::judge::cert::Facts;
use omens::model::audit::Verdict;
use omens::model::clock::Time;

/// Where `./run test` puts `x509/PKITS_data` of PyPI `cryptography_vectors`.
const CACHE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab/pkits");
/// Marks of the tests whose outcome depends on what the user asks of certificate policies (PKITS §4.8 to §4.12).
const OF_POLICIES: [&str; 3] = ["Polic", "polic", "Qualifier"];

struct Case {
    name: String,
    leaf: Vec<u8>,
    others: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
}

impl Case {
    /// A signed mail: the signer is the leaf, and the other certificates and the lists lie beside it.
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a mail");
        let (_, part) = text.split_once("name=\"smime.p7s\"").expect("a signature");
        let (_, body) = part.split_once("\n\n").or_else(|| part.split_once("\r\n\r\n")).expect("its body");
        let base64: String = body.lines().take_while(|line| !line.starts_with("--")).map(str::trim).collect();
        let der = Base64::decode_vec(&base64).expect("base64");
        // ContentInfo { type, [0] SignedData { version, digests, content, [0] certificates, [1] lists, signers } } (RFC 5652 §5.1).
        let signed = content(elements(content(elements(content(&der))[1]))[0]);
        let parts = elements(signed);
        let tagged = |tag: u8| parts.iter().find(|part| part[0] == tag).map_or_else(Vec::new, |part| elements(content(part)));
        let signer = elements(content(elements(content(elements(content(parts.last().expect("signers")))[0]))[1]));
        let certificates: Vec<Vec<u8>> = tagged(0xa0).into_iter().map(<[u8]>::to_vec).collect();
        let is_signer = |der: &&Vec<u8>| {
            let tbs = elements(content(elements(content(der))[0]));
            tbs[1] == signer[1] && tbs[3] == signer[0]
        };
        let leaf = certificates.iter().find(is_signer).expect("the signer's certificate").clone();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").trim_start_matches("Signed").to_owned();
        let others = certificates.into_iter().filter(|der| *der != leaf).collect();
        Self { name, leaf, others, lists: tagged(0xa1).into_iter().map(<[u8]>::to_vec).collect() }
    }

    fn must_pass(&self) -> bool {
        self.name.starts_with("Valid")
    }
}

fn content(der: &[u8]) -> &[u8] {
    let (header, length) = measure(der);
    &der[header..header + length]
}

fn elements(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut list = Vec::new();
    while !rest.is_empty() {
        let (header, length) = measure(rest);
        let (one, tail) = rest.split_at(header + length);
        list.push(one);
        rest = tail;
    }
    list
}

fn measure(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        long => {
            let octets = usize::from(long & 0x7f);
            (2 + octets, der[2..2 + octets].iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)))
        }
    }
}

/// Says that it was skipped, also to the summary of `./run test`.
fn skipped(why: &str) {
    println!("NOT RUN: {why}");
    if let Some(file) = std::env::var_os("OMENS_LAB_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
        writeln!(file.expect("the list of what was skipped"), "{why}").expect("a line");
    }
}

#[test]
fn no_test_of_pkits_without_policies_is_wrongly_accepted() {
    let data = std::env::var_os("OMENS_PKITS").map_or_else(|| PathBuf::from(CACHE), PathBuf::from);
    let Ok(mails) = std::fs::read_dir(data.join("smime")) else {
        skipped(&format!("NIST PKITS: its data is not at {} (./run test fetches it)", data.display()));
        return;
    };
    let mut mails: Vec<PathBuf> = mails.map(|entry| entry.expect("an entry").path()).collect();
    mails.sort();
    let anchor = std::fs::read(data.join("certs/TrustAnchorRootCertificate.crt")).expect("the anchor");
    let asked = Asked { path_only: true, ..Asked::default() };
    let at = Time::parse("2015-01-01T00:00:00Z").expect("a time");
    let (mut passed, mut rejected, mut faults) = (0, BTreeMap::new(), Vec::new());
    for mail in mails.iter().filter(|mail| !OF_POLICIES.iter().any(|mark| mail.to_string_lossy().contains(mark))) {
        let case = Case::read(mail);
        let answer = Judge::new(&asked, std::slice::from_ref(&anchor), &case.lists).assess(&case.leaf, &case.others, None, at);
        let why: Vec<&str> = answer.findings.iter().filter(|f| f.blocks()).map(|f| f.id.as_str()).collect();
        match (answer.verdict == Verdict::Accept, case.must_pass()) {
            (true, false) => faults.push(format!("{} ({})", case.name, Facts::parse(&case.leaf).expect("facts").subject)),
            (false, true) => drop(rejected.insert(case.name, why.join(", "))),
            _ => passed += 1,
        }
    }
    println!("PKITS: {passed} as expected, {} wrong accepts, {} wrong rejects", faults.len(), rejected.len());
    for (name, why) in &rejected {
        println!("PKITS: {name} is refused for {why}");
    }
    assert!(faults.is_empty(), "wrong accepts: {faults:#?}");
    assert!(passed + rejected.len() > 150, "only {} tests", passed + rejected.len());
    assert!(passed > 100, "only {passed} as expected");
}
