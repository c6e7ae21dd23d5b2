//! What is sent, and what comes back.

use std::fmt;

use zeroize::Zeroizing;

use crate::model::secret::Token;

/// One request.
pub struct Request<'a> {
    /// Below the base, without a leading slash.
    pub path: &'a str,
    /// `X-Vault-Namespace`; none for the root one.
    pub namespace: Option<&'a str>,
    /// `X-Vault-Token`.
    pub token: Option<&'a Token>,
    /// JSON to POST; without it the request is a GET.
    pub json: Option<Zeroizing<Vec<u8>>>,
}

/// What is sent may hold a secret.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("path", &self.path).field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// What came back: status, and the whole body.
pub struct Answer {
    /// Status code, any but a redirect's.
    pub status: u16,
    /// The header `Retry-After`, as sent.
    pub retry_after: Option<String>,
    /// At most 1 MiB. It may hold a token.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("retry_after", &self.retry_after).finish_non_exhaustive()
    }
}
