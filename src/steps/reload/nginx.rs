//! nginx without systemd: `nginx -s reload`, which tests the configuration first; where the program is not to be had, SIGHUP by pid file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Reloader, ServiceState, TakenUp, not_run};
use crate::io::process::{self, NotRun};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};

/// An nginx master process. Nothing set: the one of the distribution's own configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub(super) conf: Option<PathBuf>,
    pub(super) prefix: Option<PathBuf>,
    pub(super) pid: Option<PathBuf>,
}

impl Process {
    fn arguments<'a>(&'a self, last: &'a [&'a str]) -> Vec<&'a OsStr> {
        let pair = |flag: &'a str, path: &'a Option<PathBuf>| path.iter().flat_map(move |p| [OsStr::new(flag), p.as_os_str()]);
        pair("-p", &self.prefix).chain(pair("-c", &self.conf)).chain(last.iter().map(OsStr::new)).collect()
    }

    /// SIGHUP says nothing about its outcome (facts/host §3); only `verify` can tell.
    fn hang_up(&self, missing: &NotRun) -> Result<TakenUp, Failure> {
        let Some(file) = &self.pid else { return Err(not_run(missing)) };
        let Some(pid) = process::from_pid_file(file, "nginx") else { return Ok(TakenUp::Stopped) };
        process::hang_up(pid).map_err(|why| {
            Failure::new(Stage::Reload, Code::ReloadFailed, format!("cannot signal nginx, pid {pid} of {}: {why}", file.display()))
                .hint("run omens as root or as the user of nginx's master process")
        })?;
        let text = format!("the nginx program is not to be found; its master, pid {pid}, got SIGHUP, whose outcome only `verify` can see");
        Ok(TakenUp::Asked(vec![Warning::new(Code::ReloadBySignal, text)]))
    }
}

/// What `nginx -s` says when no master runs: the pid file is absent, empty, or names a process that is gone.
fn says_stopped(stderr: &str) -> bool {
    let no_pid = stderr.contains("open() \"") && stderr.contains(".pid\" failed (2: No such file");
    no_pid || stderr.contains("invalid PID number") || stderr.contains("failed (3: No such process)")
}

impl Reloader for Process {
    async fn state(&self) -> Result<ServiceState, Failure> {
        let runs = |file: &Path| process::from_pid_file(file, "nginx").is_some();
        Ok(match &self.pid {
            Some(file) if !runs(file) => ServiceState::Stopped,
            // Without a pid file in the settings only the reload itself can tell.
            _ => ServiceState::Running,
        })
    }

    async fn reload(&self) -> Result<TakenUp, Failure> {
        let ended = match process::run("nginx", &self.arguments(&["-s", "reload"])).await {
            Ok(ended) => ended,
            Err(missing @ NotRun::Missing(_)) => return self.hang_up(&missing),
            Err(why) => return Err(not_run(&why)),
        };
        if ended.code == Some(0) {
            return Ok(TakenUp::Asked(Vec::new()));
        }
        if says_stopped(&ended.stderr) {
            return Ok(TakenUp::Stopped);
        }
        let code = ended.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        Err(Failure::new(Stage::Reload, Code::ReloadFailed, format!("nginx -s reload ended with {code}: {}", ended.stderr))
            .hint("`nginx -t` with the same -c and -p says where; nginx goes on with what it had"))
    }

    async fn start(&self) -> Result<TakenUp, Failure> {
        Ok(TakenUp::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_the_instance_and_nothing_else() {
        let process = Process { conf: Some("/a/nginx.conf".into()), prefix: Some("/a".into()), pid: None };
        assert_eq!(process.arguments(&["-s", "reload"]), ["-p", "/a", "-c", "/a/nginx.conf", "-s", "reload"].map(OsStr::new));
    }

    #[test]
    fn a_stopped_nginx_is_told_from_a_broken_configuration() {
        assert!(says_stopped("nginx: [error] open() \"/run/nginx.pid\" failed (2: No such file or directory)"));
        assert!(says_stopped("nginx: [error] invalid PID number \"\" in \"/run/nginx.pid\""));
        assert!(says_stopped("nginx: [alert] kill(4242, 1) failed (3: No such process)"));
        assert!(!says_stopped(
            "nginx: [emerg] open() \"/run/omens/web/nginx.conf\" failed (2: No such file or directory) in /a/nginx.conf:4"
        ));
        assert!(!says_stopped("nginx: [emerg] cannot load certificate key"));
    }
}
