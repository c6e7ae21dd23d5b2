//! A call of an API: what is done to which resource, as whom and with what, and what that gave.

use reqwest::Method;
use zeroize::Zeroizing;

use super::Answer;
use crate::model::secret::Token;

/// One call of an API that needs more than [`Request`](super::Request) says.
#[derive(Debug)]
pub struct Call<'a> {
    /// What is done to the resource.
    pub verb: Verb,
    /// Below the base, without a leading slash.
    pub path: &'a str,
    /// `Authorization: Bearer`.
    pub bearer: Option<&'a Token>,
    /// What is sent; without it there is no `Content-Type` either.
    pub body: Option<Body>,
}

/// The methods that are used (RFC 9110 §9, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `GET`.
    Get,
    /// `PATCH`.
    Patch,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
}

impl Verb {
    pub(super) const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Patch => Method::PATCH,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
        }
    }
}

/// The body of a call.
pub struct Body {
    /// `Content-Type`.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// What is sent may hold a secret.
impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body {{ {}, {} bytes }}", self.kind, self.bytes.len())
    }
}

/// What a call gave.
#[derive(Debug)]
pub struct Called {
    /// Status and body.
    pub answer: Answer,
    /// The header `Date`, sanitised.
    pub date: Option<String>,
    /// The header `Location`, sanitised.
    pub location: Option<String>,
}
