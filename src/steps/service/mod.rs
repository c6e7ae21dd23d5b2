//! The drivers: how each kind of service is made to read what was published, and how it proves that it did.
//!
//! # How to add a driver
//! 1. Write `steps/service/NAME.rs`: a struct with the settings it needs, `impl Service for` it, and a `pub(super) static KIND: DriverKind`
//!    whose `table` says which keys there are, and whose `parse` reads them with the words of [`crate::config::shape`].
//! 2. Add `mod NAME;` and `&NAME::KIND` to [`DRIVERS`] below.
//!
//! 3. Give `tests/it/service.rs` a `Subject` for it: the suite there runs over every entry of the table, and an entry without one fails it.
//!
//! A driver whose service is a unit, or a process with `pid`, `start` and `stop`, writes `impl Running for` it instead (`running.rs`): what all of
//! those have in common is there.
//!
//! Nothing else is touched: settings, planning, staging, flow and chain-audit know a driver only as [`Service`] and
//! [`DriverKind`](crate::config::service::DriverKind). A proof of its own stands in [`Service::prove`], a file in the generations of its
//! certificates in [`Service::files`], one in those of every certificate in `always` of its kind, its place among other services in
//! [`Service::rank`]. Programs are run through [`crate::io::process`], units are asked by the functions of `unit` here. A driver starts no
//! shell and never guesses: what it cannot find out is a failure with a hint. `tests/fakes/service.rs` is a whole one.

mod exec;
mod keys;
mod keylime_agent;
mod keylime_registrar;
mod keylime_verifier;
mod life;
mod log;
mod nginx;
mod openbao;
mod plugin;
mod running;
mod runs;
mod served;
mod signal;
mod spire_agent;
mod spire_server;
mod systemd;
mod unit;
mod verdicts;

pub(in crate::steps) use self::life::Life;
use crate::config::service::{Deployed, Drivers, Reply, Service, ServiceState};
use crate::io::process::NotRun;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// Every driver, in the order in which errors name them.
pub const DRIVERS: Drivers = &[
    &nginx::KIND,
    &openbao::KIND,
    &keylime_registrar::KIND,
    &keylime_verifier::KIND,
    &keylime_agent::KIND,
    &spire_server::KIND,
    &spire_agent::KIND,
    &systemd::KIND,
    &signal::KIND,
    &exec::KIND,
];

/// Makes one service read what was published, given whether it runs: a stopped one is left alone unless the settings say otherwise, a
/// failed one is started.
///
/// # Errors
/// Stage `reload`.
pub async fn ask_or_start(service: &dyn Service, state: ServiceState, deployed: &[Deployed]) -> Result<Reply, Failure> {
    match state {
        ServiceState::Running => service.ask(deployed).await,
        ServiceState::Failed => started(service, deployed).await,
        ServiceState::Stopped if service.wants_start() => started(service, deployed).await,
        ServiceState::Stopped => Ok(Reply::Stopped),
    }
}

/// A unit that ends at once was started with exit code 0 all the same. Where nobody else sees whether it goes on, its state a little later
/// shows that, and one that ended with code 0 has not stayed either.
async fn started(service: &dyn Service, deployed: &[Deployed]) -> Result<Reply, Failure> {
    let reply = service.start(deployed).await?;
    let Some(unit) = service.unit().filter(|_| !is_seen_later(&reply, deployed)) else { return Ok(reply) };
    tokio::time::sleep(runs::STEADY).await;
    let is_as_meant = match service.state().await? {
        ServiceState::Running => true,
        ServiceState::Failed => false,
        ServiceState::Stopped => service.is_oneshot().await?,
    };
    if is_as_meant {
        return Ok(reply);
    }
    let text = format!("{unit} was started with its new files, and has ended again");
    Err(Failure::new(Stage::Reload, Code::ReloadFailed, text).hint(format!("`journalctl -u {unit}` says why")))
}

/// Whether it is seen later if what was started has ended: by its driver, or at an endpoint of each certificate that it reads.
fn is_seen_later(reply: &Reply, deployed: &[Deployed]) -> bool {
    let is_by_driver = match reply {
        Reply::Done(done) => Life::noted(&done.before).is_some(),
        Reply::Stopped => true,
    };
    is_by_driver || (!deployed.is_empty() && deployed.iter().all(|one| !one.endpoints.is_empty()))
}

fn not_run(why: &NotRun) -> Failure {
    let failure = Failure::new(Stage::Reload, Code::ReloadFailed, why.to_string());
    match why {
        NotRun::Missing(program) => failure.hint(format!("install {program}, or name the right driver in `reload`")),
        NotRun::TooLong { .. } => failure.hint("look at what the service is waiting for; the next run tries again"),
        NotRun::Unsafe(_) => failure.hint("let the program belong to root, and be writable by nobody else"),
        NotRun::Broken { .. } => failure,
    }
}
