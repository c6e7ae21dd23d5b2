//! Units of systemd, through `systemctl` as a child ([Processes and units](crate::io#processes-and-units)): its exit code tells done from
//! failed, not what is served.

use std::ffi::OsStr;

use super::not_run;
use crate::config::service::{Reply, ServiceState};
use crate::io::process::{self, NotRun};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// What systemd knows of a unit.
pub(super) async fn state(unit: &str) -> Result<ServiceState, Failure> {
    let arguments = ["show", "--property=LoadState,ActiveState", "--", unit].map(OsStr::new);
    let ended = process::run("systemctl", &arguments).await.map_err(|why| not_asked(unit, &why))?;
    let has = |word: &str| ended.stdout.split_whitespace().any(|w| w == word);
    if ended.code != Some(0) || has("LoadState=not-found") {
        let said = if ended.stderr.is_empty() { "there is no such unit" } else { ended.stderr.as_str() };
        let text = format!("systemd does not know {unit}: {said}");
        return Err(cause(unit, Failure::new(Stage::Reload, Code::ReloadFailed, text).hint("check the unit's name in `reload`")));
    }
    Ok(if has("ActiveState=failed") {
        ServiceState::Failed
    } else if has("ActiveState=inactive") || has("ActiveState=deactivating") {
        ServiceState::Stopped
    } else {
        ServiceState::Running
    })
}

/// What systemctl says where systemd does not run: words about a bus, which name no cause.
const NO_BUS: [&str; 3] = ["not been booted with systemd", "connect to bus", "connect to system scope bus"];

fn cause(unit: &str, failure: Failure) -> Failure {
    let has_no_bus = NO_BUS.iter().any(|words| failure.text.contains(words));
    if process::systemd_booted() || !has_no_bus { failure } else { no_systemd(unit) }
}

fn no_systemd(unit: &str) -> Failure {
    let text = format!("no systemd here: nobody can be asked about {unit}");
    let hint = "name a driver in `reload` that needs no systemd, such as { nginx = { conf = FILE } }, or run omens where systemd runs";
    Failure::new(Stage::Reload, Code::NoSystemd, text).hint(hint)
}

fn not_asked(unit: &str, why: &NotRun) -> Failure {
    match why {
        NotRun::Missing(_) if !process::systemd_booted() => no_systemd(unit),
        _ => not_run(why),
    }
}

/// Asks systemd to do this with a unit: `reload`, `restart` or `start`.
pub(super) async fn ask(unit: &str, verb: &str) -> Result<Reply, Failure> {
    let arguments = ["--no-ask-password", verb, "--", unit].map(OsStr::new);
    let ended = process::run("systemctl", &arguments).await.map_err(|why| not_asked(unit, &why))?;
    if ended.code == Some(0) {
        return Ok(Reply::done());
    }
    let said = if ended.stderr.is_empty() { "it said nothing" } else { ended.stderr.as_str() };
    let code = ended.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
    let failure = Failure::new(Stage::Reload, Code::ReloadFailed, format!("systemctl {verb} {unit} ended with {code}: {said}"))
        .hint(format!("`systemctl status {unit}` and `journalctl -u {unit}` say why; the service goes on with what it had"));
    Err(cause(unit, failure))
}
