//! `keep = "resident"`: private keys that never leave the TPM. A handle signs there, on a thread of its own; what rests is of no use without
//! that TPM, and what consumers get is no key but the way to use it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use super::sealing_keys::{Keys, Writes};
use super::{KeptKey, Key, KeyStore, PrivateKey, damaged};
use crate::config::settings::Sealing;
use crate::io::tpm::connection::Connection;
use crate::io::tpm::limit::{LIMIT, Unanswered};
use crate::io::tpm::quoted::sized;
use crate::io::tpm::resident::spki;
use crate::io::tpm::signer::Signer;
use crate::io::tpm::{Sealed, Tpm, TpmError};
use crate::model::canonical::Format as _;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::key::{Keep, KeyAlgorithm};
use crate::model::name::{CertName, Generation};
use crate::model::resident::ResidentKeyFile;
use crate::model::secret::Material;

/// The storage root key's handle, as TSS2 PEM names the parent.
const PARENT: u32 = 0x8100_0001;

/// The resident keys of one state directory.
#[derive(Debug)]
pub struct ResidentStore {
    tpm: Arc<Way>,
    /// When it was made ready: the time of the keys that it makes.
    ready: Mutex<Option<Time>>,
}

/// How the TPM is reached, and which one it must be.
#[derive(Debug)]
struct Way {
    sealing: Sealing,
    files: Keys,
    writes: Writes,
    connection: Connection,
}

impl Way {
    /// Does something with the open TPM: in time, and only with the pinned one.
    fn with<T: Send + 'static>(&self, something: impl FnOnce(&mut Tpm) -> Result<T, TpmError> + Send + 'static) -> Result<T, Failure> {
        let pinned = self.files.pinned()?;
        let work = move |tpm: &mut Tpm| {
            tpm.storage(pinned.as_deref())?;
            something(tpm)
        };
        self.connection.ask(LIMIT, work).map_err(|why| self.failure(&why))
    }

    /// What is answered after a TPM was given up must not be written any more.
    fn failure(&self, why: &TpmError) -> Failure {
        if matches!(why, TpmError::Unreachable { .. }) && self.connection.is_waiting() {
            self.writes.forbid();
        }
        why.failure()
    }
}

impl ResidentStore {
    /// A store on this state directory. Nothing is opened yet, neither a file nor the TPM.
    #[must_use]
    pub fn new(state: &Path, sealing: Sealing) -> Self {
        let connection = Connection::new(&sealing.tcti, Unanswered::default());
        Self::sharing(state, sealing, connection)
    }

    /// The same over a connection that others use too.
    #[must_use]
    pub fn sharing(state: &Path, sealing: Sealing, connection: Connection) -> Self {
        let writes = Writes::default();
        let files = Keys::of(state, writes.clone());
        Self { tpm: Arc::new(Way { sealing, files, writes, connection }), ready: Mutex::default() }
    }

    fn kept(&self, file: &ResidentKeyFile) -> Result<Key, Failure> {
        let key = ResidentKey::of(file, &self.tpm).map_err(|why| why.failure())?;
        let unwritable = |why: crate::model::canonical::Malformed| {
            Failure::new(Stage::Seal, Code::BlobDamaged, format!("a resident key cannot be written: {why}"))
        };
        let bytes = Zeroizing::new(file.written().map_err(unwritable)?);
        let at_rest = KeptKey::new(self.file(), bytes, Some(&key.material()?));
        Ok(Key::new(Arc::new(key), at_rest))
    }
}

