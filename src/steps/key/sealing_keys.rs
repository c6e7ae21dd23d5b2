//! The sealing keys on disk: `seal/key-ID.json` and the pinned storage root key. Written here and nowhere else; opened by `sealed`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk;
use crate::io::dir::{Dir, DiskError};
use crate::io::write::{self, Ownership};
use crate::model::canonical::{Format as _, Malformed};
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::sealed::{SealId, SealedKeyFile, SealingKeyFile, SrkPin};
use crate::plan::sealing::damaged_pin;

/// Whether a run still writes: a thread that it gave up may come back when another run holds the lock.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes(Arc<Mutex<bool>>);

impl Writes {
    /// From when this returns nothing is written any more; what is being written is waited for.
    pub(super) fn forbid(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn allowed<T>(&self, write: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let forbidden = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *forbidden {
            return Err(Failure::new(Stage::Seal, Code::TpmUnreachable, "the TPM answered too late: the run that asked it has ended"));
        }
        write()
    }
}

/// The `seal` directory of a state directory.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    state: PathBuf,
    writes: Writes,
}

impl Keys {
    pub(super) fn of(state: &Path, writes: Writes) -> Self {
        Self { state: state.to_path_buf(), writes }
    }

    fn dir(&self) -> Result<Option<Dir>, Failure> {
        let open = || Dir::open(&self.state)?.map_or(Ok(None), |state| state.child(layout::SEAL));
        open().map_err(|why| disk(&why))
    }

    fn make_dir(&self) -> Result<Dir, DiskError> {
        let state = write::make_path(&self.state, 0o700)?;
        let (dir, made) = write::make_dir(&state, layout::SEAL, 0o700, Ownership::default())?;
        if made {
            write::sync(&state)?;
        }
        Ok(dir)
    }

    /// Every sealing key that is there and can be read, newest first. What cannot be read is said by whoever needs it.
    pub(super) fn all(&self) -> Result<Vec<SealingKeyFile>, Failure> {
        let Some(dir) = self.dir()? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for id in ids(&dir).map_err(|why| disk(&why))? {
            match self.read(&id) {
                Ok(key) => all.push(key),
                Err(why) => tracing::warn!(%why, "a sealing key is passed over"),
            }
        }
        all.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        Ok(all)
    }

    /// One sealing key.
    pub(super) fn read(&self, id: &SealId) -> Result<SealingKeyFile, Failure> {
        let name = id.file();
        let path = self.state.join(layout::SEAL).join(&name);
        let damaged = |why: &str| {
            Failure::new(Stage::Seal, Code::BlobDamaged, format!("the sealing key {} cannot be used: {why}", path.display())).hint(
                "`omens renew --all` makes new keys and certificates where this one is needed; a backup of that file would do as well",
            )
        };
        let content = self.dir()?.map_or(Ok(None), |dir| dir.read(&name)).map_err(|why| disk(&why))?;
        let content = content.ok_or_else(|| damaged("there is no such file"))?;
        let file = SealingKeyFile::parse(&content.bytes).map_err(|why| damaged(&why.to_string()))?;
        if file.id == *id { Ok(file) } else { Err(damaged("it is another one's")) }
    }

    /// Writes a new sealing key; it is durable when this returns.
    pub(super) fn write(&self, key: &SealingKeyFile) -> Result<(), Failure> {
        self.put(&key.id.file(), &key.written().map_err(|why| unwritable(&why))?)
    }

    /// The Name that is pinned. Without a pin the newest sealing key's word counts, and without one that of the private keys that were sealed,
    /// where they agree: a lost pin is no licence to trust another TPM.
    pub(super) fn pinned(&self) -> Result<Option<Vec<u8>>, Failure> {
        let content = self.dir()?.map_or(Ok(None), |dir| dir.read(layout::SRK)).map_err(|why| disk(&why))?;
        let Some(content) = content else {
            let newest = self.all()?.into_iter().next().map(|key| key.srk.0);
            return if newest.is_some() { Ok(newest) } else { self.named_by_all() };
        };
        let path = || self.state.join(layout::SEAL).join(layout::SRK);
        let pin = SrkPin::parse(&content.bytes).map_err(|why| damaged_pin(&path(), &why))?;
        Ok(Some(pin.name.0))
    }

