//! Validity of a leaf: against the clock, the profile, what was asked, and the authorities above it.

use std::time::Duration;

use super::cert::Facts;
use super::lint::{self, Findings, audit};
use crate::model::clock::Time;
use crate::model::profile::Profile;
use crate::model::request::Request;

/// How far OpenBao dates notBefore back (`not_before_duration`, [OpenBao's roles](crate::judge#openbaos-roles)); it makes a lifetime that
/// much longer than the ttl.
pub const BACKDATING: i64 = 30;
/// Seconds that rounding and a slow signature may take from a lifetime.
const ROUNDING: i64 = 5;

/// Judges the dates of a leaf; `serves_until` is the end of the certificate that it would take the place of, where that is good.
pub fn check(findings: &mut Findings<'_>, leaf: &Facts, request: &Request, serves_until: Option<Time>, now: Time) {
    if leaf.not_after < leaf.not_before {
        findings.add(&lint::INVERTED, format!("an end after {}", leaf.not_before), leaf.not_after.to_string());
        return;
    }
    if against_clock(findings, leaf, now) && little_left(leaf, now, 3) {
        findings.add(&lint::LITTLE_LEFT, "at least a third of the lifetime", format!("{} left", span(leaf.not_after.since(now))));
    }
    let asked = seconds(request.ttl);
    let as_asked = asked.saturating_sub(ROUNDING)..=asked.saturating_add(BACKDATING + ROUNDING);
    let is_of_profile = of_profile(findings, leaf, &request.profile);
    if let Some(end) = serves_until.filter(|end| is_shorter(leaf, asked, 1, 2) && leaf.not_after < *end) {
        let found = format!("{} until {}, before what serves ends at {end}", span(leaf.lifetime()), leaf.not_after);
        findings.add(&lint::SHORTER_THAN_SERVING, span(asked), found);
    } else if is_of_profile && is_shorter(leaf, asked, 9, 10) {
        findings.add(&lint::SHORTENED, span(asked), span(leaf.lifetime()));
    } else if is_of_profile && !as_asked.contains(&leaf.lifetime()) {
        findings.add(&lint::OTHER_LIFETIME, span(asked), span(leaf.lifetime()));
    }
}

/// Whether a leaf lives shorter than `part` of so many `parts` of what was asked for.
fn is_shorter(leaf: &Facts, asked: i64, part: i64, parts: i64) -> bool {
    leaf.lifetime().max(0).saturating_mul(parts) < asked.saturating_mul(part)
}

/// Judges the dates of a leaf that nobody here asked for. Soon is a fraction of its life: 30 days are nothing to one of a year and more
/// than all to one of a day ([Lifetimes as fractions](crate::judge#lifetimes-as-fractions)).
pub fn plain(findings: &mut Findings<'_>, leaf: &Facts, profile: Option<&Profile>, now: Time) {
    if leaf.not_after < leaf.not_before {
        findings.add(&lint::INVERTED, format!("an end after {}", leaf.not_before), leaf.not_after.to_string());
        return;
    }
    if against_clock(findings, leaf, now) {
        let left = format!("{} of {} left", span(leaf.not_after.since(now)), span(leaf.lifetime()));
        if little_left(leaf, now, 10) {
            findings.add(&audit::EXPIRES_SOON, "at least a third of the lifetime", left);
        } else if little_left(leaf, now, 3) {
            findings.add(&audit::RENEWAL_DUE, "at least a third of the lifetime", left);
        }
    }
    if let Some(profile) = profile {
        of_profile(findings, leaf, profile);
    }
}

/// Judges how much of their lives the authorities of a path have left.
pub fn authorities(findings: &mut Findings<'_>, authorities: &[&Facts], anchor: &Facts, now: Time) {
    let all = authorities.iter().map(|facts| (*facts, &audit::CA_EXPIRES_SOON)).chain([(anchor, &audit::ANCHOR_EXPIRES_SOON)]);
    for (facts, lint) in all.filter(|(facts, _)| facts.valid_at(now) && little_left(facts, now, 10)) {
        let left = span(facts.not_after.since(now));
        findings.add(lint, "at least a tenth of the lifetime", format!("{left} of {} left of {}", span(facts.lifetime()), facts.subject));
    }
}

/// Whether less than one part of so many is left.
fn little_left(facts: &Facts, now: Time, parts: i64) -> bool {
    facts.not_after.since(now).saturating_mul(parts) < facts.lifetime()
}

/// Whether the lifetime is one that the profile allows.
fn of_profile(findings: &mut Findings<'_>, leaf: &Facts, profile: &Profile) -> bool {
    let (min, max) = (seconds(profile.lifetime_min), seconds(profile.lifetime_max));
    let life = leaf.lifetime();
    let too_long = life > max.saturating_add(BACKDATING);
    if too_long {
        findings.add(&lint::TOO_LONG, format!("at most {}", span(max)), span(life));
    } else if life < min {
        findings.add(&lint::TOO_SHORT, format!("at least {}", span(min)), span(life));
    }
    !too_long && life >= min
}

