//! What a check found: one fact about one certificate, with what was expected and what was there.

use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::words::words;

words! {
    /// How bad a finding is; `high` blocks a renewal.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum Severity {
        /// Worth knowing.
        Info = "info",
        /// Hygiene.
        Low = "low",
        /// Breaks some peer, or soon.
        Medium = "medium",
        /// Breaks or endangers now.
        High = "high",
    }
}

impl Severity {
    /// The severity of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Info, Self::Low, Self::Medium, Self::High].into_iter().find(|s| s.as_str() == word)
    }
}

/// One finding. Ids are `area.kebab` and only ever added to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id, such as `eku.absent`.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What should be there.
    pub expected: String,
    /// What is there; sanitised.
    pub found: String,
    /// Which one of several inputs it is about, where it is about one: the SHA-256 of its bytes. No document has it.
    #[serde(skip)]
    pub input: Option<Fingerprint>,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(id: &str, severity: Severity, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { id: id.to_owned(), severity, expected: expected.into(), found: found.into(), input: None }
    }

    /// Whether it keeps a certificate from going further.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.severity == Severity::High
    }
}
