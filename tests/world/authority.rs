//! A certification authority in memory, which signs, refuses, lies, loses its answers or dies with the run.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use omens::model::clock::Time;
use omens::model::code::Code;
use omens::model::failure::{Failure, Stage, Warning};
use omens::model::request::Signed;
use omens::steps::issue::{Issuer, Order, Revocations};
use time::{Duration, OffsetDateTime};

use crate::host::Events;
use crate::pki::{Ca, CaKeys, Leaf, csr_key, csr_names, dns_name, ec_key};
use crate::time_of_day;

/// How the authority answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    Signs,
    /// Nobody answers: the request may have been received.
    Away,
    /// A definite no.
    Refuses,
    /// Signs, and the answer never arrives.
    LosesTheAnswer,
    /// Signs, and revokes nothing.
    RefusesToRevoke,
    /// Signs another key.
    SignsAnotherKey,
    /// Signs a name that nobody asked for.
    AddsAName,
    /// The run dies while the request is under way.
    Dies,
}

#[derive(Debug)]
pub struct Authority {
    pub root: Vec<u8>,
    intermediate: Ca,
    pub answers: Mutex<Answers>,
    /// Certificates that were signed, by common name, since the test began.
    pub signed: Mutex<Vec<String>>,
    /// Serial numbers that were revoked.
    pub revoked: Mutex<Vec<String>>,
    events: Events,
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ca")
    }
}

impl Authority {
    pub fn new(events: &Events) -> Self {
        let root = Ca::root("Eye of Thundera", CaKeys::Ec);
        let intermediate = root.intermediate("Book of Omens", CaKeys::Ec);
        let (answers, signed, revoked) = (Mutex::new(Answers::Signs), Mutex::default(), Mutex::default());
        Self { root: root.der.clone(), intermediate, answers, signed, revoked, events: events.clone() }
    }

    pub fn answer(&self, answers: Answers) {
        *self.answers.lock().expect("answers") = answers;
    }

    pub fn signed(&self) -> usize {
        self.signed.lock().expect("signed").len()
    }

    fn certify(&self, order: &Order<'_>, answers: Answers) -> Signed {
        let (common_name, mut names) = csr_names(order.csr);
        if answers == Answers::AddsAName {
            names.push(dns_name("admin.example.net"));
        }
        let ttl = Duration::seconds(i64::try_from(order.request.ttl.as_secs()).expect("a short life"));
        let now = OffsetDateTime::from_unix_timestamp(time_of_day::now().unix()).expect("a time");
        let leaf =
            Leaf { names, not_before: now - Duration::seconds(30), not_after: now + ttl, ..Leaf::server(&common_name, &[], &[], ttl) };
        let pem = if answers == Answers::SignsAnotherKey {
            self.intermediate.leaf(&ec_key(), &leaf).pem()
        } else {
            self.intermediate.leaf(&csr_key(order.csr), &leaf).pem()
        };
        self.signed.lock().expect("signed").push(common_name);
        Signed { leaf_pem: pem, others: vec![self.intermediate.pem.clone()], warnings: Vec::new() }
    }

    async fn answer_to(&self, order: &Order<'_>) -> Result<Signed, Failure> {
        let answers = *self.answers.lock().expect("answers");
        order.budget.take().await?;
        self.events.add(format!("sign {}", order.request.name));
        let away = || Failure::new(Stage::Issue, Code::Unreachable, "nobody answers");
        match answers {
            Answers::Away => Err(away()),
            Answers::Dies => panic!("the run dies while the authority is asked"),
            Answers::Refuses => {
                order.budget.give_back().await;
                Err(Failure::new(Stage::Issue, Code::RoleRefused, "the role says no"))
            }
            Answers::LosesTheAnswer => {
                self.certify(order, answers);
                Err(away())
            }
            Answers::Signs | Answers::RefusesToRevoke | Answers::SignsAnotherKey | Answers::AddsAName => Ok(self.certify(order, answers)),
        }
    }
}

/// The authority as one run sees it.
#[derive(Clone, Debug)]
pub struct Desk(pub std::sync::Arc<Authority>);

impl Issuer for Desk {
    fn open(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn sign<'a>(&'a self, order: &'a Order<'a>) -> BoxFuture<'a, Result<Signed, Failure>> {
        Box::pin(self.0.answer_to(order))
    }

    fn revoked<'a>(&'a self, serial: &'a str) -> BoxFuture<'a, Result<Option<Time>, Failure>> {
        self.0.events.add("ask whether it is revoked".to_owned());
        let revoked = self.0.revoked.lock().expect("revoked").contains(&serial.to_owned());
        Box::pin(async move { Ok(revoked.then(time_of_day::now)) })
    }

    fn revoke<'a>(&'a self, serials: &'a [String]) -> BoxFuture<'a, Result<Revocations, Failure>> {
        let one = |serial: &String| {
            self.0.events.add("revoke".to_owned());
            if *self.0.answers.lock().expect("answers") == Answers::RefusesToRevoke {
                return Err(Failure::new(Stage::Issue, Code::PermissionDenied, "the policy says no"));
            }
            self.0.revoked.lock().expect("revoked").push(serial.clone());
            Ok(())
        };
        let answers = serials.iter().map(one).collect();
        Box::pin(async { Ok(Revocations { answers, warnings: Vec::new() }) })
    }

    fn close(&self) -> BoxFuture<'_, Vec<Warning>> {
        Box::pin(async { Vec::new() })
    }
}
