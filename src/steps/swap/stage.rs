//! Staging: a new generation complete in both trees, or one that is already in the state directory made complete in the run tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::place::{self, Place, Trees};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::write::{self, Ownership};
use crate::judge::cert::Facts;
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::layout::{self, Meta};
use crate::model::name::Generation;
use crate::model::secret::Material;
use crate::plan::generation::{Condition, Kept, files_differ, key_mode};
use crate::steps::keep::Stored;
use crate::steps::key::Key;
use crate::steps::validate::Validated;

/// What a generation, its state and its line in the ledger take at most, in blocks of 4 KiB, with chains of RSA-4096 certificates.
const GENERATION: u64 = 64 * 1024;

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
    /// DER of its public key.
    spki: Vec<u8>,
    /// Its private key, where the run tree has to be given it.
    key: Option<Key>,
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

    /// DER of the public key that belongs to the private key.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

/// Reads a committed generation or debt back, with its key opened by its store; a sealed one only where consumers lack it, since what they
/// have is known by its hash.
///
/// # Errors
/// Stage `publish` or `seal`: the generation is damaged, or its key cannot be opened.
pub fn reopen(place: &Place, generation: Generation) -> Result<Reopened, Failure> {
    let kept = place.var().and_then(|var| Kept::read(&var, generation)).map_err(|why| place::failure(Stage::Publish, &why))?;
    if !matches!(kept.condition, Condition::Intact) {
        let text = format!("{generation} of {} cannot be published: {}", place.name(), condition_text(&kept.condition));
        return Err(Failure::new(Stage::Publish, Code::BlobDamaged, text)
            .hint(format!("`omens renew {} --force` makes a new key and certificate", place.name())));
    }
    let complete = is_complete(place, &kept).map_err(|why| place::failure(Stage::Publish, &why))?;
    let known = kept.facts.as_ref().filter(|_| complete && !kept.keep.rests_in_clear()).map(|facts| facts.spki.clone());
    if let Some(spki) = known {
        return Ok(Reopened { kept, spki, key: None });
    }
    let key = place.stores().open(place.name(), &kept)?;
    Ok(Reopened { kept, spki: key.spki().to_vec(), key: Some(key) })
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
    pub fn new(place: &Arc<Place>, stored: Stored, now: Time) -> Result<Self, Box<(Stored, Failure)>> {
        let disk = |why: DiskError| place::failure(Stage::Publish, &why);
        let staged = stage_state(place, &stored, now)
            .and_then(|()| Kept::read(&place.var()?, stored.generation()))
            .map_err(disk)
            .and_then(|kept| stage_run(place, &kept, &|| stored.key.material()).map(|()| kept));
        match staged {
            Ok(kept) => Ok(Self { place: place.clone(), facts: stored.facts().clone(), kept }),
            Err(why) => Err(Box::new((stored, why))),
        }
    }

    /// Stages a generation of the state directory in the run tree, after it passed `validate` again.
    ///
    /// # Errors
    /// The value and why, when the run tree cannot be written.
    pub fn again(place: &Arc<Place>, reopened: Reopened, validated: &Validated) -> Result<Self, Box<(Reopened, Failure)>> {
        let material = || match &reopened.key {
            Some(key) => key.material(),
            None => open_material(place, &reopened.kept),
        };
        match stage_run(place, &reopened.kept, &material) {
            Ok(()) => Ok(Self { place: place.clone(), facts: validated.facts().clone(), kept: reopened.kept }),
            Err(why) => Err(Box::new((reopened, why))),
        }
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
}

fn stage_state(place: &Place, stored: &Stored, now: Time) -> Result<(), DiskError> {
    let generation = stored.generation();
    let fullchain = format!("{}{}", stored.cert, stored.chain);
    let files: [(&str, &[u8], u32); 4] = [
        (layout::CERT, stored.cert.as_bytes(), 0o644),
        (layout::CHAIN, stored.chain.as_bytes(), 0o644),
        (layout::FULLCHAIN, fullchain.as_bytes(), 0o644),
        (stored.key.at_rest().file(), stored.key.at_rest().as_bytes(), 0o600),
    ];
    let meta = Meta {
        v: 1,
        name: place.name().to_string(),
        generation,
        staged: now,
        spki_sha256: Fingerprint::of(&stored.facts().spki),
        anchor_sha256: place.settings().anchor.sha256.clone(),
        files: files.iter().map(|(name, bytes, _)| ((*name).to_owned(), Fingerprint::of(bytes))).collect::<BTreeMap<_, _>>(),
        published_key_sha256: stored.key.at_rest().published_sha256().cloned(),
    };
    let staging = format!(".{generation}");
    let var = place.var()?;
    let meta = write::json(&var, layout::META, &meta)?;
    let (dir, _) = write::make_dir(&var, &staging, 0o700, Ownership::default())?;
    for (name, bytes, mode) in files.into_iter().chain([(layout::META, meta.as_slice(), 0o644)]) {
        write::write_new(&dir, name, bytes, mode, Ownership::default())?;
    }
    write::sync(&dir)?;
    write::rename(&var, &staging, &generation.to_string())?;
    write::sync(&var)
}

/// What consumers are given of a generation's private key, opened by its store.
pub(super) fn open_material(place: &Place, kept: &Kept) -> Result<Material, Failure> {
    place.stores().open(place.name(), kept)?.material()
}

/// Makes the run tree's `gen-N` complete and equal; what is right already is left alone, and its key is not asked for. On tmpfs a flush
/// means nothing, elsewhere it costs little.
pub(super) fn stage_run(place: &Place, kept: &Kept, material: &dyn Fn() -> Result<Material, Failure>) -> Result<(), Failure> {
    let disk = |why: DiskError| place::failure(Stage::Publish, &why);
    let generation = kept.generation;
    if is_complete(place, kept).map_err(disk)? {
        return Ok(());
    }
    let run = place.run().map_err(disk)?;
    let staging = format!(".{generation}");
    write::remove(&run, &staging).map_err(disk)?;
    let (dir, _) = write::make_dir(&run, &staging, 0o750, place::generation_owner(place.certificate())).map_err(disk)?;
    // In clear only into the very directory of which the kernel says that it is in memory.
    if kept.keep.is_only_in_memory() {
        demand_memory(&dir)?;
    }
    let material = match kept.plain_key() {
        Some(plain) => Material::Pem(Zeroizing::new(plain.to_vec())),
        None => material()?,
    };
    let filled = fill(place, &dir, kept, &material).and_then(|()| {
        // A damaged generation of this number is exchanged, in one step where the file system can, so that `live` does not name nothing.
        write::exchange(&run, &staging, &generation.to_string())?;
        write::remove(&run, &staging)?;
        write::sync(&run)
    });
    filled.map_err(disk)
}

fn fill(place: &Place, dir: &Dir, kept: &Kept, material: &Material) -> Result<(), DiskError> {
    let certificate = place.certificate();
    let owner = place::file_owner(certificate);
    for (name, bytes) in kept.published_files(material) {
        let secret = matches!(name, layout::KEY | layout::COMBINED);
        let mode = if secret { key_mode(certificate.owner.gid) } else { 0o644 };
        write::write_new(dir, name, &bytes, mode, owner)?;
    }
    for file in place.settings().rendered(certificate, kept.generation) {
        write::write_new(dir, &file.name, &file.bytes, 0o644, owner)?;
    }
    write::sync(dir)
}

/// Refuses a disk without room for a whole generation: before anything is asked of a CA, since what is signed and cannot be written is lost.
///
/// # Errors
/// Stage `publish`, code `disk-full`.
pub fn demand_room(dir: &Dir) -> Result<(), Failure> {
    let room = dir.room().map_err(|why| place::failure(Stage::Publish, &why))?;
    let Some(room) = room.filter(|room| *room < GENERATION) else { return Ok(()) };
    let text = format!(
        "expected room for a generation ({GENERATION} bytes) in {}, found {room}: nothing was asked of the CA",
        dir.path().display()
    );
    Err(Failure::new(Stage::Publish, Code::DiskFull, text).hint("make room on that file system; nothing that serves was changed"))
}

/// Refuses a directory that is not in memory ([Sealing](crate::steps::swap#sealing)).
///
/// # Errors
/// Stage `seal`, code `run-not-tmpfs`.
pub fn demand_memory(dir: &Dir) -> Result<(), Failure> {
    if dir.is_memory_backed().map_err(|why| place::failure(Stage::Seal, &why))? {
        return Ok(());
    }
    let text =
        format!("expected {} on tmpfs or ramfs, found another file system: no sealed key is written there in clear", dir.path().display());
    Err(Failure::new(Stage::Seal, Code::RunNotTmpfs, text)
        .hint("set paths.run to a directory in memory, such as /run/omens, or below /dev/shm or $XDG_RUNTIME_DIR"))
}

fn is_complete(place: &Place, kept: &Kept) -> Result<bool, DiskError> {
    Ok(is_whole_in(&place.run()?, place.settings(), place.certificate(), kept))
}

/// Whether the run tree has this generation whole, whatever its `live` names. What cannot be looked at is staged anew.
#[must_use]
pub fn is_whole(trees: &Trees, certificate: &Certificate, kept: &Kept) -> bool {
    let run = trees.run_of(certificate.name()).ok().flatten();
    run.is_some_and(|run| is_whole_in(&run, trees.settings(), certificate, kept))
}

fn is_whole_in(run: &Dir, settings: &Settings, certificate: &Certificate, kept: &Kept) -> bool {
    let rendered = settings.rendered(certificate, kept.generation);
    files_differ(run, kept, certificate.owner, &rendered).is_ok_and(|difference| difference.is_none())
}
