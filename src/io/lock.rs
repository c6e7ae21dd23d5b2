//! The lock of the state directory, and the time of the last run that it keeps. It must never wait.
#![expect(clippy::disallowed_methods, reason = "this is the door through which the lock is taken")]

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::dir::{Dir, DiskError};

/// The lock of the state directory: one run at a time. Freed by the kernel whatever ends us.
#[derive(Debug)]
pub struct Lock(OwnedFd);

impl Lock {
    /// Tries to take the lock once; `None` where somebody else has it.
    ///
    /// # Errors
    /// When the lock file cannot be opened, or is a link.
    pub fn try_take(dir: &Dir, name: &str) -> Result<Option<Self>, DiskError> {
        let fail = |errno| DiskError::new("lock", dir.join(name), errno);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600)).map_err(fail)?;
        match rustix::fs::flock(&fd, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(fd))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(fail(errno)),
        }
    }

    /// Tries once to have a directory for oneself: for what is read, changed and written in an instant, while a run may have its lock for long.
    /// Nothing is left behind.
    ///
    /// # Errors
    /// When the file system has no such locks.
    pub fn try_take_directory(dir: &Dir) -> Result<Option<Self>, DiskError> {
        let fail = |errno| DiskError::new("lock the directory", dir.path(), errno);
        // Opened anew: a lock belongs to what was opened, and `dir` may be shared.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, ".", flags, Mode::empty()).map_err(fail)?;
        match rustix::fs::flock(&fd, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(fd))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(fail(errno)),
        }
    }

    /// Notes the time of this run as the lock file's time: all that a run writes where nothing is due and all is as it should be.
    pub fn touch(&self) {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        // The time of the last run is for people; a run does not fail over it.
        rustix::fs::futimens(&self.0, &rustix::fs::Timestamps { last_access: now, last_modification: now }).ok();
    }
}

/// Whether a process holds the lock at this moment. Where none does it is held for the blink of an eye, shared, to find that out.
#[must_use]
pub fn is_held(dir: &Dir, name: &str) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(fd) = rustix::fs::openat(dir, name, flags, Mode::empty()) else { return false };
    rustix::fs::flock(&fd, rustix::fs::FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap().unwrap();
        (temp, dir)
    }

    #[test]
    fn one_holder_of_the_lock_at_a_time() {
        let (_temp, dir) = here();
        assert!(!is_held(&dir, "lock"), "there is none yet");
        let held = Lock::try_take(&dir, "lock").unwrap().unwrap();
        assert!(is_held(&dir, "lock"));
        assert!(Lock::try_take(&dir, "lock").unwrap().is_none());
        drop(held);
        assert!(!is_held(&dir, "lock"));
        assert!(Lock::try_take(&dir, "lock").unwrap().is_some());
    }

    #[test]
    fn one_holder_of_a_directory_at_a_time() {
        let (temp, dir) = here();
        let held = Lock::try_take_directory(&dir).unwrap().unwrap();
        assert!(Lock::try_take_directory(&dir).unwrap().is_none());
        assert!(Lock::try_take(&dir, "lock").unwrap().is_some(), "the lock of a run is another one");
        drop(held);
        assert!(Lock::try_take_directory(&dir).unwrap().is_some());
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_place_of_the_lock_is_refused() {
        let (temp, dir) = here();
        std::os::unix::fs::symlink(temp.path().join("elsewhere"), temp.path().join("lock")).unwrap();
        assert_eq!(Lock::try_take(&dir, "lock").unwrap_err().errno, Errno::LOOP);
        assert!(!temp.path().join("elsewhere").exists());
    }
}
