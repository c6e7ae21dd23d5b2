//! The endorsement key as the TCG's templates have it, its certificate, and what an attestation key must look like: nothing else passes.

use tss_esapi::Result as TssResult;
use tss_esapi::abstraction::AsymmetricAlgorithmSelection;
use tss_esapi::abstraction::ek::create_ek_public_from_default_template_2;
use tss_esapi::abstraction::nv::read_full;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::CapabilityType;
use tss_esapi::handles::{KeyHandle, NvIndexTpmHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm, RsaSchemeAlgorithm};
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::{Hierarchy, NvAuth};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{CapabilityData, Public, PublicBuilder, PublicKeyRsa, PublicRsaParametersBuilder, RsaExponent, RsaScheme};
use tss_esapi::traits::UnMarshall as _;

use super::door::Door;

/// Where the TCG has the RSA-2048 endorsement key, if somebody made it persistent (TCG Provisioning Guidance §7.8).
const EK: u32 = 0x8101_0001;
/// Where its certificate lies (TCG EK Credential Profile §2.2.1.4).
const CERTIFICATE: u32 = 0x01c0_0002;

fn is_listed(door: &mut Door, handle: u32, wanted: TpmHandle) -> TssResult<bool> {
    // Asked first: reading a handle that is not there is an error that libtss2 also prints.
    let (found, _) = door.send(None, |context| context.get_capability(CapabilityType::Handles, handle, 1))?;
    Ok(matches!(found, CapabilityData::Handles(handles) if handles.first() == Some(&wanted)))
}

pub(super) fn persistent(door: &mut Door) -> TssResult<Option<KeyHandle>> {
    let handle = TpmHandle::Persistent(PersistentTpmHandle::new(EK)?);
    if !is_listed(door, EK, handle)? {
        return Ok(None);
    }
    door.send(None, |context| context.tr_from_tpm_public(handle)).map(|object| Some(KeyHandle::from(object)))
}

pub(super) fn make(door: &mut Door) -> TssResult<KeyHandle> {
    let template = create_ek_public_from_default_template_2(AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048), None)?;
    let made =
        door.send(Some(AuthSession::Password), |context| context.create_primary(Hierarchy::Endorsement, template, None, None, None, None));
    made.map(|made| made.key_handle)
}

pub(super) fn certificate(door: &mut Door) -> TssResult<Option<Vec<u8>>> {
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

pub(super) fn is_usable(public: &Public) -> bool {
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
pub(super) fn ak_template() -> TssResult<Public> {
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
pub(super) fn is_ak(public: &Public) -> bool {
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
