//! What consumers are to trust, written into the run directory: each file flushed and renamed, before what needs it is published
//! ([Trust](crate::steps::swap#trust)).

use std::sync::Arc;

use super::leftovers::clean;
use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError};
use crate::io::write::{self, Ownership};
use crate::judge::pem;
use crate::model::anchor::Anchor;
use crate::model::layout;
use crate::model::name::CertName;
use crate::plan::trust::{TrustFiles, Trusted, kept_lists};

/// What consumers are to trust, as it lies in the run directory.
#[derive(Debug)]
pub(super) struct Trust {
    trusted: Trusted,
    files: Arc<TrustFiles>,
}

/// A chain that is about to be published.
#[derive(Clone, Debug)]
pub struct Announced {
    /// Its certificate.
    pub name: CertName,
    /// Its intermediates, as PEM.
    pub chain: String,
}

impl Trust {
    /// Writes what the settings and what is committed say.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn open(settings: &Settings, certs: &Dir, run: &Dir) -> Result<Self, DiskError> {
        let trusted = Trusted::of_settings(settings, Some(certs));
        let files = Arc::new(trusted.files());
        show(run, &files)?;
        Ok(Self { trusted, files })
    }

    pub(super) const fn files(&self) -> &Arc<TrustFiles> {
        &self.files
    }

    pub(super) fn announce(&mut self, run: &Dir, chains: impl Iterator<Item = Announced>) -> Result<(), DiskError> {
        for Announced { name, chain } in chains {
            self.trusted.put(name, &chain);
        }
        self.write(run)
    }

    pub(super) fn settle(&mut self, settings: &Settings, certs: &Dir, run: &Dir) -> Result<(), DiskError> {
        self.trusted = Trusted::of_settings(settings, Some(certs));
        self.write(run)
    }

    /// Takes up the lists that are kept by now.
    pub(super) fn take_lists(&mut self, settings: &Settings, run: &Dir) -> Result<(), DiskError> {
        self.trusted.set_lists(kept_lists(settings, Dir::open(&settings.paths.state)?.as_ref()));
        self.write(run)
    }

    /// Whether anything is committed or announced that says who issues.
    pub(super) fn has_chains(&self) -> bool {
        self.trusted.has_chains()
    }

    fn write(&mut self, run: &Dir) -> Result<(), DiskError> {
        let files = self.trusted.files();
        if files != *self.files {
            show(run, &files)?;
            self.files = Arc::new(files);
        }
        Ok(())
    }
}

/// Keeps the pinned roots in the state directory as well, the first one first, for a boot at which the settings are broken: `meta.json` has
/// the fingerprint of one of them.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(state: &Dir, anchors: &[&Anchor]) -> Result<(), DiskError> {
    for name in state.names()?.iter().filter(|name| layout::is_half_made(name)) {
        write::remove(state, name)?;
    }
    let text: String = anchors.iter().map(|anchor| pem::write(&anchor.der)).collect();
    if state.read(layout::ANCHOR)?.is_some_and(|found| found.bytes.as_slice() == text.as_bytes()) {
        return Ok(());
    }
    write::replace_file(state, layout::ANCHOR, text.as_bytes(), 0o644)
}

/// Removes revocation lists that the settings no longer name: nobody keeps them up to date, and a boot with broken settings would show them.
///
/// # Errors
/// When one cannot be removed.
pub(super) fn drop_unnamed_lists(state: &Dir, settings: &Settings) -> Result<(), DiskError> {
    let Some(lists) = state.child(layout::CRL)? else { return Ok(()) };
    for name in lists.names()?.iter().filter(|name| settings.crls.iter().all(|source| source.file != **name)) {
        write::remove(&lists, name)?;
    }
    Ok(())
}

/// Writes the files where consumers find them, as far as they are not there. Everybody may read them.
///
/// # Errors
/// When one cannot be written.
pub fn show(run_root: &Dir, files: &TrustFiles) -> Result<(), DiskError> {
    let (trust, _) = write::make_dir(run_root, layout::TRUST, 0o755, Ownership::default())?;
    clean(&trust)?;
    for (name, text) in files.iter() {
        let is_there = trust.read(name)?.is_some_and(|found| found.bytes.as_slice() == text.as_bytes() && found.mode == MODE);
        if !is_there {
            write::replace_any(&trust, name, text.as_bytes(), MODE, Ownership::default())?;
        }
    }
    // A list that the settings name no more would be taken for one that is kept up to date.
    for name in trust.names()?.iter().filter(|name| files.iter().all(|(own, _)| own != name.as_str())) {
        write::remove(&trust, name)?;
    }
    Ok(())
}

/// Everybody reads them, and nobody else writes.
const MODE: u32 = 0o644;
