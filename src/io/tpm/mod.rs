//! The TPM: sealing under the storage root key and unsealing, with or without PCRs, and evidence of what it measured (`endorsed`). The
//! caller pins the storage root key by its Name.
//!
//! Commands block. Nothing that is secret crosses the connection in clear: sessions are salted to the storage root key and encrypted in both
//! directions. That stops a listener; one who plays a storage root key of his own is stopped by the pin alone.
//! It must never print or log a secret, nor open another TPM than the one it was given.
//!
#![doc = include_str!("facts.md")]

pub mod connection;
mod door;
mod endorsed;
pub mod endorsement;
mod error;
pub mod limit;
mod object;
mod open;
mod pcrs;
mod policy;
pub mod quoted;
pub mod resident;
pub mod signer;
mod srk;

use tss_esapi::constants::SessionType;
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::handles::{KeyHandle, ObjectHandle, SessionHandle};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Digest, Private, SensitiveData};
use tss_esapi::traits::Marshall as _;
use tss_esapi::{Error as Tss, Result as TssResult};
use zeroize::Zeroizing;

use crate::model::pcr::{PcrList, PcrValues};
use crate::model::tcti::Tcti;
use door::{Door, Loaded};
use endorsed::Endorsement;
pub use error::TpmError;
use policy::under_policy;
use srk::Srk;

/// How often a PCR may move between asking for its value and using it; systemd tries as often
/// ([Policies and PCRs](crate::io::tpm#policies-and-pcrs)).
const TRIES: u32 = 30;

/// A sealed object outside the TPM; only the TPM that made it can open it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// TPMT_PUBLIC.
    pub public: Vec<u8>,
    /// The content of TPM2B_PRIVATE.
    pub private: Vec<u8>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").finish_non_exhaustive()
    }
}

/// An open TPM, with at most one session of each kind for as long as it is open.
pub struct Tpm {
    door: Door,
    tcti: String,
    srk: Option<Srk>,
    hmac: Option<AuthSession>,
    policy: Option<AuthSession>,
    endorsement: Option<Endorsement>,
}

impl std::fmt::Debug for Tpm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tpm").field("tcti", &self.tcti).finish_non_exhaustive()
    }
}

impl Tpm {
    /// Opens the TPM. It is sent nothing.
    ///
    /// # Errors
    /// It does not open.
    pub fn connect(tcti: &Tcti) -> Result<Self, TpmError> {
        let door = Door::new(open::open(tcti)?);
        Ok(Self { door, tcti: tcti.to_string(), srk: None, hmac: None, policy: None, endorsement: None })
    }

    /// Opens the TPM with its storage root key, as [`Self::storage`] gives it.
    ///
    /// # Errors
    /// It does not open, or its key is not the pinned one.
    pub fn open(tcti: &Tcti, pinned: Option<&[u8]>) -> Result<Self, TpmError> {
        let mut tpm = Self::connect(tcti)?;
        tpm.storage(pinned)?;
        Ok(tpm)
    }

    /// Finds its storage root key or makes it, once. With a pinned Name, another key is refused before it is used for anything.
    ///
    /// # Errors
    /// Its key is not the pinned one, or cannot be made.
    pub fn storage(&mut self, pinned: Option<&[u8]>) -> Result<(), TpmError> {
        self.release_endorsement();
        match &self.srk {
            Some(srk) => srk::expect(pinned, &srk.name),
            None => {
                self.srk = Some(srk::obtain(&mut self.door, &self.tcti, pinned)?);
                Ok(())
            }
        }
    }

    /// Finds its storage root key, which must be this one. None is made, and nothing in it is changed.
    ///
    /// # Errors
    /// It has another storage root key, or none.
    pub fn known_storage(&mut self, srk: &[u8]) -> Result<(), TpmError> {
        self.release_endorsement();
        if self.srk.is_none() {
            let found = srk::find(&mut self.door).map_err(|why| TpmError::of("look for its storage root key", &self.tcti, why))?;
            self.srk = found;
        }
        srk::expect(Some(srk), self.srk_name())
    }

    /// Whether a TPM answers here, and has a storage root key. Nothing in it is changed: none is made.
    ///
    /// # Errors
    /// It does not open, or does not answer.
    pub fn has_storage_key(tcti: &Tcti) -> Result<bool, TpmError> {
        let mut door = Door::new(open::open(tcti)?);
        let found = srk::find(&mut door).map_err(|why| TpmError::of("look for its storage root key", &tcti.to_string(), why))?;
        Ok(found.is_some())
    }

    /// Whether something was measured into each of these PCRs. Nothing in the TPM is changed.
    ///
    /// # Errors
    /// One of them was never measured into, or the TPM cannot be asked.
    pub fn are_measured(tcti: &Tcti, list: &PcrList) -> Result<(), TpmError> {
        let mut door = Door::new(open::open(tcti)?);
        measured(&mut door, &tcti.to_string(), list).map(drop)
    }

    /// The Name of the storage root key: what to pin. Empty where that was not looked for.
    #[must_use]
    pub fn srk_name(&self) -> &[u8] {
        self.srk.as_ref().map_or(&[], |srk| srk.name.as_slice())
    }

    /// The storage root key, under which everything of ours is.
    fn parent(&self) -> Result<KeyHandle, TpmError> {
        let srk = self.srk.as_ref();
        srk.map(|srk| srk.handle).ok_or_else(|| TpmError::Damaged("its storage root key was not looked for".to_owned()))
    }

