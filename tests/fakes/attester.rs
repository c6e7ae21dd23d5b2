//! An attester that says what it is told, or nothing at all.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use omens::model::clock::Time;
use omens::model::failure::Failure;
use omens::model::verdict::Appraised;
use omens::steps::attest::{Attester, Conclusion, Verdict};

/// The attester.
#[derive(Debug)]
pub struct FakeAttester {
    /// `None`: it never answers.
    verdict: Mutex<Option<Verdict>>,
    asked: AtomicUsize,
}

impl FakeAttester {
    /// One that gives this verdict.
    pub fn saying(conclusion: Conclusion, at: Time) -> Self {
        let text = format!("the fake verifier concludes {conclusion:?}");
        let attested = Appraised { pcrs: vec![7], ..Appraised::default() };
        let verdict = Verdict { attested, ..Verdict::new(conclusion, at, text) };
        Self { verdict: Mutex::new(Some(verdict)), asked: AtomicUsize::new(0) }
    }

    /// One that never answers.
    pub fn silent() -> Self {
        Self { verdict: Mutex::default(), asked: AtomicUsize::new(0) }
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Attester for FakeAttester {
    fn attest(&self, _: Instant) -> BoxFuture<'_, Result<Verdict, Failure>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let verdict = self.verdict.lock().unwrap().clone();
        async move {
            match verdict {
                Some(verdict) => Ok(verdict),
                None => std::future::pending().await,
            }
        }
        .boxed()
    }
}
