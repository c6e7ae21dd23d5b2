//! Validity of a leaf: against the clock, the profile, what was asked, and the authorities above it.

use std::time::Duration;

use super::cert::Facts;
use super::lint::{self, Findings};
use crate::model::clock::Time;
use crate::model::request::Request;

/// How far OpenBao dates notBefore back (`not_before_duration`, facts/x509 §3); it makes a lifetime that much longer than the ttl.
pub const BACKDATING: i64 = 30;
/// Seconds that rounding and a slow signature may take from a lifetime.
const ROUNDING: i64 = 5;

/// Judges the dates of a leaf.
pub fn check(findings: &mut Findings<'_>, leaf: &Facts, request: &Request, now: Time) {
    if leaf.not_after < leaf.not_before {
        findings.add(&lint::INVERTED, format!("an end after {}", leaf.not_before), leaf.not_after.to_string());
        return;
    }
    against_clock(findings, leaf, now);
    let profile = &request.profile;
    let (min, max) = (seconds(profile.lifetime_min), seconds(profile.lifetime_max));
    let life = leaf.lifetime();
    let found = span(life);
    if life > max.saturating_add(BACKDATING) {
        findings.add(&lint::TOO_LONG, format!("at most {}", span(max)), found);
    } else if life < min {
        findings.add(&lint::TOO_SHORT, format!("at least {}", span(min)), found);
    } else {
        let asked = seconds(request.ttl);
        let as_asked = asked.saturating_sub(ROUNDING)..=asked.saturating_add(BACKDATING + ROUNDING);
        if !as_asked.contains(&life) {
            findings.add(&lint::OTHER_LIFETIME, span(asked), found);
        }
    }
}

fn against_clock(findings: &mut Findings<'_>, leaf: &Facts, now: Time) {
    if now < leaf.not_before {
        findings.add(&lint::NOT_YET_VALID, format!("valid at {now}"), format!("valid from {}", leaf.not_before));
    } else if !leaf.valid_at(now) {
        findings.add(&lint::EXPIRED, format!("valid at {now}"), format!("valid until {}", leaf.not_after));
    } else if leaf.not_after.since(now).saturating_mul(3) < leaf.lifetime() {
        findings.add(&lint::LITTLE_LEFT, "at least a third of the lifetime", format!("{} left", span(leaf.not_after.since(now))));
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn span(seconds: i64) -> String {
    crate::model::span::show(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}
