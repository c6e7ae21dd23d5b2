//! One TLS handshake as seen: which chain a server sends and proves to hold the key of. It must never judge that chain, send
//! application data, resume a session or wait beyond its deadline.
#![expect(clippy::disallowed_methods, reason = "the one place that opens a socket to look at a served certificate")]

mod overheard;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::starttls::{self, NotGranted};
use super::tls::{self, Identity, Record, Tickets};
use crate::model::clock::{Clock, Time};
use crate::model::key::KeyAlgorithm;
use crate::model::starttls::StartTls;
use crate::model::text;
pub(in crate::io) use overheard::{FirstBytes, Overheard};

/// Longest text of a peer or of the system that is kept.
const WORDS: usize = 160;
/// How long a TLS 1.3 server is given to refuse a client certificate after the handshake, where it sends no ticket either.
const AFTER: Duration = Duration::from_millis(700);

/// Where to look.
#[derive(Clone, Debug)]
pub struct Target {
    /// `HOST:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    pub address: String,
    /// A DNS name (sent as SNI) or an IP address (then none is sent).
    pub server_name: String,
    /// What is spoken in clear before TLS.
    pub starttls: Option<StartTls>,
    /// Offer only what a key of this kind signs with.
    pub only: Option<KeyAlgorithm>,
    /// What is shown where a client certificate is asked for.
    pub identity: Option<Identity>,
    /// For all of it: resolving, connecting, the handshake.
    pub deadline: Duration,
}

impl Target {
    /// A target of TLS from the first byte on, asked by no name, to whom nothing is shown.
    #[must_use]
    pub const fn at(address: String, deadline: Duration) -> Self {
        Self { address, server_name: String::new(), starttls: None, only: None, identity: None, deadline }
    }
}

/// What a server showed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The chain as sent, leaf first, DER. The server has signed this handshake with the key of the first.
    pub chain: Vec<Vec<u8>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// Whether it asked for a client certificate.
    pub client_auth_requested: bool,
    /// DER of the issuer names it accepts for one, if it says so.
    pub client_auth_issuers: Vec<Vec<u8>>,
    /// Set when the handshake ended badly after the chain was proven: in TLS 1.2 the server refuses us for lack of a certificate here, and
    /// where one was shown, in TLS 1.3 too.
    pub ended: Option<String>,
    /// When.
    pub at: Time,
    /// How long it took from the first packet on.
    pub took: Duration,
}

/// Why no chain was seen. Texts are fit to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSeen {
    /// The server ended the handshake, or what it speaks is not TLS.
    #[error("{text}")]
    Refused {
        /// The TLS alert's name (RFC 8446 §6), if it sent one.
        alert: Option<String>,
        /// It answered in HTTP.
        plain_http: bool,
        /// It speaks something else than TLS.
        no_tls: bool,
        /// What happened.
        text: String,
    },
    /// It took the connection and did not finish the handshake in time.
    #[error("{0}")]
    Stalled(String),
    /// No connection.
    #[error("{0}")]
    Unreachable(String),
    /// It did not go over to TLS.
    #[error("{address} {why}")]
    InClear {
        /// Who.
        address: String,
        /// Why not.
        why: NotGranted,
    },
}

