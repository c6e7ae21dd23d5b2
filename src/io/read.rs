//! Reads whole files, bounded in size, and judges who else could have written or could read them.
//!
//! It must never follow a path twice: what was judged is what is read, by the opened descriptor. It must never wait on a FIFO or a device.
#![expect(clippy::disallowed_methods, reason = "the door for reading files")]

mod error;
mod way;

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::model::secret::{SecretSource, Token};
pub use error::ReadError;
use way::{GROUP_WRITE, refuse_foreign, refuse_writable, walk};

/// The largest settings, profile, PEM or secret file that is read.
pub const LIMIT: u64 = 1024 * 1024;

const OTHERS_ANY: u32 = 0o007;
const ANY_EXECUTE: u32 = 0o111;

/// The content of a regular file of at most `limit` bytes, whoever owns it.
///
/// # Errors
/// The file is not there, not regular, too large or may not be read.
pub fn file(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let (file, meta) = open(path, path, OFlags::empty())?;
    let mut bytes = Vec::new();
    read(file, &meta, path, limit, &mut bytes)?;
    Ok(bytes)
}

/// How long a file is that others go on writing to, such as a log.
///
/// # Errors
/// As [`file()`].
pub fn length(path: &Path) -> Result<u64, ReadError> {
    open(path, path, OFlags::empty()).map(|(_, meta)| meta.len())
}

/// What stands in such a file from this offset on, at most `limit` bytes; all of it where it has become shorter since.
///
/// # Errors
/// As [`file()`].
pub fn from(path: &Path, offset: u64, limit: u64) -> Result<Vec<u8>, ReadError> {
    let (mut file, meta) = open(path, path, OFlags::empty())?;
    let offset = if meta.len() < offset { 0 } else { offset };
    let mut bytes = Vec::new();
    file.seek(std::io::SeekFrom::Start(offset)).map_err(|e| ReadError::io("read", path, e))?;
    file.take(limit).read_to_end(&mut bytes).map_err(|e| ReadError::io("read", path, e))?;
    Ok(bytes)
}

/// The content of a file that says what is done as root (settings, profiles): nobody but its owner may be able to write it, nor to
/// exchange it by writing to a directory on the way to it.
///
/// # Errors
/// As [`file()`], and [`ReadError::Unsafe`].
pub fn trusted(path: &Path) -> Result<Vec<u8>, ReadError> {
    let real = walk(path)?;
    let (file, meta) = open(path, &real, OFlags::NOFOLLOW)?;
    refuse_foreign(path, &meta)?;
    refuse_writable(path, &meta)?;
    let mut bytes = Vec::new();
    read(file, &meta, path, LIMIT, &mut bytes)?;
    Ok(bytes)
}

/// The entries of a directory that nobody but its owner can write, by name; `None` when there is no such directory.
///
/// # Errors
/// It is no directory, may not be read, or others can write to it.
pub fn trusted_directory(path: &Path) -> Result<Option<Vec<PathBuf>>, ReadError> {
    let real = match walk(path) {
        Err(ReadError::NotFound(_)) => return Ok(None),
        walked => walked?,
    };
    let meta = fs::symlink_metadata(&real).map_err(|e| ReadError::io("look at", path, e))?;
    if !meta.is_dir() {
        return Err(ReadError::Kind { path: path.to_path_buf(), expected: "a directory", found: kind(&meta) });
    }
    refuse_foreign(path, &meta)?;
    // Not even sticky: in a sticky directory others cannot exchange files, but they can add some.
    refuse_writable(path, &meta)?;
    let entries = fs::read_dir(&real).map_err(|e| ReadError::io("list", path, e))?;
    let names = entries.map(|entry| entry.map(|e| path.join(e.file_name()))).collect::<Result<Vec<_>, _>>();
    let mut names = names.map_err(|e| ReadError::io("list", path, e))?;
    names.sort();
    Ok(Some(names))
}

