//! The end of a file that held a secret: its bytes are overwritten before its name goes.
#![expect(clippy::disallowed_methods, reason = "a door: opens what is to be overwritten")]

use rustix::fs::{Mode, OFlags};

use super::write_all;
use crate::io::dir::{Dir, DiskError, Kind};

/// Overwrites a file with zeros and flushes it, before it is removed. A file with a second name is left as it is: that one is somebody's.
/// What a file system or a drive keeps of earlier bytes is beyond us (copy-on-write, flash).
///
/// # Errors
/// When it cannot be written. Nothing there is fine, and so is what is no regular file.
pub fn wipe(dir: &Dir, name: &str) -> Result<(), DiskError> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if dir.kind(name)? != Some(Kind::File) {
        return Ok(());
    }
    let wiped = rustix::fs::openat(dir, name, flags, Mode::empty()).and_then(|fd| {
        let stat = rustix::fs::fstat(&fd)?;
        if stat.st_nlink > 1 {
            return Ok(());
        }
        write_all(&fd, &vec![0; usize::try_from(stat.st_size).unwrap_or_default()])?;
        rustix::fs::fsync(&fd)
    });
    wiped.map_err(|errno| DiskError::new("overwrite", dir.join(name), errno))
}
