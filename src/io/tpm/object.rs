//! The sealed object: what it may look like, and nothing else passes. It must never be weaker than what is noted beside it.

use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::structures::PublicKeyedHashParameters;
use tss_esapi::structures::{Digest, KeyedHashScheme, PcrSelectionList, PcrSelectionListBuilder, PcrSlot, Public, PublicBuilder};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};
use tss_esapi::{Error as Tss, Result as TssResult, WrapperErrorKind};

use super::error::TpmError;
use crate::model::pcr::PcrValues;

/// What the object of these PCRs looks like; `unique` is the TPM's part of it.
///
/// Under a policy userWithAuth is CLEAR: with it set, an empty password opens the object and the policy is never asked
/// ([Policies and PCRs](crate::io::tpm#policies-and-pcrs)).
/// Without PCRs there is no policy and userWithAuth is set, with an empty password: bound to this TPM only. A policy over no PCR at all would
/// protect no more and fail whenever any PCR moves. Both are noDA: there is nothing to guess, and a lockout must not stop a boot.
pub(super) fn template(pcrs: &PcrValues, unique: Digest) -> TssResult<Public> {
    let bound = !pcrs.list.is_empty();
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_no_da(true)
        .with_user_with_auth(!bound)
        .with_admin_with_policy(bound)
        .build()?;
    let builder = PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(unique);
    let policy = if bound { Digest::try_from(pcrs.policy())? } else { Digest::default() };
    builder.with_auth_policy(policy).build()
}

/// Reads a public area, which must be the template of its PCRs to the last byte: not weaker, not longer, no other policy.
pub(super) fn parse(bytes: &[u8], pcrs: &PcrValues) -> Result<Public, TpmError> {
    let damaged = |why: &str| TpmError::Damaged(why.to_owned());
    let public = Public::unmarshall(bytes).map_err(|_| damaged("its public area cannot be read"))?;
    let Public::KeyedHash { unique, .. } = &public else { return Err(damaged("its public area is not that of sealed data")) };
    let expected = template(pcrs, unique.clone()).and_then(|expected| expected.marshall());
    if expected.is_ok_and(|expected| expected == bytes) {
        return Ok(public);
    }
    Err(damaged("its public area is not the one that belongs to the PCRs noted beside it"))
}

/// The selection of these PCRs in the SHA-256 bank.
pub(super) fn selection(numbers: &[u32]) -> TssResult<PcrSelectionList> {
    let slot = |number: &u32| {
        let bit = 1_u32.checked_shl(*number).unwrap_or_default();
        PcrSlot::try_from(bit).map_err(|_| Tss::WrapperError(WrapperErrorKind::InvalidParam))
    };
    let slots = numbers.iter().map(slot).collect::<TssResult<Vec<PcrSlot>>>()?;
    PcrSelectionListBuilder::new().with_selection(HashingAlgorithm::Sha256, &slots).build()
}
