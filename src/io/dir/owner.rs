//! Whose a directory is, and whose the one above it.

use rustix::fs::AtFlags;

use super::{Dir, DiskError};

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
