//! Private keys that are made and used in this process's memory, which is wiped. It must never write one.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::pkcs8::Document;
use aws_lc_rs::signature::{Ed25519KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm};
use p256::pkcs8::{LineEnding, SecretDocument};
use rcgen::{KeyPair, RsaKeySize, SigningKey as _};
use zeroize::Zeroizing;

use super::PrivateKey;
use crate::judge::pair;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::key::KeyAlgorithm;
use crate::model::secret::{Material, PlainKey};
use crate::plan::generation::key_of_pem;

/// A private key in memory.
pub struct SoftwareKey {
    plain: PlainKey,
    algorithm: KeyAlgorithm,
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl SoftwareKey {
    /// Makes a key.
    ///
    /// # Errors
    /// `not-available`: the system gives no randomness, or no such key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, Failure> {
        let made = match algorithm {
            // Version 1 of PKCS #8, without the public key: OpenSSL 3.0 reads no other Ed25519 key.
            KeyAlgorithm::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(|why| unmakeable(algorithm, &why))?;
                return Self::of_made(algorithm, pair.to_pkcs8v1());
            }
            KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 => {
                let pair = PqdsaKeyPair::generate(ml_dsa(algorithm)).map_err(|why| unmakeable(algorithm, &why))?;
                return Self::of_made(algorithm, pair.to_pkcs8v1());
            }
            KeyAlgorithm::EcP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyAlgorithm::EcP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyAlgorithm::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
        };
        // rcgen keeps the PKCS#8 beside the key and wipes it only when told to; aws-lc wipes its own.
        let pair = Zeroizing::new(made.map_err(|why| unmakeable(algorithm, &why))?);
        let plain = PlainKey::new(Zeroizing::new(pair.serialized_der().to_vec()), rcgen::PublicKeyData::subject_public_key_info(&*pair));
        Ok(Self { plain, algorithm })
    }

    fn of_made(algorithm: KeyAlgorithm, pkcs8: Result<Document, Unspecified>) -> Result<Self, Failure> {
        let pkcs8 = pkcs8.map_err(|why| unmakeable(algorithm, &why))?;
        Self::of_pkcs8(Zeroizing::new(pkcs8.as_ref().to_vec())).map_err(|why| unmakeable(algorithm, &why))
    }

    /// The key of a PKCS#8 DER (RFC 5958); its public half is computed, never believed.
    ///
    /// # Errors
    /// What is wrong with it, in words that hold no part of it.
    pub fn of_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, String> {
        let spki = pair::spki_of_pkcs8(&pkcs8).map_err(|why| why.to_string())?;
        Self::of_plain(PlainKey::new(pkcs8, spki))
    }

    /// The key of a PKCS#8 PEM (RFC 7468 §10).
    ///
    /// # Errors
    /// The same.
    pub fn of_pem(pem: &[u8]) -> Result<Self, String> {
        Self::of_plain(key_of_pem(pem)?)
    }

    fn of_plain(plain: PlainKey) -> Result<Self, String> {
        let algorithm = pair::algorithm_of_spki(plain.spki()).map_err(|why| why.to_string())?;
        Ok(Self { plain, algorithm })
    }

    /// The PKCS#8 DER.
    pub(super) fn pkcs8(&self) -> &[u8] {
        self.plain.expose()
    }

    fn sign_ml_dsa(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let algorithm = ml_dsa(self.algorithm);
        let pair = PqdsaKeyPair::from_pkcs8(algorithm, self.pkcs8()).map_err(|_| Unspecified)?;
        let mut signature = vec![0; algorithm.signature_len()];
        let length = pair.sign(message, &mut signature)?;
        signature.truncate(length);
        Ok(signature)
    }

    /// The PKCS#8 PEM that consumers read.
    pub(super) fn pem(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let wrong = |why: String| Failure::new(Stage::Seal, Code::BlobDamaged, format!("the private key cannot be written as PEM: {why}"));
        let document = SecretDocument::try_from(self.pkcs8()).map_err(|why| wrong(why.to_string()))?;
        let pem = document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|why| wrong(why.to_string()))?;
        Ok(Zeroizing::new(pem.as_bytes().to_vec()))
    }
}

impl PrivateKey for SoftwareKey {
    fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    fn spki(&self) -> &[u8] {
        self.plain.spki()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let unusable = |why: rcgen::Error| Failure::new(Stage::Seal, Code::BlobDamaged, format!("the private key cannot sign: {why}"));
        if self.algorithm.is_ml_dsa() {
            return self
                .sign_ml_dsa(message)
                .map_err(|why| Failure::new(Stage::Seal, Code::BlobDamaged, format!("the private key cannot sign: {why}")));
        }
        let pair = Zeroizing::new(KeyPair::try_from(self.pkcs8()).map_err(unusable)?);
        pair.sign(message).map_err(unusable)
    }

    fn material(&self) -> Result<Material, Failure> {
        self.pem().map(Material::Pem)
    }
}

/// How aws-lc signs with such a key.
const fn ml_dsa(algorithm: KeyAlgorithm) -> &'static PqdsaSigningAlgorithm {
    if matches!(algorithm, KeyAlgorithm::MlDsa44) { &ML_DSA_44_SIGNING } else { &ML_DSA_65_SIGNING }
}

fn unmakeable(algorithm: KeyAlgorithm, why: &dyn fmt::Display) -> Failure {
    Failure::new(Stage::Issue, Code::NotAvailable, format!("cannot make a key of type {algorithm}: {why}"))
}