/// The bytes of a secret, without one trailing newline.
///
/// # Errors
/// It cannot be read, others can read or write it, or it is empty.
pub fn secret(source: &SecretSource, credentials_dir: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let (path, file, meta) = match source {
        SecretSource::File(path) => {
            let (file, meta) = open_secret(path)?;
            (path.clone(), file, meta)
        }
        SecretSource::Credential(name) => {
            // systemd's directory: mode 0500 and an access list that modes do not show (io/host.md, "Credentials"), so only the kind is
            // judged.
            let path = credentials_dir.ok_or_else(|| ReadError::NoCredentials(name.clone()))?.join(name);
            let (file, meta) = open(&path, &path, OFlags::NOFOLLOW)?;
            (path, file, meta)
        }
    };
    if meta.len() > LIMIT {
        return Err(ReadError::TooLarge { path, limit: LIMIT });
    }
    // Room for all of it and for one probing read: a vector that grows leaves copies behind that nobody wipes.
    let room = usize::try_from(meta.len()).unwrap_or_default().saturating_add(64);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    read(file, &meta, &path, meta.len(), &mut bytes)?;
    let line_end = if bytes.ends_with(b"\r\n") { 2 } else { usize::from(bytes.ends_with(b"\n")) };
    let length = bytes.len().saturating_sub(line_end);
    bytes.truncate(length);
    if bytes.is_empty() {
        return Err(ReadError::Content { path, why: "is empty, expected a secret" });
    }
    Ok(bytes)
}

/// A secret that is one word of text, such as a token.
///
/// # Errors
/// As [`secret`], and when it is not printable ASCII: it could not stand in a request.
pub fn token(source: &SecretSource, credentials_dir: Option<&Path>) -> Result<Token, ReadError> {
    let bytes = secret(source, credentials_dir)?;
    let path = match source {
        SecretSource::File(path) => path.clone(),
        SecretSource::Credential(name) => PathBuf::from(name),
    };
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(ReadError::Content { path, why: "holds spaces, line breaks or other bytes that are in no such secret" });
    }
    let mut text = Zeroizing::new(String::with_capacity(bytes.len()));
    text.extend(bytes.iter().map(|b| char::from(*b)));
    Ok(Token::new(text))
}

/// Whether a `file:` secret may be used, by its metadata; nothing of it is read. A credential is judged when it is read.
///
/// # Errors
/// What [`secret`] would say about the file, its owner and its mode.
pub fn check_secret(source: &SecretSource) -> Result<(), ReadError> {
    match source {
        SecretSource::File(path) => open_secret(path).map(|_| ()),
        SecretSource::Credential(_) => Ok(()),
    }
}

/// Whether a program may be run, by its metadata: nobody but root or the caller may be able to write it, nor to exchange it.
///
/// # Errors
/// It is not there, no regular file, not executable, or [`ReadError::Unsafe`].
pub fn check_program(path: &Path) -> Result<(), ReadError> {
    let real = walk(path)?;
    let meta = fs::symlink_metadata(&real).map_err(|e| ReadError::io("look at", path, e))?;
    let executable = meta.mode() & ANY_EXECUTE != 0;
    if !meta.is_file() || !executable {
        let found = if meta.is_file() { "not executable" } else { kind(&meta) };
        return Err(ReadError::Kind { path: path.to_path_buf(), expected: "an executable file", found });
    }
    refuse_foreign(path, &meta)?;
    refuse_writable(path, &meta)
}

fn open_secret(path: &Path) -> Result<(File, Metadata), ReadError> {
    let real = walk(path)?;
    let (file, meta) = open(path, &real, OFlags::NOFOLLOW)?;
    let unsafe_because = |why: String, remedy: String| ReadError::Unsafe { path: path.to_path_buf(), why, remedy };
    refuse_foreign(path, &meta)?;
    if meta.mode() & (OTHERS_ANY | GROUP_WRITE) != 0 {
        let leads = if real == path { String::new() } else { format!("is a link to {}, which ", real.display()) };
        let why = format!("{leads}has mode {:04o}, expected no access for others and no writing by the group", meta.mode() & 0o7777);
        return Err(unsafe_because(why, format!("chmod 0600 {}", real.display())));
    }
    Ok((file, meta))
}