/// Looks once.
///
/// # Errors
/// No chain was seen, or none that the server proved to hold the key of.
pub async fn look(target: &Target, clock: Clock) -> Result<Seen, NotSeen> {
    let begin = clock.instant();
    let name = ServerName::try_from(target.server_name.clone()).map_err(|_| {
        NotSeen::Unreachable(format!("'{}' is neither a DNS name nor an address", text::one_line(&target.server_name, WORDS)))
    })?;
    let connected = tokio::time::timeout(target.deadline, connect(target)).await;
    let stream = connected.unwrap_or_else(|_| Err(NotSeen::Unreachable(no_answer(target, "no connection"))))?;

    let record = Arc::new(Record::default());
    let tickets = target.identity.as_ref().map(|_| Arc::new(Tickets::default()));
    let shown = target.identity.as_ref().zip(tickets.clone()).map(|(identity, tickets)| tls::Shown { identity, tickets });
    let config = tls::danger_recording(&record, target.only, shown, clock).map_err(|why| NotSeen::Unreachable(why.to_string()))?;
    let first = FirstBytes::default();
    let stream = Overheard::new(stream, first.clone());
    let left = target.deadline.saturating_sub(clock.instant().saturating_duration_since(begin));
    let end = tokio::time::timeout(left, shake(TlsConnector::from(Arc::new(config)), name, stream, tickets)).await;

    let seen = record.take();
    if let Some(version) = seen.proven {
        return Ok(Seen {
            chain: seen.chain,
            version: if version == ProtocolVersion::TLSv1_2 { "TLSv1.2" } else { "TLSv1.3" },
            client_auth_requested: seen.client_auth.is_some(),
            client_auth_issuers: seen.client_auth.unwrap_or_default(),
            ended: match end {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(text::one_line(&why.to_string(), WORDS)),
                Err(_) => Some(no_answer(target, "no end of the handshake")),
            },
            at: clock.now(),
            took: clock.instant().saturating_duration_since(begin),
        });
    }
    Err(match end {
        Err(_) => NotSeen::Stalled(no_answer(target, "a connection, but no whole handshake")),
        Ok(Err(why)) => refused(target, &why, first.is_http()),
        // rustls never finishes without one of the two signatures; to be told apart from "seen" all the same.
        Ok(Ok(())) => NotSeen::Refused { alert: None, plain_http: false, no_tls: false, text: format!("{} proved no key", target.address) },
    })
}

fn no_answer(target: &Target, what: &str) -> String {
    format!("{}: {what} within {} ms", target.address, target.deadline.as_millis())
}

/// A connection on which TLS may begin.
pub(in crate::io) async fn connect(target: &Target) -> Result<TcpStream, NotSeen> {
    let mut stream = dial(target).await?;
    if let Some(protocol) = target.starttls {
        let begun = starttls::negotiate(&mut stream, protocol).await;
        begun.map_err(|why| NotSeen::InClear { address: target.address.clone(), why })?;
    }
    Ok(stream)
}

/// Resolves and connects; addresses are tried in turn, each with its share of the time, so that a dead IPv6 route leaves some for IPv4.
async fn dial(target: &Target) -> Result<TcpStream, NotSeen> {
    let unreachable = |why: String| NotSeen::Unreachable(format!("{}: {}", target.address, text::one_line(&why, WORDS)));
    let found = tokio::net::lookup_host(&target.address).await.map_err(|why| unreachable(format!("cannot be resolved: {why}")))?;
    let addresses: Vec<_> = found.collect();
    let share = target.deadline / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A handshake is small writes that wait for answers: Nagle's algorithm costs TLS 1.2 40 ms here.
                stream.set_nodelay(true).map_err(|why| unreachable(why.to_string()))?;
                return Ok(stream);
            }
            Ok(Err(why)) => last = format!("{}: {why}", address.ip()),
            Err(_) => last = format!("{}: no connection within {} ms", address.ip(), share.as_millis()),
        }
    }
    Err(unreachable(last))
}

/// The handshake, then a close_notify, so that the server has no torn connection to log. Where a certificate of ours was shown, the server's
/// word on it is waited for.
async fn shake(connector: TlsConnector, name: ServerName<'static>, stream: Overheard, tickets: Option<Arc<Tickets>>) -> io::Result<()> {
    let mut stream = connector.connect(name, stream).await?;
    let taken = match tickets {
        Some(tickets) => until_taken(&mut stream, &tickets).await,
        None => Ok(()),
    };
    poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)).await.ok();
    taken
}

