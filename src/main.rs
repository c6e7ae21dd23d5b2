//! The binary: the one place that reads clocks and the environment and ends the process.
#![expect(clippy::disallowed_methods, reason = "the clocks and the environment are read here and nowhere else")]

use std::env;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use omens::cli::{self, Environment};
use omens::io::notify::NotifySettings;
use omens::model::clock::Clock;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// systemd's socket for what a service tells, and its watchdog where it is meant for this process.
fn notify() -> Option<NotifySettings> {
    let socket = env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty())?.into();
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let watchdog = number("WATCHDOG_USEC").filter(|_| is_ours).map(Duration::from_micros);
    Some(NotifySettings { socket, watchdog })
}

fn main() -> ExitCode {
    // Private keys pass through this memory: no core dump, no ptrace by others. A kernel without it is no reason not to renew.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    let environment = Environment {
        directory: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        arguments: env::args_os().collect(),
        credentials: env::var_os("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty()).map(Into::into),
        notify: notify(),
        no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        dumb: env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb"),
        stdin_is_terminal: std::io::stdin().is_terminal(),
        stdout_is_terminal: std::io::stdout().is_terminal(),
        stderr_is_journal: env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stderr(&stream)),
        stderr_is_terminal: std::io::stderr().is_terminal(),
    };
    let clock = Clock::new(SystemTime::now, Instant::now);
    ExitCode::from(cli::run(&environment, clock, Box::new(std::io::stdout()), Box::new(std::io::stderr())))
}

/// Whether stderr is this stream, `DEVICE:INODE`: a child of a unit inherits the variable, and may have another stderr.
fn is_stderr(stream: &str) -> bool {
    let Ok(stat) = rustix::fs::fstat(std::io::stderr()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}
