//! A committed generation published from what it carries, since its settings are broken ([Restore](crate::steps::swap#restore)). There is no
//! profile to judge it by: it has to be the one that was staged, to the byte.

use super::ground::Ground;
use super::{failed, nothing};
use crate::config::settings::Faulty;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::name::CertName;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::CertReport;
use crate::plan::debt::proof_of_live;
use crate::plan::generation::{Condition, Kept};
use crate::steps::flow::describe_leaf;
use crate::steps::swap::{condition_text, disk_failure};

/// Restores one certificate.
pub(super) fn restore(ground: &Ground<'_>, faulty: &Faulty, now: Time) -> CertReport {
    let name = &faulty.name;
    let broken = Warning::new(Code::Settings, faulty.failure().text);
    let report = CertReport { warnings: vec![broken.clone()], ..CertReport::new(name.clone(), Outcome::Kept) };
    let tree = match ground.tree(faulty) {
        Ok(tree) => tree,
        Err(why) => return failed(report, disk_failure(Stage::Publish, &why)),
    };
    let mut report = CertReport { previous: tree.published.generation, generation: tree.published.generation, ..report };
    let Some(live) = &tree.live else { return CertReport { warnings: vec![broken], ..nothing(name) } };
    if live.condition != Condition::Intact {
        return failed(report, damaged(name, live));
    }
    if let Some(anchor) = live.checked_against() {
        ground.pins(anchor);
    }
    if live.facts.as_ref().is_some_and(|facts| facts.not_after <= now) {
        report.warnings.push(Warning::new(Code::Expired, "the committed certificate has expired and is published all the same"));
    }
    if let Some(text) = &tree.unpublished {
        report.reasons.push(Reason::new(ReasonCode::Unpublished, text.clone()));
        let outlet = ground.bare().outlet(name, live, &mut report.warnings);
        match ground.publish(name, tree.rename.name_on_disk(name), live, outlet) {
            Ok(warnings) => report.warnings.extend(warnings),
            Err(failure) => return failed(report, failure),
        }
        report.outcome = Outcome::Restored;
        report.generation = Some(live.generation);
    }
    ground.publish_earlier(&tree, live, &mut report.warnings);
    report.proof = proof_of_live(&tree);
    describe_leaf(&mut report, live.facts.as_ref());
    report
}

fn damaged(name: &CertName, live: &Kept) -> Failure {
    let why = condition_text(&live.condition);
    let text = format!("{} of {name} cannot be published while its settings are broken: {why}", live.generation);
    Failure::new(Stage::Publish, Code::BlobDamaged, text).hint(format!("mend the settings; then `omens renew {name}` judges it"))
}
