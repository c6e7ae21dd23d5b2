//! The one clock. Only `main` makes it; every other room is given one, so that time can be said in tests.

use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Wall clock and monotonic clock, as plain functions.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: fn() -> SystemTime,
    monotonic: fn() -> Instant,
}

impl Clock {
    /// A clock that reads these two.
    #[must_use]
    pub const fn new(wall: fn() -> SystemTime, monotonic: fn() -> Instant) -> Self {
        Self { wall, monotonic }
    }

    /// The wall clock's time, UTC, in whole seconds.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::of(OffsetDateTime::from((self.wall)()))
    }

    /// The monotonic clock, for deadlines within a run.
    #[must_use]
    pub fn instant(&self) -> Instant {
        (self.monotonic)()
    }
}

/// A point in time in whole seconds, UTC; written as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(#[serde(with = "time::serde::rfc3339")] OffsetDateTime);

impl Time {
    /// This time, cut to whole seconds.
    #[must_use]
    pub fn of(time: OffsetDateTime) -> Self {
        let time = time.to_offset(time::UtcOffset::UTC);
        Self(time.replace_nanosecond(0).unwrap_or(time))
    }

    /// From seconds since 1970; the nearest end of the calendar where that is out of range.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        let bound = if seconds < 0 { time::PrimitiveDateTime::MIN } else { time::PrimitiveDateTime::MAX };
        Self::of(OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(bound.assume_utc()))
    }

    /// The last second of the calendar, which stands for no end (RFC 5280 §4.1.2.5).
    #[must_use]
    pub fn last() -> Self {
        Self::from_unix(i64::MAX)
    }

    /// Reads RFC 3339.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(Self::of)
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Later by `seconds` (earlier when negative), held within the calendar.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(time::Duration::seconds(seconds)))
    }

    /// Seconds from `earlier` to this time; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0).whole_seconds()
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // RFC 3339 knows years 0 to 9999, which are also all that X.509 can say.
        f.write_str(&self.0.format(&Rfc3339).unwrap_or_else(|_| "(outside RFC 3339)".to_owned()))
    }
}
