//! What a Keylime verifier says of a host, judged: the one rule by which its answer is a pass. It must never pass for want of a reason not to:
//! `PASS` alone is derived from flags and means nothing (`io/keylime/facts.md`, "What a verdict is worth").

use std::collections::BTreeMap;

use crate::model::anchor::hex;
use crate::model::clock::Time;
use crate::model::pcr::{PcrValues, named};
use crate::model::span;
use crate::model::verdict::{Appraised, Conclusion, Verdict};

/// Clocks may differ by this much, in seconds.
pub const SKEW: i64 = 60;

/// `attestation_status` of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `PASS`.
    Pass,
    /// `FAIL`.
    Fail,
    /// `TIMEOUT`.
    Timeout,
    /// `PENDING`.
    Pending,
}

/// What the verifier says of an agent, and when it said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its status.
    pub status: Status,
    /// `attestation_count`.
    pub count: u64,
    /// `last_received_quote`, in seconds since 1970; 0: never.
    pub received: i64,
    /// `last_successful_attestation`, likewise.
    pub successful: i64,
    /// `maximum_attestation_interval`, in seconds.
    pub interval: u64,
    /// What its policies compare.
    pub appraised: Appraised,
    /// The values that its policy takes of each PCR that it compares, in hexadecimal digits.
    pub accepted: BTreeMap<u32, Vec<String>>,
    /// By the verifier's clock (the header `Date`), by which its times are judged.
    pub date: Time,
}

impl Said {
    /// Whether the quote that followed `before` has been appraised.
    #[must_use]
    pub fn is_settled_after(&self, before: &Self) -> bool {
        self.count != before.count && (self.status != Status::Pass || self.successful == self.received)
    }
}

/// A quote that was sent, and what was known before.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// What the verifier said before it got the quote.
    pub before: &'a Said,
    /// The PCRs that the quote was over, with their values.
    pub quoted: &'a PcrValues,
}

impl Sent<'_> {
    /// The PCRs of the quote that are not as the policy has them.
    fn differing(&self, said: &Said) -> Vec<u32> {
        let of = |number: &u32, value: &[u8]| said.accepted.get(number).is_some_and(|taken| !taken.iter().any(|one| is(one, value)));
        let quoted = self.quoted.list.numbers().iter().zip(&self.quoted.values);
        quoted.filter(|(number, value)| of(number, &value.0)).map(|(number, _)| *number).collect()
    }
}

/// Whether these digits are that value.
fn is(digits: &str, value: &[u8]) -> bool {
    let digits = digits.trim();
    digits.strip_prefix("0x").unwrap_or(digits).eq_ignore_ascii_case(&hex(value))
}

/// The verdict: of the quote that was just sent, or of a verifier that was not given one.
///
/// `now` is this host's time. A pass is one where the count went up by exactly one, the last quote received is the last that passed, it is
/// no older than the verifier's own interval, and something was compared that the quote was over.
#[must_use]
pub fn verdict(said: &Said, sent: Option<&Sent<'_>>, now: Time) -> Verdict {
    let (conclusion, text, hint) = conclude(said, sent, now);
    Verdict {
        conclusion,
        text,
        hint: hint.map(str::to_owned),
        at: now,
        last_successful: (said.successful > 0).then(|| Time::from_unix(said.successful)),
        attested: said.appraised.clone(),
    }
}

const CLOCKS: &str = "compare the clocks of this host and of the verifier (timedatectl)";
const VERIFIER: &str = "look at the verifier's log; a certificate that is in use keeps serving";
const STATE: &str = "compare `omens attest --print-policy` with the policy that the verifier has for this agent, and find out what changed; \
                     then an administrator enrols the agent anew (keylime_tenant -c delete, then the printed command)";
const EARLIER: &str = "a quote that failed before counts until an administrator enrols the agent anew (keylime_tenant -c delete, then what \
                       `omens attest --print-policy` prints), and so does a TPM whose clock a power cut set back; else see the verifier's log";
