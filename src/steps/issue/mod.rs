//! Issue: a new key on this host and a certificate for it by CSR. It must never send the key, ask for more names than the request has, or
//! judge what comes back: that is `validate`.

mod key;
mod login;
mod session;

use std::time::{Duration, Instant};

use crate::io::openbao::Signed;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::name::CertName;
use crate::model::request::Request;
use crate::model::secret::PlainKey;

pub(crate) use login::log_in;
pub use session::Session;
pub(crate) use session::ask_health;

/// A certificate's issuing ends within this (CONTRACT), session, login and waits included.
pub const LIMIT: Duration = Duration::from_secs(45);

/// A certification authority that signs CSRs; the joint for others than OpenBao.
pub trait Issuer: Sync {
    /// Has `csr` (PEM, PKCS #10) signed as `request` says, before `until`. Asks `budget` before each signing request it sends.
    ///
    /// # Errors
    /// Stage `issue`. What `budget` says comes back untouched.
    fn sign<B: Budget>(
        &self,
        request: &Request,
        csr: &str,
        budget: &B,
        until: Instant,
    ) -> impl Future<Output = Result<Signed, Failure>> + Send;
}

/// The signing requests a certificate may still send (ONDISK, "Budget").
pub trait Budget: Sync {
    /// Counts one request; it is durable when this returns, and only then is the request sent.
    ///
    /// # Errors
    /// `exhausted`, or the count cannot be kept: nothing may be sent.
    fn take(&self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Takes that back: the authority has answered, and did not sign.
    fn give_back(&self) -> impl Future<Output = ()> + Send;
}

/// A key and what an authority signed for it. Nothing in it has been checked.
#[derive(Debug)]
pub struct Issued {
    key: PlainKey,
    signed: Signed,
}

impl Issued {
    /// The key and the answer.
    #[must_use]
    pub fn into_parts(self) -> (PlainKey, Signed) {
        (self.key, self.signed)
    }
}

/// Makes a key and has it certified.
///
/// # Errors
/// Stage `issue`, before `until`. A signing request that was under way when the time ended stays counted.
pub async fn issue<I: Issuer, B: Budget>(issuer: &I, request: &Request, budget: &B, until: Instant) -> Result<Issued, Failure> {
    let made = tokio::time::timeout_at(until.into(), key::make(request)).await;
    let (key, csr) = made.unwrap_or_else(|_| Err(too_slow(&request.name)))?;
    let signed = issuer.sign(request, &csr, budget, until).await?;
    Ok(Issued { key, signed })
}

fn too_slow(name: &CertName) -> Failure {
    let text = format!("no certificate for {name} within {} s", LIMIT.as_secs());
    Failure::new(Stage::Issue, Code::Unreachable, text).hint("OpenBao answers too slowly; the next run tries again")
}
