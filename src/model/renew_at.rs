//! When in its life a certificate is due: what `renew_at` of the settings says, and how much of a life that leaves for renewing.

use std::time::Duration;

use super::span;

/// A certificate that is renewed earlier than this is renewed for nothing, and one that is renewed later has no time left for a second try.
const EARLIEST: i64 = 100;
const LATEST: i64 = 950;

/// When in its life a certificate is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RenewAt {
    /// After two thirds of it.
    #[default]
    Usual,
    /// After this many thousandths of it, 100 to 950.
    Share(i64),
    /// This long before its end.
    Before(Duration),
}

impl RenewAt {
    /// A part of the lifetime.
    ///
    /// # Errors
    /// What is expected, where that is too early or too late.
    pub fn share(part: f64) -> Result<Self, String> {
        #[expect(clippy::cast_possible_truncation, reason = "what is no number, or far too large, is refused by its bounds")]
        let thousandths = (part * 1000.0).round() as i64;
        if (EARLIEST..=LATEST).contains(&thousandths) {
            return Ok(Self::Share(thousandths));
        }
        Err(format!("expected a share of the lifetime from 0.1 to 0.95, found {part}"))
    }

    /// A time before the end (`"8h"`) or a share in percent (`"50%"`).
    ///
    /// # Errors
    /// What is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match percent {
            Some(percent) => Self::share(percent / 100.0),
            None => span::parse(text).map(Self::Before),
        }
    }

    /// Whether it suits a lifetime.
    ///
    /// # Errors
    /// What is expected of a time before the end, for certificates that live so long.
    pub fn suit(self, lifetime: Duration) -> Result<(), String> {
        let Self::Before(before) = self else { return Ok(()) };
        let (least, most) = (lifetime / 20, lifetime / 10 * 9);
        if (least..=most).contains(&before) {
            return Ok(());
        }
        let (least, most, found) = (span::show(least), span::show(most), span::show(before));
        Err(format!("expected {least} to {most} before the end of {}, found {found}", span::show(lifetime)))
    }

    /// The part of a life of so many seconds after which it is due. One that lives shorter than was asked for is not due as it comes.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds of a lifetime are far below 2^52")]
    pub fn part(self, lifetime: i64) -> f64 {
        let least = EARLIEST as f64 / 1000.0;
        match self {
            Self::Usual => 2.0 / 3.0,
            Self::Share(thousandths) => thousandths as f64 / 1000.0,
            Self::Before(_) if lifetime <= 0 => least,
            Self::Before(before) => (1.0 - before.as_secs() as f64 / lifetime as f64).max(least),
        }
    }

    /// What is left of a lifetime then.
    #[must_use]
    pub fn left(self, lifetime: Duration) -> Duration {
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let left = lifetime.as_secs_f64() * (1.0 - self.part(seconds));
        Duration::from_secs_f64(left.max(0.0).round())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_written_is_due_then_and_nothing_out_of_bounds_is_taken() {
        let day = 24 * HOUR;
        for (text, left) in [("8h", 8 * HOUR), ("50%", 12 * HOUR), ("90%", HOUR * 24 / 10), ("72m", Duration::from_secs(4320))] {
            let at = RenewAt::parse(text).unwrap();
            assert_eq!((at.suit(day), at.left(day)), (Ok(()), left), "{text}");
        }
        assert_eq!(RenewAt::share(0.5).map(|at| at.left(day)), Ok(12 * HOUR));
        for wrong in [0.0, 0.09, 0.96, 1.0, -0.5, f64::NAN, f64::INFINITY, 66.0] {
            assert!(RenewAt::share(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "8", "half", "5%", "96%", "x%", "-1h"] {
            assert!(RenewAt::parse(wrong).is_err(), "{wrong}");
        }
        for (text, suits) in [("71m", false), ("72m", true), ("21h", true), ("22h", false), ("24h", false)] {
            assert_eq!(RenewAt::parse(text).unwrap().suit(day).is_ok(), suits, "{text}");
        }
    }

    #[test]
    fn a_shorter_life_than_was_asked_for_is_not_due_as_it_comes() {
        let part = |lifetime: i64| (RenewAt::Before(8 * HOUR).part(lifetime) * 1000.0).round() as i64;
        assert_eq!([part(3600), part(86_400), part(0)], [100, 667, 100]);
    }
}
