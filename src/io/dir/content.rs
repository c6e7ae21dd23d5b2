//! What was read of a file.

use std::fmt;

use zeroize::Zeroizing;

use super::Glance;

/// A file as it was read.
pub struct Content {
    /// Its bytes, wiped when dropped, since it may hold a key.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What is in it may be a key.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, mode, uid, gid } = self;
        write!(f, "Content {{ {} bytes, mode {mode:04o}, {uid}:{gid} }}", bytes.len())
    }
}

impl Content {
    /// The same without a copy of its own.
    #[must_use]
    pub fn as_glance(&self) -> Glance<'_> {
        Glance { bytes: &self.bytes, mode: self.mode, uid: self.uid, gid: self.gid }
    }
}
