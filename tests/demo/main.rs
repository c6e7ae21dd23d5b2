//! `./run demo`: from nothing to proven certificates on a real OpenBao, a real nginx and a software TPM, and what happens when something
//! is wrong.
//! It leaves no process and no file behind, also when it is interrupted.
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
    reason = "a program for a person, on the launchers of the tests"
)]

#[path = "../lab/mod.rs"]
#[allow(dead_code, reason = "tests, demo and bench each use a part of the lab")]
mod lab;

mod host;
mod show;

use std::process::ExitCode;
use std::time::Instant;

use host::Host;
use show::{heading, note};

fn main() -> ExitCode {
    let keep = std::env::args().nth(1).as_deref() == Some("--keep");
    let start = Instant::now();
    lab::run_and_clean_up("demo", move || {
        let mut host = Host::set_up();
        tell(&mut host);
        heading("Done");
        note(&format!(
            "{} seconds. OpenBao's audit log counts {} signing requests from this host:",
            start.elapsed().as_secs(),
            host.signed()
        ));
        note("three first issues, one forced, one refused, one put back and settled later, one after its key was lost.");
        if keep {
            host.keep();
        }
    })
}

/// The story.
fn tell(host: &mut Host) {
    heading("Before: nginx serves what somebody made by hand");
    host.handshakes();

    heading("What omens would do, and why");
    host.omens(&["plan"], 0);

    heading("Three certificates: P-256 and RSA sealed to the TPM, P-256 in a file");
    note("Keys are made here, CSRs are signed by \"Book of Omens\", answers are checked, nginx is reloaded once, the wire is the proof.");
    host.adopt();
    host.omens(&["renew", "--all"], 0);

    heading("After: the same handshakes");
    host.handshakes();
    host.omens(&["status"], 0);

    heading("Nothing is due: nothing is asked, nothing is written");
    host.omens(&["renew", "--all"], 0);

    heading("A forced renewal");
    host.handshake("www");
    host.omens(&["renew", "www", "--force"], 0);
    host.handshake("www");

    heading("A certificate that does not pass: the role sets no extended key usage");
    host.weaken_role("git");
    host.omens(&["renew", "git", "--force"], 1);
    note("The old one goes on serving; the refused one is in the ledger.");
    host.handshake("git");
    host.mend_role("git");

    heading("A certificate that nginx does not take up: a typing mistake in nginx.conf");
    host.break_nginx();
    host.omens(&["renew", "auth", "--force"], 1);
    note("Put back at once, and seen on the wire:");
    host.handshake("auth");
    note("The mistake is mended; what was issued is settled, and nothing is signed:");
    host.mend_nginx();
    host.omens(&["renew", "--all"], 0);
    host.handshake("auth");

    heading("What lies on the disk");
    host.disk();

    heading("A reboot: the keys are opened with one unseal, without network");
    host.reboot(&[]);
    host.omens(&["restore"], 0);
    host.start_nginx();
    host.handshakes();

    heading("What was measured changes while the host runs, and www is lost from memory");
    host.measure("another boot loader");
    host.lose("www");
    host.omens(&["restore"], 1);
    note("auth is still in memory, so it is complete; www cannot be opened: that is the point of sealing. It is re-issued:");
    host.omens(&["renew", "--all"], 0);
    host.handshake("www");
    note("The key of auth would not open at the next boot. `reseal` puts it under today's PCR values; its certificate stays:");
    host.omens(&["reseal"], 0);
    host.reboot(&["another boot loader"]);
    host.omens(&["restore"], 0);
    host.start_nginx();
    host.handshakes();
    host.omens(&["status"], 0);

    heading("The ledger in words");
    host.ledger();

    heading("What an auditor sees: what is configured, what lies there and what is served");
    host.omens(&["chain-audit"], 0);
    note("A call as a client makes it, by the wrong name:");
    host.probe("www", "grafana.funlab.casa");
}
