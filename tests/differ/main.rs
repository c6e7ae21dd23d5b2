//! Our readers beside the programs whose files they read: configurations made at random by a small grammar, with mistakes mixed in, are
//! given to both, and both must say the same. What they may differ in stands in `explained.toml`, each with a reason and a source: a
//! difference without an entry fails, and so does an entry that nothing needed.
//!
//! The run is the same each time. `OMENS_DIFFER_SEED` begins elsewhere, `OMENS_DIFFER_STEPS` makes more or fewer inputs of each kind; then
//! an entry may go unused. What failed lies in `target/differ`.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests open files, start processes and panic when something is wrong"
)]
#![allow(missing_docs, missing_debug_implementations, reason = "a test target has no interface")]

mod book;
mod calendar;
mod choice;
mod hcl;
mod nginx;
#[path = "../fuzz/mutate.rs"]
#[allow(dead_code, reason = "its numbers alone are needed here")]
mod random;
#[path = "../vectors/skipped.rs"]
mod skipped;
mod units;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The same inputs each time.
const SEED: u64 = 1;

/// From where, and how many.
#[derive(Clone, Copy)]
pub struct Course {
    pub seed: u64,
    pub steps: usize,
    /// Whether it is the one that every run makes.
    pub usual: bool,
}

impl Course {
    /// What is asked for; `steps` where nothing is.
    pub fn of(steps: usize) -> Self {
        let number = |variable: &str| {
            let text = std::env::var(variable).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{variable}={text}: a number")))
        };
        let (seed, asked) = (number("OMENS_DIFFER_SEED"), number("OMENS_DIFFER_STEPS"));
        let asked = asked.map(|steps| usize::try_from(steps).expect("64 bits"));
        Self { seed: seed.unwrap_or(SEED), steps: asked.unwrap_or(steps), usual: seed.is_none() && asked.is_none() }
    }
}

/// Where a program lies; those of administrators are not on everybody's path.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).map(|directory| PathBuf::from(directory).join(name)).find(|path| path.is_file())
}

/// Runs a program to its end, without anything of ours in its language or zone.
pub fn run(command: &mut Command) -> Output {
    let command = command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"))
}

/// What it said.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
