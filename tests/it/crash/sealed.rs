//! The same with keys sealed to the TPM: besides a pair there is never a key in clear on the disk, and no sealing key that nothing needs.

use super::not_taken_up;
use super::victim::{Case, FULL, IO_ERROR, KILL, KILL_AT_NAMES, POWER_AT_NAMES, Victim};
use crate::tpm::start;

/// A host with a software TPM; `None` where that is not installed, which is said.
fn sealed() -> Option<Victim> {
    start(&[7]).map(Victim::sealed)
}

#[test]
fn a_sealed_first_issue_survives_every_kill() {
    let Some(victim) = sealed() else { return };
    victim.cut(KILL, &Case::first_issue());
}

#[test]
fn a_sealed_first_issue_survives_power_cuts() {
    let Some(victim) = sealed() else { return };
    victim.cut(POWER_AT_NAMES, &Case::first_issue());
}

#[test]
fn a_sealed_renewal_survives_every_kill() {
    let Some(victim) = sealed() else { return };
    victim.cut(KILL, &Case::renewal());
}

#[test]
fn a_sealed_renewal_survives_power_cuts() {
    let Some(victim) = sealed() else { return };
    victim.cut(POWER_AT_NAMES, &Case::renewal());
}

#[test]
fn a_sealed_renewal_survives_failing_calls() {
    let Some(victim) = sealed() else { return };
    victim.cut(FULL, &Case::renewal());
    victim.cut(IO_ERROR, &Case::renewal());
}

#[test]
fn a_sealed_restore_survives_every_kill() {
    let Some(victim) = sealed() else { return };
    victim.cut(KILL, &Case::restore());
}

#[test]
fn a_sealed_renewal_that_is_not_taken_up_survives_kills() {
    let Some(victim) = sealed() else { return };
    let (victim, case, _nginx) = not_taken_up(victim);
    victim.cut(KILL_AT_NAMES, &case);
}

#[test]
fn reseal_survives_every_kill() {
    let Some(victim) = sealed() else { return };
    victim.cut(KILL, &Case::reseal());
}

#[test]
fn reseal_survives_power_cuts() {
    let Some(victim) = sealed() else { return };
    victim.cut(POWER_AT_NAMES, &Case::reseal());
}

#[test]
fn reseal_survives_failing_calls() {
    let Some(victim) = sealed() else { return };
    victim.cut(FULL, &Case::reseal());
    victim.cut(IO_ERROR, &Case::reseal());
}

/// The settings bind to another PCR list from now on: the renewal makes a sealing key, and the old one goes with the last that needs it.
#[test]
fn a_renewal_that_changes_the_sealing_key_survives_every_kill() {
    let Some(mut victim) = sealed() else { return };
    let case = victim.with_another_sealing_key();
    victim.cut(KILL, &case);
}

#[test]
fn a_renewal_that_changes_the_sealing_key_survives_power_cuts() {
    let Some(mut victim) = sealed() else { return };
    let case = victim.with_another_sealing_key();
    victim.cut(POWER_AT_NAMES, &case);
}

#[test]
fn two_sealed_runs_at_once_survive_kills() {
    let Some(victim) = sealed() else { return };
    victim.cut_program(KILL_AT_NAMES, &Case::at_once(), &victim.at_once());
}
