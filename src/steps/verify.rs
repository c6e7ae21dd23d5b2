//! The proof: the new leaf seen on the wire, or read back where there is no endpoint. A reload's exit code proves nothing.

use std::time::{Duration, Instant};

use super::swap::Published;
use crate::config::settings::{Endpoint, ServerName};
use crate::io::handshake::{self, NotSeen, Target};
use crate::judge::cert::Facts;
use crate::judge::{self, pair};
use crate::model::anchor::{Anchor, Fingerprint};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::state::Proof;

/// Handshakes in a row that must show the new leaf: old nginx workers answer for up to 130 ms after the first new answer (facts/host §3).
const IN_A_ROW: u32 = 5;
/// The time those handshakes must span.
const SPAN: Duration = Duration::from_millis(300);
/// Between two handshakes; five of them take [`SPAN`].
const PAUSE: Duration = Duration::from_millis(76);
/// One handshake's own limit.
const ONE_LOOK: Duration = Duration::from_secs(5);
/// How long the endpoint of a partly stopped certificate is waited for.
const STOPPED: Duration = Duration::from_secs(1);

/// A published generation with its proof. Only this file makes one.
#[derive(Debug)]
pub struct Proven {
    published: Published,
    proof: Proof,
}

impl Proven {
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

    /// A generation that stays although it is not proven, because there is none to go back to (ONDISK, "No way back"): it stays as debt.
    #[must_use]
    pub const fn no_way_back(published: Published) -> Self {
        Self { published, proof: Proof::None }
    }

    /// A generation with the certificate of the committed one and the same private key (`reseal`): what was known of that is known of it.
    #[must_use]
    pub const fn resealed(published: Published, proof: Proof) -> Self {
        Self { published, proof }
    }

    /// A generation whose services were all found stopped: to be proven once one runs.
    #[must_use]
    pub const fn services_stopped(published: Published) -> Self {
        Self { published, proof: Proof::ServiceStopped }
    }
}

/// Verifies a published generation at every endpoint of its settings. `previous` tells an old leaf from a foreign one; with `some_stopped`
/// an endpoint that nobody answers at is excused.
///
/// # Errors
/// The value and why: codes `old-leaf other-leaf unreachable handshake-refused untrusted`.
pub async fn verify(
    published: Published,
    previous: Option<&Fingerprint>,
    some_stopped: bool,
    clock: Clock,
) -> Result<Proven, Box<(Published, Failure)>> {
    let place = published.place().clone();
    let certificate = place.certificate();
    if certificate.verify.is_empty() {
        return match published.read_back() {
            Ok(()) => Ok(Proven { published, proof: if some_stopped { Proof::ServiceStopped } else { Proof::File } }),
            Err(why) => Err(Box::new((published, why))),
        };
    }
    let anchor = &place.settings().anchor;
    for endpoint in &certificate.verify {
        let mut look = Look { endpoint, leaf: published.facts(), previous, anchor, clock, deadline: endpoint.deadline };
        if some_stopped {
            look.deadline = look.deadline.min(STOPPED);
        }
        match look.until_steady().await {
            Err(why) if some_stopped && why.code == Code::Unreachable => {}
            Err(why) => return Err(Box::new((published, why))),
            Ok(()) => {}
        }
    }
    Ok(Proven { published, proof: if some_stopped { Proof::ServiceStopped } else { Proof::Served } })
}

/// Whether a leaf is what the endpoints serve (again): the judge of a revert, since a reload's exit is none.
///
/// # Errors
/// Stage `verify`, when something else is served.
pub async fn serves(endpoints: &[Endpoint], leaf: &Facts, anchor: &Anchor, clock: Clock) -> Result<(), Failure> {
    for endpoint in endpoints {
        Look { endpoint, leaf, previous: None, anchor, clock, deadline: endpoint.deadline }.until_steady().await?;
    }
    Ok(())
}

/// Looks once whether a service that is said to be stopped answers after all, with another certificate than this one.
///
/// # Errors
/// Stage `verify`: something answers, so the service is not stopped but was not reached.
pub async fn is_silent(
    endpoints: &[Endpoint],
    leaf: &Facts,
    previous: Option<&Fingerprint>,
    anchor: &Anchor,
    clock: Clock,
) -> Result<(), Failure> {
    for endpoint in endpoints {
        match (Look { endpoint, leaf, previous, anchor, clock, deadline: STOPPED }).once(&mut None).await {
            Err(why) if !matches!(why.code, Code::Unreachable | Code::HandshakeRefused) => {
                return Err(why.hint("its pid file names no running nginx, but something answers: check `pid` in `reload`"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

struct Look<'a> {
    endpoint: &'a Endpoint,
    leaf: &'a Facts,
    previous: Option<&'a Fingerprint>,
    anchor: &'a Anchor,
    clock: Clock,
    deadline: Duration,
}

impl Look<'_> {
    async fn until_steady(&self) -> Result<(), Failure> {
        let end = self.clock.instant() + self.deadline;
        let mut streak: Option<(Instant, u32)> = None;
        // The judgement of a chain is kept for the next equal one: five handshakes, two RSA-4096 signatures once.
        let mut trusted: Option<Vec<Vec<u8>>> = None;
        loop {
            match self.once(&mut trusted).await {
                Ok(()) => {
                    let now = self.clock.instant();
                    let (since, count) = streak.unwrap_or((now, 0));
                    if count + 1 >= IN_A_ROW && now.saturating_duration_since(since) >= SPAN {
                        return Ok(());
                    }
                    streak = Some((since, count + 1));
                }
                Err(why) if self.clock.instant() >= end => return Err(why),
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
            only: pair::algorithm_of_spki(&self.leaf.spki).ok(),
            deadline: ONE_LOOK.min(self.deadline.max(STOPPED)),
        };
        let seen = handshake::look(&target, self.clock).await.map_err(|why| self.not_seen(&why))?;
        let served_leaf = seen.chain.first().map(|der| Fingerprint::of(der));
        if served_leaf.as_ref() != Some(&self.leaf.sha256) {
            return Err(self.another(served_leaf.as_ref()));
        }
        if trusted.as_ref() != Some(&seen.chain) {
            judge::served(self.anchor, &seen.chain, &server_name, self.clock.now()).map_err(|why| self.untrusted(&why))?;
            *trusted = Some(seen.chain);
        }
        Ok(())
    }

    fn another(&self, found: Option<&Fingerprint>) -> Failure {
        let address = &self.endpoint.address;
        let found_text = found.map_or_else(|| "no certificate".to_owned(), |f| format!("leaf {f}"));
        if found.is_some() && found == self.previous {
            return Failure::new(Stage::Verify, Code::OldLeaf, format!("{address} still serves the previous certificate, {found_text}"))
                .hint("the service did not read the new files: look at its own log, and at the paths in its configuration");
        }
        let text = format!("{address} serves another certificate: expected leaf {}, found {found_text}", self.leaf.sha256);
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
