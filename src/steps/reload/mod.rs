//! Making a service read what was published: a driver per kind of service, never a bare signal, never a proof (that is `verify`).

mod nginx;
mod systemd;

use crate::config::settings::{Driver, Nginx, UnitAction};
use crate::io::process::{self, NotRun};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};

/// Whether a service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It failed; it gets one start.
    Failed,
    /// It runs.
    Running,
    /// Nobody started it, and nor do we.
    Stopped,
}

/// What became of asking a service to take new files up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenUp {
    /// It did what was asked; whether it serves the new files is for `verify` to see.
    Asked(Vec<Warning>),
    /// It does not run.
    Stopped,
}

/// A service that can be made to read its files again: one of the four joints.
pub trait Reloader {
    /// Whether it runs.
    ///
    /// # Errors
    /// Stage `reload`, when that cannot be found out.
    fn state(&self) -> impl Future<Output = Result<ServiceState, Failure>> + Send;

    /// The least disruptive action after which it has read its files.
    ///
    /// # Errors
    /// Stage `reload`, when it refuses; it goes on with what it had.
    fn reload(&self) -> impl Future<Output = Result<TakenUp, Failure>> + Send;

    /// Starts it.
    ///
    /// # Errors
    /// Stage `reload`, when it does not start.
    fn start(&self) -> impl Future<Output = Result<TakenUp, Failure>> + Send;

    /// Whether the settings want it started when it is stopped.
    fn wants_start(&self) -> bool {
        false
    }
}

/// The implementation behind a driver on this host.
enum Service {
    Process(nginx::Process),
    Unit(systemd::Unit),
}

fn service(driver: &Driver) -> Service {
    match driver {
        Driver::Nginx(Nginx::Unit(unit)) if process::systemd_booted() => Service::Unit(systemd::Unit::new(unit, UnitAction::Reload, false)),
        // Without systemd the unit is the one nginx of the distribution's own configuration.
        Driver::Nginx(Nginx::Unit(_)) => Service::Process(nginx::Process::default()),
        Driver::Nginx(Nginx::Process { conf, prefix, pid }) => {
            Service::Process(nginx::Process { conf: conf.clone(), prefix: prefix.clone(), pid: pid.clone() })
        }
        Driver::Systemd { unit, action, start } => Service::Unit(systemd::Unit::new(unit, *action, *start)),
    }
}

/// Makes one service take new files up, given whether it runs: a stopped one is left alone unless the settings say otherwise, a failed one
/// is started.
///
/// # Errors
/// Stage `reload`.
pub async fn take_up(driver: &Driver, state: ServiceState) -> Result<TakenUp, Failure> {
    let taken = match &service(driver) {
        Service::Process(process) => ask(process, state).await?,
        Service::Unit(unit) => ask(unit, state).await?,
    };
    Ok(match (driver, taken) {
        (Driver::Nginx(Nginx::Unit(unit)), TakenUp::Asked(mut warnings)) if !process::systemd_booted() => {
            let text = format!("systemd does not run here; {unit} is reloaded by `nginx -s reload`");
            warnings.push(Warning::new(Code::NoSystemd, text));
            TakenUp::Asked(warnings)
        }
        (_, taken) => taken,
    })
}

/// Whether a service runs, without asking anything of it.
///
/// # Errors
/// Stage `reload`, when that cannot be found out.
pub async fn state(driver: &Driver) -> Result<ServiceState, Failure> {
    match &service(driver) {
        Service::Process(process) => process.state().await,
        Service::Unit(unit) => unit.state().await,
    }
}

async fn ask(service: &impl Reloader, state: ServiceState) -> Result<TakenUp, Failure> {
    match state {
        ServiceState::Running => service.reload().await,
        ServiceState::Failed => service.start().await,
        ServiceState::Stopped if service.wants_start() => service.start().await,
        ServiceState::Stopped => Ok(TakenUp::Stopped),
    }
}

/// The name of a service, for people.
#[must_use]
pub fn name(driver: &Driver) -> String {
    match driver {
        Driver::Nginx(Nginx::Unit(unit)) | Driver::Systemd { unit, .. } => unit.clone(),
        Driver::Nginx(Nginx::Process { conf, pid, .. }) => {
            conf.as_ref().or(pid.as_ref()).map_or_else(|| "nginx".to_owned(), |path| format!("nginx ({})", path.display()))
        }
    }
}

fn not_run(why: &NotRun) -> Failure {
    let failure = Failure::new(Stage::Reload, Code::ReloadFailed, why.to_string());
    match why {
        NotRun::Missing(program) => failure.hint(format!("install {program}, or name the right driver in `reload`")),
        NotRun::TooLong { .. } => failure.hint("look at what the service is waiting for; the next run tries again"),
        NotRun::Broken { .. } => failure,
    }
}
