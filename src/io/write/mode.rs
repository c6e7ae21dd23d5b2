//! Mode and owner of what is there already.

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::Ownership;
use crate::io::dir::{Dir, DiskError};

/// Sets the mode of a regular file; a link is not followed.
///
/// # Errors
/// When it cannot be opened, or is another user's.
pub fn set_mode(dir: &Dir, name: &str, mode: u32) -> Result<(), DiskError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::empty());
    fd.and_then(|fd| rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode)))
        .map_err(|errno| DiskError::new("set the mode of", dir.join(name), errno))
}

/// Mode first: with CAP_CHOWN alone a chmod after the chown fails ([Owners](crate::io#owners)).
pub(super) fn give(fd: impl std::os::fd::AsFd + Copy, mode: u32, owner: Ownership) -> Result<(), Errno> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))?;
    let (uid, gid) = (owner.uid.map(Uid::from_raw), owner.gid.map(Gid::from_raw));
    if owner == Ownership::default() { Ok(()) } else { rustix::fs::fchown(fd, uid, gid) }
}
