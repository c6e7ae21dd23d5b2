//! A clock that stands still until a test moves it. There is one in a process, so that tests take turns.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use omens::model::clock::{Clock, Time};

static NOW: AtomicI64 = AtomicI64::new(0);
static TURN: Mutex<()> = Mutex::new(());

/// Holds the clock for one test.
pub struct Turn(#[allow(dead_code, reason = "held until it is dropped")] MutexGuard<'static, ()>);

/// Waits for the clock and sets it to the real time.
pub fn take() -> Turn {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let real = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    NOW.store(i64::try_from(real).expect("before the end of time"), Ordering::SeqCst);
    Turn(turn)
}

pub fn advance(seconds: i64) {
    NOW.fetch_add(seconds, Ordering::SeqCst);
}

pub fn now() -> Time {
    Time::from_unix(NOW.load(Ordering::SeqCst))
}

pub fn clock() -> Clock {
    let wall = || SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::SeqCst).unsigned_abs());
    Clock::new(wall, Instant::now)
}
