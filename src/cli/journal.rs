//! What a report says of certificates, as lines of the journal with fields (systemd.journal-fields(7)): `CERTIFICATE`, `GENERATION`, `STAGE`,
//! `SERIAL`, `OUTCOME`, `CODE`, and a `MESSAGE_ID` by which such lines are found. It must never say more than the report does.

use crate::model::entry::Outcome;
use crate::model::failure::Stage;
use crate::model::report::{CertReport, Report};

/// The target of these lines, by which they are told from the log.
pub(super) const TARGET: &str = "omens::journal";

/// `MESSAGE_ID` of a certificate that is deployed now.
const DEPLOYED: &str = "d9a7b8e65ae24297a1fd42d8e0f24e1c";
/// `MESSAGE_ID` of a certificate in whose place the previous one is back.
const BACK: &str = "ed47a97585e54357863327c4c8533a93";
/// `MESSAGE_ID` of a certificate that could not be renewed, restored or installed.
const FAILED: &str = "1acb2d51c2bd419ba56bfaac0a5061f6";

/// Writes a line for each certificate that something was done to, or that should have had something done to.
pub(super) fn tell(report: &Report) {
    report.certificates.iter().for_each(certificate);
}

fn certificate(report: &CertReport) {
    let (certificate, outcome) = (report.name.as_str(), report.outcome.as_str());
    let (generation, serial) = (report.generation.map(|generation| generation.0), report.serial.as_deref());
    let stage = report.error.as_ref().map_or(Stage::Commit, |error| error.stage).as_str();
    let code = report.error.as_ref().map(|error| error.code.as_str());
    let text = report.error.as_ref().map_or_else(String::new, |error| format!(": {}: {}", error.code, error.text));
    match report.outcome {
        Outcome::NotDue | Outcome::Kept | Outcome::Unchanged => {}
        Outcome::Renewed
        | Outcome::Settled
        | Outcome::Restored
        | Outcome::Resealed
        | Outcome::Installed
        | Outcome::Unblocked
        | Outcome::Forgotten
        | Outcome::Renamed => {
            tracing::info!(target: TARGET, message_id = DEPLOYED, certificate, generation, stage, serial, outcome, "{certificate}: {outcome}");
        }
        Outcome::RolledBack => {
            tracing::warn!(target: TARGET, message_id = BACK, certificate, generation, stage, serial, outcome, code, "{certificate}: {outcome}{text}");
        }
        Outcome::Refused | Outcome::Failed | Outcome::Blocked | Outcome::Exhausted | Outcome::Interrupted => {
            tracing::error!(target: TARGET, message_id = FAILED, certificate, generation, stage, serial, outcome, code, "{certificate}: {outcome}{text}");
        }
    }
}
