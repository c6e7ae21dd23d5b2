//! The storage root key at 0x81000001: found or made, never recomputed, since the templates in use differ
//! ([The storage root key](crate::io::tpm#the-storage-root-key)).

use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::constants::CapabilityType;
use tss_esapi::constants::response_code::Tss2ResponseCodeKind as Kind;
use tss_esapi::handles::{KeyHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::{Hierarchy, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    CapabilityData, EccParameter, EccPoint, Public, PublicBuilder, PublicEccParametersBuilder, PublicKeyRsa, PublicRsaParametersBuilder,
    RsaExponent, SymmetricDefinitionObject,
};
use tss_esapi::{Error as Tss, Result as TssResult};

use super::door::Door;
use super::error::{self, TpmError};
use crate::model::anchor::hex;

/// Where the TCG and systemd have it (TCG Provisioning Guidance §7.5.1).
const HANDLE: u32 = 0x8100_0001;
/// What a storage root key protects its children with.
const CIPHER: SymmetricDefinitionObject = SymmetricDefinitionObject::AES_128_CFB;

/// A storage root key and its Name, by which it is known.
#[derive(Debug)]
pub(super) struct Srk {
    pub(super) handle: KeyHandle,
    pub(super) name: Vec<u8>,
}

/// Finds the key, or makes it. Nobody needs a lock for this: the TPM itself refuses a second object at the same handle, and whoever comes
/// second takes the first one's.
pub(super) fn obtain(door: &mut Door, tcti: &str, pinned: Option<&[u8]>) -> Result<Srk, TpmError> {
    let fail = |doing| move |why| TpmError::of(doing, tcti, why);
    let srk = match find(door).map_err(fail("look for its storage root key"))? {
        Some(srk) => srk,
        None => {
            make(door, tcti, pinned)?;
            let made = find(door).map_err(fail("look for its storage root key"))?;
            made.ok_or_else(|| TpmError::Refused {
                doing: "keep its storage root key",
                why: "it is gone again".to_owned(),
                hint: "another program removes the object at 0x81000001",
            })?
        }
    };
    expect(pinned, &srk.name).map(|()| srk)
}

/// The key that is there.
pub(super) fn find(door: &mut Door) -> TssResult<Option<Srk>> {
    let persistent = PersistentTpmHandle::new(HANDLE)?;
    // Asked first: reading a handle that is not there is an error that libtss2 also prints.
    let (found, _) = door.send(None, |context| context.get_capability(CapabilityType::Handles, HANDLE, 1))?;
    let CapabilityData::Handles(handles) = found else { return Ok(None) };
    if handles.first() != Some(&TpmHandle::Persistent(persistent)) {
        return Ok(None);
    }
    let object = door.send(None, |context| context.tr_from_tpm_public(TpmHandle::Persistent(persistent)))?;
    let name = door.local(|context| context.tr_get_name(object))?;
    Ok(Some(Srk { handle: KeyHandle::from(object), name: name.value().to_vec() }))
}

/// Makes the key. Where one is pinned, only the same one is kept: it was evicted, and the seed is still the same. After a TPM2_Clear it is not.
fn make(door: &mut Door, tcti: &str, pinned: Option<&[u8]>) -> Result<(), TpmError> {
    let fail = |doing| move |why| TpmError::of(doing, tcti, why);
    let mut primary = |template: TssResult<Public>| {
        let template = template?;
        door.send(Some(AuthSession::Password), |context| context.create_primary(Hierarchy::Owner, template, None, None, None, None))
    };
    let made = match primary(ecc_template()) {
        Err(why) if error::is_unknown_kind(why) => primary(rsa_template()),
        made => made,
    };
    let made = made.map_err(fail("make a storage root key"))?;
    let loaded = door.guard(made.key_handle.into());
    let (door, handle) = (&mut *loaded.door, loaded.handle);
    let name = door.local(|context| context.tr_get_name(handle)).map_err(fail("name its storage root key"))?;
    expect(pinned, name.value())?;
    let kept = door.send(Some(AuthSession::Password), |context| {
        let persistent = Persistent::Persistent(PersistentTpmHandle::new(HANDLE)?);
        context.evict_control(Provision::Owner, handle, persistent)
    });
    match kept {
        Ok(_) => Ok(()),
        Err(why) if is_taken(why) => Ok(()),
        Err(why) => Err(TpmError::of("keep its storage root key", tcti, why)),
    }
}

fn is_taken(why: Tss) -> bool {
    error::kind(why) == Some(Kind::NvDefined)
}

/// Refuses another key than the pinned one.
pub(super) fn expect(pinned: Option<&[u8]>, found: &[u8]) -> Result<(), TpmError> {
    match pinned {
        Some(pinned) if pinned != found => Err(TpmError::Replaced { expected: short(pinned), found: short(found) }),
        _ => Ok(()),
    }
}

/// Enough of a Name to tell two apart; its first two bytes are an algorithm.
fn short(name: &[u8]) -> String {
    hex(name.get(2..10).unwrap_or(name))
}

/// What both of the TCG's templates for a storage root key begin with (TCG EK Credential Profile, Provisioning Guidance;
/// [The storage root key](crate::io::tpm#the-storage-root-key)).
fn template(algorithm: PublicAlgorithm) -> TssResult<PublicBuilder> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_decrypt(true)
        .build()?;
    let builder = PublicBuilder::new().with_public_algorithm(algorithm).with_name_hashing_algorithm(HashingAlgorithm::Sha256);
    Ok(builder.with_object_attributes(attributes))
}

/// That of P-256.
fn ecc_template() -> TssResult<Public> {
    let zero = || EccParameter::try_from(vec![0_u8; 32]);
    let parameters = PublicEccParametersBuilder::new_restricted_decryption_key(CIPHER, EccCurve::NistP256).build()?;
    let builder = template(PublicAlgorithm::Ecc)?.with_ecc_parameters(parameters);
    builder.with_ecc_unique_identifier(EccPoint::new(zero()?, zero()?)).build()
}

/// That of RSA, for a TPM that has no P-256.
fn rsa_template() -> TssResult<Public> {
    const BITS: RsaKeyBits = RsaKeyBits::Rsa2048;
    let parameters = PublicRsaParametersBuilder::new_restricted_decryption_key(CIPHER, BITS, RsaExponent::default()).build()?;
    let builder = template(PublicAlgorithm::Rsa)?.with_rsa_parameters(parameters);
    builder.with_rsa_unique_identifier(PublicKeyRsa::new_empty_with_size(BITS)).build()
}
