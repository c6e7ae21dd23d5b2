//! Why an operation on a file or directory of ours failed, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// An operation on a file or directory that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskError {
    /// What was tried, such as `read`.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    pub errno: Errno,
}

impl DiskError {
    /// An error of this action on this path.
    #[must_use]
    pub fn new(action: &'static str, path: impl Into<PathBuf>, errno: Errno) -> Self {
        Self { action, path: path.into(), errno }
    }

    /// Whether permission is what is missing ([Commands and exit codes](crate::cli#commands-and-exit-codes): exit 2 in `plan`, never
    /// "due").
    #[must_use]
    pub fn denied(&self) -> bool {
        matches!(self.errno, Errno::ACCESS | Errno::PERM)
    }

    /// The same as a failure of a stage.
    #[must_use]
    pub fn failure(&self, stage: Stage) -> Failure {
        let code = match self.errno {
            Errno::NOSPC | Errno::DQUOT => Code::DiskFull,
            Errno::LOOP => Code::LinkRefused,
            _ if self.denied() => Code::Permission,
            _ => Code::Disk,
        };
        Failure::new(stage, code, self.to_string()).hint(self.hint())
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let path = self.path.display();
        match self.errno {
            Errno::ACCESS | Errno::PERM => format!(
                "run omens as the owner of {path}, usually root; a group or owner in the settings needs the right to give files away"
            ),
            Errno::NOSPC | Errno::DQUOT => "make room on that file system; what is in use goes on serving".to_owned(),
            Errno::ROFS => format!("{path} is on a read-only file system; under systemd see ReadWritePaths= and StateDirectory="),
            Errno::LOOP => format!("omens follows no symbolic link here, and did not make {path}; look where it leads, and move it away"),
            Errno::NOTDIR => {
                format!("where the settings name {path}, let them name a directory; elsewhere omens did not make it: move it away")
            }
            Errno::ISDIR | Errno::EXIST | Errno::NOTSUP | Errno::INVAL => format!("omens did not make what lies at {path}; move it away"),
            Errno::BUSY => format!("{path} may be a mount point: `findmnt` has those that there are, and `umount` takes it away"),
            Errno::IO => "the disk reports an error; see the kernel's log".to_owned(),
            _ => format!("look at {path}; what is in use goes on serving"),
        }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.errno {
            Errno::LOOP => "it is a symbolic link, which is refused".to_owned(),
            Errno::NOTDIR => "it is no directory".to_owned(),
            Errno::FBIG => "it is larger than any file that omens makes".to_owned(),
            Errno::NOTSUP => "expected a regular file, found something else".to_owned(),
            Errno::INVAL if self.action.contains("link") => "expected a link to a generation, found something else".to_owned(),
            errno => std::io::Error::from(errno).to_string(),
        };
        write!(f, "cannot {} {}: {what}", self.action, self.path.display())
    }
}

impl std::error::Error for DiskError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_busy_may_be_a_mount_point() {
        let busy = DiskError::new("remove", "/run/omens/web/gen-3/key.pem", Errno::BUSY).failure(Stage::Publish);
        let hint = busy.hint.unwrap();
        assert!(hint.starts_with("/run/omens/web/gen-3/key.pem may be a mount point: ") && hint.contains("`umount`"), "{hint}");
        assert_eq!(busy.code, Code::Disk);
    }
}
