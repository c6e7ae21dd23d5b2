//! A host's files as one looks at them from outside: the running host, or a directory that is the root of another (an image, a copy of /etc).
//! Links are followed inside that root only. It must never change anything, wait on a FIFO or a device, or ask this host about another.
#![expect(clippy::disallowed_methods, reason = "the door through which the audit looks at files")]

mod accounts;
mod lost;
mod seen;

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::model::clock::Time;
pub use accounts::Accounts;
pub use lost::{Lost, LostError};
pub use seen::{Kind, LookError, Meta, Step};

/// The largest file that is looked at.
pub const LIMIT: u64 = 4 << 20;
/// As many entries of one directory are seen.
pub const ENTRIES: usize = 200_000;
/// As many symbolic links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A host as seen from outside. Every path that goes in or comes out is one of that host.
#[derive(Debug)]
pub struct View {
    root: Option<OwnedFd>,
    accounts: OnceLock<Accounts>,
    lost: Lost,
}

impl View {
    /// The host that this runs on.
    #[must_use]
    pub fn host() -> Self {
        Self { root: None, accounts: OnceLock::new(), lost: Lost::default() }
    }

    /// The host whose root directory this is; its `estate.toml` says what a copy has lost.
    ///
    /// # Errors
    /// It is no directory that may be entered, or `estate.toml` is not understood.
    pub fn root(directory: &Path) -> Result<Self, LostError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let unreadable = |errno| {
            let is_there = errno == Errno::NOTDIR && rustix::fs::stat(directory).is_ok();
            let kind = LookError::Kind { path: directory.to_path_buf(), expected: "a directory", found: "something else" };
            LostError::Root(if is_there { kind } else { LookError::of(directory, errno) })
        };
        let root = rustix::fs::openat(CWD, directory, flags, Mode::empty()).map_err(unreadable)?;
        let mut view = Self { root: Some(root), accounts: OnceLock::new(), lost: Lost::default() };
        match view.text(Path::new(lost::FILE)) {
            Ok(text) => view.lost = Lost::parse(&text)?,
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(LostError::Root(error)),
        }
        Ok(view)
    }

    /// Whether this is not the host that this runs on: then nothing on the network is its own either.
    #[must_use]
    pub const fn is_elsewhere(&self) -> bool {
        self.root.is_some()
    }

    /// Its name: what `estate.toml` says, else what its `/etc/hostname` does.
    #[must_use]
    pub fn host_name(&self) -> Option<String> {
        let from_file = || self.text(Path::new("/etc/hostname")).ok().map(|text| text.trim().to_owned()).filter(|name| !name.is_empty());
        self.lost.host.clone().or_else(from_file)
    }

    /// Its accounts, read when they are first asked for.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        let read = |path: &str| self.text(Path::new(path)).unwrap_or_default();
        self.accounts.get_or_init(|| Accounts::parse(&read("/etc/passwd"), &read("/etc/group")))
    }

    /// The content of a regular file, wiped when dropped, since it may hold a key.
    ///
    /// # Errors
    /// It is not there, no regular file, too large, or may not be read.
    pub fn bytes(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, LookError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = self.open(path, flags)?;
        let meta = meta_of(path, &fd)?;
        if meta.kind != Kind::File {
            return Err(LookError::Kind { path: path.to_path_buf(), expected: "a regular file", found: meta.kind.words() });
        }
        let too_large = || LookError::TooLarge { path: path.to_path_buf(), limit: LIMIT };
        if meta.size > LIMIT {
            return Err(too_large());
        }
        // Room for all of it and one probing read: a vector that grows leaves copies behind that nobody wipes.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(meta.size).unwrap_or_default().saturating_add(64)));
        let read = File::from(fd).take(LIMIT.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|why| LookError::Other { path: path.to_path_buf(), why: why.to_string() })?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LIMIT { Err(too_large()) } else { Ok(bytes) }
    }

    /// The content as text; what is no UTF-8 is replaced, as configuration files hold any bytes in their comments.
    ///
    /// # Errors
    /// As [`View::bytes`].
    pub fn text(&self, path: &Path) -> Result<String, LookError> {
        self.bytes(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What lies at the end of a path, links followed.
    ///
    /// # Errors
    /// There is nothing, or it may not be looked at.
    pub fn meta(&self, path: &Path) -> Result<Meta, LookError> {
        self.way(path)?.pop().map(|step| step.meta).ok_or_else(|| LookError::Absent(path.to_path_buf()))
    }

    /// Whether a regular file lies there, links followed.
    #[must_use]
    pub fn is_file(&self, path: &Path) -> bool {
        self.meta(path).is_ok_and(|meta| meta.kind == Kind::File)
    }

    /// Whether a directory lies there, links followed.
    #[must_use]
    pub fn is_directory(&self, path: &Path) -> bool {
        self.meta(path).is_ok_and(|meta| meta.kind == Kind::Directory)
    }

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// It is none, or may not be listed.
    pub fn list(&self, path: &Path) -> Result<Vec<String>, LookError> {
        let fd = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let directory = rustix::fs::Dir::read_from(&fd).map_err(|errno| LookError::of(path, errno))?;
        let mut names = Vec::new();
        for entry in directory.take(ENTRIES) {
            let entry = entry.map_err(|errno| LookError::of(path, errno))?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort();
        Ok(names)
    }

    /// Where a link leads, as it is written; `None` where the path is no link.
    #[must_use]
    pub fn link(&self, path: &Path) -> Option<PathBuf> {
        let fd = self.open(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        read_link(&fd)
    }

    /// Every directory that is passed and every link that is followed on the way to a path, in this order, and at last what lies there.
    ///
    /// # Errors
    /// There is nothing, or the way may not be gone.
    pub fn way(&self, path: &Path) -> Result<Vec<Step>, LookError> {
        let mut rest: Vec<OsString> = components(path);
        let mut at = PathBuf::from("/");
        let mut steps = vec![self.step(&at)?];
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            if name == "/" {
                at = PathBuf::from("/");
                continue;
            }
            let here = at.join(&name);
            let fd = self.open(&here, OFlags::PATH | OFlags::NOFOLLOW).map_err(|error| renamed(error, path))?;
            let mut meta = meta_of(&here, &fd)?;
            self.lost.correct(&here, &mut meta, || self.accounts());
            let kind = meta.kind;
            steps.push(Step { path: here.clone(), meta });
            if kind != Kind::Link {
                at = here;
                continue;
            }
            links += 1;
            let target = read_link(&fd).filter(|_| links <= MAX_LINKS).ok_or_else(|| LookError::of(path, Errno::LOOP))?;
            rest.extend(components(&target));
        }
        Ok(steps)
    }

    /// The path with its links followed.
    ///
    /// # Errors
    /// As [`View::way`].
    pub fn real(&self, path: &Path) -> Result<PathBuf, LookError> {
        self.way(path)?.pop().map(|step| step.path).ok_or_else(|| LookError::Absent(path.to_path_buf()))
    }

    fn step(&self, path: &Path) -> Result<Step, LookError> {
        let fd = self.open(path, OFlags::PATH)?;
        let mut meta = meta_of(path, &fd)?;
        self.lost.correct(path, &mut meta, || self.accounts());
        Ok(Step { path: path.to_path_buf(), meta })
    }

    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, LookError> {
        let flags = flags | OFlags::CLOEXEC;
        let opened = match &self.root {
            None => rustix::fs::openat(CWD, path, flags, Mode::empty()),
            Some(root) => {
                let inside = path.strip_prefix("/").unwrap_or(path);
                let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
                let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                rustix::fs::openat2(root.as_fd(), inside, flags, Mode::empty(), resolve)
            }
        };
        opened.map_err(|errno| LookError::of(path, errno))
    }
}

/// The parts of a path, last first.
fn components(path: &Path) -> Vec<OsString> {
    let part = |component: Component<'_>| match component {
        Component::RootDir => Some(OsString::from("/")),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Normal(name) => Some(name.to_owned()),
        Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(part).collect()
}

fn renamed(error: LookError, path: &Path) -> LookError {
    if error.is_absent() { LookError::Absent(path.to_path_buf()) } else { error }
}

fn read_link(fd: &OwnedFd) -> Option<PathBuf> {
    let target = rustix::fs::readlinkat(fd, "", Vec::new()).ok()?;
    Some(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

fn meta_of(path: &Path, fd: &OwnedFd) -> Result<Meta, LookError> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| LookError::of(path, errno))?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    Ok(Meta {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        modified: Time::from_unix(stat.st_mtime),
        inode: (stat.st_dev, stat.st_ino),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn image() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        let at = |path: &str| top.path().join(path);
        fs::create_dir_all(at("etc/nginx")).unwrap();
        fs::create_dir_all(at("srv")).unwrap();
        fs::write(at("etc/passwd"), "root:x:0:0::/:/bin/sh\nkeylime:x:991:991::/:/bin/false\n").unwrap();
        fs::write(at("etc/group"), "keylime:x:991:spire\n").unwrap();
        fs::write(at("etc/nginx/nginx.conf"), "inside").unwrap();
        symlink("/etc/nginx", at("srv/absolute")).unwrap();
        symlink("../../../../../../etc/nginx/nginx.conf", at("srv/out")).unwrap();
        symlink("loop", at("srv/loop")).unwrap();
        top
    }

    #[test]
    fn links_are_followed_inside_the_root_only() {
        let image = image();
        let view = View::root(image.path()).unwrap();
        for path in ["/etc/nginx/nginx.conf", "/srv/absolute/nginx.conf", "/srv/out", "/../../etc/nginx/nginx.conf"] {
            assert_eq!(view.text(Path::new(path)).unwrap(), "inside", "{path}");
            assert_eq!(view.real(Path::new(path)).unwrap(), Path::new("/etc/nginx/nginx.conf"), "{path}");
        }
        assert!(view.way(Path::new("/srv/loop")).is_err() && view.text(Path::new("/srv/loop")).is_err());
        assert!(view.text(Path::new("/etc/shadow")).unwrap_err().is_absent());
        assert_eq!(view.list(Path::new("/srv")).unwrap(), ["absolute", "loop", "out"]);
        let passed: Vec<PathBuf> = view.way(Path::new("/srv/absolute/nginx.conf")).unwrap().into_iter().map(|step| step.path).collect();
        let expected = ["/", "/srv", "/srv/absolute", "/etc", "/etc/nginx", "/etc/nginx/nginx.conf"].map(PathBuf::from);
        assert_eq!(passed, expected);
    }

    #[test]
    fn owners_have_the_names_of_the_image() {
        let image = image();
        let view = View::root(image.path()).unwrap();
        assert_eq!((view.accounts().user(991).as_str(), view.accounts().group(991).as_str()), ("keylime", "keylime"));
        assert_eq!((view.accounts().user(7).as_str(), view.accounts().uid("keylime")), ("7", Some(991)));
        assert!(view.is_elsewhere() && view.host_name().is_none());
    }

    #[test]
    fn what_a_copy_lost_is_said_beside_it() {
        let image = image();
        let said = "host = \"auth.funlab.casa\"\n[[file]]\npath = \"/etc/nginx/nginx.conf\"\nowner = \"keylime\"\ngroup = \"root\"\nmode = \"0604\"\n";
        fs::write(image.path().join("estate.toml"), said).unwrap();
        let view = View::root(image.path()).unwrap();
        let meta = view.meta(Path::new("/srv/absolute/nginx.conf")).unwrap();
        assert_eq!((meta.uid, meta.gid, meta.mode), (991, 0, 0o604));
        assert_eq!(view.host_name().as_deref(), Some("auth.funlab.casa"));
        fs::write(image.path().join("estate.toml"), "[[file]]\npath = \"/x\"\nmode = \"rwx\"\n").unwrap();
        assert!(View::root(image.path()).unwrap_err().to_string().contains("mode"));
    }

    #[test]
    fn nothing_but_regular_files_is_read_and_nothing_hangs() {
        let image = image();
        rustix::fs::mknodat(CWD, image.path().join("srv/fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
        let view = View::root(image.path()).unwrap();
        assert!(matches!(view.bytes(Path::new("/srv/fifo")), Err(LookError::Kind { .. })));
        assert!(matches!(view.bytes(Path::new("/srv")), Err(LookError::Kind { found: "a directory", .. })));
        let big = File::create(image.path().join("srv/big")).unwrap();
        big.set_len(LIMIT + 1).unwrap();
        assert!(matches!(view.bytes(Path::new("/srv/big")), Err(LookError::TooLarge { .. })));
    }
}
