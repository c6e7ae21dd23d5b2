//! Units of systemd, through `systemctl` as a child ([Processes and units](crate::io#processes-and-units)): its exit code tells done from
//! failed, not what is served.

use std::ffi::OsStr;
use std::time::Duration;

use super::not_run;
use crate::config::service::{Reply, ServiceState};
use crate::io::process::{self, Ask, Ended, NotRun};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// Longer than systemd waits by itself for a unit to stop or to start (`DefaultTimeoutStopSec=`, 90 s), so that it is systemd that gives up.
const RESTART: Duration = Duration::from_secs(120);

/// Between two looks at a unit that is on its way.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is looked at: for as long as a restart may take.
const LOOKS: u32 = 600;

/// Between an end and the start that systemd makes by itself (`Restart=`).
const ENDED: [&str; 2] = ["SubState=auto-restart", "SubState=auto-restart-queued"];

/// What systemd knows of a unit. One that is being stopped is waited for: where a run was killed in a restart, systemd goes on with it, and the
/// unit is not one that somebody stopped.
pub(super) async fn state(unit: &str) -> Result<ServiceState, Failure> {
    let arguments = ["show", "--property=LoadState,ActiveState,SubState,Job", "--", unit].map(OsStr::new);
    let mut looks = 0;
    loop {
        let ended = process::run("systemctl", &arguments).await.map_err(|why| not_asked(unit, &why))?;
        if ended.code != Some(0) || has(&ended.stdout, "LoadState=not-found") {
            let said = if ended.stderr.is_empty() { "there is no such unit" } else { ended.stderr.as_str() };
            let text = format!("systemd does not know {unit}: {said}");
            return Err(cause(unit, Failure::new(Stage::Reload, Code::ReloadFailed, text).hint("check the unit's name in `reload`")));
        }
        if !is_on_its_way(&ended.stdout) || looks == LOOKS {
            return Ok(standing(&ended.stdout));
        }
        looks += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

fn has(shown: &str, word: &str) -> bool {
    shown.split_whitespace().any(|w| w == word)
}

/// Whether what systemd shows of a unit is about to be something else: it is being stopped, or is stopped and has a job waiting for it.
fn is_on_its_way(shown: &str) -> bool {
    let has_job = shown.split_whitespace().filter_map(|word| word.strip_prefix("Job=")).any(|job| !matches!(job, "" | "0"));
    has(shown, "ActiveState=deactivating") || (has_job && (has(shown, "ActiveState=inactive") || has(shown, "ActiveState=failed")))
}

fn has_ended(shown: &str) -> bool {
    ENDED.iter().any(|state| has(shown, state))
}

/// One that has ended and that systemd is about to start again by itself has failed too: nobody can ask it anything, and its new files may be
/// what it lacks.
fn standing(shown: &str) -> ServiceState {
    if has(shown, "ActiveState=failed") || has_ended(shown) {
        ServiceState::Failed
    } else if has(shown, "ActiveState=inactive") || has(shown, "ActiveState=deactivating") {
        ServiceState::Stopped
    } else {
        ServiceState::Running
    }
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
    // Of one that has ended and is about to be started again, a start waits until that is due (`RestartSec=`), and a restart does not.
    let verb = if verb == "start" && has_ended(&properties(unit, "SubState").await?) { "restart" } else { verb };
    if verb != "reload" {
        // A fifth start within 10 s is refused otherwise; a unit that has not failed has nothing to be reset.
        let arguments = ["reset-failed", "--", unit].map(OsStr::new);
        process::run("systemctl", &arguments).await.map_err(|why| not_run(&why))?;
    }
    let arguments = ["--no-ask-password", verb, "--", unit].map(OsStr::new);
    let ended = process::run_within("systemctl", &arguments, RESTART).await.map_err(|why| not_asked(unit, &why))?;
    done(&ended, &format!("systemctl {verb} {unit}"), unit)
}

/// Lets systemd send a signal to the main process of a unit: one of ours to another user's process needs `CAP_KILL`.
pub(super) async fn signal(unit: &str, ask: Ask) -> Result<Reply, Failure> {
    let signal = format!("--signal={}", ask.as_str());
    let arguments = ["kill", "--kill-who=main", signal.as_str(), "--", unit].map(OsStr::new);
    let ended = process::run("systemctl", &arguments).await.map_err(|why| not_run(&why))?;
    done(&ended, &format!("systemctl kill {signal} {unit}"), unit)
}

/// One life of a unit: what systemd calls an invocation, while its main process runs.
pub(super) async fn life(unit: &str) -> Result<Option<String>, Failure> {
    let found = properties(unit, "SubState,ActiveState,InvocationID").await?;
    let is_up = found.contains("SubState=running") || (found.contains("ActiveState=active") && !found.contains("SubState=auto-restart"));
    let id = found.split_whitespace().find_map(|word| word.strip_prefix("InvocationID=")).filter(|id| !id.is_empty());
    Ok(id.filter(|_| is_up).map(ToOwned::to_owned))
}

/// Whether a unit is started to do its work and end (`Type=oneshot`).
pub(super) async fn is_oneshot(unit: &str) -> Result<bool, Failure> {
    Ok(has(&properties(unit, "Type").await?, "Type=oneshot"))
}

/// The pid of a unit's main process, while it has one.
pub(super) async fn main_pid(unit: &str) -> Result<Option<i32>, Failure> {
    let found = properties(unit, "MainPID").await?;
    Ok(found.trim().strip_prefix("MainPID=").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0))
}

/// What a unit starts, as systemd shows it.
pub(super) async fn command_line(unit: &str) -> Result<String, Failure> {
    properties(unit, "ExecStart").await
}

async fn properties(unit: &str, names: &str) -> Result<String, Failure> {
    let property = format!("--property={names}");
    let arguments = ["show", property.as_str(), "--", unit].map(OsStr::new);
    Ok(process::run("systemctl", &arguments).await.map_err(|why| not_run(&why))?.stdout)
}

fn done(ended: &Ended, what: &str, unit: &str) -> Result<Reply, Failure> {
    if ended.code == Some(0) {
        return Ok(Reply::done());
    }
    let failure = Failure::new(Stage::Reload, Code::ReloadFailed, format!("{what} ended with {}: {}", ended.how(), ended.said()))
        .hint(format!("`systemctl status {unit}` and `journalctl -u {unit}` say why; the service goes on with what it had"));
    Err(cause(unit, failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_between_two_states_is_waited_for() {
        for (shown, on_its_way, state) in [
            ("ActiveState=active\nJob=0", false, ServiceState::Running),
            ("ActiveState=activating\nJob=17", false, ServiceState::Running),
            ("ActiveState=activating\nSubState=start\nJob=17", false, ServiceState::Running),
            ("ActiveState=reloading\nJob=17", false, ServiceState::Running),
            // It ends again and again, and systemd waits before it starts it once more.
            ("ActiveState=activating\nSubState=auto-restart\nJob=0", false, ServiceState::Failed),
            ("ActiveState=activating\nSubState=auto-restart-queued\nJob=17", false, ServiceState::Failed),
            ("ActiveState=inactive\n", false, ServiceState::Stopped),
            ("ActiveState=inactive\nJob=", false, ServiceState::Stopped),
            ("ActiveState=failed\nJob=0", false, ServiceState::Failed),
            // A restart: stopped, and its start waits; and a stop that takes its time.
            ("ActiveState=inactive\nJob=17", true, ServiceState::Stopped),
            ("ActiveState=deactivating\nJob=17", true, ServiceState::Stopped),
            ("ActiveState=deactivating\nJob=0", true, ServiceState::Stopped),
        ] {
            assert_eq!((is_on_its_way(shown), standing(shown)), (on_its_way, state), "{shown}");
        }
    }
}
