//! The binary cut at every system call that changes the disk, by a kill and by the loss of power: a matching pair is left, and the next run
//! converges with no help. The same with calls that fail: what ends well is whole, what does not is said and goes on.

mod attest;
mod identity;
mod restarted;
mod sealed;
mod victim;

use std::path::PathBuf;

use self::victim::{Case, FULL, IO_ERROR, KILL, KILL_AT_NAMES, POWER, POWER_AT_NAMES, Victim};
use crate::lab::estate::Cert;
use crate::lab::nginx::Nginx;
use crate::lab::{pki, place};
use crate::web::NAME;

#[test]
fn a_first_issue_survives_every_kill() {
    Victim::new().cut(KILL, &Case::first_issue());
}

#[test]
fn a_first_issue_survives_every_power_cut() {
    Victim::new().cut(POWER, &Case::first_issue());
}

#[test]
fn a_renewal_survives_every_kill() {
    Victim::new().cut(KILL, &Case::renewal());
}

#[test]
fn a_renewal_survives_every_power_cut() {
    Victim::new().cut(POWER, &Case::renewal());
}

#[test]
fn a_renewal_survives_a_full_disk_at_every_call() {
    Victim::new().cut(FULL, &Case::renewal());
}

#[test]
fn a_renewal_survives_an_error_at_every_call() {
    Victim::new().cut(IO_ERROR, &Case::renewal());
}

/// What was withdrawn is marked before anything moves: although `state.json` is lost with the cut, it does not come back.
#[test]
fn a_rollback_survives_every_kill_and_the_loss_of_the_state() {
    Victim::new().cut(KILL, &Case::rollback());
}

#[test]
fn a_rollback_survives_power_cuts_and_the_loss_of_the_state() {
    Victim::new().cut(POWER_AT_NAMES, &Case::rollback());
}

/// What is on disk under the earlier name is all there under the new one, or still under the earlier.
#[test]
fn a_change_of_the_name_survives_every_kill() {
    let mut victim = Victim::new();
    let case = victim.renamed();
    victim.cut(KILL_AT_NAMES, &case);
}

#[test]
fn a_change_of_the_name_survives_power_cuts() {
    let mut victim = Victim::new();
    let case = victim.renamed();
    victim.cut(POWER_AT_NAMES, &case);
}

#[test]
fn restore_survives_every_kill() {
    Victim::new().cut(KILL, &Case::restore());
}

#[test]
fn a_renewal_that_is_not_taken_up_survives_every_kill() {
    let (victim, case, _nginx) = not_taken_up(Victim::new());
    victim.cut(KILL, &case);
}

#[test]
fn a_renewal_that_is_not_taken_up_survives_power_cuts() {
    let (victim, case, _nginx) = not_taken_up(Victim::new());
    victim.cut(POWER_AT_NAMES, &case);
}

#[test]
fn two_runs_at_once_survive_every_kill() {
    let victim = Victim::new();
    victim.cut_program(KILL, &Case::at_once(), &victim.at_once());
}

/// Roots that consumers read are whole at any time, and whoever reads them is asked by the next run where this one was cut.
#[test]
fn a_change_of_trust_survives_kills_and_power_cuts() {
    let mut victim = Victim::new();
    let case = victim.with_another_root();
    victim.cut(KILL_AT_NAMES, &case);
    victim.cut(POWER_AT_NAMES, &case);
}

/// The endpoint never shows the new leaf: the flow goes through publish, reload and revert. Generation 1 is made without an endpoint.
fn not_taken_up(mut victim: Victim) -> (Victim, Case, Nginx) {
    let mut nginx = Nginx::new(None);
    let key = pki::ec_key();
    let leaf = pki::Leaf::server(NAME, &[NAME], &[], time::Duration::HOUR);
    let files: [PathBuf; 2] = [victim.estate.dir.join("other.pem"), victim.estate.dir.join("other.key")];
    std::fs::write(&files[0], pki::Ca::root("elsewhere", pki::CaKeys::Ec).leaf(&key, &leaf).pem()).unwrap();
    place::write_secret(&files[1], &key.serialize_pem());
    let port = nginx.fixed(NAME, &files[0], &files[1]);
    nginx.start();
    let plain = victim.keep_settings("plain.toml");
    let keep = victim.estate.certs[0].keep.clone();
    victim.estate.certs[0] = Cert { keep, ..Cert::web("web").seen_at(port, "50ms") };
    victim.write();
    let case = Case {
        name: "renewal that is not taken up",
        setup: format!("\"$BIN\" --config '{}' renew --all", plain.display()),
        ends_with: 1,
        may: vec![Some("gen-1")],
        done: "gen-1",
        // Stopped before anything was asked there is nothing to do; otherwise the proof is still missing.
        next_code: vec![0, 1],
        stays: Some("gen-1"),
        ..Case::renewal()
    };
    (victim, case, nginx)
}
