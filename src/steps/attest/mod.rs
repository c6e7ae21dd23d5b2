//! Attest: whether this host may ask for certificates, by what a verifier says of its state (RFC 9334). It must never open for want of an
//! answer: where a verdict is required, everything but a fresh pass blocks.
//!
//! In the words of RFC 9334: an [`Attester`] collects Evidence of the host's state and has a Verifier appraise it; the Attestation Result comes
//! back as a [`Verdict`]; the [`AttestationGate`] is this host as Relying Party, and [`Policy`] its appraisal policy for Attestation Results. The guard is
//! at the server, because a host cannot be trusted to refuse itself; this gate saves signatures and tells why.
//!
//! What comes back is kept in `.attest.json`: an agent that attests all the time (`omens attest`) leaves its last verdict there, and a run takes
//! it while it is a pass no older than `max_age`, or else attests once itself.
//!
//! # How to add an attester
//! A file that implements [`Attester`]; its settings in `[attestation] by`; a line where a run is given its attester. `tests/it/attester.rs`
//! runs one suite over every implementation; a new one joins it there.

mod files;
mod identity;
pub mod keylime;
mod round;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use self::files::Files;
use crate::config::settings::Settings;
use crate::io::tpm::connection::Connection;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::span;
pub use crate::model::verdict::{Conclusion, Verdict};

/// A run's attestation ends within this.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Clocks may differ by this much, in seconds; a verdict from further in the future is none.
const SKEW: i64 = 60;

/// Has the state of this host vouched for: one of the four joints.
pub trait Attester: fmt::Debug + Send + Sync {
    /// Collects evidence, has it appraised and gives the result, before `until`. That there is none, that nobody answers or that the answer
    /// is not to be trusted is a verdict too.
    ///
    /// # Errors
    /// Stage `attest`: the host cannot give evidence.
    fn attest(&self, until: Instant) -> BoxFuture<'_, Result<Verdict, Failure>>;
}

/// `[attestation]` as far as the gate cares: the appraisal policy of the relying party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Certificates are requested without a verdict.
    NotRequired,
    /// Certificates are requested whatever the verdict is; one that is no pass of this age is told.
    Advisory {
        /// The oldest pass that counts.
        max_age: Duration,
    },
    /// Certificates are requested with a pass that is no older than this.
    Required {
        /// The oldest pass that counts.
        max_age: Duration,
    },
}

/// That certificates may be requested. Only the gate makes it, and nothing is asked of an issuer without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    by: By,
    warning: Option<Warning>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Nobody,
    Pass(Time),
    /// The word of a person.
    Reason(String),
}

impl Attested {
    /// When the pass was given; `None` where none is required.
    #[must_use]
    pub const fn passed_at(&self) -> Option<Time> {
        match self.by {
            By::Nobody | By::Reason(_) => None,
            By::Pass(at) => Some(at),
        }
    }

    /// Why a person lets certificates be requested without a verdict.
    #[must_use]
    pub fn break_glass(&self) -> Option<&str> {
        if let By::Reason(reason) = &self.by { Some(reason) } else { None }
    }

    /// What is worth saying of the certificates that are requested by it.
    #[must_use]
    pub const fn warning(&self) -> Option<&Warning> {
        self.warning.as_ref()
    }

    const fn without_verdict(warning: Option<Warning>) -> Self {
        Self { by: By::Nobody, warning }
    }
}

/// Whether certificates may be requested now, by this verdict.
///
/// # Errors
/// Stage `attest`, code `verdict-…` or of the TPM: nothing may be asked of an issuer.
pub fn judge(policy: Policy, verdict: Option<&Result<Verdict, Failure>>, now: Time) -> Result<Attested, Failure> {
    match policy {
        Policy::NotRequired => Ok(Attested::without_verdict(None)),
        Policy::Required { max_age } => passed(verdict, max_age, now),
        Policy::Advisory { max_age } => Ok(passed(verdict, max_age, now).unwrap_or_else(|failure| {
            let text = format!("issued without a pass: {}", failure.text);
            Attested::without_verdict(Some(Warning::new(failure.code, text)))
        })),
    }
}

