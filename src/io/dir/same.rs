//! Whether two names are one file.

use super::{Dir, DiskError};

impl Dir {
    /// Whether both names in this directory are names of one file, or one link; what is not there is none.
    ///
    /// # Errors
    /// When one of them cannot be looked at.
    pub fn is_one_file(&self, name: &str, other: &str) -> Result<bool, DiskError> {
        let (Some(one), Some(other)) = (self.stat(name)?, self.stat(other)?) else { return Ok(false) };
        Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
    }
}
