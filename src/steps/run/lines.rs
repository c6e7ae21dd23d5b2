//! Lines of the ledger that a run writes outside of a certificate's part in it.

use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::{self, Entry, Outcome};
use crate::model::failure::{Failure, Stage};
use crate::model::name::CertName;
use crate::plan::inventory::Tree;
use crate::plan::under_way::{Reached, reached};

/// A ledger line with nothing in it but who, where and how.
pub(in crate::steps) fn line(run: &str, name: &CertName, stage: Stage, outcome: Outcome, now: Time) -> Entry {
    Entry {
        v: entry::VERSION,
        time: now,
        run: run.to_owned(),
        certificate: name.to_string(),
        generation: None,
        stage,
        outcome,
        serial: None,
        sha256: None,
        break_glass: None,
        reason: None,
        error: None,
        findings: Vec::new(),
        refused_pem: None,
    }
}

/// The line of an earlier run that was ended in the middle: how far it came is read from what it left.
#[must_use]
pub fn interrupted(tree: &Tree, name: &CertName, now: Time) -> Option<Entry> {
    let begun = tree.state.begun.as_ref()?;
    let Reached { stage, generation } = reached(tree);
    let text = format!("interrupted at {stage}: the run that began at {} did not finish", begun.at);
    let mut entry = line(&begun.run, name, stage, Outcome::Interrupted, now);
    entry.generation = generation;
    entry.error = Some(Failure::new(stage, Code::Interrupted, text));
    Some(entry)
}
