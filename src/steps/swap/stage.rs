//! Staging: a new generation complete in both trees, or one that is already in the state directory made complete in the run tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::place::{self, Place};
use crate::config::settings::Owner;
use crate::io::dir::{Dir, DiskError};
use crate::io::write::{self, Ownership};
use crate::judge::cert::Facts;
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;
use crate::model::failure::{Failure, Stage};
use crate::model::layout::{self, Meta};
use crate::model::name::Generation;
use crate::model::secret::PlainKey;
use crate::plan::generation::{Condition, Kept, difference, key_mode};
use crate::steps::seal::{FileStore, KeyStore, Stored};
use crate::steps::validate::Validated;

/// A generation that is complete in both trees and not yet published.
#[derive(Debug)]
pub struct Staged {
    pub(super) place: Arc<Place>,
    pub(super) kept: Kept,
    pub(super) facts: Facts,
}

/// A generation read back from the state directory, on its way through `validate` again.
#[derive(Debug)]
pub struct Reopened {
    kept: Kept,
    key: PlainKey,
}

impl Reopened {
    /// The leaf's PEM.
    #[must_use]
    pub fn cert_pem(&self) -> String {
        self.kept.cert_pem()
    }

    /// The intermediates' PEM.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.kept.chain_pem()
    }

    /// The private key.
    #[must_use]
    pub const fn key(&self) -> &PlainKey {
        &self.key
    }
}

/// Reads a committed generation or debt back, with its key opened by its store.
///
/// # Errors
/// Stage `publish` or `seal`: the generation is damaged, or its key cannot be opened.
pub fn reopen(place: &Place, generation: Generation) -> Result<Reopened, Failure> {
    let kept = place.var().and_then(|var| Kept::read(&var, generation)).map_err(|why| place::failure(Stage::Publish, &why))?;
    if !matches!(kept.condition, Condition::Intact) {
        let text = format!("{generation} of {} cannot be published: {}", place.name(), condition_text(&kept.condition));
        return Err(Failure::new(Stage::Publish, "blob-damaged", text)
            .hint(format!("`omens renew {} --force` makes a new key and certificate", place.name())));
    }
    let key = FileStore.open(place.name(), generation, kept.key_pem())?;
    Ok(Reopened { kept, key })
}

pub(super) fn condition_text(condition: &Condition) -> &str {
    match condition {
        Condition::Intact => "it is intact",
        Condition::Changed(text) | Condition::Unreadable(text) => text,
        Condition::KeyMismatch => "certificate and key do not belong together",
    }
}

impl Staged {
    /// Stages a new generation in both trees.
    ///
    /// # Errors
    /// The value and why, when a file cannot be written; what was half-made is removed by the next run.
    pub fn new(place: &Arc<Place>, stored: Stored, generation: Generation, now: Time) -> Result<Self, Box<(Stored, Failure)>> {
        let staged = stage_state(place, &stored, generation, now)
            .and_then(|()| Kept::read(&place.var()?, generation))
            .and_then(|kept| stage_run(place, &kept).map(|()| kept));
        match staged {
            Ok(kept) => Ok(Self { place: place.clone(), facts: stored.facts().clone(), kept }),
            Err(why) => Err(Box::new((stored, place::failure(Stage::Publish, &why)))),
        }
    }

    /// Stages a generation of the state directory in the run tree, after it passed `validate` again.
    ///
    /// # Errors
    /// The value and why, when the run tree cannot be written.
    pub fn again(place: &Arc<Place>, reopened: Reopened, validated: &Validated) -> Result<Self, Box<(Reopened, Failure)>> {
        match stage_run(place, &reopened.kept) {
            Ok(()) => Ok(Self { place: place.clone(), facts: validated.facts().clone(), kept: reopened.kept }),
            Err(why) => Err(Box::new((reopened, place::failure(Stage::Publish, &why)))),
        }
    }

    /// The generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.kept.generation
    }
}

fn stage_state(place: &Place, stored: &Stored, generation: Generation, now: Time) -> Result<(), DiskError> {
    let fullchain = format!("{}{}", stored.cert, stored.chain);
    let files: [(&str, &[u8], u32); 4] = [
        (layout::CERT, stored.cert.as_bytes(), 0o644),
        (layout::CHAIN, stored.chain.as_bytes(), 0o644),
        (layout::FULLCHAIN, fullchain.as_bytes(), 0o644),
        (stored.kept.file, &stored.kept.bytes, 0o600),
    ];
    let meta = Meta {
        v: 1,
        name: place.name().to_string(),
        generation,
        staged: now,
        spki_sha256: Fingerprint::of(&stored.facts().spki),
        anchor_sha256: place.settings().anchor.sha256.clone(),
        files: files.iter().map(|(name, bytes, _)| ((*name).to_owned(), Fingerprint::of(bytes))).collect::<BTreeMap<_, _>>(),
    };
    let meta = serde_json::to_vec_pretty(&meta).unwrap_or_default();
    let staging = format!(".{generation}");
    let var = place.var()?;
    let (dir, _) = write::make_dir(&var, &staging, 0o700, Ownership::default())?;
    for (name, bytes, mode) in files.into_iter().chain([(layout::META, meta.as_slice(), 0o644)]) {
        write::write_new(&dir, name, bytes, mode, Ownership::default())?;
    }
    write::sync(&dir)?;
    write::rename(&var, &staging, &generation.to_string())?;
    write::sync(&var)
}

/// Makes the run tree's `gen-N` complete and equal; what is right already is left alone. On tmpfs a flush means nothing, elsewhere it costs little.
pub(super) fn stage_run(place: &Place, kept: &Kept) -> Result<(), DiskError> {
    let certificate = place.certificate();
    let generation = kept.generation;
    let target = layout::run_generation(&place.settings().paths.run, place.name(), generation);
    let nginx = layout::nginx_conf(&target);
    let run = place.run()?;
    if is_complete(&run, kept, certificate.owner, &nginx)? {
        return Ok(());
    }
    let staging = format!(".{generation}");
    write::remove(&run, &staging)?;
    let (dir, _) = write::make_dir(&run, &staging, 0o750, place::generation_owner(certificate))?;
    let owner = place::file_owner(certificate);
    for (name, bytes) in kept.published_files() {
        let secret = matches!(name, layout::KEY | layout::COMBINED);
        let mode = if secret { key_mode(certificate.owner.gid) } else { 0o644 };
        write::write_new(&dir, name, &bytes, mode, owner)?;
    }
    write::write_new(&dir, layout::NGINX, nginx.as_bytes(), 0o644, owner)?;
    write::sync(&dir)?;
    // A damaged generation of this number is exchanged, in one step where the file system can, so that `live` does not name nothing.
    write::exchange(&run, &staging, &generation.to_string())?;
    write::remove(&run, &staging)?;
    write::sync(&run)
}

fn is_complete(run: &Dir, kept: &Kept, owner: Owner, nginx: &str) -> Result<bool, DiskError> {
    // Whatever is wrong with what lies there, it is staged anew; only our own link is looked at apart from the files.
    let live = run.link(layout::LIVE)?;
    if live.as_deref() != Some(kept.generation.to_string().as_str()) {
        return Ok(false);
    }
    Ok(difference(run, kept, owner, nginx).ok().flatten().is_none())
}
