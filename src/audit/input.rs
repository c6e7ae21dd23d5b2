//! What could not be looked at: a finding, never the end of a report ([Audit report](crate::cli#audit-report)). It must never guess what
//! was in there.

use super::sheet::{Draft, Sheet};
use crate::io::look::LookError;
use crate::judge::lint::catalogue;
use crate::model::audit::{Place, Target};
use crate::model::finding::Severity;

catalogue! {
    ABSENT = "input.absent", Medium, open, "there is no such file", "correct the path";
    UNREADABLE = "input.unreadable", Medium, open, "something that belongs to the picture cannot be read", "run it as root, or make the file readable for who runs it";
    MALFORMED = "input.malformed", High, open, "something that belongs to the picture cannot be parsed", "mend the file; what comes after the place that is named was not looked at";
}

/// Says that a file could not be read.
pub fn unreadable(sheet: &mut Sheet, target: Target, place: Place, error: &LookError) {
    let lint = if error.is_absent() { &ABSENT } else { &UNREADABLE };
    sheet.add(Draft::at(lint, target, place).expected("a file that can be read").found(error.to_string()));
}

/// Says that what a person asked about could not be read: then there is no answer.
pub fn asked_for(sheet: &mut Sheet, target: Target, place: Place, error: &LookError) {
    let draft = Draft::at(&UNREADABLE, target, place).severity(Severity::High).expected("a file that can be read").found(error.to_string());
    sheet.add(if error.is_absent() { draft.remedy("correct the path") } else { draft });
}

/// Says that a file could not be parsed, and where.
pub fn malformed(sheet: &mut Sheet, target: Target, place: Place, expected: &str, found: &str) {
    sheet.add(Draft::at(&MALFORMED, target, place).expected(expected).found(found));
}
