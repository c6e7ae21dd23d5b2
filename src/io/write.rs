//! The only code that changes files: new names only, written through directory descriptors, flushed in the order of the swap.
//! It never follows a link, never rewrites a file in place and never removes what it was not asked to.
#![expect(clippy::disallowed_methods, reason = "this is the door through which files are changed")]

mod append;
mod document;
mod mode;
mod wipe;

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::dir::{Dir, DiskError, Kind};
use crate::model::anchor::hex;
pub use append::append;
pub use document::{compact, json, not_json};
use mode::give;
pub use mode::set_mode;
pub use wipe::wipe;

/// Who owns a new file, where that is not simply us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
}

/// Opens the directory, making it (and what is missing above it) with `mode`.
///
/// # Errors
/// When it cannot be made or opened, or a link stands in its place.
pub fn make_path(path: &Path, mode: u32) -> Result<Dir, DiskError> {
    if let Some(dir) = Dir::open(path)? {
        let (has, uid, _) = dir.owner()?;
        // What others made looser than it should be (systemd's StateDirectory= has 0755) is closed, and what they closed is opened, if it is ours.
        if has & 0o777 != mode && uid == rustix::process::geteuid().as_raw() {
            rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode)).map_err(|errno| DiskError::new("set the mode of", path, errno))?;
        }
        return Ok(dir);
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|p| rustix::fs::stat(*p).is_err()) {
        make_path(parent, 0o755)?;
    }
    match rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(DiskError::new("make the directory", path, errno)),
    }
    let dir = Dir::open(path)?.ok_or_else(|| DiskError::new("open the directory", path, Errno::NOENT))?;
    // mkdir's mode goes through the umask.
    rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode)).map_err(|errno| DiskError::new("set the mode of", path, errno))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(&dir, "..", flags, Mode::empty())
        .and_then(rustix::fs::fsync)
        .map_err(|errno| DiskError::new("flush the directory above", path, errno))?;
    Ok(dir)
}

/// The directory `name` in `parent`, made with `mode` and owner if it is not there. The bool says whether it was made.
///
/// # Errors
/// When it cannot be made, or something else stands in its place.
pub fn make_dir(parent: &Dir, name: &str, mode: u32, owner: Ownership) -> Result<(Dir, bool), DiskError> {
    let made = match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(errno) => return Err(DiskError::new("make the directory", parent.join(name), errno)),
    };
    let dir = parent.child(name)?.ok_or_else(|| DiskError::new("open the directory", parent.join(name), Errno::NOENT))?;
    let (has_mode, uid, gid) = dir.owner()?;
    // What is right already takes no capability.
    let other = Ownership { uid: owner.uid.filter(|u| *u != uid), gid: owner.gid.filter(|g| *g != gid) };
    if has_mode != mode || other != Ownership::default() {
        give(&dir, mode, other).map_err(|errno| DiskError::new("set mode and owner of", parent.join(name), errno))?;
    }
    Ok((dir, made))
}

/// Writes a file that must not exist yet and flushes it; its directory is the caller's to flush.
///
/// # Errors
/// When anything of that fails; a half-written file is removed.
pub fn write_new(dir: &Dir, name: &str, bytes: &[u8], mode: u32, owner: Ownership) -> Result<(), DiskError> {
    create(dir, name, bytes, mode, owner, |fd| rustix::fs::fsync(fd))
}

/// The same, unflushed: for what nobody asks for any more after a power cut.
///
/// # Errors
/// As [`write_new`].
pub fn write_passing(dir: &Dir, name: &str, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    create(dir, name, bytes, mode, Ownership::default(), |_| Ok(()))
}

type Flush = fn(&OwnedFd) -> Result<(), Errno>;

fn create(dir: &Dir, name: &str, bytes: &[u8], mode: u32, owner: Ownership, flush: Flush) -> Result<(), DiskError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| DiskError::new("create", dir.join(name), errno))?;
    let written = write_all(&fd, bytes).and_then(|()| give(&fd, mode, owner)).and_then(|()| flush(&fd));
    written.map_err(|errno| {
        rustix::fs::unlinkat(dir, name, AtFlags::empty()).ok();
        DiskError::new("write", dir.join(name), errno)
    })
}

fn write_all(fd: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Sixteen hexadecimal digits that nobody can have guessed.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random_digits() -> Result<String, Errno> {
    // Straight from the kernel: the first random byte of aws-lc costs 20 ms of its own seeding, which a run with nothing due need not pay.
    let mut random = [0_u8; 8];
    match rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())? {
        8 => Ok(hex(&random)),
        _ => Err(Errno::IO),
    }
}

/// The name of what is renamed into place: `.NAME.RANDOM`.
fn temporary(name: &str) -> Result<String, Errno> {
    Ok(format!(".{name}.{}", random_digits()?))
}

