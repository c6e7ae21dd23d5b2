//! Keys that never leave the TPM: made under the storage root key, loaded for each signature, and weaker in nothing than what is noted beside
//! them.

use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::SessionType;
use tss_esapi::constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK};
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    Digest, EccPoint, EccScheme, HashScheme, HashcheckTicket, KeyDerivationFunctionScheme, Private, Public, PublicBuilder,
    PublicEccParameters, Signature, SignatureScheme, SymmetricDefinitionObject,
};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};
use tss_esapi::tss2_esys::{TPM2B_DIGEST, TPMT_TK_HASHCHECK};
use tss_esapi::{Error as Tss, Result as TssResult, WrapperErrorKind};

use super::door::Loaded;
use super::error::TpmError;
use super::policy::under_policy;
use super::{Sealed, Tpm, not_loaded};
use crate::model::pcr::PcrValues;

/// Length of a coordinate and of half a signature on P-256.
const HALF: usize = 32;

impl Tpm {
    /// Makes a P-256 key that signs, below the storage root key: bound to these PCRs, or to this TPM only.
    ///
    /// # Errors
    /// The TPM refuses.
    pub fn make_resident(&mut self, pcrs: &PcrValues) -> Result<Sealed, TpmError> {
        let (session, parent) = (self.session(SessionType::Hmac)?, self.parent()?);
        let made = self.door.send(Some(session), |context| {
            let public = template(pcrs, EccPoint::default())?;
            context.create(parent, public, None, None, None, None)
        });
        let made = made.map_err(|why| TpmError::of("make a key", &self.tcti, why))?;
        let public = made.out_public.marshall().map_err(|why| TpmError::of("describe the key that it made", &self.tcti, why))?;
        Ok(Sealed { public, private: made.out_private.value().to_vec() })
    }

    /// Signs a SHA-256 digest: r and s, each of 32 bytes.
    ///
    /// # Errors
    /// A PCR is not as it was, the key is damaged or another TPM's, or the TPM refuses.
    pub fn sign_resident(&mut self, key: &Sealed, pcrs: &PcrValues, digest: &[u8]) -> Result<[u8; 2 * HALF], TpmError> {
        let public = parse(&key.public, pcrs)?;
        let private = Private::try_from(key.private.clone()).map_err(|_| TpmError::Damaged("its private area is too long".to_owned()))?;
        let kind = if pcrs.list.is_empty() { SessionType::Hmac } else { SessionType::Policy };
        let (session, parent) = (self.session(kind)?, self.parent()?);
        let tcti = &self.tcti;
        let mut loaded = self.door.load(parent, public, private).map_err(|why| not_loaded(tcti, why))?;
        let signed = under_policy(&mut loaded, session, pcrs, |loaded, session| sign(loaded, session, digest));
        drop(loaded);
        signed.map_err(|why| TpmError::of("sign", &self.tcti, why))?.map_or_else(|| Err(self.changed(pcrs)), Ok)
    }
}

/// The public key of a resident key: an uncompressed point (SEC 1 §2.3.3).
///
/// # Errors
/// The public area is not one of a key that is bound to these PCRs.
pub fn point(public: &[u8], pcrs: &PcrValues) -> Result<[u8; 1 + 2 * HALF], TpmError> {
    let damaged = || TpmError::Damaged("its public key is none".to_owned());
    let Public::Ecc { unique, .. } = parse(public, pcrs)? else { return Err(damaged()) };
    let mut point = [0; 1 + 2 * HALF];
    let [tag, rest @ ..] = &mut point;
    *tag = 4;
    let (x, y) = rest.split_at_mut(HALF);
    pad(unique.x().value(), x).and_then(|()| pad(unique.y().value(), y)).ok_or_else(damaged)?;
    Ok(point)
}

/// Numbers come without leading zeros.
fn pad(number: &[u8], into: &mut [u8]) -> Option<()> {
    let start = into.len().checked_sub(number.len())?;
    into.get_mut(start..)?.copy_from_slice(number);
    Some(())
}

/// Under a policy userWithAuth is CLEAR, as for what is sealed ([Policies and PCRs](crate::io::tpm#policies-and-pcrs)).
fn template(pcrs: &PcrValues, unique: EccPoint) -> TssResult<Public> {
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
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(policy)
        .with_ecc_parameters(PublicEccParameters::new(
            SymmetricDefinitionObject::Null,
            EccScheme::Null,
            EccCurve::NistP256,
            KeyDerivationFunctionScheme::Null,
        ))
        .with_ecc_unique_identifier(unique)
        .build()
}

/// Reads a public area, which must be the template of its PCRs to the last byte.
fn parse(bytes: &[u8], pcrs: &PcrValues) -> Result<Public, TpmError> {
    let damaged = |why: &str| TpmError::Damaged(why.to_owned());
    let public = Public::unmarshall(bytes).map_err(|_| damaged("its public area cannot be read"))?;
    let Public::Ecc { unique, .. } = &public else { return Err(damaged("its public area is not that of a P-256 key")) };
    let expected = template(pcrs, unique.clone()).and_then(|expected| expected.marshall());
    if expected.is_ok_and(|expected| expected == bytes) {
        return Ok(public);
    }
    Err(damaged("its public area is not the one that belongs to the PCRs noted beside it"))
}

fn sign(loaded: &mut Loaded<'_>, session: AuthSession, digest: &[u8]) -> TssResult<[u8; 2 * HALF]> {
    let handle = KeyHandle::from(loaded.handle);
    let signature = loaded.door.send(Some(session), |context| {
        let scheme = SignatureScheme::EcDsa { hash_scheme: HashScheme::new(HashingAlgorithm::Sha256) };
        context.sign(handle, Digest::try_from(digest.to_vec())?, scheme, no_ticket()?)
    })?;
    let wrong = Tss::WrapperError(WrapperErrorKind::WrongValueFromTpm);
    let Signature::EcDsa(signature) = signature else { return Err(wrong) };
    let mut both = [0; 2 * HALF];
    let (r, s) = both.split_at_mut(HALF);
    pad(signature.signature_r().value(), r).and_then(|()| pad(signature.signature_s().value(), s)).ok_or(wrong)?;
    Ok(both)
}

/// What is signed was hashed outside of the TPM.
fn no_ticket() -> TssResult<HashcheckTicket> {
    HashcheckTicket::try_from(TPMT_TK_HASHCHECK {
        tag: TPM2_ST_HASHCHECK,
        hierarchy: TPM2_RH_NULL,
        digest: TPM2B_DIGEST { size: 0, buffer: [0; 64] },
    })
}
