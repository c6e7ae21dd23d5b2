//! What a certificate must look like: the reviewed policy behind a `profile = "NAME"` of the settings.

use std::collections::BTreeMap;
use std::time::Duration;

use super::finding::Severity;
use super::key::KeyAlgorithm;
use super::renew_at::RenewAt;

/// Which side of a TLS handshake the certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Both sides.
    Both,
    /// TLS client.
    Client,
    /// TLS server.
    Server,
}

impl Purpose {
    /// Whether a TLS server must be able to use it.
    #[must_use]
    pub const fn server(self) -> bool {
        matches!(self, Self::Server | Self::Both)
    }

    /// Whether a TLS client must be able to use it.
    #[must_use]
    pub const fn client(self) -> bool {
        matches!(self, Self::Client | Self::Both)
    }
}

/// A set of values of which some must be there and only some may: deny by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Must be present.
    pub required: Vec<String>,
    /// May be present besides.
    pub allowed: Vec<String>,
}

/// A profile (`policies/certificates/NAME.toml`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, the file's stem.
    pub name: String,
    /// Which side of TLS.
    pub purpose: Purpose,
    /// Extended key usage (RFC 5280 §4.2.1.12): `serverAuth`, `clientAuth` … or a dotted OID.
    pub eku: Usage,
    /// Key usage (RFC 5280 §4.2.1.3): `digitalSignature`, `keyEncipherment` …
    pub key_usage: Usage,
    /// Key algorithms a certificate may have.
    pub keys: Vec<KeyAlgorithm>,
    /// Shortest lifetime.
    pub lifetime_min: Duration,
    /// Longest lifetime.
    pub lifetime_max: Duration,
    /// Whether `*.example` may stand among the names.
    pub wildcard: bool,
    /// Severities that differ from a lint's own; ids that the lint table knows, never one of the fixed checks.
    pub lints: BTreeMap<String, Severity>,
    /// When its certificates are due, where they do not say it themselves.
    pub renew_at: Option<RenewAt>,
}
