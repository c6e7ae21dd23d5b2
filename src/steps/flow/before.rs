//! The report of a certificate before anything is done to it, and what a report says of a leaf.

use crate::judge::cert::Facts;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::Warning;
use crate::model::report::CertReport;
use crate::plan::debt::{debt_of, proof_of_live};
use crate::plan::decide::Decision;
use crate::plan::inventory::{StateFile, Tree};
use crate::plan::links;

/// The report of a certificate as it is found.
pub(in crate::steps) fn report_of(decision: &Decision, tree: &Tree) -> CertReport {
    let mut report = CertReport::new(decision.name.clone(), Outcome::NotDue);
    report.reasons.clone_from(&decision.reasons);
    report.generation = tree.published.generation;
    report.previous = tree.published.generation;
    report.proof = proof_of_live(tree);
    describe_leaf(&mut report, tree.published.facts.as_ref());
    if let StateFile::Broken(why) = &tree.state_file {
        let text = format!("state.json cannot be understood and is written anew: {why}");
        report.warnings.push(Warning::new(Code::StateBroken, text));
    }
    if let Some(text) = &tree.missing_link {
        report.warnings.push(Warning::new(Code::LinkMissing, links::with_remedy(text)));
    }
    report.debt = debt_of(tree);
    report
}

/// Writes a leaf's facts into a report.
pub(in crate::steps) fn describe_leaf(report: &mut CertReport, facts: Option<&Facts>) {
    report.serial = facts.map(|f| f.serial.clone());
    report.sha256 = facts.map(|f| f.sha256.clone());
    report.not_before = facts.map(|f| f.not_before);
    report.not_after = facts.map(|f| f.not_after);
}
