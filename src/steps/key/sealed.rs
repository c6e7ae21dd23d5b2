//! `keep = "sealed"`: private keys under a sealing key that only this host's TPM opens. Nothing is opened before it is needed, nothing twice.
//! It must never keep a key where no TPM would be asked for it again: there is no fall-back to a file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use zeroize::Zeroizing;

use super::file::of_material;
use super::opened::{Open, random};
use super::sealing_keys::{Keys, Writes};
use super::software::SoftwareKey;
use super::{KeptKey, Key, KeyStore, PrivateKey as _, damaged, envelope};
use crate::config::settings::Sealing;
use crate::io::tpm::connection::{Access, Connection};
use crate::io::tpm::limit::{LIMIT, Unanswered};
use crate::model::anchor::Fingerprint;
use crate::model::canonical::Format as _;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::key::{Keep, KeyAlgorithm};
use crate::model::name::{CertName, Generation};
use crate::model::sealed::{NONCE, SALT, SealId, SealedKeyFile, Under};
use crate::model::secret::Material;

/// Between two looks at whether somebody else is done with the TPM.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The sealed keys of one state directory, for one run under its lock.
#[derive(Debug)]
pub struct SealedStore {
    tpm: Connection,
    limit: Duration,
    /// Whether a thread may still write: taken from the one that is given up.
    writes: Writes,
    open: Arc<Mutex<Open>>,
    /// Why the TPM was given up in this run.
    given_up: OnceLock<Failure>,
}

impl KeyStore for SealedStore {
    fn file(&self) -> &'static str {
        Keep::Sealed.file()
    }

    /// Opens the TPM and the sealing key for new private keys, or makes one: before anything is asked of a CA. The warning says why a
    /// sealing key that is there does not serve: it would not open at the next boot either.
    fn make_ready(&self, now: Time) -> Result<Option<Warning>, Failure> {
        // What is ready needs no TPM, and so no thread that could wait for it.
        if let Some(known) = self.lock()?.ready() {
            return known;
        }
        self.with(move |open, access| open.make_ready(access, now))
    }

    fn make(&self, name: &CertName, generation: Generation, algorithm: KeyAlgorithm) -> Result<Key, Failure> {
        self.seal(name, generation, SoftwareKey::generate(algorithm)?)
    }

    fn keep(&self, name: &CertName, generation: Generation, material: &Material) -> Result<Key, Failure> {
        self.seal(name, generation, of_material(name, generation, material)?)
    }

    fn open(&self, name: &CertName, generation: Generation, bytes: &[u8]) -> Result<Key, Failure> {
        let broken = |why: &str| damaged(name, generation, why);
        let sealed = SealedKeyFile::parse(bytes).map_err(|why| broken(&why.to_string()))?;
        if sealed.name != name.as_str() || sealed.generation != generation {
            return Err(broken(&format!("it is that of {} {}", sealed.name, sealed.generation)));
        }
        let of_this_key = |why: Failure| {
            let text = format!("the private key of {name} {generation} cannot be opened: {}", why.text);
            Failure { text, ..why }
        };
        let id = sealed.seal.clone();
        if !self.lock().map_err(of_this_key)?.opened.contains_key(&id) {
            self.with(move |open, access| open.key(access, &id).map(|_| ())).map_err(of_this_key)?;
        }
        let open = self.lock().map_err(of_this_key)?;
        let key = open.known(&sealed.seal).map_err(of_this_key)?;
        if key.srk != sealed.srk.0 {
            return Err(broken("it names another storage root key than its sealing key"));
        }
        let pkcs8 = envelope::open(&key.key, &sealed).map_err(|_| broken("it is not as it was written"))?;
        drop(open);
        let key = SoftwareKey::of_pkcs8(pkcs8).map_err(|why| broken(&why))?;
        if Fingerprint::of(key.spki()) != sealed.spki_sha256 {
            return Err(broken("it is another key than it says"));
        }
        self.kept(key, Zeroizing::new(bytes.to_vec()))
    }

    fn clean(&self) -> Result<(), Failure> {
        self.lock()?.files.clean()
    }

    fn collect(&self) -> Result<(), Failure> {
        let needed = if self.has_several()? { self.referenced()? } else { None };
        needed.map_or(Ok(()), |needed| self.collect_but(needed).map(drop))
    }
}

impl SealedStore {
    /// A store on this state directory. Nothing is opened yet, neither a file nor the TPM.
    #[must_use]
    pub fn new(state: &Path, sealing: Sealing) -> Self {
        let (tpm, writes) = (Connection::new(&sealing.tcti, Unanswered::default()), Writes::default());
        let open = Arc::new(Mutex::new(Open::new(Keys::of(state, writes.clone()), sealing)));
        Self { tpm, limit: LIMIT, writes, open, given_up: OnceLock::new() }
    }

