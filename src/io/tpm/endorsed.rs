//! The endorsement key and the attestation key below it: what proves to others which TPM this is and what it measured. Nothing here needs the
//! storage root key.
//!
//! The session that authorises the endorsement key is salted to it and encrypts in both directions, so that what a registrar hides for this
//! TPM alone crosses the connection in no clear form.

use tss_esapi::constants::SessionType;
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::handles::{AuthHandle, KeyHandle, ObjectHandle, SessionHandle};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{AttestInfo, Data, EncryptedSecret, IdObject, Private, Public, SignatureScheme};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};
use zeroize::Zeroizing;

use super::endorsement::{ak_template, certificate, is_ak, is_usable, make, persistent};
use super::error::{self, TpmError};
use super::quoted::{AttestationKey, Quote, Signed, pcr_digest};
use super::{Sealed, TRIES, Tpm, object, pcrs};
use crate::model::pcr::{PcrList, PcrValues};

/// The endorsement key as others may know it.
#[derive(Clone, Debug)]
pub struct EndorsementKey {
    /// TPMT_PUBLIC.
    pub public: Vec<u8>,
    /// DER of its certificate, where the TPM has one.
    pub certificate: Option<Vec<u8>>,
}

/// The endorsement key of an open TPM, and what is loaded below it.
#[derive(Debug)]
pub(super) struct Endorsement {
    ek: KeyHandle,
    /// Whether it is not persistent: then it takes a slot.
    is_made: bool,
    /// Authorises the endorsement key.
    session: Option<AuthSession>,
    /// The loaded attestation key.
    ak: Option<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    handle: KeyHandle,
    key: AttestationKey,
}

impl Tpm {
    /// Opens its endorsement key: the persistent one, or the one that its seed gives under the default template.
    ///
    /// # Errors
    /// It has no such key, or another one in that place.
    pub fn endorse(&mut self) -> Result<EndorsementKey, TpmError> {
        self.release_endorsement();
        let (door, tcti) = (&mut self.door, &self.tcti);
        let found = persistent(door).map_err(|why| TpmError::of("look for its endorsement key", tcti, why))?;
        let (ek, is_made) = match found {
            Some(ek) => (ek, false),
            None => (make(door).map_err(|why| TpmError::of("make its endorsement key", tcti, why))?, true),
        };
        self.endorsement = Some(Endorsement { ek, is_made, session: None, ak: None });
        let fail = |doing| move |why| TpmError::of(doing, tcti, why);
        let read = door.send(None, |context| context.read_public(ek));
        let (public, ..) = read.map_err(fail("read its endorsement key"))?;
        if !is_usable(&public) {
            return Err(TpmError::Refused {
                doing: "use its endorsement key",
                why: "the key at 0x81010001 is not of the RSA-2048 template".to_owned(),
                hint: "move that key away with tpm2_evictcontrol: omens then makes the one of the template itself",
            });
        }
        let public = public.marshall().map_err(fail("describe its endorsement key"))?;
        let certificate = certificate(door).map_err(fail("read the certificate of its endorsement key"))?;
        Ok(EndorsementKey { public, certificate })
    }

    /// Gives back what attesting has loaded. The TPM has three slots for keys, and others want them.
    pub fn release_endorsement(&mut self) {
        let Some(Endorsement { ek, is_made, session, ak }) = self.endorsement.take() else { return };
        let session = session.map(|session| SessionHandle::from(session).into());
        let keys = ak.map(|ak| ObjectHandle::from(ak.handle)).into_iter().chain(is_made.then(|| ObjectHandle::from(ek)));
        keys.chain(session).for_each(|handle| drop(self.door.guard(handle)));
    }

    /// Makes an attestation key below the endorsement key: RSA-2048, restricted, RSASSA with SHA-256. Only this TPM can load it.
    ///
    /// # Errors
    /// The TPM refuses.
    pub fn make_ak(&mut self) -> Result<Sealed, TpmError> {
        let (session, ek) = (self.authorised()?, self.endorsement()?.ek);
        let made = self.door.send(Some(session), |context| context.create(ek, ak_template()?, None, None, None, None));
        let made = made.map_err(|why| TpmError::of("make an attestation key", &self.tcti, why))?;
        let public = made.out_public.marshall().map_err(|why| TpmError::of("describe its attestation key", &self.tcti, why))?;
        Ok(Sealed { public, private: made.out_private.value().to_vec() })
    }

    /// Loads an attestation key that [`Self::make_ak`] made.
    ///
    /// # Errors
    /// It is damaged or another TPM's, or the TPM refuses.
    pub fn load_ak(&mut self, kept: &Sealed) -> Result<&AttestationKey, TpmError> {
        let damaged = |why: &str| TpmError::Damaged(why.to_owned());
        let public = Public::unmarshall(&kept.public).map_err(|_| damaged("the attestation key's public area cannot be read"))?;
        if !is_ak(&public) {
            return Err(damaged("its public area is not that of an attestation key"));
        }
        let private = Private::try_from(kept.private.clone()).map_err(|_| damaged("its private area is too long"))?;
        let (session, ek) = (self.authorised()?, self.endorsement()?.ek);
        let loaded = self.door.send(Some(session), |context| context.load(ek, private, public));
        let handle = loaded.map_err(|why| super::not_loaded(&self.tcti, why))?;
        let key = AttestationKey::of(kept.public.clone());
        Ok(&self.endorsement()?.ak.insert(Loaded { handle, key }).key)
    }

