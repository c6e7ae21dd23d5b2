//! An issuer that signs with a CA in memory, and refuses, falls silent or lies on demand. And a budget that counts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use omens::model::anchor::Anchor;
use omens::model::code::Code;
use omens::model::failure::{Failure, Stage, Warning};
use omens::model::request::Signed;
use omens::steps::issue::{Budget, Issuer, Order, Revocations};

use crate::lab::pki::{Ca, CaKeys, INTERMEDIATE, Leaf, ROOT, csr_key, ec_key};

/// What a signing request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A good certificate with its chain.
    Good,
    /// A certificate that is wrong.
    Wrong(Wrong),
    /// A refusal: nothing is signed, and the request is given back.
    Refused(Code, String),
    /// It is signed, and the answer is lost.
    Lost,
    /// Nothing, until the time ends.
    Silence,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is for another key.
    Key,
    /// It has another name.
    Name,
    /// It has expired.
    Expired,
    /// It is signed by another CA of the same names.
    Root,
    /// The intermediate is missing.
    Chain,
}

/// The issuer.
pub struct FakeIssuer {
    root: Ca,
    intermediate: Ca,
    strange: Ca,
    answers: Mutex<Vec<Answer>>,
    closed_to_all: Mutex<Option<Failure>>,
    warnings: Vec<Warning>,
    opened: AtomicUsize,
    asked: AtomicUsize,
    signed: AtomicUsize,
    closed: AtomicUsize,
}

impl std::fmt::Debug for FakeIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeIssuer").finish_non_exhaustive()
    }
}

impl Default for FakeIssuer {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeIssuer {
    /// One that signs whatever it is asked.
    pub fn new() -> Self {
        let (root, other_root) = (Ca::root(ROOT, CaKeys::Ec), Ca::root(ROOT, CaKeys::Ec));
        Self {
            intermediate: root.intermediate(INTERMEDIATE, CaKeys::Ec),
            strange: other_root.intermediate(INTERMEDIATE, CaKeys::Ec),
            root,
            answers: Mutex::new(vec![Answer::Good]),
            closed_to_all: Mutex::default(),
            warnings: Vec::new(),
            opened: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            signed: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        }
    }

    /// The same that says this of every run.
    pub fn warning(mut self, warning: Warning) -> Self {
        self.warnings.push(warning);
        self
    }

    /// From now on every signing request gets this.
    pub fn answer(&self, answer: Answer) {
        self.answers(&[answer]);
    }

    /// The next signing requests get these; the last one stays.
    pub fn answers(&self, answers: &[Answer]) {
        assert!(!answers.is_empty(), "the last answer stays");
        *self.answers.lock().unwrap() = answers.iter().rev().cloned().collect();
    }

    /// It cannot be asked at all, such as a sealed server.
    pub fn refuse_to_open(&self, why: Failure) {
        *self.closed_to_all.lock().unwrap() = Some(why);
    }

    /// The root to pin.
    pub fn anchor(&self) -> Anchor {
        Anchor::new(self.root.der.clone())
    }

    /// The root's PEM.
    pub fn root_pem(&self) -> &str {
        &self.root.pem
    }

    /// How often it was opened.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// How many signing requests came in.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many certificates were signed.
    pub fn signed(&self) -> usize {
        self.signed.load(Ordering::SeqCst)
    }

    /// How often it was closed.
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }

    async fn ask(&self, order: &Order<'_>) -> Result<Signed, Failure> {
        self.can_be_asked()?;
        if order.until <= Instant::now() {
            return Err(too_late());
        }
        order.budget.take().await?;
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop() } else { answers.last().cloned() }
        };
        match answer.expect("the last answer stays") {
            Answer::Good => Ok(self.sign(order, None)),
            Answer::Wrong(wrong) => Ok(self.sign(order, Some(wrong))),
            Answer::Refused(code, text) => {
                order.budget.give_back().await;
                Err(Failure::new(Stage::Issue, code, text).hint("the fake was told to refuse"))
            }
            Answer::Lost => {
                drop(self.sign(order, None));
                Err(Failure::new(Stage::Issue, Code::Unreachable, "the answer is lost").hint("the fake was told to lose it"))
            }
            Answer::Silence => {
                tokio::time::sleep_until(order.until.into()).await;
                Err(too_late())
            }
        }
    }

    fn can_be_asked(&self) -> Result<(), Failure> {
        self.closed_to_all.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn sign(&self, order: &Order<'_>, wrong: Option<Wrong>) -> Signed {
        let request = order.request;
        let dns = request.dns_names();
        let mut dns: Vec<&str> = dns.iter().map(String::as_str).collect();
        if wrong == Some(Wrong::Name) {
            dns.push("elsewhere.funlab.casa");
        }
        let ttl = time::Duration::seconds(i64::try_from(request.ttl.as_secs()).unwrap());
        let mut leaf = Leaf::server(&request.common_name, &dns, &request.ip, ttl);
        if wrong == Some(Wrong::Expired) {
            leaf.not_before -= time::Duration::days(30);
            leaf.not_after -= time::Duration::days(30);
        }
        let signer = if wrong == Some(Wrong::Root) { &self.strange } else { &self.intermediate };
        let own = csr_key(order.csr);
        let leaf = if wrong == Some(Wrong::Key) { signer.leaf(&ec_key(), &leaf) } else { signer.leaf(&own, &leaf) };
        let others = if wrong == Some(Wrong::Chain) { Vec::new() } else { vec![signer.pem.clone()] };
        self.signed.fetch_add(1, Ordering::SeqCst);
        Signed { leaf_pem: leaf.pem(), others, warnings: Vec::new() }
    }
}

fn too_late() -> Failure {
    Failure::new(Stage::Issue, Code::Unreachable, "no certificate in time").hint("the next run tries again")
}

impl Issuer for FakeIssuer {
    fn open(&self) -> BoxFuture<'_, Result<(), Failure>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        async { self.can_be_asked() }.boxed()
    }

    fn sign<'a>(&'a self, order: &'a Order<'a>) -> BoxFuture<'a, Result<Signed, Failure>> {
        self.ask(order).boxed()
    }

    fn revoked<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<omens::model::clock::Time>, Failure>> {
        async { Ok(None) }.boxed()
    }

    fn revoke<'a>(&'a self, serials: &'a [String]) -> BoxFuture<'a, Result<Revocations, Failure>> {
        async { Ok(Revocations { answers: serials.iter().map(|_| Ok(())).collect(), warnings: Vec::new() }) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, Vec<Warning>> {
        self.closed.fetch_add(1, Ordering::SeqCst);
        async { self.warnings.clone() }.boxed()
    }
}

/// A budget in memory.
#[derive(Debug)]
pub struct FakeBudget {
    limit: usize,
    taken: AtomicUsize,
    given_back: AtomicUsize,
}

impl FakeBudget {
    /// A budget of this many requests.
    pub fn of(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0), given_back: AtomicUsize::new(0) }
    }

    /// How many were counted, those given back included.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// How many were given back.
    pub fn given_back(&self) -> usize {
        self.given_back.load(Ordering::SeqCst)
    }
}

impl Budget for FakeBudget {
    fn take(&self) -> BoxFuture<'_, Result<(), Failure>> {
        async {
            if self.taken() - self.given_back() >= self.limit {
                return Err(Failure::new(Stage::Issue, Code::Exhausted, "the fake's budget is used up"));
            }
            self.taken.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        .boxed()
    }

    fn give_back(&self) -> BoxFuture<'_, ()> {
        self.given_back.fetch_add(1, Ordering::SeqCst);
        async {}.boxed()
    }
}
