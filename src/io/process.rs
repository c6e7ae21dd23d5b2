//! Child processes with an argument vector and a time limit, and signals to processes named by a pid file. Never a shell.
#![expect(clippy::disallowed_methods, reason = "this is the door through which processes are started")]

mod call;
mod how;

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

pub use self::call::Call;
use super::read;
use crate::model::program::{Program, Variable};
use crate::model::{span, text};

/// No child may hold a run up for longer.
const LIMIT: Duration = Duration::from_secs(30);
/// What of a child's messages is kept.
const SAID: usize = 600;
/// Where system programs lie when an ordinary user's PATH does not say so.
const SYSTEM: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// What of the output of a program of the administrator's is kept.
const OUTPUT: usize = 4096;
/// How long the output of a program that has ended may take.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Where such a program finds others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A pid file is no longer than this.
const PID_FILE: u64 = 64;
/// The kernel cuts the name of a process to this length (proc_pid_comm(5)).
const COMM: usize = 15;

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its standard output; of [`run`] in one line.
    pub stdout: String,
    /// Its standard error; of [`run`] in one line.
    pub stderr: String,
}

/// A child that did not end by itself, or never began.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// There is no such program.
    #[error("there is no program {0}")]
    Missing(String),
    /// It was ended at the time limit.
    #[error(
        "{program} did not end within {} and was killed with its process group (what it may have started with setsid goes on)",
        span::show(*limit)
    )]
    TooLong {
        /// The program.
        program: String,
        /// How long it had.
        limit: Duration,
    },
    /// Others could have written it.
    #[error("{0}")]
    Unsafe(String),
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
    run_within(program, arguments, LIMIT).await
}

/// The same with a time limit of its own.
///
/// # Errors
/// As [`run`].
pub async fn run_within(program: &str, arguments: &[&OsStr], limit: Duration) -> Result<Ended, NotRun> {
    let call = |path: PathBuf| Call { program: path, arguments: arguments.iter().map(Into::into).collect(), limit };
    let mut places = vec![PathBuf::from(program)];
    if !program.contains('/') {
        places.extend(SYSTEM.iter().map(|directory| Path::new(directory).join(program)));
    }
    for place in places {
        match call(place).run(SAID).await {
            Err(NotRun::Missing(_)) => {}
            other => return other.map(Ended::in_lines),
        }
    }
    Err(NotRun::Missing(program.to_owned()))
}

impl Ended {
    fn in_lines(self) -> Self {
        let line = |text: &str| text::one_line(text, SAID);
        Self { stdout: line(&self.stdout), stderr: line(&self.stderr), ..self }
    }
}

/// Runs a program that the settings name, in an environment of PATH, LANG and these variables, with these bytes on its standard input. What
/// it says is in the log. At its time limit it is killed with its process group; what left that group (`setsid`) goes on.
///
/// # Errors
/// Others could have written it, it cannot be started, or does not end in time.
pub async fn exec(program: &Program, variables: &[Variable], input: &[u8]) -> Result<Ended, NotRun> {
    let shown = program.path.display().to_string();
    let broken = |why: std::io::Error| match why.kind() {
        std::io::ErrorKind::NotFound => NotRun::Missing(shown.clone()),
        _ => NotRun::Broken { program: shown.clone(), why: why.to_string() },
    };
    read::check_program(&program.path).map_err(|why| NotRun::Unsafe(why.to_string()))?;
    tracing::debug!(program = %shown, arguments = ?program.arguments, "starts");
    keep_what_is_open();
    let mut child = Command::new(&program.path)
        .args(&program.arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .envs(variables.iter().map(|variable| (variable.name, &variable.value)))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // Who was started in the background must not outlive the run, whether the program ended or not.
    let end_all = || {
        if let Some(group) = group {
            rustix::process::kill_process_group(group, Signal::KILL).ok();
        }
    };
    let ended = tokio::time::timeout(program.timeout, to_the_end(&mut child, input, end_all)).await;
    end_all();
    let ended = match ended {
        Err(_) => return Err(NotRun::TooLong { program: shown, limit: program.timeout }),
        Ok(ended) => ended.map_err(broken)?,
    };
    tracing::info!(program = %shown, code = ?ended.code, stdout = %ended.stdout, stderr = %ended.stderr, "ended");
    Ok(ended)
}

/// Whatever this process has open beside its streams is not for its children: libtss2 opens the TPM without close-on-exec.
fn keep_what_is_open() {
    const AFTER_THE_STREAMS: i32 = 3;
    close_fds::set_fds_cloexec_threadsafe(AFTER_THE_STREAMS, &[]);
}

/// Gives a child its input, and waits for its output and its end. Its end decides: who holds its output open beyond that, in the background,
/// is ended.
async fn to_the_end(child: &mut Child, input: &[u8], end_all: impl FnOnce()) -> std::io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async {
        if let Some(mut stdin) = stdin {
            // A program that does not care for its input may have closed it.
            stdin.write_all(input).await.ok();
        }
    };
    let output = async { tokio::join!(give, begin_of(stdout), begin_of(stderr)) };
    tokio::pin!(output);
    let (status, output) = tokio::select! {
        output = &mut output => (child.wait().await?, Some(output)),
        status = child.wait() => {
            end_all();
            (status?, tokio::time::timeout(LAST_WORDS, output).await.ok())
        }
    };
    let (stdout, stderr) = output.map_or((Ok(String::new()), Ok(String::new())), |((), stdout, stderr)| (stdout, stderr));
    Ok(Ended { code: status.code(), signal: status.signal(), stdout: stdout?, stderr: stderr? })
}