    /// Whether its connection broke, so that only a new one helps.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.door.is_broken()
    }

    /// How many commands the TPM was sent.
    #[must_use]
    pub const fn commands(&self) -> u64 {
        self.door.commands()
    }

    /// Ends the sessions and says how many commands the TPM was sent in all.
    #[must_use]
    pub fn close(mut self) -> u64 {
        self.release_endorsement();
        for session in [self.hmac.take(), self.policy.take()].into_iter().flatten() {
            drop(self.door.guard(SessionHandle::from(session).into()));
        }
        self.door.commands()
    }

    /// The values of these PCRs now, for sealing under them.
    ///
    /// # Errors
    /// One of them was never measured into, or the TPM cannot be asked.
    pub fn pcr_values(&mut self, list: &PcrList) -> Result<PcrValues, TpmError> {
        measured(&mut self.door, &self.tcti, list)
    }

    /// Seals up to 128 bytes; they open on this TPM only, and only while the PCRs have these values.
    ///
    /// # Errors
    /// The TPM refuses.
    pub fn seal(&mut self, secret: &[u8], pcrs: &PcrValues) -> Result<Sealed, TpmError> {
        let (session, parent) = (self.session(SessionType::Hmac)?, self.parent()?);
        let made = self.door.send(Some(session), |context| {
            let public = object::template(pcrs, Digest::default())?;
            context.create(parent, public, None, Some(SensitiveData::try_from(secret)?), None, None)
        });
        let made = made.map_err(|why| TpmError::of("seal", &self.tcti, why))?;
        let public = made.out_public.marshall().map_err(|why| TpmError::of("describe what it sealed", &self.tcti, why))?;
        Ok(Sealed { public, private: made.out_private.value().to_vec() })
    }

    /// Opens what [`Tpm::seal`] made under these values.
    ///
    /// # Errors
    /// The values are not those of now, the object is damaged or another TPM's, or the TPM refuses.
    pub fn unseal(&mut self, sealed: &Sealed, pcrs: &PcrValues) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let public = object::parse(&sealed.public, pcrs)?;
        let private =
            Private::try_from(sealed.private.clone()).map_err(|_| TpmError::Damaged("its private area is too long".to_owned()))?;
        let kind = if pcrs.list.is_empty() { SessionType::Hmac } else { SessionType::Policy };
        let (session, parent) = (self.session(kind)?, self.parent()?);
        let tcti = &self.tcti;
        let mut loaded = self.door.load(parent, public, private).map_err(|why| not_loaded(tcti, why))?;
        let opened = under_policy(&mut loaded, session, pcrs, unseal).map_err(|why| TpmError::of("unseal", tcti, why))?;
        drop(loaded);
        opened.map_or_else(|| Err(self.changed(pcrs)), Ok)
    }

    /// Why a policy over these does not hold.
    fn changed(&mut self, pcrs: &PcrValues) -> TpmError {
        match pcrs::read(&mut self.door, &self.tcti, &pcrs.list).map(|now| pcrs.differing(&now)) {
            Ok(changed) if changed.is_empty() => moving(),
            Ok(changed) => TpmError::PcrChanged(changed),
            Err(why) => why,
        }
    }

    /// The one session of this kind: starting one costs a key agreement, and the TPM has room for three.
    fn session(&mut self, kind: SessionType) -> Result<AuthSession, TpmError> {
        let parent = self.parent()?;
        let kept = if kind == SessionType::Policy { &mut self.policy } else { &mut self.hmac };
        if let Some(session) = kept {
            return Ok(*session);
        }
        let started = self.door.salted(parent, kind);
        started.map(|session| *kept.insert(session)).map_err(|why| TpmError::of("start a session", &self.tcti, why))
    }
}

fn measured(door: &mut Door, tcti: &str, list: &PcrList) -> Result<PcrValues, TpmError> {
    let values = pcrs::read(door, tcti, list)?;
    let unmeasured = values.unmeasured();
    if unmeasured.is_empty() {
        return Ok(values);
    }
    let why = if unmeasured.len() == 1 {
        "is all 00 or all FF: nothing was ever measured into it"
    } else {
        "are all 00 or all FF: nothing was ever measured into them"
    };
    Err(TpmError::PcrUnmeasured { pcrs: unmeasured, why })
}

fn moving() -> TpmError {
    TpmError::Busy {
        why: format!("PCRs changed {TRIES} times while a key was being opened"),
        hint: "try again; something measures without a pause, see `tpm2_pcrread sha256`".to_owned(),
    }
}

/// A refused TPM2_Load: the object is not one of this storage root key, or no longer as it was made.
fn not_loaded(tcti: &str, why: Tss) -> TpmError {
    match error::kind(why) {
        Some(
            Kind::Integrity
            | Kind::Insufficient
            | Kind::Size
            | Kind::Value
            | Kind::Attributes
            | Kind::Binding
            | Kind::Type
            | Kind::Sensitive,
        ) => TpmError::Damaged(format!("the TPM does not take it ({})", error::said(why))),
        _ => TpmError::of("load a sealed object", tcti, why),
    }
}

fn unseal(loaded: &mut Loaded<'_>, session: AuthSession) -> TssResult<Zeroizing<Vec<u8>>> {
    let handle: ObjectHandle = loaded.handle;
    let secret = loaded.door.send(Some(session), |context| context.unseal(handle))?;
    Ok(Zeroizing::new(secret.value().to_vec()))
}
