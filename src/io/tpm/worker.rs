//! A TPM on a thread of its own, for work that goes back and forth between it and a network: commands block that thread, never the runtime.
//! The connection is opened once and ends with the worker.

use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use super::endorsed::Endorsed;
use super::error::TpmError;
use super::limit::{Unanswered, unanswered};
use crate::model::tcti::Tcti;

type Work = Box<dyn FnOnce(&mut Endorsed) + Send>;

/// The TPM as others ask it.
#[derive(Debug)]
pub struct Worker {
    work: mpsc::Sender<Work>,
    tcti: Tcti,
    limit: Duration,
    unanswered: Unanswered,
    thread: Weak<()>,
}

impl Worker {
    /// Opens the TPM on a new thread, within this limit for it and for each piece of work.
    ///
    /// # Errors
    /// It does not open, or does not answer.
    pub async fn open(tcti: &Tcti, limit: Duration, waiting: &Unanswered) -> Result<Self, TpmError> {
        waiting.refuse_waiting(tcti)?;
        let (work, todo) = mpsc::channel::<Work>();
        let (opened, wait) = oneshot::channel();
        let alive = Arc::new(());
        let thread = Arc::downgrade(&alive);
        let own = tcti.clone();
        let serve = move || {
            match Endorsed::open(&own) {
                Ok(mut tpm) => {
                    opened.send(Ok(())).ok();
                    todo.iter().for_each(|work| work(&mut tpm));
                }
                Err(why) => drop(opened.send(Err(why))),
            }
            drop(alive);
        };
        let spawned = std::thread::Builder::new().name("tpm".to_owned()).spawn(serve);
        spawned.map_err(|why| unanswered(tcti, format!("there is no thread to ask it on: {why}")))?;
        let worker = Self { work, tcti: tcti.clone(), limit, unanswered: waiting.clone(), thread };
        worker.within(wait).await??;
        Ok(worker)
    }

    /// Does something with the TPM.
    ///
    /// # Errors
    /// What it gives, or that the TPM does not answer.
    pub async fn ask<T: Send + 'static>(
        &self,
        something: impl FnOnce(&mut Endorsed) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, TpmError> {
        let (done, wait) = oneshot::channel();
        let work: Work = Box::new(move |tpm| drop(done.send(something(tpm))));
        let ended = |_| unanswered(&self.tcti, "asking it ended in the middle".to_owned());
        self.work.send(work).map_err(ended)?;
        self.within(wait).await?
    }

    async fn within<T>(&self, wait: oneshot::Receiver<T>) -> Result<T, TpmError> {
        match tokio::time::timeout(self.limit, wait).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(unanswered(&self.tcti, "asking it ended in the middle".to_owned())),
            Err(_) => Err(self.unanswered.give_up(&self.tcti, self.thread.clone(), self.limit)),
        }
    }
}
