//! The joints in memory: an issuer with a CA of its own, a key store whose keys stay in a device, an attester that says what it is told, a
//! service that is a directory. They do nothing wrong by themselves, and everything wrong on demand; each counts what it was asked.

pub mod attester;
pub mod issuer;
pub mod keys;
pub mod service;

use std::time::{Instant, SystemTime};

use omens::model::clock::Clock;

/// The clocks of this host.
pub fn clock() -> Clock {
    Clock::new(SystemTime::now, Instant::now)
}
