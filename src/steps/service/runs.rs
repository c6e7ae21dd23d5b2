//! Where the service of a driver runs: a unit of systemd, or a process of which the settings tell a pid file, or how to start and stop it. The
//! settings say which; nothing here guesses.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::life::Life;
use super::{not_run, unit};
use crate::config::program;
use crate::config::service::{Done, Eyes, Reply, ServiceState};
use crate::config::shape::{Errors, Shape, Wrong, parsed};
use crate::config::tree::Node;
use crate::config::value;
use crate::io::process::{self, Ask, Call};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// A program that has not ended by then runs in the foreground: it is the service itself.
const FOREGROUND: Duration = Duration::from_secs(5);
/// Longer than that nobody waits for a program that stops a service.
const STOPPING: Duration = Duration::from_secs(60);
/// How long after it was seen to serve a service must still run: a Keylime with a bad pair is there for two seconds.
pub(super) const STEADY: Duration = Duration::from_secs(3);

/// Where a service runs.
#[derive(Clone, Debug)]
pub(super) enum Runs {
    /// Somebody else's process.
    Process(Process),
    /// A unit.
    Unit(String),
}

/// A process without systemd.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// The names that its program goes by.
    programs: &'static [&'static str],
    pid: Option<PathBuf>,
    start: Option<Words>,
    stop: Option<Words>,
}

/// An argument vector of the settings.
#[derive(Clone, Debug)]
struct Words {
    path: PathBuf,
    arguments: Vec<String>,
}

impl Words {
    fn parse(node: &Node, errors: &Errors) -> Option<Self> {
        program::command(node, errors).map(|(path, arguments)| Self { path, arguments })
    }

    fn call(&self, limit: Duration) -> Call {
        Call { program: self.path.clone(), arguments: self.arguments.iter().map(Into::into).collect(), limit }
    }

    fn shown(&self) -> String {
        format!("{} {}", self.path.display(), self.arguments.join(" "))
    }
}

/// How a service is made to read its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// It is started anew.
    Restart,
    /// It gets a signal.
    Signal,
}

