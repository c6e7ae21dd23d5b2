//! Whether what consumers read equals a generation of the state directory: every byte, and the mode and owner of what holds a key.

use super::files::Whole;
use super::{Kept, container, key_mode, key_of_pem};
use crate::config::service::Rendered;
use crate::config::settings::{Container, Owner};
use crate::io::account::own_user;
use crate::io::dir::{Buffer, Content, Dir, DiskError, Glance};
use crate::model::key::Keep;
use crate::model::layout;

/// What the run tree should hold of a generation, beside what the generation itself says.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who may read the key.
    pub owner: Owner,
    /// The files that drivers put there.
    pub rendered: &'a [Rendered],
    /// The files that `install` asks for.
    pub containers: &'a [Container],
}

/// How what consumers read differs from this generation; `None` where it is complete and equal. `named` is what the run tree's `live` says.
///
/// # Errors
/// Where reading fails, such as for lack of permission.
pub(in crate::plan) fn difference(
    published: &Dir,
    named: Option<&str>,
    kept: &Kept,
    expected: Expected<'_>,
    buffer: &mut Buffer,
) -> Result<Option<String>, DiskError> {
    let name = kept.generation.to_string();
    if named != Some(name.as_str()) {
        return Ok(Some(format!("{} does not name {name}", published.join(layout::LIVE).display())));
    }
    for file in expected.rendered {
        if !published.links_to(&file.name, &file.link())? {
            return Ok(Some(format!("{} is gone", published.join(&file.name).display())));
        }
    }
    let writer = writer(published, expected.owner)?;
    if let Some(text) = exchangeable(published, writer)? {
        return Ok(Some(text));
    }
    contents_differ(published, kept, expected, writer, buffer)
}

/// Who should own the directories of a certificate in the run tree: whom the settings let in, or else who writes the run directory.
fn writer(published: &Dir, owner: Owner) -> Result<u32, DiskError> {
    match owner {
        Owner { uid: Some(named), gid: None } => Ok(named),
        Owner { .. } => published.owner_above(),
    }
}

/// Why others than that user could exchange what lies in a directory of a certificate's in the run tree.
fn exchangeable(dir: &Dir, writer: u32) -> Result<Option<String>, DiskError> {
    if let Some(text) = dir.told_writable(0)? {
        return Ok(Some(text));
    }
    let (_, found, _) = dir.owner()?;
    Ok((found != writer).then(|| dir.told_foreign(found, writer)))
}

/// How the files of this generation in the run tree differ from it, whatever `live` names; `None` where they are complete and equal.
///
/// # Errors
/// Where reading fails.
pub fn files_differ(published: &Dir, kept: &Kept, expected: Expected<'_>) -> Result<Option<String>, DiskError> {
    contents_differ(published, kept, expected, writer(published, expected.owner)?, &mut Buffer::default())
}