fn passed(verdict: Option<&Result<Verdict, Failure>>, max_age: Duration, now: Time) -> Result<Attested, Failure> {
    let Some(verdict) = verdict else {
        return Err(blocked(Code::VerdictNever, "nobody vouches for this host's state".to_owned(), None));
    };
    let verdict = verdict.as_ref().map_err(|failure| Failure { stage: Stage::Attest, ..failure.clone() })?;
    if let Some(code) = verdict.conclusion.blocks() {
        return Err(blocked(code, verdict.text.clone(), verdict.hint.as_deref()));
    }
    if verdict.attested.is_nothing() {
        return Err(blocked(Code::VerdictEmptyPolicy, format!("a pass of nothing: {}", verdict.text), None));
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
    Ok(Attested { by: By::Pass(at), warning: weak(verdict) })
}

/// A pass that says nothing of a boot.
#[must_use]
pub fn weak(verdict: &Verdict) -> Option<Warning> {
    let pcrs = &verdict.attested.pcrs;
    verdict.attested.is_weak().then(|| {
        let named = crate::model::pcr::named(pcrs);
        Warning::new(
            Code::WeakPolicy,
            format!("the verifier compares {named} alone, which every program may set back: that proves nothing of a boot"),
        )
    })
}

fn blocked(code: Code, text: String, hint: Option<&str>) -> Failure {
    let hint = hint.unwrap_or("look at the verifier's log and at this host's agent; a certificate that is in use keeps serving");
    Failure::new(Stage::Attest, code, text).hint(hint)
}

/// The gate of a run: asks for a verdict once, before the first certificate is requested, and never where none is wanted.
#[derive(Debug)]
pub struct AttestationGate {
    policy: Policy,
    attester: Option<Arc<dyn Attester>>,
    verdict: OnceCell<Result<Verdict, Failure>>,
    glass: Option<Glass>,
}

/// A gate that a person broke: noted on disk before anything is asked, until the next pass.
#[derive(Debug)]
struct Glass {
    files: Files,
    reason: String,
    noted: OnceCell<Result<(), Failure>>,
}

impl AttestationGate {
    /// A gate that is open: no verdict is required.
    #[must_use]
    pub const fn open() -> Self {
        Self { policy: Policy::NotRequired, attester: None, verdict: OnceCell::const_new(), glass: None }
    }

    /// A gate of this policy before this attester.
    #[must_use]
    pub const fn of(policy: Policy, attester: Arc<dyn Attester>) -> Self {
        Self { policy, attester: Some(attester), verdict: OnceCell::const_new(), glass: None }
    }

    /// The gate of these settings.
    #[must_use]
    pub fn of_settings(settings: &Settings, clock: Clock, tpm: Option<Connection>) -> Self {
        let Some(attestation) = &settings.attestation else { return Self::open() };
        let max_age = attestation.max_age;
        let policy = match (attestation.required, &attestation.by) {
            (true, _) => Policy::Required { max_age },
            (false, Some(_)) => Policy::Advisory { max_age },
            (false, None) => Policy::NotRequired,
        };
        let attester = keylime::of(settings, clock, tpm).map(|attester| attester as Arc<dyn Attester>);
        Self { policy, attester, verdict: OnceCell::const_new(), glass: None }
    }

    /// A gate that a person opens, for this reason. It does not help where the server enforces.
    #[must_use]
    pub fn broken(settings: &Settings, reason: &str) -> Self {
        let files = Files::of(&settings.paths.state, &settings.paths.run);
        let glass = Glass { files, reason: reason.to_owned(), noted: OnceCell::const_new() };
        Self { glass: Some(glass), ..Self::open() }
    }

    /// Asks for the verdict of the run, if one is wanted. Done before anything else of a run: what attesting loads leaves the TPM no room for
    /// other keys.
    pub async fn ask(&self, clock: Clock) {
        self.verdict(clock).await;
    }

    async fn verdict(&self, clock: Clock) -> Option<&Result<Verdict, Failure>> {
        match (self.policy, &self.attester) {
            (Policy::NotRequired, _) | (_, None) => None,
            (_, Some(attester)) => Some(self.verdict.get_or_init(|| ask(&**attester, clock)).await),
        }
    }

    /// Whether a certificate may be requested now. The verdict of the run is judged anew for each: it grows old meanwhile.
    ///
    /// # Errors
    /// As [`judge`].
    pub async fn pass(&self, clock: Clock) -> Result<Attested, Failure> {
        match &self.glass {
            Some(glass) => glass.broken(clock).await,
            None => judge(self.policy, self.verdict(clock).await, clock.now()),
        }
    }
}

impl Glass {
    async fn broken(&self, clock: Clock) -> Result<Attested, Failure> {
        let note = || async { self.files.note_break_glass(&self.reason, clock.now()).map_err(|why| why.failure(Stage::Attest)) };
        self.noted.get_or_init(note).await.clone()?;
        let text = format!("requested without a verdict on this host's state: {}", self.reason);
        Ok(Attested { by: By::Reason(self.reason.clone()), warning: Some(Warning::new(Code::BreakGlass, text)) })
    }
}

async fn ask(attester: &dyn Attester, clock: Clock) -> Result<Verdict, Failure> {
    let until = clock.instant() + LIMIT;
    let asked = tokio::time::timeout_at(until.into(), attester.attest(until)).await;
    asked.unwrap_or_else(|_| Ok(Verdict::new(Conclusion::Unreachable, clock.now(), format!("no verdict within {} s", LIMIT.as_secs()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::verdict::Appraised;

    const NOW: i64 = 1_800_000_000;
    const REQUIRED: Policy = Policy::Required { max_age: Duration::from_secs(600) };

    fn verdict(conclusion: Conclusion, age: i64) -> Verdict {
        let attested = Appraised { pcrs: vec![7], ..Appraised::default() };
        Verdict { attested, ..Verdict::new(conclusion, Time::from_unix(NOW - age), "what the verifier says") }
    }

    fn code(policy: Policy, verdict: Option<&Verdict>) -> Result<Option<i64>, &'static str> {
        let judged = judge(policy, verdict.cloned().map(Ok).as_ref(), Time::from_unix(NOW));
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
        let why = judge(REQUIRED, Some(&Ok(verdict(Conclusion::Failed, 0))), Time::from_unix(NOW)).unwrap_err();
        assert_eq!(why.text, "what the verifier says");
        let late = judge(REQUIRED, Some(&Ok(verdict(Conclusion::Pass, 601))), Time::from_unix(NOW)).unwrap_err();
        assert!(late.text.contains("older than 10m") && late.text.contains("what the verifier says"), "{late:?}");
    }

    #[test]
    fn advice_is_told_and_a_weak_policy_too() {
        let advisory = Policy::Advisory { max_age: Duration::from_secs(600) };
        let warned = |verdict: Result<Verdict, Failure>| {
            let attested = judge(advisory, Some(&verdict), Time::from_unix(NOW)).unwrap();
            attested.warning().map(|warning| warning.code.as_str())
        };
        assert_eq!(warned(Ok(verdict(Conclusion::Pass, 0))), None);
        assert_eq!(warned(Ok(verdict(Conclusion::Pass, 601))), Some("verdict-stale"));
        assert_eq!(warned(Ok(verdict(Conclusion::Failed, 0))), Some("verdict-failed"));
        assert_eq!(warned(Err(Failure::new(Stage::Seal, Code::TpmLockout, "no"))), Some("tpm-lockout"));
        let weak = Appraised { pcrs: vec![16, 23], ..Appraised::default() };
        assert_eq!(warned(Ok(Verdict { attested: weak, ..verdict(Conclusion::Pass, 0) })), Some("weak-policy"));
    }

    #[test]
    fn a_tpm_that_gives_no_evidence_and_a_pass_of_nothing_block() {
        let judged = |verdict: Result<Verdict, Failure>| judge(REQUIRED, Some(&verdict), Time::from_unix(NOW)).unwrap_err();
        let why = judged(Err(Failure::new(Stage::Seal, Code::TpmReplaced, "another one")));
        assert_eq!((why.stage, why.code.as_str()), (Stage::Attest, "tpm-replaced"));
        let nothing = Verdict { attested: Appraised::default(), ..verdict(Conclusion::Pass, 0) };
        assert_eq!(judged(Ok(nothing)).code.as_str(), "verdict-empty-policy");
    }
}
