//! Attest: whether this host may ask for certificates, by what a verifier says of its state (RFC 9334). It must never open for want of an
//! answer: where a verdict is required, everything but a fresh pass blocks.
//!
//! In the words of RFC 9334: an [`Attester`] collects Evidence of the host's state and has a Verifier appraise it; the Attestation Result comes
//! back as a [`Verdict`]; the [`AttestationGate`] is this host as Relying Party, and [`Policy`] its appraisal policy for Attestation Results. The guard is
//! at the server, because a host cannot be trusted to refuse itself; this gate saves signatures and tells why.
//!
//! # How to add an attester
//! A file that implements [`Attester`]; its settings in `[attestation] by`; a line where a run is given its attester. `tests/it/attester.rs`
//! runs one suite over every implementation; a new one joins it there.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::span;

/// A run's attestation ends within this.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Clocks may differ by this much, in seconds; a verdict from further in the future is none.
const SKEW: i64 = 60;

/// Has the state of this host vouched for: one of the four joints.
pub trait Attester: fmt::Debug + Send + Sync {
    /// Collects evidence, has it appraised and gives the result, before `until`. That there is none, that nobody answers or that the answer
    /// is not to be trusted is a verdict too.
    fn attest(&self, until: Instant) -> BoxFuture<'_, Verdict>;
}

/// An attestation result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the verifier concluded, or why there is no conclusion.
    pub conclusion: Conclusion,
    /// When, by the clock that ages are counted by.
    pub at: Time,
    /// The same in words: fit to print.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What can come of an attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    const fn blocks(self) -> Option<Code> {
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
}

/// `[attestation]` as far as the gate cares: the appraisal policy of the relying party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Certificates are requested without a verdict.
    NotRequired,
    /// Certificates are requested with a pass that is no older than this.
    Required {
        /// The oldest pass that counts.
        max_age: Duration,
    },
}

/// That certificates may be requested. Only the gate makes it, and nothing is asked of an issuer without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attested(By);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Nobody,
    Pass(Time),
}

impl Attested {
    /// When the pass was given; `None` where none is required.
    #[must_use]
    pub const fn passed_at(&self) -> Option<Time> {
        match self.0 {
            By::Nobody => None,
            By::Pass(at) => Some(at),
        }
    }
}

/// Whether certificates may be requested now, by this verdict.
///
/// # Errors
/// Stage `attest`, code `verdict-…`: nothing may be asked of an issuer.
pub fn judge(policy: Policy, verdict: Option<&Verdict>, now: Time) -> Result<Attested, Failure> {
    let Policy::Required { max_age } = policy else { return Ok(Attested(By::Nobody)) };
    let Some(verdict) = verdict else {
        return Err(blocked(Code::VerdictNever, "nobody vouches for this host's state".to_owned(), None));
    };
    if let Some(code) = verdict.conclusion.blocks() {
        return Err(blocked(code, verdict.text.clone(), verdict.hint.as_deref()));
    }
    let (at, age) = (verdict.at, now.since(verdict.at));
    if age < -SKEW {
        let text = format!("the pass is of {at}, more than {SKEW} s after now, {now}: {}", verdict.text);
        return Err(blocked(Code::VerdictMalformed, text, Some("compare the clocks of this host and of the verifier (timedatectl)")));
    }
    if u64::try_from(age).is_ok_and(|age| age > max_age.as_secs()) {
        let text = format!("the last pass is of {at}, older than {}: {}", span::show(max_age), verdict.text);
        return Err(blocked(Code::VerdictStale, text, verdict.hint.as_deref()));
    }
    Ok(Attested(By::Pass(at)))
}

fn blocked(code: Code, text: String, hint: Option<&str>) -> Failure {
    let hint = hint.unwrap_or("look at the verifier's log and at this host's agent; the certificate in use keeps serving");
    Failure::new(Stage::Attest, code, text).hint(hint)
}

/// The gate of a run: asks for a verdict once, when the first certificate is to be requested, and never where none is required.
#[derive(Debug)]
pub struct AttestationGate {
    policy: Policy,
    attester: Option<Arc<dyn Attester>>,
    verdict: OnceCell<Verdict>,
}

impl AttestationGate {
    /// A gate that is open: no verdict is required.
    #[must_use]
    pub const fn open() -> Self {
        Self { policy: Policy::NotRequired, attester: None, verdict: OnceCell::const_new() }
    }

