//! What the kernel notes of a file beside its bytes. Whoever writes to it, gives it away, closes or opens it to others, or puts another one in its
//! place changes that too: no program can set the time of the last change (`st_ctime`), and each such call sets it.
//!
//! Not so a write through memory: tmpfs never dates what is written through a shared mapping whose page was read first, and file systems on disks
//! date only the first write to a page until that is written back. Who can map a file that way was let in by its mode:
//! [`Stamp::is_written_only_by`].

use rustix::fs::{AtFlags, FileType, Stat};

use super::tick::Tick;
use super::{Dir, DiskError, IN_MEMORY};

/// What the kernel notes of a file, link or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The file system that it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// What it is, and who may do what with it.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How long it is.
    pub size: i64,
    /// When its bytes were last written, as far as nobody says otherwise.
    pub written: Tick,
    /// When its bytes, or what is noted here, last changed.
    pub changed: Tick,
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size,
            written: Tick { seconds: stat.st_mtime, nanoseconds: i64::try_from(stat.st_mtime_nsec).unwrap_or_default() },
            changed: Tick { seconds: stat.st_ctime, nanoseconds: i64::try_from(stat.st_ctime_nsec).unwrap_or_default() },
        }
    }

    /// Whether nobody but root and this user can open it to write to its bytes, or could before its owner and mode were these: who owns a file
    /// may have closed it after opening it.
    #[must_use]
    pub fn is_written_only_by(&self, user: u32) -> bool {
        let has_bytes = FileType::from_raw_mode(self.mode) != FileType::Directory;
        !has_bytes || ([0, user].contains(&self.uid) && self.mode & 0o022 == 0)
    }

    /// Puts all of it behind what is there, each field in a place of its own.
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        let Self { device, inode, mode, uid, gid, size, written, changed } = self;
        for number in [*device, *inode] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for number in [*size, written.seconds, written.nanoseconds, changed.seconds, changed.nanoseconds] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for number in [mode, uid, gid] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
    }
}

impl Dir {
    /// What the kernel notes of `name`, without following it; `None` where there is nothing.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn stamp(&self, name: &str) -> Result<Option<Stamp>, DiskError> {
        Ok(self.stat(name)?.as_ref().map(Stamp::of))
    }

    /// What it notes of this directory itself.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn own_stamp(&self) -> Result<Stamp, DiskError> {
        let fail = |errno| DiskError::new("look at", &self.path, errno);
        rustix::fs::statat(&self.fd, "", AtFlags::EMPTY_PATH).map_err(fail).map(|stat| Stamp::of(&stat))
    }

    /// Whether this kernel alone dates what changes here, by its own clock and to the nanosecond: a local file system that is known to do so.
    /// On a network another host's clock does it, and others write beside us.
    #[must_use]
    pub fn dates_changes(&self) -> bool {
        /// ext4, XFS, Btrfs, F2FS and overlayfs, as linux/magic.h has them.
        const ON_DISK: [u64; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x794c_7630];
        self.file_system().is_ok_and(|kind| kind.is_some_and(|kind| ON_DISK.contains(&kind) || IN_MEMORY.contains(&kind)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn whatever_is_done_to_a_file_after_the_next_tick_changes_what_is_noted_of_it() {
        let here = tempfile::tempdir().unwrap();
        let dir = Dir::open(here.path()).unwrap().unwrap();
        let (file, other) = (here.path().join("file"), here.path().join("other"));
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        let put_back = || {
            let times = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            std::fs::File::options().write(true).open(&file).unwrap().set_times(times).unwrap();
        };
        write("one");
        put_back();
        let mut before = dir.stamp("file").unwrap().unwrap();
        let changes: [(&str, &dyn Fn()); 6] = [
            ("another byte", &|| write("two")),
            ("the same byte", &|| write("two")),
            ("the time of writing put back", &|| put_back()),
            ("the mode", &|| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap()),
            ("a second name", &|| std::fs::hard_link(&file, &other).unwrap()),
            ("an equal one in its place", &|| {
                std::fs::copy(&file, here.path().join("copy")).unwrap();
                std::fs::rename(here.path().join("copy"), &file).unwrap();
            }),
        ];
        for (what, change) in changes {
            let tick = Tick::next().expect("time goes on");
            assert!(before.changed < tick, "{what}");
            change();
            let after = dir.stamp("file").unwrap().unwrap();
            assert_ne!(before, after, "{what}");
            before = after;
        }
        assert_eq!(dir.stamp("nothing").unwrap(), None);
        assert_eq!(dir.stamp("file/below").unwrap(), None);
        assert_eq!(dir.own_stamp().unwrap(), dir.stamp(".").unwrap().unwrap());
    }

    #[test]
    fn a_file_is_written_by_its_owner_and_whom_its_mode_lets_in() {
        let dir = Dir::open(tempfile::tempdir().unwrap().path()).unwrap().unwrap().own_stamp().unwrap();
        let file = |uid, mode: u32| Stamp { uid, mode: 0o100_000 | mode, ..dir };
        for (uid, mode, expected) in [
            (7, 0o600, true),
            (7, 0o644, true),
            (0, 0o644, true),
            (7, 0o620, false),
            (7, 0o602, false),
            (0, 0o660, false),
            (8, 0o600, false),
            (8, 0o444, false),
        ] {
            assert_eq!(file(uid, mode).is_written_only_by(7), expected, "{uid} {mode:o}");
        }
        assert!(Stamp { uid: 8, mode: 0o040_777, ..dir }.is_written_only_by(7), "no program writes to the bytes of a directory");
    }

    #[test]
    fn each_field_has_its_place() {
        let tick = |seconds| Tick { seconds, nanoseconds: 9 };
        let stamp = Stamp { device: 1, inode: 2, mode: 3, uid: 4, gid: 5, size: 6, written: tick(7), changed: tick(8) };
        let others = [
            Stamp { device: 0, ..stamp },
            Stamp { inode: 0, ..stamp },
            Stamp { mode: 0, ..stamp },
            Stamp { uid: 0, ..stamp },
            Stamp { gid: 0, ..stamp },
            Stamp { size: 0, ..stamp },
            Stamp { written: tick(0), ..stamp },
            Stamp { written: Tick { nanoseconds: 0, ..stamp.written }, ..stamp },
            Stamp { changed: tick(0), ..stamp },
            Stamp { changed: Tick { nanoseconds: 0, ..stamp.changed }, ..stamp },
        ];
        let bytes = |stamp: &Stamp| {
            let mut bytes = Vec::new();
            stamp.append_to(&mut bytes);
            bytes
        };
        let all: std::collections::BTreeSet<Vec<u8>> = others.iter().chain([&stamp]).map(bytes).collect();
        assert_eq!(all.len(), others.len() + 1);
    }

    #[test]
    fn a_file_system_of_the_kernels_own_making_is_not_taken_for_one_that_dates_changes() {
        assert!(!Dir::open(std::path::Path::new("/proc")).unwrap().unwrap().dates_changes());
        let here = tempfile::tempdir().unwrap();
        let kind = rustix::fs::statfs(here.path()).unwrap().f_type;
        assert!(Dir::open(here.path()).unwrap().unwrap().dates_changes(), "{kind:x}");
    }
}
