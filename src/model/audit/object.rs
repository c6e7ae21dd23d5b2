//! What a finding is about. It must never tell two things apart that are the same.

use serde::{Deserialize, Serialize};

use crate::model::anchor::{Fingerprint, hex};

/// What a finding is about, for its `key`: what stays the same from report to report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "lowercase")]
pub enum Object {
    /// A certificate by the SHA-256 of its DER: the same thing wherever it lies.
    Certificate(String),
    /// A path within the host: another thing on every host.
    File(String),
    /// Address and server name: the same thing from wherever it is looked at, unless it is a loopback address.
    Endpoint(String),
    /// The path of an OpenBao role.
    Role(String),
}

impl Object {
    /// The certificate of this fingerprint.
    #[must_use]
    pub fn certificate(sha256: &Fingerprint) -> Self {
        Self::Certificate(sha256.as_str().to_owned())
    }

    /// The file of this path.
    #[must_use]
    pub fn file(path: impl AsRef<std::path::Path>) -> Self {
        Self::File(path.as_ref().display().to_string())
    }

    /// The same with what it says changed.
    #[must_use]
    pub fn map(self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Certificate(value) => Self::Certificate(change(&value)),
            Self::File(value) => Self::File(change(&value)),
            Self::Endpoint(value) => Self::Endpoint(change(&value)),
            Self::Role(value) => Self::Role(change(&value)),
        }
    }

    /// What `merge` may join: the same object may be seen from several hosts.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Certificate(_) | Self::Endpoint(_) | Self::Role(_))
    }

    /// SHA-256 of the finding's id and this object.
    #[must_use]
    pub fn key(&self, id: &str) -> String {
        let (kind, value) = match self {
            Self::Certificate(value) => ("certificate", value),
            Self::File(value) => ("file", value),
            Self::Endpoint(value) => ("endpoint", value),
            Self::Role(value) => ("role", value),
        };
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{id}\0{kind}\0{value}").as_bytes());
        hex(digest.as_ref())
    }
}
