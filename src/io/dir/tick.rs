//! The clock by which the kernel dates changes of files. It goes by ticks of a few milliseconds: what changes twice within one may bear one time.
//! Nothing is decided by it but which of two moments of a file system came first.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A moment of that clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick {
    /// Seconds since 1970.
    pub seconds: i64,
    /// And what is beyond them.
    pub nanoseconds: i64,
}

impl Tick {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self::by(ClockId::CLOCK_REALTIME_COARSE)
    }

    fn by(clock: ClockId) -> Self {
        // Where there is no such clock nothing is older than now, and nothing is relied on.
        let now = clock_gettime(clock);
        now.map_or(Self { seconds: i64::MIN, nanoseconds: 0 }, |now| Self { seconds: now.tv_sec(), nanoseconds: now.tv_nsec() })
    }

    /// The next one, once it has come: every change before this call is older. `None` where time does not go on, as where the clock is set back.
    /// Some kernels (6.13 and newer) date more finely than they tick, so a tick that comes late may lie before what was dated already: the next
    /// one is the first beyond the fine clock.
    #[must_use]
    pub fn next() -> Option<Self> {
        /// The longest tick there is has ten milliseconds.
        const LOOKS: usize = 20;
        let begin = Self::by(ClockId::CLOCK_REALTIME);
        for _ in 0..LOOKS {
            std::thread::sleep(Duration::from_millis(1));
            let now = Self::now();
            if now > begin {
                return Some(now);
            }
        }
        None
    }
}
