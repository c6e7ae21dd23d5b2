//! Issue: a certificate by CSR for a key of this host. It must never ask before the host's state was vouched for where that is required, send
//! a key, ask for more names than the request has, or judge what comes back: that is `validate`.
//!
//! # How to add an issuer
//! 1. `config/settings.rs`: a variant of [`IssuerSettings`] with what a certificate says of it, and the reader of that; what a host says of
//!    it once is a table of its own, beside `[openbao]`.
//! 2. A file here that implements [`Issuer`].
//! 3. A line in [`of`].
//!
//! Everything before and after is the same for all: the CSR is made here, the budget is counted on disk, what comes back is judged by
//! `validate`. `tests/it/issuer.rs` runs one suite over every implementation; a new one joins it there.

mod csr;
mod openbao;
mod revoke;
mod roles;
mod unrevoked;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::config::settings::{IssuerSettings, Settings};
use crate::io::tpm::connection::Connection;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::login_end::Logins;
use crate::model::name::{CertName, Generation};
use crate::model::request::{Request, Signed};
use crate::steps::attest::Attested;
use crate::steps::key::Key;

pub use crate::io::openbao::RefusedKey;
pub use openbao::OpenBaoIssuer;
pub use roles::placed;

/// A certificate's issuing ends within this ([Limits](crate::cli#limits)), session, login and waits included.
pub const LIMIT: Duration = Duration::from_secs(45);

/// What came of asking for revocations.
#[derive(Debug)]
pub struct Revocations {
    /// The answer to each serial number, in order.
    pub answers: Vec<Result<(), Failure>>,
    /// What is to be said of the login.
    pub warnings: Vec<Warning>,
}

/// A certification authority that signs CSRs, for one run: one of the four joints. Any number of tasks may use it at a time.
pub trait Issuer: std::fmt::Debug + Send + Sync {
    /// Finds out whether the authority can be asked at all, the first time; after that it gives the same answer without asking again. The
    /// first certificate that needs the authority opens it; where nothing is due nobody does, and nothing is sent.
    ///
    /// # Errors
    /// Stage `issue`, for every certificate of the run.
    fn open(&self) -> BoxFuture<'_, Result<(), Failure>>;

    /// Has a CSR signed. Asks the order's budget before each signing request that it sends, and gives a request back that the authority
    /// has definitely not signed. Opens the authority where that was not done.
    ///
    /// # Errors
    /// Stage `issue`, before the order's time ends. What the budget says comes back untouched.
    fn sign<'a>(&'a self, order: &'a Order<'a>) -> BoxFuture<'a, Result<Signed, Failure>>;

    /// Logs in with a certificate of ours that was just published, and goes on by that login: the proof that it can be used. Only an authority
    /// that is logged in at by such a certificate is asked this.
    ///
    /// # Errors
    /// Stage `verify`: it is not granted. The login before it stays.
    fn log_in_with<'a>(&'a self, identity: &'a CertName, generation: Generation) -> BoxFuture<'a, Result<(), Failure>> {
        let text = format!("nobody is logged in at by {identity} {generation}");
        Box::pin(std::future::ready(Err(Failure::new(Stage::Verify, Code::NotAvailable, text))))
    }

    /// When the authority revoked a certificate of its own; `None` where it did not, or does not know it. Opens the authority where that was
    /// not done.
    ///
    /// # Errors
    /// Stage `issue`: it does not say.
    fn revoked<'a>(&'a self, serial: &'a str) -> BoxFuture<'a, Result<Option<Time>, Failure>>;

    /// Has certificates revoked, by their serial numbers and a login that may do that and nothing else.
    ///
    /// # Errors
    /// Stage `issue`, for all of them: no such login, or it is refused.
    fn revoke<'a>(&'a self, serials: &'a [String]) -> BoxFuture<'a, Result<Revocations, Failure>>;

    /// What became known in this run of how long its logins go on, asked before it is closed. Never fails a run.
    fn logins(&self) -> BoxFuture<'_, Logins> {
        Box::pin(std::future::ready(Logins::none()))
    }

    /// Keys of this host's own certificates that did not sign when the authority was to be logged in at by them.
    fn refused_keys(&self) -> Vec<RefusedKey> {
        Vec::new()
    }

    /// Ends what was begun there, such as a login, and gives what is worth saying about the run as a whole. Never fails a run.
    fn close(&self) -> BoxFuture<'_, Vec<Warning>>;
}

