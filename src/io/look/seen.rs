//! What is seen of a file, or why nothing is.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::model::clock::Time;

/// Why something could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// There is nothing.
    #[error("{} does not exist", .0.display())]
    Absent(PathBuf),
    /// It may not be read.
    #[error("{} may not be read", .0.display())]
    Denied(PathBuf),
    /// It is something else.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Kind {
        /// What was looked at.
        path: PathBuf,
        /// What was expected there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// It is too large.
    #[error("{}: larger than {limit} bytes", path.display())]
    TooLarge {
        /// What was looked at.
        path: PathBuf,
        /// How much would have been read.
        limit: u64,
    },
    /// Anything else.
    #[error("{}: {why}", path.display())]
    Other {
        /// What was looked at.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

impl LookError {
    pub(super) fn of(path: &Path, errno: Errno) -> Self {
        let path = path.to_path_buf();
        match errno {
            Errno::NOENT | Errno::NOTDIR => Self::Absent(path),
            Errno::ACCESS | Errno::PERM => Self::Denied(path),
            Errno::LOOP => Self::Other { path, why: "too many symbolic links".to_owned() },
            errno => Self::Other { path, why: std::io::Error::from(errno).to_string() },
        }
    }

    /// Whether there is simply nothing.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent(_))
    }
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

impl Kind {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::File => "a regular file",
            Self::Directory => "a directory",
            Self::Link => "a symbolic link",
            Self::Other => "a device, socket or pipe",
        }
    }
}

/// What is known of a file besides its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// When its content last changed.
    pub modified: Time,
    /// Device and inode: what is the same file under two names.
    pub inode: (u64, u64),
}

/// One step on the way to a file: a directory that is passed or a link that is followed, and at last the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it lies, links on the way to it resolved.
    pub path: PathBuf,
    /// What it is.
    pub meta: Meta,
}
