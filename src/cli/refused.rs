//! What a command prints as JSON that could not do anything: its own document with nothing in it, so that each schema has one shape at every
//! exit code.

use serde::Serialize;

use super::output::Output;
use crate::audit::adopt::Adoption;
use crate::model::audit;
use crate::model::report::{Report, SettingsError};
use crate::plan::view::{End, PlanDocument, StatusDocument};

/// A document whose command says how it ended only where it could not do anything.
#[derive(Serialize)]
struct Refused<T> {
    #[serde(flatten)]
    document: T,
    #[serde(flatten)]
    end: End,
    errors: Vec<SettingsError>,
}

/// Prints this report as the document of its command, where that is another than a report; says whether it is.
pub(super) fn print(output: &mut Output, report: &Report) -> bool {
    let end = End { started: report.started, finished: report.finished, exit: report.exit, error: report.error.clone() };
    let (host, errors) = (report.host.clone(), report.errors.clone());
    match report.schema.as_str() {
        "omens.plan/1" => output.document(&PlanDocument::refused(host, end, errors)),
        "omens.status/1" => output.document(&StatusDocument::refused(host, end, errors)),
        "omens.init/1" => output.document(&Refused { document: Adoption::empty(), end, errors }),
        audit::SCHEMA => output.document(&Refused { document: no_audit(host, report), end, errors }),
        _ => return false,
    }
    true
}

/// An audit that could not be made.
fn no_audit(host: String, report: &Report) -> audit::Document {
    let (schema, summary) = (audit::SCHEMA.to_owned(), audit::Summary::default());
    audit::Document { schema, at: report.started, host, summary, anchors: Vec::new(), chains: Vec::new(), findings: Vec::new() }
}
