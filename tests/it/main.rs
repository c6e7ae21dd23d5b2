//! The integration tests: the binary on real parts, and on one that lies. Names are claims; `tests/README.md` maps the invariants of the
//! design to them.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_errors_doc,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "tests open files, start processes and panic when something is wrong"
)]

#[path = "../lab/mod.rs"]
#[allow(dead_code, reason = "tests, demo and bench each use a part of the lab")]
mod lab;

#[path = "../fakes/mod.rs"]
#[allow(dead_code, reason = "each test uses a part of the fakes")]
mod fakes;

mod attest_lies;
mod attestation;
mod adopt;
mod attester;
mod boot;
mod check_config;
mod command_line;
mod consumer_pages;
mod consumers;
mod copies;
mod crash;
mod damaged_keys;
mod dead_key;
mod debt;
mod disk;
mod documents;
mod due;
mod enrolment;
mod every_case;
mod failures;
mod identity;
mod invariants;
mod issuer;
mod keylime;
mod keylime_agent;
mod keylime_consumer;
mod keylime_push;
mod keys;
mod lab_itself;
mod lab_tools;
mod ledger;
mod lies;
mod lists;
mod logins;
mod looks;
mod metrics;
mod mistakes;
mod monitoring;
mod named_files;
mod names;
mod openbao_consumer;
mod owners;
mod package;
mod probe;
mod reach;
mod reads;
mod reference;
mod renew;
mod reseal;
mod resident;
mod resident_rsa;
mod restore;
mod revocation;
mod rollback;
mod scheduler;
mod schemas;
mod san;
mod sealed;
mod sealed_damage;
mod secrets;
mod served;
mod service;
mod settings;
mod spire_consumer;
mod spire_keylime;
mod server_side;
mod standing;
mod starttls;
mod status;
mod svid;
mod systemd;
mod three_hosts;
mod tpm;
mod tpm_refuses;
mod tpm_use;
mod unchanged;
mod trust;
mod units;
mod usage;
mod vm;
mod vm_attested;
mod waivers;
mod web;
mod windows;
mod writes;

/// Says loudly that something was not tested, here and at the end of `./run test`.
fn skipped(what: &str) {
    eprintln!("\n*** SKIPPED: {what}\n");
    if let Some(file) = std::env::var_os("OMENS_LAB_SKIPPED") {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).expect("the list of skipped tests");
        writeln!(file, "{what}").expect("write");
    }
}
