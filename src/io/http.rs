//! HTTPS requests to one server, bounded in time and size. It must never follow a redirect, take a proxy or a root from the environment,
//! retry by itself, or show a secret in an error.
#![expect(clippy::disallowed_methods, reason = "the one place that makes an HTTP client")]

mod call;
mod message;

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, redirect};
use zeroize::Zeroizing;

use super::tls::{self, Distrust, Identity, LastDistrust, TlsError};
use crate::model::clock::Clock;
use crate::model::text;
pub use call::{Body, Call, Called, Verb};
pub use message::{Answer, Request};

/// For name, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(5);
/// For one request with its answer, connecting included.
const REQUEST: Duration = Duration::from_secs(15);
/// The largest body that is read.
const BODY: usize = 1024 * 1024;
/// Connections kept for the tasks that issue at the same time.
const IDLE: usize = 8;
/// Longest text of a peer or of the system that is kept.
const WORDS: usize = 200;
/// How hyper begins to say that a peer does not speak HTTP; its type for that is not among our dependencies.
const NO_HTTP: [&str; 2] = ["invalid HTTP", "message head is too large"];

/// A client of one server, with its own connections: a TLS identity belongs to the connection
/// ([Logging in](crate::io::openbao#logging-in)).
#[derive(Debug)]
pub struct Client {
    inner: reqwest::Client,
    base: String,
    distrust: LastDistrust,
}

/// Where a server listens that has this name.
struct Way<'a> {
    name: &'a str,
    at: std::net::SocketAddr,
}

/// What could have happened to a request that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It may have reached the server.
    AfterSending,
    /// It was never sent.
    BeforeSending,
}

/// Why there is no answer. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request could not be made; nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// The answer is too large, or not HTTP.
    #[error("{0}")]
    Malformed(String),
    /// A redirect, which is not followed.
    #[error("{server} redirects to '{to}' (status {status}), which is not followed")]
    Redirected {
        /// Who answered.
        server: String,
        /// The status.
        status: u16,
        /// The header `Location`, sanitised.
        to: String,
    },
    /// TLS failed for another reason than its certificate.
    #[error("{0}")]
    Tls(String),
    /// No connection, or it was lost.
    #[error("{text}")]
    Unreachable {
        /// What happened.
        text: String,
        /// How far the request came.
        lost: Lost,
    },
    /// The server's certificate is not trusted; nothing was sent.
    #[error("the certificate of {} is not trusted", .0.name)]
    Untrusted(Box<Distrust>),
}

impl Client {
    /// A client for `base` (`https://HOST[:PORT]`) that trusts only these roots (DER).
    ///
    /// # Errors
    /// The roots are none, or no client can be made of them.
    pub fn new(base: &str, roots: &[Vec<u8>], identity: Option<&Identity>, clock: Clock) -> Result<Self, TlsError> {
        Self::built(base, None, roots, identity, clock)
    }

