//! The endorsement key and the attestation key below it: what proves to others which TPM this is and what it measured. Nothing here needs the
//! storage root key.
//!
//! The session that authorises the endorsement key is salted to it and encrypts in both directions, so that what a registrar hides for this
//! TPM alone crosses the connection in no clear form.

use tss_esapi::Result as TssResult;
use tss_esapi::abstraction::AsymmetricAlgorithmSelection;
use tss_esapi::abstraction::ek::create_ek_public_from_default_template_2;
use tss_esapi::abstraction::nv::read_full;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::constants::{CapabilityType, SessionType};
use tss_esapi::handles::{AuthHandle, KeyHandle, NvIndexTpmHandle, ObjectHandle, PersistentTpmHandle, SessionHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm, RsaSchemeAlgorithm};
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::{Hierarchy, NvAuth};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    CapabilityData, Data, EncryptedSecret, IdObject, Private, Public, PublicBuilder, PublicKeyRsa, PublicRsaParametersBuilder, RsaExponent,
    RsaScheme, SignatureScheme,
};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};
use zeroize::Zeroizing;

use super::door::Door;
use super::error::{self, TpmError};
use super::quoted::{AttestationKey, Quote, Signed, pcr_digest};
use super::{Sealed, TRIES, object, open, pcrs};
use crate::model::pcr::PcrList;
use crate::model::tcti::Tcti;

/// Where the TCG has the RSA-2048 endorsement key, if somebody made it persistent (TCG Provisioning Guidance §7.8).
const EK: u32 = 0x8101_0001;
/// Where its certificate lies (TCG EK Credential Profile §2.2.1.4).
const CERTIFICATE: u32 = 0x01c0_0002;

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
            let tss_esapi::structures::AttestInfo::Quote { info } = attest.attested() else {
                return Err(strange("the TPM's answer is no quote"));
            };
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
    pub fn pcrs(&mut self, list: &PcrList) -> Result<crate::model::pcr::PcrValues, TpmError> {
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

fn is_listed(door: &mut Door, handle: u32, wanted: TpmHandle) -> TssResult<bool> {
    // Asked first: reading a handle that is not there is an error that libtss2 also prints.
    let (found, _) = door.send(None, |context| context.get_capability(CapabilityType::Handles, handle, 1))?;
    Ok(matches!(found, CapabilityData::Handles(handles) if handles.first() == Some(&wanted)))
}

fn persistent(door: &mut Door) -> TssResult<Option<KeyHandle>> {
    let handle = TpmHandle::Persistent(PersistentTpmHandle::new(EK)?);
    if !is_listed(door, EK, handle)? {
        return Ok(None);
    }
    door.send(None, |context| context.tr_from_tpm_public(handle)).map(|object| Some(KeyHandle::from(object)))
}

fn make(door: &mut Door) -> TssResult<KeyHandle> {
    let template = create_ek_public_from_default_template_2(AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048), None)?;
    let made =
        door.send(Some(AuthSession::Password), |context| context.create_primary(Hierarchy::Endorsement, template, None, None, None, None));
    made.map(|made| made.key_handle)
}

fn certificate(door: &mut Door) -> TssResult<Option<Vec<u8>>> {
    let index = NvIndexTpmHandle::new(CERTIFICATE)?;
    if !is_listed(door, CERTIFICATE, TpmHandle::NvIndex(index))? {
        return Ok(None);
    }
    let read = door.send(Some(AuthSession::Password), |context| read_full(context, NvAuth::Owner, index))?;
    Ok(Some(untailed(read)))
}

/// The DER at the beginning: some TPMs fill the rest of the index with FF.
fn untailed(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = x509_parser::parse_x509_certificate(&bytes).map(|(rest, _)| bytes.len() - rest.len());
    bytes.truncate(length.unwrap_or(bytes.len()));
    bytes
}

fn is_usable(public: &Public) -> bool {
    let template = create_ek_public_from_default_template_2(AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048), None);
    let (
        Ok(Public::Rsa { object_attributes, name_hashing_algorithm, auth_policy, parameters, .. }),
        Public::Rsa { object_attributes: attributes, name_hashing_algorithm: hash, auth_policy: policy, parameters: found, .. },
    ) = (&template, public)
    else {
        return false;
    };
    object_attributes == attributes && name_hashing_algorithm == hash && auth_policy == policy && parameters == found
}

/// noDA: there is nothing to guess, and a lockout must not stop an attestation.
fn ak_template() -> TssResult<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_sign_encrypt(true)
        .build()?;
    let parameters = PublicRsaParametersBuilder::new()
        .with_scheme(RsaScheme::create(RsaSchemeAlgorithm::RsaSsa, Some(HashingAlgorithm::Sha256))?)
        .with_key_bits(RsaKeyBits::Rsa2048)
        .with_exponent(RsaExponent::default())
        .with_is_signing_key(true)
        .with_is_decryption_key(false)
        .with_restricted(true)
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Rsa)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_rsa_parameters(parameters)
        .with_rsa_unique_identifier(PublicKeyRsa::default())
        .build()
}

/// Whether this is what [`ak_template`] describes, whatever its modulus: a key that is not restricted could sign a forged quote.
fn is_ak(public: &Public) -> bool {
    let (
        Ok(Public::Rsa { object_attributes, auth_policy, parameters, .. }),
        Public::Rsa { object_attributes: attributes, auth_policy: policy, parameters: found, .. },
    ) = (&ak_template(), public)
    else {
        return false;
    };
    object_attributes == attributes && auth_policy == policy && parameters == found
}

/// The SubjectPublicKeyInfo of a TPM's RSA key (TPMT_PUBLIC): the public key that others know it by.
#[must_use]
pub fn rsa_public_key(public: &[u8]) -> Option<rsa::PublicKey> {
    // The exponent that a TPM means by its default, 0 (TPM 2.0 Part 2, §12.2.3.5).
    const EXPONENT: u64 = 65_537;
    let Ok(Public::Rsa { unique, .. }) = Public::unmarshall(public) else { return None };
    let modulus = rsa::BoxedUint::from_be_slice_vartime(unique.value());
    rsa::PublicKey::new(modulus, rsa::BoxedUint::from(EXPONENT)).ok()
}