/// Opens `real` and makes sure by the descriptor that it is a regular file; `shown` is the path as the settings write it.
fn open(shown: &Path, real: &Path, more: OFlags) -> Result<(File, Metadata), ReadError> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(real).map_err(|e| ReadError::io("open", shown, e))?;
    let meta = file.metadata().map_err(|e| ReadError::io("look at", shown, e))?;
    if meta.is_file() {
        return Ok((file, meta));
    }
    Err(ReadError::Kind { path: shown.to_path_buf(), expected: "a regular file", found: kind(&meta) })
}

fn read(file: File, meta: &Metadata, path: &Path, limit: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    // Room at once, so that a file is read in one call and a second one that finds its end.
    bytes.reserve(usize::try_from(meta.len().min(limit)).unwrap_or_default().saturating_add(1));
    // One byte more than allowed shows that a file grew, or that it hides its size as files of /proc do.
    let count = if meta.len() > limit { Ok(usize::MAX) } else { file.take(limit.saturating_add(1)).read_to_end(bytes) };
    let count = count.map_err(|e| ReadError::io("read", path, e))?;
    if u64::try_from(count).unwrap_or(u64::MAX) > limit {
        return Err(ReadError::TooLarge { path: path.to_path_buf(), limit });
    }
    Ok(())
}

