//! What omens wrote at consumers' own paths under a password: no two such files are equal, and once the password is another one nobody can
//! look into the old ones. So their hashes are noted beside the generations ([Install](crate::steps::swap#install)).

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::io::dir::{Dir, DiskError};
use crate::io::write;
use crate::model::anchor::Fingerprint;
use crate::model::layout;

/// So many of one path are kept: the one before a write that may not have come to its end, and the one of that write.
const KEPT: usize = 2;

/// `copies.json` of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    v: u32,
    /// SHA-256 of what was last written, by the path, the newest last.
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

/// Notes what is about to be written at a path.
///
/// # Errors
/// When that cannot be written.
pub(super) fn note(var: &Dir, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let mut noted = read(var)?;
    let of_path = noted.copies.entry(path.to_string_lossy().into_owned()).or_default();
    of_path.push(Fingerprint::of(bytes));
    let surplus = of_path.len().saturating_sub(KEPT);
    of_path.drain(..surplus);
    write::replace_file(var, layout::COPIES, &write::json(var, layout::COPIES, &noted)?, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_of_a_path_are_known_and_what_others_wrote_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let var = Dir::open(temp.path()).unwrap().unwrap();
        let (web, other) = (Path::new("/etc/web.p12"), Path::new("/etc/other.p12"));
        let ours = |path: &Path, bytes: &[u8]| is_ours(&var, path, bytes).unwrap();
        assert!(!ours(web, b"first"));
        for bytes in [b"first", b"again", b"third"] {
            note(&var, web, bytes).unwrap();
        }
        assert_eq!([ours(web, b"first"), ours(web, b"again"), ours(web, b"third"), ours(other, b"third")], [false, true, true, false]);
        let text = var.read(layout::COPIES).unwrap().unwrap().bytes;
        assert!(text.starts_with(b"{\n  \"v\": 1,\n  \"copies\": {\n    \"/etc/web.p12\": [\n"), "{text:?}");
        // What is damaged costs no more than that a file is kept aside.
        write::replace_file(&var, layout::COPIES, b"{", 0o600).unwrap();
        assert!(!ours(web, b"third"));
        note(&var, web, b"third").unwrap();
        assert!(ours(web, b"third"));
    }
}
