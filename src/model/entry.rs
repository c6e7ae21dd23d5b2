//! One line of `ledger.jsonl`: what a run did to one certificate. Plan never reads it.

use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::clock::Time;
use super::failure::{Failure, Stage};
use super::finding::Finding;
use super::name::Generation;
use super::words::words;

/// The version of the format.
pub const VERSION: u32 = 1;

words! {
    /// What became of a certificate in a run.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Outcome {
        /// Nothing to do.
        NotDue = "not-due",
        /// A new certificate is in use.
        Renewed = "renewed",
        /// A generation issued earlier is in use now, nothing was signed.
        Settled = "settled",
        /// The new one was not deployed and the previous one is back, or a person asked for that.
        RolledBack = "rolled-back",
        /// The answer did not pass `validate`.
        Refused = "refused",
        /// Anything else went wrong.
        Failed = "failed",
        /// Attestation or a window forbids it.
        Blocked = "blocked",
        /// The budget of signing requests is used up.
        Exhausted = "exhausted",
        /// A run ended in the middle; written by the next one.
        Interrupted = "interrupted",
        /// `restore` rebuilt what consumers read.
        Restored = "restored",
        /// `restore` found it complete.
        Kept = "kept",
        /// `reseal` put the key under a new sealing key.
        Resealed = "resealed",
        /// `unblock` began the budget anew.
        Unblocked = "unblocked",
        /// `forget` removed what was left of it.
        Forgotten = "forgotten",
        /// What is on disk of it was carried over from its earlier name; only in the ledger.
        Renamed = "renamed",
        /// `install` made or renewed the links.
        Installed = "installed",
        /// `install` found them in place.
        Unchanged = "unchanged",
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
    /// Of `renamed`: its earlier name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
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
    /// Why a person had it issued without a verdict on this host's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// What went wrong.
    pub error: Option<Failure>,
    /// What `validate` found, for a refused certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The refused certificate: CERTIFICATE blocks only, at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_pem: Option<String>,
}
