//! Hosts without number, a CA that goes away and comes back slowly, and second by second what the plan's own functions let each host do.
//! What is simulated are the clock, the timers of the hosts and the CA; due dates, choice and budget are those of the program.

use omens::model::clock::Time;
use omens::model::name::{CertName, Generation};
use omens::model::renew_at::RenewAt;
use omens::model::state::Proof;
use omens::plan::budget::{self, Allowance, Life};
use omens::plan::choice::{Known, Live, Plan, choose};
use omens::plan::due::Renewal;

/// The period of the timer that starts a run.
pub const PERIOD: i64 = 900;
const DAY: i64 = 86_400;
/// Seconds before and after the outage that are looked at.
const BEFORE: i64 = 3600;
const AFTER: i64 = 12 * 3600;
const START: i64 = 1_800_000_000;

/// Which budget the hosts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The program's.
    Ours,
    /// Five requests in a third of the ttl and then silence.
    FiveInAThird,
}

/// What is played.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    pub hosts: usize,
    pub rule: Rule,
    /// How long the CA is away: requests reach it and are never answered, so that each of them counts.
    pub away: i64,
    /// How long it takes, once it is back, until it signs as much as before.
    pub return_takes: i64,
    /// Signatures in a second.
    pub capacity: f64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// Requests and signatures of each minute.
    pub asked: Vec<usize>,
    pub signed: Vec<usize>,
    /// Certificates that ended before there was another one.
    pub ended: usize,
    /// Those of them whose host left a run unused for its budget although the CA would have signed one more then.
    pub avoidable: usize,
    /// The largest number of seconds that a host which was due did not ask, although it had runs.
    pub longest_silence: i64,
}

impl Played {
    /// The most requests of a second, over a minute.
    pub fn peak(&self) -> f64 {
        per_second(self.asked.iter().copied().max().unwrap_or(0))
    }
}

#[expect(clippy::cast_precision_loss, reason = "requests of a minute")]
pub fn per_second(of_a_minute: usize) -> f64 {
    of_a_minute as f64 / 60.0
}

struct Host {
    from: i64,
    until: i64,
    due: i64,
    requests: Vec<Time>,
    in_this_run: usize,
    /// Since it became due, or last asked.
    quiet_since: i64,
    missed_a_chance: bool,
    has_ended: bool,
}

impl Host {
    fn renewed(&mut self, host: &str, name: &CertName, now: i64) {
        (self.from, self.until) = (now - 30, now + DAY);
        let renewal = Renewal { host, name, at: RenewAt::Usual };
        self.due = renewal.due_at(at(self.from), at(self.until)).unix() - START;
        self.quiet_since = self.due;
        self.requests.clear();
        (self.missed_a_chance, self.has_ended) = (false, false);
    }

    /// What a run does now, by the program's choice.
    fn asks_for_new(&self, now: i64) -> bool {
        let live = Live {
            generation: Generation(1),
            due: now >= self.due,
            publishable: true,
            valid: self.from <= now && now < self.until,
            proof: Proof::Served,
        };
        let known = Known {
            live: Some(live),
            debt: None,
            newer: Vec::new(),
            knows_withdrawn: true,
            begun: false,
            published: true,
            trusts: true,
            awaits_links: false,
            force: false,
            next: Generation(2),
        };
        matches!(choose(&known), Plan::Issue(_))
    }

    fn may_ask(&mut self, rule: Rule, now: i64) -> bool {
        match rule {
            Rule::Ours => {
                let life = Life::Committed { from: at(self.from), until: at(self.until) };
                budget::allowance(&self.requests, self.in_this_run, life, at(now)) == Allowance::Granted
            }
            Rule::FiveInAThird => {
                self.requests.retain(|time| at(now).since(*time) < DAY / 3);
                self.requests.len() < 5 && self.in_this_run < 2
            }
        }
    }
}

fn at(second: i64) -> Time {
    Time::from_unix(START + second)
}

