//! One due certificate on its way through a run: its plan, its notes and the report that grows with it.

use std::sync::Arc;

use super::super::commit::Committed;
use super::super::record::Notes;
use super::super::reload;
use super::super::swap::{Place, Trees};
use super::block;
use crate::config::settings::{Certificate, Driver};
use crate::judge::cert::Facts;
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::{self, Entry, Outcome};
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::finding::Finding;
use crate::model::name::Generation;
use crate::model::report::{CertReport, Debt};
use crate::model::state::Proof;
use crate::plan::debt::{debt_of, proof_of_live};
use crate::plan::decide::{Action, Step};
use crate::plan::inventory::Tree;
use crate::plan::sealing::{in_clear, plaintext_warning};

/// A due certificate.
pub(super) struct Job {
    pub(super) place: Arc<Place>,
    pub(super) notes: Arc<Notes>,
    pub(super) step: Step,
    pub(super) report: CertReport,
    /// The leaf to go back to.
    pub(super) back: Option<Facts>,
    /// The leaf that is being brought out.
    pub(super) new: Option<(Generation, Facts)>,
    /// What consumers found at the start.
    pub(super) found: Option<Facts>,
    /// The services to ask: all of the settings, or those that were stopped when the generation was committed.
    drivers: Vec<Driver>,
    /// Those of them that were found stopped.
    pub(super) stopped: Vec<String>,
    /// A generation that is whole in the state directory although staging failed.
    pub(super) waits: Option<Generation>,
    /// A refused answer, for the ledger.
    pub(super) refused_pem: Option<String>,
    /// Serial and fingerprint of that answer.
    pub(super) refused: Option<(Option<String>, Option<Fingerprint>)>,
    reached: Stage,
}

impl Job {
    /// Opens the place of a due certificate.
    ///
    /// # Errors
    /// The report so far, and why the certificate's part ends here.
    pub(super) fn open(trees: &Arc<Trees>, step: Step, tree: Tree, run: &str) -> Result<Self, (Box<CertReport>, Failure)> {
        let report = report_of(&step, &tree);
        let place = match Place::open(trees, &step.name) {
            Ok(place) => Arc::new(place),
            Err(failure) => return Err((Box::new(report), failure)),
        };
        let owed = tree.state.proven.as_ref().filter(|_| step.unproven).map_or(&[][..], |proven| &proven.stopped);
        let mut drivers = place.certificate().reload.clone();
        if !owed.is_empty() {
            drivers.retain(|driver| owed.contains(&reload::name(driver)));
        }
        let back = tree.live.filter(|live| Some(live.generation) == step.way_back).and_then(|live| live.facts);
        let notes = Arc::new(Notes::new(place.clone(), run, tree.state));
        Ok(Self {
            place,
            notes,
            step,
            report,
            back,
            new: None,
            waits: None,
            found: tree.published.facts,
            drivers,
            stopped: Vec::new(),
            refused_pem: None,
            refused: None,
            reached: Stage::Plan,
        })
    }

    /// Takes the note away that a run is at work on the certificate: its end is in the ledger.
    pub(super) fn over(&self) {
        if let Err(why) = self.notes.over() {
            tracing::warn!(%why, "a run that ended stays noted");
        }
    }

    pub(super) fn certificate(&self) -> &Certificate {
        self.place.certificate()
    }

    pub(super) fn drivers(&self) -> &[Driver] {
        &self.drivers
    }

    pub(super) const fn reach(&mut self, stage: Stage) {
        self.reached = stage;
    }

    pub(super) fn fail(&mut self, outcome: Outcome, failure: Failure) {
        self.reached = failure.stage;
        self.report.outcome = outcome;
        self.report.error = Some(failure);
    }

    /// Fails, and leaves that in `state.json`; a disk that takes no notes is one more thing to say, not another failure.
    pub(super) async fn fail_noted(&mut self, outcome: Outcome, failure: Failure, debt: Option<Generation>, now: Time) {
        let (notes, said) = (self.notes.clone(), failure.clone());
        if let Err(why) = block(move || notes.failed(&said, debt, now)).await {
            self.warn(Code::StateNotWritten, why.text);
        }
        self.fail(outcome, failure);
    }

