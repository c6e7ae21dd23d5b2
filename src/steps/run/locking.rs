//! Waiting for the lock of the state directory, and what is said where a run does not begin.

use std::time::Duration;

use crate::io::dir::{Dir, DiskError};
use crate::io::lock::Lock;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::Stage;
use crate::model::layout;
use crate::model::report::RunError;
use crate::steps::swap::disk_failure;

/// Between two looks at a lock that somebody else holds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Takes it; `None` where somebody else held it all the time.
pub(super) fn wait_for_lock(state: &Dir, wait: Duration, clock: Clock) -> Result<Option<Lock>, DiskError> {
    let end = clock.instant() + wait;
    loop {
        if let Some(lock) = Lock::try_take(state, layout::LOCK)? {
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

/// A disk's refusal as an error of the whole run.
pub(in crate::steps) fn disk_error(why: &DiskError) -> RunError {
    let failure = disk_failure(Stage::Plan, why);
    RunError { code: failure.code, text: failure.text, hint: failure.hint }
}