/// Replaces a small file in one step and flushes file and directory. A link at its place is refused, not replaced.
///
/// # Errors
/// When any step fails; the old content stays then.
pub fn replace_file(dir: &Dir, name: &str, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    refuse_link(dir, name)?;
    replace_any(dir, name, bytes, mode, Ownership::default())
}

/// [`replace_file`] without a flush of the directory, for what may be lost in a power cut: after one the old content is there or the new one,
/// never half of it.
///
/// # Errors
/// When any step fails; the old content stays then.
pub fn replace_unflushed(dir: &Dir, name: &str, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    refuse_link(dir, name)?;
    let fail = |errno| DiskError::new("write", dir.join(name), errno);
    let temporary = temporary(name).map_err(fail)?;
    create(dir, &temporary, bytes, mode, Ownership::default(), |file| rustix::fs::fdatasync(file))?;
    rename(dir, &temporary, name)
}

/// [`replace_file`] without any flush, for what is as good as absent where it is damaged: after a power cut anything may be there.
///
/// # Errors
/// When any step fails; the old content stays then.
pub fn replace_unkept(dir: &Dir, name: &str, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    refuse_link(dir, name)?;
    let temporary = temporary(name).map_err(|errno| DiskError::new("name a temporary file for", dir.join(name), errno))?;
    create(dir, &temporary, bytes, mode, Ownership::default(), |_| Ok(()))?;
    rename(dir, &temporary, name).inspect_err(|_| {
        rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty()).ok();
    })
}

/// [`replace_file`] for a consumer's own directory: a link at its place is replaced, never followed
/// ([Install](crate::steps::swap#install)).
///
/// # Errors
/// When any step fails; the old content stays then.
pub fn replace_any(dir: &Dir, name: &str, bytes: &[u8], mode: u32, owner: Ownership) -> Result<(), DiskError> {
    let temporary = temporary(name).map_err(|errno| DiskError::new("name a temporary file for", dir.join(name), errno))?;
    write_new(dir, &temporary, bytes, mode, owner)?;
    rename(dir, &temporary, name).inspect_err(|_| {
        rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty()).ok();
    })?;
    sync(dir)
}

/// Makes the link `name` say `target` in one step and flushes the directory; whatever file or link had that name is replaced.
///
/// # Errors
/// When any step fails. A failed flush after the rename means: published, not known to be durable ([File systems](crate::io#file-systems)).
pub fn replace_link(dir: &Dir, name: &str, target: &str) -> Result<(), DiskError> {
    let fail = |errno| DiskError::new("make the link", dir.join(name), errno);
    let temporary = temporary(name).map_err(fail)?;
    rustix::fs::symlinkat(target, dir, temporary.as_str()).map_err(fail)?;
    rename(dir, &temporary, name).inspect_err(|_| {
        rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty()).ok();
    })?;
    sync(dir)
}

/// Gives a file or link a second name, which must be free: it stays reachable when its first name is replaced.
///
/// # Errors
/// What the system says; `EXIST` where the second name is taken.
pub fn keep_aside(dir: &Dir, name: &str, aside: &str) -> Result<(), DiskError> {
    rustix::fs::linkat(dir, name, dir, aside, AtFlags::empty()).map_err(|errno| DiskError::new("keep aside as", dir.join(aside), errno))
}

/// Renames within one directory, replacing what is at `to`. The directory is the caller's to flush.
///
/// # Errors
/// What the system says.
pub fn rename(dir: &Dir, from: &str, to: &str) -> Result<(), DiskError> {
    rustix::fs::renameat(dir, from, dir, to).map_err(|errno| DiskError::new("rename to", dir.join(to), errno))
}

/// Puts the directory `from` at `to`; what was at `to` is at `from` afterwards. One step where the file system can exchange names.
///
/// # Errors
/// What the system says.
pub fn exchange(dir: &Dir, from: &str, to: &str) -> Result<(), DiskError> {
    match rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        Err(Errno::NOENT) => rename(dir, from, to),
        // Old kernels and some file systems cannot (io/host.md, "File systems"): two renames then.
        Err(Errno::INVAL | Errno::NOSYS | Errno::XDEV) => {
            let aside = format!("{from}.old");
            rename(dir, to, &aside)?;
            rename(dir, from, to)?;
            rename(dir, &aside, from)
        }
        Err(errno) => Err(DiskError::new("exchange", dir.join(to), errno)),
    }
}

/// Flushes a directory: the names in it survive a power cut from here on.
///
/// # Errors
/// What the system says.
pub fn sync(dir: &Dir) -> Result<(), DiskError> {
    rustix::fs::fsync(dir).map_err(|errno| DiskError::new("flush the directory", dir.path(), errno))
}

