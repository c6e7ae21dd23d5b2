//! What could not be looked at: a finding, never the end of a report ([Audit report](crate::cli#audit-report)).

use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::io::look::LookError;
use crate::judge::lint::{Lint, catalogue};
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;

catalogue! {
    ABSENT = "input.absent", Medium, open, "there is no such file", "correct the path";
    UNREADABLE = "input.unreadable", Medium, open, "something that belongs to the picture cannot be read", "run it as root, or make the file readable for who runs it";
    MALFORMED = "input.malformed", High, open, "something that belongs to the picture cannot be parsed", "mend the file; what comes after the place that is named was not looked at";
}

/// Says that a file could not be read.
pub fn unreadable(findings: &mut HostFindings, target: Target, location: Location, error: &LookError) {
    let lint = if error.is_absent() { &ABSENT } else { &UNREADABLE };
    findings.add(draft(lint, target, location, error));
}

/// Says that what a person asked about could not be read: then there is no answer.
pub fn asked_for(findings: &mut HostFindings, target: Target, location: Location, error: &LookError) {
    findings.add(draft(&UNREADABLE, target, location, error).severity(Severity::High));
}

/// Says that a directory holds more files than are read.
pub fn too_many(findings: &mut HostFindings, target: Target, location: Location, expected: String, found: String) {
    let draft = NewFinding::at(&UNREADABLE, target, location).expected(expected).found(found);
    findings.add(draft.remedy("write several certificates into one file, each below a [[certificate]] of its own"));
}

fn draft(lint: &'static Lint, target: Target, location: Location, error: &LookError) -> NewFinding {
    let draft = NewFinding::at(lint, target, location).expected("a file that can be read").found(error.to_string());
    match remedy(error) {
        Some(remedy) => draft.remedy(remedy),
        None => draft,
    }
}

/// What helps, where it is neither the rights of who runs this nor known.
fn remedy(error: &LookError) -> Option<String> {
    match error {
        LookError::Denied(_) => None,
        LookError::Absent(_) => Some("correct the path".to_owned()),
        LookError::Kind { expected, found, .. } => Some(format!("name {expected}, not {found}: nothing else is opened")),
        LookError::TooLarge { limit, .. } => {
            Some(format!("name the file of certificates itself: what is larger than {limit} bytes holds more than they, and is not read"))
        }
        LookError::Other { .. } => {
            Some("mend what the system says of the path; a loop of links ends where one of them names a file".to_owned())
        }
    }
}

/// Says that a file could not be parsed, and where.
pub fn malformed(findings: &mut HostFindings, target: Target, location: Location, expected: &str, found: &str) {
    malformed_with(findings, target, location, expected, found, None);
}

/// The same, with what mends it where that is known.
pub fn malformed_with(
    findings: &mut HostFindings,
    target: Target,
    location: Location,
    expected: &str,
    found: &str,
    remedy: Option<&'static str>,
) {
    let draft = NewFinding::at(&MALFORMED, target, location).expected(expected).found(found);
    findings.add(if let Some(remedy) = remedy { draft.remedy(remedy) } else { draft });
}