/// Whether it is valid now.
fn against_clock(findings: &mut Findings<'_>, leaf: &Facts, now: Time) -> bool {
    if now < leaf.not_before {
        findings.add(&lint::NOT_YET_VALID, format!("valid at {now}"), format!("valid from {}", leaf.not_before));
    } else if !leaf.valid_at(now) {
        findings.add(&lint::EXPIRED, format!("valid at {now}"), format!("valid until {}", leaf.not_after));
    }
    leaf.valid_at(now)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn span(seconds: i64) -> String {
    crate::model::span::show(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::kit::{self, *};
    use super::*;
    use crate::model::finding::Finding;

    fn judge(from: i64, to: i64, request: &Request) -> Vec<Finding> {
        let mut params = kit::leaf();
        params.not_before = kit::time(now().plus(from));
        params.not_after = kit::time(now().plus(to));
        let none = BTreeMap::new();
        let mut findings = Findings::new(&none);
        check(&mut findings, &Facts::parse(&Pki::new().leaf_of(&params)).unwrap(), request, None, now());
        findings.into_vec()
    }

    /// The profile allows 10 minutes to 168 hours and 24 hours were asked for.
    #[test]
    fn dates_are_held_against_clock_profile_and_request() {
        const HOUR: i64 = 3600;
        let rows: [(i64, i64, &[&str]); 18] = [
            (-30, DAY, &[]),
            (0, DAY, &[]),
            (-35, DAY, &[]),
            (-36, DAY, &["validity.other-than-asked"]),
            (-30, DAY - 36, &["validity.other-than-asked"]),
            (0, DAY - 5, &[]),
            (0, DAY - 6, &["validity.other-than-asked"]),
            (1, DAY, &["validity.not-yet-valid"]),
            (-DAY, 0, &["validity.expired"]),
            (-DAY, -1, &["validity.expired"]),
            (-30, 168 * HOUR, &["validity.other-than-asked"]),
            (-31, 168 * HOUR, &["validity.too-long"]),
            (-30, 570, &["validity.shortened"]),
            (-30, 569, &["validity.too-short"]),
            (-16 * HOUR, 8 * HOUR, &[]),
            (-16 * HOUR - 1, 8 * HOUR - 1, &["validity.little-left"]),
            (-10, -20, &["validity.inverted"]),
            (0, 0, &["validity.expired", "validity.too-short"]),
        ];
        for (from, to, expected) in rows {
            assert_eq!(ids(&judge(from, to, &request())), expected, "{from} to {to}");
        }
    }

    /// A day was asked for: what it got, until when what serves lasts, and what is found.
    #[test]
    fn a_renewal_that_would_shorten_life_is_refused_and_a_clipped_one_is_said() {
        const HOUR: i64 = 3600;
        let rows: [(i64, Option<i64>, &[&str]); 10] = [
            (DAY / 10 * 9, None, &["validity.other-than-asked"]),
            (DAY / 10 * 9 - 1, None, &["validity.shortened"]),
            (12 * HOUR - 1, None, &["validity.shortened"]),
            (12 * HOUR - 1, Some(12 * HOUR - 1), &["validity.shortened"]),
            (12 * HOUR - 1, Some(12 * HOUR), &["validity.shorter-than-serving"]),
            (12 * HOUR, Some(DAY), &["validity.shortened"]),
            (HOUR, Some(8 * HOUR), &["validity.shorter-than-serving"]),
            (HOUR, Some(HOUR / 2), &["validity.shortened"]),
            (30, Some(8 * HOUR), &["validity.too-short", "validity.shorter-than-serving"]),
            (DAY, Some(2 * DAY), &[]),
        ];
        for (life, serves, expected) in rows {
            let mut params = kit::leaf();
            (params.not_before, params.not_after) = (kit::time(now()), kit::time(now().plus(life)));
            let none = BTreeMap::new();
            let mut findings = Findings::new(&none);
            let leaf = Facts::parse(&Pki::new().leaf_of(&params)).unwrap();
            check(&mut findings, &leaf, &request(), serves.map(|end| now().plus(end)), now());
            let found = findings.into_vec();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(ids(&found), expected, "{life} s, serves {serves:?}");
            assert_eq!(found.iter().any(Finding::blocks), expected.len() == 2 || expected == ["validity.shorter-than-serving"]);
        }
    }

    #[test]
    fn a_hundred_years_are_too_long_and_do_not_overflow() {
        assert_eq!(ids(&judge(-30, 36_500 * DAY, &request())), ["validity.too-long"]);
        let forever = Request { ttl: Duration::MAX, ..request_with(|profile| profile.lifetime_max = Duration::MAX) };
        assert_eq!(ids(&judge(-30, 36_500 * DAY, &forever)), ["validity.shortened"]);
    }

    #[test]
    fn expected_and_found_are_lengths_a_person_reads() {
        let found = judge(-30, 30 * DAY, &request());
        assert_eq!((found[0].expected.as_str(), found[0].found.as_str()), ("at most 7d", "30d30s"));
    }
}
