//! Issuers: one suite over all of them, a real OpenBao and a CA in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use omens::config::settings::{Certificate, IssuerSettings, Settings};
use omens::config::{LoadOptions, load};
use omens::model::anchor::Anchor;
use omens::model::code::Code;
use omens::model::failure::{Failure, Stage, Warning};
use omens::model::name::Generation;
use omens::model::request::Request;
use omens::steps::attest::AttestationGate;
use omens::steps::issue::{self, Issued, Issuer, OpenBaoIssuer, Wanted};
use omens::steps::key::{FileStore, Key, KeyStore};
use omens::steps::validate::{Against, Unvalidated, validate};

use crate::fakes::clock;
use crate::fakes::issuer::{Answer, FakeBudget, FakeIssuer, Wrong};
use crate::fakes::keys::DeviceStore;
use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::{Hostile, Lie};
use crate::lab::openbao::OpenBao;
use crate::lab::runtime;

const SECONDS: Duration = Duration::from_secs(20);

fn settings(estate: &Estate) -> Settings {
    let options = LoadOptions { file: estate.settings(), credentials: None, check_secrets: true, drivers: omens::steps::service::DRIVERS };
    load(&options).unwrap_or_else(|why| panic!("{why:#?}"))
}

/// A key of this certificate, and what comes of having it certified.
async fn certify(
    issuer: &dyn Issuer,
    store: &dyn KeyStore,
    certificate: &Certificate,
    budget: &FakeBudget,
    until: Instant,
) -> Result<Issued, Failure> {
    let attested = AttestationGate::open().pass(clock()).await?;
    let asking = issue::open(&attested, issuer, until).await?;
    let key: Key = store.make(certificate.name(), Generation(1), certificate.request.algorithm)?;
    let wanted = Wanted { request: &certificate.request, issuer: &certificate.issuer, budget };
    asking.issue(key, wanted).await
}

fn judged(issued: Issued, certificate: &Certificate, anchor: &Anchor) -> Result<(), Failure> {
    let (key, signed) = issued.into_parts();
    let answer = Unvalidated { leaf_pem: signed.leaf_pem, others: signed.others, spki: key.spki().to_vec() };
    let (request, issuer) = (&certificate.request, &certificate.issuer);
    let against = Against { request, issuer, mount: "pki_int", anchors: vec![anchor], serves_until: None };
    let judged = validate(answer, &against, clock().now());
    judged.map(drop).map_err(|(_, rejection)| rejection.failure)
}

/// An implementation, and what its tests know of it.
struct Subject<'a> {
    issuer: &'a dyn Issuer,
    anchor: Anchor,
    certificate: Certificate,
    /// The same for something that the authority refuses for good.
    refused: Certificate,
    /// How many signing requests have reached it.
    asked: &'a dyn Fn() -> usize,
}

/// What every issuer must hold to.
async fn conformance(subject: Subject<'_>) {
    let Subject { issuer, anchor, certificate, refused, asked } = subject;
    let soon = || Instant::now() + SECONDS;
    assert_eq!(asked(), 0, "nothing is asked before it is opened");
    issuer.open().await.unwrap();
    issuer.open().await.unwrap();
    assert_eq!(asked(), 0, "opening asks for no signature");

    // What is signed is what was asked for, whoever holds the key; and each request is counted once.
    let device = DeviceStore::default();
    for store in [&FileStore as &dyn KeyStore, &device] {
        let (before, budget) = (asked(), FakeBudget::of(3));
        let issued = certify(issuer, store, &certificate, &budget, soon()).await.unwrap();
        judged(issued, &certificate, &anchor).unwrap();
        assert_eq!((asked() - before, budget.taken(), budget.given_back()), (1, 1, 0));
    }

    // The budget's word comes back untouched, and nothing is sent.
    let (before, budget) = (asked(), FakeBudget::of(0));
    let why = certify(issuer, &FileStore, &certificate, &budget, soon()).await.unwrap_err();
    assert_eq!((why.code, why.text.as_str(), asked() - before), (Code::Exhausted, "the fake's budget is used up", 0));

    // A refusal for good is given back.
    let (before, budget) = (asked(), FakeBudget::of(3));
    let why = certify(issuer, &FileStore, &refused, &budget, soon()).await.unwrap_err();
    assert_eq!((why.stage, why.code, why.hint.is_some()), (Stage::Issue, Code::RoleRefused, true), "{why:?}");
    assert_eq!((budget.taken(), budget.given_back(), asked() - before), (1, 1, 1));

    // A time that has ended.
    let (before, budget) = (asked(), FakeBudget::of(3));
    let why = certify(issuer, &FileStore, &certificate, &budget, Instant::now()).await.unwrap_err();
    assert_eq!((why.stage, why.code, asked() - before), (Stage::Issue, Code::Unreachable, 0), "{why:?}");

    // Many at a time.
    let (before, budget) = (asked(), FakeBudget::of(8));
    let one = || certify(issuer, &FileStore, &certificate, &budget, soon());
    for issued in futures_util::future::join_all((0..8).map(|_| one())).await {
        judged(issued.unwrap(), &certificate, &anchor).unwrap();
    }
    assert_eq!((asked() - before, budget.taken()), (8, 8));

    assert_eq!(issuer.close().await, Vec::<Warning>::new());
    assert_eq!(issuer.close().await, Vec::<Warning>::new(), "closing again is nothing");
}

