//! Publishing: one rename of the run directory's `live`, and the way back to the committed generation.

use std::sync::Arc;

use super::place::{self, Place};
use super::stage::{Staged, condition_text, leaf_bytes, stage_run};
use crate::config::settings::{Install, InstallKind, Part};
use crate::io::dir::{Dir, DiskError};
use crate::io::write;
use crate::judge::cert::Facts;
use crate::judge::pem;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::Generation;
use crate::plan::generation::{Kept, key_mode};
use crate::plan::inventory::{leftovers, part_file};

/// A generation that consumers find at `live`.
#[derive(Debug)]
pub struct Published {
    place: Arc<Place>,
    kept: Kept,
    facts: Facts,
}

impl Published {
    /// Publishes a staged generation.
    ///
    /// # Errors
    /// The value and why. `live` may name the new generation already, so the caller goes back to the committed one.
    pub fn new(staged: Staged) -> Result<Self, Box<(Staged, Failure)>> {
        match show(&staged.place, &staged.kept) {
            Ok(()) => Ok(Self { place: staged.place, kept: staged.kept, facts: staged.facts }),
            Err(why) => {
                let why = place::failure(Stage::Publish, &why);
                Err(Box::new((staged, why)))
            }
        }
    }

    /// Publishes it once more, after it had been taken back.
    ///
    /// # Errors
    /// The value and why.
    pub fn again(self) -> Result<Self, Box<(Self, Failure)>> {
        let shown = stage_run(&self.place, &self.kept).and_then(|()| show(&self.place, &self.kept));
        match shown {
            Ok(()) => Ok(self),
            Err(why) => Err(Box::new((self, place::failure(Stage::Publish, &why)))),
        }
    }

    /// Where it lies.
    #[must_use]
    pub const fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// The generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.kept.generation
    }

    /// Its leaf.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Reads the leaf back as a consumer would, through `live`: the proof `file`.
    ///
    /// # Errors
    /// Stage `verify`, when something else is found there.
    pub fn read_back(&self) -> Result<(), Failure> {
        let found = self.place.run.link(layout::LIVE).and_then(|link| match link {
            Some(link) => self.place.run.child(&link)?.map_or(Ok(None), |dir| dir.read(layout::CERT)),
            None => Ok(None),
        });
        match found {
            Ok(Some(content)) if content.bytes == leaf_bytes(&self.kept) => Ok(()),
            Ok(_) => {
                let path = self.place.run.join(layout::LIVE);
                let text = format!("expected {} through {}, found other files", self.generation(), path.display());
                Err(Failure::new(Stage::Verify, "other-leaf", text).hint("something else writes into the run directory"))
            }
            Err(why) => Err(place::failure(Stage::Verify, &why)),
        }
    }
}

/// Makes consumers read a generation of the state directory again: the committed one after a failure, or after a boot.
///
/// # Errors
/// Stage `publish`: the generation is damaged, or a file cannot be written.
pub fn put_back(place: &Place, generation: Generation) -> Result<Facts, Failure> {
    let kept = Kept::read(&place.var, generation).map_err(|why| place::failure(Stage::Publish, &why))?;
    let facts = match &kept.facts {
        Some(facts) if kept.usable() => facts.clone(),
        _ => {
            let text = format!("{generation} of {} cannot be published: {}", place.name(), condition_text(&kept.condition));
            return Err(Failure::new(Stage::Publish, "blob-damaged", text)
                .hint(format!("`omens renew {} --force` makes a new key and certificate", place.name())));
        }
    };
    let shown = stage_run(place, &kept).and_then(|()| show(place, &kept));
    shown.map(|()| facts).map_err(|why| place::failure(Stage::Publish, &why))
}

fn show(place: &Place, kept: &Kept) -> Result<(), DiskError> {
    write::make_link(&place.run, layout::NGINX, "live/nginx.conf")?;
    let target = kept.generation.to_string();
    if place.run.link(layout::LIVE)?.as_deref() != Some(target.as_str()) {
        write::replace_link(&place.run, layout::LIVE, &target)?;
    }
    for install in place.certificate().install.iter().filter(|i| i.kind == InstallKind::Copy) {
        copy(place, install, kept)?;
    }
    Ok(())
}

/// Writes the copies of the committed generation (`omens install`).
///
/// # Errors
/// When a copy cannot be written.
pub fn write_copies(place: &Place, install: &Install, generation: Generation) -> Result<(), DiskError> {
    let kept = Kept::read(&place.var, generation)?;
    copy(place, install, &kept)
}

/// Writes a consumer's copies, key last: a reader between two renames finds a new certificate with an old key, never a key without one.
fn copy(place: &Place, install: &Install, kept: &Kept) -> Result<(), DiskError> {
    let missing = || DiskError::new("open the directory", &install.dir, rustix::io::Errno::NOENT);
    let dir = Dir::open(&install.dir)?.ok_or_else(missing)?;
    let owner = place.certificate().owner;
    for leftover in leftovers(install, &dir.names()?) {
        write::remove(&dir, &leftover)?;
    }
    let mut files = install.files.clone();
    files.sort_by_key(|(part, _)| match part {
        Part::Key => 2,
        Part::Combined => 1,
        Part::Ca | Part::Cert | Part::Chain | Part::Fullchain => 0,
    });
    let published = kept.published_files();
    for (part, file) in &files {
        let anchor = || zeroize::Zeroizing::new(pem::write(&place.settings().anchor.der).into_bytes());
        let bytes = part_file(*part).and_then(|name| published.iter().find(|(n, _)| *n == name)).map_or_else(anchor, |(_, b)| b.clone());
        let regular = dir.kind(file)? == Some(crate::io::dir::Kind::File);
        if regular && dir.read(file)?.is_some_and(|found| found.bytes == bytes) {
            continue;
        }
        let mode = if matches!(part, Part::Key | Part::Combined) { key_mode(owner.gid) } else { 0o644 };
        write::replace_any(&dir, file, &bytes, mode, place::file_owner(place.certificate()))?;
    }
    Ok(())
}