    /// Pins a storage root key, if it is not the one that is pinned.
    pub(super) fn pin(&self, name: &[u8], now: Time) -> Result<(), Failure> {
        let content = self.dir()?.map_or(Ok(None), |dir| dir.read(layout::SRK)).map_err(|why| disk(&why))?;
        if content.and_then(|content| SrkPin::parse(&content.bytes).ok()).is_some_and(|pin| pin.name.0 == name) {
            return Ok(());
        }
        self.put(layout::SRK, &SrkPin::new(name.to_vec(), now).written().map_err(|why| unwritable(&why))?)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let put = || write::replace_file(&self.make_dir()?, name, bytes, 0o600);
        self.writes.allowed(|| put().map_err(|why| disk(&why)))
    }

    /// Removes what a killed run left half-written.
    pub(super) fn clean(&self) -> Result<(), Failure> {
        let Some(dir) = self.dir()? else { return Ok(()) };
        let clean = || dir.names()?.iter().filter(|name| name.starts_with('.')).try_for_each(|name| write::remove(&dir, name));
        clean().map_err(|why| disk(&why))
    }

    /// Removes the sealing keys that are not among `needed`.
    pub(super) fn remove_others(&self, needed: &BTreeSet<SealId>) -> Result<Vec<SealId>, Failure> {
        let Some(dir) = self.dir()? else { return Ok(Vec::new()) };
        let remove = || {
            let unneeded: Vec<SealId> = ids(&dir)?.into_iter().filter(|id| !needed.contains(id)).collect();
            // A power cut must not bring a generation back whose sealing key is gone.
            if !unneeded.is_empty() {
                self.sync_certificates()?;
            }
            unneeded.iter().try_for_each(|id| write::remove(&dir, &id.file()))?;
            if !unneeded.is_empty() {
                write::sync(&dir)?;
            }
            Ok(unneeded)
        };
        remove().map_err(|why| disk(&why))
    }

    fn sync_certificates(&self) -> Result<(), DiskError> {
        let Some(certs) = Dir::open(&self.state)?.map_or(Ok(None), |state| state.child(layout::CERTS))? else { return Ok(()) };
        for name in certs.names()?.iter().filter(|name| !name.starts_with('.')) {
            certs.child(name)?.map_or(Ok(()), |certificate| write::sync(&certificate))?;
        }
        Ok(())
    }

    /// Whether there is more than the one that serves.
    pub(super) fn are_several(&self) -> Result<bool, Failure> {
        let Some(dir) = self.dir()? else { return Ok(false) };
        Ok(ids(&dir).map_err(|why| disk(&why))?.len() > 1)
    }

    /// The storage root key that all private keys were sealed under; `None` where they differ or one cannot be read.
    fn named_by_all(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(mut all) = self.sealed()? else { return Ok(None) };
        let first = all.pop().map(|sealed| sealed.srk.0);
        Ok(first.filter(|first| all.iter().all(|sealed| sealed.srk.0 == *first)))
    }

    /// The sealing keys that generations still need; `None` where one generation cannot be read, since then nobody knows.
    pub(super) fn referenced(&self) -> Result<Option<BTreeSet<SealId>>, Failure> {
        Ok(self.sealed()?.map(|all| all.into_iter().map(|sealed| sealed.seal).collect()))
    }

    /// The sealed private keys of all certificates, also of those that the settings no longer name; `None` where one cannot be read.
    fn sealed(&self) -> Result<Option<Vec<SealedKeyFile>>, Failure> {
        let certs = || Dir::open(&self.state)?.map_or(Ok(None), |state| state.child(layout::CERTS));
        let Some(certs) = certs().map_err(|why| disk(&why))? else { return Ok(Some(Vec::new())) };
        let scan = || {
            let mut all = Vec::new();
            for name in certs.names()?.iter().filter(|name| !name.starts_with('.')) {
                let Some(certificate) = certs.child(name)? else { continue };
                for generation in certificate.names()?.iter().filter(|name| Generation::parse(name).is_some()) {
                    let Some(dir) = certificate.child(generation)? else { continue };
                    let Some(content) = dir.read(layout::SEALED_KEY)? else { continue };
                    let Ok(sealed) = SealedKeyFile::parse(&content.bytes) else { return Ok(None) };
                    all.push(sealed);
                }
            }
            Ok(Some(all))
        };
        scan().map_err(|why: DiskError| disk(&why))
    }
}

fn unwritable(why: &Malformed) -> Failure {
    Failure::new(Stage::Seal, Code::BlobDamaged, format!("a sealing key cannot be written: {why}"))
}

fn ids(dir: &Dir) -> Result<Vec<SealId>, DiskError> {
    Ok(dir.names()?.iter().filter_map(|name| SealId::of_file(name)).collect())
}
