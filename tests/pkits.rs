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

#[path = "vectors/pkits.rs"]
mod cases;
#[path = "vectors/skipped.rs"]
mod skipped;

use std::collections::BTreeMap;

use cases::{Case, anchor, data};
use omens::judge::assess::{Judge, Requirements};
use omens::judge::cert::Facts;
use omens::model::audit::Verdict;
use omens::model::clock::Time;
use skipped::skipped;

#[test]
fn no_test_of_pkits_without_policies_is_wrongly_accepted() {
    let Some(cases) = Case::all() else {
        return skipped(&format!("NIST PKITS: its data is not at {} (./run test fetches it)", data().display()));
    };
    let anchor = anchor();
    let asked = Requirements { path_only: true, ..Requirements::default() };
    let at = Time::parse("2015-01-01T00:00:00Z").expect("a time");
    let (mut passed, mut rejected, mut faults) = (0, BTreeMap::new(), Vec::new());
    for case in cases {
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
