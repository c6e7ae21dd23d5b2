//! `rollback NAME`: a person's way to the generation that was committed before `live`, through the same flow. It never signs anything.

use std::sync::Arc;
use std::time::Duration;

use super::flow::faulty;
use super::flow::world::World;
use super::flow::{Due, act};
use super::run::{Begun, Command, Run};
use super::swap::{Trees, disk_failure};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::report::{CertReport, Report};
use crate::plan::decide;
use crate::plan::generation::Kept;
use crate::plan::inventory::{self, Depth, Tree};

/// Rolls one certificate back.
#[must_use]
pub fn rollback(settings: &Arc<Settings>, name: &CertName, wait: Duration, world: &World<'_>) -> Report {
    let run = match Run::begin(Command::Rollback, settings, wait, world.clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let reports = match settings.certificate(name) {
        Some(certificate) => vec![one(settings, certificate, &run, world)],
        None => faulty::named(&run, settings, std::slice::from_ref(name)),
    };
    run.end(reports)
}

fn one(settings: &Arc<Settings>, certificate: &Certificate, run: &Run, world: &World<'_>) -> CertReport {
    let unknown = || CertReport::new(certificate.name().clone(), Outcome::Failed);
    let tree = match tree_of(settings, certificate) {
        Ok(tree) => tree,
        Err(why) => return run.failed(unknown(), disk_failure(Stage::Plan, &why)),
    };
    if let Err(failure) = tree.demand_ours(certificate.name()) {
        return run.failed(unknown(), failure);
    }
    let decision = match decide::rollback(settings, certificate, &tree, world.clock.now()) {
        Ok(decision) => decision,
        Err(why) => {
            let failure = Failure::new(Stage::Plan, Code::NothingToGoBackTo, format!("{}: {why}", certificate.name()))
                .hint(instead(certificate.name()));
            return run.refused(unknown(), failure);
        }
    };
    if let Some(serial) = revoked(settings, &tree, &decision) {
        let text = format!("{}: the CA has revoked {serial}, which is what a rollback would serve", certificate.name());
        let failure = Failure::new(Stage::Plan, Code::Revoked, text).hint(instead(certificate.name()));
        return run.refused(unknown(), failure);
    }
    let trees = match Trees::open_with(settings, world.stores.clone()) {
        Ok(trees) => trees,
        Err(failure) => return run.failed(unknown(), failure),
    };
    let due = Due { certificate, decision, tree, warnings: Vec::new() };
    let mut report = act(&trees, world, run, vec![due]).into_iter().next().unwrap_or_else(unknown);
    report.warnings.extend(trees.removed_lists());
    report
}

fn instead(name: &CertName) -> String {
    format!("`omens renew {name} --force` makes a new one instead")
}

/// The serial number of the target, where it is known to be revoked.
fn revoked(settings: &Settings, tree: &Tree, decision: &decide::Decision) -> Option<String> {
    let target = decision.plan.publishes()?;
    let certs = Dir::open(&settings.paths.state).ok().flatten()?.child(layout::CERTS).ok().flatten()?;
    let var = certs.child(decision.name.as_str()).ok().flatten()?;
    let serial = Kept::read(&var, target).ok()?.facts?.serial;
    tree.state.revoked.contains(&serial).then_some(serial)
}

fn tree_of(settings: &Settings, certificate: &Certificate) -> Result<Tree, DiskError> {
    let none = || DiskError::new("find", &settings.paths.state, rustix::io::Errno::NOENT);
    inventory::take(settings, &[certificate], Depth::Whole)?.certificates.into_iter().next().ok_or_else(none)?.tree
}
