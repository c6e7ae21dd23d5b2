//! Whether a certificate's next signing request may be sent: five at once, then a trickle that grows denser towards the end of what serves.
//! Pure ([Budget](crate::steps::swap#budget)). It must never block for longer than an hour, nor let a loop send without a pause.

use std::time::Duration;

use crate::config::settings::{Certificate, Settings};
use crate::judge::cert::Facts;
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;
use crate::model::state::State;

/// Requests without a pause between them, since the last commit.
pub const BURST: usize = 5;
/// Requests in one run.
pub const PER_RUN: usize = 2;
/// How many times are kept: one more than the burst, so that giving one back does not open the burst again.
pub const KEPT: usize = BURST + 1;

/// After the burst, the pause is this part of what is left.
const PART: i64 = 8;
/// In this last part of the life only the shortest pause counts.
const LAST_PART: i64 = 10;
/// The shortest pause, in seconds.
const SHORTEST: i64 = 60;
/// The longest pause, in seconds.
const LONGEST: i64 = 3600;

/// What the pauses are measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The committed certificate's validity.
    Committed {
        /// Its notBefore.
        from: Time,
        /// Its notAfter.
        until: Time,
    },
    /// Nothing is committed: the lifetime that is asked for.
    Asked(Duration),
}

impl Life {
    /// Of a certificate that is committed, if one is, and else of what is asked for.
    #[must_use]
    pub fn of(committed: Option<&Facts>, ttl: Duration) -> Self {
        committed.map_or(Self::Asked(ttl), |facts| Self::Committed { from: facts.not_before, until: facts.not_after })
    }
}

/// What the budget says to one more request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// It may be sent.
    Granted,
    /// This run has sent its share; the next one may go on.
    NextRun,
    /// Not before this time.
    NotBefore(Time),
}

/// Says whether one more request may be sent now; `requests` are the times of those that count, `in_this_run` how many of this run were sent.
#[must_use]
pub fn allowance(requests: &[Time], in_this_run: usize, life: Life, now: Time) -> Allowance {
    if in_this_run >= PER_RUN {
        return Allowance::NextRun;
    }
    let next = next_after_burst(requests, life, now).filter(|next| *next > now);
    next.map_or(Allowance::Granted, Allowance::NotBefore)
}

/// Requests of the burst that may still be sent.
#[must_use]
pub const fn left_of_burst(requests: &[Time]) -> usize {
    BURST.saturating_sub(requests.len())
}

/// The first moment at which a request after the burst may be sent; `None`: the burst is not over, or nothing that counts lies in the past.
#[must_use]
pub fn next_after_burst(requests: &[Time], life: Life, now: Time) -> Option<Time> {
    if requests.len() < BURST {
        return None;
    }
    // A clock that was ahead once must not block: what lies in the future counts as sent, and sets no pause.
    let last = requests.iter().copied().filter(|time| *time <= now).max()?;
    Some(match life {
        Life::Committed { from, until } => {
            // 8 (t − last) ≥ until − t, for the smallest whole t.
            let part = last.plus(until.since(last).saturating_add(PART) / (PART + 1));
            let last_part = until.plus(-(until.since(from) / LAST_PART));
            part.min(last.plus(LONGEST)).min(last_part).max(last.plus(SHORTEST))
        }
        Life::Asked(ttl) => {
            let part = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX) / PART;
            last.plus(part.clamp(SHORTEST, LONGEST))
        }
    })
}

/// What a certificate's requests ask for and of whom: where that changes, what was asked before says nothing any more.
#[must_use]
pub fn subject(settings: &Settings, certificate: &Certificate) -> Fingerprint {
    let (openbao, request) = (&settings.openbao, &certificate.request);
    let mut names = request.dns_names();
    names.extend(request.ip.iter().map(ToString::to_string));
    names.extend(request.uri.iter().cloned());
    names.extend(request.emails());
    names.sort();
    let namespace = openbao.namespace.as_deref().unwrap_or_default();
    let told: Vec<&str> = [namespace, &openbao.mount, certificate.issuer.role(), &request.common_name]
        .into_iter()
        .chain(openbao.addresses.iter().map(String::as_str))
        .chain(names.iter().map(String::as_str))
        .collect();
    // No settings hold a NUL.
    Fingerprint::of(told.join("\0").as_bytes())
}

