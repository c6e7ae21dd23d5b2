//! Who may read a key where it rests. Only reads.

use crate::io::dir::{Dir, DiskError};
use crate::model::layout;

/// Why others than its owner may read this file of the state directory, in words ([Owners and modes](crate::steps::swap#owners-and-modes)).
pub(super) fn loose(dir: &Dir, file: &str) -> Result<Option<String>, DiskError> {
    let mode = dir.mode(file)?.unwrap_or(layout::SECRET_MODE);
    let text = || format!("{} has mode {mode:04o}, expected {:04o}: it holds a private key", dir.join(file).display(), layout::SECRET_MODE);
    Ok((mode & 0o077 != 0).then(text))
}
