//! What is to be written of a document of ours, as JSON. There is nothing to fall back to where it cannot be said so.

use rustix::io::Errno;
use serde::Serialize;

use crate::io::dir::{Dir, DiskError};

/// The bytes of `name`, for people too.
///
/// # Errors
/// When it cannot be said in JSON.
pub fn json(dir: &Dir, name: &str, document: &impl Serialize) -> Result<Vec<u8>, DiskError> {
    serde_json::to_vec_pretty(document).map_err(|_| not_json(dir, name))
}

/// The same on one line: for what programs alone read.
///
/// # Errors
/// The same.
pub fn compact(dir: &Dir, name: &str, document: &impl Serialize) -> Result<Vec<u8>, DiskError> {
    serde_json::to_vec(document).map_err(|_| not_json(dir, name))
}

/// A document that cannot be said in JSON.
#[must_use]
pub fn not_json(dir: &Dir, name: &str) -> DiskError {
    DiskError::new("write as JSON", dir.join(name), Errno::INVAL)
}
