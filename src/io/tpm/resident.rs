//! Keys that never leave the TPM: made under the storage root key, loaded for each signature, and weaker in nothing than what is noted beside
//! them.

use p256::pkcs8::EncodePublicKey as _;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK};
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    Digest, EccPoint, EccScheme, HashScheme, HashcheckTicket, KeyDerivationFunctionScheme, Private, Public, PublicBuilder,
    PublicEccParameters, PublicKeyRsa, PublicRsaParameters, RsaExponent, RsaScheme, Signature, SignatureScheme, SymmetricDefinitionObject,
};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};
use tss_esapi::tss2_esys::{TPM2B_DIGEST, TPMT_TK_HASHCHECK};
use tss_esapi::{Error as Tss, Result as TssResult, WrapperErrorKind};

use super::door::Loaded;
use super::error::{self, TpmError};
use super::policy::under_policy;
use super::{Sealed, Tpm, endorsement, not_loaded};
use crate::model::key::KeyAlgorithm;
use crate::model::pcr::PcrValues;

/// Length of a coordinate and of half a signature on P-256.
const HALF: usize = 32;

/// How a resident key signs, always with SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// ECDSA.
    Ecdsa,
    /// RSASSA-PKCS1-v1_5.
    Pkcs1,
    /// RSASSA-PSS.
    Pss,
}

impl Tpm {
    /// Makes a key that signs, below the storage root key: bound to these PCRs, or to this TPM only.
    ///
    /// # Errors
    /// The TPM refuses, or keeps no keys of this algorithm.
    pub fn make_resident(&mut self, pcrs: &PcrValues, algorithm: KeyAlgorithm) -> Result<Sealed, TpmError> {
        let kept = Unique::new(algorithm).ok_or_else(|| lacks(algorithm, "that is no algorithm of keys that stay in one".to_owned()))?;
        let (session, parent) = (self.session(SessionType::Hmac)?, self.parent()?);
        let made = self.door.send(Some(session), |context| {
            let public = template(pcrs, kept)?;
            context.create(parent, public, None, None, None, None)
        });
        let made = made.map_err(|why| match why {
            why if error::is_unknown_kind(why) => lacks(algorithm, error::said(why)),
            why => TpmError::of("make a key", &self.tcti, why),
        })?;
        let public = made.out_public.marshall().map_err(|why| TpmError::of("describe the key that it made", &self.tcti, why))?;
        Ok(Sealed { public, private: made.out_private.value().to_vec() })
    }

