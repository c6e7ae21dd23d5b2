//! The way to a file that is trusted: each directory on it, and who owns it or may write to it.
#![expect(clippy::disallowed_methods, reason = "this is how files are found that say what is done as root")]

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use super::ReadError;

/// As many symbolic links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

pub(super) const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Resolves a path as the kernel does, one component after the other, and refuses a directory on the way that others own or can write to.
pub(super) fn walk(path: &Path) -> Result<PathBuf, ReadError> {
    let look = |at: &Path| fs::symlink_metadata(at).map_err(|e| ReadError::io("look at", path, e));
    let absolute = std::path::absolute(path).map_err(|e| ReadError::io("find", path, e))?;
    let mut rest: Vec<PathBuf> = absolute.components().rev().map(|c| PathBuf::from(c.as_os_str())).collect();
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    // What is known of `at`.
    let mut seen = None;
    while let Some(next) = rest.pop() {
        match next.components().next() {
            Some(Component::RootDir) => (at, seen) = (PathBuf::from("/"), None),
            Some(Component::ParentDir) => (_, seen) = (at.pop(), None),
            Some(Component::Normal(name)) => {
                let directory = seen.take().map_or_else(|| look(&at), Ok)?;
                refuse_open_directory(&at, &directory)?;
                let here = at.join(name);
                let meta = look(&here)?;
                if !meta.is_symlink() {
                    (at, seen) = (here, Some(meta));
                    continue;
                }
                seen = Some(directory);
                links += 1;
                if links > MAX_LINKS {
                    return Err(ReadError::io("open", path, rustix::io::Errno::LOOP.into()));
                }
                let target = fs::read_link(&here).map_err(|e| ReadError::io("follow", path, e))?;
                rest.extend(target.components().rev().map(|c| PathBuf::from(c.as_os_str())));
            }
            Some(Component::CurDir | Component::Prefix(_)) | None => {}
        }
    }
    Ok(at)
}

/// Who owns a directory can put another file into the place of one in it, and so can whoever may write to it; of a sticky one only its owner.
fn refuse_open_directory(path: &Path, meta: &Metadata) -> Result<(), ReadError> {
    refuse_foreign(path, meta)?;
    if meta.mode() & STICKY != 0 { Ok(()) } else { refuse_writable(path, meta) }
}

/// Who owns a file can write it whatever its mode says: that is root or the caller.
pub(super) fn refuse_foreign(path: &Path, meta: &Metadata) -> Result<(), ReadError> {
    let caller = rustix::process::geteuid().as_raw();
    if meta.uid() == 0 || meta.uid() == caller {
        return Ok(());
    }
    let why = format!("belongs to user {}, expected root or user {caller}", meta.uid());
    Err(ReadError::Unsafe { path: path.to_path_buf(), why, remedy: format!("chown {caller} {}", path.display()) })
}

pub(super) fn refuse_writable(path: &Path, meta: &Metadata) -> Result<(), ReadError> {
    if meta.mode() & (GROUP_WRITE | OTHERS_WRITE) == 0 {
        return Ok(());
    }
    let why = format!("has mode {:04o}, expected that neither group nor others may write to it", meta.mode() & 0o7777);
    Err(ReadError::Unsafe { path: path.to_path_buf(), why, remedy: format!("chmod go-w {}", path.display()) })
}
