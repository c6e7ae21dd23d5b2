//! Handshakes that ask a TLS server what it speaks, whom it shows and whom it lets in. It must never judge, send application data or resume.

pub mod greeting;
pub mod http;
pub mod legacy;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, NamedGroup, ProtocolVersion, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::handshake::{FirstBytes, NotSeen, Overheard, Target, connect, until_taken};
use super::starttls::NotGranted;
use super::tls::{Identity, Record, Tickets, danger_interview};
use crate::model::clock::Clock;
use crate::model::starttls::StartTls;
use crate::model::text;

pub use legacy::Legacy;

/// Longest text of a peer or of the system that is kept.
const WORDS: usize = 200;
/// Longest name of an application protocol that is kept; RFC 7301 §3.1 allows 255.
const ALPN_NAME: usize = 40;

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub struct Question {
    /// `HOST:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    pub address: String,
    /// A DNS name (sent as SNI) or an IP address (then none is sent).
    pub server_name: String,
    /// What is shown where a client certificate is asked for.
    pub identity: Option<Identity>,
    /// What is spoken in clear before TLS.
    pub starttls: Option<StartTls>,
    /// The application protocols that are offered (RFC 7301); none: the extension is not sent.
    pub alpn: &'static [&'static str],
    /// One version only.
    pub only: Option<Version>,
    /// For all of it.
    pub deadline: Duration,
}

impl Question {
    /// Whom to connect to.
    pub(in crate::io) fn target(&self) -> Target {
        Target { starttls: self.starttls, ..Target::at(self.address.clone(), self.deadline) }
    }
}

/// A version of TLS that this program speaks itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    const fn of(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }

    /// `TLSv1.2` or `TLSv1.3`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The handshake is complete, and the server did not take it back.
    Accepted,
    /// The server sent a fatal alert (RFC 8446 §6), by its registered name.
    Alert(String),
    /// It closed the connection without a word.
    Closed,
    /// It answers in HTTP.
    PlainHttp,
    /// It speaks something else.
    NotTls,
    /// It sent nothing, or not all of it, in time.
    Stalled,
    /// No connection.
    Unreachable(String),
    /// It did not go over to TLS.
    InClear(NotGranted),
    /// We could not go on; in words.
    Broken(String),
}

/// What was learned.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The chain as sent, leaf first, DER; empty where none came.
    pub chain: Vec<Vec<u8>>,
    /// What was agreed on, where the server proved its key.
    pub version: Option<Version>,
    /// The issuers (DER of distinguished names) that the server accepts client certificates of; `None` where it asks for none.
    pub client_auth: Option<Vec<Vec<u8>>>,
    /// The key exchange group, by its registered name, where the handshake was completed.
    pub group: Option<String>,
    /// The application protocol that the server took of those that were offered (RFC 7301).
    pub alpn: Option<String>,
    /// How it ended.
    pub end: End,
}

impl Answer {
    fn without(end: End) -> Self {
        Self { chain: Vec::new(), version: None, client_auth: None, group: None, alpn: None, end }
    }
}

/// Asks once.
pub async fn ask(question: &Question, clock: Clock) -> Answer {
    let Ok(name) = ServerName::try_from(question.server_name.clone()) else {
        let name = text::one_line(&question.server_name, WORDS);
        return Answer::without(End::Broken(format!("'{name}' is neither a DNS name nor an address")));
    };
    let record = Arc::new(Record::default());
    let first = FirstBytes::default();
    let all = attempt(question, name, &record, &first, clock);
    let agreed = tokio::time::timeout(question.deadline, all).await.unwrap_or_else(|_| Agreed::nothing(End::Stalled));
    let seen = record.take();
    let version = seen.proven.map(|version| if version == ProtocolVersion::TLSv1_2 { Version::Tls12 } else { Version::Tls13 });
    let end = if first.is_http() { End::PlainHttp } else { agreed.end };
    Answer { chain: seen.chain, version, client_auth: seen.client_auth, group: agreed.group, alpn: agreed.alpn, end }
}

/// How a handshake ended, and what was agreed on where it came so far.
struct Agreed {
    end: End,
    group: Option<String>,
    alpn: Option<String>,
}

impl Agreed {
    const fn nothing(end: End) -> Self {
        Self { end, group: None, alpn: None }
    }
}

async fn attempt(question: &Question, name: ServerName<'static>, record: &Arc<Record>, first: &FirstBytes, clock: Clock) -> Agreed {
    let stream = match connect(&question.target()).await {
        Ok(stream) => stream,
        Err(NotSeen::Stalled(_)) => return Agreed::nothing(End::Stalled),
        Err(NotSeen::InClear { why, .. }) => return Agreed::nothing(End::InClear(why)),
        Err(why) => return Agreed::nothing(End::Unreachable(why.to_string())),
    };
    let tickets = Arc::new(Tickets::default());
    let config = danger_interview(record, question.identity.as_ref(), question.only.map(Version::of), Arc::clone(&tickets), clock);
    let mut config = match config {
        Ok(config) => config,
        Err(why) => return Agreed::nothing(End::Broken(why.to_string())),
    };
    config.alpn_protocols = question.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    match TlsConnector::from(Arc::new(config)).connect(name, Overheard::new(stream, first.clone())).await {
        Ok(stream) => afterwards(stream, &tickets).await,
        Err(why) => Agreed::nothing(end_of(&why)),
    }
}

/// What was agreed on, and how the server took us.
async fn afterwards(mut stream: TlsStream<Overheard>, tickets: &Tickets) -> Agreed {
    let (_, connection) = stream.get_ref();
    let group = connection.negotiated_key_exchange_group().map(|group| group_name(group.name()));
    let alpn = connection.alpn_protocol().map(|name| text::one_line(&String::from_utf8_lossy(name), ALPN_NAME));
    let end = until_taken(&mut stream, tickets).await.map_or_else(|why| end_of(&why), |()| End::Accepted);
    Agreed { end, group, alpn }
}

/// The registered name of a group (RFC 8446 §4.2.7 and IANA's list of TLS Supported Groups).
fn group_name(group: NamedGroup) -> String {
    group.as_str().map_or_else(|| format!("{:#06x}", u16::from(group)), str::to_owned)
}

fn end_of(why: &io::Error) -> End {
    let tls = why.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(alert)) => End::Alert(alert_name(*alert)),
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => End::NotTls,
        Some(other) => End::Broken(text::one_line(&other.to_string(), WORDS)),
        None if matches!(why.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            End::Closed
        }
        None => End::Broken(text::one_line(&why.to_string(), WORDS)),
    }
}

/// The registered name (RFC 8446 §6), such as `unknown_ca`.
fn alert_name(alert: AlertDescription) -> String {
    let debug = format!("{alert:?}");
    let mut name = String::new();
    // A run of capitals is one word: UnknownCA.
    let mut after_small = false;
    for c in debug.chars() {
        if c.is_ascii_uppercase() && after_small {
            name.push('_');
        }
        after_small = !c.is_ascii_uppercase();
        name.push(c.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_their_registered_names() {
        for (alert, name) in [
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::BadCertificate, "bad_certificate"),
            (AlertDescription::CertificateRequired, "certificate_required"),
            (AlertDescription::ProtocolVersion, "protocol_version"),
            (AlertDescription::HandshakeFailure, "handshake_failure"),
        ] {
            assert_eq!(alert_name(alert), name);
        }
    }
}
