//! The only code that touches the outside: one door each, given plain values.

pub mod account;
pub mod read;
