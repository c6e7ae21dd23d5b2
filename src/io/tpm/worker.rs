//! A TPM on a thread of its own, for work that goes back and forth between it and a network: commands block that thread, never the runtime.
//! The connection is opened once and ends with the worker.

use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use super::endorsed::Endorsed;
use super::error::TpmError;
use super::limit::{Unanswered, unanswered};
use crate::model::tcti::Tcti;

/// How long the end of a connection is waited for.
const END: Duration = Duration::from_secs(2);

type Work = Box<dyn FnOnce(&mut Endorsed) + Send>;

/// The TPM as others ask it.
#[derive(Debug)]
pub struct Worker {
    /// `None` once it is to end.
    work: Option<mpsc::Sender<Work>>,
    ended: Mutex<mpsc::Receiver<()>>,
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
        let (end, ended) = mpsc::channel();
        let alive = Arc::new(());
        let thread = Arc::downgrade(&alive);
        let own = tcti.clone();
        let serve = move || {
            match Endorsed::open(&own) {
                Ok(mut tpm) => {
                    opened.send(Ok(())).ok();
                    todo.iter().for_each(|work| work(&mut tpm));
                    // What was loaded is given back before anybody hears of the end.
                    drop(tpm);
                }
                Err(why) => drop(opened.send(Err(why))),
            }
            drop(alive);
            end.send(()).ok();
        };
        let spawned = std::thread::Builder::new().name("tpm".to_owned()).spawn(serve);
        spawned.map_err(|why| unanswered(tcti, format!("there is no thread to ask it on: {why}")))?;
        let worker = Self { work: Some(work), ended: Mutex::new(ended), tcti: tcti.clone(), limit, unanswered: waiting.clone(), thread };
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
        let sent = self.work.as_ref().is_some_and(|queue| queue.send(work).is_ok());
        if !sent {
            return Err(unanswered(&self.tcti, "asking it ended in the middle".to_owned()));
        }
        self.within(wait).await?
    }

    async fn within<T>(&self, wait: oneshot::Receiver<T>) -> Result<T, TpmError> {
        match tokio::time::timeout(self.limit, wait).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(unanswered(&self.tcti, "asking it ended in the middle".to_owned())),
            Err(_) => Err(self.unanswered.give_up(&self.tcti, self.thread.clone(), self.limit)),
        }
    }

    /// Ends the connection, and waits until what was loaded is given back.
    pub async fn close(mut self) {
        self.work = None;
        let waited = tokio::task::spawn_blocking(move || drop(self)).await;
        if let Err(why) = waited {
            tracing::debug!(%why, "the end of a connection to the TPM was not waited for");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.work = None;
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        // One that was given up is not waited for.
        if !self.unanswered.is_waiting() && ended.recv_timeout(END).is_err() {
            tracing::warn!("what is loaded in the TPM stays there until its connection ends");
        }
    }
}
