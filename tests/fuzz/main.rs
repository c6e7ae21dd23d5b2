//! Readers of bytes that others wrote, given what nobody wrote: every target over its seeds and over changes of them, for a bounded time.
//! `OMENS_FUZZ_SECONDS` is the time for each target (2), `OMENS_FUZZ_SEED` begins where a failure began. `./run fuzz` goes on for as long as
//! one likes, guided by coverage (`guided`). What failed lies in `target/fuzz`, and is a seed from then on.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests"
)]
#![allow(missing_docs, missing_debug_implementations, reason = "a test target has no interface")]

mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use mutate::{Random, mutated};
use targets::Target;

/// CPU time that one input may take, in a build without optimisation.
const SLOW: Duration = Duration::from_secs(5);
/// Time after which an input is taken for one that never ends; the machine may be busy.
const ENDLESS: Duration = Duration::from_secs(120);
/// Memory of the whole process, in KiB.
const MEMORY: i64 = 1 << 20;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a number")))
}

fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).expect("rusage");
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    Duration::from_micros(u64::try_from(micros(usage.user_time()) + micros(usage.system_time())).expect("not negative"))
}

/// Gives one input to a target. Panics with the target's name and where the input was put.
fn give(target: &Target, data: &[u8], origin: &str) {
    let start = cpu();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(data)));
    let took = cpu() - start;
    if let Err(why) = outcome {
        let words = why.downcast_ref::<String>().map(String::as_str).or_else(|| why.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        panic!("{}: {origin}: {words}; the input is {}", target.name, keep(target, data).display());
    }
    assert!(took < SLOW, "{}: {origin}: {took:?} of CPU time; the input is {}", target.name, keep(target, data).display());
}

fn keep(target: &Target, data: &[u8]) -> PathBuf {
    let directory = project().join("target/fuzz");
    std::fs::create_dir_all(&directory).expect("target/fuzz");
    let path = directory.join(format!(
        "{}-{:016x}",
        target.name,
        data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    ));
    std::fs::write(&path, data).expect("the input");
    path
}

/// One target over its seeds, then over changes of them for a time.
fn run(target: &Target, time: Duration, seed: u64) -> u64 {
    let seeds = targets::seeds(target, project());
    assert!(!seeds.is_empty(), "{}: no seeds", target.name);
    for data in &seeds {
        give(target, data, "a seed");
    }
    let (mut random, end, mut count) = (Random::new(seed), Instant::now() + time, 0);
    while Instant::now() < end {
        give(target, &mutated(&seeds, target.words, &mut random), &format!("input {count} after OMENS_FUZZ_SEED={seed}"));
        count += 1;
    }
    let peak = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).expect("rusage").max_rss();
    assert!(peak < MEMORY, "{}: {peak} KiB", target.name);
    count
}

#[test]
fn no_reader_fails_on_what_nobody_wrote() {
    let (seconds, seed) = (number("OMENS_FUZZ_SECONDS", 2), number("OMENS_FUZZ_SEED", u64::from(std::process::id())));
    let only = std::env::var("OMENS_FUZZ_TARGET").ok();
    let chosen: Vec<&Target> = targets::ALL.iter().filter(|target| only.as_deref().is_none_or(|name| name == target.name)).collect();
    assert!(!chosen.is_empty(), "OMENS_FUZZ_TARGET: there is {}", targets::ALL.iter().map(|t| t.name).collect::<Vec<_>>().join(", "));
    let mut failures = Vec::new();
    for target in chosen {
        let (tell, told) = channel();
        let worker = std::thread::spawn(move || {
            let ran = catch_unwind(|| run(target, Duration::from_secs(seconds), seed));
            tell.send(()).ok();
            ran
        });
        // What never ends cannot be stopped; it ends with the process.
        if told.recv_timeout(Duration::from_secs(seconds) + ENDLESS) == Err(RecvTimeoutError::Timeout) {
            panic!("{}: an input did not end (OMENS_FUZZ_SEED={seed})", target.name);
        }
        match worker.join().expect("caught") {
            Ok(count) => println!("{:24} {count} inputs", target.name),
            Err(why) => failures.push(why.downcast_ref::<String>().cloned().unwrap_or_else(|| format!("{}: a panic", target.name))),
        }
    }
    targets::clean_up();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_changes_come_upon_what_is_hidden() {
    let hidden = Target {
        name: "hidden",
        check: |data| assert!(!data.windows(4).any(|four| four == b"{{{;"), "found"),
        seeds: &[],
        words: &["{", ";"],
    };
    let seeds = vec![b"server { listen 443; }".to_vec()];
    let mut random = Random::new(1);
    let found = (0..20_000).any(|_| {
        let data = mutated(&seeds, hidden.words, &mut random);
        catch_unwind(|| (hidden.check)(&data)).is_err()
    });
    assert!(found, "a sequence of four is not found in 20,000 inputs");
}