    /// A gate of this policy before this attester.
    #[must_use]
    pub const fn of(policy: Policy, attester: Arc<dyn Attester>) -> Self {
        Self { policy, attester: Some(attester), verdict: OnceCell::const_new() }
    }

    /// Whether a certificate may be requested now. The verdict of the run is judged anew for each: it grows old meanwhile.
    ///
    /// # Errors
    /// As [`judge`].
    pub async fn pass(&self, clock: Clock) -> Result<Attested, Failure> {
        let verdict = match (self.policy, &self.attester) {
            (Policy::NotRequired, _) | (Policy::Required { .. }, None) => None,
            (Policy::Required { .. }, Some(attester)) => Some(self.verdict.get_or_init(|| ask(&**attester, clock)).await),
        };
        judge(self.policy, verdict, clock.now())
    }
}

async fn ask(attester: &dyn Attester, clock: Clock) -> Verdict {
    let until = clock.instant() + LIMIT;
    let asked = tokio::time::timeout_at(until.into(), attester.attest(until)).await;
    asked.unwrap_or_else(|_| Verdict {
        conclusion: Conclusion::Unreachable,
        at: clock.now(),
        text: format!("no verdict within {} s", LIMIT.as_secs()),
        hint: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const REQUIRED: Policy = Policy::Required { max_age: Duration::from_secs(600) };

    fn verdict(conclusion: Conclusion, age: i64) -> Verdict {
        Verdict { conclusion, at: Time::from_unix(NOW - age), text: "what the verifier says".to_owned(), hint: None }
    }

    fn code(policy: Policy, verdict: Option<&Verdict>) -> Result<Option<i64>, &'static str> {
        let judged = judge(policy, verdict, Time::from_unix(NOW));
        judged.map(|attested| attested.passed_at().map(|at| NOW - at.unix())).map_err(|why| {
            assert_eq!((why.stage, why.hint.is_some()), (Stage::Attest, true), "{why:?}");
            why.code.as_str()
        })
    }

    #[test]
    fn where_none_is_required_every_verdict_opens() {
        assert_eq!(code(Policy::NotRequired, None), Ok(None));
        for conclusion in Conclusion::ALL {
            assert_eq!(code(Policy::NotRequired, Some(&verdict(conclusion, 0))), Ok(None), "{conclusion:?}");
        }
    }

    #[test]
    fn where_one_is_required_only_a_fresh_pass_opens() {
        use Conclusion::*;
        for (conclusion, age, expected) in [
            (Pass, 0, Ok(Some(0))),
            (Pass, 600, Ok(Some(600))),
            (Pass, 601, Err("verdict-stale")),
            (Pass, i64::MAX / 2, Err("verdict-stale")),
            (Pass, -60, Ok(Some(-60))),
            (Pass, -61, Err("verdict-malformed")),
            (Never, 0, Err("verdict-never")),
            (Stale, 0, Err("verdict-stale")),
            (Frozen, 0, Err("verdict-frozen")),
            (Failed, 0, Err("verdict-failed")),
            (Timeout, 0, Err("verdict-timeout")),
            (EmptyPolicy, 0, Err("verdict-empty-policy")),
            (UnknownAgent, 0, Err("verdict-unknown-agent")),
            (IdentityMismatch, 0, Err("verdict-identity-mismatch")),
            (Unreachable, 0, Err("verdict-unreachable")),
            (Untrusted, 0, Err("verdict-untrusted")),
            (Malformed, 0, Err("verdict-malformed")),
        ] {
            assert_eq!(code(REQUIRED, Some(&verdict(conclusion, age))), expected, "{conclusion:?} of {age} s");
        }
        assert_eq!(code(REQUIRED, None), Err("verdict-never"), "nobody to ask");
    }

    #[test]
    fn what_the_verifier_says_is_told() {
        let why = judge(REQUIRED, Some(&verdict(Conclusion::Failed, 0)), Time::from_unix(NOW)).unwrap_err();
        assert_eq!(why.text, "what the verifier says");
        let late = judge(REQUIRED, Some(&verdict(Conclusion::Pass, 601)), Time::from_unix(NOW)).unwrap_err();
        assert!(late.text.contains("older than 10m") && late.text.contains("what the verifier says"), "{late:?}");
    }
}
