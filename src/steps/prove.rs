//! The proof: the new leaf seen on the wire, what a driver proves by itself, or the files read back where there is neither. A reload's exit
//! code proves nothing.

mod drivers;

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use self::drivers::by_drivers;
pub use self::drivers::{Asked, Deployment};
use super::swap::Published;
use crate::config::service::{Seen, Shown};
use crate::config::settings::{Certificate, Endpoint, ServerName};
use crate::io::handshake::{self, NotSeen, Target};
use crate::judge::cert::Facts;
use crate::judge::{self, pair};
use crate::model::anchor::{Anchor, Fingerprint};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::state::Proof;

/// Handshakes in a row that must show the new leaf: old nginx workers answer for up to 130 ms after the first new answer
/// ([nginx](crate::steps#nginx)).
const IN_A_ROW: u32 = 5;
/// The time those handshakes must span.
const SPAN: Duration = Duration::from_millis(300);
/// Between two handshakes; five of them take [`SPAN`].
const PAUSE: Duration = Duration::from_millis(76);
/// One handshake's own limit.
const ONE_LOOK: Duration = Duration::from_secs(5);
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
    /// The pinned root that the served chain must lead to.
    pub anchor: &'a Anchor,
    /// The leaf that should be served.
    pub leaf: Facts,
    /// The leaf that was served before: it tells an old one from a foreign one.
    pub previous: Option<Fingerprint>,
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

/// Looks for the proof of a published generation at every endpoint of its settings, then by every driver that has a proof of its own, and
/// where there is no endpoint by reading it back.
///
/// # Errors
/// The value and why: codes `old-leaf other-leaf unreachable handshake-refused untrusted`, and those of the drivers.
pub async fn prove(
    prover: &dyn Prover,
    published: Published,
    claim: &Claim<'_>,
    deployment: &Deployment<'_>,
) -> Result<Proven, Box<(Published, Failure)>> {
    let seen = match at_endpoints(prover, claim, deployment.some_stopped).await {
        Ok(seen) => by_drivers(deployment).await.map(|own| Shown { seen: own.seen.max(seen), ..own }),
        Err(why) => Err(why),
    };
    let is_read_back = || if claim.certificate.verify.is_empty() { published.read_back() } else { Ok(()) };
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

async fn at_endpoints(prover: &dyn Prover, claim: &Claim<'_>, some_stopped: bool) -> Result<Seen, Failure> {
    let mut seen = Seen::Nothing;
    for endpoint in &claim.certificate.verify {
        let deadline = if some_stopped { endpoint.deadline.min(STOPPED) } else { endpoint.deadline };
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
                let why = why.hint("its pid file names no running nginx, but something answers: check `pid` in `reload`");
                return Err(Box::new((published, why)));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(Proven { published, proof: Proof::ServiceStopped, warnings: Vec::new() })
}

/// Whether a leaf is what the endpoints serve (again): the judge of a revert, since a reload's exit is none.
///
/// # Errors
/// Stage `verify`, when something else is served.
pub async fn serves(prover: &dyn Prover, claim: &Claim<'_>) -> Result<(), Failure> {
    for endpoint in &claim.certificate.verify {
        prover.until_steady(Look { endpoint, claim, deadline: endpoint.deadline }).await?;
    }
    Ok(())
}

impl Look<'_> {
    async fn until_steady(&self) -> Result<(), Failure> {
        let end = self.claim.clock.instant() + self.deadline;
        let mut streak: Option<(Instant, u32)> = None;
        // The judgement of a chain is kept for the next equal one: five handshakes, two RSA-4096 signatures once.
        let mut trusted: Option<Vec<Vec<u8>>> = None;
        loop {
            match self.once(&mut trusted).await {
                Ok(()) => {
                    let now = self.claim.clock.instant();
                    let (since, count) = streak.unwrap_or((now, 0));
                    if count + 1 >= IN_A_ROW && now.saturating_duration_since(since) >= SPAN {
                        return Ok(());
                    }
                    streak = Some((since, count + 1));
                }
                Err(why) if self.claim.clock.instant() >= end => return Err(why),
                Err(_) => streak = None,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn once(&self, trusted: &mut Option<Vec<Vec<u8>>>) -> Result<(), Failure> {
        let server_name = match &self.endpoint.server_name {
            ServerName::Dns(name) => name.clone(),
            ServerName::Ip(address) => address.to_string(),
        };
        let target = Target {
            address: self.endpoint.address.clone(),
            server_name: server_name.clone(),
            only: pair::algorithm_of_spki(&self.claim.leaf.spki).ok(),
            deadline: ONE_LOOK.min(self.deadline.max(STOPPED)),
        };
        let seen = handshake::look(&target, self.claim.clock).await.map_err(|why| self.not_seen(&why))?;
        let served_leaf = seen.chain.first().map(|der| Fingerprint::of(der));
        if served_leaf.as_ref() != Some(&self.claim.leaf.sha256) {
            return Err(self.another(served_leaf.as_ref()));
        }
        if trusted.as_ref() != Some(&seen.chain) {
            judge::served(self.claim.anchor, &seen.chain, &server_name, self.claim.clock.now()).map_err(|why| self.untrusted(&why))?;
            *trusted = Some(seen.chain);
        }
        Ok(())
    }

    fn another(&self, found: Option<&Fingerprint>) -> Failure {
        let address = &self.endpoint.address;
        let found_text = found.map_or_else(|| "no certificate".to_owned(), |f| format!("leaf {f}"));
        if found.is_some() && found == self.claim.previous.as_ref() {
            return Failure::new(Stage::Verify, Code::OldLeaf, format!("{address} still serves the previous certificate, {found_text}"))
                .hint("the service did not read the new files: look at its own log, and at the paths in its configuration");
        }
        let text = format!("{address} serves another certificate: expected leaf {}, found {found_text}", self.claim.leaf.sha256);
        Failure::new(Stage::Verify, Code::OtherLeaf, text)
            .hint("check `address` and `server_name` in `verify`, and which files the service's configuration names")
    }

    fn untrusted(&self, why: &str) -> Failure {
        Failure::new(
            Stage::Verify,
            Code::Untrusted,
            format!("{} serves the expected leaf, but its chain is not good: {why}", self.endpoint.address),
        )
        .hint("let the service send fullchain.pem (leaf and intermediates), not cert.pem alone")
    }

    fn not_seen(&self, why: &NotSeen) -> Failure {
        match why {
            NotSeen::Refused { plain_http, .. } => {
                let hint = if *plain_http {
                    "that port speaks plain HTTP: name the TLS port in `verify`, or switch TLS on there (nginx: `listen … ssl`)"
                } else {
                    "the service has no certificate for this name and key type; look at its log"
                };
                Failure::new(Stage::Verify, Code::HandshakeRefused, why.to_string()).hint(hint)
            }
            NotSeen::Stalled(_) | NotSeen::Unreachable(_) => Failure::new(Stage::Verify, Code::Unreachable, why.to_string())
                .hint("is the service running and listening there? see `address` in `verify`"),
        }
    }
}
