//! The stores of one run: a file store, and a sealed one where the settings name a TPM. Nothing is opened before a key needs it.

use super::{FileStore, KeyStore, SealedStore};
use crate::config::settings::Settings;
use crate::io::tpm::limit::Unanswered;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::key::Keep;
use crate::model::name::CertName;
use crate::model::secret::PlainKey;
use crate::plan::generation::Kept;

/// Where private keys of this host rest.
#[derive(Debug)]
pub struct Stores {
    file: FileStore,
    sealed: Option<SealedStore>,
}

impl Stores {
    /// The stores of these settings, and what of earlier runs still waits for a TPM.
    #[must_use]
    pub fn of(settings: &Settings, unanswered: Unanswered) -> Self {
        let sealed = settings.sealing.clone().map(|sealing| SealedStore::new(&settings.paths.state, sealing).after(unanswered));
        Self { file: FileStore, sealed }
    }

    /// The store of one kind of keeping.
    ///
    /// # Errors
    /// Stage `seal`: a key is sealed, and the settings name no TPM (any more).
    pub fn keeping(&self, keep: Keep) -> Result<&dyn KeyStore, Failure> {
        match (keep, &self.sealed) {
            (Keep::File, _) => Ok(&self.file),
            (Keep::Sealed, Some(sealed)) => Ok(sealed),
            (Keep::Sealed, None) => Err(Failure::new(Stage::Seal, Code::TpmUnreachable, "the key is sealed, and the settings name no TPM")
                .hint("put [tpm] back, or `omens renew --all` makes a new key and certificate")),
        }
    }

    /// The store of sealed keys, where there is one.
    #[must_use]
    pub const fn sealed(&self) -> Option<&SealedStore> {
        self.sealed.as_ref()
    }

    /// Opens the private key of a generation.
    ///
    /// # Errors
    /// Stage `seal`: it cannot be opened.
    pub fn open(&self, name: &CertName, kept: &Kept) -> Result<PlainKey, Failure> {
        self.keeping(kept.keep)?.open(name, kept.generation, kept.key_at_rest())
    }
}
