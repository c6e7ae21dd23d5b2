//! The event loop that a command waits in: for servers, services and deadlines.

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
