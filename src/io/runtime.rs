//! The event loop that a command waits in: for servers, services and deadlines.

use std::time::Duration;

use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// A runtime for the parts of a run that wait for others. One thread: a run waits far more than it works.
///
/// # Errors
/// When the system gives no more threads or descriptors.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(16).build().map_err(|why| {
        Failure::new(Stage::Plan, Code::NoRuntime, format!("the system gives no event loop: {why}"))
            .hint("look at the limits of open files and processes")
    })
}

/// Does this in an event loop of its own, whose end waits for nothing: a name resolution that hangs would hold it up for as long as it likes.
///
/// # Errors
/// As [`runtime`].
pub fn within<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(done)
}