    /// Signs a SHA-256 digest; of ECDSA it gives r and s, each of 32 bytes.
    ///
    /// # Errors
    /// A PCR is not as it was, the key is damaged or another TPM's, or the TPM refuses.
    pub fn sign_resident(&mut self, key: &Sealed, pcrs: &PcrValues, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>, TpmError> {
        let public = parse(&key.public, pcrs)?;
        let private = Private::try_from(key.private.clone()).map_err(|_| TpmError::Damaged("its private area is too long".to_owned()))?;
        let kind = if pcrs.list.is_empty() { SessionType::Hmac } else { SessionType::Policy };
        let (session, parent) = (self.session(kind)?, self.parent()?);
        let tcti = &self.tcti;
        let mut loaded = self.door.load(parent, public, private).map_err(|why| not_loaded(tcti, why))?;
        let signed = under_policy(&mut loaded, session, pcrs, |loaded, session| sign(loaded, session, scheme, digest));
        drop(loaded);
        signed.map_err(|why| TpmError::of("sign", &self.tcti, why))?.map_or_else(|| Err(self.changed(pcrs)), Ok)
    }
}

fn lacks(algorithm: KeyAlgorithm, why: String) -> TpmError {
    let hint = match algorithm {
        KeyAlgorithm::EcP256 => "it has no P-256: write algorithm = \"rsa-2048\", under a profile that allows it",
        _ => "write algorithm = \"ec-p256\", or keep = \"sealed\"",
    };
    TpmError::Refused { doing: "make a key of this algorithm", why, hint }
}

/// The public key of a resident key: DER of its SubjectPublicKeyInfo.
///
/// # Errors
/// The public area is not one of a key that is bound to these PCRs.
pub fn spki(public: &[u8], pcrs: &PcrValues) -> Result<Vec<u8>, TpmError> {
    let none = || TpmError::Damaged("its public key is none".to_owned());
    let der = match parse(public, pcrs)? {
        Public::Ecc { unique, .. } => {
            let point = point(&unique).ok_or_else(none)?;
            p256::PublicKey::from_sec1_bytes(&point).map_err(|_| none())?.to_public_key_der()
        }
        _ => endorsement::rsa_public_key(public).ok_or_else(none)?.to_public_key_der(),
    };
    der.map(|der| der.into_vec()).map_err(|_| none())
}

/// An uncompressed point (SEC 1 §2.3.3).
fn point(unique: &EccPoint) -> Option<[u8; 1 + 2 * HALF]> {
    let mut point = [0; 1 + 2 * HALF];
    let [tag, rest @ ..] = &mut point;
    *tag = 4;
    let (x, y) = rest.split_at_mut(HALF);
    pad(unique.x().value(), x).and_then(|()| pad(unique.y().value(), y))?;
    Some(point)
}

/// Numbers come without leading zeros.
fn pad(number: &[u8], into: &mut [u8]) -> Option<()> {
    let start = into.len().checked_sub(number.len())?;
    into.get_mut(start..)?.copy_from_slice(number);
    Some(())
}

/// The part of a public area that is the key's own; empty for one that is still to be made.
enum Unique {
    Ecc(EccPoint),
    Rsa(PublicKeyRsa),
}

impl Unique {
    fn new(algorithm: KeyAlgorithm) -> Option<Self> {
        match algorithm {
            KeyAlgorithm::EcP256 => Some(Self::Ecc(EccPoint::default())),
            KeyAlgorithm::Rsa2048 => Some(Self::Rsa(PublicKeyRsa::default())),
            _ => None,
        }
    }
}

/// Under a policy userWithAuth is CLEAR, as for what is sealed ([Policies and PCRs](crate::io::tpm#policies-and-pcrs)).
fn template(pcrs: &PcrValues, unique: Unique) -> TssResult<Public> {
    let bound = !pcrs.list.is_empty();
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_no_da(true)
        .with_sign_encrypt(true)
        .with_user_with_auth(!bound)
        .with_admin_with_policy(bound)
        .build()?;
    let policy = if bound { Digest::try_from(pcrs.policy())? } else { Digest::default() };
    let common = PublicBuilder::new()
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(policy);
    let (none, no_kdf) = (SymmetricDefinitionObject::Null, KeyDerivationFunctionScheme::Null);
    // Without a scheme of its own a key signs by the one that it is asked for.
    let whole = match unique {
        Unique::Ecc(point) => common
            .with_public_algorithm(PublicAlgorithm::Ecc)
            .with_ecc_parameters(PublicEccParameters::new(none, EccScheme::Null, EccCurve::NistP256, no_kdf))
            .with_ecc_unique_identifier(point),
        Unique::Rsa(modulus) => common
            .with_public_algorithm(PublicAlgorithm::Rsa)
            .with_rsa_parameters(PublicRsaParameters::new(none, RsaScheme::Null, RsaKeyBits::Rsa2048, RsaExponent::default()))
            .with_rsa_unique_identifier(modulus),
    };
    whole.build()
}

/// Reads a public area, which must be the template of its PCRs to the last byte.
fn parse(bytes: &[u8], pcrs: &PcrValues) -> Result<Public, TpmError> {
    let damaged = |why: &str| TpmError::Damaged(why.to_owned());
    let public = Public::unmarshall(bytes).map_err(|_| damaged("its public area cannot be read"))?;
    let unique = match &public {
        Public::Ecc { unique, .. } => Unique::Ecc(unique.clone()),
        Public::Rsa { unique, .. } => Unique::Rsa(unique.clone()),
        _ => return Err(damaged("its public area is neither that of a P-256 nor of an RSA key")),
    };
    let expected = template(pcrs, unique).and_then(|expected| expected.marshall());
    if expected.is_ok_and(|expected| expected == bytes) {
        return Ok(public);
    }
    Err(damaged("its public area is not the one that belongs to the PCRs noted beside it"))
}

fn sign(loaded: &mut Loaded<'_>, session: AuthSession, scheme: Scheme, digest: &[u8]) -> TssResult<Vec<u8>> {
    let handle = KeyHandle::from(loaded.handle);
    let hash_scheme = HashScheme::new(HashingAlgorithm::Sha256);
    let asked = match scheme {
        Scheme::Ecdsa => SignatureScheme::EcDsa { hash_scheme },
        Scheme::Pkcs1 => SignatureScheme::RsaSsa { hash_scheme },
        Scheme::Pss => SignatureScheme::RsaPss { hash_scheme },
    };
    let signature =
        loaded.door.send(Some(session), |context| context.sign(handle, Digest::try_from(digest.to_vec())?, asked, no_ticket()?))?;
    let wrong = Tss::WrapperError(WrapperErrorKind::WrongValueFromTpm);
    match (scheme, signature) {
        (Scheme::Ecdsa, Signature::EcDsa(signature)) => {
            let mut both = [0; 2 * HALF];
            let (r, s) = both.split_at_mut(HALF);
            pad(signature.signature_r().value(), r).and_then(|()| pad(signature.signature_s().value(), s)).ok_or(wrong)?;
            Ok(both.to_vec())
        }
        (Scheme::Pkcs1, Signature::RsaSsa(signature)) | (Scheme::Pss, Signature::RsaPss(signature)) => {
            Ok(signature.signature().value().to_vec())
        }
        _ => Err(wrong),
    }
}

/// What is signed was hashed outside of the TPM.
fn no_ticket() -> TssResult<HashcheckTicket> {
    HashcheckTicket::try_from(TPMT_TK_HASHCHECK {
        tag: TPM2_ST_HASHCHECK,
        hierarchy: TPM2_RH_NULL,
        digest: TPM2B_DIGEST { size: 0, buffer: [0; 64] },
    })
}
