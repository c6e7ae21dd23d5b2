//! What consumers find in the run directory, and how it differs from what is committed. Only reads.

use std::path::Path;

use super::{Published, Roots};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Buffer, Dir, DiskError};
use crate::judge::cert::Facts;
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::plan::copies::copy_differs;
use crate::plan::generation::{Kept, certificates, difference};
use crate::plan::outlet::Outlet;

/// What consumers read of a certificate.
///
/// # Errors
/// When something that is there cannot be read.
pub fn published(run: &Path, name: &CertName) -> Result<Published, DiskError> {
    let Some(run) = Dir::open(run)?.map_or(Ok(None), |run| run.child(name.as_str()))? else { return Ok(Published::default()) };
    let generation = run.link(layout::LIVE)?.as_deref().and_then(Generation::parse);
    let facts = generation.map_or(Ok(None), |generation| published_leaf(&run, generation))?;
    Ok(Published { generation, facts })
}

pub(super) fn published_leaf(run: &Dir, generation: Generation) -> Result<Option<Facts>, DiskError> {
    let Some(dir) = run.child(&generation.to_string())? else { return Ok(None) };
    let leaf = dir.read(layout::CERT)?.and_then(|c| certificates(&c.bytes).into_iter().next());
    Ok(leaf.and_then(|der| Facts::parse(&der).ok()))
}

/// Why what consumers read is not the committed generation.
///
/// # Errors
/// When something that is there cannot be read.
pub fn unpublished(settings: &Settings, cert: &Certificate, roots: Roots<'_>, live: &Kept) -> Result<Option<String>, DiskError> {
    let name = cert.name();
    let run = roots.run.map_or(Ok(None), |run| run.child(name.as_str()))?;
    let Some(run) = run else { return Ok(Some(format!("{} is gone", settings.paths.run.join(name.as_str()).display()))) };
    if let Some(text) = foreign(roots)? {
        return Ok(Some(text));
    }
    outlet_differs(&Outlet::of_settings(settings, cert, live.generation, roots.trust.cloned()), &run, live)
}

/// Why what lies in this directory of the run tree is not what this outlet makes of the committed generation.
///
/// # Errors
/// When something that is there cannot be read.
pub fn outlet_differs(outlet: &Outlet, run: &Dir, live: &Kept) -> Result<Option<String>, DiskError> {
    differs(outlet, run, run.link(layout::LIVE)?.as_deref(), live, &mut Buffer::default())
}

/// Why nothing in the run directory can be relied on, however equal it is: it is another user's, others may exchange what lies in it, or they
/// cannot reach it. Runs write both directories as one user; whoever looks may be another.
pub(super) fn foreign(roots: Roots<'_>) -> Result<Option<String>, DiskError> {
    let Some(run) = roots.run else { return Ok(None) };
    let (mode, found, _) = run.owner()?;
    if let Some((_, ours, _)) = roots.certs.map(Dir::owner).transpose()?.filter(|(_, ours, _)| found != *ours) {
        return Ok(Some(run.told_foreign(found, ours)));
    }
    let closed = || format!("{} cannot be passed by the users of consumers: mode {mode:04o}, expected 0755", run.path().display());
    Ok(run.told_writable(0)?.or_else(|| (mode & 0o011 != 0o011).then(closed)))
}

pub(super) fn differs(
    outlet: &Outlet,
    run: &Dir,
    named: Option<&str>,
    live: &Kept,
    buffer: &mut Buffer,
) -> Result<Option<String>, DiskError> {
    if let Some(text) = difference(run, named, live, outlet.expected(), buffer)? {
        return Ok(Some(text));
    }
    // A sealed key is never copied: its certificate has copies only since the settings changed, and is due for that.
    let copied = live.plain_key().is_some();
    for install in outlet.copies.iter().filter(|_| copied) {
        if let Some(text) = copy_differs(outlet, install, live)? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
