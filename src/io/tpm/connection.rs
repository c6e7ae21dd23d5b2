//! The connection of a run to its TPM: opened when the TPM is first needed, and shared by all who ask it (sealing, keys that stay in the TPM,
//! logins, attestation), one after the other. It must never be waited for without an end, nor be asked again while it owes an answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Tpm;
use super::error::TpmError;
use super::limit::{LIMIT, Unanswered, unanswered};
use crate::model::tcti::Tcti;

/// How long its end is waited for.
const END: Duration = Duration::from_secs(5);

/// A connection, and whoever else has it.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tcti: Tcti,
    unanswered: Unanswered,
    /// Locked by whose turn it is, for as long as that takes. `None` while a thread has it: for ever, where that was given up.
    access: Mutex<Option<Access>>,
}

/// The connection as one piece of work has it.
#[derive(Debug)]
pub struct Access {
    tcti: Tcti,
    tpm: Option<Tpm>,
    /// Commands of connections that have ended.
    ended: u64,
}

impl Access {
    const fn new(tcti: Tcti) -> Self {
        Self { tcti, tpm: None, ended: 0 }
    }

    /// The TPM, opened by whoever needs it first, and again after its connection broke.
    ///
    /// # Errors
    /// It does not open.
    pub fn tpm(&mut self) -> Result<&mut Tpm, TpmError> {
        if self.tpm.as_ref().is_some_and(Tpm::is_broken) {
            self.close();
        }
        match self.tpm.take() {
            Some(tpm) => Ok(self.tpm.insert(tpm)),
            None => Ok(self.tpm.insert(Tpm::connect(&self.tcti)?)),
        }
    }

    /// How many commands the TPM was sent.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.ended + self.tpm.as_ref().map_or(0, Tpm::commands)
    }

    fn close(&mut self) {
        if let Some(tpm) = self.tpm.take() {
            let commands = tpm.close();
            self.ended += commands;
            tracing::debug!(commands, "closes the TPM");
        }
    }
}

impl Connection {
    /// To this TPM, where nothing of an earlier run still waits for it. Nothing is opened yet.
    #[must_use]
    pub fn new(tcti: &Tcti, unanswered: Unanswered) -> Self {
        Self(Arc::new(Shared { tcti: tcti.clone(), unanswered, access: Mutex::default() }))
    }

    /// Which TPM.
    #[must_use]
    pub fn tcti(&self) -> &Tcti {
        &self.0.tcti
    }

    /// Whether something waits for an answer that is owed.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.unanswered.is_waiting()
    }

    /// Does something for which the TPM may be needed, within this limit from when it is its turn. It blocks.
    ///
    /// # Errors
    /// The TPM does not answer.
    pub fn with<T: Send + 'static>(&self, limit: Duration, work: impl FnOnce(&mut Access) -> T + Send + 'static) -> Result<T, TpmError> {
        let mut turn = self.turn();
        let mut access = turn.take().unwrap_or_else(|| Access::new(self.0.tcti.clone()));
        let asking = move || {
            let done = work(&mut access);
            (access, done)
        };
        let (access, done) = self.0.unanswered.within(limit, &self.0.tcti, asking)?;
        *turn = Some(access);
        Ok(done)
    }

    /// Asks the TPM. It blocks.
    ///
    /// # Errors
    /// What it gives, or that it does not open or does not answer.
    pub fn ask<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&mut Tpm) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        self.with(limit, move |access| work(access.tpm()?)).and_then(|done| done)
    }

    /// The same for work that goes back and forth between the TPM and a network: it blocks another thread.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn asked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tpm) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let own = self.clone();
        let asked = tokio::task::spawn_blocking(move || own.ask(LIMIT, work)).await;
        asked.unwrap_or_else(|why| Err(unanswered(&self.0.tcti, format!("asking it ended in the middle: {why}"))))
    }

    /// Ends it, and gives back what is loaded. Whoever asks after that opens another one.
    pub fn close(&self) {
        self.0.close(self.turn());
    }

    fn turn(&self) -> MutexGuard<'_, Option<Access>> {
        self.0.access.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn close(&self, mut turn: MutexGuard<'_, Option<Access>>) {
        let Some(mut access) = turn.take() else { return };
        if access.tpm.is_none() {
            *turn = Some(access);
            return;
        }
        let ending = move || {
            access.close();
            access
        };
        match self.unanswered.within(END, &self.tcti, ending) {
            Ok(access) => *turn = Some(access),
            Err(why) => tracing::warn!(%why, "what is loaded in the TPM stays there until its connection ends"),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close(self.access.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
