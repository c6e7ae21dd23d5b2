//! Why a file was not read, and what to do about it. It must never hold what was in the file.

use crate::model::code::Code;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file was not read. The path is in every text, the operating system's own words in the source.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing of that name.
    #[error("{}: no such file or directory", .0.display())]
    NotFound(PathBuf),
    /// The caller may not open it.
    #[error("{}: permission denied", .0.display())]
    Denied(PathBuf),
    /// There, but not what was asked for.
    #[error("{} is {found}, expected {expected}", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// What would be right.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// More bytes than anything of its kind has.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// Others could have written it, or can read it.
    #[error("{} {why}", path.display())]
    Unsafe {
        /// The file or the directory above it.
        path: PathBuf,
        /// What is wrong with its owner or mode.
        why: String,
        /// The command that puts it right.
        remedy: String,
    },
    /// A secret without content, or with content no secret has.
    #[error("{} {why}", path.display())]
    Content {
        /// The path.
        path: PathBuf,
        /// What is wrong; never the content.
        why: &'static str,
    },
    /// `credential:NAME` without a credentials directory.
    #[error("credential \"{0}\" cannot be read: CREDENTIALS_DIRECTORY is not set")]
    NoCredentials(String),
    /// Anything else.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ReadError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound(path),
            io::ErrorKind::PermissionDenied => Self::Denied(path),
            _ => Self::Io { what, path, source },
        }
    }

    /// Whether there is no such file.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// Whether the caller may not read it.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }

    /// The stable word for reports: `permissions` for what others could change or read, `unreadable` for the rest.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unsafe { .. } => Code::Permissions,
            _ => Code::Unreadable,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound(path) => format!("create {} or name another file", path.display()),
            Self::Denied(path) => format!("run as root, or as the user who may read {}", path.display()),
            Self::Kind { expected, .. } => format!("name {expected}"),
            Self::TooLarge { .. } => "name the right file".to_owned(),
            Self::Unsafe { remedy, .. } => remedy.clone(),
            Self::Content { path, .. } => format!("write the plain value into {}, one line", path.display()),
            Self::NoCredentials(name) => format!("start omens from a unit with LoadCredential={name}:FILE, or use file:FILE"),
            Self::Io { .. } => "look at the file system and the kernel log".to_owned(),
        }
    }
}