/// The requests of a state that count for this subject.
#[must_use]
pub fn counted<'a>(state: &'a State, subject: &Fingerprint) -> &'a [Time] {
    let is_of_another = state.requests_for.as_ref().is_some_and(|known| known != subject);
    if is_of_another { &[] } else { &state.requests }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn at(seconds: i64) -> Time {
        Time::from_unix(1_800_000_000 + seconds)
    }

    fn life(from: i64, until: i64) -> Life {
        Life::Committed { from: at(from), until: at(until) }
    }

    /// Five requests, the last of them at this second.
    fn burst(last: i64) -> Vec<Time> {
        (0..5).map(|n| at(last - 4 + n)).collect()
    }

    #[test]
    fn five_at_once_and_two_in_a_run() {
        let day = life(0, DAY);
        for sent in 0..8 {
            let requests = vec![at(16 * HOUR); sent];
            let granted = allowance(&requests, 0, day, at(16 * HOUR)) == Allowance::Granted;
            assert_eq!((granted, left_of_burst(&requests)), (sent < 5, 5_usize.saturating_sub(sent)), "{sent}");
        }
        for (in_this_run, expected) in [(0, Allowance::Granted), (1, Allowance::Granted), (2, Allowance::NextRun), (3, Allowance::NextRun)]
        {
            assert_eq!(allowance(&[at(0)], in_this_run, day, at(1)), expected, "{in_this_run}");
        }
        // The run's share ends a trickle as well.
        assert_eq!(allowance(&burst(0), 2, day, at(DAY)), Allowance::NextRun);
    }

    /// A certificate, when the last of five was sent, and how many seconds later the next one may be.
    #[test]
    fn the_pause_is_an_eighth_of_what_is_left_then_within_a_minute_and_an_hour() {
        let rows = [
            ("a day, 9 h left: after one hour 8 h are left", life(0, DAY), DAY - 9 * HOUR, HOUR),
            ("a day, 8 h left", life(0, DAY), DAY - 8 * HOUR, 3200),
            ("a day, 8 h and one second left: rounded up", life(0, DAY), DAY - 8 * HOUR - 1, 3201),
            ("a day, 4.5 h left", life(0, DAY), DAY - 4 * HOUR - 1800, 1800),
            ("a day, 2.5 h left: the last tenth begins before an eighth is over", life(0, DAY), DAY - 9000, 360),
            ("a day, the last tenth", life(0, DAY), DAY - 8640, 60),
            ("a day, its last minute", life(0, DAY), DAY - 60, 60),
            ("a day, expired", life(0, DAY), DAY + HOUR, 60),
            ("90 days: at most an hour", life(0, 90 * DAY), 60 * DAY, HOUR),
            ("90 days, 8 h left: the last tenth", life(0, 90 * DAY), 90 * DAY - 8 * HOUR, 60),
            ("an hour, 20 minutes left", life(0, HOUR), 2400, 134),
            ("an hour, 9 minutes left: at least a minute", life(0, HOUR), HOUR - 540, 60),
            ("ten minutes, 200 seconds left", life(0, 600), 400, 60),
            ("inverted", life(DAY, 0), 0, 60),
            ("nothing committed, a day asked", Life::Asked(Duration::from_secs(86_400)), 0, HOUR),
            ("nothing committed, four hours asked", Life::Asked(Duration::from_secs(14_400)), 0, 1800),
            ("nothing committed, a minute asked", Life::Asked(Duration::from_secs(60)), 0, 60),
            ("nothing committed, for ever asked", Life::Asked(Duration::MAX), 0, HOUR),
        ];
        for (what, life, last, pause) in rows {
            let requests = burst(last);
            let next = at(last + pause);
            assert_eq!(next_after_burst(&requests, life, at(last)), Some(next), "{what}");
            assert_eq!(allowance(&requests, 0, life, next.plus(-1)), Allowance::NotBefore(next), "{what}");
            assert_eq!(allowance(&requests, 0, life, next), Allowance::Granted, "{what}");
        }
    }

    #[test]
    fn a_whole_outage_is_a_trickle_and_never_a_silence() {
        // A day's certificate, due at 16 h, a run every minute: every request is lost.
        let (mut requests, mut sent) = (Vec::new(), Vec::new());
        for minute in 16 * 60..24 * 60 {
            let now = at(minute * 60);
            if allowance(&requests, 0, life(0, DAY), now) == Allowance::Granted {
                requests.push(now);
                requests.drain(..requests.len().saturating_sub(KEPT));
                sent.push(minute);
            }
        }
        let pauses: Vec<i64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses[..4], [1; 4], "the burst");
        assert!(pauses.iter().all(|pause| *pause <= 60), "{pauses:?}");
        // Before the last tenth (2 h 24 min) a handful, in it one a minute.
        let before = sent.iter().filter(|minute| **minute < 24 * 60 - 144).count();
        assert!((14..=20).contains(&before), "{before}");
        assert_eq!(sent.len() - before, 144);
    }

    #[test]
    fn the_latest_request_counts_in_whatever_order_they_are_noted() {
        let day = life(0, DAY);
        let mut requests = burst(16 * HOUR);
        requests.reverse();
        assert_eq!(next_after_burst(&requests, day, at(16 * HOUR)), next_after_burst(&burst(16 * HOUR), day, at(16 * HOUR)));
    }

    #[test]
    fn what_lies_in_the_future_sets_no_pause() {
        let day = life(0, DAY);
        assert_eq!(allowance(&burst(20 * HOUR), 0, day, at(16 * HOUR)), Allowance::Granted);
        let mut requests = burst(20 * HOUR);
        requests.push(at(16 * HOUR));
        assert!(matches!(allowance(&requests, 0, day, at(16 * HOUR + 59)), Allowance::NotBefore(_)));
    }
}
