//! Whole runs in memory: the real settings, plan, flow and files on a disk of their own, with an authority, services and eyes that do what
//! a test tells them. What takes a real OpenBao and nginx seconds takes milliseconds here, so order, reverts, shared reloads and
//! interruptions are shown in all their turns; the same on real parts is in `tests/it`.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "tests open files and panic when something is wrong"
)]

#[path = "../lab/pki.rs"]
#[allow(dead_code, reason = "the world uses a part of it")]
mod pki;

mod authority;
mod debt;
mod decided;
mod decisions;
mod eyes;
mod host;
mod installed;
mod many;
mod ranks;
mod revocation;
mod rollout;
mod services;
mod stories;
mod strangers;
mod time_of_day;
mod trust;
mod walk;
