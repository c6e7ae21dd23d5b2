//! `keep = "sealed"`: private keys under a sealing key that only this host's TPM opens. Nothing is opened before it is needed, nothing twice.
//! It must never keep a key where no TPM would be asked for it again: there is no fall-back to a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use super::keys::Keys;
use super::{KeptKey, KeyStore, damaged, envelope};
use crate::io::tpm::{Sealed, Tpm};
use crate::io::write;
use crate::judge::pair;
use crate::model::anchor::Fingerprint;
use crate::model::canonical::Format as _;
use crate::model::clock::Time;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::pcr::PcrList;
use crate::model::sealed::{KEY, NONCE, PAYLOAD, SALT, SealId, SealedKeyFile, SealingKeyFile};
use crate::model::secret::{PlainKey, SealingKey};
use crate::model::tcti::Tcti;

/// What the settings say about sealing.
#[derive(Clone, Debug)]
pub struct Sealing {
    /// The TPM.
    pub tcti: Tcti,
    /// What new sealing keys are bound to, beside the TPM itself.
    pub pcrs: PcrList,
    /// How old a sealing key may be to serve for new private keys.
    pub max_age: Duration,
}

/// The sealed keys of one state directory, for one run under its lock.
#[derive(Debug)]
pub struct SealedStore {
    sealing: Sealing,
    keys: Keys,
    open: Mutex<Open>,
}

/// What this run has opened so far. A failure is kept too: fifty certificates do not ask a dead TPM fifty times.
#[derive(Debug, Default)]
struct Open {
    tpm: Option<Result<Tpm, Failure>>,
    keys: BTreeMap<SealId, Result<OpenKey, Failure>>,
    active: Option<SealId>,
    unseals: u32,
}

#[derive(Debug)]
struct OpenKey {
    srk: Vec<u8>,
    key: SealingKey,
}

impl KeyStore for SealedStore {
    fn file(&self) -> &'static str {
        layout::SEALED_KEY
    }

    /// Opens the TPM and the sealing key for new private keys, or makes one: before anything is asked of a CA. The warning says why a
    /// sealing key that is there does not serve: it would not open at the next boot either.
    fn make_ready(&self, now: Time) -> Result<Option<Warning>, Failure> {
        let mut open = self.lock();
        if open.active.is_some() {
            return Ok(None);
        }
        self.keys.clean()?;
        let srk = open.tpm(self)?.srk_name().to_vec();
        self.keys.pin(&srk, now)?;
        let serves = |key: &SealingKeyFile| {
            let age = now.since(key.created).unsigned_abs();
            key.srk.0 == srk && key.pcrs.list == self.sealing.pcrs && age < self.sealing.max_age.as_secs()
        };
        let Some(newest) = self.keys.all()?.into_iter().find(serves) else { return open.make(self, now).map(|()| None) };
        let why = match open.key(self, &newest.id) {
            Ok(_) => {
                open.active = Some(newest.id);
                return Ok(None);
            }
            Err(why) => why,
        };
        if !matches!(why.code.as_str(), "pcr-changed" | "blob-damaged") {
            return Err(why);
        }
        open.make(self, now).map(|()| Some(Warning::new(&why.code, format!("{}; a new sealing key was made", why.text))))
    }

    fn keep(&self, name: &CertName, generation: Generation, key: &PlainKey) -> Result<KeptKey, Failure> {
        let failed = |why: &str| {
            Failure::new(Stage::Seal, "blob-damaged", format!("the private key of {name} {generation} cannot be sealed: {why}"))
        };
        let open = self.lock();
        let ready = open.active.as_ref().and_then(|id| Some((id, open.keys.get(id)?.as_ref().ok()?)));
        let (id, active) = ready.ok_or_else(|| failed("no sealing key was made ready"))?;
        let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
        random(&mut salt)?;
        random(&mut nonce)?;
        let header = SealedKeyFile::header((name, generation), id.clone(), active.srk.clone(), key.spki(), (salt, nonce));
        let sealed = envelope::close(&active.key, header, key.expose()).map_err(|_| failed("the cipher refuses"))?;
        Ok(KeptKey { file: self.file(), bytes: Zeroizing::new(sealed.to_bytes()) })
    }

    fn open(&self, name: &CertName, generation: Generation, bytes: &[u8]) -> Result<PlainKey, Failure> {
        let broken = |why: &str| damaged(name, generation, why);
        let sealed = SealedKeyFile::parse(bytes).map_err(|why| broken(&why.to_string()))?;
        if sealed.name != name.as_str() || sealed.generation != generation {
            return Err(broken(&format!("it is that of {} {}", sealed.name, sealed.generation)));
        }
        let mut open = self.lock();
        let key = open.key(self, &sealed.seal).map_err(|why| {
            let text = format!("the private key of {name} {generation} cannot be opened: {}", why.text);
            Failure { text, ..why }
        })?;
        if key.srk != sealed.srk.0 {
            return Err(broken("it names another storage root key than its sealing key"));
        }
        let pkcs8 = envelope::open(&key.key, &sealed).map_err(|_| broken("it is not as it was written"))?;
        let spki = pair::spki_of_pkcs8(&pkcs8).map_err(|why| broken(&why.to_string()))?;
        if Fingerprint::of(&spki) != sealed.spki_sha256 {
            return Err(broken("it is another key than it says"));
        }
        Ok(PlainKey::new(pkcs8, spki))
    }
}

impl SealedStore {
    /// A store on this state directory. Nothing is opened yet, neither a file nor the TPM.
    #[must_use]
    pub fn new(state: &Path, sealing: Sealing) -> Self {
        Self { sealing, keys: Keys::of(state), open: Mutex::default() }
    }

