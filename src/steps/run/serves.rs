//! What consumers find of a certificate, in a report that did not come to say it: a refusal or a failure before anything was moved.

use std::path::Path;

use crate::model::entry::Outcome;
use crate::model::report::CertReport;
use crate::plan::inventory;

/// Says what lies published below this run directory, where the report says nothing of its leaf.
pub(in crate::steps) fn tell(run: &Path, report: &mut CertReport) {
    if report.sha256.is_some() || report.outcome == Outcome::Forgotten {
        return;
    }
    // What cannot be looked at is not known.
    let Ok(published) = inventory::published(run, &report.name) else { return };
    let found = published.facts.as_ref();
    // `revoke` names the certificate that it is about, which need not be the one that serves.
    if report.serial.is_some() && report.serial.as_ref() != found.map(|facts| &facts.serial) {
        return;
    }
    if report.generation.is_none() {
        (report.generation, report.previous) = (published.generation, published.generation);
    }
    let Some(facts) = found.filter(|_| report.generation == published.generation) else { return };
    report.serial = Some(facts.serial.clone());
    report.sha256 = Some(facts.sha256.clone());
    report.not_before = Some(facts.not_before);
    report.not_after = Some(facts.not_after);
}
