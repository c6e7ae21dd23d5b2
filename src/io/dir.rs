//! Reading through directory descriptors: what was opened is what is read, whatever a path means a moment later.
//! A symbolic link is never followed here, and nothing is ever changed.
#![expect(clippy::disallowed_methods, reason = "this is the door through which our own trees are read")]

mod buffer;
mod content;
mod error;
mod owner;
mod room;
mod same;
mod stamp;
mod tick;

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;
use zeroize::Zeroizing;

pub use buffer::{Buffer, Glance};
pub use content::Content;
pub use error::DiskError;
pub use stamp::Stamp;
pub use tick::Tick;

/// The largest file of our own that is read: a chain of RSA-4096 certificates stays far below.
pub const OWN_FILE: usize = 4 << 20;

/// Room for the names that the kernel gives at once, and for a file that is glanced at.
const ROOM: usize = 4096;

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of linux/magic.h.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// What a name in a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory by path; its last component must not be a link. `None` where it does not exist.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Option<Self>, DiskError> {
        Self::open_at(CWD, path, path.to_path_buf())
    }

    fn open_at(at: BorrowedFd<'_>, name: &Path, path: PathBuf) -> Result<Option<Self>, DiskError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(at, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            // With O_DIRECTORY a link is "not a directory"; people want to know that it is a link.
            Err(Errno::NOTDIR) if is_link(at, name) => Err(DiskError::new("open the directory", path, Errno::LOOP)),
            Err(errno) => Err(DiskError::new("open the directory", path, errno)),
        }
    }

    /// The directory `name` in this one, `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or is no directory.
    pub fn child(&self, name: &str) -> Result<Option<Self>, DiskError> {
        Self::open_at(self.fd.as_fd(), Path::new(name), self.join(name))
    }

    /// The path of a name in this directory, for messages and for what consumers are told.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The path this directory was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the regular file `name` whole, `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read, is a link, no regular file, or larger than any file of ours.
    pub fn read(&self, name: &str) -> Result<Option<Content>, DiskError> {
        let Some((fd, stat, size)) = self.open_file(name)? else { return Ok(None) };
        let mut bytes = Zeroizing::new(vec![0_u8; size]);
        let filled = fill(&fd, &mut bytes).map_err(|errno| DiskError::new("read", self.join(name), errno))?;
        bytes.truncate(filled);
        Ok(Some(Content { bytes, mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid }))
    }

    /// The same into room that is used again: for what is looked at and not kept.
    ///
    /// # Errors
    /// The same.
    pub fn glance<'b>(&self, name: &str, buffer: &'b mut Buffer) -> Result<Option<Glance<'b>>, DiskError> {
        let Some((fd, stat, size)) = self.open_file(name)? else { return Ok(None) };
        let room = buffer.of(size);
        let filled = fill(&fd, room).map_err(|errno| DiskError::new("read", self.join(name), errno))?;
        let bytes = room.get(..filled).unwrap_or_default();
        Ok(Some(Glance { bytes, mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid }))
    }

    /// A regular file, open for reading, and its size.
    fn open_file(&self, name: &str) -> Result<Option<(OwnedFd, rustix::fs::Stat, usize)>, DiskError> {
        let fail = |errno| DiskError::new("read", self.join(name), errno);
        // NONBLOCK: a pipe somebody put here must not hang us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(fail(errno)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(fail)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(fail(Errno::NOTSUP));
        }
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if size > OWN_FILE { Err(fail(Errno::FBIG)) } else { Ok(Some((fd, stat, size))) }
    }

    /// What the link `name` says, `None` where there is nothing.
    ///
    /// # Errors
    /// When it is no link or cannot be read.
    pub fn link(&self, name: &str) -> Result<Option<String>, DiskError> {
        match rustix::fs::readlinkat(&self.fd, name, Vec::new()) {
            Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(DiskError::new("read the link", self.join(name), errno)),
        }
    }

    /// Whether `name` is a link with this text.
    ///
    /// # Errors
    /// When it is no link or cannot be read.
    pub fn links_to(&self, name: &str, target: &str) -> Result<bool, DiskError> {
        Ok(self.link(name)?.as_deref() == Some(target))
    }

    /// What `name` is, without following it; `None` where there is nothing.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn kind(&self, name: &str) -> Result<Option<Kind>, DiskError> {
        Ok(self.stat(name)?.map(|stat| match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Directory,
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        }))
    }

    /// When `name` was last written, in seconds since 1970.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn modified(&self, name: &str) -> Result<Option<i64>, DiskError> {
        Ok(self.stat(name)?.map(|stat| stat.st_mtime))
    }

    /// The mode bits of the regular file `name`, `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn mode(&self, name: &str) -> Result<Option<u32>, DiskError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(Some(stat.st_mode & 0o7777)),
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(DiskError::new("look at", self.join(name), errno)),
        }
    }

    /// Whether what is written here stays in memory: tmpfs or ramfs, by the word of the kernel about this open directory.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn is_memory_backed(&self) -> Result<bool, DiskError> {
        Ok(self.file_system()?.is_some_and(|kind| IN_MEMORY.contains(&kind)))
    }

    /// Which kind of file system it lies on, by the number of linux/magic.h.
    fn file_system(&self) -> Result<Option<u64>, DiskError> {
        let found = rustix::fs::fstatfs(&self.fd).map_err(|errno| DiskError::new("ask for the file system of", &self.path, errno))?;
        Ok(u64::try_from(found.f_type).ok())
    }

    /// How much can still be written on the file system of this directory, in bytes; `None` where it does not say.
    ///
    /// # Errors
    /// When the system refuses to say.
    pub fn room(&self) -> Result<Option<u64>, DiskError> {
        let found = rustix::fs::fstatvfs(&self.fd).map_err(|errno| DiskError::new("ask for the room beside", &self.path, errno))?;
        Ok((found.f_blocks > 0).then(|| found.f_bfree.saturating_mul(found.f_frsize)))
    }

    fn stat(&self, name: &str) -> Result<Option<rustix::fs::Stat>, DiskError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            // Below what is no directory there is nothing.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(DiskError::new("look at", self.join(name), errno)),
        }
    }

    /// All names in this directory, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, DiskError> {
        let fail = |errno| DiskError::new("list", &self.path, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(fail)? {
            names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
        }
        names.retain(|name| name != "." && name != "..");
        names.sort();
        Ok(names)
    }

    /// Every name in this directory in no order, without `.` and `..`, through this very descriptor: nobody else lists it meanwhile. With
    /// each comes whether a directory can be behind it, as far as the file system says that without being asked.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn each_name(&mut self, mut each: impl FnMut(&str, bool)) -> Result<(), DiskError> {
        let fail = |errno| DiskError::new("list", &self.path, errno);
        rustix::fs::seek(&self.fd, SeekFrom::Start(0)).map_err(fail)?;
        let mut room = [MaybeUninit::<u8>::uninit(); ROOM];
        let mut entries = RawDir::new(&self.fd, &mut room);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy();
            if !matches!(&*name, "." | "..") {
                each(&name, matches!(entry.file_type(), FileType::Directory | FileType::Unknown));
            }
        }
        Ok(())
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn is_link(at: BorrowedFd<'_>, name: &Path) -> bool {
    let stat = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

/// Reads until the room is full or the file ends, and says how much that was. The room never grows: a reallocation would leave a copy of
/// a key behind.
fn fill(fd: &OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(fd, rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_which_directories_are_in_memory() {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let mut seen = [false; 2];
        for mount in mounts.lines() {
            let (path, kind) = (mount.split(' ').nth(1).unwrap(), mount.split(' ').nth(2).unwrap());
            // Something may be mounted over it, or hidden from us.
            let last = mounts.lines().rfind(|other| other.split(' ').nth(1) == Some(path)) == Some(mount);
            let Some(dir) = Dir::open(Path::new(path)).ok().flatten().filter(|_| last) else { continue };
            let expected = matches!(kind, "tmpfs" | "ramfs");
            if !matches!(kind, "devtmpfs" | "autofs") {
                assert_eq!(dir.is_memory_backed().unwrap(), expected, "{mount}");
                seen[usize::from(expected)] = true;
            }
        }
        assert!(seen[0], "no file system on a disk was looked at");
    }
}
