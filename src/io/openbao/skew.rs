//! How far OpenBao's clock and ours are apart, and what that does to a certificate.

use std::time::Duration;

use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};

/// OpenBao dates a certificate back by this much ([Signing](crate::io::openbao#signing)): a server that is further ahead signs what begins
/// in our future.
const BACKDATING: i64 = 30;
/// A difference that is worth saying.
const WORTH_SAYING: i64 = 60;

/// The difference of two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// The server's clock is at least this many seconds ahead of ours; negative: behind.
    pub ahead: i64,
}

impl Skew {
    /// From the server's time and ours before and after asking. An answer that took long makes no skew: only what is certain counts.
    #[must_use]
    pub fn of(server: Time, asked: Time, answered: Time) -> Self {
        let ahead = server.since(answered).max(0);
        let behind = asked.since(server).max(0);
        Self { ahead: ahead - behind }
    }

    /// What makes signing pointless for every certificate.
    ///
    /// # Errors
    /// `clock-skew`: the server is ahead by more than its backdating.
    pub fn for_all(self, server: &str) -> Result<(), Failure> {
        if self.ahead <= BACKDATING {
            return Ok(());
        }
        let text = format!(
            "the clock of {server} is {} s ahead of this host's, at most {BACKDATING} s were expected: a certificate signed now would begin in the future here",
            self.ahead
        );
        Err(skewed(text))
    }

    /// What makes signing pointless for a certificate of this lifetime.
    ///
    /// # Errors
    /// `clock-skew`: the server is behind by more than the lifetime.
    pub fn for_lifetime(self, server: &str, ttl: Duration) -> Result<(), Failure> {
        let behind = self.ahead.saturating_neg();
        if u64::try_from(behind).is_ok_and(|behind| behind > ttl.as_secs()) {
            let text = format!(
                "the clock of {server} is {behind} s behind this host's, more than the lifetime of {} s: a certificate signed now would have expired here",
                ttl.as_secs()
            );
            return Err(skewed(text));
        }
        Ok(())
    }

    /// What is worth saying although it stops nothing.
    #[must_use]
    pub fn warning(self, server: &str) -> Option<Warning> {
        (self.ahead < -WORTH_SAYING).then(|| {
            let text = format!(
                "the clock of {server} is {} s behind this host's: certificates live shorter here than asked",
                self.ahead.saturating_neg()
            );
            Warning::new(Code::ClockSkew, text)
        })
    }
}

fn skewed(text: String) -> Failure {
    Failure::new(Stage::Issue, Code::ClockSkew, text)
        .hint("compare the clocks of this host and of OpenBao (timedatectl) and correct the wrong one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_judged_by_backdating_and_lifetime() {
        let ttl = Duration::from_secs(3600);
        for (ahead, all, lifetime, said) in [
            (0, true, true, false),
            (30, true, true, false),
            (31, false, true, false),
            (-60, true, true, false),
            (-61, true, true, true),
            (-3600, true, true, true),
            (-3601, true, false, true),
            (i64::MIN, true, false, true),
            (i64::MAX, false, true, false),
        ] {
            let skew = Skew { ahead };
            assert_eq!(skew.for_all("s").is_ok(), all, "{ahead}");
            assert_eq!(skew.for_lifetime("s", ttl).is_ok(), lifetime, "{ahead}");
            assert_eq!(skew.warning("s").is_some(), said, "{ahead}");
        }
    }

    #[test]
    fn a_slow_answer_is_no_skew() {
        let at = Time::from_unix;
        assert_eq!(Skew::of(at(1000), at(990), at(1005)).ahead, 0);
        assert_eq!(Skew::of(at(1000), at(900), at(910)).ahead, 90);
        assert_eq!(Skew::of(at(1000), at(1100), at(1110)).ahead, -100);
    }

    #[test]
    fn absurd_times_of_a_server_do_not_overflow() {
        let now = Time::from_unix(1_800_000_000);
        assert!(Skew::of(Time::from_unix(i64::MAX), now, now).ahead > 30);
        assert!(Skew::of(Time::from_unix(i64::MIN), now, now).ahead < -60);
    }
}
