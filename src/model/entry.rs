//! One line of `ledger.jsonl`: what a run did to one certificate. Plan never reads it.

use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::clock::Time;
use super::failure::{Failure, Stage};
use super::finding::Finding;
use super::name::Generation;

/// The version of the format.
pub const VERSION: u32 = 1;

/// What became of a certificate in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing to do.
    NotDue,
    /// A new certificate is in use.
    Renewed,
    /// A generation issued earlier is in use now, nothing was signed.
    Settled,
    /// The new one was not deployed and the previous one is back, or a person asked for that.
    RolledBack,
    /// The answer did not pass `validate`.
    Refused,
    /// Anything else went wrong.
    Failed,
    /// Attestation or a window forbids it.
    Blocked,
    /// The budget of signing requests is used up.
    Exhausted,
    /// A run ended in the middle; written by the next one.
    Interrupted,
    /// `restore` rebuilt what consumers read.
    Restored,
    /// `restore` found it complete.
    Kept,
    /// `reseal` put the key under a new sealing key.
    Resealed,
    /// `unblock` began the budget anew.
    Unblocked,
    /// `install` made or renewed the links.
    Installed,
    /// `install` found them in place.
    Unchanged,
}

impl Outcome {
    /// The word in JSON and on the terminal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotDue => "not-due",
            Self::Renewed => "renewed",
            Self::Settled => "settled",
            Self::RolledBack => "rolled-back",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Exhausted => "exhausted",
            Self::Interrupted => "interrupted",
            Self::Restored => "restored",
            Self::Kept => "kept",
            Self::Resealed => "resealed",
            Self::Unblocked => "unblocked",
            Self::Installed => "installed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A ledger line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`VERSION`].
    pub v: u32,
    /// When the certificate's part of the run ended.
    pub time: Time,
    /// The run, equal in all its lines.
    pub run: String,
    /// The certificate's name.
    pub certificate: String,
    /// The generation it is about, if it came that far.
    pub generation: Option<Generation>,
    /// The stage that was reached.
    pub stage: Stage,
    /// What became of it.
    pub outcome: Outcome,
    /// Serial number, lower-case hexadecimal with colons, as OpenBao writes it.
    pub serial: Option<String>,
    /// Fingerprint of the leaf.
    pub sha256: Option<Fingerprint>,
    /// What went wrong.
    pub error: Option<Failure>,
    /// What `validate` found, for a refused certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The refused certificate: CERTIFICATE blocks only, at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_pem: Option<String>,
}
