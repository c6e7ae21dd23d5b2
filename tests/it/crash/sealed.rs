//! The same with keys sealed to the TPM.

use super::victim::{Case, KILL, POWER, Victim};
use crate::tpm::start;

#[test]
fn a_sealed_renewal_survives_every_kill() {
    let Some(swtpm) = start(&[7]) else { return };
    Victim::sealed(swtpm).cut(KILL, &Case::renewal());
}
