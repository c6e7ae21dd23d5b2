//! Copies at consumers' own paths (`install` with `as = "copy"`): what they should hold, and whether they do. Only reads.

use std::path::Path;

use zeroize::Zeroizing;

use super::generation::{Kept, container, key_mode};
use super::outlet::Outlet;
use super::trust::TrustFiles;
use crate::config::settings::{Container, Install, Owner, Part};
use crate::io::dir::{Content, Dir, DiskError, Kind};
use crate::model::failure::Failure;
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
        let Some(wanted) = Wanted::of(outlet.trust.as_deref(), live, install, *part) else { continue };
        if !wanted.is_right(&dir, file, outlet.owner)? {
            return Ok(Some(format!("the copy {} differs from what is committed", dir.join(file).display())));
        }
    }
    Ok(None)
}

/// What a consumer's copy of a part is to hold.
#[derive(Debug)]
pub struct Wanted<'a> {
    part: Part,
    inside: Inside<'a>,
}

enum Inside<'a> {
    /// Just these bytes.
    Bytes(Zeroizing<Vec<u8>>),
    /// What is in a container; its bytes are never the same twice.
    Contents { container: Container, kept: &'a Kept, key: &'a [u8] },
}

impl std::fmt::Debug for Inside<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(_) => f.debug_struct("Bytes").finish_non_exhaustive(),
            Self::Contents { container, .. } => f.debug_struct("Contents").field("container", container).finish_non_exhaustive(),
        }
    }
}

impl<'a> Wanted<'a> {
    /// What a consumer gets for a part as a copy; of a key that does not rest in clear nothing, since it is never copied. `None` where roots
    /// are asked for and not known.
    #[must_use]
    pub fn of(trust: Option<&TrustFiles>, kept: &'a Kept, install: &Install, part: Part) -> Option<Self> {
        let bytes = |bytes| Some(Self { part, inside: Inside::Bytes(bytes) });
        let Some(name) = part.file() else { return bytes(Zeroizing::new(trust?.file(part)?.as_bytes().to_vec())) };
        if let Some(container) = install.containers().find(|container| container.part == part) {
            return Some(Self { part, inside: Inside::Contents { container, kept, key: kept.plain_key()? } });
        }
        let files = kept.published_files(&Material::Pem(Zeroizing::new(kept.plain_key().unwrap_or_default().to_vec())))?;
        files.into_iter().find(|file| file.name == name).and_then(|found| bytes(found.bytes))
    }

    /// Whether a file holds it, whatever its mode.
    #[must_use]
    pub fn is_in(&self, found: &[u8]) -> bool {
        match &self.inside {
            Inside::Bytes(bytes) => bytes.as_slice() == found,
            Inside::Contents { container, kept, key } => container::is_right(container, found, kept, key).unwrap_or(false),
        }
    }

    /// The bytes of a new copy.
    ///
    /// # Errors
    /// Where a container's password cannot be had.
    pub fn write(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        match &self.inside {
            Inside::Bytes(bytes) => Ok(bytes.clone()),
            Inside::Contents { container, kept, key } => container::make(container, kept, key),
        }
    }

    /// Whether a copy is a regular file with this in it, the right mode and the right owner.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_right(&self, dir: &Dir, file: &str, owner: Owner) -> Result<bool, DiskError> {
        if dir.kind(file)? != Some(Kind::File) {
            return Ok(false);
        }
        let right = |c: Content| c.mode == part_mode(self.part, owner.gid) && owner.has(c.uid, c.gid) && self.is_in(&c.bytes);
        Ok(dir.read(file)?.is_some_and(right))
    }
}

/// The mode of a part that is copied.
#[must_use]
pub const fn part_mode(part: Part, gid: Option<u32>) -> u32 {
    if part.holds_key() { key_mode(gid) } else { 0o644 }
}
