//! The binary cut at every system call that changes the disk, by a kill and by the loss of power: a matching pair is left, and the next run
//! converges with no help.

mod sealed;
mod victim;

use self::victim::{Case, KILL, POWER, Victim};
use crate::lab::estate::Cert;
use crate::lab::place;
use crate::web::NAME;

#[test]
fn a_first_issue_survives_every_kill() {
    Victim::new().cut(KILL, &Case::first_issue());
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
    Victim::new().cut(&["kill", "--error", "ENOSPC"], &Case::renewal());
}

#[test]
fn restore_survives_every_kill() {
    Victim::new().cut(KILL, &Case::restore());
}
