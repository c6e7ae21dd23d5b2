//! One endpoint: what it speaks, whom it shows, who refuses whom, why, and what mends it. The asking is `io::interview`'s; here it is judged.

mod cause;
pub mod lints;
mod remedy;

use std::time::Duration;

use futures_util::future::join4;
use serde::Serialize;

pub use cause::{Ours, Side};
pub use remedy::{Known, Remedy};

use crate::io::interview::{self, Answer, End, Legacy, Question, Version, legacy};
use crate::io::tls::Identity;
use crate::judge::cert;
use crate::model::anchor::Fingerprint;
use crate::model::clock::{Clock, Time};
use crate::model::starttls::StartTls;
use crate::model::text::{self, one_line};

/// The alert of a server that speaks none of the protocols that were offered (RFC 7301 §3.2).
const NO_PROTOCOL: &str = "no_application_protocol";

/// What `probe --json` prints ([Probe](crate::cli#probe)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// `omens.probe/1`.
    pub schema: &'static str,
    /// Who was asked.
    pub address: String,
    /// By which name.
    pub server_name: String,
    /// When.
    pub at: Time,
    /// Whether it speaks HTTP there.
    pub plain_http: bool,
    /// Versions of TLS that it speaks, newest first.
    pub protocols: Vec<&'static str>,
    /// The key exchange group of the handshake, by its registered name; `null` where none was completed.
    pub group: Option<String>,
    /// The application protocol that it took of h2 and http/1.1 (RFC 7301).
    pub alpn: Option<String>,
    /// SHA-256 of what it sent, leaf first.
    pub server_chain: Vec<String>,
    /// The subjects of what it sent, safe to print.
    pub server_subjects: Vec<String>,
    /// What it wants of a client.
    pub client_auth: ClientAuth,
    /// Who ended it.
    pub refused_by: Side,
    /// The alert that the server sent.
    pub alert: Option<String>,
    /// Why, in one sentence.
    pub cause: Cause,
    /// What mends it.
    pub remedy: Remedy,
}

/// What the server wants of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientAuth {
    /// Whether it asked for a certificate.
    pub requested: bool,
    /// The issuers that it names; many servers name none.
    pub issuers: Vec<String>,
    /// Whether ours was sent.
    pub sent: bool,
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// An id of the catalogue.
    pub id: &'static str,
    /// In one sentence.
    pub text: String,
}

/// What to ask with.
#[derive(Debug)]
pub struct Asking {
    /// `HOST:PORT`.
    pub address: String,
    /// The name that the certificate must be for.
    pub server_name: String,
    /// What is spoken in clear before TLS.
    pub starttls: Option<StartTls>,
    /// What we show, with what it says.
    pub identity: Option<(Identity, Ours)>,
    /// DER of what we trust; `None`: the server's chain is shown and not judged.
    pub trust: Option<Vec<Vec<u8>>>,
    /// For each handshake.
    pub timeout: Duration,
}

/// Everything that was heard.
#[derive(Debug)]
pub struct Heard {
    /// The handshake as any client makes it.
    pub any: Answer,
    /// One that offers TLS 1.2 only: its verdict on us is final when it ends (RFC 5246 §7.3).
    pub tls12: Answer,
    /// Versions that are spoken, newest first.
    pub protocols: Vec<&'static str>,
    /// What it says in HTTP of our client certificate, where it lets the handshake pass and refuses it there.
    pub said: Option<String>,
    /// What else was tried where it showed no certificate.
    pub tried: Tried,
}

/// What else was tried, and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// The protocol that goes over to TLS there.
    pub starttls: Option<StartTls>,
    /// Whether it went on after a line of the PROXY protocol.
    pub proxy_line: bool,
    /// Whether it takes a hello with older cipher suites.
    pub old_suites: bool,
}

