//! Copies at consumers' own paths (`install` with `as = "copy"`): what they should hold, and whether they do. Only reads.

use std::path::Path;

use zeroize::Zeroizing;

use super::generation::{Kept, key_mode};
use super::outlet::Outlet;
use super::trust::TrustFiles;
use crate::config::settings::{Install, Owner, Part};
use crate::io::dir::{Content, Dir, DiskError, Kind};
use crate::model::layout;
use crate::model::secret::Material;

/// Temporary names of a consumer's copies that a killed run left behind; nothing else in a directory that is not ours.
#[must_use]
pub fn leftovers(install: &Install, names: &[String]) -> Vec<String> {
    let ours = |name: &&String| {
        install.files.iter().any(|(_, file)| {
            let digits = name.strip_prefix('.').and_then(|n| n.strip_prefix(file.as_str())).and_then(|n| n.strip_prefix('.'));
            digits.is_some_and(|d| d.len() == 16 && d.bytes().all(|b| b.is_ascii_hexdigit()))
        })
    };
    names.iter().filter(ours).cloned().collect()
}

/// How a consumer's copies differ from this generation.
///
/// # Errors
/// When one of them cannot be read.
pub(super) fn copy_differs(outlet: &Outlet, install: &Install, live: &Kept) -> Result<Option<String>, DiskError> {
    let gone = |path: &Path| Some(format!("the copy {} is gone", path.display()));
    let Some(dir) = Dir::open(&install.dir)? else { return Ok(gone(&install.dir)) };
    if let Some(name) = leftovers(install, &dir.names()?).first() {
        return Ok(Some(format!("{} was left by a run that was killed", dir.join(name).display())));
    }
    for (part, file) in &install.files {
        if dir.kind(file)?.is_none() {
            return Ok(gone(&dir.join(file)));
        }
        let Some(bytes) = part_bytes(outlet.trust.as_deref(), live, *part) else { continue };
        if !copy_is_right(&dir, file, &bytes, *part, outlet.owner)? {
            return Ok(Some(format!("the copy {} differs from what is committed", dir.join(file).display())));
        }
    }
    Ok(None)
}

/// Whether a copy is a regular file with these bytes, the right mode and the right owner.
///
/// # Errors
/// When it cannot be read.
pub fn copy_is_right(dir: &Dir, file: &str, bytes: &[u8], part: Part, owner: Owner) -> Result<bool, DiskError> {
    if dir.kind(file)? != Some(Kind::File) {
        return Ok(false);
    }
    let right = |c: Content| {
        let owned = owner.uid.is_none_or(|uid| uid == c.uid) && owner.gid.is_none_or(|gid| gid == c.gid);
        c.bytes.as_slice() == bytes && c.mode == part_mode(part, owner.gid) && owned
    };
    Ok(dir.read(file)?.is_some_and(right))
}

/// What a consumer gets for a part as a copy; of a sealed key nothing, since it is never copied. `None` where roots are asked for and not
/// known.
#[must_use]
pub fn part_bytes(trust: Option<&TrustFiles>, kept: &Kept, part: Part) -> Option<Zeroizing<Vec<u8>>> {
    let Some(name) = part_file(part) else { return Some(Zeroizing::new(trust?.file(part)?.as_bytes().to_vec())) };
    let files = kept.published_files(&Material::Pem(Zeroizing::new(kept.plain_key().unwrap_or_default().to_vec())));
    files.into_iter().find(|(file, _)| *file == name).map(|(_, bytes)| bytes)
}

/// The mode of a part that is copied.
#[must_use]
pub const fn part_mode(part: Part, gid: Option<u32>) -> u32 {
    if matches!(part, Part::Key | Part::Combined) { key_mode(gid) } else { 0o644 }
}

/// The file of a generation that a part names; what consumers are to trust is none of them.
#[must_use]
pub const fn part_file(part: Part) -> Option<&'static str> {
    match part {
        Part::Anchors | Part::Bundle | Part::Ca => None,
        Part::Cert => Some(layout::CERT),
        Part::Chain => Some(layout::CHAIN),
        Part::Combined => Some(layout::COMBINED),
        Part::Fullchain => Some(layout::FULLCHAIN),
        Part::Key => Some(layout::KEY),
    }
}
