//! The only code that touches the outside: one door each, given plain values.

pub mod dir;
pub mod write;
pub mod process;