    pub(super) fn warn(&mut self, code: Code, text: impl Into<String>) {
        self.report.warnings.push(Warning::new(code, text));
    }

    pub(super) fn committed(&mut self, committed: &Committed) {
        self.reached = Stage::Commit;
        self.report.proof = Some(committed.proof());
        // A certificate that was only given back its old generation has failed all the same.
        if committed.proof() != Proof::None && self.report.error.is_none() {
            self.report.outcome = match self.step.action {
                Action::Issue => Outcome::Renewed,
                _ if self.step.going_back => Outcome::RolledBack,
                _ => Outcome::Settled,
            };
        }
    }

    /// Fills in what is true at the end, and gives the report and its ledger line.
    pub(super) fn end(&self, run: &str, now: Time) -> (CertReport, Option<Entry>) {
        let published = self.place.published();
        let mut report = CertReport { generation: published, ..self.report.clone() };
        let facts = match &self.new {
            Some((generation, facts)) if Some(*generation) == published => Some(facts),
            _ if published == self.report.previous => self.found.as_ref(),
            _ => self.back.as_ref(),
        };
        describe_leaf(&mut report, facts);
        report.warnings.extend(self.plaintext());
        let state = self.notes.state();
        let waits = |g: &Generation| self.place.committed() < Some(*g) && !state.withdrawn.contains(g);
        let unproven = self.report.proof == Some(Proof::None);
        report.debt = state.debt.as_ref().filter(|debt| waits(&debt.generation) || unproven).map(|debt| Debt {
            generation: debt.generation,
            sha256: self.new.as_ref().filter(|(g, _)| *g == debt.generation).map(|(_, facts)| facts.sha256.clone()),
            since: Some(debt.since),
            stage: Some(debt.failure.stage),
            code: Some(debt.failure.code),
            attempts: debt.attempts,
        });
        let entry = (self.report.outcome != Outcome::NotDue).then(|| self.entry(run, now));
        (report, entry)
    }

    /// What is true at the end: what lay there in clear at the start may have gone.
    fn plaintext(&self) -> Option<Warning> {
        let var = self.place.var().ok().filter(|_| !self.certificate().keep.rests_in_clear())?;
        let all: Vec<Generation> = var.names().ok()?.iter().filter_map(|name| Generation::parse(name)).collect();
        plaintext_warning(&in_clear(&var, &all))
    }

    fn entry(&self, run: &str, now: Time) -> Entry {
        let refused = self.report.outcome == Outcome::Refused;
        let new = self.new.as_ref();
        let refused_as = self.refused.as_ref();
        Entry {
            v: entry::VERSION,
            time: now,
            run: run.to_owned(),
            certificate: self.report.name.to_string(),
            generation: new.map(|(generation, _)| *generation),
            stage: self.reached,
            outcome: self.report.outcome,
            serial: refused_as.map_or_else(|| new.map(|(_, facts)| facts.serial.clone()), |(serial, _)| serial.clone()),
            sha256: refused_as.map_or_else(|| new.map(|(_, facts)| facts.sha256.clone()), |(_, sha256)| sha256.clone()),
            error: self.report.error.clone(),
            findings: if refused { self.report.findings.clone() } else { Vec::<Finding>::new() },
            refused_pem: self.refused_pem.clone(),
        }
    }
}

/// The report of a certificate as it is found.
pub(in crate::steps) fn report_of(step: &Step, tree: &Tree) -> CertReport {
    let mut report = CertReport::new(step.name.clone(), Outcome::NotDue);
    report.reasons.clone_from(&step.reasons);
    report.generation = tree.published.generation;
    report.previous = tree.published.generation;
    report.proof = proof_of_live(tree);
    describe_leaf(&mut report, tree.published.facts.as_ref());
    if let Some(why) = &tree.state_broken {
        let text = format!("state.json cannot be understood and is written anew: {why}");
        report.warnings.push(Warning::new(Code::StateBroken, text));
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
