//! The proof: the new leaf seen on the wire, what a driver proves by itself, or the files read back where there is neither. A reload's exit
//! code proves nothing.

mod check;
mod drivers;
mod wire;

use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;

use self::drivers::by_drivers;
pub use self::drivers::{Asked, Deployment};
use super::issue::Issuer;
use super::swap::Published;
use crate::config::service::{Deployed, Seen, Shown};
use crate::config::settings::{Certificate, Endpoint};
use crate::judge::cert::Facts;
use crate::model::anchor::{Anchor, Fingerprint};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Warning};
use crate::model::state::Proof;

/// How long the endpoint of a partly stopped certificate is waited for.
const STOPPED: Duration = Duration::from_secs(1);

/// A published generation that was seen in use, or whose services are all stopped. Only what looks for that makes one.
#[derive(Debug)]
pub struct Proven {
    published: Published,
    proof: Proof,
    warnings: Vec<Warning>,
}

impl Proven {
    /// What drivers have to say about it.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What was proven.
    #[must_use]
    pub const fn published(&self) -> &Published {
        &self.published
    }

    /// How.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        self.proof
    }
}

/// What should be seen.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// Whose endpoints are looked at.
    pub certificate: &'a Certificate,
    /// Who is logged in at by it, where it is that of a login.
    pub login: Option<&'a dyn Issuer>,
    /// The pinned root that the served chain must lead to.
    pub anchors: Vec<&'a Anchor>,
    /// The leaf that should be served.
    pub leaf: Facts,
    /// The leaf that was served before: it tells an old one from a foreign one.
    pub previous: Option<Fingerprint>,
    /// `$CREDENTIALS_DIRECTORY`, for the keys of client certificates.
    pub credentials: Option<&'a Path>,
    /// For deadlines and validity.
    pub clock: Clock,
}

/// One endpoint and what should be served there.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Where.
    pub endpoint: &'a Endpoint,
    /// What.
    pub claim: &'a Claim<'a>,
    /// How long to wait for it.
    pub deadline: Duration,
}

/// Who looks at what is served. A run looks on the wire ([`Wire`]).
pub trait Prover: Send + Sync {
    /// Looks until the leaf is served steadily.
    ///
    /// # Errors
    /// Stage `verify`, when it is not before the deadline: codes `old-leaf other-leaf unreachable handshake-refused untrusted`.
    fn until_steady<'a>(&'a self, look: Look<'a>) -> BoxFuture<'a, Result<(), Failure>>;

    /// Looks once.
    ///
    /// # Errors
    /// As [`Prover::until_steady`].
    fn once<'a>(&'a self, look: Look<'a>) -> BoxFuture<'a, Result<(), Failure>>;
}

/// Looks by TLS handshakes.
#[derive(Clone, Copy, Debug)]
pub struct Wire;

impl Prover for Wire {
    fn until_steady<'a>(&'a self, look: Look<'a>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { look.until_steady().await })
    }

    fn once<'a>(&'a self, look: Look<'a>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { look.once(&mut None).await })
    }
}

/// Looks for the proof of a published generation at every endpoint of its settings, then by its programs, then by every driver that has a
/// proof of its own, and where there is neither endpoint nor program by reading it back.
///
/// # Errors
/// The value and why: codes `old-leaf other-leaf unreachable handshake-refused untrusted check-failed`, and those of the drivers.
pub async fn prove(
    prover: &dyn Prover,
    published: Published,
    claim: &Claim<'_>,
    deployment: &Deployment<'_>,
) -> Result<Proven, Box<(Published, Failure)>> {
    let seen = seen_in_use(prover, claim, deployment).await;
    let Certificate { verify, checks, .. } = claim.certificate;
    let is_read_back = || if verify.is_empty() && checks.is_empty() { published.read_back() } else { Ok(()) };
    match seen.and_then(|shown| is_read_back().map(|()| shown)) {
        Err(why) => Err(Box::new((published, why))),
        Ok(Shown { seen, warnings }) => {
            let proof = match seen {
                _ if deployment.some_stopped => Proof::ServiceStopped,
                Seen::Leaf => Proof::Served,
                Seen::Read | Seen::Nothing => Proof::File,
            };
            Ok(Proven { published, proof, warnings })
        }
    }
}

/// The most that was seen at endpoints, by programs and by drivers.
async fn seen_in_use(prover: &dyn Prover, claim: &Claim<'_>, deployment: &Deployment<'_>) -> Result<Shown, Failure> {
    let at_endpoints = at_endpoints(prover, claim, deployment).await?;
    let by_programs = check::all(claim, deployment).await?;
    let own = by_drivers(deployment).await?;
    if let Some(issuer) = claim.login {
        issuer.log_in_with(&deployment.deployed.certificate, deployment.deployed.generation).await?;
        return Ok(Shown { seen: Seen::Leaf, ..own });
    }
    Ok(Shown { seen: own.seen.max(by_programs).max(at_endpoints), ..own })
}

async fn at_endpoints(prover: &dyn Prover, claim: &Claim<'_>, deployment: &Deployment<'_>) -> Result<Seen, Failure> {
    let Deployment { linger_until, some_stopped, .. } = *deployment;
    let mut seen = Seen::Nothing;
    for endpoint in &claim.certificate.verify {
        let limit = if some_stopped { endpoint.deadline.min(STOPPED) } else { endpoint.deadline };
        // Whatever a driver says, half of the time is left for looking.
        let early = linger_until.saturating_duration_since(claim.clock.instant()).min(limit / 2);
        if !early.is_zero() {
            tokio::time::sleep(early).await;
        }
        let deadline = limit.saturating_sub(early);
        match prover.until_steady(Look { endpoint, claim, deadline }).await {
            Err(why) if some_stopped && why.code == Code::Unreachable => {}
            Err(why) => return Err(why),
            Ok(()) => seen = Seen::Leaf,
        }
    }
    Ok(seen)
}

/// The proof of a generation whose services were all found stopped: it is proven once one runs. A service whose state rests on a pid file
/// may run all the same: an endpoint must not serve anything but the new leaf.
///
/// # Errors
/// The value and why: something else is served, so a service is not stopped but was not reached.
pub async fn all_stopped(
    prover: &dyn Prover,
    published: Published,
    claim: &Claim<'_>,
    is_certain: bool,
) -> Result<Proven, Box<(Published, Failure)>> {
    let endpoints = if is_certain { &[] } else { claim.certificate.verify.as_slice() };
    for endpoint in endpoints {
        match prover.once(Look { endpoint, claim, deadline: STOPPED }).await {
            Err(why) if !matches!(why.code, Code::Unreachable | Code::HandshakeRefused) => {
                let why = why.hint("the pid file of its service names no running one, but something answers: check `pid` in `reload`");
                return Err(Box::new((published, why)));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(Proven { published, proof: Proof::ServiceStopped, warnings: Vec::new() })
}

/// Whether a leaf is what the endpoints serve (again), and what the programs say is in use: the judge of a revert, since a reload's exit is
/// none.
///
/// # Errors
/// Stage `verify`, when something else is served or used.
pub async fn serves(prover: &dyn Prover, claim: &Claim<'_>, deployed: &Deployed) -> Result<(), Failure> {
    for endpoint in &claim.certificate.verify {
        prover.until_steady(Look { endpoint, claim, deadline: endpoint.deadline }).await?;
    }
    check::each(claim, deployed).await
}