impl KeyStore for ResidentStore {
    fn file(&self) -> &'static str {
        Keep::Resident.file()
    }

    /// Opens the TPM, and pins its storage root key at its first use: before anything is asked of a CA.
    fn make_ready(&self, now: Time) -> Result<Option<Warning>, Failure> {
        let pcrs = self.tpm.sealing.pcrs.clone();
        let srk = self.tpm.with(move |tpm| tpm.pcr_values(&pcrs).map(|_| tpm.srk_name().to_vec()))?;
        self.tpm.files.pin(&srk, now)?;
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(None)
    }

    fn make(&self, name: &CertName, generation: Generation, algorithm: KeyAlgorithm) -> Result<Key, Failure> {
        if !KeyAlgorithm::RESIDENT.contains(&algorithm) {
            let text = format!("the key of {name} {generation} is to be resident: expected ec-p256 or rsa-2048, found {algorithm}");
            return Err(Failure::new(Stage::Seal, Code::NotAvailable, text).hint("write algorithm = \"ec-p256\", or keep = \"sealed\""));
        }
        let pcrs = self.tpm.sealing.pcrs.clone();
        let made = self.tpm.with(move |tpm| {
            let values = tpm.pcr_values(&pcrs)?;
            let key = tpm.make_resident(&values, algorithm)?;
            Ok(Made { srk: tpm.srk_name().to_vec(), values, key })
        })?;
        let Made { srk, values, key } = made;
        let not_ready = || Failure::new(Stage::Seal, Code::TpmUnreachable, "the TPM was not made ready");
        let created = self.ready.lock().unwrap_or_else(PoisonError::into_inner).ok_or_else(not_ready)?;
        let spki = spki(&key.public, &values).map_err(|why| why.failure())?;
        self.kept(&ResidentKeyFile::new(srk, created, values, key.public, key.private, &spki))
    }

    fn refuses(&self, bytes: &[u8]) -> Result<Option<Failure>, Failure> {
        let Ok(file) = ResidentKeyFile::parse(bytes) else { return Ok(None) };
        if file.pcrs.list.is_empty() {
            return Ok(None);
        }
        let list = file.pcrs.list.clone();
        let now = self.tpm.with(move |tpm| tpm.pcr_values(&list))?;
        let changed = file.pcrs.differing(&now);
        Ok((!changed.is_empty()).then(|| TpmError::PcrChanged(changed).failure()))
    }

    fn keep(&self, name: &CertName, generation: Generation, _: &Material) -> Result<Key, Failure> {
        let text = format!("the key of {name} {generation} is to be resident, and one that is there already cannot become so");
        Err(Failure::new(Stage::Seal, Code::BlobDamaged, text).hint(format!("`omens renew {name} --force` makes a new one in the TPM")))
    }

    fn open(&self, name: &CertName, generation: Generation, bytes: &[u8]) -> Result<Key, Failure> {
        let broken = |why: &str| damaged(name, generation, why);
        let file = ResidentKeyFile::parse(bytes).map_err(|why| broken(&why.to_string()))?;
        let found = spki(&file.public.0, &file.pcrs).map_err(|why| broken(&why.to_string()))?;
        if !file.spki_sha256.is_of(&found) {
            return Err(broken("it is another key than it says"));
        }
        // Nothing is unsealed for it: whether it can be used is seen when it signs.
        self.kept(&file)
    }
}

struct Made {
    srk: Vec<u8>,
    values: crate::model::pcr::PcrValues,
    key: Sealed,
}

/// A key that signs in the TPM.
struct ResidentKey {
    way: Arc<Way>,
    signer: Signer,
    file: ResidentKeyFile,
}

impl ResidentKey {
    fn of(file: &ResidentKeyFile, way: &Arc<Way>) -> Result<Self, TpmError> {
        Ok(Self { way: way.clone(), signer: Signer::of(file, way.connection.clone())?, file: file.clone() })
    }
}

impl std::fmt::Debug for ResidentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResidentKey").finish_non_exhaustive()
    }
}

impl PrivateKey for ResidentKey {
    fn algorithm(&self) -> KeyAlgorithm {
        self.signer.algorithm()
    }

    fn spki(&self) -> &[u8] {
        self.signer.spki()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        self.signer.signature(message).map_err(|why| self.way.failure(&why))
    }

    /// Without PCRs a TSS2 PEM, by which a program uses the key in the TPM; that format says nothing of PCRs here, so with them there is none.
    fn material(&self) -> Result<Material, Failure> {
        let loadable = self.file.pcrs.list.is_empty();
        Ok(Material::Handle(loadable.then(|| tss2_pem(&self.file).into_bytes())))
    }
}

/// `TSS2 PRIVATE KEY` (draft-bottomley-tpm2-keys): a loadable key with an empty password below the storage root key.
fn tss2_pem(file: &ResidentKeyFile) -> String {
    const LOADABLE_KEY: [u8; 8] = [0x06, 0x06, 0x67, 0x81, 0x05, 0x0a, 0x01, 0x03];
    const EMPTY_AUTH: [u8; 5] = [0xa0, 0x03, 0x01, 0x01, 0xff];
    let parent = [&[0x02, 0x05, 0x00][..], &PARENT.to_be_bytes()].concat();
    let content =
        [&LOADABLE_KEY[..], &EMPTY_AUTH, &parent, &tlv(0x04, &sized(&file.public.0)), &tlv(0x04, &sized(&file.private.0))].concat();
    let text = Base64::encode_string(&tlv(0x30, &content));
    let lines: Vec<String> = text.chars().collect::<Vec<_>>().chunks(64).map(|line| line.iter().collect()).collect();
    format!("-----BEGIN TSS2 PRIVATE KEY-----\n{}\n-----END TSS2 PRIVATE KEY-----\n", lines.join("\n"))
}

/// DER of these contents under this tag (X.690 §8.1.3, §10.1).
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            der.push(0x80 | u8::try_from(significant.len()).unwrap_or_default());
            der.extend_from_slice(&significant);
        }
    }
    der.extend_from_slice(content);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_der_has_them() {
        assert_eq!(tlv(4, &[7; 3]), [4, 3, 7, 7, 7]);
        assert_eq!(tlv(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(4, &[0; 256])[..4], [4, 0x82, 1, 0]);
    }
}
