//! The only code that touches the outside: one door each, given plain values.
//!
#![doc = include_str!("host.md")]

pub mod account;
pub mod dir;
pub mod read;
pub mod lock;
pub mod look;
pub mod write;
pub mod process;
pub mod rotate;
pub mod runtime;
pub mod signal;
pub mod notify;
pub mod tls;
pub mod http;
pub mod starttls;
pub mod handshake;
pub mod interview;
pub mod spiffe;
pub mod openbao;
pub mod tpm;
pub mod identity;
pub mod keylime;
