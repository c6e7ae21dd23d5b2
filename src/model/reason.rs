//! Why a certificate is due, or why it is not.

use serde::{Deserialize, Serialize};

/// Stable codes of `plan --json`, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// No committed generation and no debt.
    Missing,
    /// There, but not parseable, or its key cannot be opened.
    Unreadable,
    /// Certificate and key do not belong together.
    KeyMismatch,
    /// The files are not the ones that were committed.
    ChangedOnDisk,
    /// The settings ask for another certificate than the one there.
    SettingsChanged,
    /// Its notBefore is in the future.
    NotYetValid,
    /// Past the renewal point of its lifetime.
    InWindow,
    /// Due for so long that whoever should renew it does not.
    Overdue,
    /// Its notAfter has passed.
    Expired,
    /// Issued, but not deployed.
    Debt,
    /// Committed while its service was stopped, or a run on it did not finish.
    Unproven,
    /// What consumers read is not what is committed.
    Unpublished,
    /// A link of `install` is not there, or leads elsewhere; no run makes it, `omens install` does.
    LinkMissing,
    /// Asked for by a person.
    Forced,
    /// A run is at work on it now.
    InProgress,
    /// Nothing to do.
    Fresh,
}

impl ReasonCode {
    /// The word in JSON and on the terminal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::KeyMismatch => "key-mismatch",
            Self::ChangedOnDisk => "changed-on-disk",
            Self::SettingsChanged => "settings-changed",
            Self::NotYetValid => "not-yet-valid",
            Self::InWindow => "in-window",
            Self::Overdue => "overdue",
            Self::Expired => "expired",
            Self::Debt => "debt",
            Self::Unproven => "unproven",
            Self::Unpublished => "unpublished",
            Self::LinkMissing => "link-missing",
            Self::Forced => "forced",
            Self::InProgress => "in-progress",
            Self::Fresh => "fresh",
        }
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
