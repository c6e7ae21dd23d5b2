//! Waiting for the lock of the state directory, and what is said where a run does not begin.

use std::time::Duration;

use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError};
use crate::io::lock::Lock;
use crate::io::write;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::report::RunError;
use crate::steps::swap::{disk_failure, refuse_foreign};

/// Between two looks at a lock that somebody else holds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Takes it; `None` where somebody else held it all the time.
pub(super) fn wait_for_lock(state: &Dir, wait: Duration, clock: Clock) -> Result<Option<Lock>, DiskError> {
    wait_for(|| Lock::try_take(state, layout::LOCK), wait, clock)
}

/// The same for another lock.
pub(in crate::steps) fn wait_for(
    take: impl Fn() -> Result<Option<Lock>, DiskError>,
    wait: Duration,
    clock: Clock,
) -> Result<Option<Lock>, DiskError> {
    let end = clock.instant() + wait;
    loop {
        if let Some(lock) = take()? {
            return Ok(Some(lock));
        }
        if clock.instant() >= end {
            return Ok(None);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

pub(super) fn locked(state: &Dir, wait: Duration) -> RunError {
    RunError {
        code: Code::Locked,
        text: format!("another run holds {} and did not end within {} s", state.join(layout::LOCK).display(), wait.as_secs()),
        hint: Some("wait for it, or give more time with --wait; the lock is freed by itself when its holder ends".to_owned()),
    }
}

/// The state directory, before anything is written into it: whoever owns it decides what its files are, and a link where the ledger should be
/// is seen before anything is done, not after.
pub(super) fn open(settings: &Settings) -> Result<Dir, RunError> {
    let state = write::make_path(&settings.paths.state, 0o700).map_err(|why| disk_error(&why))?;
    refuse_foreign(&state).map_err(error)?;
    write::refuse_link(&state, layout::LEDGER).map_err(|why| disk_error(&why))?;
    Ok(state)
}

/// A disk's refusal as an error of the whole run.
pub(in crate::steps) fn disk_error(why: &DiskError) -> RunError {
    error(disk_failure(Stage::Plan, why))
}

fn error(failure: Failure) -> RunError {
    RunError { code: failure.code, text: failure.text, hint: failure.hint }
}
