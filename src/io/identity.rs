//! The certificate of this host by which it logs in: read from the state directory, and used by its key in the TPM. Only reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::dir::{Dir, DiskError};
use super::openbao::{Carried, HostIdentity};
use super::tls::Signs;
use super::tpm::connection::Connection;
use super::tpm::resident::Scheme;
use super::tpm::signer::Signer;
use crate::judge::cert::Facts;
use crate::model::canonical::Format as _;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::resident::ResidentKeyFile;

/// Where the identities of one host rest, and the TPM that holds their keys.
#[derive(Clone, Debug)]
pub struct OfHost {
    state: PathBuf,
    tpm: Connection,
}

impl OfHost {
    /// Those of this state directory and this TPM. Nothing is opened yet.
    #[must_use]
    pub fn new(state: &Path, tpm: Connection) -> Self {
        Self { state: state.to_path_buf(), tpm }
    }

    fn generation(&self, name: &CertName, wanted: Option<Generation>) -> Result<Option<Dir>, DiskError> {
        let certs = Dir::open(&self.state)?.map_or(Ok(None), |state| state.child(layout::CERTS))?;
        let Some(var) = certs.map_or(Ok(None), |certs| certs.child(name.as_str()))? else { return Ok(None) };
        let wanted = match wanted {
            Some(wanted) => Some(wanted),
            None => var.link(layout::LIVE)?.as_deref().and_then(Generation::parse),
        };
        wanted.map_or(Ok(None), |generation| var.child(&generation.to_string()))
    }
}

impl HostIdentity for OfHost {
    fn carried(&self, name: &CertName, generation: Option<Generation>) -> Result<Carried, Failure> {
        let disk = |why: DiskError| refused(why.to_string(), "see to it that the state directory can be read");
        let none = || {
            let text = format!("{name} was not issued yet, so there is nothing to log in with");
            refused(text, "`omens enroll` with a login that is used once, or another login after this one, issues it")
        };
        let dir = self.generation(name, generation).map_err(disk)?.ok_or_else(none)?;
        let read = |file: &str| dir.read(file).map_err(disk);
        let again = format!("`omens renew {name} --force` by another login makes a new one");
        let chain = read(layout::FULLCHAIN)?.ok_or_else(|| refused(format!("{} has no chain", dir.path().display()), &again))?;
        let key = read(layout::RESIDENT_KEY)?.ok_or_else(|| refused(format!("the key of {name} does not rest in a TPM"), &again))?;
        let damaged = |why: String| refused(format!("{}: {why}", dir.path().display()), &again);
        let key = ResidentKeyFile::parse(&key.bytes).map_err(|why| damaged(why.to_string()))?;
        let leaf = CertificateDer::from_pem_slice(&chain.bytes).map_err(|_| damaged("it holds no certificate".to_owned()))?;
        let leaf = Facts::parse(&leaf).map_err(|why| damaged(why.to_string()))?;
        if !key.spki_sha256.is_of(&leaf.spki) {
            return Err(damaged("certificate and key do not belong together".to_owned()));
        }
        let device = Signer::of(&key, self.tpm.clone()).map_err(|why| damaged(why.to_string()))?;
        Ok(Carried { chain: chain.bytes.to_vec(), ends: leaf.not_after, device: Arc::new(device) })
    }
}

const ECDSA: &[SignatureScheme] = &[SignatureScheme::ECDSA_NISTP256_SHA256];
/// PKCS #1 is offered by TLS 1.2 alone, and is the same from every TPM; TLS 1.3 has nothing but PSS.
const RSA: &[SignatureScheme] = &[SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PSS_SHA256];

impl Signs for Signer {
    fn schemes(&self) -> &'static [SignatureScheme] {
        if self.algorithm().is_rsa() { RSA } else { ECDSA }
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let scheme = match scheme {
            SignatureScheme::RSA_PSS_SHA256 => Scheme::Pss,
            SignatureScheme::RSA_PKCS1_SHA256 => Scheme::Pkcs1,
            _ => Scheme::Ecdsa,
        };
        self.signature_by(scheme, message).map_err(|why| why.failure())
    }
}

fn refused(text: String, hint: &str) -> Failure {
    Failure::new(Stage::Issue, Code::LoginRefused, text).hint(hint)
}