    /// Makes a new sealing key under today's PCR values, which serves from here on (`omens reseal`).
    ///
    /// # Errors
    /// The TPM refuses, or the key cannot be written.
    pub fn renew_sealing_key(&self, now: Time) -> Result<SealId, Failure> {
        let mut open = self.lock();
        self.keys.clean()?;
        let srk = open.tpm(self)?.srk_name().to_vec();
        self.keys.pin(&srk, now)?;
        open.make(self, now)?;
        open.active.clone().ok_or_else(|| Failure::new(Stage::Seal, "blob-damaged", "the new sealing key does not serve"))
    }

    /// Pins the storage root key of the TPM that is there, whatever was pinned (`omens reseal --new-tpm`, typed by a person). The bool says
    /// whether it is another one than before.
    ///
    /// # Errors
    /// The TPM does not open, or the pin cannot be written.
    pub fn pin_new_tpm(&self, now: Time) -> Result<bool, Failure> {
        let mut open = self.lock();
        let before = self.keys.pinned().unwrap_or_default();
        let tpm = Tpm::open(&self.sealing.tcti, None).map_err(|why| why.failure())?;
        let name = tpm.srk_name().to_vec();
        *open = Open { tpm: Some(Ok(tpm)), ..Open::default() };
        self.keys.pin(&name, now)?;
        Ok(before.is_none_or(|before| before != name))
    }

    /// The sealing keys that generations on disk still need; `None` where one cannot be read, and so nobody knows.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn referenced(&self) -> Result<Option<BTreeSet<SealId>>, Failure> {
        self.keys.referenced()
    }

    /// Removes the sealing keys that neither `referenced` names nor this run uses, after generations were durably removed.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn collect(&self, mut referenced: BTreeSet<SealId>) -> Result<Vec<SealId>, Failure> {
        let open = self.lock();
        // Without a run that made one ready, the newest is the one that the next run will use.
        let active = match &open.active {
            Some(active) => Some(active.clone()),
            None => self.keys.all()?.into_iter().next().map(|key| key.id),
        };
        referenced.extend(active);
        self.keys.remove_others(&referenced)
    }

    /// How often the TPM was asked to unseal.
    #[must_use]
    pub fn unseals(&self) -> u32 {
        self.lock().unseals
    }

    /// How many commands the TPM was sent: none where it was not opened.
    #[must_use]
    pub fn tpm_commands(&self) -> u64 {
        self.lock().tpm.as_ref().and_then(|tpm| tpm.as_ref().ok()).map_or(0, Tpm::commands)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The TPM, opened once; it must be the pinned one.
    fn tpm(&mut self, store: &SealedStore) -> Result<&mut Tpm, Failure> {
        let opened = self.tpm.get_or_insert_with(|| {
            let pinned = store.keys.pinned()?;
            Tpm::open(&store.sealing.tcti, pinned.as_deref()).map_err(|why| why.failure())
        });
        opened.as_mut().map_err(|why| why.clone())
    }

    /// A sealing key, opened once.
    fn key(&mut self, store: &SealedStore, id: &SealId) -> Result<&OpenKey, Failure> {
        if !self.keys.contains_key(id) {
            let opened = store.keys.read(id).and_then(|file| self.unseal(store, &file));
            self.keys.insert(id.clone(), opened);
        }
        let gone = || Failure::new(Stage::Seal, "blob-damaged", format!("the sealing key {id} is gone"));
        self.keys.get(id).ok_or_else(gone)?.as_ref().map_err(Clone::clone)
    }

    fn unseal(&mut self, store: &SealedStore, file: &SealingKeyFile) -> Result<OpenKey, Failure> {
        let id = &file.id;
        let broken = |why: &str| {
            Failure::new(Stage::Seal, "blob-damaged", format!("the sealing key {id} cannot be opened: {why}"))
                .hint("`omens renew` makes new keys and certificates where this one is needed")
        };
        let tpm = self.tpm(store)?;
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

    /// Makes a sealing key, sees that it opens, and makes it durable, in this order: a key that never opened keeps nothing.
    fn make(&mut self, store: &SealedStore, now: Time) -> Result<(), Failure> {
        let id = write::random_digits().ok().and_then(|digits| SealId::parse(&digits)).ok_or_else(no_randomness)?;
        let tpm = self.tpm(store)?;
        let pcrs = tpm.pcr_values(&store.sealing.pcrs).map_err(|why| why.failure())?;
        // Two of the same second would have no order, and the newest is the one that serves.
        let mut created = now;
        let all = store.keys.all()?;
        while all.iter().any(|key| key.created == created) {
            created = created.plus(1);
        }
        let mut file = SealingKeyFile::unsealed(id.clone(), tpm.srk_name().to_vec(), created, pcrs);
        let mut payload = Zeroizing::new(Vec::with_capacity(PAYLOAD));
        payload.resize(KEY, 0);
        random(&mut payload)?;
        payload.extend_from_slice(&file.digest());
        let sealed = tpm.seal(&payload, &file.pcrs).map_err(|why| why.failure())?;
        (file.public.0, file.private.0) = (sealed.public, sealed.private);
        let opened = self.unseal(store, &file)?;
        store.keys.write(&file)?;
        self.keys.insert(id.clone(), Ok(opened));
        self.active = Some(id);
        Ok(())
    }
}

fn random(bytes: &mut [u8]) -> Result<(), Failure> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| no_randomness())
}

fn no_randomness() -> Failure {
    Failure::new(Stage::Seal, "no-randomness", "the system gives no random bytes").hint("see the kernel's log")
}