/// The first of what comes, as one line; the rest is read and dropped, so that nobody waits for room in a pipe.
async fn begin_of(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let Some(mut pipe) = pipe else { return Ok(String::new()) };
    let mut begin = Vec::new();
    (&mut pipe).take(u64::try_from(OUTPUT).unwrap_or(u64::MAX)).read_to_end(&mut begin).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(text::one_line(&String::from_utf8_lossy(&begin), OUTPUT))
}

/// Whether this host was booted with systemd (sd_booted(3)).
#[must_use]
pub fn systemd_booted() -> bool {
    rustix::fs::stat("/run/systemd/system").is_ok()
}

/// The process a pid file names, if it runs one of these programs: pids are reused.
#[must_use]
pub fn from_pid_file(file: &Path, programs: &[&str]) -> Option<i32> {
    let text = super::read::file(file, PID_FILE).ok()?;
    let pid: i32 = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
    // A process that may not be signalled is there all the same; that is for the reload to say.
    if rustix::process::test_kill_process(Pid::from_raw(pid)?) == Err(rustix::io::Errno::SRCH) {
        return None;
    }
    runs(pid, programs).then_some(pid)
}

/// Whether a process runs one of these programs: by its own name, by its file, or as the script of an interpreter.
fn runs(pid: i32, programs: &[&str]) -> bool {
    let is_one = |name: &str| programs.iter().any(|program| *program == name || (name.len() == COMM && program.starts_with(name)));
    // Without a readable /proc the pid file's word has to do.
    let Ok(comm) = std::fs::read_to_string(format!("/proc/{pid}/comm")) else { return true };
    let words = arguments(pid);
    let files = words.iter().take(3).filter_map(|word| Path::new(word).file_name()?.to_str());
    is_one(comm.trim()) || files.into_iter().any(is_one)
}

/// The argument vector of a process; nothing where it cannot be seen.
#[must_use]
pub fn arguments(pid: i32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The file that a process runs, where that can be seen.
#[must_use]
pub fn executable(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// A signal that may ask a service to read its files again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// SIGHUP.
    Hup,
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
}

impl Ask {
    /// Its name without `SIG`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
        }
    }
}

/// Sends a signal.
///
/// # Errors
/// What the system says.
pub fn signal(pid: i32, ask: Ask) -> Result<(), String> {
    let signal = match ask {
        Ask::Hup => Signal::HUP,
        Ask::Usr1 => Signal::USR1,
        Ask::Usr2 => Signal::USR2,
    };
    let process = Pid::from_raw(pid).ok_or_else(|| format!("{pid} is no process"))?;
    rustix::process::kill_process(process, signal).map_err(|errno| std::io::Error::from(errno).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    fn script(dir: &Path, text: &str) -> PathBuf {
        let path = dir.join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        path
    }

    fn program(path: PathBuf, arguments: &[&str], timeout: Duration) -> Program {
        Program { path, arguments: arguments.iter().map(|word| (*word).to_owned()).collect(), timeout }
    }

    #[tokio::test]
    async fn a_program_is_told_what_it_is_told_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = script(dir.path(), "read line; echo \"$1 $line\"; env | cut -d= -f1 | sort | tr '\\n' ' ' >&2; exit 3");
        let ended = exec(&program(path, &["a b;c"], LIMIT), &[Variable::new("OMENS_NAME", "web")], b"given\n").await.expect("it runs");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), "a b;c given"));
        // PWD and _ are the shell's own.
        let names: Vec<&str> = ended.stderr.split(' ').filter(|name| !matches!(*name, "PWD" | "_" | "SHLVL" | "OLDPWD")).collect();
        assert_eq!(names, ["LANG", "OMENS_NAME", "PATH"]);
    }

    #[tokio::test]
    async fn a_program_has_ended_whoever_holds_its_output_open() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = script(dir.path(), "sleep 60 & echo done; exit 4");
        let ended = exec(&program(path, &[], LIMIT), &[], b"").await.expect("it ends");
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), "done"));
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let left = dir.path().join("left");
        let path = script(dir.path(), &format!("(sleep 1; touch {}) & sleep 60", left.display()));
        let why = exec(&program(path, &[], Duration::from_millis(200)), &[], b"").await.expect_err("it does not end");
        assert!(matches!(why, NotRun::TooLong { .. }), "{why:?}");
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert!(!left.exists(), "its child went on");
    }

    /// What is said of the limit is what happens at it.
    #[tokio::test]
    async fn what_has_a_session_of_its_own_outlives_the_limit_and_the_error_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let left = dir.path().join("left");
        let path = script(dir.path(), &format!("setsid sh -c 'sleep 1; touch {}' & sleep 60", left.display()));
        let why = exec(&program(path, &[], Duration::from_millis(500)), &[], b"").await.expect_err("it does not end");
        assert!(why.to_string().contains("killed with its process group (what it may have started with setsid goes on)"), "{why}");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(left.exists(), "it was killed after all: say so");
    }

    #[tokio::test]
    async fn much_output_is_read_and_cut_and_a_program_of_others_is_not_run() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = script(dir.path(), "head -c 1000000 /dev/zero | tr '\\0' x; printf '\\033[31m' >&2");
        let ended = exec(&program(path.clone(), &[], LIMIT), &[], &[b'x'; 100_000]).await.expect("it runs");
        assert_eq!((ended.code, ended.stdout.len(), ended.stderr.as_str()), (Some(0), OUTPUT, "\\u{1b}[31m"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("its mode");
        let why = exec(&program(path, &[], LIMIT), &[], b"").await.expect_err("anybody could have written it");
        assert!(matches!(why, NotRun::Unsafe(_)), "{why:?}");
    }
}
