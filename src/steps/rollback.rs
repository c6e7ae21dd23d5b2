//! `rollback NAME`: a person's way back to the generation that was committed before `live`, through the same flow. It never signs anything.

use std::sync::Arc;
use std::time::Duration;

use super::flow::ending::Ending;
use super::flow::{Around, Due, act};
use super::record::Notes;
use super::run::{Begun, Run};
use super::swap::{Place, Trees, disk_failure};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::DiskError;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::name::Generation;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::{CertReport, Report, Watch};
use crate::model::state::State;
use crate::plan::decide::{Action, Step, decide};
use crate::plan::inventory::{self, Tree};

/// Rolls one certificate back.
#[must_use]
pub fn rollback(settings: &Arc<Settings>, certificate: &Certificate, wait: Duration, clock: Clock, watch: &dyn Watch) -> Report {
    let run = match Run::begin("rollback", settings, wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let report = CertReport::new(certificate.name().clone(), Outcome::Failed);
    let report = match tree_of(settings, certificate) {
        Err(why) => run.failed(report, disk_failure(Stage::Plan, &why)),
        Ok(tree) => match target(&tree) {
            Err(why) => {
                let text = format!("{}: {why}", certificate.name());
                let failure =
                    Failure::new(Stage::Plan, Code::NothingToGoBackTo, text).hint("`omens renew NAME --force` makes a new one instead");
                run.refused(report, failure)
            }
            Ok((live, target)) => attempt(settings, certificate, &run, tree, (live, target), (clock, watch)),
        },
    };
    run.end(vec![report])
}

fn tree_of(settings: &Settings, certificate: &Certificate) -> Result<Tree, DiskError> {
    let none = || DiskError::new("find", &settings.paths.state, rustix::io::Errno::NOENT);
    inventory::take(settings, &[certificate])?.certificates.into_iter().next().ok_or_else(none)?.tree
}

/// `live`, and the generation to go to: the one committed before it, or else the newest older one.
fn target(tree: &Tree) -> Result<(Generation, Generation), String> {
    let live = tree.live.as_ref().map(|kept| kept.generation).ok_or("nothing was committed yet")?;
    let noted = tree.state.previous.filter(|g| *g < live && tree.complete.contains(g));
    let newest = tree.complete.iter().copied().filter(|g| *g < live).max();
    Ok((live, noted.or(newest).ok_or_else(|| format!("there is no generation before {live}"))?))
}

fn attempt(
    settings: &Arc<Settings>,
    certificate: &Certificate,
    run: &Run,
    tree: Tree,
    (live, target): (Generation, Generation),
    (clock, watch): (Clock, &dyn Watch),
) -> CertReport {
    let before = tree.state.clone();
    let step = Step {
        due: true,
        reasons: vec![Reason::new(ReasonCode::Forced, format!("from {live} back to {target}, asked for by a person"))],
        action: Action::Settle(target),
        // Written before anything moves: a kill from here on must not bring it back as debt.
        withdraw: tree.complete.iter().copied().filter(|g| *g > target).collect(),
        supersede: Vec::new(),
        republish: None,
        way_back: Some(live),
        unproven: false,
        going_back: true,
        ..decide(settings, certificate, &tree, clock.now(), false)
    };
    let due: Due<'_> = (certificate, step, tree);
    let unknown = || CertReport::new(certificate.name().clone(), Outcome::Failed);
    let mut report = match Trees::open(settings) {
        Ok(trees) => {
            act(&trees, Around { clock, watch, ending: &Ending::default() }, run, vec![due]).into_iter().next().unwrap_or_else(unknown)
        }
        Err(failure) => run.failed(unknown(), failure),
    };
    if report.outcome != Outcome::RolledBack
        && let Err(why) = keep_live(settings, certificate, run, &before, report.outcome == Outcome::Refused)
    {
        report.warnings.push(Warning::new(Code::StateNotWritten, why.text));
    }
    report
}

/// The rollback was not taken up: what was live is back, and no longer withdrawn. That a person's wish was refused is no failure of what
/// serves: the exit code and the ledger say it, and an earlier failure is not forgotten for it.
fn keep_live(settings: &Arc<Settings>, certificate: &Certificate, run: &Run, before: &State, refused: bool) -> Result<(), Failure> {
    let tree = tree_of(settings, certificate).map_err(|why| disk_failure(Stage::Commit, &why))?;
    let place = Arc::new(Place::open(&Trees::open(settings)?, certificate.name())?);
    Notes::new(place, &run.id, tree.state).as_before(before, refused)
}
