//! Keeping the private key: what is written beside the certificate so that the key survives a reboot. It never writes anything itself.

mod envelope;
mod file;
mod keys;
mod opened;
mod sealed;
mod stores;

use zeroize::Zeroizing;

use super::validate::Validated;
use crate::io::dir::DiskError;
use crate::judge::cert::Facts;
use crate::judge::pem;
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::finding::Finding;
use crate::model::name::{CertName, Generation};
use crate::model::secret::PlainKey;
pub use file::FileStore;
pub(in crate::steps) use file::key_pem;
pub use sealed::SealedStore;
pub use stores::Stores;

/// A private key in the form in which it rests.
pub struct KeptKey {
    /// The file in the generation.
    pub file: &'static str,
    /// Its content.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// SHA-256 of the PEM that consumers get, where that is another file.
    pub(crate) published_sha256: Option<Fingerprint>,
}

impl KeptKey {
    /// What is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for KeptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptKey").field("file", &self.file).finish_non_exhaustive()
    }
}

/// How private keys rest: one of the four joints. What one store keeps only that store opens.
pub trait KeyStore {
    /// The file of a generation that this store keeps a key in.
    fn file(&self) -> &'static str;

    /// Sees to it that a key can be kept, before anything is asked of a CA. A warning is for the certificates whose keys are kept next.
    ///
    /// # Errors
    /// Stage `seal`, when no key could be kept now.
    fn make_ready(&self, now: Time) -> Result<Option<Warning>, Failure>;

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

/// A kept key that cannot be given back.
fn damaged(name: &CertName, generation: Generation, why: &str) -> Failure {
    Failure::new(Stage::Seal, Code::BlobDamaged, format!("the private key of {name} {generation} cannot be read: {why}"))
        .hint(format!("`omens renew {name} --force` makes a new key and certificate"))
}

/// A disk's refusal, at this stage.
fn disk(why: &DiskError) -> Failure {
    why.failure(Stage::Seal)
}

/// A certificate that passed `validate`, with its key in the form in which it rests.
pub struct Stored {
    generation: Generation,
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
    /// The generation it was kept for.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

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
    store: &dyn KeyStore,
    name: &CertName,
    generation: Generation,
    validated: Validated,
    key: &PlainKey,
) -> Result<Stored, Box<(Validated, Failure)>> {
    if key.spki() != validated.spki() {
        let why = Failure::new(Stage::Seal, Code::BlobDamaged, format!("the key of {name} {generation} is not the one that was validated"));
        return Err(Box::new((validated, why)));
    }
    match store.keep(name, generation, key) {
        Err(why) => Err(Box::new((validated, why))),
        Ok(kept) => Ok(Stored {
            generation,
            cert: pem::write(validated.leaf()),
            chain: validated.chain().iter().map(|der| pem::write(der)).collect(),
            facts: validated.facts().clone(),
            findings: validated.findings().to_vec(),
            kept,
        }),
    }
}
