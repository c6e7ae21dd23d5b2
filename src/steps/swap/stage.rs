//! Staging: a new generation complete in both trees, or one that is already in the state directory made complete in the run tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::place::{self, Place, Trees};
use crate::config::settings::Certificate;
use crate::io::dir::{Dir, DiskError};
use crate::io::write::{self, Ownership};
use crate::judge::cert::Facts;
use crate::model::anchor::Fingerprint;
use crate::model::canonical::Format as _;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::meta::Meta;
use crate::model::name::{CertName, Generation};
use crate::model::sealed::SealedKeyFile;
use crate::model::secret::Material;
use crate::plan::generation::{Condition, Kept, files_differ};
use crate::plan::outlet::{Outlet, noted, noted_containers};
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
        self.kept.chain_pem().into_owned()
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
        return Err(not_publishable(place.name(), &kept));
    }
    let complete = is_complete(place, &kept).map_err(|why| place::failure(Stage::Publish, &why))?;
    let known = kept.facts.as_ref().filter(|_| complete && !kept.keep.rests_in_clear()).map(|facts| facts.spki.clone());
    if let Some(spki) = known {
        return Ok(Reopened { kept, spki, key: None });
    }
    let key = place.stores().open(place.name(), &kept)?;
    Ok(Reopened { kept, spki: key.spki().to_vec(), key: Some(key) })
}

/// Why a damaged generation is given to nobody.
pub(super) fn not_publishable(name: &CertName, kept: &Kept) -> Failure {
    let text = format!("{} of {name} cannot be published: {}", kept.generation, condition_text(&kept.condition));
    let hint = format!("`omens renew {name} --force` makes a new key and certificate");
    Failure::new(Stage::Publish, Code::BlobDamaged, text).hint(hint)
}

/// A condition in words.
#[must_use]
pub fn condition_text(condition: &Condition) -> &str {
    match condition {
        Condition::Intact => "it is intact",
        Condition::Changed(text) | Condition::Unreadable(text) => text,
        Condition::KeyMismatch => "certificate and key do not belong together",
    }
}

impl Staged {
    /// Stages a new generation in both trees. `now` is when; of a certificate that was staged before, when that was.
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

    /// The intermediates' PEM.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.kept.chain_pem().into_owned()
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
    let sealed = SealedKeyFile::parse(stored.key.at_rest().as_bytes()).ok();
    let rendered = place.settings().rendered(place.certificate(), generation);
    let meta = Meta {
        v: 1,
        name: place.name().to_string(),
        generation,
        staged: now,
        spki_sha256: Fingerprint::of(&stored.facts().spki),
        anchor_sha256: stored.anchor.clone(),
        files: files.iter().map(|(name, bytes, _)| ((*name).to_owned(), Fingerprint::of(bytes))).collect::<BTreeMap<_, _>>(),
        published_key_sha256: stored.key.at_rest().published_sha256().cloned(),
        keep: Some(place.certificate().keep),
        owner: place.certificate().accounts.owner.clone(),
        group: place.certificate().accounts.group.clone(),
        srk: sealed.as_ref().map(|sealed| sealed.srk.clone()),
        tcti: sealed.and(place.settings().sealing.as_ref()).map(|sealing| sealing.tcti.to_string()),
        rendered: rendered.into_iter().map(|file| (file.name, String::from_utf8_lossy(&file.bytes).into_owned())).collect(),
        copies: noted(place.certificate()),
        containers: noted_containers(place.certificate()),
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

/// Makes the run tree's `gen-N` complete and equal.
pub(super) fn stage_run(place: &Place, kept: &Kept, material: &dyn Fn() -> Result<Material, Failure>) -> Result<(), Failure> {
    place.site(kept).map_err(|why| place::failure(Stage::Publish, &why))?.stage(kept, material)
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
    Err(Failure::new(Stage::Publish, Code::DiskFull, text).hint("make room on that file system; what is in use goes on serving"))
}

fn is_complete(place: &Place, kept: &Kept) -> Result<bool, DiskError> {
    Ok(place.site(kept)?.is_whole(kept))
}

/// Whether the run tree has this generation whole, whatever its `live` names. What cannot be looked at is staged anew.
#[must_use]
pub fn is_whole(trees: &Trees, certificate: &Certificate, kept: &Kept) -> bool {
    let run = trees.run_of(certificate.name()).ok().flatten();
    let outlet = || Outlet::of_settings(trees.settings(), certificate, kept.generation, Some(trees.trust()));
    run.is_some_and(|run| files_differ(&run, kept, outlet().expected()).is_ok_and(|difference| difference.is_none()))
}
