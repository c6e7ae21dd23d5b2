//! Private keys: made on this host before anything is asked of a CA, kept so that they survive a reboot, and opened again. Nothing here
//! writes a generation: what rests is handed on as bytes.
//!
//! # How to add a key store
//! 1. `model/key.rs`: a variant of [`Keep`](crate::model::key::Keep), its row (word, file, what is true of such keys), and its place in
//!    `ALL`; the word then leaves the list of those to come in `config/certificate.rs`.
//! 2. A file here that implements [`KeyStore`], with its [`PrivateKey`]. A key that is made in memory is a
//!    [`SoftwareKey`](software::SoftwareKey); one that stays in its device signs there, and gives consumers [`Material::Handle`].
//! 3. A line in [`Stores::of`].
//! 4. The arms that the compiler asks for: what a file says of the key in it without opening it (`plan/generation.rs`), and what `status`
//!    says of such keys (`plan/view.rs`).
//!
//! The flow knows neither kind: it sees a [`Key`], signs the CSR through it and hands on what rests and what consumers get.
//! `tests/it/keys.rs` runs one suite over every implementation; a new one joins it there.

mod envelope;
mod file;
mod opened;
mod resident;
mod sealed;
mod sealing_keys;
pub mod software;
mod stores;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::io::dir::DiskError;
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::key::KeyAlgorithm;
use crate::model::name::{CertName, Generation};
use crate::model::secret::Material;

pub use file::FileStore;
pub use resident::ResidentStore;
pub use sealed::SealedStore;
pub use stores::Stores;
pub(in crate::steps) use stores::at_rest;

/// How private keys are made and rest: one of the four joints. What one store keeps only that store opens.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// The file of a generation that this store keeps a key in.
    fn file(&self) -> &'static str;

    /// Sees to it that a key can be made and kept, before anything is asked of a CA. A warning is for the certificates whose keys are made
    /// next.
    ///
    /// # Errors
    /// Stage `seal`, when no key could be kept now.
    fn make_ready(&self, now: Time) -> Result<Option<Warning>, Failure>;

    /// Makes a key for this generation. RSA takes a tenth of a second and more ([Libraries](crate::io#libraries)), a device longer: this
    /// blocks.
    ///
    /// # Errors
    /// The key cannot be made or kept.
    fn make(&self, name: &CertName, generation: Generation, algorithm: KeyAlgorithm) -> Result<Key, Failure>;

    /// Keeps a key that is there already, as another generation's.
    ///
    /// # Errors
    /// Stage `seal`, when the key cannot be kept here, such as one that never leaves its device.
    fn keep(&self, name: &CertName, generation: Generation, material: &Material) -> Result<Key, Failure>;

    /// The key that `bytes` keep.
    ///
    /// # Errors
    /// Stage `seal`, when the bytes are damaged or belong elsewhere, or the key cannot be used now.
    fn open(&self, name: &CertName, generation: Generation, bytes: &[u8]) -> Result<Key, Failure>;

    /// Why the key that `bytes` keep would not sign now, though it opens: a change of the host's state. A store whose keys are as good as
    /// their bytes never says so.
    ///
    /// # Errors
    /// That cannot be found out.
    fn refuses(&self, _bytes: &[u8]) -> Result<Option<Failure>, Failure> {
        Ok(None)
    }

    /// Removes what a killed run of this store left half-made. No key is needed for that.
    ///
    /// # Errors
    /// A file cannot be removed.
    fn clean(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Removes what no generation on disk needs any more, after generations were durably removed.
    ///
    /// # Errors
    /// A file cannot be removed.
    fn collect(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A private key that can be used and not be read. The one thing that may leave it is what consumers are given.
pub trait PrivateKey: fmt::Debug + Send + Sync {
    /// Its kind.
    fn algorithm(&self) -> KeyAlgorithm;

    /// DER of the SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    fn spki(&self) -> &[u8];

    /// Signs as a certification request of this algorithm is signed: ECDSA with the curve's own SHA-2 (RFC 5758 §3.2), RSASSA-PKCS1-v1_5
    /// with SHA-256 (RFC 8017 §8.2). A device blocks the thread.
    ///
    /// # Errors
    /// The key cannot be used now.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure>;

    /// What consumers are given.
    ///
    /// # Errors
    /// Stage `seal`: it cannot be had now.
    fn material(&self) -> Result<Material, Failure>;
}

/// A private key of one generation: the handle to use it by, and the form in which it rests.
#[derive(Clone, Debug)]
pub struct Key {
    handle: Arc<dyn PrivateKey>,
    at_rest: Arc<KeptKey>,
}

impl Key {
    /// What a store gives for a key of its own.
    #[must_use]
    pub fn new(handle: Arc<dyn PrivateKey>, at_rest: KeptKey) -> Self {
        Self { handle, at_rest: Arc::new(at_rest) }
    }

    /// What signs.
    #[must_use]
    pub fn handle(&self) -> &dyn PrivateKey {
        &*self.handle
    }

    /// DER of its SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        self.handle.spki()
    }

    /// What is written beside the certificate.
    #[must_use]
    pub fn at_rest(&self) -> &KeptKey {
        &self.at_rest
    }

    /// What consumers are given.
    ///
    /// # Errors
    /// Stage `seal`: it cannot be had now.
    pub fn material(&self) -> Result<Material, Failure> {
        self.handle.material()
    }
}

/// A private key in the form in which it rests.
pub struct KeptKey {
    file: &'static str,
    bytes: Zeroizing<Vec<u8>>,
    published_sha256: Option<Fingerprint>,
}

impl KeptKey {
    /// The content of this file of a generation; `published` is what consumers get, where that is something else.
    #[must_use]
    pub fn new(file: &'static str, bytes: Zeroizing<Vec<u8>>, published: Option<&Material>) -> Self {
        Self { file, bytes, published_sha256: published.and_then(Material::pem).map(Fingerprint::of) }
    }

    /// The file in the generation.
    #[must_use]
    pub const fn file(&self) -> &'static str {
        self.file
    }

    /// What is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the PEM that consumers get, where that is another file's content.
    #[must_use]
    pub const fn published_sha256(&self) -> Option<&Fingerprint> {
        self.published_sha256.as_ref()
    }
}

impl fmt::Debug for KeptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptKey").field("file", &self.file).finish_non_exhaustive()
    }
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
