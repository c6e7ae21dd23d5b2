//! How things go wrong, in one shape for exit code, JSON, ledger and terminal: a stage, a code, a text and a hint.

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::words::words;

words! {
    /// The stages of a renewal ([The flow](crate#the-flow)), in their order.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum Stage {
        /// Deciding from files, settings and time.
        Plan = "plan",
        /// Proving the host's state.
        Attest = "attest",
        /// Login and signing at OpenBao.
        Issue = "issue",
        /// Judging what came back.
        Validate = "validate",
        /// Keeping the private key.
        Seal = "seal",
        /// Staging and the rename of `live`.
        Publish = "publish",
        /// Making the service read the new files.
        Reload = "reload",
        /// Seeing on the wire that it did.
        Verify = "verify",
        /// Making the new generation the one that boots.
        Commit = "commit",
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that went wrong, with what to do about it.
///
/// `text` names the object, what was expected and what was found: lower case, no full stop, one line. Anything in it that came from
/// outside has gone through [`crate::model::text`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where on the way.
    pub stage: Stage,
    /// Stable word for machines.
    pub code: Code,
    /// What happened.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    #[must_use]
    pub fn new(stage: Stage, code: Code, text: impl Into<String>) -> Self {
        Self { stage, code, text: text.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.stage, self.text)
    }
}

impl std::error::Error for Failure {}

/// Something worth saying that stopped nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable word for machines.
    pub code: Code,
    /// What was seen; sanitised like [`Failure::text`].
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Warning {
    /// A warning.
    #[must_use]
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), hint: None }
    }

    /// The same with what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
