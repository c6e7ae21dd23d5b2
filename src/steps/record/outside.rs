//! Failures of a certificate outside of its part in a run: of a place that could not be opened, and of `restore`.

use crate::io::dir::{Dir, DiskError};
use crate::io::write::{self, Ownership};
use crate::model::clock::Time;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::login_end::Logins;
use crate::model::name::{CertName, Generation};
use crate::model::state::{KeyRefused, LastError, State, VERSION, newer_version};

/// Leaves a failure in the state of a certificate whose place could not be opened, as far as that can be written.
///
/// # Errors
/// When it cannot; then the exit code, the report and the ledger have to say it.
pub fn note_failure(state: &Dir, name: &CertName, failure: &Failure, now: Time) -> Result<(), DiskError> {
    let (certs, _) = write::make_dir(state, layout::CERTS, 0o700, Ownership::default())?;
    let (var, _) = write::make_dir(&certs, name.as_str(), 0o700, Ownership::default())?;
    let content = var.read(layout::STATE)?;
    if content.as_ref().is_some_and(|content| newer_version(&content.bytes).is_some()) {
        return Ok(());
    }
    let read = content.map(|content| serde_json::from_slice::<State>(&content.bytes));
    // A state that is there and cannot be understood is not overwritten by somebody who only has a failure to tell.
    let Ok(known) = read.transpose() else { return Ok(()) };
    let last_error = Some(LastError { at: now, failure: failure.clone() });
    let state = State { last_error, ..known.unwrap_or_default() };
    write::replace_file(&var, layout::STATE, &write::json(&var, layout::STATE, &state)?, 0o600)
}

/// Serial numbers of revoked certificates that are kept.
const REVOKED_KEPT: usize = 16;

/// Notes that a certificate was revoked.
///
/// # Errors
/// When the state cannot be read or written.
pub fn note_revoked(state: &Dir, name: &CertName, serial: &str) -> Result<(), DiskError> {
    change(state, name, |mut known| {
        let is_owed = known.to_revoke.iter().any(|owed| owed.serial == serial);
        known.to_revoke.retain(|owed| owed.serial != serial);
        if known.revoked.iter().any(|noted| noted == serial) {
            return is_owed.then_some(known);
        }
        known.revoked.push(serial.to_owned());
        let surplus = known.revoked.len().saturating_sub(REVOKED_KEPT);
        known.revoked.drain(..surplus);
        Some(known)
    })
}

/// Notes that the committed key of a certificate, which rests in the TPM, does not sign any more.
///
/// # Errors
/// When the state cannot be read or written.
pub fn note_refused_key(state: &Dir, name: &CertName, failure: Failure, now: Time) -> Result<(), DiskError> {
    let live = certificate_dir(state, name)?.map_or(Ok(None), |var| var.link(layout::LIVE))?;
    let Some(generation) = live.as_deref().and_then(Generation::parse) else { return Ok(()) };
    change(state, name, |known| {
        let is_known = |noted: &KeyRefused| noted.generation == generation && noted.failure.code == failure.code;
        let is_new = !known.key_refused.as_ref().is_some_and(is_known);
        is_new.then_some(State { key_refused: Some(KeyRefused { generation, at: now, failure }), ..known })
    })
}

/// The directory of a certificate in the state directory, where there is one.
///
/// # Errors
/// When it cannot be opened.
pub fn certificate_dir(state: &Dir, name: &CertName) -> Result<Option<Dir>, DiskError> {
    state.child(layout::CERTS)?.map_or(Ok(None), |certs| certs.child(name.as_str()))
}

/// What is noted in the directory of a certificate, where that can be understood.
///
/// # Errors
/// When it cannot be read.
pub fn noted(var: &Dir) -> Result<Option<State>, DiskError> {
    Ok(var.read(layout::STATE)?.and_then(|content| serde_json::from_slice(&content.bytes).ok()))
}

/// Changes a state that is there and that this build understands; what does not change is not written.
fn change(state: &Dir, name: &CertName, with: impl FnOnce(State) -> Option<State>) -> Result<(), DiskError> {
    let Some(var) = certificate_dir(state, name)? else { return Ok(()) };
    let Some(known) = noted(&var)?.filter(|known| known.v == VERSION) else { return Ok(()) };
    let Some(state) = with(known) else { return Ok(()) };
    write::replace_file(&var, layout::STATE, &write::json(&var, layout::STATE, &state)?, 0o600)
}

/// Keeps when logins end, as far as a run learnt it, beside what was learnt before of others.
///
/// # Errors
/// When it cannot be written.
pub fn note_logins(state: &Dir, logins: &Logins) -> Result<(), DiskError> {
    if *logins == Logins::none() {
        return Ok(());
    }
    let before = state.read(layout::LOGINS)?.and_then(|content| serde_json::from_slice(&content.bytes).ok());
    let all = logins.after(before.unwrap_or_else(Logins::none));
    write::replace_unflushed(state, layout::LOGINS, &write::json(state, layout::LOGINS, &all)?, 0o600)
}

/// Takes a failure to keep or to publish out of the state of a certificate that was published after all.
///
/// # Errors
/// When the state cannot be read or written.
pub fn forget_failure(state: &Dir, name: &CertName) -> Result<(), DiskError> {
    change(state, name, |known| {
        let is_of_publishing = |last: &LastError| matches!(last.failure.stage, Stage::Seal | Stage::Publish);
        known.last_error.as_ref().is_some_and(is_of_publishing).then(|| State { last_error: None, ..known.clone() })
    })
}

/// Takes out a failure of the second in which a run took the lock, or of the one before it, where that run had no cause to repeat it: the lock's
/// time is too coarse to tell which came first (`plan/health.rs`).
///
/// # Errors
/// When the state cannot be read or written.
pub fn outlive_failure(state: &Dir, name: &CertName, locked: Time, is_over: impl Fn(&LastError) -> bool) -> Result<(), DiskError> {
    let around = |second: i64| (locked.unix() - 1..=locked.unix()).contains(&second);
    change(state, name, |known| {
        let last = known.last_error.as_ref().filter(|last| around(last.at.unix()) && is_over(last));
        last.is_some().then(|| State { last_error: None, ..known.clone() })
    })
}
