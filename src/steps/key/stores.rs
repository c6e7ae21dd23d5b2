//! The stores of one run, by where the settings keep keys. Nothing is opened before a key needs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{FileStore, Key, KeyStore, ResidentStore, SealedStore};
use crate::config::settings::{Sealing, Settings};
use crate::io::tpm::connection::Connection;
use crate::io::tpm::limit::Unanswered;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::key::Keep;
use crate::model::name::CertName;
use crate::plan::generation::Kept;

/// Where private keys of this host rest.
#[derive(Debug, Default)]
pub struct Stores {
    by_keep: BTreeMap<Keep, Arc<dyn KeyStore>>,
    sealed: Option<Arc<SealedStore>>,
}

impl Stores {
    /// The stores of these settings, over the connection to the TPM that a run has, or over one of their own.
    #[must_use]
    pub fn of(settings: &Settings, tpm: Option<Connection>) -> Self {
        Self::over(&settings.paths.state, settings.sealing.clone(), tpm)
    }

    /// The stores of a state directory.
    #[must_use]
    pub fn over(state: &Path, sealing: Option<Sealing>, tpm: Option<Connection>) -> Self {
        let own = |sealing: &Sealing| tpm.clone().unwrap_or_else(|| Connection::new(&sealing.tcti, Unanswered::default()));
        let tpm = sealing.as_ref().map(own);
        let with_tpm = sealing.zip(tpm);
        let resident = with_tpm.clone().map(|(sealing, tpm)| ResidentStore::sharing(state, sealing, tpm));
        let sealed = with_tpm.map(|(sealing, tpm)| SealedStore::new(state, sealing).over(tpm));
        let sealed = sealed.map(Arc::new);
        let mut stores = Self::default().with(Keep::File, Arc::new(FileStore));
        if let Some(sealed) = &sealed {
            stores = stores.with(Keep::Sealed, sealed.clone());
        }
        if let Some(resident) = resident {
            stores = stores.with(Keep::Resident, Arc::new(resident));
        }
        Self { sealed, ..stores }
    }

    /// The same with this store for one kind of keeping.
    #[must_use]
    pub fn with(mut self, keep: Keep, store: Arc<dyn KeyStore>) -> Self {
        self.by_keep.insert(keep, store);
        self
    }

    /// The store of one kind of keeping.
    ///
    /// # Errors
    /// Stage `seal`: a key is sealed, and the settings name no TPM (any more).
    pub fn keeping(&self, keep: Keep) -> Result<&dyn KeyStore, Failure> {
        let none = || {
            let text = format!("the key is {}, and the settings name no TPM", keep.as_str());
            Failure::new(Stage::Seal, Code::TpmUnreachable, text)
                .hint("put [tpm] back, or `omens renew --all` makes a new key and certificate")
        };
        self.by_keep.get(&keep).map(|store| &**store).ok_or_else(none)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &dyn KeyStore> {
        self.by_keep.values().map(|store| &**store)
    }

    /// The store of sealed keys, where there is one: only it has keys that can be sealed anew.
    #[must_use]
    pub fn sealed(&self) -> Option<&SealedStore> {
        self.sealed.as_deref()
    }

    /// Opens the private key of a generation.
    ///
    /// # Errors
    /// Stage `seal`: it cannot be opened.
    pub fn open(&self, name: &CertName, kept: &Kept) -> Result<Key, Failure> {
        let store = self.keeping(kept.keep)?;
        store.open(kept.sealed_as.as_ref().unwrap_or(name), kept.generation, at_rest(name, kept)?)
    }
}
/// The private key of a generation as it rests.
///
/// # Errors
/// Stage `seal`: the generation was not read as a whole.
pub(in crate::steps) fn at_rest<'a>(name: &CertName, kept: &'a Kept) -> Result<&'a [u8], Failure> {
    let text = || format!("the key of {} of {name} was not read, since nothing changed there", kept.generation);
    kept.key_at_rest().ok_or_else(|| Failure::new(Stage::Seal, Code::Disk, text()))
}
