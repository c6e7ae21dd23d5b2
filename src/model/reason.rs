//! Why a certificate is due, or why it is not.

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// Stable codes of `plan --json`, in the order in which they are told.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum ReasonCode {
        /// Its settings are wrong: nothing can be done.
        Settings = "settings",
        /// No committed generation and no debt.
        Missing = "missing",
        /// There, but not parseable, or its key cannot be opened.
        Unreadable = "unreadable",
        /// Certificate and key do not belong together.
        KeyMismatch = "key-mismatch",
        /// The files are not the ones that were committed.
        ChangedOnDisk = "changed-on-disk",
        /// The settings ask for another certificate than the one there.
        SettingsChanged = "settings-changed",
        /// The CA has revoked it.
        Revoked = "revoked",
        /// Its notBefore is in the future.
        NotYetValid = "not-yet-valid",
        /// Past the renewal point of its lifetime.
        InWindow = "in-window",
        /// Due for so long that whoever should renew it does not.
        Overdue = "overdue",
        /// Its notAfter has passed.
        Expired = "expired",
        /// Issued, but not deployed.
        Debt = "debt",
        /// Committed while its service was stopped, or a run on it did not finish.
        Unproven = "unproven",
        /// What consumers read is not what is committed.
        Unpublished = "unpublished",
        /// What its consumers are to trust is not what they last took up: they are asked, and nothing is signed.
        TrustChanged = "trust-changed",
        /// A link of `install` is not there, or leads elsewhere; no run makes it, `omens install` does.
        LinkMissing = "link-missing",
        /// Asked for by a person.
        Forced = "forced",
        /// A run is at work on it now.
        InProgress = "in-progress",
        /// Nothing to do.
        Fresh = "fresh",
    }
}

/// One reason with the facts behind it in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The code.
    pub code: ReasonCode,
    /// Since when, until when, what differs.
    pub text: String,
}

impl Reason {
    /// A reason.
    #[must_use]
    pub fn new(code: ReasonCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}