    /// A client for the server `name` that listens at `address` (`HOST:PORT`), wherever that name leads otherwise.
    ///
    /// # Errors
    /// In words: the address is none, or as [`Client::new`].
    pub async fn reaching(name: &str, address: &str, roots: &[Vec<u8>], identity: Option<&Identity>, clock: Clock) -> Result<Self, String> {
        let port = address.rsplit_once(':').map_or("443", |(_, port)| port);
        let base = if name.contains(':') { format!("https://[{name}]:{port}") } else { format!("https://{name}:{port}") };
        let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host(address)).await;
        let found = found.map_err(|_| format!("{address} is not resolved within {} s", CONNECT.as_secs()))?;
        let at = found.map_err(|why| format!("{address}: {why}"))?.next().ok_or_else(|| format!("{address} has no address"))?;
        Self::built(&base, Some(&Way { name, at }), roots, identity, clock).map_err(|why| why.to_string())
    }

    fn built(base: &str, way: Option<&Way<'_>>, roots: &[Vec<u8>], identity: Option<&Identity>, clock: Clock) -> Result<Self, TlsError> {
        let (config, distrust) = tls::trusting(roots, identity, clock)?;
        let mut builder = reqwest::Client::builder();
        if let Some(Way { name, at }) = way {
            builder = builder.resolve(name, *at);
        }
        let inner = builder
            .tls_backend_preconfigured(config)
            .https_only(true)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .pool_max_idle_per_host(IDLE)
            .user_agent(concat!("omens/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|why| TlsError::Setup(rustls::Error::General(root_cause(&why))))?;
        Ok(Self { inner, base: base.to_owned(), distrust })
    }

    /// `HOST[:PORT]`, for texts.
    #[must_use]
    pub fn server(&self) -> &str {
        self.base.strip_prefix("https://").unwrap_or(&self.base)
    }

    /// Sends one request and reads the whole answer.
    ///
    /// The body of the request is wiped where we hold it; copies in the buffers of the HTTP and TLS libraries are not ours to wipe.
    ///
    /// # Errors
    /// See [`HttpError`]. Any status but a redirect's is an answer.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, HttpError> {
        let method = if request.json.is_some() { Method::POST } else { Method::GET };
        let mut builder = self.inner.request(method, format!("{}/{}", self.base, request.path));
        if let Some(token) = request.token {
            builder = builder.header("X-Vault-Token", secret(token.expose())?);
        }
        if let Some(namespace) = request.namespace {
            builder = builder.header("X-Vault-Namespace", namespace);
        }
        if let Some(json) = &request.json {
            builder = builder.header(CONTENT_TYPE, "application/json").body(json.to_vec());
        }
        self.exchange(builder, request.path).await.map(|called| called.answer)
    }

    /// The same for a [`Call`].
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn call(&self, call: Call<'_>) -> Result<Called, HttpError> {
        let mut builder = self.inner.request(call.verb.method(), format!("{}/{}", self.base, call.path));
        if let Some(token) = call.bearer {
            let value = Zeroizing::new(format!("Bearer {}", token.expose()));
            builder = builder.header(AUTHORIZATION, secret(&value)?);
        }
        if let Some(body) = &call.body {
            builder = builder.header(CONTENT_TYPE, body.kind).body(body.bytes.to_vec());
        }
        self.exchange(builder, call.path).await
    }

    async fn exchange(&self, builder: reqwest::RequestBuilder, path: &str) -> Result<Called, HttpError> {
        let response = builder.send().await.map_err(|why| self.lost(&why))?;
        tracing::debug!(server = self.server(), path, status = response.status().as_u16(), "answered");
        self.read(response).await
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Called, HttpError> {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(|v| text::one_line(v, WORDS));
        let location = header(LOCATION);
        if status.is_redirection() {
            let to = location.unwrap_or_default();
            return Err(HttpError::Redirected { server: self.server().to_owned(), status: status.as_u16(), to });
        }
        let (retry_after, date) = (header(RETRY_AFTER), header(DATE));
        // Room in advance, so that growing leaves no copies of a token behind; a false Content-Length costs at most the limit.
        let announced = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(16 * 1024);
        let oversized = || HttpError::Malformed(format!("{} answers with more than {BODY} bytes, expected less", self.server()));
        if announced > BODY {
            return Err(oversized());
        }
        let mut body = Zeroizing::new(Vec::with_capacity(announced));
        while let Some(chunk) = response.chunk().await.map_err(|why| self.lost(&why))? {
            if body.len() + chunk.len() > BODY {
                return Err(oversized());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Called { answer: Answer { status: status.as_u16(), retry_after, body }, date, location })
    }

    /// Sorts an error of the library by its cause, not by its words.
    fn lost(&self, why: &reqwest::Error) -> HttpError {
        let server = self.server();
        if let Some(tls) = tls_cause(why) {
            return match (tls, self.distrust.seen()) {
                (rustls::Error::InvalidCertificate(_), Some(distrust)) => HttpError::Untrusted(Box::new(distrust)),
                (rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType), _) => {
                    HttpError::Tls(format!("{server} does not speak TLS"))
                }
                (rustls::Error::AlertReceived(alert), _) => {
                    HttpError::Tls(format!("{server} ended the TLS connection with the alert {alert:?}"))
                }
                (other, _) => HttpError::Tls(format!("TLS with {server} failed: {}", text::one_line(&other.to_string(), WORDS))),
            };
        }
        if why.is_builder() {
            return HttpError::Invalid(format!("the address '{}' cannot be asked: {}", self.base, root_cause(why)));
        }
        let cause = root_cause(why);
        if NO_HTTP.iter().any(|words| cause.starts_with(words)) {
            return HttpError::Malformed(format!("{server} answers with what is not HTTP: {cause}"));
        }
        let lost = if why.is_connect() { Lost::BeforeSending } else { Lost::AfterSending };
        let text = match (why.is_timeout(), lost) {
            (true, Lost::BeforeSending) => format!("{server}: TCP and TLS were not there within {} s", CONNECT.as_secs()),
            (true, Lost::AfterSending) => format!("{server}: no whole answer within {} s", REQUEST.as_secs()),
            (false, Lost::BeforeSending) => format!("{server}: no connection: {cause}"),
            (false, Lost::AfterSending) => format!("{server}: connection lost before the answer was whole: {cause}"),
        };
        HttpError::Unreachable { text, lost }
    }
}

/// A header that is not shown.
fn secret(text: &str) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| HttpError::Invalid("the token holds characters that no HTTP header can carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The rustls error at the bottom, if there is one. An `io::Error` hides what it wraps from `source`, so it is opened by hand.
fn tls_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).map(|inner| inner as &(dyn Error + 'static));
    tls_cause(inner.or_else(|| error.source())?)
}

/// The innermost text: the outer ones repeat the address.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.downcast_ref::<io::Error>().is_some_and(|why| why.kind() == io::ErrorKind::UnexpectedEof) {
        return "the server closed it".to_owned();
    }
    text::one_line(&cause.to_string(), WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;
    use std::time::{Instant, SystemTime};

    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn clock() -> Clock {
        Clock::new(SystemTime::now, Instant::now)
    }

    /// A self-signed certificate for 127.0.0.1, or for another name, with its key.
    fn pair(name: &str) -> (Vec<u8>, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::new([name.to_owned()]).and_then(|p| p.self_signed(&key)).expect("a certificate");
        (certificate.der().to_vec(), key)
    }

    /// A TLS server that answers every request with these bytes and closes; gives its base address and its certificate.
    async fn serve(name: &str, answer: Vec<u8>) -> (String, Vec<u8>) {
        let (certificate, key) = pair(name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|b| b.with_no_client_auth().with_single_cert(vec![certificate.clone().into()], key))
            .expect("a server");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("https://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                // What is asked does not matter here; that something was asked does.
                stream.read_u8().await.ok();
                stream.write_all(&answer).await.ok();
                stream.shutdown().await.ok();
            }
        });
        (base, certificate)
    }

    async fn ask(base: &str, roots: &[Vec<u8>]) -> Result<Answer, HttpError> {
        Client::new(base, roots, None, clock())
            .expect("a client")
            .send(Request { path: "v1/x", namespace: None, token: None, json: None })
            .await
    }

    #[tokio::test]
    async fn any_status_with_its_body_is_an_answer() {
        let (base, root) = serve("127.0.0.1", b"HTTP/1.1 429 X\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nhi".to_vec()).await;
        let answer = ask(&base, &[root]).await.expect("an answer");
        assert_eq!((answer.status, answer.retry_after.as_deref(), answer.body.as_slice()), (429, Some("3"), b"hi".as_slice()));
    }

    #[tokio::test]
    async fn a_redirect_is_named_and_not_followed() {
        let (base, root) =
            serve("127.0.0.1", b"HTTP/1.1 307 X\r\nLocation: https://other.example/v1/x\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let why = ask(&base, &[root]).await.expect_err("a redirect");
        assert!(matches!(&why, HttpError::Redirected { status: 307, to, .. } if to == "https://other.example/v1/x"), "{why:?}");
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_not_read() {
        let announced = b"HTTP/1.1 200 X\r\nContent-Length: 1048577\r\n\r\n".to_vec();
        let mut chunked = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n".to_vec();
        chunked.resize(chunked.len() + BODY + 1, b' ');
        let mut just = format!("HTTP/1.1 200 X\r\nContent-Length: {BODY}\r\n\r\n").into_bytes();
        just.resize(just.len() + BODY, b' ');
        for (answer, is_taken) in [(announced, false), (chunked, false), (just, true)] {
            let (base, root) = serve("127.0.0.1", answer).await;
            let got = ask(&base, &[root]).await;
            assert_eq!(got.is_ok(), is_taken);
            assert!(is_taken || matches!(&got, Err(HttpError::Malformed(text)) if text.contains("more than 1048576 bytes")), "{got:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_cut_short_is_lost_after_sending_and_garbage_is_malformed() {
        let (base, root) = serve("127.0.0.1", b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{".to_vec()).await;
        let why = ask(&base, &[root]).await.expect_err("cut short");
        assert!(matches!(why, HttpError::Unreachable { lost: Lost::AfterSending, .. }), "{why:?}");
        let (base, root) = serve("127.0.0.1", Vec::new()).await;
        let why = ask(&base, &[root]).await.expect_err("closed");
        assert!(matches!(why, HttpError::Unreachable { lost: Lost::AfterSending, .. }), "{why:?}");
        for garbage in [b"\x00\x01\x02\r\n\r\n".to_vec(), [b"HTTP/1.1 200 X\r\nA: ".to_vec(), vec![b'x'; 2 << 20]].concat()] {
            let (base, root) = serve("127.0.0.1", garbage).await;
            let why = ask(&base, &[root]).await.expect_err("garbage");
            assert!(matches!(why, HttpError::Malformed(_)), "{why:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_the_given_roots_do_not_vouch_for_gets_no_request() {
        let (base, root) = serve("127.0.0.1", Vec::new()).await;
        let (other, _) = pair("127.0.0.1");
        let why = ask(&base, &[other]).await.expect_err("another root");
        assert!(matches!(&why, HttpError::Untrusted(distrust) if distrust.chain == [root]), "{why:?}");
        let (base, root) = serve("other.example", Vec::new()).await;
        let why = ask(&base, &[root]).await.expect_err("another name");
        let named = |why: &rustls::CertificateError| matches!(why, rustls::CertificateError::NotValidForNameContext { .. });
        assert!(matches!(&why, HttpError::Untrusted(distrust) if named(&distrust.why)), "{why:?}");
    }

    #[tokio::test]
    async fn nobody_there_and_plain_http_are_told_apart() {
        let (_, root) = serve("127.0.0.1", Vec::new()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("https://{}", listener.local_addr().expect("an address"));
        let plain = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("an answer");
            // Until the client has read it and gone.
            stream.read_to_end(&mut Vec::new()).await.ok();
        });
        let why = ask(&base, std::slice::from_ref(&root)).await.expect_err("plain HTTP");
        assert!(matches!(&why, HttpError::Tls(text) if text.ends_with("does not speak TLS")), "{why:?}");
        plain.await.expect("the server");
        let why = ask(&base, &[root]).await.expect_err("nobody");
        assert!(matches!(why, HttpError::Unreachable { lost: Lost::BeforeSending, .. }), "{why:?}");
    }

    #[tokio::test]
    async fn no_root_means_no_client() {
        assert!(matches!(Client::new("https://127.0.0.1", &[], None, clock()), Err(TlsError::NoRoots)));
        let junk = [b"junk".to_vec()];
        assert!(matches!(Client::new("https://127.0.0.1", &junk, None, clock()), Err(TlsError::Root { number: 1, count: 1, .. })));
    }
}