fn other_name(certificate: &Certificate) -> Certificate {
    let request = Request { common_name: "elsewhere.example".to_owned(), ..certificate.request.clone() };
    Certificate { request, ..certificate.clone() }
}

#[test]
fn openbao_signs_as_an_issuer_must() {
    let bao = OpenBao::shared();
    let estate = Estate::at(bao).with(Cert::web("web"));
    let settings = settings(&estate);
    let certificate = settings.certificates[0].clone();
    let issuer = issue::of(&settings, clock(), None);
    assert_eq!(bao.paths(&estate.login).len(), 0, "nothing is sent before it is opened");
    let login = estate.login.clone();
    let before = bao.signed(&login);
    runtime().block_on(conformance(Subject {
        issuer: &*issuer,
        anchor: settings.anchor.clone(),
        refused: other_name(&certificate),
        certificate,
        asked: &|| bao.signed(&login) - before,
    }));
    let revoked = bao.paths(&estate.login).iter().filter(|path| path.contains("revoke-self")).count();
    assert_eq!(revoked, 1, "one login, ended once: {:?}", bao.paths(&estate.login));
}

#[test]
fn the_ca_in_memory_signs_as_an_issuer_must() {
    let estate = Hostile::start().estate();
    let certificate = settings(&estate).certificates[0].clone();
    let fake = Arc::new(FakeIssuer::new());
    let refused = other_name(&certificate);
    let issuer = Picky { fake: fake.clone(), refused: refused.request.common_name.clone() };
    let asked = || fake.asked();
    runtime().block_on(conformance(Subject { issuer: &issuer, anchor: fake.anchor(), refused, certificate, asked: &asked }));
    assert_eq!(fake.closed(), 2);
}

/// The CA in memory with a role that refuses one name.
#[derive(Debug)]
struct Picky {
    fake: Arc<FakeIssuer>,
    refused: String,
}

impl Issuer for Picky {
    fn open(&self) -> futures_util::future::BoxFuture<'_, Result<(), Failure>> {
        self.fake.open()
    }

    fn sign<'a>(
        &'a self,
        order: &'a issue::Order<'a>,
    ) -> futures_util::future::BoxFuture<'a, Result<omens::model::request::Signed, Failure>> {
        let refusal = Answer::Refused(Code::RoleRefused, "no such name".to_owned());
        self.fake.answer(if order.request.common_name == self.refused { refusal } else { Answer::Good });
        self.fake.sign(order)
    }

    fn revoked<'a>(&'a self, serial: &'a str) -> futures_util::future::BoxFuture<'a, Result<Option<omens::model::clock::Time>, Failure>> {
        self.fake.revoked(serial)
    }

    fn revoke<'a>(
        &'a self,
        serials: &'a [String],
    ) -> futures_util::future::BoxFuture<'a, Result<omens::steps::issue::Revocations, Failure>> {
        self.fake.revoke(serials)
    }

    fn close(&self) -> futures_util::future::BoxFuture<'_, Vec<Warning>> {
        self.fake.close()
    }
}

#[test]
fn the_ca_in_memory_does_wrong_when_told() {
    let estate = Hostile::start().estate();
    let certificate = settings(&estate).certificates[0].clone();
    let fake = FakeIssuer::new();
    let soon = || Instant::now() + SECONDS;
    runtime().block_on(async {
        for (wrong, id) in [
            (Wrong::Key, "pair.mismatch"),
            (Wrong::Name, "name.extra"),
            (Wrong::Expired, "validity.expired"),
            (Wrong::Root, "anchor.other-key"),
            (Wrong::Chain, "path.missing-intermediate"),
        ] {
            fake.answer(Answer::Wrong(wrong));
            let issued = certify(&fake, &FileStore, &certificate, &FakeBudget::of(1), soon()).await.unwrap();
            let why = judged(issued, &certificate, &fake.anchor()).unwrap_err();
            assert!(why.text.contains(id), "{wrong:?}: {why:?}");
        }
        fake.answers(&[Answer::Lost, Answer::Good]);
        let (before, budget) = (fake.signed(), FakeBudget::of(2));
        let why = certify(&fake, &FileStore, &certificate, &budget, soon()).await.unwrap_err();
        assert_eq!((why.code, fake.signed() - before, budget.taken(), budget.given_back()), (Code::Unreachable, 1, 1, 0));
        certify(&fake, &FileStore, &certificate, &budget, soon()).await.unwrap();
        fake.answer(Answer::Silence);
        let quick = Instant::now() + Duration::from_millis(50);
        let why = certify(&fake, &FileStore, &certificate, &FakeBudget::of(1), quick).await.unwrap_err();
        assert_eq!(why.code, Code::Unreachable);
        let asked = fake.asked();
        fake.refuse_to_open(Failure::new(Stage::Issue, Code::ServerSealed, "it is sealed"));
        let why = certify(&fake, &FileStore, &certificate, &FakeBudget::of(1), soon()).await.unwrap_err();
        assert_eq!((why.code, fake.asked() - asked), (Code::ServerSealed, 0));
    });
}

