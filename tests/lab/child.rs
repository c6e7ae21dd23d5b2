//! Children that end with us: started by one thread that lives as long as the process, ended by pid, killed by the kernel if we die.

use std::collections::BTreeMap;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

type Job = (Command, Sender<std::io::Result<Child>>);

/// Starts a command from the one thread that never ends: the kernel sends the parent-death signal when the *thread* that
/// started a child ends, and a test's thread ends with the test.
fn spawn(command: Command) -> std::io::Result<Child> {
    static LAUNCHER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let launcher = LAUNCHER.get_or_init(|| {
        let (send, jobs) = channel::<Job>();
        std::thread::Builder::new()
            .name("launcher".into())
            .spawn(move || {
                for (mut command, answer) in jobs {
                    answer.send(command.spawn()).ok();
                }
            })
            .expect("a thread");
        Mutex::new(send)
    });
    let (send, answer) = channel();
    launcher.lock().expect("launcher").send((command, send)).expect("launcher lives");
    answer.recv().expect("launcher answers")
}

/// Somebody else to run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// Debian's `nobody` and `nogroup`.
pub const NOBODY: User = User { uid: 65534, gid: 65534 };

/// `setpriv` in front of a program: other user, signal at our death.
pub fn as_user(user: Option<User>, death: Option<&str>, program: &std::path::Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(User { uid, gid }) = user {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]);
    }
    if let Some(signal) = death {
        command.args(["--pdeathsig", signal]);
    }
    command.arg("--").arg(program);
    command
}

/// A server that was started here.
#[derive(Debug)]
pub struct Server {
    child: Child,
    gentle: Signal,
}

impl Server {
    /// Starts it; its output goes to `log`. `gentle` ends it and is what the kernel sends when we die: a killed nginx master
    /// would leave its workers behind.
    pub fn start(mut command: Command, log: &std::path::Path, gentle: Signal) -> Self {
        let open = || std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        command.stdin(Stdio::null()).stdout(open()).stderr(open());
        let child = spawn(command).expect("a server starts");
        running().insert(child.id(), gentle);
        Self { child, gentle }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still there.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Ends it: gently, then by force.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        if self.alive() {
            self.signal(self.gentle);
        }
        running().remove(&self.child.id());
        let start = Instant::now();
        while self.alive() {
            if start.elapsed() > Duration::from_secs(10) {
                self.child.kill().ok();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.wait().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Every server and shown command that runs now, with the signal that ends it.
static RUNNING: Mutex<BTreeMap<u32, Signal>> = Mutex::new(BTreeMap::new());

fn running() -> std::sync::MutexGuard<'static, BTreeMap<u32, Signal>> {
    RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

/// Whether everything is being ended: what fails from now on fails because of that.
static ENDING: AtomicBool = AtomicBool::new(false);

/// See [`end_all`].
pub fn ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// Ends everything that runs, for a program that was told to end itself.
pub fn end_all() {
    ENDING.store(true, Ordering::SeqCst);
    let all = std::mem::take(&mut *running());
    for (pid, gentle) in &all {
        send(*pid, *gentle);
    }
    // Nobody may be left to reap them: dead and unreaped is dead.
    let gone = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    let start = Instant::now();
    while !all.keys().all(gone) {
        if start.elapsed() > Duration::from_secs(5) {
            all.keys().filter(|pid| !gone(pid)).for_each(|pid| send(*pid, Signal::KILL));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a command on our own terminal and gives its exit code.
pub fn run_shown(command: Command) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    let mut child = spawn(command).expect("a command");
    running().insert(child.id(), Signal::TERM);
    let status = child.wait().expect("wait");
    running().remove(&child.id());
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// Exit code; 128 + n after signal n.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end, at most `limit` long.
pub fn run(mut command: Command, limit: Duration) -> Output {
    use std::io::Read as _;
    use std::os::unix::process::ExitStatusExt as _;
    let shown = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {shown}: {e}"));
    let mut collect = Vec::new();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    collect.push(std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.expect("stdout").read_to_end(&mut bytes).ok();
        bytes
    }));
    collect.push(std::thread::spawn(move || {
        let mut bytes = Vec::new();
        err.expect("stderr").read_to_end(&mut bytes).ok();
        bytes
    }));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        if start.elapsed() > limit {
            child.kill().ok();
            child.wait().ok();
            panic!("did not end within {limit:?}: {shown}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut text = collect.into_iter().map(|t| String::from_utf8_lossy(&t.join().expect("reader")).into_owned());
    let (stdout, stderr) = (text.next().expect("stdout"), text.next().expect("stderr"));
    Output { code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)), stdout, stderr }
}
