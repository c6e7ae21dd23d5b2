//! What one run has opened: each sealing key once, by the connection to the TPM that it is given.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::sealing_keys::Keys;
use crate::config::settings::Sealing;
use crate::io::tpm::connection::Access;
use crate::io::tpm::{Sealed, Tpm};
use crate::io::write;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::sealed::{KEY, PAYLOAD, SealId, SealingKeyFile};
use crate::model::secret::SealingKey;

/// What this run has opened so far. A failure is kept too: fifty certificates do not ask a dead TPM fifty times.
#[derive(Debug)]
pub(super) struct Open {
    sealing: Sealing,
    pub(super) files: Keys,
    /// Why the TPM is not asked again.
    refused: Option<Failure>,
    /// A person said that the TPM that is there is meant, whatever is pinned.
    adopts: bool,
    pub(super) commands: u64,
    pub(super) opened: BTreeMap<SealId, Result<OpenKey, Failure>>,
    pub(super) active: Option<SealId>,
    /// Why there is none.
    pub(super) unready: Option<Failure>,
    /// Why the active key was made, where another would have served.
    pub(super) replaced: Option<Warning>,
    pub(super) unseals: u32,
}

#[derive(Debug)]
pub(super) struct OpenKey {
    pub(super) srk: Vec<u8>,
    pub(super) key: SealingKey,
}

impl Open {
    pub(super) fn new(files: Keys, sealing: Sealing) -> Self {
        Self {
            sealing,
            files,
            refused: None,
            adopts: false,
            commands: 0,
            opened: BTreeMap::new(),
            active: None,
            unready: None,
            replaced: None,
            unseals: 0,
        }
    }

    /// Takes the TPM that is there for the one to pin, and says whether it is another one; what was opened before is forgotten. The pin is
    /// written with the first sealing key under it: a TPM that seals nothing is never pinned.
    pub(super) fn adopt(&mut self, access: &mut Access) -> Result<bool, Failure> {
        let before = self.files.pinned().unwrap_or_default();
        let tpm = access.tpm().map_err(|why| why.failure())?;
        tpm.storage(None).map_err(|why| why.failure())?;
        let other = before.is_none_or(|before| before != tpm.srk_name());
        (self.refused, self.active, self.unready, self.adopts) = (None, None, None, true);
        self.opened.clear();
        Ok(other)
    }

    /// Before something is written: what a killed run left goes, and the TPM is there.
    pub(super) fn enter(&mut self, access: &mut Access) -> Result<Vec<u8>, Failure> {
        self.files.clean()?;
        Ok(self.tpm(access)?.srk_name().to_vec())
    }

    pub(super) fn make_ready(&mut self, access: &mut Access, now: Time) -> Result<Option<Warning>, Failure> {
        if let Some(known) = self.ready() {
            return known;
        }
        let made = self.choose(access, now);
        self.unready = made.as_ref().err().cloned();
        made
    }

    /// What came of making ready, where that was tried.
    pub(super) fn ready(&self) -> Option<Result<Option<Warning>, Failure>> {
        let why = self.unready.clone().filter(|_| self.active.is_none());
        why.map(Err).or_else(|| self.active.as_ref().map(|_| Ok(self.replaced.clone())))
    }

    fn choose(&mut self, access: &mut Access, now: Time) -> Result<Option<Warning>, Failure> {
        let lost = self.lost_pin()?;
        let srk = self.enter(access)?;
        let serves = |key: &SealingKeyFile| {
            let age = now.since(key.created).unsigned_abs();
            key.srk.0 == srk && key.pcrs.list == self.sealing.pcrs && age < self.sealing.max_age.as_secs()
        };
        let Some(newest) = self.files.all()?.into_iter().find(serves) else {
            self.make(access, now)?;
            self.replaced = lost;
            return Ok(self.replaced.clone());
        };
        let why = match self.key(access, &newest.id) {
            Ok(_) => {
                self.files.pin(&srk, now)?;
                self.active = Some(newest.id);
                return Ok(None);
            }
            Err(why) => why,
        };
        if !matches!(why.code, Code::PcrChanged | Code::BlobDamaged) {
            return Err(why);
        }
        self.make(access, now)?;
        self.replaced = Some(Warning::new(why.code, format!("{}; a new sealing key was made", why.text)));
        Ok(self.replaced.clone())
    }

    /// Said where keys were sealed on this host, and nothing is left of what says to which TPM.
    fn lost_pin(&self) -> Result<Option<Warning>, Failure> {
        if self.adopts || self.files.pinned()?.is_some() || self.files.referenced()?.is_some_and(|ids| ids.is_empty()) {
            return Ok(None);
        }
        let text = "the pin of the TPM's storage root key and all sealing keys are gone, and there are keys that were sealed: the TPM that is \
                    there now is pinned; look at what removed seal/ below the state directory";
        Ok(Some(Warning::new(Code::TpmPinnedAnew, text)))
    }

