//! Looking by TLS handshakes: a leaf counts as served when several in a row show it, the first and the last some time apart.

use std::time::Duration;

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
/// And where the new one was seen, and then another one or none: more than one process answers there, and may go on to. Of a service that shows the
/// old one every third time, twenty in a row come once in three thousand tries.
const AFTER_A_MIX: u32 = 20;
/// The time those handshakes must span.
const SPAN: Duration = Duration::from_millis(300);
/// Between two handshakes; five of them take [`SPAN`].
const PAUSE: Duration = Duration::from_millis(76);
/// One handshake's own limit.
const ONE_LOOK: Duration = Duration::from_secs(5);

/// Handshakes in a row that show the new leaf.
#[derive(Debug, Default)]
struct Row {
    /// How long after the beginning the first of them ended.
    since: Option<Duration>,
    count: u32,
    /// Whether an earlier row was broken.
    is_mixed: bool,
}

impl Row {
    /// One more, so long after the beginning; whether that is proof.
    fn grow(&mut self, now: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        self.count += 1;
        let enough = if self.is_mixed { AFTER_A_MIX } else { IN_A_ROW };
        self.count >= enough && now.saturating_sub(since) >= SPAN
    }

    /// One that shows something else, or nothing.
    fn broken(self) -> Self {
        Self { is_mixed: self.is_mixed || self.count > 0, ..Self::default() }
    }
}

impl Look<'_> {
    pub(super) async fn until_steady(&self) -> Result<(), Failure> {
        let begin = self.claim.clock.instant();
        let end = begin + self.deadline;
        let mut row = Row::default();
        // The judgement of a chain is kept for the next equal one: five handshakes, two RSA-4096 signatures once.
        let mut trusted: Option<Vec<Vec<u8>>> = None;
        loop {
            match self.once(&mut trusted).await {
                Ok(()) if row.grow(self.claim.clock.instant().saturating_duration_since(begin)) => return Ok(()),
                Ok(()) => {}
                Err(why) if self.claim.clock.instant() >= end => return Err(why),
                Err(_) => row = row.broken(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many handshakes it is proven, where each shows the new leaf (`n`) or not, this far from the one before.
    fn proven_after(shown: &str, apart: Duration) -> Option<usize> {
        let (mut row, mut now) = (Row::default(), Duration::ZERO);
        for (number, one) in shown.chars().enumerate() {
            now += apart;
            match one {
                'n' if row.grow(now) => return Some(number + 1),
                'n' => {}
                _ => row = row.broken(),
            }
        }
        None
    }

    #[test]
    fn five_in_a_row_prove_it_and_twenty_where_an_earlier_row_broke() {
        let news = |count: usize| "n".repeat(count);
        for (shown, expected) in [
            (news(4), None),
            (news(5), Some(5)),
            // What was old from the beginning is no mix.
            (format!("ooo{}", news(5)), Some(8)),
            (format!("nnnno{}", news(19)), None),
            (format!("nnnno{}", news(20)), Some(25)),
            (format!("nonono{}", news(19)), None),
            (format!("no{}o{}", news(19), news(20)), Some(42)),
        ] {
            assert_eq!(proven_after(&shown, PAUSE), expected, "{shown}");
        }
        assert_eq!(proven_after(&news(9), Duration::from_millis(50)), Some(7), "they must span a time");
    }
}