/// In TLS 1.3 the client is done before the server has looked at its certificate: the refusal comes afterwards ([Probe](crate::cli#probe)).
pub(in crate::io) async fn until_taken(stream: &mut TlsStream<Overheard>, tickets: &Tickets) -> io::Result<()> {
    let (_, connection) = stream.get_ref();
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Ok(());
    }
    let mut byte = [0_u8; 1];
    tokio::select! {
        // A server that speaks first has let us in.
        read = stream.read(&mut byte) => match read {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Ok(_) => Ok(()),
            Err(why) => Err(why),
        },
        () = tickets.came() => Ok(()),
        () = tokio::time::sleep(AFTER) => Ok(()),
    }
}

fn refused(target: &Target, why: &io::Error, plain_http: bool) -> NotSeen {
    let address = &target.address;
    if plain_http {
        return NotSeen::Refused { alert: None, plain_http, no_tls: true, text: format!("{address} speaks plain HTTP, expected TLS") };
    }
    let tls = why.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::AlertReceived(alert)) = tls {
        let alert = format!("{alert:?}");
        let text = format!("{address} ended the handshake with the alert {alert}");
        return NotSeen::Refused { alert: Some(alert), plain_http, no_tls: false, text };
    }
    if let Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) = tls {
        return NotSeen::Refused { alert: None, plain_http, no_tls: true, text: format!("{address} does not speak TLS") };
    }
    use rustls::InvalidMessage::{CertificatePayloadTooLarge, HandshakePayloadTooLarge, MessageTooLarge};
    if let Some(rustls::Error::InvalidMessage(CertificatePayloadTooLarge | HandshakePayloadTooLarge | MessageTooLarge)) = tls {
        let text = format!("{address} sends more than the 64 KiB of certificates that TLS clients take: fewer names, or a shorter chain");
        return NotSeen::Refused { alert: None, plain_http, no_tls: false, text };
    }
    let why = tls.map_or_else(|| why.to_string(), ToString::to_string);
    NotSeen::Refused {
        alert: None,
        plain_http,
        no_tls: false,
        text: format!("{address}: handshake failed: {}", text::one_line(&why, WORDS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::{Instant, SystemTime};

    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::WebPkiClientVerifier;
    use rustls::sign::CertifiedKey;
    use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    const NAME: &str = "a.example";

    fn clock() -> Clock {
        Clock::new(SystemTime::now, Instant::now)
    }

    fn target(address: String) -> Target {
        Target { server_name: NAME.to_owned(), ..Target::at(address, Duration::from_millis(500)) }
    }

    /// A self-signed certificate and its key.
    fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, Vec<u8>) {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let certificate = rcgen::CertificateParams::new([NAME.to_owned()]).and_then(|p| p.self_signed(&key)).expect("a certificate");
        (certificate.der().to_vec(), key.serialized_der().to_vec())
    }

    /// A server whose certificate is `certificate` and whose key is `key`, whether they belong together or not.
    fn server(certificate: &[u8], key: &[u8], version: &'static SupportedProtocolVersion, wants_client: bool) -> ServerConfig {
        let key = PrivateKeyDer::try_from(key.to_vec()).expect("a key");
        let signer = aws_lc_rs::sign::any_supported_type(&key).expect("a key");
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .expect("a version");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.to_vec().into()).expect("a root");
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(aws_lc_rs::default_provider()))
            .build()
            .expect("a verifier");
        let builder = if wants_client { builder.with_client_cert_verifier(clients) } else { builder.with_no_client_auth() };
        let chain = vec![certificate.to_vec().into(), certificate.to_vec().into()];
        builder.with_cert_resolver(Arc::new(Always(Arc::new(CertifiedKey::new(chain, signer)))))
    }

    #[derive(Debug)]
    struct Always(Arc<CertifiedKey>);

    impl rustls::server::ResolvesServerCert for Always {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    /// Answers each connection by `config`; gives the address.
    async fn serve(config: ServerConfig) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // The client closes first; what the server thinks of that is not the question here.
                drop(acceptor.accept(stream).await);
            }
        });
        address
    }

    /// Sends the same bytes again and again, with a pause, to whoever connects.
    async fn rude(bytes: &'static [u8], pause: Duration) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while stream.write_all(bytes).await.is_ok() {
                        tokio::time::sleep(pause).await;
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_chain_is_seen_as_it_was_sent_also_where_the_server_then_refuses_us() {
        for (version, word) in [(&rustls::version::TLS12, "TLSv1.2"), (&rustls::version::TLS13, "TLSv1.3")] {
            for wants_client in [false, true] {
                let (certificate, key) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
                let address = serve(server(&certificate, &key, version, wants_client)).await;
                let seen = look(&target(address), clock()).await.expect("a chain");
                assert_eq!((seen.chain, seen.version), (vec![certificate.clone(), certificate], word));
                assert_eq!((seen.client_auth_requested, seen.client_auth_issuers.len()), (wants_client, usize::from(wants_client)));
            }
        }
    }

    #[tokio::test]
    async fn a_certificate_without_its_key_is_not_seen() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (certificate, _) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
            let (_, other_key) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
            let address = serve(server(&certificate, &other_key, version, false)).await;
            let why = look(&target(address), clock()).await.expect_err("no proof");
            assert!(matches!(why, NotSeen::Refused { .. }), "{why:?}");
        }
    }

    #[tokio::test]
    async fn only_the_schemes_of_the_key_under_proof_are_offered() {
        let (certificate, key) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
        let address = serve(server(&certificate, &key, &rustls::version::TLS13, false)).await;
        for (only, is_seen) in [(KeyAlgorithm::EcP256, true), (KeyAlgorithm::EcP384, false), (KeyAlgorithm::Rsa2048, false)] {
            let got = look(&Target { only: Some(only), ..target(address.clone()) }, clock()).await;
            assert_eq!(got.is_ok(), is_seen, "{only}");
            if let Err(why) = got {
                assert!(matches!(&why, NotSeen::Refused { alert: Some(alert), .. } if alert == "HandshakeFailure"), "{why:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_speaks_no_tls_is_said() {
        let http = rude(b"HTTP/1.1 400 Bad Request\r\n\r\n", Duration::from_secs(5)).await;
        let why = look(&target(http), clock()).await.expect_err("HTTP");
        assert!(
            matches!(&why, NotSeen::Refused { plain_http: true, text, .. } if text.ends_with("speaks plain HTTP, expected TLS")),
            "{why:?}"
        );
        let ssh = rude(b"SSH-2.0-OpenSSH_9.2\r\n", Duration::from_secs(5)).await;
        let why = look(&target(ssh), clock()).await.expect_err("SSH");
        assert!(matches!(&why, NotSeen::Refused { plain_http: false, text, .. } if text.ends_with("does not speak TLS")), "{why:?}");
    }

    #[tokio::test]
    async fn a_peer_that_stalls_or_drips_ends_with_the_deadline() {
        let silent = rude(b"", Duration::from_secs(60)).await;
        // The header of a 16 KiB record, which then fills nine bytes at a time.
        let dripping = rude(b"\x16\x03\x03\x3f\xff\x02\0\x3f\0", Duration::from_millis(20)).await;
        for address in [silent, dripping] {
            let begin = clock().instant();
            let why = look(&Target { deadline: Duration::from_millis(300), ..target(address) }, clock()).await.expect_err("no chain");
            assert!(matches!(why, NotSeen::Stalled(_)), "{why:?}");
            assert!(begin.elapsed() < Duration::from_millis(1500));
        }
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        for address in [address, "host.invalid:1".to_owned(), "no-port".to_owned()] {
            let why = look(&target(address), clock()).await.expect_err("nobody");
            assert!(matches!(why, NotSeen::Unreachable(_)), "{why:?}");
        }
    }
}
