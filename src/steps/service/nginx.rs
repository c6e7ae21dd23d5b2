//! Driver `nginx`: a unit that systemd reloads, or a process, by `nginx -s reload`, which tests the configuration first; where the program
//! is not to be had, SIGHUP by pid file. Every generation has the `nginx.conf` that a server block includes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::ready;

use super::{not_run, unit};
use crate::config::keys::{Key, Kind, Table};
use crate::config::service::{Answer, Deployed, Done, DriverKind, Rendered, Reply, Service, ServiceId, ServiceState};
use crate::config::shape::{Errors, Shape, Wrong, parsed};
use crate::config::tree::Node;
use crate::config::value;
use crate::io::process::{self, NotRun};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;

/// `{ nginx = { unit } }`, or `{ nginx = { conf, prefix, pid } }` without systemd.
pub(super) static KIND: DriverKind = DriverKind { name: "nginx", table: &TABLE, parse, always: Some(include) };

/// What the settings may say of it.
static TABLE: Table = Table {
    title: "reload driver nginx",
    about: "nginx: a unit that systemd reloads, or without systemd a process of its own. Its server block has: include /run/omens/NAME/nginx.conf;",
    keys: &[
        Key::optional(
            "unit",
            Kind::Text("a unit of systemd"),
            "needed unless there is `conf`, `prefix` or `pid`",
            "\"nginx.service\"",
            "The unit.",
        ),
        Key::optional("conf", Kind::Text("a file"), "nginx' own", "\"/etc/nginx/nginx.conf\"", "Without systemd: its configuration (-c)."),
        Key::optional("prefix", Kind::Text("a directory"), "nginx' own", "\"/srv/nginx\"", "Without systemd: its prefix (-p)."),
        Key::optional("pid", Kind::Text("a file"), "nginx' own", "\"/run/nginx.pid\"", "Without systemd: its pid file."),
    ],
};

/// Old workers answer beside the new ones at first: the master waits 100 ms before it tells them to end. Most have gone by then, and handshakes
/// in a row see to the others ([nginx](crate::steps#nginx)).
const OLD_WORKERS: Duration = Duration::from_millis(150);

/// Where nginx is.
#[derive(Debug)]
enum Nginx {
    /// Somebody else's process.
    Process(Process),
    /// A unit, reloaded by systemd.
    Unit(String),
}

/// An nginx master process. Nothing set: the one of the distribution's own configuration.
#[derive(Debug, Default)]
struct Process {
    /// `-c`.
    conf: Option<PathBuf>,
    /// `-p`.
    prefix: Option<PathBuf>,
    /// Its pid file.
    pid: Option<PathBuf>,
}

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let unit = shape.optional("unit", parsed(value::unit));
    let path = |key| shape.optional(key, parsed(value::path));
    let (conf, prefix, pid) = (path("conf"), path("prefix"), path("pid"));
    shape.finish();
    let process = [&conf, &prefix, &pid].iter().any(|path| !matches!(path, Some(None)));
    let refuse = |text: &str, suggestion: &str| {
        errors.at(&node.place, Wrong::value(text).suggest(suggestion));
        None
    };
    match (unit?, process) {
        (Some(unit), false) => Some(Arc::new(Nginx::Unit(unit))),
        (None, true) => Some(Arc::new(Nginx::Process(Process { conf: conf?, prefix: prefix?, pid: pid? }))),
        (Some(_), true) => refuse(
            "nginx is either a unit of systemd or a process of its own, found both",
            "keep \"unit\" where systemd runs nginx, or \"conf\", \"prefix\" and \"pid\" where it does not",
        ),
        (None, false) => refuse(
            "expected where nginx is, found nothing",
            "add unit = \"nginx.service\", or \"conf\", \"prefix\" or \"pid\" without systemd",
        ),
    }
}

/// nginx opens certificate and key by path, one after the other, so its file names the paths of one generation: 0 failed `nginx -t` in
/// 5,258 swaps, against 220 of 300 through `live` ([Why this order](crate::steps::swap#why-this-order)).
fn include(generation: &Path) -> Vec<Rendered> {
    let quoted = |file: &str| generation.join(file).display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    let text = format!("ssl_certificate \"{}\";\nssl_certificate_key \"{}\";\n", quoted(layout::FULLCHAIN), quoted(layout::KEY));
    vec![Rendered { name: "nginx.conf".to_owned(), bytes: text.into_bytes() }]
}

impl Service for Nginx {
    fn id(&self) -> ServiceId {
        match self {
            Self::Process(Process { conf, prefix, pid }) => ServiceId::new(KIND.name, [conf.clone(), prefix.clone(), pid.clone()]),
            Self::Unit(unit) => ServiceId::new(KIND.name, [Some(unit)]),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Process(Process { conf, pid, .. }) => {
                conf.as_ref().or(pid.as_ref()).map_or_else(|| "nginx".to_owned(), |path| format!("nginx ({})", path.display()))
            }
            Self::Unit(unit) => unit.clone(),
        }
    }

