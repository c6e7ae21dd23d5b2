//! Keylime's registrar and its verifier in push mode, as the agent of a host speaks with them. Only HTTPS, only with the roots that it is
//! given, names checked, no client certificate. It must never send evidence that was not asked for by the protocol, nor call a verdict what
//! is none.
//!
#![doc = include_str!("facts.md")]

pub mod fault;
pub mod logs;
pub mod registrar;
pub mod request;
pub mod session;
pub mod verifier;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::http::{Body, Call, Called, Client, Verb};
use super::tls::TlsError;
use crate::model::clock::{Clock, Time};
use crate::model::secret::Token;
use fault::Fault;

/// The older API.
const JSON: &str = "application/json";
/// The newer one (JSON:API).
const JSON_API: &str = "application/vnd.api+json";

/// One server of Keylime.
#[derive(Debug)]
pub struct Api {
    http: Client,
    clock: Clock,
}

/// The envelope of API 2.6.
#[derive(Debug, Deserialize)]
struct Envelope<T> {
    results: T,
}

/// The envelope of API 3.0.
#[derive(Debug, Serialize, Deserialize)]
struct Document<T> {
    data: T,
}

impl Api {
    /// A server at `https://HOST[:PORT]`, trusted by these roots (DER) only. Nothing is sent yet.
    ///
    /// # Errors
    /// The roots are none.
    pub fn new(address: &str, roots: &[Vec<u8>], clock: Clock) -> Result<Self, TlsError> {
        Ok(Self { http: Client::new(address, roots, None, clock)?, clock })
    }

    /// `HOST[:PORT]`, for texts.
    #[must_use]
    pub fn server(&self) -> &str {
        self.http.server()
    }

    async fn call(&self, verb: Verb, path: &str, bearer: Option<&Token>, body: Option<Body>) -> Result<Called, Fault> {
        self.http.call(Call { verb, path, bearer, body }).await.map_err(|why| Fault::lost(&why))
    }

    fn body(kind: &'static str, value: &impl Serialize) -> Result<Body, Fault> {
        let bytes = serde_json::to_vec(value).map_err(|why| Fault::Malformed(format!("what is to be sent is no JSON: {why}")))?;
        Ok(Body { kind, bytes: Zeroizing::new(bytes) })
    }

    /// The document of an answer with one of these states; anything else is a fault.
    fn parsed<T: DeserializeOwned>(&self, called: &Called, what: &str, states: &[u16], secrets: &[&str]) -> Result<T, Fault> {
        if !states.contains(&called.answer.status) {
            return Err(Fault::refused(self.server(), what, called, secrets));
        }
        // One document and nothing after it; a member that stands there twice is none of the protocol either.
        serde_json::from_slice(&called.answer.body)
            .map_err(|_| Fault::Malformed(format!("{} answers to the request to {what} with something else", self.server())))
    }

    /// The time of an answer, by the server's clock.
    fn date(&self, called: &Called) -> Result<Time, Fault> {
        let Some(text) = &called.date else { return Ok(self.clock.now()) };
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc2822)
            .map(Time::of)
            .map_err(|_| Fault::Malformed(format!("{} dates its answer '{text}', which is no date", self.server())))
    }
}

/// Whether a word from outside may stand in a path.
fn is_path_segment(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=128).contains(&word.len()) && word.bytes().all(allowed) && word.bytes().any(|byte| byte != b'.')
}

/// The 16 bytes of a challenge.
fn challenge(text: &str) -> Option<Vec<u8>> {
    use base64ct::Encoding as _;
    base64ct::Base64::decode_vec(text).ok().filter(|bytes| bytes.len() == 16)
}
