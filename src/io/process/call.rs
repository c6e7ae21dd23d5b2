//! One call of a program: to its end, or as a service that outlives us.
#![expect(clippy::disallowed_methods, reason = "a part of the door through which processes are started")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::{Ended, NotRun, keep_what_is_open};

/// How long the streams of a program are read once it has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A program with all that it is given.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its path, or a name to be looked for in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<std::ffi::OsString>,
    /// How long it may take.
    pub limit: Duration,
}

impl Call {
    /// Runs it to its end in our environment, with messages in English. What it said is given as it is, at most `kept` bytes of each stream.
    /// At the time limit it is killed, with what it has started in its process group.
    ///
    /// # Errors
    /// When it cannot be started, or does not end in time.
    pub async fn run(&self, kept: usize) -> Result<Ended, NotRun> {
        let mut command = self.command();
        command.env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|why| self.broken(&why))?;
        let group = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let (out, err) = (child.stdout.take(), child.stderr.take());
        // What a program leaves running may hold its streams open: they are read no longer than it lives itself.
        let mut said = std::pin::pin!(async { tokio::join!(all_of(out, kept), all_of(err, kept)) });
        let mut heard = None;
        let ended = tokio::time::timeout(self.limit, async {
            loop {
                tokio::select! {
                    both = &mut said, if heard.is_none() => heard = Some(both),
                    status = child.wait() => break status,
                }
            }
        });
        let Ok(status) = ended.await else {
            if let Some(group) = group {
                rustix::process::kill_process_group(group, Signal::KILL).ok();
            }
            return Err(NotRun::TooLong { program: self.program.display().to_string(), limit: self.limit });
        };
        let status = status.map_err(|why| self.broken(&why))?;
        if heard.is_none() {
            heard = tokio::time::timeout(LAST_WORDS, said).await.ok();
        }
        let (stdout, stderr) = heard.unwrap_or_default();
        Ok(Ended { code: status.code(), signal: status.signal(), stdout, stderr })
    }

    /// Starts it as a service that outlives us: it has its own process group and none of our streams. Where it ends before `grace` is over, as
    /// one does that puts its service into the background, its exit code is given.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(&self, grace: Duration) -> Result<Option<Ended>, NotRun> {
        let mut command = self.command();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|why| self.broken(&why))?;
        match tokio::time::timeout(grace, child.wait()).await {
            Ok(Ok(status)) => {
                Ok(Some(Ended { code: status.code(), signal: status.signal(), stdout: String::new(), stderr: String::new() }))
            }
            Ok(Err(why)) => Err(self.broken(&why)),
            Err(_) => Ok(None),
        }
    }

    fn command(&self) -> Command {
        tracing::debug!(program = %self.program.display(), arguments = ?self.arguments, "starts");
        keep_what_is_open();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).process_group(0);
        command
    }

    fn broken(&self, why: &std::io::Error) -> NotRun {
        let program = self.program.display().to_string();
        match why.kind() {
            std::io::ErrorKind::NotFound => NotRun::Missing(program),
            _ => NotRun::Broken { program, why: why.to_string() },
        }
    }
}

/// The first bytes of a stream; the rest is read and forgotten, so that nobody waits for us to read it.
async fn all_of(stream: Option<impl AsyncRead + Unpin>, kept: usize) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let (mut bytes, mut chunk) = (Vec::new(), [0_u8; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        bytes.extend(chunk.iter().take(count.min(kept.saturating_sub(bytes.len()))));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
