//! The cipher around one private key: AES-256-GCM under a key derived for this one generation ([Sealing](crate::steps::swap#sealing)). It
//! knows no file and no TPM.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::canonical::Format as _;
    use crate::plan::generation::pkcs8_of_pem;

    const SEALED: &[u8] = include_bytes!("../../../fixtures/sealed/key.sealed");
    const PLAIN: &[u8] = include_bytes!("../../../fixtures/sealed/key.pem");

    /// The sealing key of the fixture: 00 01 02 … 1f.
    fn sealing() -> SealingKey {
        SealingKey::new(Zeroizing::new((0..32).collect())).unwrap()
    }

    /// Another program made the fixture, from the page that describes the format.
    #[test]
    fn the_cipher_is_pinned() {
        let sealed = SealedKeyFile::parse(SEALED).unwrap();
        let plain = pkcs8_of_pem(PLAIN).unwrap();
        assert_eq!(open(&sealing(), &sealed).unwrap().as_slice(), plain.as_bytes());
        let mut header = sealed;
        header.ciphertext = Bytes::default();
        let again = close(&sealing(), header, plain.as_bytes()).unwrap();
        assert_eq!(again.to_bytes(), SEALED);
    }

    #[test]
    fn no_field_can_be_exchanged() {
        type Change = fn(&mut SealedKeyFile);
        let changes: [(&str, Change); 9] = [
            ("seal", |file| file.seal = crate::model::sealed::SealId::parse("0000000000000000").unwrap()),
            ("srk", |file| file.srk.0[3] ^= 1),
            ("name", |file| file.name.push('x')),
            ("generation", |file| file.generation.0 += 1),
            ("spki", |file| file.spki_sha256 = crate::model::anchor::Fingerprint::of(b"another")),
            ("salt", |file| file.salt.0[31] ^= 1),
            ("nonce", |file| file.nonce.0[0] ^= 1),
            ("ciphertext", |file| file.ciphertext.0[0] ^= 1),
            ("cut", |file| file.ciphertext.0.truncate(15)),
        ];
        for (what, change) in changes {
            let mut sealed = SealedKeyFile::parse(SEALED).unwrap();
            change(&mut sealed);
            assert!(open(&sealing(), &sealed).is_err(), "{what}");
        }
        let wrong = SealingKey::new(Zeroizing::new((1..33).collect())).unwrap();
        assert!(open(&wrong, &SealedKeyFile::parse(SEALED).unwrap()).is_err());
    }
}
