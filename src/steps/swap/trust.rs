//! What consumers are to trust, written into the run directory: each file flushed and renamed, before what needs it is published
//! ([Trust](crate::steps::swap#trust)).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::leftovers::clean;
use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError};
use crate::io::write::{self, Ownership};
use crate::judge::pem;
use crate::model::anchor::Anchor;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::layout;
use crate::model::name::CertName;
use crate::plan::trust::{TrustFiles, Trusted, kept_lists, names_list};

/// What consumers are to trust, as it lies in the run directory.
#[derive(Debug)]
pub(super) struct Trust {
    trusted: Trusted,
    files: Arc<TrustFiles>,
    removed: Removed,
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
    pub(super) fn open(settings: &Settings, state: &Dir, certs: &Dir, run: &Dir) -> Result<Self, DiskError> {
        let mut removed = drop_unnamed_lists(state, settings);
        let trusted = Trusted::of_settings(settings, Some(certs));
        let files = Arc::new(trusted.files());
        removed.add(show(run, &files)?);
        Ok(Self { trusted, files, removed })
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

    /// The lists that were removed since.
    pub(super) const fn removed(&self) -> &Removed {
        &self.removed
    }

    /// Whether anything is committed or announced that says who issues.
    pub(super) fn has_chains(&self) -> bool {
        self.trusted.has_chains()
    }

    fn write(&mut self, run: &Dir) -> Result<(), DiskError> {
        let files = self.trusted.files();
        if files != *self.files {
            self.removed.add(show(run, &files)?);
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

/// What came of revocation lists that nothing keeps up to date any more.
#[derive(Clone, Debug, Default)]
pub struct Removed {
    names: BTreeSet<String>,
    /// Why something stays.
    stays: Vec<String>,
}

impl Removed {
    /// Removes from a directory what is none of ours. What cannot be removed costs nobody a certificate.
    fn remove(&mut self, dir: Result<Option<&Dir>, &DiskError>, is_ours: impl Fn(&str) -> bool) {
        let names = match dir {
            Ok(Some(dir)) => dir.names().map(|names| (dir, names)),
            Ok(None) => return,
            Err(why) => return self.stays.push(why.to_string()),
        };
        let (dir, names) = match names {
            Ok(found) => found,
            Err(why) => return self.stays.push(why.to_string()),
        };
        for name in names.into_iter().filter(|name| !is_ours(name)) {
            match write::remove(dir, &name) {
                Err(why) => self.stays.push(why.to_string()),
                // What a killed run left half-written was nobody's list.
                Ok(()) if name.starts_with('.') => {}
                Ok(()) => drop(self.names.insert(name)),
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.names.extend(other.names);
        self.stays.extend(other.stays.into_iter().filter(|why| !self.stays.contains(why)).collect::<Vec<_>>());
    }

    /// What a person has to know of it: a service that still names such a list does not begin without it.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let removed = self.names.iter().map(|name| {
            let text = format!("{name} of {} was removed: nothing keeps that revocation list up to date any more", layout::TRUST);
            Warning::new(Code::CrlRemoved, text)
                .hint("a service that still names it fails at its next reload: take it out there, or name the list in trust.crl again")
        });
        let stays = self.stays.iter();
        let stays = stays.map(|why| Warning::new(Code::Disk, format!("a revocation list that nothing keeps up to date stays: {why}")));
        removed.chain(stays).collect()
    }
}

/// Removes the kept revocation lists that the settings no longer name: nobody keeps them up to date, and a boot with broken settings would
/// show them.
fn drop_unnamed_lists(state: &Dir, settings: &Settings) -> Removed {
    let mut removed = Removed::default();
    removed.remove(state.child(layout::CRL).as_ref().map(Option::as_ref), |name| names_list(settings, name));
    removed
}

/// Writes the files where consumers find them, as far as they are not there. Everybody may read them. Lists that nothing keeps up to date any
/// more go.
///
/// # Errors
/// When one cannot be written.
pub fn show(run_root: &Dir, files: &TrustFiles) -> Result<Removed, DiskError> {
    let (trust, _) = write::make_dir(run_root, layout::TRUST, 0o755, Ownership::default())?;
    clean(&trust)?;
    for (name, text) in files.iter() {
        let is_there = trust.read(name)?.is_some_and(|found| found.bytes.as_slice() == text.as_bytes() && found.mode == MODE);
        if !is_there {
            write::replace_any(&trust, name, text.as_bytes(), MODE, Ownership::default())?;
        }
    }
    // A list that the settings name no more would be taken for one that is kept up to date.
    let mut removed = Removed::default();
    removed.remove(Ok(Some(&trust)), |name| files.iter().any(|(own, _)| own == name));
    Ok(removed)
}

/// Everybody reads them, and nobody else writes.
const MODE: u32 = 0o644;