fn contents_differ(
    published: &Dir,
    kept: &Kept,
    expected: Expected<'_>,
    writer: u32,
    buffer: &mut Buffer,
) -> Result<Option<String>, DiskError> {
    let Expected { owner, rendered, containers } = expected;
    let name = kept.generation.to_string();
    let Some(dir) = published.child(&name)? else {
        return Ok(Some(format!("{} is gone", published.join(&name).display())));
    };
    if let Some(text) = exchangeable(&dir, writer)? {
        return Ok(Some(text));
    }
    // In clear a sealed key lies in memory or not at all (swap/ondisk.md, "Sealing").
    if kept.keep.is_only_in_memory() && !dir.is_memory_backed()? {
        return Ok(Some(format!("{} holds a sealed key in clear and is not in memory", dir.path().display())));
    }
    let differs = |file: &str| Some(format!("{} differs from what is committed", dir.join(file).display()));
    let whole = match kept.whole() {
        Ok(whole) => whole,
        Err(why) => return Ok(Some(why)),
    };
    for (file, expected) in whole.public().into_iter().chain(rendered.iter().map(|file| (file.name.as_str(), file.bytes.as_slice()))) {
        if dir.glance(file, buffer)?.is_none_or(|found| found.bytes != expected) {
            return Ok(differs(file));
        }
    }
    let Some(key) = kept.wants_key().then(|| dir.read(layout::KEY)).transpose()? else { return Ok(None) };
    let Some(key) = key.filter(|key| kept.is_key(whole, &key.bytes)) else { return Ok(differs(layout::KEY)) };
    let open_to_others = |file: &str, found: Glance<'_>| format!("{} {}", dir.join(file).display(), access(found, owner));
    if !mode_is_right(key.as_glance(), owner) {
        return Ok(Some(open_to_others(layout::KEY, key.as_glance())));
    }
    if kept.keep == Keep::Resident {
        return Ok(None);
    }
    let combined = dir.glance(layout::COMBINED, buffer)?;
    let Some(combined) = combined.filter(|found| whole.is_combined(found.bytes, &key.bytes)) else { return Ok(differs(layout::COMBINED)) };
    if !mode_is_right(combined, owner) {
        return Ok(Some(open_to_others(layout::COMBINED, combined)));
    }
    for container in containers {
        if let Some(text) = container_differs(&dir, container, kept, &key, owner)? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

fn container_differs(dir: &Dir, wanted: &Container, kept: &Kept, key: &Content, owner: Owner) -> Result<Option<String>, DiskError> {
    let Some(file) = wanted.part.file() else { return Ok(None) };
    let path = dir.join(file);
    let Some(found) = dir.read(file)? else { return Ok(Some(format!("{} is gone", path.display()))) };
    if !mode_is_right(found.as_glance(), owner) {
        return Ok(Some(format!("{} {}", path.display(), access(found.as_glance(), owner))));
    }
    Ok(match container::is_right(wanted, &found.bytes, kept, &key.bytes) {
        Ok(true) => None,
        Ok(false) => Some(format!("{} differs from what is committed, or has another password", path.display())),
        Err(why) => Some(format!("{} cannot be looked into: {}", path.display(), why.text)),
    })
}

/// Who may read a file, and who should.
fn access(found: Glance<'_>, owner: Owner) -> String {
    format!(
        "is of user {}, group {} and mode {:04o}, expected user {}, group {} and mode {:04o}",
        found.uid,
        found.gid,
        found.mode,
        owner.uid.unwrap_or_else(own_user),
        owner.gid.unwrap_or(found.gid),
        key_mode(owner.gid),
    )
}

fn mode_is_right(content: Glance<'_>, owner: Owner) -> bool {
    content.mode == key_mode(owner.gid) && owner.has(content.uid, content.gid)
}

impl Kept {
    /// Whether consumers are given a key at all: of one that stays in its TPM under PCRs nothing can be said that a program reads.
    fn wants_key(&self) -> bool {
        self.resident_pcrs().is_none_or(|pcrs| pcrs.is_empty())
    }

    /// Whether this is the PEM of its key. A sealed one is known by what was noted when it was staged, and else by its public key:
    /// neither needs the TPM.
    fn is_key(&self, whole: &Whole, pem: &[u8]) -> bool {
        let noted = whole.meta.as_ref().and_then(|meta| meta.published_key_sha256.as_ref());
        match (self.plain_key(), noted) {
            (Some(plain), _) => plain == pem,
            (None, Some(noted)) => noted.is_of(pem),
            (None, None) => key_of_pem(pem).is_ok_and(|key| self.facts.as_ref().is_some_and(|facts| facts.spki == key.spki())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::account::own_group;

    #[test]
    fn a_key_is_right_for_those_whom_the_settings_name_and_for_us_where_they_name_nobody() {
        let (us, ours) = (own_user(), own_group());
        let (svc, group) = (us + 1, ours + 1);
        for (what, owner, mode, uid, gid, expected) in [
            ("nobody is named", Owner::default(), 0o600, us, ours, true),
            ("nobody is named, and the group is the directory's", Owner::default(), 0o600, us, group, true),
            ("the owner was taken out", Owner::default(), 0o600, svc, ours, false),
            ("the group was taken out", Owner::default(), 0o640, us, group, false),
            ("an owner", Owner { uid: Some(svc), gid: None }, 0o600, svc, ours, true),
            ("an owner came in", Owner { uid: Some(svc), gid: None }, 0o600, us, ours, false),
            ("a group", Owner { uid: None, gid: Some(group) }, 0o640, us, group, true),
            ("the owner was taken out, the group stays", Owner { uid: None, gid: Some(group) }, 0o640, svc, group, false),
            ("both", Owner { uid: Some(svc), gid: Some(group) }, 0o640, svc, group, true),
            ("another group", Owner { uid: Some(svc), gid: Some(group) }, 0o640, svc, ours, false),
        ] {
            assert_eq!(mode_is_right(Glance { bytes: &[], mode, uid, gid }, owner), expected, "{what}");
        }
    }
}
