//! Attesters: what every one must hold to, and the gate before an issuer.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use omens::model::clock::{Clock, Time};
use omens::model::failure::{Failure, Stage};
use omens::steps::attest::{AttestationGate, Attester, Conclusion, LIMIT, Policy};
use omens::steps::issue;

use crate::fakes::attester::FakeAttester;
use crate::fakes::clock;
use crate::fakes::issuer::FakeIssuer;
use crate::lab::runtime;

const REQUIRED: Policy = Policy::Required { max_age: Duration::from_secs(600) };

/// What every attester must hold to: it answers in time, says when and in words, and may be asked again.
async fn conformance(attester: &dyn Attester) {
    for _ in 0..2 {
        let verdict =
            tokio::time::timeout(LIMIT, attester.attest(Instant::now() + LIMIT)).await.expect("an answer in time").expect("evidence");
        assert!(!verdict.text.is_empty() && !verdict.text.contains('\n'), "{verdict:?}");
        assert!(verdict.at <= clock().now().plus(60), "{verdict:?}");
    }
}

#[test]
fn every_attester_answers_in_words_and_in_time() {
    for conclusion in Conclusion::ALL {
        runtime().block_on(conformance(&FakeAttester::saying(conclusion, clock().now())));
    }
}

/// What the flow does before it asks for a certificate.
async fn pass_and_open(gate: &AttestationGate, issuer: &FakeIssuer, clock: Clock) -> Result<(), Failure> {
    let attested = gate.pass(clock).await?;
    issue::open(&attested, issuer, Instant::now() + Duration::from_secs(5)).await.map(drop)
}

#[test]
fn nothing_is_asked_of_the_issuer_without_a_fresh_pass() {
    let now = clock().now();
    let issuer = FakeIssuer::new();
    for (conclusion, at) in Conclusion::ALL
        .map(|conclusion| (conclusion, now))
        .into_iter()
        .chain([(Conclusion::Pass, now.plus(-660)), (Conclusion::Pass, now.plus(120))])
    {
        let (attester, opened) = (Arc::new(FakeAttester::saying(conclusion, at)), issuer.opened());
        let gate = AttestationGate::of(REQUIRED, attester.clone());
        let passed = runtime().block_on(pass_and_open(&gate, &issuer, clock()));
        let passes = conclusion == Conclusion::Pass && at == now;
        assert_eq!((passed.is_ok(), issuer.opened() - opened), (passes, usize::from(passes)), "{conclusion:?} {at}");
        if let Err(why) = passed {
            assert!(why.stage == Stage::Attest && why.code.as_str().starts_with("verdict-"), "{why:?}");
        }
        assert_eq!(attester.asked(), 1);
    }
    assert_eq!((issuer.asked(), issuer.signed()), (0, 0));
}

#[test]
fn where_no_verdict_is_required_nobody_is_asked_for_one() {
    let attester = Arc::new(FakeAttester::saying(Conclusion::Failed, clock().now()));
    let issuer = FakeIssuer::new();
    for gate in [AttestationGate::open(), AttestationGate::of(Policy::NotRequired, attester.clone())] {
        runtime().block_on(pass_and_open(&gate, &issuer, clock())).unwrap();
    }
    assert_eq!((attester.asked(), issuer.opened()), (0, 2));
}

#[test]
fn a_run_asks_for_one_verdict_and_watches_it_grow_old() {
    let attester = Arc::new(FakeAttester::saying(Conclusion::Pass, clock().now()));
    let gate = AttestationGate::of(REQUIRED, attester.clone());
    let later = Clock::new(|| SystemTime::now() + Duration::from_secs(660), Instant::now);
    runtime().block_on(async {
        let passed = futures_util::future::join_all((0..8).map(|_| gate.pass(clock()))).await;
        assert!(passed.iter().all(Result::is_ok), "{passed:?}");
        assert_eq!(gate.pass(later).await.unwrap_err().code.as_str(), "verdict-stale");
    });
    assert_eq!(attester.asked(), 1);
}

#[test]
fn a_verifier_that_never_answers_blocks() {
    // The run's time is nearly over when it is asked.
    let clock = Clock::new(SystemTime::now, || Instant::now().checked_sub(LIMIT - Duration::from_millis(100)).unwrap());
    let why = runtime().block_on(AttestationGate::of(REQUIRED, Arc::new(FakeAttester::silent())).pass(clock)).unwrap_err();
    assert_eq!((why.stage, why.code.as_str()), (Stage::Attest, "verdict-unreachable"));
    assert!(why.text.contains("within 60 s"), "{why:?}");
}

#[test]
fn a_pass_says_when_it_was_given() {
    let at = Time::from_unix(clock().now().unix() - 5);
    let attested =
        runtime().block_on(AttestationGate::of(REQUIRED, Arc::new(FakeAttester::saying(Conclusion::Pass, at))).pass(clock())).unwrap();
    assert_eq!(attested.passed_at(), Some(at));
}
