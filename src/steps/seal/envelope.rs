//! The cipher around one private key: AES-256-GCM under a key derived for this one generation (README, "Sealing"). It knows no file and no TPM.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use crate::model::canonical::Bytes;
use crate::model::sealed::SealedKeyFile;
use crate::model::secret::SealingKey;

/// Puts `pkcs8` under the header.
pub(super) fn close(sealing: &SealingKey, mut header: SealedKeyFile, pkcs8: &[u8]) -> Result<SealedKeyFile, Unspecified> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(pkcs8.len() + AES_256_GCM.tag_len()));
    buffer.extend_from_slice(pkcs8);
    let key = derived(sealing, &header)?;
    key.seal_in_place_append_tag(Nonce::try_assume_unique_for_key(&header.nonce.0)?, Aad::from(header.aad()), &mut *buffer)?;
    header.ciphertext = Bytes(std::mem::take(&mut *buffer));
    Ok(header)
}

/// The PKCS#8 that was put there; an error says no more than that something is not as it was.
pub(super) fn open(sealing: &SealingKey, sealed: &SealedKeyFile) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let mut buffer = Zeroizing::new(sealed.ciphertext.0.clone());
    let key = derived(sealing, sealed)?;
    let nonce = Nonce::try_assume_unique_for_key(&sealed.nonce.0)?;
    let length = key.open_in_place(nonce, Aad::from(sealed.aad()), &mut buffer)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

/// RFC 5869: a fresh salt for each private key makes each derived key serve once, so a nonce can never meet the same key again.
fn derived(sealing: &SealingKey, header: &SealedKeyFile) -> Result<LessSafeKey, Unspecified> {
    let pseudorandom = Salt::new(HKDF_SHA256, &header.salt.0).extract(sealing.expose());
    let info = header.info();
    let info = [info.as_slice()];
    Ok(LessSafeKey::new(UnboundKey::from(pseudorandom.expand(&info, &AES_256_GCM)?)))
}