    /// The TPM; it must be the pinned one.
    fn tpm<'a>(&mut self, access: &'a mut Access) -> Result<&'a mut Tpm, Failure> {
        if let Some(why) = &self.refused {
            return Err(why.clone());
        }
        let pinned = if self.adopts { None } else { self.files.pinned()? };
        let opened = access.tpm().and_then(|tpm| tpm.storage(pinned.as_deref()).map(|()| tpm));
        opened.map_err(|why| self.refused.insert(why.failure()).clone())
    }

    /// A sealing key, opened once.
    pub(super) fn key(&mut self, access: &mut Access, id: &SealId) -> Result<&OpenKey, Failure> {
        if !self.opened.contains_key(id) {
            let opened = self.files.read(id).and_then(|file| self.unseal(access, &file));
            self.opened.insert(id.clone(), opened);
        }
        self.known(id)
    }

    /// A sealing key that was opened.
    pub(super) fn known(&self, id: &SealId) -> Result<&OpenKey, Failure> {
        let gone = || Failure::new(Stage::Seal, Code::BlobDamaged, format!("the sealing key {id} is gone"));
        self.opened.get(id).ok_or_else(gone)?.as_ref().map_err(Clone::clone)
    }

    fn unseal(&mut self, access: &mut Access, file: &SealingKeyFile) -> Result<OpenKey, Failure> {
        let id = &file.id;
        let broken = |why: &str| {
            Failure::new(Stage::Seal, Code::BlobDamaged, format!("the sealing key {id} cannot be opened: {why}"))
                .hint("`omens renew --all` makes new keys and certificates where this one is needed")
        };
        let tpm = self.tpm(access)?;
        // After `reseal --new-tpm` the old keys are still there, and nothing opens them any more.
        if tpm.srk_name() != file.srk.0 {
            return Err(broken("it was sealed to a TPM that is no longer the pinned one"));
        }
        let object = Sealed { public: file.public.0.clone(), private: file.private.0.clone() };
        let opened = tpm.unseal(&object, &file.pcrs);
        self.unseals += 1;
        let payload = opened.map_err(|why| {
            let why = why.failure();
            Failure { text: format!("the sealing key {id} cannot be opened: {}", why.text), ..why }
        })?;
        let (key, digest) = payload.split_at_checked(KEY).ok_or_else(|| broken("it is too short"))?;
        if digest != file.digest() {
            return Err(broken("what stands beside it is not what it was sealed with"));
        }
        let key = SealingKey::new(Zeroizing::new(key.to_vec())).ok_or_else(|| broken("it is too short"))?;
        Ok(OpenKey { srk: file.srk.0.clone(), key })
    }

    /// Makes a sealing key, sees that it opens, and makes it durable, in this order: a key that never opened keeps nothing. Then its TPM is
    /// pinned: until that is written the key itself names it.
    pub(super) fn make(&mut self, access: &mut Access, now: Time) -> Result<SealId, Failure> {
        let id = write::random_digits().ok().and_then(|digits| SealId::parse(&digits)).ok_or_else(no_randomness)?;
        // Two of the same second would have no order, and the newest is the one that serves.
        let (all, mut created) = (self.files.all()?, now);
        while all.iter().any(|key| key.created == created) {
            created = created.plus(1);
        }
        let wanted = self.sealing.pcrs.clone();
        let tpm = self.tpm(access)?;
        let pcrs = tpm.pcr_values(&wanted).map_err(|why| why.failure())?;
        let mut file = SealingKeyFile::unsealed(id.clone(), tpm.srk_name().to_vec(), created, pcrs);
        let mut payload = Zeroizing::new(Vec::with_capacity(PAYLOAD));
        payload.resize(KEY, 0);
        random(&mut payload)?;
        payload.extend_from_slice(&file.digest());
        let sealed = tpm.seal(&payload, &file.pcrs).map_err(|why| why.failure())?;
        (file.public.0, file.private.0) = (sealed.public, sealed.private);
        let opened = self.unseal(access, &file)?;
        self.files.write(&file)?;
        self.files.pin(&file.srk.0, now)?;
        self.adopts = false;
        self.opened.insert(id.clone(), Ok(opened));
        self.active = Some(id.clone());
        Ok(id)
    }
}

pub(super) fn random(bytes: &mut [u8]) -> Result<(), Failure> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| no_randomness())
}

fn no_randomness() -> Failure {
    Failure::new(Stage::Seal, Code::NoRandomness, "the system gives no random bytes").hint("see the kernel's log")
}
