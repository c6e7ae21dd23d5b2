//! The only code that touches the outside: one door each, given plain values.

pub mod tls;
pub mod http;
pub mod handshake;
pub mod openbao;
