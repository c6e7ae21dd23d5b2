//! The binary: the one place that reads clocks and the environment and ends the process.
#![expect(clippy::disallowed_methods, reason = "the clocks and the environment are read here and nowhere else")]

use std::env;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use omens::cli::{self, Environment};
use omens::model::clock::Clock;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

fn main() -> ExitCode {
    // Private keys pass through this memory: no core dump, no ptrace by others. A kernel without it is no reason not to renew.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    let environment = Environment {
        directory: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        arguments: env::args_os().collect(),
        credentials: env::var_os("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty()).map(Into::into),
        no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        dumb: env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb"),
        stdin_is_terminal: std::io::stdin().is_terminal(),
        stdout_is_terminal: std::io::stdout().is_terminal(),
        stderr_is_terminal: std::io::stderr().is_terminal(),
    };
    let clock = Clock::new(SystemTime::now, Instant::now);
    ExitCode::from(cli::run(&environment, clock, Box::new(std::io::stdout()), Box::new(std::io::stderr())))
}
