//! A time limit for a TPM: libtss2 waits for an answer for ever. It must never give up what would still end in time.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::error::TpmError;
use crate::model::tcti::Tcti;

/// How long one piece of work may take: chips sign a few times a second and make keys in seconds (facts/tpm §5).
pub const LIMIT: Duration = Duration::from_secs(30);

/// Does something that asks the TPM, on a thread of its own. Where nothing comes back in time that thread is left to itself: it ends with
/// the process, or when the TPM answers after all.
///
/// # Errors
/// The TPM does not answer.
pub fn within<T: Send + 'static>(limit: Duration, tcti: &Tcti, work: impl FnOnce() -> T + Send + 'static) -> Result<T, TpmError> {
    let unanswered = |why: String| TpmError::Unreachable {
        tcti: tcti.to_string(),
        why,
        hint: "see `dmesg | grep -i tpm`, and whether `tpm2_getrandom 8` answers; a TPM that hangs wants the host powered off and on"
            .to_owned(),
    };
    let (done, wait) = mpsc::sync_channel(1);
    let spawned = std::thread::Builder::new().name("tpm".to_owned()).spawn(move || done.send(work()).ok());
    spawned.map_err(|why| unanswered(format!("there is no thread to ask it on: {why}")))?;
    wait.recv_timeout(limit).map_err(|why| match why {
        RecvTimeoutError::Timeout => unanswered(format!("it did not answer within {} s", limit.as_secs())),
        RecvTimeoutError::Disconnected => unanswered("asking it ended in the middle".to_owned()),
    })
}