/// Removes a file, link, or directory with all that is in it; nothing there is fine. Links are removed, not followed.
///
/// # Errors
/// When something cannot be removed.
pub fn remove(dir: &Dir, name: &str) -> Result<(), DiskError> {
    if dir.kind(name)? == Some(Kind::Directory) {
        if let Some(inner) = dir.child(name)? {
            for entry in inner.names()? {
                remove(&inner, &entry)?;
            }
        }
        return unlink(dir, name, AtFlags::REMOVEDIR);
    }
    unlink(dir, name, AtFlags::empty())
}

fn unlink(dir: &Dir, name: &str, flags: AtFlags) -> Result<(), DiskError> {
    match rustix::fs::unlinkat(dir, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(DiskError::new("remove", dir.join(name), errno)),
    }
}

/// An error where a link stands at a path of ours.
///
/// # Errors
/// When `name` is a link.
pub fn refuse_link(dir: &Dir, name: &str) -> Result<(), DiskError> {
    if dir.kind(name)? == Some(Kind::Link) {
        return Err(DiskError::new("use", dir.join(name), Errno::LOOP));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap().unwrap();
        (temp, dir)
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_one() {
        let (temp, dir) = here();
        std::fs::write(temp.path().join("l"), "{\"a\":1}\n{\"b\"").unwrap();
        append(&dir, "l", "{\"c\":3}\n", true).unwrap();
        append(&dir, "l", "{\"d\":4}\n", false).unwrap();
        assert_eq!(std::fs::read_to_string(temp.path().join("l")).unwrap(), "{\"a\":1}\n{\"b\"\n{\"c\":3}\n{\"d\":4}\n");
    }

    #[test]
    fn a_link_at_a_path_of_ours_is_refused_and_its_target_untouched() {
        let (temp, dir) = here();
        let target = temp.path().join("target");
        std::fs::write(&target, "mine").unwrap();
        std::os::unix::fs::symlink(&target, temp.path().join("state.json")).unwrap();
        assert_eq!(replace_file(&dir, "state.json", b"x", 0o600).unwrap_err().errno, Errno::LOOP);
        assert_eq!(append(&dir, "state.json", "x\n", true).unwrap_err().errno, Errno::LOOP);
        assert!(write_new(&dir, "state.json", b"x", 0o600, Ownership::default()).is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
    }

    #[test]
    fn a_copy_replaces_a_link_and_never_follows_it() {
        let (temp, dir) = here();
        let target = temp.path().join("target");
        std::fs::write(&target, "theirs").unwrap();
        std::os::unix::fs::symlink(&target, temp.path().join("copy")).unwrap();
        replace_any(&dir, "copy", b"ours", 0o640, Ownership::default()).unwrap();
        assert_eq!(dir.kind("copy").unwrap(), Some(Kind::File));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "theirs");
        assert_eq!(dir.read("copy").unwrap().unwrap().mode, 0o640);
    }

    #[test]
    fn links_are_swapped_in_one_step_and_leave_no_temporary_name() {
        let (_temp, dir) = here();
        replace_link(&dir, "live", "gen-1").unwrap();
        replace_link(&dir, "live", "gen-2").unwrap();
        assert_eq!(dir.link("live").unwrap().as_deref(), Some("gen-2"));
        assert_eq!(dir.names().unwrap(), ["live"]);
    }

    #[test]
    fn removing_a_tree_does_not_follow_links_out_of_it() {
        let (temp, dir) = here();
        std::fs::create_dir_all(temp.path().join("gone/deep")).unwrap();
        std::fs::create_dir(temp.path().join("kept")).unwrap();
        std::fs::write(temp.path().join("kept/file"), "x").unwrap();
        std::os::unix::fs::symlink(temp.path().join("kept"), temp.path().join("gone/deep/out")).unwrap();
        remove(&dir, "gone").unwrap();
        assert_eq!(dir.kind("gone").unwrap(), None);
        assert!(temp.path().join("kept/file").is_file());
    }

    #[test]
    fn an_exchange_leaves_the_old_directory_under_the_other_name() {
        let (temp, dir) = here();
        for (name, text) in [("gen-1", "old"), (".gen-1", "new")] {
            std::fs::create_dir(temp.path().join(name)).unwrap();
            std::fs::write(temp.path().join(name).join("f"), text).unwrap();
        }
        exchange(&dir, ".gen-1", "gen-1").unwrap();
        assert_eq!(std::fs::read_to_string(temp.path().join("gen-1/f")).unwrap(), "new");
        assert_eq!(std::fs::read_to_string(temp.path().join(".gen-1/f")).unwrap(), "old");
    }
}