/// The issuer of a run.
#[must_use]
pub fn of(settings: &Settings, clock: Clock, tpm: Option<Connection>) -> Arc<dyn Issuer> {
    Arc::new(OpenBaoIssuer::new(settings, clock).over(settings, tpm))
}

/// One CSR to sign.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// What is asked for.
    pub request: &'a Request,
    /// What the certificate says of its issuer.
    pub issuer: &'a IssuerSettings,
    /// PEM (PKCS #10, RFC 2986).
    pub csr: &'a str,
    /// Asked before each signing request.
    pub budget: &'a dyn Budget,
    /// When the answer must be there.
    pub until: Instant,
}

impl std::fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("request", self.request).field("issuer", self.issuer).finish_non_exhaustive()
    }
}

/// The signing requests a certificate may still send ([Budget](crate::steps::swap#budget)).
pub trait Budget: Send + Sync {
    /// Counts one request; it is durable when this returns, and only then is the request sent.
    ///
    /// # Errors
    /// `exhausted`, or the count cannot be kept: nothing may be sent.
    fn take(&self) -> BoxFuture<'_, Result<(), Failure>>;

    /// Takes that back: the authority has answered, and did not sign.
    fn give_back(&self) -> BoxFuture<'_, ()>;
}

/// What an authority signed for a key. Nothing in it has been checked.
#[derive(Debug)]
pub struct Issued {
    key: Key,
    signed: Signed,
}

impl Issued {
    /// The key and the answer.
    #[must_use]
    pub fn into_parts(self) -> (Key, Signed) {
        (self.key, self.signed)
    }
}

/// An authority that may be asked: the host was vouched for, or need not be, and the authority is open.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    issuer: &'a dyn Issuer,
    until: Instant,
}

impl std::fmt::Debug for Asking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asking").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Opens the authority for one certificate, whose issuing ends at `until`. Nothing is asked of an authority to be signed without what the gate gives.
///
/// # Errors
/// Stage `issue`: it cannot be asked now.
pub async fn open<'a>(_: &Attested, issuer: &'a dyn Issuer, until: Instant) -> Result<Asking<'a>, Failure> {
    let opened = tokio::time::timeout_at(until.into(), issuer.open()).await;
    opened.unwrap_or_else(|_| Err(no_answer()))?;
    Ok(Asking { issuer, until })
}

/// What is to be issued.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// What is asked for.
    pub request: &'a Request,
    /// What the certificate says of its issuer.
    pub issuer: &'a IssuerSettings,
    /// What it may still ask for.
    pub budget: &'a dyn Budget,
}

impl std::fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wanted").field("request", self.request).field("issuer", self.issuer).finish_non_exhaustive()
    }
}

impl Asking<'_> {
    /// Has a key certified.
    ///
    /// # Errors
    /// Stage `issue`, before the time ends, or why the key cannot sign. A signing request that was under way when the time ended stays
    /// counted.
    pub async fn issue(&self, key: Key, wanted: Wanted<'_>) -> Result<Issued, Failure> {
        let Wanted { request, issuer, budget } = wanted;
        let csr = {
            let (key, request) = (key.clone(), request.clone());
            let signed = tokio::task::spawn_blocking(move || csr::signed_by(key.handle(), &request));
            self.in_time(&wanted.request.name, signed).await?
        };
        let signed = self.issuer.sign(&Order { request, issuer, csr: &csr, budget, until: self.until }).await?;
        Ok(Issued { key, signed })
    }

    /// Work of other threads for this certificate, such as making its key: other certificates go on meanwhile.
    ///
    /// # Errors
    /// The work's own, or that the time has ended.
    pub async fn in_time<T>(&self, name: &CertName, work: JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
        let Ok(done) = tokio::time::timeout_at(self.until.into(), work).await else { return Err(too_slow(name)) };
        done.unwrap_or_else(|why| Err(Failure::new(Stage::Issue, Code::Interrupted, format!("the run is ending: {why}"))))
    }
}

fn no_answer() -> Failure {
    Failure::new(Stage::Issue, Code::Unreachable, "OpenBao did not answer in time").hint("the next run tries again")
}

fn too_slow(name: &CertName) -> Failure {
    let text = format!("no certificate for {name} within {} s", LIMIT.as_secs());
    Failure::new(Stage::Issue, Code::Unreachable, text).hint("OpenBao answers too slowly; the next run tries again")
}