const POLICY: &str = "an administrator gives this agent a policy: `omens attest --print-policy` prints one of now";

fn conclude(said: &Said, sent: Option<&Sent<'_>>, now: Time) -> (Conclusion, String, Option<&'static str>) {
    if let Some(wrong) = impossible(said, now) {
        return (Conclusion::Malformed, wrong, Some(CLOCKS));
    }
    let empty = said.appraised.is_nothing() && matches!(said.status, Status::Pass | Status::Pending);
    if empty {
        let text = "the verifier's policy for this agent names nothing to compare".to_owned();
        return (Conclusion::EmptyPolicy, text, Some(POLICY));
    }
    match said.status {
        Status::Fail => failed(said, sent),
        Status::Timeout => (Conclusion::Timeout, "the verifier waited in vain for evidence of this host".to_owned(), Some(VERIFIER)),
        Status::Pending => (Conclusion::Never, "the verifier has appraised no evidence of this host yet".to_owned(), Some(VERIFIER)),
        Status::Pass if said.count == 0 || said.successful == 0 => {
            (Conclusion::Never, "the verifier says PASS and has appraised nothing yet".to_owned(), Some(VERIFIER))
        }
        Status::Pass => passed(said, sent),
    }
}

fn failed(said: &Said, sent: Option<&Sent<'_>>) -> (Conclusion, String, Option<&'static str>) {
    let refused = "the verifier does not accept the state of this host";
    let differing = sent.map(|sent| sent.differing(said));
    match differing.as_deref() {
        None => (Conclusion::Failed, refused.to_owned(), Some(STATE)),
        Some([]) => (Conclusion::Failed, format!("{refused}, whose PCRs are as its policy has them"), Some(EARLIER)),
        Some([one]) => (Conclusion::Failed, format!("{refused}: {} is not as its policy has it", named(&[*one])), Some(STATE)),
        Some(several) => (Conclusion::Failed, format!("{refused}: {} are not as its policy has them", named(several)), Some(STATE)),
    }
}

/// Times that no honest verifier names.
fn impossible(said: &Said, now: Time) -> Option<String> {
    let skew = said.date.since(now);
    if skew.abs() > SKEW {
        return Some(format!("the verifier's clock says {}, this host's {now}: they differ by more than {SKEW} s", said.date));
    }
    let last = said.received.max(said.successful);
    if said.received < 0 || said.successful < 0 || last > said.date.unix().saturating_add(SKEW) {
        let time = Time::from_unix(last);
        return Some(format!("the verifier names a quote of {time}, and its own clock says {}", said.date));
    }
    (said.successful > said.received).then(|| "the verifier names a quote that passed later than the last one that it received".to_owned())
}

