//! Looking by TLS handshakes: a leaf counts as served when several in a row show it, the first and the last some time apart.

use std::time::{Duration, Instant};

use super::{Look, STOPPED};
use crate::config::settings::{ClientPair, ServerName};
use crate::io::handshake::{self, NotSeen, Target};
use crate::io::read;
use crate::io::tls::Identity;
use crate::judge::{self, pair};
use crate::model::anchor::Fingerprint;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// Handshakes in a row that must show the new leaf: old nginx workers answer for up to 130 ms after the first new answer
/// ([nginx](crate::steps#nginx)).
const IN_A_ROW: u32 = 5;
/// The time those handshakes must span.
const SPAN: Duration = Duration::from_millis(300);
/// Between two handshakes; five of them take [`SPAN`].
const PAUSE: Duration = Duration::from_millis(76);
/// One handshake's own limit.
const ONE_LOOK: Duration = Duration::from_secs(5);
impl Look<'_> {
    pub(super) async fn until_steady(&self) -> Result<(), Failure> {
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

    pub(super) async fn once(&self, trusted: &mut Option<Vec<Vec<u8>>>) -> Result<(), Failure> {
        let identity = self.endpoint.client.as_ref().map(|pair| self.identity(pair)).transpose()?;
        let server_name = match &self.endpoint.server_name {
            ServerName::Dns(name) => name.clone(),
            ServerName::Ip(address) => address.to_string(),
        };
        let target = Target {
            address: self.endpoint.address.clone(),
            server_name: server_name.clone(),
            starttls: self.endpoint.starttls,
            only: pair::algorithm_of_spki(&self.claim.leaf.spki).ok(),
            identity,
            deadline: ONE_LOOK.min(self.deadline.max(STOPPED)),
        };
        let seen = handshake::look(&target, self.claim.clock).await.map_err(|why| self.not_seen(&why))?;
        let served_leaf = seen.chain.first().map(|der| Fingerprint::of(der));
        if served_leaf.as_ref() != Some(&self.claim.leaf.sha256) {
            return Err(self.another(served_leaf.as_ref()));
        }
        if trusted.as_ref() != Some(&seen.chain) {
            judge::served(&self.claim.anchors, &seen.chain, &server_name, self.claim.clock.now()).map_err(|why| self.untrusted(&why))?;
            *trusted = Some(seen.chain);
        }
        match seen.ended.filter(|_| self.endpoint.client.is_some()) {
            Some(why) => Err(self.client_refused(&why)),
            None => Ok(()),
        }
    }

    /// The client certificate of the settings, as its files are now.
    fn identity(&self, pair: &ClientPair) -> Result<Identity, Failure> {
        let unusable = |why: String, hint: String| {
            let text = format!("the client certificate for {} cannot be used: {why}", self.endpoint.address);
            Failure::new(Stage::Verify, Code::Identity, text).hint(hint)
        };
        let certificates = read::file(&pair.cert, read::LIMIT).map_err(|why| unusable(why.to_string(), why.hint()))?;
        let key = read::secret(&pair.key, self.claim.credentials).map_err(|why| unusable(why.to_string(), why.hint()))?;
        Identity::from_pem(&certificates, &key)
            .map_err(|why| unusable(why.to_string(), "let `client` name a PEM chain and its unencrypted key".to_owned()))
    }

    fn client_refused(&self, why: &str) -> Failure {
        let text = format!("{} serves the expected leaf and refuses the client certificate: {why}", self.endpoint.address);
        Failure::new(Stage::Verify, Code::HandshakeRefused, text)
            .hint("does the service trust the root of `client`, and is that for TLS clients?")
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
            NotSeen::InClear { .. } => Failure::new(Stage::Verify, Code::HandshakeRefused, why.to_string())
                .hint("does the service speak that protocol there, with STARTTLS switched on? see `starttls` in `verify`"),
            NotSeen::Stalled(_) | NotSeen::Unreachable(_) => Failure::new(Stage::Verify, Code::Unreachable, why.to_string())
                .hint("is the service running and listening there? see `address` in `verify`"),
        }
    }
}
