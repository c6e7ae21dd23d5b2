//! Child processes with an argument vector and a time limit, and signals to processes named by a pid file. Never a shell.
#![expect(clippy::disallowed_methods, reason = "this is the door through which processes are started")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::model::text;

/// No child may hold a run up for longer.
const LIMIT: Duration = Duration::from_secs(30);
/// What of a child's messages is kept.
const SAID: usize = 600;
/// Where system programs lie when an ordinary user's PATH does not say so.
const SYSTEM: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// A pid file is no longer than this.
const PID_FILE: u64 = 64;

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Its standard output, one line.
    pub stdout: String,
    /// Its standard error, one line.
    pub stderr: String,
}

/// A child that did not end by itself, or never began.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// There is no such program.
    #[error("there is no program {0}")]
    Missing(String),
    /// It was ended at the time limit.
    #[error("{program} did not end within {} s and was killed", LIMIT.as_secs())]
    TooLong {
        /// The program.
        program: String,
    },
    /// It could not be started or waited for.
    #[error("cannot run {program}: {why}")]
    Broken {
        /// The program.
        program: String,
        /// What the system said.
        why: String,
    },
}

/// Runs a program to its end, with messages in English.
///
/// # Errors
/// When it cannot be started, or does not end in time.
pub async fn run(program: &str, arguments: &[&OsStr]) -> Result<Ended, NotRun> {
    match run_at(OsStr::new(program), program, arguments).await {
        Err(NotRun::Missing(_)) => {}
        other => return other,
    }
    for directory in SYSTEM {
        match run_at(Path::new(directory).join(program).as_os_str(), program, arguments).await {
            Err(NotRun::Missing(_)) => {}
            other => return other,
        }
    }
    Err(NotRun::Missing(program.to_owned()))
}

async fn run_at(path: &OsStr, program: &str, arguments: &[&OsStr]) -> Result<Ended, NotRun> {
    let broken = |why: std::io::Error| match why.kind() {
        std::io::ErrorKind::NotFound => NotRun::Missing(program.to_owned()),
        _ => NotRun::Broken { program: program.to_owned(), why: why.to_string() },
    };
    tracing::debug!(program = %path.display(), ?arguments, "starts");
    let child = tokio::process::Command::new(path)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let Ok(output) = tokio::time::timeout(LIMIT, child.wait_with_output()).await else {
        return Err(NotRun::TooLong { program: program.to_owned() });
    };
    let output = output.map_err(broken)?;
    let said = |bytes: &[u8]| text::one_line(&String::from_utf8_lossy(bytes), SAID);
    Ok(Ended { code: output.status.code(), stdout: said(&output.stdout), stderr: said(&output.stderr) })
}

/// Whether this host was booted with systemd (sd_booted(3)).
#[must_use]
pub fn systemd_booted() -> bool {
    rustix::fs::stat("/run/systemd/system").is_ok()
}

/// The process a pid file names, if it runs and its command is `command`: pids are reused.
#[must_use]
pub fn from_pid_file(file: &Path, command: &str) -> Option<i32> {
    let text = super::read::file(file, PID_FILE).ok()?;
    let pid: i32 = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
    // A process that may not be signalled is there all the same; that is for the reload to say.
    if rustix::process::test_kill_process(Pid::from_raw(pid)?) == Err(rustix::io::Errno::SRCH) {
        return None;
    }
    // Without a readable /proc the pid file's word has to do.
    match std::fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(comm) => (comm.trim() == command).then_some(pid),
        Err(_) => Some(pid),
    }
}

/// Sends SIGHUP.
///
/// # Errors
/// What the system says.
pub fn hang_up(pid: i32) -> Result<(), String> {
    let process = Pid::from_raw(pid).ok_or_else(|| format!("{pid} is no process"))?;
    rustix::process::kill_process(process, Signal::HUP).map_err(|errno| std::io::Error::from(errno).to_string())
}