fn passed(said: &Said, sent: Option<&Sent<'_>>) -> (Conclusion, String, Option<&'static str>) {
    let frozen = |text: &str| (Conclusion::Frozen, text.to_owned(), Some(VERIFIER));
    let at = Time::from_unix(said.successful);
    if said.successful != said.received {
        return frozen("the verifier says PASS, and its last quote is not the one that passed");
    }
    if let Some(Sent { before, quoted }) = sent {
        if said.count != before.count.saturating_add(1) {
            return frozen(if said.count == before.count {
                "the verifier says PASS, and the quote just sent is not in it"
            } else {
                "the verifier counts other quotes than this host sent"
            });
        }
        if let Some(other) = said.appraised.pcrs.iter().find(|pcr| !quoted.list.numbers().contains(pcr)) {
            let text = format!("the verifier says PASS of PCR {other}, and asked for no quote of it");
            return (Conclusion::Malformed, text, Some(VERIFIER));
        }
    }
    let age = said.date.since(at);
    if u64::try_from(age).is_ok_and(|age| age > said.interval) {
        let text = format!(
            "the last pass is of {at}, older than the verifier's own {}",
            span::show(std::time::Duration::from_secs(said.interval))
        );
        return (Conclusion::Stale, text, Some(VERIFIER));
    }
    (Conclusion::Pass, format!("the state of this host is the expected one, by a quote of {at}"), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pcr::PcrList;

    const NOW: i64 = 1_800_000_000;

    fn said() -> Said {
        Said {
            status: Status::Pass,
            count: 8,
            received: NOW,
            successful: NOW,
            interval: 5,
            appraised: Appraised { pcrs: vec![7], ..Appraised::default() },
            accepted: BTreeMap::from([(7, vec!["07".repeat(32)])]),
            date: Time::from_unix(NOW),
        }
    }

    fn before() -> Said {
        Said { count: 7, received: NOW - 2, successful: NOW - 2, ..said() }
    }

    fn word(said: &Said, before: Option<&Said>, quoted: &[u32], now: i64) -> &'static str {
        let values = quoted.iter().map(|number| vec![u8::try_from(*number).unwrap(); 32]).collect();
        let quoted = PcrValues::new(PcrList::new(quoted).unwrap(), values).unwrap();
        let sent = before.map(|before| Sent { before, quoted: &quoted });
        let verdict = verdict(said, sent.as_ref(), Time::from_unix(now));
        assert_eq!(verdict.conclusion == Conclusion::Pass, verdict.hint.is_none(), "{verdict:?}");
        verdict.conclusion.word()
    }

    /// Each line differs from a pass in what it names.
    #[test]
    fn a_pass_is_a_quote_of_ours_that_passed_just_now_over_what_is_compared() {
        let base = said;
        let nothing = Appraised::default;
        let only = |runtime_policy, measured_boot| Appraised { pcrs: vec![], runtime_policy, measured_boot };
        for (what, said, quoted, expected) in [
            ("nothing wrong", base(), vec![7], "pass"),
            ("more was quoted", base(), vec![0, 7, 10], "pass"),
            ("the same second as before", Said { received: NOW - 2, successful: NOW - 2, ..base() }, vec![7], "pass"),
            ("an interval old", Said { date: Time::from_unix(NOW + 5), ..base() }, vec![7], "pass"),
            ("its clock is a minute ahead of it", Said { received: NOW + 60, successful: NOW + 60, ..base() }, vec![7], "pass"),
            ("only a runtime policy", Said { appraised: only(true, false), ..base() }, vec![10], "pass"),
            ("only a measured boot", Said { appraised: only(false, true), ..base() }, vec![0], "pass"),
            ("older than its interval", Said { date: Time::from_unix(NOW + 6), ..base() }, vec![7], "stale"),
            ("no interval", Said { interval: 0, date: Time::from_unix(NOW + 1), ..base() }, vec![7], "stale"),
            ("not counted", Said { count: 7, ..base() }, vec![7], "frozen"),
            ("counted twice", Said { count: 9, ..base() }, vec![7], "frozen"),
            ("counted back", Said { count: 6, ..base() }, vec![7], "frozen"),
            ("counted from nothing", Said { count: 0, ..base() }, vec![7], "never"),
            ("no quote passed", Said { successful: 0, ..base() }, vec![7], "never"),
            ("no quote at all", Said { successful: 0, received: 0, ..base() }, vec![7], "never"),
            ("the last quote did not pass", Said { successful: NOW - 1, ..base() }, vec![7], "frozen"),
            ("passed before it came", Said { received: NOW - 1, ..base() }, vec![7], "malformed"),
            ("in the future", Said { received: NOW + 61, successful: NOW + 61, ..base() }, vec![7], "malformed"),
            ("received in the future", Said { received: NOW + 61, ..base() }, vec![7], "malformed"),
            ("before 1970", Said { received: -1, successful: -1, ..base() }, vec![7], "malformed"),
            ("the end of time", Said { received: i64::MAX, successful: i64::MAX, ..base() }, vec![7], "malformed"),
            ("another clock, behind", Said { date: Time::from_unix(NOW - 61), ..base() }, vec![7], "malformed"),
            ("another clock, ahead", Said { date: Time::from_unix(NOW + 61), ..base() }, vec![7], "malformed"),
            ("a PCR that was not quoted", base(), vec![4], "malformed"),
            ("no PCR quoted", base(), vec![], "malformed"),
            ("a pass of nothing", Said { appraised: nothing(), ..base() }, vec![7], "empty-policy"),
            ("waits for nothing", Said { appraised: nothing(), status: Status::Pending, ..base() }, vec![7], "empty-policy"),
            ("failed of nothing", Said { appraised: nothing(), status: Status::Fail, ..base() }, vec![7], "failed"),
            ("failed", Said { status: Status::Fail, ..base() }, vec![7], "failed"),
            ("timed out", Said { status: Status::Timeout, ..base() }, vec![7], "timeout"),
            ("pending", Said { status: Status::Pending, ..base() }, vec![7], "never"),
        ] {
            assert_eq!(word(&said, Some(&before()), &quoted, NOW), expected, "{what}");
        }
    }

    #[test]
    fn without_a_quote_the_standing_result_is_judged_by_its_age() {
        assert_eq!(word(&said(), None, &[], NOW), "pass");
        assert_eq!(word(&Said { date: Time::from_unix(NOW + 6), ..said() }, None, &[], NOW + 6), "stale");
        assert_eq!(word(&Said { successful: NOW - 1, ..said() }, None, &[], NOW), "frozen");
        assert_eq!(word(&Said { status: Status::Timeout, ..said() }, None, &[], NOW), "timeout");
    }

    #[test]
    fn clocks_that_differ_are_said_by_both_times() {
        let verdict = verdict(&Said { date: Time::from_unix(NOW + 90), ..said() }, None, Time::from_unix(NOW));
        let both = [NOW, NOW + 90].map(|at| Time::from_unix(at).to_string());
        assert!(both.iter().all(|time| verdict.text.contains(time)), "{verdict:?}");
    }

    #[test]
    fn an_answer_is_waited_for_until_the_quote_is_counted() {
        let (waits, late) = (before(), Said { successful: NOW - 2, ..said() });
        assert!(!waits.is_settled_after(&before()) && !late.is_settled_after(&before()));
        assert!(said().is_settled_after(&before()) && Said { status: Status::Fail, ..late }.is_settled_after(&before()));
    }

    #[test]
    fn what_failed_names_the_pcrs_that_are_not_as_the_policy_has_them() {
        let values = |numbers: &[u32]| {
            let filled = numbers.iter().map(|number| vec![u8::try_from(*number).unwrap(); 32]).collect();
            PcrValues::new(PcrList::new(numbers).unwrap(), filled).unwrap()
        };
        let taken = |number: u32, fill: &str| (number, vec!["ff".repeat(32), fill.repeat(32)]);
        let text = |accepted: &[(u32, Vec<String>)], quoted: &[u32]| {
            let (quoted, before) = (values(quoted), before());
            let said = Said { status: Status::Fail, accepted: accepted.iter().cloned().collect(), ..said() };
            verdict(&said, Some(&Sent { before: &before, quoted: &quoted }), Time::from_unix(NOW)).text
        };
        assert!(text(&[taken(2, "00"), taken(7, "07")], &[2, 7]).ends_with(": PCR 2 is not as its policy has it"));
        assert!(text(&[taken(2, "00"), taken(7, "00")], &[2, 7, 10]).ends_with(": PCRs 2, 7 are not as its policy has them"));
        // The state of now is as it should be: an earlier quote failed, or something else than PCRs.
        assert!(text(&[taken(7, "07"), taken(10, "0A")], &[7, 10]).ends_with("whose PCRs are as its policy has them"));
        // Nothing was quoted, so nothing is known.
        let silent = verdict(&Said { status: Status::Fail, ..said() }, None, Time::from_unix(NOW));
        assert_eq!(silent.text, "the verifier does not accept the state of this host");
        assert!(is("0x0707", &[7, 7]) && is("AB", &[0xab]) && !is("07", &[7, 7]) && !is("", &[7]));
    }
}
