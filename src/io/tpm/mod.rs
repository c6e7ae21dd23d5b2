//! The TPM: sealing under the storage root key and unsealing, with or without PCRs, and evidence of what it measured ([`endorsed`]). The
//! caller pins the storage root key by its Name.
//!
//! Commands block. Nothing that is secret crosses the connection in clear: sessions are salted to the storage root key and encrypted in both
//! directions. That stops a listener; one who plays a storage root key of his own is stopped by the pin alone.
//! It must never print or log a secret, nor open another TPM than the one it was given.
//!
#![doc = include_str!("facts.md")]

mod door;
pub mod endorsed;
pub mod endorsement;
mod error;
pub mod limit;
mod object;
mod open;
mod pcrs;
pub mod quoted;
pub mod resident;
pub mod signer;
mod srk;
pub mod worker;

use tss_esapi::constants::SessionType;
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::handles::{ObjectHandle, SessionHandle};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{Digest, Private, SensitiveData};
use tss_esapi::traits::Marshall as _;
use tss_esapi::{Error as Tss, Result as TssResult};
use zeroize::Zeroizing;

use crate::model::pcr::{PcrList, PcrValues};
use crate::model::tcti::Tcti;
use door::{Door, Loaded};
pub use error::TpmError;
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

/// An open TPM and its storage root key, with at most one session of each kind for the whole run.
pub struct Tpm {
    door: Door,
    tcti: String,
    srk: Srk,
    hmac: Option<AuthSession>,
    policy: Option<AuthSession>,
}

impl std::fmt::Debug for Tpm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tpm").field("tcti", &self.tcti).finish_non_exhaustive()
    }
}

impl Tpm {
    /// Opens the TPM, and finds its storage root key or makes it. With a pinned Name, another key is refused before it is used for anything.
    ///
    /// # Errors
    /// It does not open, or its key is not the pinned one.
    pub fn open(tcti: &Tcti, pinned: Option<&[u8]>) -> Result<Self, TpmError> {
        let mut door = Door::new(open::open(tcti)?);
        let tcti = tcti.to_string();
        let srk = srk::obtain(&mut door, &tcti, pinned)?;
        Ok(Self { door, tcti, srk, hmac: None, policy: None })
    }

    /// Opens the TPM that has this storage root key. None is made, and nothing in it is changed.
    ///
    /// # Errors
    /// It does not open, or has another storage root key, or none.
    pub fn open_known(tcti: &Tcti, srk: &[u8]) -> Result<Self, TpmError> {
        let mut door = Door::new(open::open(tcti)?);
        let tcti = tcti.to_string();
        let found = srk::find(&mut door).map_err(|why| TpmError::of("look for its storage root key", &tcti, why))?;
        srk::expect(Some(srk), found.as_ref().map_or(&[], |found| found.name.as_slice()))?;
        let srk = found.ok_or_else(|| TpmError::Damaged("its storage root key is gone".to_owned()))?;
        Ok(Self { door, tcti, srk, hmac: None, policy: None })
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

    /// The Name of the storage root key: what to pin.
    #[must_use]
    pub fn srk_name(&self) -> &[u8] {
        &self.srk.name
    }

    /// How many commands the TPM was sent.
    #[must_use]
    pub const fn commands(&self) -> u64 {
        self.door.commands()
    }

    /// Ends the sessions and says how many commands the TPM was sent in all.
    #[must_use]
    pub fn close(mut self) -> u64 {
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
        let session = self.session(SessionType::Hmac)?;
        let parent = self.srk.handle;
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
        let session = self.session(kind)?;
        let tcti = &self.tcti;
        let mut loaded = self.door.load(self.srk.handle, public, private).map_err(|why| not_loaded(tcti, why))?;
        let opened = if pcrs.list.is_empty() {
            unseal(&mut loaded, session).map_err(|why| TpmError::of("unseal", tcti, why))?
        } else {
            unseal_under_policy(&mut loaded, session, pcrs).map_err(|why| TpmError::of("unseal", tcti, why))?
        };
        drop(loaded);
        match opened {
            Some(secret) => Ok(secret),
            None => {
                let changed = pcrs.differing(&pcrs::read(&mut self.door, &self.tcti, &pcrs.list)?);
                Err(if changed.is_empty() { moving() } else { TpmError::PcrChanged(changed) })
            }
        }
    }

    /// The one session of this kind: starting one costs a key agreement, and the TPM has room for three.
    fn session(&mut self, kind: SessionType) -> Result<AuthSession, TpmError> {
        let kept = if kind == SessionType::Policy { &mut self.policy } else { &mut self.hmac };
        if let Some(session) = kept {
            return Ok(*session);
        }
        let started = self.door.salted(self.srk.handle, kind);
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

fn unseal(loaded: &mut Loaded<'_>, session: AuthSession) -> TssResult<Option<Zeroizing<Vec<u8>>>> {
    let handle: ObjectHandle = loaded.handle;
    let secret = loaded.door.send(Some(session), |context| context.unseal(handle))?;
    Ok(Some(Zeroizing::new(secret.value().to_vec())))
}

/// `None` where the policy does not hold. Any PCR that moves between policy and use fails the use with PCR_CHANGED, also one that the policy
/// does not name; a host with IMA does that all the time ([Policies and PCRs](crate::io::tpm#policies-and-pcrs)). So it is asked again, on
/// the same session.
fn unseal_under_policy(loaded: &mut Loaded<'_>, session: AuthSession, pcrs: &PcrValues) -> TssResult<Option<Zeroizing<Vec<u8>>>> {
    let policy = PolicySession::try_from(session)?;
    for _ in 0..TRIES {
        loaded.door.send(None, |context| context.policy_pcr(policy, Digest::default(), object::selection(pcrs.list.numbers())?))?;
        let opened = unseal(loaded, session);
        if opened.is_ok() {
            return opened;
        }
        // Only a use that succeeds ends a policy: whoever is next finds the session as new.
        loaded.door.send(None, |context| context.policy_restart(policy))?;
        match opened {
            Err(why) if error::kind(why) == Some(Kind::PcrChanged) => {}
            Err(why) if error::kind(why) == Some(Kind::PolicyFail) => return Ok(None),
            other => return other,
        }
    }
    Ok(None)
}
