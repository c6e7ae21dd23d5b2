//! Whether a directory can be written to at all. Only looks.

use rustix::fs::{Access, AtFlags};
use rustix::io::Errno;

use super::Dir;

impl Dir {
    /// Why nothing can be written here by whoever may write, in words: read-only, immutable, or full.
    #[must_use]
    pub fn refuses_writing(&self) -> Option<String> {
        let path = self.path.display();
        match rustix::fs::accessat(&self.fd, ".", Access::WRITE_OK, AtFlags::EACCESS) {
            Err(Errno::ROFS) => return Some(format!("{path} is on a file system that is read-only: no run can write its state")),
            Err(Errno::PERM) => return Some(format!("{path} is immutable: no run can write its state")),
            // Somebody who may not write asks; a run is another user's.
            Err(_) | Ok(()) => {}
        }
        let room = rustix::fs::fstatvfs(&self.fd).ok()?;
        // Some file systems count no inodes.
        let is_full = room.f_bavail == 0 || (room.f_files > 0 && room.f_favail == 0);
        is_full.then(|| format!("the file system of {path} is full: no run can write its state"))
    }
}