impl Runs {
    /// Reads `unit`, `pid`, `start` and `stop` of a driver's settings.
    pub(super) fn parse(shape: &Shape<'_>, node: &Node, errors: &Errors, by: By, programs: &'static [&'static str]) -> Option<Self> {
        let unit = shape.optional("unit", parsed(value::unit));
        let pid = shape.optional("pid", parsed(value::path));
        let (start, stop) = (shape.optional("start", Words::parse), shape.optional("stop", Words::parse));
        let (unit, pid, start, stop) = (unit?, pid?, start?, stop?);
        let refuse = |text: &str, suggestion: &str| {
            errors.at(&node.place, Wrong::value(text).suggest(suggestion));
            None
        };
        let is_process = pid.is_some() || start.is_some() || stop.is_some();
        match (unit, by) {
            (Some(_), _) if is_process => refuse(
                "the service is either a unit of systemd or a process of its own, found both",
                "keep \"unit\" where systemd runs it, or \"pid\", \"start\" and \"stop\" where it does not",
            ),
            (Some(unit), _) => Some(Self::Unit(unit)),
            (None, _) if !is_process => refuse(
                "expected where the service runs, found nothing",
                "add unit = \"NAME.service\"; without systemd \"pid\", or \"start\" and \"stop\"",
            ),
            (None, _) if start.is_some() != stop.is_some() => {
                refuse("expected both \"start\" and \"stop\", found one of them", "add the other one: each is a program and its arguments")
            }
            (None, By::Restart) if start.is_none() => refuse(
                "this service is started anew to read its files, and nothing says how",
                "add \"start\" and \"stop\", each a program and its arguments",
            ),
            (None, By::Signal) if pid.is_none() => refuse(
                "this service gets a signal, and nothing says which process it is",
                "add \"pid\", the file that holds its process id",
            ),
            (None, _) => Some(Self::Process(Process { programs, pid, start, stop })),
        }
    }

    /// What tells it from others.
    pub(super) fn parts(&self) -> [Option<String>; 3] {
        match self {
            Self::Unit(unit) => [Some(unit.clone()), None, None],
            Self::Process(Process { pid, start, stop, .. }) => {
                let shown = |words: &Option<Words>| words.as_ref().map(Words::shown);
                [pid.as_ref().map(|pid| format!("pid {}", pid.display())), shown(start), shown(stop)]
            }
        }
    }

    /// Its name.
    pub(super) fn name(&self, driver: &str) -> String {
        match self {
            Self::Unit(unit) => unit.clone(),
            Self::Process(Process { pid: Some(pid), .. }) => format!("{driver} ({})", pid.display()),
            Self::Process(Process { start, .. }) => format!("{driver} ({})", start.as_ref().map(Words::shown).unwrap_or_default()),
        }
    }

    /// The unit, where it is one.
    pub(super) fn unit(&self) -> Option<&str> {
        if let Self::Unit(unit) = self { Some(unit) } else { None }
    }

    /// Whether "stopped" is the word of somebody who knows.
    pub(super) const fn is_certain(&self) -> bool {
        matches!(self, Self::Unit(_))
    }

    /// What the settings start it with.
    pub(super) fn started_with(&self) -> Option<Vec<String>> {
        let Self::Process(Process { start: Some(words), .. }) = self else { return None };
        Some(std::iter::once(words.path.display().to_string()).chain(words.arguments.clone()).collect())
    }

    /// Whether it runs. Of a process without a pid file nobody can tell; it is taken to run.
    pub(super) async fn state(&self) -> Result<ServiceState, Failure> {
        match self {
            Self::Unit(unit) => unit::state(unit).await,
            Self::Process(Process { pid: None, .. }) => Ok(ServiceState::Running),
            Self::Process(Process { pid: Some(file), programs, .. }) => {
                Ok(if process::from_pid_file(file, programs).is_some() { ServiceState::Running } else { ServiceState::Stopped })
            }
        }
    }

    /// The pid of its main process, while it is known to have one.
    pub(super) async fn main_pid(&self) -> Option<i32> {
        match self {
            Self::Unit(unit) => unit::main_pid(unit).await.ok().flatten(),
            Self::Process(Process { pid, programs, .. }) => process::from_pid_file(pid.as_ref()?, programs),
        }
    }

    /// Sends a signal to its main process.
    pub(super) async fn signal(&self, ask: Ask) -> Result<Reply, Failure> {
        let (file, programs) = match self {
            Self::Unit(unit) => return unit::signal(unit, ask).await,
            Self::Process(Process { pid: None, .. }) => return Ok(Reply::Stopped),
            Self::Process(Process { pid: Some(file), programs, .. }) => (file, programs),
        };
        let Some(pid) = process::from_pid_file(file, programs) else { return Ok(Reply::Stopped) };
        process::signal(pid, ask).map(|()| Reply::done()).map_err(|why| {
            let text = format!("cannot send {} to pid {pid} of {}: {why}", ask.as_str(), file.display());
            Failure::new(Stage::Reload, Code::ReloadFailed, text).hint("run omens as root or as the user of that process")
        })
    }

    /// Starts it anew, whatever state it is in, and notes which life of it that is.
    pub(super) async fn restart(&self, eyes: Option<&Eyes>) -> Result<Reply, Failure> {
        let mut before = Life::Unknown;
        match self {
            Self::Unit(unit) => drop(unit::ask(unit, "restart").await?),
            Self::Process(process) => {
                before = self.life().await;
                process.stop().await?;
                process.start().await?;
            }
        }
        Ok(self.begun(before, eyes).await)
    }

    /// Starts it.
    pub(super) async fn start(&self, eyes: Option<&Eyes>) -> Result<Reply, Failure> {
        match self {
            Self::Unit(unit) => drop(unit::ask(unit, "start").await?),
            Self::Process(Process { start: None, .. }) => return Ok(Reply::Stopped),
            Self::Process(process) => process.start().await?,
        }
        Ok(self.begun(Life::Unknown, eyes).await)
    }

    /// A program that takes longer to start its service than [`FOREGROUND`] has not replaced the pid file yet: what that names is the life
    /// before, and the new one is not known.
    async fn begun(&self, before: Life, eyes: Option<&Eyes>) -> Reply {
        let at = eyes.map(|eyes| eyes.clock.now().unix());
        let life = Some(self.life().await).filter(|life| *life != before).unwrap_or(Life::Unknown);
        Reply::Done(Done { before: life.note("at", &json!(at)), ..Done::default() })
    }

    /// The life that it is in.
    async fn life(&self) -> Life {
        match self {
            Self::Unit(unit) => Life::of(unit::life(unit).await.ok().flatten()),
            Self::Process(_) => Life::of(self.main_pid().await),
        }
    }

    /// Whether it is still in the life that it began when it was asked, [`STEADY`] after it was seen to serve.
    ///
    /// # Errors
    /// Code `not-running`.
    pub(super) async fn is_steady(&self, before: &Value, name: &str) -> Result<(), Failure> {
        tokio::time::sleep(STEADY).await;
        if let Self::Process(Process { pid: None, .. }) = self {
            return Ok(());
        }
        let now = self.life().await;
        let is_same = match Life::noted(before) {
            None => true,
            // A service that puts itself into the background may not have had its pid file yet.
            Some(Life::Unknown) => matches!(self, Self::Process(_)),
            Some(then) => then == now,
        };
        if is_same && now != Life::Unknown {
            return Ok(());
        }
        let text = if now == Life::Unknown { "does not run any more" } else { "has ended since, and was started again by somebody else" };
        let hint = self.unit().map_or_else(|| "its own log says why".to_owned(), |unit| format!("`journalctl -u {unit}` says why"));
        Err(Failure::new(Stage::Verify, Code::NotRunning, format!("{name} was started with its new files, and {text}")).hint(hint))
    }
}

impl Process {
    async fn start(&self) -> Result<(), Failure> {
        let Some(words) = &self.start else { return Ok(()) };
        let ended = words.call(FOREGROUND).start(FOREGROUND).await.map_err(|why| not_run(&why))?;
        match ended {
            Some(ended) if ended.code != Some(0) => {
                let text = format!("{} ended with {}", words.shown(), ended.how());
                Err(Failure::new(Stage::Reload, Code::ReloadFailed, text).hint("run it by hand to see what it says"))
            }
            _ => Ok(()),
        }
    }

    /// What is stopped already may be said to be a failure by a program that stops it.
    async fn stop(&self) -> Result<(), Failure> {
        let Some(words) = &self.stop else { return Ok(()) };
        let arguments: Vec<&OsStr> = words.arguments.iter().map(OsStr::new).collect();
        let ended = process::run_within(&words.path.display().to_string(), &arguments, STOPPING).await.map_err(|why| not_run(&why))?;
        if ended.code != Some(0) {
            tracing::info!(program = %words.shown(), how = %ended.how(), stderr = %ended.stderr, "did not stop anything");
        }
        Ok(())
    }
}