    fn state(&self) -> Answer<'_, ServiceState> {
        match self {
            Self::Unit(unit) if process::systemd_booted() => unit::state(unit).boxed(),
            Self::Unit(_) => ready(Ok(Process::default().state())).boxed(),
            Self::Process(process) => ready(Ok(process.state())).boxed(),
        }
    }

    fn ask<'a>(&'a self, _deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        match self {
            Self::Unit(unit) if process::systemd_booted() => unit::ask(unit, "reload").boxed(),
            Self::Unit(unit) => without_systemd(unit).boxed(),
            Self::Process(process) => process.reload().boxed(),
        }
    }

    fn start<'a>(&'a self, _deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        match self {
            Self::Unit(unit) if process::systemd_booted() => unit::ask(unit, "start").boxed(),
            Self::Process(_) | Self::Unit(_) => ready(Ok(Reply::Stopped)).boxed(),
        }
    }

    fn lingers(&self) -> Duration {
        OLD_WORKERS
    }

    fn stopped_is_certain(&self) -> bool {
        !matches!(self, Self::Process(Process { pid: Some(_), .. }))
    }

    fn unit(&self) -> Option<&str> {
        if let Self::Unit(unit) = self { Some(unit) } else { None }
    }

    fn configuration(&self) -> Option<&Path> {
        match self {
            Self::Process(process) => process.conf.as_deref(),
            Self::Unit(_) => None,
        }
    }
}

/// Without systemd the unit is the one nginx of the distribution's own configuration.
async fn without_systemd(unit: &str) -> Result<Reply, Failure> {
    let mut reply = Process::default().reload().await?;
    if let Reply::Done(done) = &mut reply {
        let text = format!("systemd does not run here; {unit} is reloaded by `nginx -s reload`");
        done.warnings.push(Warning::new(Code::NoSystemd, text));
    }
    Ok(reply)
}

impl Process {
    fn arguments<'a>(&'a self, last: &'a [&'a str]) -> Vec<&'a OsStr> {
        let pair = |flag: &'a str, path: &'a Option<PathBuf>| path.iter().flat_map(move |p| [OsStr::new(flag), p.as_os_str()]);
        pair("-p", &self.prefix).chain(pair("-c", &self.conf)).chain(last.iter().map(OsStr::new)).collect()
    }

    fn state(&self) -> ServiceState {
        match &self.pid {
            Some(file) if process::from_pid_file(file, &["nginx"]).is_none() => ServiceState::Stopped,
            // Without a pid file in the settings only the reload itself can tell.
            _ => ServiceState::Running,
        }
    }

    async fn reload(&self) -> Result<Reply, Failure> {
        let ended = match process::run("nginx", &self.arguments(&["-s", "reload"])).await {
            Ok(ended) => ended,
            Err(missing @ NotRun::Missing(_)) => return self.hang_up(&missing),
            Err(why) => return Err(not_run(&why)),
        };
        if ended.code == Some(0) {
            return Ok(Reply::done());
        }
        if says_stopped(&ended.stderr) {
            return Ok(Reply::Stopped);
        }
        let text = format!("nginx -s reload ended with {}: {}", ended.how(), ended.said());
        Err(Failure::new(Stage::Reload, Code::ReloadFailed, text)
            .hint("`nginx -t` with the same -c and -p says where; nginx goes on with what it had"))
    }

    /// SIGHUP says nothing about its outcome ([nginx](crate::steps#nginx)); only `verify` can tell.
    fn hang_up(&self, missing: &NotRun) -> Result<Reply, Failure> {
        let Some(file) = &self.pid else { return Err(not_run(missing)) };
        let Some(pid) = process::from_pid_file(file, &["nginx"]) else { return Ok(Reply::Stopped) };
        process::signal(pid, process::Ask::Hup).map_err(|why| {
            Failure::new(Stage::Reload, Code::ReloadFailed, format!("cannot signal nginx, pid {pid} of {}: {why}", file.display()))
                .hint("run omens as root or as the user of nginx's master process")
        })?;
        let text = format!("the nginx program is not to be found; its master, pid {pid}, got SIGHUP, whose outcome only `verify` can see");
        Ok(Reply::Done(Done { warnings: vec![Warning::new(Code::ReloadBySignal, text)], ..Done::default() }))
    }
}

/// What `nginx -s` says when no master runs: the pid file is absent, empty, or names a process that is gone.
fn says_stopped(stderr: &str) -> bool {
    let no_pid = stderr.contains("open() \"") && stderr.contains(".pid\" failed (2: No such file");
    no_pid || stderr.contains("invalid PID number") || stderr.contains("failed (3: No such process)")
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

    #[test]
    fn the_include_names_the_paths_of_one_generation() {
        let [file] = <[Rendered; 1]>::try_from(include(Path::new("/run/om ens/web/gen-7"))).unwrap();
        assert_eq!(file.link(), "live/nginx.conf");
        assert_eq!(
            String::from_utf8(file.bytes).unwrap(),
            "ssl_certificate \"/run/om ens/web/gen-7/fullchain.pem\";\nssl_certificate_key \"/run/om ens/web/gen-7/key.pem\";\n"
        );
    }
}
