//! A key store whose keys stay in its device, here a map in memory: what rests is a number, consumers are given a handle.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use omens::model::clock::Time;
use omens::model::code::Code;
use omens::model::failure::{Failure, Stage, Warning};
use omens::model::key::KeyAlgorithm;
use omens::model::name::{CertName, Generation};
use omens::model::secret::Material;
use omens::steps::key::software::SoftwareKey;
use omens::steps::key::{KeptKey, Key, KeyStore, PrivateKey};
use zeroize::Zeroizing;

/// The file of a generation that its keys rest in.
pub const FILE: &str = "key.device";

/// The store.
#[derive(Debug, Default)]
pub struct DeviceStore {
    device: Mutex<BTreeMap<String, Arc<SoftwareKey>>>,
    away: Arc<AtomicBool>,
}

impl DeviceStore {
    /// From now on the device does not answer, or does again.
    pub fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn is_there(&self) -> Result<(), Failure> {
        is_there(&self.away)
    }

    fn key(&self, id: &str, key: &Arc<SoftwareKey>) -> Key {
        let handle = DeviceKey { id: id.to_owned(), key: key.clone(), away: self.away.clone() };
        let at_rest = KeptKey::new(FILE, Zeroizing::new(id.as_bytes().to_vec()), handle.material().ok().as_ref());
        Key::new(Arc::new(handle), at_rest)
    }
}

fn is_there(away: &AtomicBool) -> Result<(), Failure> {
    if away.load(Ordering::SeqCst) {
        return Err(Failure::new(Stage::Seal, Code::TpmUnreachable, "the device does not answer").hint("plug it in"));
    }
    Ok(())
}

impl KeyStore for DeviceStore {
    fn file(&self) -> &'static str {
        FILE
    }

    fn make_ready(&self, _: Time) -> Result<Option<Warning>, Failure> {
        self.is_there().map(|()| None)
    }

    fn make(&self, name: &CertName, generation: Generation, algorithm: KeyAlgorithm) -> Result<Key, Failure> {
        self.is_there()?;
        let key = Arc::new(SoftwareKey::generate(algorithm)?);
        let mut device = self.device.lock().unwrap();
        let id = format!("{name} {generation} {}", device.len());
        device.insert(id.clone(), key.clone());
        Ok(self.key(&id, &key))
    }

    fn keep(&self, name: &CertName, generation: Generation, _: &Material) -> Result<Key, Failure> {
        let text = format!("the private key of {name} {generation} was not made in the device, which takes none in");
        Err(Failure::new(Stage::Seal, Code::NotAvailable, text))
    }

    fn open(&self, name: &CertName, generation: Generation, bytes: &[u8]) -> Result<Key, Failure> {
        self.is_there()?;
        let device = self.device.lock().unwrap();
        let id = std::str::from_utf8(bytes).unwrap_or_default();
        let own = id.starts_with(&format!("{name} {generation} "));
        let key = device.get(id).filter(|_| own).ok_or_else(|| {
            let text = format!("the private key of {name} {generation} cannot be read: the device has no such key");
            Failure::new(Stage::Seal, Code::BlobDamaged, text).hint(format!("`omens renew {name} --force` makes a new key and certificate"))
        })?;
        Ok(self.key(id, key))
    }
}

/// A key in the device.
#[derive(Debug)]
struct DeviceKey {
    id: String,
    key: Arc<SoftwareKey>,
    away: Arc<AtomicBool>,
}

impl PrivateKey for DeviceKey {
    fn algorithm(&self) -> KeyAlgorithm {
        self.key.algorithm()
    }

    fn spki(&self) -> &[u8] {
        self.key.spki()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        is_there(&self.away)?;
        self.key.sign(message)
    }

    fn material(&self) -> Result<Material, Failure> {
        let pem = format!("-----BEGIN DEVICE KEY-----\n{}\n-----END DEVICE KEY-----\n", self.id);
        Ok(Material::Handle(Some(pem.into_bytes())))
    }
}
