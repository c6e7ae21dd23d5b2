//! What omens wrote at consumers' own paths under a password: no two such files are equal, and once the password is another one nobody can
//! look into the old ones. So their hashes are noted beside the generations ([Install](crate::steps::swap#install)).

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::io::dir::{Dir, DiskError};
use crate::io::write;
use crate::model::anchor::Fingerprint;
use crate::model::layout;

/// `copies.json` of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    v: u32,
    /// SHA-256 of what lay at a path before the last write, which may not have come to its end, and of what that wrote; by the path.
    copies: BTreeMap<String, Vec<Fingerprint>>,
}

/// What cannot be understood tells nothing.
fn read(var: &Dir) -> Result<Written, DiskError> {
    let found = var.read(layout::COPIES)?.and_then(|content| serde_json::from_slice(&content.bytes).ok());
    Ok(found.unwrap_or(Written { v: 1, copies: BTreeMap::new() }))
}

/// Whether omens wrote these bytes at this path.
///
/// # Errors
/// When what was noted cannot be read.
pub(super) fn is_ours(var: &Dir, path: &Path, bytes: &[u8]) -> Result<bool, DiskError> {
    let noted = read(var)?;
    Ok(noted.copies.get(&*path.to_string_lossy()).is_some_and(|written| written.contains(&Fingerprint::of(bytes))))
}

/// Notes what is about to be written at a path, beside what lies there of ours: until the write has come to its end either may be found.
///
/// # Errors
/// When that cannot be written.
pub(super) fn note(var: &Dir, path: &Path, found: Option<&[u8]>, bytes: &[u8]) -> Result<(), DiskError> {
    let mut noted = read(var)?;
    let of_path = found.into_iter().chain([bytes]).map(Fingerprint::of).collect();
    noted.copies.insert(path.to_string_lossy().into_owned(), of_path);
    write::replace_file(var, layout::COPIES, &write::json(var, layout::COPIES, &noted)?, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_there_and_what_comes_are_known_and_what_others_wrote_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let var = Dir::open(temp.path()).unwrap().unwrap();
        let (web, other) = (Path::new("/etc/web.p12"), Path::new("/etc/other.p12"));
        let ours = |path: &Path, bytes: &[u8]| is_ours(&var, path, bytes).unwrap();
        assert!(!ours(web, b"first"));
        note(&var, web, None, b"first").unwrap();
        // Two writes that do not come to their end: what lies there stays known.
        note(&var, web, Some(b"first"), b"again").unwrap();
        note(&var, web, Some(b"first"), b"third").unwrap();
        assert_eq!([ours(web, b"first"), ours(web, b"again"), ours(web, b"third"), ours(other, b"third")], [true, false, true, false]);
        let text = var.read(layout::COPIES).unwrap().unwrap().bytes;
        assert!(text.starts_with(b"{\n  \"v\": 1,\n  \"copies\": {\n    \"/etc/web.p12\": [\n"), "{text:?}");
        // What is damaged costs no more than that a file is kept aside.
        write::replace_file(&var, layout::COPIES, b"{", 0o600).unwrap();
        assert!(!ours(web, b"third"));
        note(&var, web, None, b"third").unwrap();
        assert!(ours(web, b"third"));
    }
}
