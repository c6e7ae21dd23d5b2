//! Pure judgement of certificates and answers: one engine for `renew` and the reports. No file, no clock, no network.
//!
//! [`gate()`] decides whether what a CA answered may go further: every check runs, all rejections are collected, and a certificate
//! without a path to the one pinned anchor is always refused. [`fits`] is the part of it that needs no signature.
//!
#![doc = include_str!("facts.md")]

pub mod assess;
pub mod attestation;
mod beside;
pub mod cert;
pub mod chain;
pub mod container;
pub mod crl;
pub mod der;
pub mod form;
mod gate;
#[cfg(test)]
pub(crate) mod kit;
pub mod lifetime;
pub mod lint;
pub mod name;
pub mod oid;
pub mod pair;
pub mod parsed;
pub mod path;
pub mod peers;
pub mod pem;
#[cfg(test)]
mod properties;
mod signature;
mod strict;
pub mod usage;
pub mod wanted;

pub use gate::{Gate, Verdict, fits, gate, named, served};
