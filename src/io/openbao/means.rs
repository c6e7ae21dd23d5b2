//! What this host logs in with: the secrets that systemd holds for it, and its own certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::io::tls::Signs;
use crate::model::clock::Time;
use crate::model::failure::Failure;
use crate::model::name::{CertName, Generation};

/// What this host logs in with beside what the settings say of each auth method.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// systemd's `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
    /// Who has this host's own certificates, where there is a TPM.
    pub identity: Option<Arc<dyn HostIdentity>>,
    /// Which generation of such a certificate is shown; without one the committed.
    pub generation: Option<Generation>,
}

impl Means {
    /// Those of a host without a TPM.
    #[must_use]
    pub fn of_credentials(credentials: Option<&Path>) -> Self {
        Self { credentials: credentials.map(Path::to_path_buf), ..Self::default() }
    }

    /// The same with the host's own certificates.
    #[must_use]
    pub fn with_identity(self, identity: Option<Arc<dyn HostIdentity>>) -> Self {
        Self { identity, ..self }
    }
}

/// Who has this host's own certificates for logging in.
pub trait HostIdentity: std::fmt::Debug + Send + Sync {
    /// This generation of a certificate, or the committed one, with what signs for it.
    ///
    /// # Errors
    /// It is not there, or damaged.
    fn carried(&self, certificate: &CertName, generation: Option<Generation>) -> Result<Carried, Failure>;
}

/// A certificate of this host as it is shown at a login.
#[derive(Debug)]
pub struct Carried {
    /// PEM, the leaf first.
    pub chain: Vec<u8>,
    /// Its notAfter.
    pub ends: Time,
    /// What signs.
    pub device: Arc<dyn Signs>,
}
