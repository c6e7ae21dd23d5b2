//! A random walk: an authority that refuses, services that lie, runs that die, power that goes, and time, in any order. After every step the
//! invariants hold; and from wherever the walk has come to, a host that is well outside converges with no help.
//!
//! The seed is printed when a walk fails; `OMENS_WALK_SEED=N` walks that one again, `OMENS_WALK_STEPS=N` walks further.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use omens::config::service::ServiceState;
use omens::model::entry::Outcome;
use omens::steps::flow::ending::Ending;

use crate::authority::Answers;
use crate::host::{Cert, Host};
use crate::services::Manner;
use crate::time_of_day;

/// Certificates that share services directly, through others, and not at all.
const CERTS: [Cert; 4] = [
    Cert { name: "web", daemons: &[0] },
    Cert { name: "api", daemons: &[0, 1] },
    Cert { name: "mail", daemons: &[2] },
    Cert { name: "files", daemons: &[] },
];

/// SplitMix64: enough to choose steps, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn every_walk_keeps_the_invariants_and_finds_home() {
    let steps = number("OMENS_WALK_STEPS").unwrap_or(25);
    let seeds: Vec<u64> = number("OMENS_WALK_SEED").map_or_else(|| (1..=10).collect(), |seed| vec![seed]);
    for seed in seeds {
        let walked = catch_unwind(AssertUnwindSafe(|| walk(seed, steps)));
        if let Err(why) = walked {
            eprintln!("the walk with OMENS_WALK_SEED={seed} failed");
            std::panic::resume_unwind(why);
        }
    }
}

fn walk(seed: u64, steps: u64) {
    let _turn = time_of_day::take();
    let host = Host::new(&CERTS);
    let mut dice = Dice(seed);
    for number in 0..steps {
        let what = step(&host, &mut dice);
        host.check(&format!("seed {seed}, step {number}: {what}"));
    }
    home(&host, seed);
}

/// One step, in words.
fn step(host: &Host, dice: &mut Dice) -> String {
    match dice.roll(12) {
        0 => {
            let answers =
                [Answers::Signs, Answers::Away, Answers::Refuses, Answers::LosesTheAnswer, Answers::SignsAnotherKey, Answers::AddsAName];
            let answers = answers[usize::try_from(dice.roll(6)).expect("small")];
            host.authority.answer(answers);
            format!("the authority {answers:?}")
        }
        1 | 2 => {
            let daemon = &host.daemons[usize::try_from(dice.roll(3)).expect("small")];
            let manners = [Manner::Reads, Manner::KeepsWhatItHas, Manner::Refuses, Manner::RefusesTheNew("web".to_owned()), Manner::Reads];
            let manner = manners[usize::try_from(dice.roll(5)).expect("small")].clone();
            daemon.be(manner.clone());
            format!("{} {manner:?}", daemon.name)
        }
        3 => {
            let daemon = &host.daemons[usize::try_from(dice.roll(3)).expect("small")];
            let state = [ServiceState::Running, ServiceState::Stopped, ServiceState::Failed][usize::try_from(dice.roll(3)).expect("small")];
            daemon.set(state);
            if state == ServiceState::Running {
                // What starts by itself reads what is there.
                daemon.read(None).ok();
            }
            format!("{} {state:?}", daemon.name)
        }
        4 => {
            host.power_cut();
            host.restore();
            for daemon in host.daemons.iter().filter(|daemon| daemon.is_running()) {
                daemon.read(None).ok();
            }
            "the power went, and the host booted".to_owned()
        }
        5 | 6 => {
            let seconds = i64::try_from(dice.roll(50_000)).expect("small");
            time_of_day::advance(seconds);
            format!("{seconds} s went by")
        }
        7 => dying(host, dice),
        8 => {
            let name = CERTS[usize::try_from(dice.roll(4)).expect("small")].name;
            format!("rollback {name}: {:?}", host.rollback(name).certificates[0].outcome)
        }
        9 => run(host, true),
        _ => run(host, false),
    }
}

fn run(host: &Host, force: bool) -> String {
    let before = host.ledger().len();
    let report = host.renew_with(force, Ending::default());
    let told: Vec<String> = report.certificates.iter().map(|c| format!("{} {:?}", c.name, c.outcome)).collect();
    // A failure is never only a log line: it is an exit code and a ledger line.
    let good = |outcome| matches!(outcome, Outcome::NotDue | Outcome::Renewed | Outcome::Settled);
    let is_good = report.certificates.iter().all(|c| good(c.outcome));
    assert_eq!(report.exit == 0, is_good, "{told:?}");
    let did = report.certificates.iter().filter(|c| c.outcome != Outcome::NotDue).count();
    assert!(host.ledger().len() >= before + did, "{told:?}: {} lines more", host.ledger().len() - before);
    for certificate in report.certificates.iter().filter(|c| !good(c.outcome)) {
        assert!(certificate.error.is_some(), "{told:?}");
    }
    format!("renew force={force}: {}", told.join(", "))
}

/// A run that dies at the authority, at a service, or while it looks.
fn dying(host: &Host, dice: &mut Dice) -> String {
    let answers = *host.authority.answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let daemon = &host.daemons[usize::try_from(dice.roll(3)).expect("small")];
    let manner = daemon.manner.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let place = dice.roll(3);
    match place {
        0 => host.authority.answer(Answers::Dies),
        1 => daemon.be(Manner::Dies),
        _ => host.eyes.die_at.store(1 + u32::try_from(dice.roll(3)).expect("small"), Ordering::SeqCst),
    }
    let died = catch_unwind(AssertUnwindSafe(|| host.renew())).is_err();
    host.authority.answer(answers);
    daemon.be(manner);
    host.eyes.die_at.store(0, Ordering::SeqCst);
    format!("a run that was to die at {place}: {}", if died { "it did" } else { "it did not come there" })
}

/// With everything well outside, runs converge: everything is served, nothing is owed, and the next run has nothing to do.
fn home(host: &Host, seed: u64) {
    host.heal();
    // What the walk did to budgets blocks for an hour at most.
    time_of_day::advance(86_400 / 3 + 1);
    let mut reports = Vec::new();
    for _ in 0..3 {
        reports.push(host.renew());
    }
    let last = reports.last().expect("a report");
    assert!(last.exit == 0 && last.certificates.iter().all(|c| c.outcome == Outcome::NotDue), "seed {seed}: {reports:#?}");
    let status = host.status();
    assert!(status.healthy, "seed {seed}: {status:#?}");
    for cert in host.certs.iter().filter(|cert| !cert.daemons.is_empty()) {
        let live = std::fs::read_to_string(host.path("run").join(cert.name).join("live/cert.pem")).expect("cert.pem");
        let leaf = crate::pki::pem_blocks(&live).remove(0);
        assert_eq!(host.daemons[cert.daemons[0]].leaf(cert.name), Some(leaf), "seed {seed}: {} is served", cert.name);
        assert_eq!(host.live("run", cert.name), host.live("state", cert.name), "seed {seed}");
    }
}
