//! `keep = "file"`: the key as it is, in a file that only its owner may read. It must never be chosen where the settings say `sealed`.

use p256::pkcs8::{LineEnding, SecretDocument};
use zeroize::Zeroizing;

use super::{KeptKey, KeyStore, damaged};
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::secret::PlainKey;
use crate::plan::generation::key_of_pem;

/// PKCS#8 PEM with mode 0600 in the state directory. Protects against nobody who can read the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileStore;

impl KeyStore for FileStore {
    fn file(&self) -> &'static str {
        layout::KEY
    }

    fn make_ready(&self, _: Time) -> Result<Option<Warning>, Failure> {
        Ok(None)
    }

    fn keep(&self, _: &CertName, _: Generation, key: &PlainKey) -> Result<KeptKey, Failure> {
        Ok(KeptKey { file: self.file(), bytes: key_pem(key)?, published_sha256: None })
    }

    fn open(&self, name: &CertName, generation: Generation, bytes: &[u8]) -> Result<PlainKey, Failure> {
        key_of_pem(bytes).map_err(|why| damaged(name, generation, &why))
    }
}

/// The PKCS#8 PEM (RFC 5958, RFC 7468 §10) that consumers read.
///
/// # Errors
/// Stage `seal`, when the key is no PKCS#8.
pub(in crate::steps) fn key_pem(key: &PlainKey) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let wrong = |why: String| Failure::new(Stage::Seal, Code::BlobDamaged, format!("the private key cannot be written as PEM: {why}"));
    let document = SecretDocument::try_from(key.expose()).map_err(|why| wrong(why.to_string()))?;
    let pem = document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|why| wrong(why.to_string()))?;
    Ok(Zeroizing::new(pem.as_bytes().to_vec()))
}
