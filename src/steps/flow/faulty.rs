//! Certificates whose settings are wrong, in a run that works on the others: each has failed, and is said in its state, in the ledger and in
//! the report. Nothing of theirs is touched.

use super::before::describe_leaf;
use crate::config::settings::{Faulty, Settings};
use crate::model::entry::Outcome;
use crate::model::name::CertName;
use crate::model::report::CertReport;
use crate::plan::faulty::on_disk;
use crate::steps::run::Run;

/// All of them, also those that lie in the state directory while nobody can make out which names a file of `omens.d` has.
pub(in crate::steps) fn all(run: &Run, settings: &Settings) -> Vec<CertReport> {
    on_disk(settings).iter().map(|faulty| failed(run, settings, faulty)).collect()
}

/// Those of them that have these names.
pub(in crate::steps) fn named(run: &Run, settings: &Settings, names: &[CertName]) -> Vec<CertReport> {
    on_disk(settings).iter().filter(|faulty| names.contains(&faulty.name)).map(|faulty| failed(run, settings, faulty)).collect()
}

fn failed(run: &Run, settings: &Settings, faulty: &Faulty) -> CertReport {
    let mut report = CertReport::new(faulty.name.clone(), Outcome::Failed);
    // What consumers read goes on as it is; where even that cannot be looked at, the failure is all there is to say.
    if let Ok(published) = crate::plan::inventory::published(&settings.paths.run, &faulty.name) {
        (report.generation, report.previous) = (published.generation, published.generation);
        describe_leaf(&mut report, published.facts.as_ref());
    }
    run.failed(report, faulty.failure())
}
