//! What a run writes into the ledger of its own accord, and says in reports, beside how certificates ended.

use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::{self, Entry, Outcome};
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::name::CertName;
use crate::plan::inventory::Tree;
use crate::plan::under_way::{Reached, reached};
use crate::steps::swap::renames::Renamed;

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
        renamed_from: None,
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

/// The line of a certificate that was carried over from its earlier name.
pub(in crate::steps) fn renamed(run: &str, renamed: &Renamed, now: Time) -> Entry {
    let line = line(run, &renamed.name, Stage::Commit, Outcome::Renamed, now);
    Entry { renamed_from: Some(renamed.earlier.to_string()), ..line }
}

/// What the report of such a certificate says: consumers are told paths, which nobody but the administrator can change.
pub(in crate::steps) fn renamed_warning(renamed: &Renamed) -> Warning {
    let Renamed { name, earlier } = renamed;
    let text = format!(
        "carried over from {earlier}: what consumers were told of the run directory of {earlier} stays there, and is not renewed, until the \
         next boot; point them to that of {name} (`omens install` for links), then `omens forget {earlier}`"
    );
    Warning::new(Code::Renamed, text)
}
