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

use super::door::Door;
use super::endorsement::{ak_template, certificate, is_ak, is_usable, make, persistent};
use super::error::{self, TpmError};
use super::quoted::{AttestationKey, Quote, Signed, pcr_digest};
use super::{Sealed, TRIES, object, open, pcrs};
use crate::model::pcr::{PcrList, PcrValues};
use crate::model::tcti::Tcti;

/// An open TPM with its endorsement key.
#[derive(Debug)]
pub struct Endorsed {
    door: Door,
    tcti: String,
    ek: KeyHandle,
    /// TPMT_PUBLIC.
    public: Vec<u8>,
    certificate: Option<Vec<u8>>,
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

impl Endorsed {
    /// Opens the TPM and its endorsement key: the persistent one, or the one that its seed gives under the default template.
    ///
    /// # Errors
    /// It does not open, or has no such key.
    pub fn open(tcti: &Tcti) -> Result<Self, TpmError> {
        let mut door = Door::new(open::open(tcti)?);
        let tcti = tcti.to_string();
        let fail = |doing| {
            let tcti = tcti.clone();
            move |why| TpmError::of(doing, &tcti, why)
        };
        let ek = match persistent(&mut door).map_err(fail("look for its endorsement key"))? {
            Some(ek) => ek,
            None => make(&mut door).map_err(fail("make its endorsement key"))?,
        };
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
        let certificate = certificate(&mut door).map_err(fail("read the certificate of its endorsement key"))?;
        Ok(Self { door, tcti, ek, public, certificate, session: None, ak: None })
    }

    /// TPMT_PUBLIC of the endorsement key.
    #[must_use]
    pub fn ek_public(&self) -> &[u8] {
        &self.public
    }

    /// DER of its certificate, where the TPM has one.
    #[must_use]
    pub fn ek_certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// How many commands the TPM was sent.
    #[must_use]
    pub const fn commands(&self) -> u64 {
        self.door.commands()
    }

    /// Makes an attestation key below the endorsement key: RSA-2048, restricted, RSASSA with SHA-256. Only this TPM can load it.
    ///
    /// # Errors
    /// The TPM refuses.
    pub fn make_ak(&mut self) -> Result<Sealed, TpmError> {
        let session = self.authorised()?;
        let ek = self.ek;
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
        let session = self.authorised()?;
        let ek = self.ek;
        let loaded = self.door.send(Some(session), |context| context.load(ek, private, public));
        let handle = loaded.map_err(|why| super::not_loaded(&self.tcti, why))?;
        let key = AttestationKey::of(kept.public.clone());
        Ok(&self.ak.insert(Loaded { handle, key }).key)
    }

    /// Opens what was hidden for the TPM that holds both keys (TPM2_ActivateCredential); `None` where it was hidden for another. `id_object`
    /// and `secret` are TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET without their lengths.
    ///
    /// # Errors
    /// The TPM refuses.
    pub fn activate(&mut self, id_object: Vec<u8>, secret: Vec<u8>) -> Result<Option<Zeroizing<Vec<u8>>>, TpmError> {
        let (Ok(id_object), Ok(secret)) = (IdObject::try_from(id_object), EncryptedSecret::try_from(secret)) else { return Ok(None) };
        let session = self.authorised()?;
        let (ak, ek) = (self.loaded()?.handle, self.ek);
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
    pub fn pcrs(&mut self, list: &PcrList) -> Result<PcrValues, TpmError> {
        pcrs::read(&mut self.door, &self.tcti, list)
    }

    fn loaded(&self) -> Result<&Loaded, TpmError> {
        self.ak.as_ref().ok_or_else(|| strange("no attestation key is loaded"))
    }

    /// A session under which the endorsement key may be used once (TCG EK Credential Profile §B.3.3: PolicySecret of the endorsement
    /// hierarchy).
    fn authorised(&mut self) -> Result<AuthSession, TpmError> {
        let fail = |why| TpmError::of("authorise its endorsement key", &self.tcti, why);
        let session = match self.session {
            Some(session) => session,
            None => *self.session.insert(self.door.salted(self.ek, SessionType::Policy).map_err(fail)?),
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

impl Drop for Endorsed {
    fn drop(&mut self) {
        // The endorsement key goes with the connection where it is not persistent: libtss2's wrapper flushes what it made.
        let session = self.session.take().map(|session| SessionHandle::from(session).into());
        for handle in self.ak.take().map(|ak| ObjectHandle::from(ak.handle)).into_iter().chain(session) {
            drop(self.door.guard(handle));
        }
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