fn kind(meta: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = meta.file_type();
    match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_file() => "a regular file",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn write(path: &Path, content: &[u8], mode: u32) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn directory(path: &Path, mode: u32) {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_regular_files_are_read_and_a_fifo_hangs_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for (path, expected) in [(fifo.as_path(), "a FIFO"), (dir.path(), "a directory"), (Path::new("/dev/null"), "a device")] {
            let error = file(path, LIMIT).unwrap_err();
            assert!(matches!(error, ReadError::Kind { found, .. } if found == expected), "{error}");
            let error = secret(&SecretSource::File(path.to_path_buf()), None).unwrap_err();
            assert!(matches!(error, ReadError::Kind { .. } | ReadError::Unsafe { .. }), "{error}");
        }
        assert!(file(&dir.path().join("none"), LIMIT).unwrap_err().is_not_found());
    }

    #[test]
    fn the_bound_is_exact_also_where_a_file_hides_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write(&path, &[b'x'; 100], 0o600);
        assert_eq!(file(&path, 100).unwrap().len(), 100);
        assert!(matches!(file(&path, 99), Err(ReadError::TooLarge { limit: 99, .. })));
        assert!(matches!(file(Path::new("/proc/self/status"), 10), Err(ReadError::TooLarge { .. })));
    }

    #[test]
    fn a_secret_loses_one_newline_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let read = |content: &[u8]| {
            write(&path, content, 0o600);
            secret(&SecretSource::File(path.clone()), None).map(|s| s.to_vec()).ok()
        };
        assert_eq!(read(b"abc\n").as_deref(), Some(&b"abc"[..]));
        assert_eq!(read(b"abc\n\n").as_deref(), Some(&b"abc\n"[..]));
        assert_eq!(read(b"abc\r\n").as_deref(), Some(&b"abc"[..]));
        assert_eq!(read(b"abc").as_deref(), Some(&b"abc"[..]));
        assert_eq!(read(b"\n"), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn a_token_is_one_word() {
        let dir = tempfile::tempdir().unwrap();
        let source = |content: &[u8]| {
            write(&dir.path().join("t"), content, 0o400);
            SecretSource::Credential("t".to_owned())
        };
        let read = |content: &[u8]| token(&source(content), Some(dir.path()));
        assert_eq!(read(b"hvs.abc\n").unwrap().expose(), "hvs.abc");
        fs::remove_file(dir.path().join("t")).unwrap();
        assert!(matches!(read(b"hvs.abc\n\n"), Err(ReadError::Content { .. })));
        assert!(matches!(token(&source(b"x"), None), Err(ReadError::NoCredentials(name)) if name == "t"));
    }

    #[test]
    fn a_secret_that_others_can_read_or_change_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o660, false), (0o601, false)] {
            write(&path, b"s", mode);
            let checked = check_secret(&SecretSource::File(path.clone()));
            assert_eq!(checked.is_ok(), good, "{mode:o}: {checked:?}");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_program_that_others_could_have_written_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hook");
        for (mode, good) in [(0o755, true), (0o700, true), (0o775, false), (0o757, false), (0o644, false)] {
            write(&path, b"#!/bin/true\n", mode);
            let checked = check_program(&path);
            assert_eq!(checked.is_ok(), good, "{mode:o}: {checked:?}");
        }
        write(&path, b"#!/bin/true\n", 0o755);
        assert!(matches!(check_program(dir.path()), Err(ReadError::Kind { .. })));
        assert!(matches!(check_program(&dir.path().join("none")), Err(ReadError::NotFound(_))));
        // Who may write to a directory on the way exchanges what is in it.
        let open = dir.path().join("open");
        directory(&open, 0o777);
        symlink(&path, open.join("hook")).unwrap();
        assert!(matches!(check_program(&open.join("hook")), Err(ReadError::Unsafe { .. })));
        // Nor is it any use that nobody else may write to it, where it is somebody else's.
        let foreign = dir.path().join("foreign");
        directory(&foreign, 0o755);
        write(&foreign.join("hook"), b"#!/bin/true\n", 0o755);
        assert!(check_program(&foreign.join("hook")).is_ok());
        // Only root gives directories away.
        if std::os::unix::fs::chown(&foreign, Some(12_345), None).is_ok() {
            assert!(matches!(check_program(&foreign.join("hook")), Err(ReadError::Unsafe { .. })));
        }
    }

    #[test]
    fn settings_that_others_can_exchange_are_refused_wherever_the_links_lead() {
        let top = tempfile::tempdir().unwrap();
        let dir = |name: &str, mode| {
            let path = top.path().join(name);
            directory(&path, mode);
            path
        };
        let (safe, open, sticky) = (dir("safe", 0o755), dir("open", 0o777), dir("sticky", 0o1777));
        let settings = safe.join("omens.toml");
        write(&settings, b"x", 0o644);
        write(&open.join("omens.toml"), b"x", 0o644);
        write(&sticky.join("omens.toml"), b"x", 0o644);
        write(&safe.join("loose.toml"), b"x", 0o664);
        symlink(&settings, open.join("link.toml")).unwrap();
        symlink(open.join("link.toml"), safe.join("detour.toml")).unwrap();
        symlink("../safe", safe.join("self")).unwrap();
        symlink("loop", safe.join("loop")).unwrap();

        for good in [settings, sticky.join("omens.toml"), safe.join("self/omens.toml"), safe.join("../safe/./omens.toml")] {
            assert_eq!(trusted(&good).unwrap(), b"x", "{}", good.display());
        }
        for bad in [open.join("omens.toml"), safe.join("loose.toml"), safe.join("detour.toml"), open.join("link.toml")] {
            let error = trusted(&bad).unwrap_err();
            assert_eq!(error.code(), "permissions", "{}: {error}", bad.display());
        }
        assert!(matches!(trusted(&safe.join("loop")), Err(ReadError::Io { .. })));
        assert!(matches!(trusted_directory(&sticky), Err(ReadError::Unsafe { .. })));
        assert!(matches!(trusted_directory(&safe.join("none")), Ok(None)));
    }

    #[test]
    fn a_directory_is_listed_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "10"] {
            write(&dir.path().join(name), b"", 0o600);
        }
        let names = trusted_directory(dir.path()).unwrap().unwrap();
        assert_eq!(names, ["10", "a.toml", "b.toml"].map(|name| dir.path().join(name)));
    }
}
