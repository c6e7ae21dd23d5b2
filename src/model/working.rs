//! What the run that holds the lock is about to have signed: for `status`, while nothing of it is on the disk yet.

use serde::{Deserialize, Serialize};

use super::clock::Time;
use super::name::CertName;

/// `.working.json` of the run directory. It counts while a run holds the lock that began no later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Working {
    /// When the run began to work.
    pub since: Time,
    /// The certificates that it asks an issuer for.
    pub certificates: Vec<String>,
}

impl Working {
    /// Whether it is about this certificate.
    #[must_use]
    pub fn is_about(&self, name: &CertName) -> bool {
        self.certificates.iter().any(|one| one == name.as_str())
    }
}
