//! An attestation result (RFC 9334 §4.2) as the gate, the document of `attest` and `.attest.json` know it.

use serde::{Deserialize, Serialize};

use super::clock::Time;
use super::code::Code;

/// An attestation result, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What the verifier concluded, or why there is no conclusion.
    #[serde(rename = "code")]
    pub conclusion: Conclusion,
    /// The same in words: fit to print.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
    /// When, by the clock that ages are counted by.
    pub at: Time,
    /// When evidence of this host passed last, by the verifier's clock.
    pub last_successful: Option<Time>,
    /// What was appraised.
    pub attested: Appraised,
}

/// What a verifier compares of a host's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Appraised {
    /// PCRs whose values its policy names, ascending.
    pub pcrs: Vec<u32>,
    /// Whether it compares the IMA list.
    pub runtime_policy: bool,
    /// Whether it compares the UEFI log.
    pub measured_boot: bool,
}

/// The debug and the application PCR: every program may reset them (TCG PC Client Platform TPM Profile §4.6.2).
const RESETTABLE: [u32; 2] = [16, 23];

impl Appraised {
    /// Whether nothing is compared: a pass says no more than that the key answers.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.pcrs.is_empty() && !self.runtime_policy && !self.measured_boot
    }

    /// Whether all that is compared can be set back by every program, and so proves nothing of a boot.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        !self.is_nothing() && !self.runtime_policy && !self.measured_boot && self.pcrs.iter().all(|pcr| RESETTABLE.contains(pcr))
    }
}

impl Verdict {
    /// A result of now, in these words.
    #[must_use]
    pub fn new(conclusion: Conclusion, at: Time, text: impl Into<String>) -> Self {
        Self { conclusion, text: text.into(), hint: None, at, last_successful: None, attested: Appraised::default() }
    }

    /// The same with what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What can come of an attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// The host is in the state that the verifier expects, and something was attested.
    Pass,
    /// The verifier has appraised no evidence of this host yet.
    Never,
    /// The last result is older than the verifier's own interval.
    Stale,
    /// The verifier repeats an old result: the evidence just sent is not in it.
    Frozen,
    /// The host is in another state than the verifier expects.
    Failed,
    /// The verifier waited in vain for evidence.
    Timeout,
    /// A pass of nothing: the verifier's policy names nothing to appraise.
    EmptyPolicy,
    /// The verifier does not know this host.
    UnknownAgent,
    /// The verifier knows another host under this one's name.
    IdentityMismatch,
    /// Nobody answers.
    Unreachable,
    /// The answer comes from somebody who is not trusted.
    Untrusted,
    /// The answer is none.
    Malformed,
}

impl Conclusion {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Pass,
        Self::Never,
        Self::Stale,
        Self::Frozen,
        Self::Failed,
        Self::Timeout,
        Self::EmptyPolicy,
        Self::UnknownAgent,
        Self::IdentityMismatch,
        Self::Unreachable,
        Self::Untrusted,
        Self::Malformed,
    ];

    /// The code of a run that is blocked by it; `None` for a pass.
    #[must_use]
    pub const fn blocks(self) -> Option<Code> {
        Some(match self {
            Self::Pass => return None,
            Self::Never => Code::VerdictNever,
            Self::Stale => Code::VerdictStale,
            Self::Frozen => Code::VerdictFrozen,
            Self::Failed => Code::VerdictFailed,
            Self::Timeout => Code::VerdictTimeout,
            Self::EmptyPolicy => Code::VerdictEmptyPolicy,
            Self::UnknownAgent => Code::VerdictUnknownAgent,
            Self::IdentityMismatch => Code::VerdictIdentityMismatch,
            Self::Unreachable => Code::VerdictUnreachable,
            Self::Untrusted => Code::VerdictUntrusted,
            Self::Malformed => Code::VerdictMalformed,
        })
    }

    /// The word in documents and on the terminal.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.blocks().map_or("pass", |code| code.as_str().strip_prefix("verdict-").unwrap_or(code.as_str()))
    }
}
