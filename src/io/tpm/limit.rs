//! A time limit for a TPM: libtss2 waits for an answer for ever. It must never give up what would still end in time.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::error::TpmError;
use crate::model::tcti::Tcti;

/// How long one piece of work may take: chips sign a few times a second and make keys in seconds ([Times](crate::io::tpm#times)).
pub const LIMIT: Duration = Duration::from_secs(30);

/// What was given up and still waits for its TPM: shared by all runs of a process, so that their threads do not pile up before it.
#[derive(Clone, Debug, Default)]
pub struct Unanswered(Arc<Mutex<Option<GivenUp>>>);

/// A TPM that owes an answer.
#[derive(Debug)]
struct GivenUp {
    tcti: Tcti,
    /// The thread that waits for it, as long as that lives.
    thread: Weak<()>,
}

impl Unanswered {
    fn lock(&self) -> MutexGuard<'_, Option<GivenUp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something waits now.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.lock().as_ref().is_some_and(|given_up| given_up.thread.strong_count() > 0)
    }

    /// Does something that asks the TPM, on a thread of its own. Where nothing comes back in time that thread is left to itself: it ends with
    /// the process, or when the TPM answers after all. Until then that TPM is not asked again.
    ///
    /// # Errors
    /// The TPM does not answer.
    pub fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        tcti: &Tcti,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TpmError> {
        self.refuse_waiting(tcti)?;
        let (done, wait) = mpsc::sync_channel(1);
        let alive = Arc::new(());
        let thread = Arc::downgrade(&alive);
        let ask = move || {
            done.send(work()).ok();
            drop(alive);
        };
        let spawned = std::thread::Builder::new().name("tpm".to_owned()).spawn(ask);
        spawned.map_err(|why| unanswered(tcti, format!("there is no thread to ask it on: {why}")))?;
        wait.recv_timeout(limit).map_err(|why| match why {
            RecvTimeoutError::Timeout => self.give_up(tcti, thread, limit),
            RecvTimeoutError::Disconnected => unanswered(tcti, "asking it ended in the middle".to_owned()),
        })
    }

    /// Refuses to ask a TPM that owes an answer.
    ///
    /// # Errors
    /// It does.
    pub(super) fn refuse_waiting(&self, tcti: &Tcti) -> Result<(), TpmError> {
        let owes = self.is_waiting() && self.lock().as_ref().is_some_and(|given_up| given_up.tcti == *tcti);
        if owes { Err(unanswered(tcti, "it has still not answered what an earlier run asked".to_owned())) } else { Ok(()) }
    }

    /// Notes that this thread was given up before this TPM.
    pub(super) fn give_up(&self, tcti: &Tcti, thread: Weak<()>, limit: Duration) -> TpmError {
        self.lock().replace(GivenUp { tcti: tcti.clone(), thread });
        unanswered(tcti, format!("it did not answer within {} s", limit.as_secs()))
    }
}

/// A TPM that gives no answer.
pub(super) fn unanswered(tcti: &Tcti, why: String) -> TpmError {
    TpmError::Unreachable {
        tcti: tcti.to_string(),
        why,
        hint: "see `dmesg | grep -i tpm`, and whether `tpm2_getrandom 8` answers; a TPM that hangs wants the host powered off and on"
            .to_owned(),
    }
}
