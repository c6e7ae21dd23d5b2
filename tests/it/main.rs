//! The integration tests: the binary on real parts, and on one that lies. Names are claims.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_errors_doc,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "tests open files, start processes and panic when something is wrong"
)]

#[path = "../lab/mod.rs"]
#[allow(dead_code, reason = "tests, demo and bench each use a part of the lab")]
mod lab;

mod lab_itself;
