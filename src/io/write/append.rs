//! Files that only grow.

use rustix::fs::{Mode, OFlags};

use super::{sync, write_all};
use crate::io::dir::{Dir, DiskError};

/// Appends lines to a file, each with its newline, in one write. A torn last line of a killed run is ended first
/// ([Ledger](crate::steps::swap#ledger)).
///
/// # Errors
/// When the file cannot be opened, written or flushed.
pub fn append(dir: &Dir, name: &str, lines: &str, flush: bool) -> Result<(), DiskError> {
    let fail = |errno| DiskError::new("append to", dir.join(name), errno);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600)).map_err(fail)?;
    let size = u64::try_from(rustix::fs::fstat(&fd).map_err(fail)?.st_size).unwrap_or(0);
    if size == 0 {
        sync(dir)?;
    }
    let mut last = [b'\n'];
    if let Some(end) = size.checked_sub(1) {
        rustix::io::pread(&fd, &mut last, end).map_err(fail)?;
    }
    let torn = if last == [b'\n'] { "" } else { "\n" };
    write_all(&fd, format!("{torn}{lines}").as_bytes()).map_err(fail)?;
    if flush {
        rustix::fs::fsync(&fd).map_err(fail)?;
    }
    Ok(())
}
