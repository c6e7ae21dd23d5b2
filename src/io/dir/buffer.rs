//! Room that one file after the other is read into, for what is looked at and not kept.

use zeroize::Zeroizing;

/// A file that was glanced at.
#[derive(Clone, Copy, Debug)]
pub struct Glance<'b> {
    /// Its bytes.
    pub bytes: &'b [u8],
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Room that one file after the other is read into; wiped when dropped, since some of them are keys.
#[derive(Default)]
pub struct Buffer(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").finish_non_exhaustive()
    }
}

impl Buffer {
    pub(super) fn of(&mut self, size: usize) -> &mut [u8] {
        if self.0.len() < size {
            self.0 = Zeroizing::new(vec![0; size.max(super::ROOM)]);
        }
        self.0.get_mut(..size).unwrap_or_default()
    }
}
