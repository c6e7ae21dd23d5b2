//! Handshakes that ask a TLS server what it speaks, whom it shows and whom it lets in. It must never judge, send application data or resume.

pub mod http;
pub mod legacy;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, NamedGroup, ProtocolVersion, SupportedProtocolVersion};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::handshake::{FirstBytes, NotSeen, Overheard, Target, connect};
use super::tls::{Identity, Record, danger_interview};
use crate::model::clock::Clock;
use crate::model::text;

pub use legacy::Legacy;

/// Longest text of a peer or of the system that is kept.
const WORDS: usize = 200;
/// How long a TLS 1.3 server is given to refuse a client certificate after the handshake, where it sends no ticket either.
const AFTER: Duration = Duration::from_millis(700);

/// Whom to ask, and how.
#[derive(Clone, Debug)]
pub struct Question {
    /// `HOST:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    pub address: String,
    /// A DNS name (sent as SNI) or an IP address (then none is sent).
    pub server_name: String,
    /// What is shown where a client certificate is asked for.
    pub identity: Option<Identity>,
    /// One version only.
    pub only: Option<Version>,
    /// For all of it.
    pub deadline: Duration,
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
    /// How it ended.
    pub end: End,
}

impl Answer {
    fn without(end: End) -> Self {
        Self { chain: Vec::new(), version: None, client_auth: None, end }
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
    let all = attempt(question, name, (&record, &first), clock);
    let end = tokio::time::timeout(question.deadline, all).await.unwrap_or(End::Stalled);
    let seen = record.take();
    let version = seen.proven.map(|version| if version == ProtocolVersion::TLSv1_2 { Version::Tls12 } else { Version::Tls13 });
    let end = if first.is_http() { End::PlainHttp } else { end };
    Answer { chain: seen.chain, version, client_auth: seen.client_auth, end }
}

async fn attempt(question: &Question, name: ServerName<'static>, (record, first): (&Arc<Record>, &FirstBytes), clock: Clock) -> End {
    let target = Target { address: question.address.clone(), server_name: String::new(), only: None, deadline: question.deadline };
    let stream = match connect(&target).await {
        Ok(stream) => stream,
        Err(NotSeen::Stalled(_)) => return End::Stalled,
        Err(why) => return End::Unreachable(why.to_string()),
    };
    let tickets = Arc::new(Tickets::default());
    let store: Arc<dyn ClientSessionStore> = Arc::<Tickets>::clone(&tickets);
    let config = match danger_interview(record, question.identity.as_ref(), question.only.map(Version::of), store, clock) {
        Ok(config) => config,
        Err(why) => return End::Broken(why.to_string()),
    };
    match TlsConnector::from(Arc::new(config)).connect(name, Overheard::new(stream, first.clone())).await {
        Ok(stream) => afterwards(stream, &tickets).await,
        Err(why) => end_of(&why),
    }
}

/// In TLS 1.3 the client is done before the server has looked at its certificate: the refusal comes afterwards ([Probe](crate::cli#probe)).
async fn afterwards(mut stream: TlsStream<Overheard>, tickets: &Tickets) -> End {
    let (_, connection) = stream.get_ref();
    let asked_in_13 = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    if !asked_in_13 {
        return End::Accepted;
    }
    let mut byte = [0_u8; 1];
    tokio::select! {
        read = stream.read(&mut byte) => match read {
            Ok(0) => End::Closed,
            // A server that speaks first has let us in.
            Ok(_) => End::Accepted,
            Err(why) => end_of(&why),
        },
        () = tickets.came.notified() => End::Accepted,
        () = tokio::time::sleep(AFTER) => End::Accepted,
    }
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

/// Takes no ticket, and tells that one came.
#[derive(Debug, Default)]
struct Tickets {
    came: Notify,
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        self.came.notify_one();
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
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
