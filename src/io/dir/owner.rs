//! Whose a directory is, and whose the one above it.

use rustix::fs::AtFlags;

use super::{Dir, DiskError};

/// A directory and those above it.
const UP: [&str; 3] = [".", "..", "../.."];

impl Dir {
    /// Mode bits and owner of this directory itself.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn owner(&self) -> Result<(u32, u32, u32), DiskError> {
        let stat = rustix::fs::fstat(&self.fd).map_err(|errno| DiskError::new("look at", &self.path, errno))?;
        Ok((stat.st_mode & 0o7777, stat.st_uid, stat.st_gid))
    }

    /// The user that the directory above it belongs to.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn owner_above(&self) -> Result<u32, DiskError> {
        let stat = rustix::fs::statat(&self.fd, "..", AtFlags::SYMLINK_NOFOLLOW);
        stat.map(|stat| stat.st_uid).map_err(|errno| DiskError::new("look at", self.join(".."), errno))
    }

    /// Why others than its owner could exchange what lies in it, by its mode and those of so many directories above it, two at most.
    ///
    /// # Errors
    /// When one cannot be looked at.
    pub fn told_writable(&self, above: usize) -> Result<Option<String>, DiskError> {
        for (relative, path) in UP.iter().zip(self.path.ancestors()).take(above.saturating_add(1)) {
            let stat = rustix::fs::statat(&self.fd, *relative, AtFlags::SYMLINK_NOFOLLOW);
            let mode = stat.map_err(|errno| DiskError::new("look at", path, errno))?.st_mode & 0o7777;
            if mode & 0o022 != 0 {
                return Ok(Some(format!("{} may be written by others: mode {mode:04o}", path.display())));
            }
        }
        Ok(None)
    }

    /// The user that it belongs to, where that is not the one of this process.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn foreign_owner(&self) -> Result<Option<u32>, DiskError> {
        let (_, uid, _) = self.owner()?;
        Ok((uid != rustix::process::geteuid().as_raw()).then_some(uid))
    }

    /// What is told of it where it belongs to the user `found`: whoever owns a directory can put something else in the place of what lies in it.
    #[must_use]
    pub fn told_foreign(&self, found: u32, expected: impl std::fmt::Display) -> String {
        format!("{} belongs to the user {found}, expected {expected}: its owner can exchange what lies in it", self.path.display())
    }
}
