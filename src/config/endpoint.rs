//! Where a certificate can be seen on the wire: an entry of `verify`.

use std::net::IpAddr;
use std::time::Duration;

/// `{ tls = { address, server_name, deadline } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST:PORT`.
    pub address: String,
    /// SNI, and the name the served certificate must have.
    pub server_name: ServerName,
    /// How long the new certificate may take to appear (default 15 s).
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