/// Asks, all handshakes at once.
pub async fn hear(asking: &Asking, clock: Clock) -> Heard {
    let question = |only| Question {
        address: asking.address.clone(),
        server_name: asking.server_name.clone(),
        identity: asking.identity.as_ref().map(|(identity, _)| identity.clone()),
        starttls: asking.starttls,
        alpn: &[],
        only,
        deadline: asking.timeout,
    };
    let (any, tls12) = (question(None), question(Some(Version::Tls12)));
    // What comes after a protocol of its own is that protocol.
    let web = Question { alpn: if asking.starttls.is_none() { &["h2", "http/1.1"] } else { &[] }, ..any.clone() };
    let (old, older) = (legacy::speaks(&any, Legacy::Tls11), legacy::speaks(&any, Legacy::Tls10));
    let (mut first, tls12, tls11, tls10) = join4(interview::ask(&web, clock), interview::ask(&tls12, clock), old, older).await;
    if first.end == End::Alert(NO_PROTOCOL.to_owned()) {
        first = interview::ask(&any, clock).await;
    }
    let mut any = first;
    let mut protocols = Vec::new();
    if any.version == Some(Version::Tls13) {
        protocols.push(Version::Tls13.name());
    }
    if tls12.version == Some(Version::Tls12) {
        protocols.push(Version::Tls12.name());
    }
    protocols.extend(
        [(tls11, Legacy::Tls11), (tls10, Legacy::Tls10)].into_iter().filter(|(speaks, _)| *speaks).map(|(_, version)| version.name()),
    );
    let asked = question(None);
    let tried = if any.end == End::Stalled && any.chain.is_empty() && asking.starttls.is_none() {
        // Both wait for a server that says nothing: side by side, for a person who waits as well.
        let (plain, tried) = tokio::join!(interview::http::is_plain(&asking.address, asking.timeout), otherwise(asking, &any, &asked));
        if plain {
            any.end = End::PlainHttp;
        }
        if plain { Tried::default() } else { tried }
    } else {
        otherwise(asking, &any, &asked).await
    };
    let said = match &asking.trust {
        Some(roots) if any.end == End::Accepted && any.client_auth.is_some() && asking.starttls.is_none() => {
            interview::http::refusal(&question(None), roots, clock).await
        }
        _ => None,
    };
    Heard { any, tls12, protocols, said, tried }
}

/// What else may be spoken where no certificate came.
async fn otherwise(asking: &Asking, answer: &Answer, question: &Question) -> Tried {
    let mut tried = Tried::default();
    if !answer.chain.is_empty() || asking.starttls.is_some() {
        return tried;
    }
    match &answer.end {
        End::NotTls | End::Broken(_) | End::Stalled | End::Closed => {
            tried.starttls = interview::greeting::heard(question).await;
            tried.proxy_line = tried.starttls.is_none() && answer.end == End::Closed && legacy::after_proxy_line(question).await;
        }
        End::Alert(alert) if alert == "handshake_failure" || alert == "insufficient_security" => {
            tried.old_suites = legacy::speaks(question, Legacy::Tls12).await;
        }
        _ => {}
    }
    tried
}

/// Judges what was heard. `known` is what is known of the peer's own configuration.
#[must_use]
pub fn judge(asking: &Asking, heard: &Heard, known: Option<&Known>, at: Time) -> Document {
    let answer = cause::telling(heard);
    let issuers = answer.client_auth.iter().flatten();
    let safe = |words: &str| one_line(words, text::SERVER_TEXT);
    let requested = answer.client_auth.is_some();
    let found = cause::find(asking, heard, known, at);
    let subject =
        |der: &Vec<u8>| cert::Facts::parse(der).map_or_else(|_| "(does not parse)".to_owned(), |facts| safe(&facts.subject.to_string()));
    Document {
        schema: "omens.probe/1",
        address: safe(&asking.address),
        server_name: safe(&asking.server_name),
        at,
        plain_http: heard.any.end == End::PlainHttp,
        protocols: heard.protocols.clone(),
        group: heard.any.group.clone().or_else(|| heard.tls12.group.clone()),
        alpn: heard.any.alpn.as_deref().map(safe),
        server_chain: answer.chain.iter().map(|der| Fingerprint::of(der).as_str().to_owned()).collect(),
        server_subjects: answer.chain.iter().map(subject).collect(),
        client_auth: ClientAuth {
            requested,
            issuers: issuers.map(|der| safe(&cert::distinguished_name(der))).collect(),
            sent: requested && asking.identity.is_some(),
        },
        refused_by: found.refused_by,
        alert: found.alert,
        remedy: remedy::remedy(found.lint, asking, known),
        cause: Cause { id: found.lint.id, text: safe(&found.text) },
    }
}
