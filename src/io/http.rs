#![expect(clippy::disallowed_methods, reason = "the one place that makes an HTTP client")]
//! HTTPS requests to one server, bounded in time and size. It must never follow a redirect, take a proxy or a root from the environment,
//! retry by itself, or show a secret in an error.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, redirect};
use zeroize::Zeroizing;

use super::tls::{self, Distrust, Identity, LastDistrust, TlsError};
use crate::model::clock::Clock;
use crate::model::secret::Token;
use crate::model::text;

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

/// A client of one server, with its own connections: a TLS identity belongs to the connection (facts/openbao §5).
#[derive(Debug)]
pub struct Client {
    inner: reqwest::Client,
    base: String,
    distrust: LastDistrust,
}

/// One request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Below the base, without a leading slash.
    pub path: &'a str,
    /// `X-Vault-Token`.
    pub token: Option<&'a Token>,
    /// JSON to POST; without it the request is a GET.
    pub json: Option<Zeroizing<Vec<u8>>>,
}

/// What came back: status, and the whole body.
#[derive(Debug)]
pub struct Answer {
    /// Status code, any but a redirect's.
    pub status: u16,
    /// The header `Retry-After`, as sent.
    pub retry_after: Option<String>,
    /// At most 1 MiB. It may hold a token.
    pub body: Zeroizing<Vec<u8>>,
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
    /// The answer is one that we do not take.
    #[error("{0}")]
    Oversized(String),
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
        let (config, distrust) = tls::trusting(roots, identity, clock)?;
        let inner = reqwest::Client::builder()
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
        let url = format!("{}/{}", self.base, request.path);
        let method = if request.json.is_some() { Method::POST } else { Method::GET };
        let mut builder = self.inner.request(method, url);
        if let Some(token) = request.token {
            let mut value = HeaderValue::from_str(token.expose())
                .map_err(|_| HttpError::Invalid("the token holds characters that no HTTP header can carry".to_owned()))?;
            value.set_sensitive(true);
            builder = builder.header("X-Vault-Token", value);
        }
        if let Some(json) = &request.json {
            builder = builder.header(CONTENT_TYPE, "application/json").body(json.to_vec());
        }
        let response = builder.send().await.map_err(|why| self.lost(&why))?;
        self.read(response).await
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Answer, HttpError> {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(|v| text::one_line(v, WORDS));
        if status.is_redirection() {
            let to = header(LOCATION).unwrap_or_default();
            return Err(HttpError::Redirected { server: self.server().to_owned(), status: status.as_u16(), to });
        }
        let retry_after = header(RETRY_AFTER);
        // Room in advance, so that growing leaves no copies of a token behind; a false Content-Length costs at most the limit.
        let announced = response.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(16 * 1024);
        let oversized = || HttpError::Oversized(format!("{} answers with more than {BODY} bytes, expected less", self.server()));
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
        Ok(Answer { status: status.as_u16(), retry_after, body })
    }

    /// Sorts an error of the library by its cause, not by its words.
    fn lost(&self, why: &reqwest::Error) -> HttpError {
        let server = self.server();
        match tls_cause(why) {
            Some(rustls::Error::InvalidCertificate(_)) => {
                if let Some(distrust) = self.distrust.seen() {
                    return HttpError::Untrusted(Box::new(distrust));
                }
            }
            Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
                return HttpError::Tls(format!("{server} does not speak TLS"));
            }
            Some(rustls::Error::AlertReceived(alert)) => {
                return HttpError::Tls(format!("{server} ended the TLS connection with the alert {alert:?}"));
            }
            Some(tls) => return HttpError::Tls(format!("TLS with {server} failed: {}", text::one_line(&tls.to_string(), WORDS))),
            None => {}
        }
        if why.is_builder() {
            return HttpError::Invalid(format!("the address '{}' cannot be asked: {}", self.base, root_cause(why)));
        }
        let lost = if why.is_connect() { Lost::BeforeSending } else { Lost::AfterSending };
        let text = match (why.is_timeout(), lost) {
            (true, Lost::BeforeSending) => format!("{server}: no connection within {} s", CONNECT.as_secs()),
            (true, Lost::AfterSending) => format!("{server}: no whole answer within {} s", REQUEST.as_secs()),
            (false, Lost::BeforeSending) => format!("{server}: no connection: {}", root_cause(why)),
            (false, Lost::AfterSending) => format!("{server}: connection lost before the answer was whole: {}", root_cause(why)),
        };
        HttpError::Unreachable { text, lost }
    }
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
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    text::one_line(&cause.to_string(), WORDS)
}