    /// Opens what was hidden for the TPM that holds both keys (TPM2_ActivateCredential); `None` where it was hidden for another. `id_object`
    /// and `secret` are TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET without their lengths.
    ///
    /// # Errors
    /// The TPM refuses.
    pub fn activate(&mut self, id_object: Vec<u8>, secret: Vec<u8>) -> Result<Option<Zeroizing<Vec<u8>>>, TpmError> {
        let (Ok(id_object), Ok(secret)) = (IdObject::try_from(id_object), EncryptedSecret::try_from(secret)) else { return Ok(None) };
        let session = self.authorised()?;
        let (ak, ek) = (self.loaded()?.handle, self.endorsement()?.ek);
        let opened = self.door.send_two(AuthSession::Password, session, |context| context.activate_credential(ak, ek, id_object, secret));
        match opened {
            Ok(digest) => Ok(Some(Zeroizing::new(digest.value().to_vec()))),
            Err(why) => match error::kind(why) {
                Some(Kind::Integrity | Kind::Value | Kind::Size | Kind::Failure | Kind::Insufficient) => Ok(None),
                _ => Err(TpmError::of("open the registrar's challenge", &self.tcti, why)),
            },
        }
    }

    /// Certifies the attestation key by itself over `nonce`, and checks what came back.
    ///
    /// # Errors
    /// The TPM refuses, or answers with something else.
    pub fn certify(&mut self, nonce: &[u8]) -> Result<Signed, TpmError> {
        let (handle, key) = (self.loaded()?.handle, self.loaded()?.key.clone());
        let certified = self.door.send_two(AuthSession::Password, AuthSession::Password, |context| {
            context.certify(ObjectHandle::from(handle), handle, Data::try_from(nonce.to_vec())?, SignatureScheme::Null)
        });
        let signed = certified.and_then(|(attest, signature)| Ok(Signed { message: attest.marshall()?, signature: signature.marshall()? }));
        let signed = signed.map_err(|why| TpmError::of("certify its attestation key", &self.tcti, why))?;
        key.check_certified(&signed, nonce).map(|()| signed).map_err(strange)
    }

    /// Quotes these PCRs over `nonce`, with the values that the quote is over, and checks all of it.
    ///
    /// # Errors
    /// The TPM refuses, or answers with something else.
    pub fn quote(&mut self, list: &PcrList, nonce: &[u8]) -> Result<Quote, TpmError> {
        let (handle, key) = (self.loaded()?.handle, self.loaded()?.key.clone());
        for _ in 0..TRIES {
            let quoted = self.door.send(Some(AuthSession::Password), |context| {
                context.quote(handle, Data::try_from(nonce.to_vec())?, SignatureScheme::Null, object::selection(list.numbers())?)
            });
            let (attest, signature) = quoted.map_err(|why| TpmError::of("quote", &self.tcti, why))?;
            let values = pcrs::read(&mut self.door, &self.tcti, list)?;
            let AttestInfo::Quote { info } = attest.attested() else { return Err(strange("the TPM's answer is no quote")) };
            // A PCR moved between the two commands: with IMA that is no rare thing.
            if info.pcr_digest().value() != pcr_digest(&values) {
                continue;
            }
            let signed = attest.marshall().and_then(|message| Ok(Signed { message, signature: signature.marshall()? }));
            let quote = Quote { signed: signed.map_err(|why| TpmError::of("describe its quote", &self.tcti, why))?, values };
            return key.check_quote(&quote, list, nonce).map(|()| quote).map_err(strange);
        }
        Err(TpmError::Busy {
            why: format!("PCRs changed {TRIES} times while they were quoted"),
            hint: "try again; something measures without a pause, see `tpm2_pcrread sha256`".to_owned(),
        })
    }

    /// The values of these PCRs now.
    ///
    /// # Errors
    /// The TPM refuses.
    pub fn pcrs_now(&mut self, list: &PcrList) -> Result<PcrValues, TpmError> {
        pcrs::read(&mut self.door, &self.tcti, list)
    }

    fn endorsement(&mut self) -> Result<&mut Endorsement, TpmError> {
        self.endorsement.as_mut().ok_or_else(|| strange("its endorsement key was not opened"))
    }

    fn loaded(&mut self) -> Result<&Loaded, TpmError> {
        self.endorsement()?.ak.as_ref().ok_or_else(|| strange("no attestation key is loaded"))
    }

    /// A session under which the endorsement key may be used once (TCG EK Credential Profile §B.3.3: PolicySecret of the endorsement
    /// hierarchy).
    fn authorised(&mut self) -> Result<AuthSession, TpmError> {
        let (ek, kept) = (self.endorsement()?.ek, self.endorsement()?.session);
        let tcti = self.tcti.clone();
        let fail = |why| TpmError::of("authorise its endorsement key", &tcti, why);
        let session = match kept {
            Some(session) => session,
            None => {
                let started = self.door.salted(ek, SessionType::Policy).map_err(fail)?;
                *self.endorsement()?.session.insert(started)
            }
        };
        let policy = PolicySession::try_from(session).map_err(fail)?;
        self.door.send(None, |context| context.policy_restart(policy)).map_err(fail)?;
        let authorised = self.door.send(Some(AuthSession::Password), |context| {
            let none = Default::default;
            context.policy_secret(policy, AuthHandle::Endorsement, none(), Default::default(), none(), None)
        });
        authorised.map(|_| session).map_err(fail)
    }
}

/// What no honest TPM answers.
fn strange(why: &'static str) -> TpmError {
    TpmError::Refused {
        doing: "give evidence",
        why: why.to_owned(),
        hint: "nothing was sent; something between omens and the TPM answers in its place, or the TPM is broken",
    }
}
