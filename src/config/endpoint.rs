//! How it is seen that a certificate is in use: the entries of `verify`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::program::Program;
use crate::model::secret::SecretSource;
use crate::model::starttls::StartTls;

/// `{ tls = { address, server_name, deadline, starttls, client } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST:PORT`.
    pub address: String,
    /// SNI, and the name the served certificate must have.
    pub server_name: ServerName,
    /// How long the new certificate may take to appear (default 15 s).
    pub deadline: Duration,
    /// What is spoken in clear before TLS.
    pub starttls: Option<StartTls>,
    /// What is shown where the server asks for a client certificate; it has to take it.
    pub client: Option<ClientPair>,
}

/// `{ cert, key }`: a client certificate, read when it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPair {
    /// PEM: the leaf, then intermediates.
    pub cert: PathBuf,
    /// Its key.
    pub key: SecretSource,
}

/// `{ exec = { command, timeout, deadline } }`: a program whose exit code 0 says that the new certificate is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is run.
    pub program: Program,
    /// How long it is run again and again until it says so (default 15 s).
    pub deadline: Duration,
}

/// A DNS name or an address, as in a SAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}
