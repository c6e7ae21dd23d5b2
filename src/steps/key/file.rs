//! `keep = "file"`: the key as it is, in a file that only its owner may read. It must never be chosen where the settings say `sealed`.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::software::SoftwareKey;
use super::{KeptKey, Key, KeyStore, damaged};
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::key::{Keep, KeyAlgorithm};
use crate::model::name::{CertName, Generation};
use crate::model::secret::Material;

/// PKCS#8 PEM with mode 0600 in the state directory. Protects against nobody who can read the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileStore;

impl FileStore {
    fn kept(key: SoftwareKey) -> Result<Key, Failure> {
        let pem = key.pem()?;
        Ok(Key::new(Arc::new(key), KeptKey::new(Keep::File.file(), pem, None)))
    }
}

impl KeyStore for FileStore {
    fn file(&self) -> &'static str {
        Keep::File.file()
    }

    fn make_ready(&self, _: Time) -> Result<Option<Warning>, Failure> {
        Ok(None)
    }

    fn make(&self, _: &CertName, _: Generation, algorithm: KeyAlgorithm) -> Result<Key, Failure> {
        Self::kept(SoftwareKey::generate(algorithm)?)
    }

    fn keep(&self, name: &CertName, generation: Generation, material: &Material) -> Result<Key, Failure> {
        Self::kept(of_material(name, generation, material)?)
    }

    fn open(&self, name: &CertName, generation: Generation, bytes: &[u8]) -> Result<Key, Failure> {
        let key = SoftwareKey::of_pem(bytes).map_err(|why| damaged(name, generation, &why))?;
        Ok(Key::new(Arc::new(key), KeptKey::new(self.file(), Zeroizing::new(bytes.to_vec()), None)))
    }
}

/// The key that consumers are given, where they are given the key itself.
pub(super) fn of_material(name: &CertName, generation: Generation, material: &Material) -> Result<SoftwareKey, Failure> {
    match material {
        Material::Pem(pem) => SoftwareKey::of_pem(pem).map_err(|why| damaged(name, generation, &why)),
        Material::Handle(_) => {
            let text = format!("the private key of {name} never leaves its device: it cannot be kept as that of {generation}");
            Err(Failure::new(Stage::Seal, Code::NotAvailable, text).hint("`omens renew --all` makes a new key and certificate"))
        }
    }
}