/// A number that looks like chance and is the same in each run (SplitMix64).
fn dice(seed: usize) -> u64 {
    let mut z = (seed as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below the bound.
fn roll(seed: usize, below: i64) -> i64 {
    i64::try_from(dice(seed) % below.unsigned_abs()).expect("below the bound")
}

/// Signatures that the CA makes in this second.
#[expect(clippy::cast_precision_loss, reason = "seconds of a few days")]
fn signs(play: &Play, second: i64) -> f64 {
    let back_for = second - BEFORE - play.away;
    match () {
        () if second < BEFORE => play.capacity,
        () if back_for < 0 => 0.0,
        () if back_for < play.return_takes => play.capacity * (back_for as f64 / play.return_takes as f64).max(0.01),
        () => play.capacity,
    }
}

/// Plays it.
pub fn play(play: Play) -> Played {
    let name = CertName::parse("web").expect("a name");
    let names: Vec<String> = (0..play.hosts).map(|n| format!("host-{n}")).collect();
    let mut hosts: Vec<Host> = names.iter().enumerate().map(|(n, host)| in_the_middle(n, host, &name)).collect();
    let end = BEFORE + play.away + AFTER;
    // Who acts in which second: runs by their timers, and the second try of a run a second later.
    let mut agenda: Vec<Vec<usize>> = vec![Vec::new(); usize::try_from(end + PERIOD + 2).expect("positive")];
    for (n, host) in hosts.iter().enumerate() {
        put(&mut agenda, next_run(roll(n + 7 * play.hosts, PERIOD), host.due), n);
    }
    let minutes = usize::try_from(end / 60 + 1).expect("positive");
    let mut played = Played { asked: vec![0; minutes], signed: vec![0; minutes], ..Played::default() };
    let mut spare = 0.0;
    for second in 0..end {
        let minute = usize::try_from(second / 60).expect("positive");
        let acting = std::mem::take(&mut agenda[usize::try_from(second).expect("positive")]);
        // What was not used in a second is gone, but for the fraction.
        spare = f64::min(spare, 1.0) + signs(&play, second);
        let mut held_back = Vec::new();
        for n in acting {
            let host = &mut hosts[n];
            // Each try of a run comes a second after the one before.
            let tries = i64::try_from(host.in_this_run).expect("a few");
            if tries == 0 {
                tell_end(host, second, &mut played);
            }
            assert!(host.asks_for_new(second), "only runs of hosts that are due are played");
            if !host.may_ask(play.rule, second) {
                if host.in_this_run == 0 {
                    held_back.push(n);
                    played.longest_silence = played.longest_silence.max(second - host.quiet_since);
                }
                put(&mut agenda, second + PERIOD - tries, n);
                host.in_this_run = 0;
                continue;
            }
            played.asked[minute] += 1;
            host.quiet_since = second;
            if spare >= 1.0 {
                spare -= 1.0;
                played.signed[minute] += 1;
                host.renewed(&names[n], &name, second);
                put(&mut agenda, next_run(second - tries, host.due), n);
                host.in_this_run = 0;
            } else {
                host.requests.push(at(second));
                host.in_this_run += 1;
                put(&mut agenda, second + 1, n);
            }
        }
        if spare >= 1.0 {
            held_back.into_iter().for_each(|n| hosts[n].missed_a_chance = true);
        }
    }
    played
}

/// A certificate whose end was passed since the last run.
fn tell_end(host: &mut Host, now: i64, played: &mut Played) {
    if now < host.until || host.has_ended {
        return;
    }
    host.has_ended = true;
    played.ended += 1;
    played.avoidable += usize::from(host.missed_a_chance);
}

/// The first run of this timer after which the certificate is due; those before it do nothing.
fn next_run(a_run: i64, due: i64) -> i64 {
    a_run + ((due - a_run).max(0) + PERIOD - 1) / PERIOD * PERIOD
}

fn put(agenda: &mut [Vec<usize>], second: i64, host: usize) {
    if let Some(acting) = agenda.get_mut(usize::try_from(second).expect("positive")) {
        acting.push(host);
    }
}

/// A host somewhere in the life of its certificate, as they are on any day.
fn in_the_middle(n: usize, host: &str, name: &CertName) -> Host {
    let mut made =
        Host { from: 0, until: 0, due: 0, requests: Vec::new(), in_this_run: 0, quiet_since: 0, missed_a_chance: false, has_ended: false };
    made.renewed(host, name, 0);
    let age = roll(n, made.due);
    made.from -= age;
    made.until -= age;
    made.due -= age;
    made.quiet_since = made.due;
    made
}
