//! `unblock NAME`: a person's word that the cause of lost requests is mended, so that the budget starts anew. It asks nothing of a CA and
//! touches neither certificates nor services.

use std::time::Duration;

use super::run::{Begun, Command, Run};
use super::swap::disk_failure;
use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError};
use crate::io::write;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::report::{CertReport, Report};
use crate::model::state::{self, State};

/// Begins the budget of one certificate anew.
#[must_use]
pub fn unblock(settings: &Settings, name: &CertName, wait: Duration, clock: Clock) -> Report {
    let run = match Run::begin(Command::Unblock, settings, wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let report = CertReport::new(name.clone(), Outcome::Unblocked);
    let report = match anew(run.state(), name) {
        Ok(()) => run.unblocked(report),
        Err(failure) => run.failed(report, failure),
    };
    run.end(vec![report])
}

fn anew(state: &Dir, name: &CertName) -> Result<(), Failure> {
    let disk = |why: DiskError| disk_failure(Stage::Issue, &why);
    let Some(certs) = state.child(layout::CERTS).map_err(disk)? else { return Ok(()) };
    let Some(var) = certs.child(name.as_str()).map_err(disk)? else { return Ok(()) };
    let Some(content) = var.read(layout::STATE).map_err(disk)? else { return Ok(()) };
    if let Some(version) = state::newer_version(&content.bytes) {
        let text = format!("{name}: state.json has version {version}, this build knows {}", state::VERSION);
        return Err(Failure::new(Stage::Plan, Code::StateNewer, text).hint("run the newer omens again; nothing was touched"));
    }
    let known: State = serde_json::from_slice(&content.bytes).ok().filter(|state: &State| state.v == state::VERSION).ok_or_else(|| {
        let text = format!("{} cannot be understood, and is left as it is", var.join(layout::STATE).display());
        Failure::new(Stage::Issue, Code::StateBroken, text).hint("`omens renew` writes it anew, and its budget with it")
    })?;
    if known.requests.is_empty() {
        return Ok(());
    }
    let anew = State { requests: Vec::new(), requests_for: None, ..known };
    let bytes = write::json(&var, layout::STATE, &anew).map_err(disk)?;
    write::replace_file(&var, layout::STATE, &bytes, 0o600).map_err(disk)
}