    /// The same with another limit for one piece of work of the TPM.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The same over a connection that others use too.
    #[must_use]
    pub fn over(self, tpm: Connection) -> Self {
        Self { tpm, ..self }
    }

    /// Makes a new sealing key under today's PCR values, which serves from here on (`omens reseal`).
    ///
    /// # Errors
    /// The TPM refuses, or the key cannot be written.
    pub fn renew_sealing_key(&self, now: Time) -> Result<SealId, Failure> {
        self.with(move |open, access| {
            open.enter(access)?;
            open.make(access, now)
        })
    }

    /// Takes the TPM that is there, whatever was pinned (`omens reseal --new-tpm`, typed by a person); its storage root key is pinned with the
    /// first sealing key under it. The bool says whether it is another one than before.
    ///
    /// # Errors
    /// The TPM does not open.
    pub fn adopt_tpm(&self) -> Result<bool, Failure> {
        self.with(Open::adopt)
    }

    /// Whether there are more sealing keys than the one that serves: without that there is nothing to collect.
    fn has_several(&self) -> Result<bool, Failure> {
        self.lock()?.files.are_several()
    }

    /// The sealing keys that generations on disk still need; `None` where one cannot be read, and so nobody knows.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn referenced(&self) -> Result<Option<BTreeSet<SealId>>, Failure> {
        self.lock()?.files.referenced()
    }

    /// Removes the sealing keys that neither `referenced` names nor this run uses, after generations were durably removed.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn collect_but(&self, mut referenced: BTreeSet<SealId>) -> Result<Vec<SealId>, Failure> {
        let open = self.lock()?;
        // Without a run that made one ready, the newest is the one that the next run will use.
        let active = match &open.active {
            Some(active) => Some(active.clone()),
            None => open.files.all()?.into_iter().next().map(|key| key.id),
        };
        referenced.extend(active);
        open.files.remove_others(&referenced)
    }

    /// How often the TPM was asked to unseal.
    #[must_use]
    pub fn unseals(&self) -> u32 {
        self.lock().map_or(0, |open| open.unseals)
    }

    /// How many commands the TPM was sent: none where it was not needed.
    #[must_use]
    pub fn tpm_commands(&self) -> u64 {
        self.lock().map_or(0, |open| open.commands)
    }

    /// Puts a key under the sealing key that was made ready.
    fn seal(&self, name: &CertName, generation: Generation, key: SoftwareKey) -> Result<Key, Failure> {
        let failed = |why: &str| {
            Failure::new(Stage::Seal, Code::BlobDamaged, format!("the private key of {name} {generation} cannot be sealed: {why}"))
        };
        let open = self.lock()?;
        let ready = open.active.as_ref().and_then(|id| Some((id, open.opened.get(id)?.as_ref().ok()?)));
        let (id, active) = ready.ok_or_else(|| failed("no sealing key was made ready"))?;
        let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
        random(&mut salt)?;
        random(&mut nonce)?;
        let header = SealedKeyFile::header(name, generation, Under { seal: id.clone(), srk: active.srk.clone(), salt, nonce }, key.spki());
        let sealed = envelope::close(&active.key, header, key.pkcs8()).map_err(|_| failed("the cipher refuses"))?;
        drop(open);
        let bytes = sealed.written().map_err(|why| failed(&why.to_string()))?;
        self.kept(key, Zeroizing::new(bytes))
    }

    fn kept(&self, key: SoftwareKey, bytes: Zeroizing<Vec<u8>>) -> Result<Key, Failure> {
        let at_rest = KeptKey::new(self.file(), bytes, Some(&key.material()?));
        Ok(Key::new(Arc::new(key), at_rest))
    }

    /// Does something for which the TPM may be needed; in time, or not at all in this run.
    fn with<T: Send + 'static>(
        &self,
        something: impl FnOnce(&mut Open, &mut Access) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        // Nobody is in the middle of something else when this begins.
        drop(self.lock()?);
        let open = self.open.clone();
        let work = move |access: &mut Access| {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            let before = access.commands();
            let done = something(&mut open, access);
            open.commands += access.commands().saturating_sub(before);
            done
        };
        self.tpm.with(self.limit, work).unwrap_or_else(|why| {
            // The run goes on and gives its lock away: what is answered after that must not be written any more.
            self.writes.forbid();
            Err(self.given_up.get_or_init(|| why.failure()).clone())
        })
    }

    /// The lock, which a thread that waits for a TPM may hold for ever.
    fn lock(&self) -> Result<MutexGuard<'_, Open>, Failure> {
        loop {
            if let Some(why) = self.given_up.get() {
                return Err(why.clone());
            }
            match self.open.try_lock() {
                Ok(open) => return Ok(open),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }
}