/// A key that cannot sign any more costs no request.
#[test]
fn a_device_that_went_away_costs_no_signature() {
    let estate = Hostile::start().estate();
    let certificate = settings(&estate).certificates[0].clone();
    let (fake, store, budget) = (FakeIssuer::new(), DeviceStore::default(), FakeBudget::of(1));
    let why = runtime().block_on(async {
        let attested = AttestationGate::open().pass(clock()).await.unwrap();
        let asking = issue::open(&attested, &fake, Instant::now() + SECONDS).await.unwrap();
        let key = store.make(certificate.name(), Generation(1), certificate.request.algorithm).unwrap();
        store.away(true);
        asking.issue(key, Wanted { request: &certificate.request, issuer: &certificate.issuer, budget: &budget }).await.unwrap_err()
    });
    assert_eq!((why.stage, why.code, fake.asked(), budget.taken()), (Stage::Seal, Code::TpmUnreachable, 0, 0));
}

/// A run that needs nothing signed asks nothing, also at its end.
#[test]
fn an_issuer_that_nobody_opened_is_closed_in_silence() {
    let hostile = Hostile::start();
    let settings = settings(&hostile.estate());
    let warnings = runtime().block_on(OpenBaoIssuer::new(&settings, clock()).close());
    assert_eq!((warnings, hostile.requests().len()), (Vec::new(), 0));
}

/// A token that is refused as soon as it was granted is refused for a reason that another login does not cure.
#[test]
fn a_token_that_was_never_accepted_is_not_replaced() {
    let hostile = Hostile::start();
    let settings = settings(&hostile.estate());
    let issuer = OpenBaoIssuer::new(&settings, clock());
    hostile.lie(Lie::TokenDenied);
    runtime().block_on(async {
        let budget = FakeBudget::of(3);
        let why = certify(&issuer, &FileStore, &settings.certificates[0], &budget, Instant::now() + SECONDS).await.unwrap_err();
        assert_eq!((why.code, budget.taken(), budget.given_back()), (Code::PermissionDenied, 1, 1));
        issuer.close().await;
    });
    let count = |part: &str| hostile.requests().iter().filter(|request| request.path.contains(part)).count();
    assert_eq!((count("/login"), count("/sign/")), (1, 1));
}

/// The one repetition of a login belongs to the session, whichever of its tasks finds the token refused.
#[test]
fn a_refused_token_is_replaced_once_for_all_tasks() {
    let hostile = Hostile::start();
    let settings = settings(&hostile.estate());
    let certificate = &settings.certificates[0];
    assert!(matches!(&certificate.issuer, IssuerSettings::OpenBao { role } if role == "web-ec"));
    let issuer = OpenBaoIssuer::new(&settings, clock());
    hostile.lies(&[Lie::Nothing, Lie::TokenDenied, Lie::Nothing]);
    runtime().block_on(async {
        let budget = FakeBudget::of(4);
        certify(&issuer, &FileStore, certificate, &budget, Instant::now() + SECONDS).await.unwrap();
        assert_eq!((budget.taken(), budget.given_back()), (1, 0));
        certify(&issuer, &FileStore, certificate, &budget, Instant::now() + SECONDS).await.unwrap();
        assert_eq!((budget.taken(), budget.given_back()), (3, 1));
        hostile.lie(Lie::TokenDenied);
        let why = certify(&issuer, &FileStore, certificate, &budget, Instant::now() + SECONDS).await.unwrap_err();
        assert_eq!(why.code, Code::PermissionDenied);
        issuer.close().await;
    });
    let count = |part: &str| hostile.requests().iter().filter(|request| request.path.contains(part)).count();
    assert_eq!((count("sys/health"), count("/login"), count("revoke-self")), (1, 2, 1));
}
