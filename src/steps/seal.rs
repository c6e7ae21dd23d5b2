//! Keeping the private key: what is written beside the certificate so that the key survives a reboot. It never writes anything itself.

use p256::pkcs8::{LineEnding, SecretDocument};
use zeroize::Zeroizing;

use super::validate::Validated;
use crate::judge::cert::Facts;
use crate::judge::{pair, pem};
use crate::model::failure::{Failure, Stage};
use crate::model::finding::Finding;
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::secret::PlainKey;
use crate::plan::generation::pkcs8_of_pem;

/// A private key in the form in which it rests.
pub struct KeptKey {
    /// The file in the generation.
    pub file: &'static str,
    /// Its content.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for KeptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptKey").field("file", &self.file).finish_non_exhaustive()
    }
}

/// How private keys rest: one of the four joints. What one store keeps only that store opens.
pub trait KeyStore {
    /// The form in which `key` rests in this generation.
    ///
    /// # Errors
    /// Stage `seal`, when the key cannot be kept.
    fn keep(&self, name: &CertName, generation: Generation, key: &PlainKey) -> Result<KeptKey, Failure>;

    /// The key that `bytes` keep.
    ///
    /// # Errors
    /// Stage `seal`, when the bytes are damaged or belong elsewhere.
    fn open(&self, name: &CertName, generation: Generation, bytes: &[u8]) -> Result<PlainKey, Failure>;
}

/// `keep = "file"`: PKCS#8 PEM with mode 0600 in the state directory. Protects against nobody who can read the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileStore;

impl KeyStore for FileStore {
    fn keep(&self, _: &CertName, _: Generation, key: &PlainKey) -> Result<KeptKey, Failure> {
        Ok(KeptKey { file: layout::KEY, bytes: key_pem(key)? })
    }

    fn open(&self, name: &CertName, generation: Generation, bytes: &[u8]) -> Result<PlainKey, Failure> {
        let damaged = |why: String| {
            Failure::new(Stage::Seal, "blob-damaged", format!("the private key of {name} {generation} cannot be read: {why}"))
                .hint(format!("`omens renew {name} --force` makes a new key and certificate"))
        };
        let document = pkcs8_of_pem(bytes).map_err(damaged)?;
        let spki = pair::spki_of_pkcs8(document.as_bytes()).map_err(|why| damaged(why.to_string()))?;
        Ok(PlainKey::new(Zeroizing::new(document.as_bytes().to_vec()), spki))
    }
}

/// The PKCS#8 PEM (RFC 5958, RFC 7468 §10) that consumers read.
fn key_pem(key: &PlainKey) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let wrong = |why: String| Failure::new(Stage::Seal, "blob-damaged", format!("the private key cannot be written as PEM: {why}"));
    let document = SecretDocument::try_from(key.expose()).map_err(|why| wrong(why.to_string()))?;
    let pem = document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|why| wrong(why.to_string()))?;
    Ok(Zeroizing::new(pem.as_bytes().to_vec()))
}

/// A certificate that passed `validate`, with its key in the form in which it rests.
pub struct Stored {
    facts: Facts,
    findings: Vec<Finding>,
    pub(super) cert: String,
    pub(super) chain: String,
    pub(super) kept: KeptKey,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("sha256", &self.facts.sha256).finish_non_exhaustive()
    }
}

impl Stored {
    /// What the leaf says.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the gate noted without refusing.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// Keeps the key of a validated certificate.
///
/// # Errors
/// The value and why, when the store cannot keep the key or it is another certificate's.
pub fn seal(
    store: &impl KeyStore,
    name: &CertName,
    generation: Generation,
    validated: Validated,
    key: &PlainKey,
) -> Result<Stored, Box<(Validated, Failure)>> {
    if key.spki() != validated.spki() {
        let why = Failure::new(Stage::Seal, "blob-damaged", format!("the key of {name} {generation} is not the one that was validated"));
        return Err(Box::new((validated, why)));
    }
    match store.keep(name, generation, key) {
        Err(why) => Err(Box::new((validated, why))),
        Ok(kept) => Ok(Stored {
            cert: pem::write(validated.leaf()),
            chain: validated.chain().iter().map(|der| pem::write(der)).collect(),
            facts: validated.facts().clone(),
            findings: validated.findings().to_vec(),
            kept,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every key store must hold to.
    fn conformance(store: &impl KeyStore) {
        let name = CertName::parse("web").unwrap();
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let pkcs8 = pair.serialize_der();
            let spki = pair::spki_of_pkcs8(&pkcs8).unwrap();
            let key = PlainKey::new(Zeroizing::new(pkcs8.clone()), spki.clone());
            let kept = store.keep(&name, Generation(3), &key).unwrap();
            let opened = store.open(&name, Generation(3), &kept.bytes).unwrap();
            assert_eq!(opened.expose(), pkcs8);
            assert_eq!(opened.spki(), spki);
            let half = &kept.bytes[..kept.bytes.len() / 2];
            for damaged in [&b""[..], b"\xff", b"no pem", half] {
                let why = store.open(&name, Generation(3), damaged).unwrap_err();
                assert_eq!((why.stage, why.code.as_str()), (Stage::Seal, "blob-damaged"));
                assert!(why.hint.is_some());
            }
        }
    }

    #[test]
    fn a_file_store_gives_back_what_it_kept_and_refuses_damage() {
        conformance(&FileStore);
    }
}
