//! A CA that is away costs no certificate that it could have signed in time, and is not flooded when it comes back: simulated with the
//! plan's own functions over a few thousand hosts. `./run bench outage` plays the same with a hundred thousand, and draws it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod sim;

use sim::{PERIOD, Play, Played, Rule, play};

const HOSTS: usize = 3000;
/// As many signatures a host as one CA on two cores makes for a hundred thousand.
const CAPACITY: f64 = 3.9;
const HOUR: i64 = 3600;

fn outage(rule: Rule, hours: i64) -> Played {
    play(Play { hosts: HOSTS, rule, away: hours * HOUR, return_takes: 2 * HOUR, capacity: CAPACITY })
}

#[test]
fn no_certificate_ends_that_the_authority_could_have_signed() {
    for hours in [1, 6, 12, 20] {
        let played = outage(Rule::Ours, hours);
        assert_eq!(played.avoidable, 0, "{hours} h: of {} that ended", played.ended);
        assert_eq!(played.ended == 0, hours <= 6, "{hours} h: {} ended", played.ended);
        // A due host never leaves more than its pause and one period unused.
        assert!(played.longest_silence <= HOUR + PERIOD, "{hours} h: silent for {} s", played.longest_silence);
        // No storm: the worst minute asks for no more than the CA signs.
        assert!(played.peak() <= CAPACITY, "{hours} h: {} requests in a second", played.peak());
    }
}

/// What the simulation is worth: it sees what the rule of before did.
#[test]
fn five_requests_and_then_silence_lost_certificates() {
    let played = outage(Rule::FiveInAThird, 6);
    assert!(played.avoidable > 0 && played.longest_silence > 7 * HOUR, "{} of {}", played.avoidable, played.ended);
}
