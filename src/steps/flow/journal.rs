//! What is known of one certificate's part in a run, and [`Journal::finish`]: how it ended is said in `state.json`, in the report and in the
//! ledger from one [`End`]. A certificate whose place could not be opened has no journal; [`Run::failed`] tells of it.

use std::sync::Arc;

use super::before::describe_leaf;
use super::block;
use super::end::{End, told};
use super::writing::Writer;
use crate::judge::cert::Facts;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::entry::{self, Entry, Outcome};
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::finding::Finding;
use crate::model::name::Generation;
use crate::model::reason::Reason;
use crate::model::report::{CertReport, Debt, Watch};
use crate::model::state::{Proof, State};
use crate::plan::budget::Life;
use crate::plan::choice::Plan;
use crate::plan::inventory::Tree;
use crate::plan::sealing::{in_clear, plaintext_warning};
use crate::steps::record::Notes;
use crate::steps::run::Run;
use crate::steps::swap::Place;
use crate::steps::validate::Rejection;

/// The leaves that a report may have to describe.
#[derive(Debug, Default)]
struct Leaves {
    /// What consumers found at the start.
    found: Option<Facts>,
    /// The one to go back to.
    fallback: Option<Facts>,
    /// The one that is to be deployed.
    new: Option<(Generation, Facts)>,
}

/// The journal of one certificate in one run.
pub(in crate::steps) struct Journal<'a> {
    place: Arc<Place>,
    pub(in crate::steps) notes: Arc<Notes>,
    run: &'a Run,
    watch: &'a dyn Watch,
    clock: Clock,
    stage: Stage,
    report: CertReport,
    /// `state.json` as it was found.
    before: State,
    leaves: Leaves,
    /// How the first of two tasks ended.
    shortfall: Option<End>,
    /// Why a person had it issued without a verdict.
    pub(super) break_glass: Option<String>,
    /// Whether the state knows of the end already.
    is_noted: bool,
}

impl<'a> Journal<'a> {
    /// The journal of a certificate whose report says how it was found; `fallback` is the generation that comes back on failure.
    pub(in crate::steps) fn open(
        place: &Arc<Place>,
        report: CertReport,
        tree: Tree,
        fallback: Option<Generation>,
        run: &'a Run,
        watch: &'a dyn Watch,
    ) -> Self {
        let committed = tree.live.as_ref().and_then(|live| live.facts.as_ref());
        let life = Life::of(committed, place.certificate().request.ttl);
        let fallback = tree.live.filter(|live| Some(live.generation) == fallback).and_then(|live| live.facts);
        Self {
            place: place.clone(),
            notes: Arc::new(Notes::new(place.clone(), &run.id, life, tree.state.clone())),
            run,
            watch,
            clock: run.clock(),
            stage: Stage::Plan,
            report,
            before: tree.state,
            leaves: Leaves { found: tree.published.facts, fallback, new: None },
            shortfall: None,
            break_glass: None,
            is_noted: false,
        }
    }

    /// Notes where the certificate is, for whoever watches and for how a failure is told.
    pub(in crate::steps) fn reach(&mut self, stage: Stage) {
        self.stage = stage;
        self.watch.stage(&self.report.name, stage);
    }

    pub(in crate::steps) fn warn(&mut self, code: Code, text: impl Into<String>) {
        self.report.warnings.push(Warning::new(code, text));
    }

    /// Says what was not said yet: that a sealing key does not open is told by whoever found it out first.
    pub(super) fn warn_once(&mut self, warning: Warning) {
        if self.report.warnings.iter().all(|said| said.code != warning.code) {
            self.report.warnings.push(warning);
        }
    }

    pub(in crate::steps) fn add_warnings(&mut self, warnings: impl IntoIterator<Item = Warning>) {
        self.report.warnings.extend(warnings);
    }

    /// What the gate noted without refusing. After a first task that failed, its findings are the ones that tell.
    pub(in crate::steps) fn set_findings(&mut self, findings: &[Finding]) {
        if self.shortfall.is_none() {
            self.report.findings = findings.to_vec();
        }
    }

    /// The generation that this part of the run is about from here on.
    pub(in crate::steps) fn set_new(&mut self, generation: Generation, facts: &Facts) {
        self.leaves.new = Some((generation, facts.clone()));
    }

    /// The committed generation was given back to its consumers, who lacked it.
    pub(super) fn gave_back(&mut self, facts: Facts) {
        self.leaves.fallback.get_or_insert(facts);
    }

    /// Why it was due.
    pub(super) fn reasons(&self) -> &[Reason] {
        &self.report.reasons
    }

    /// The leaf that consumers found at the start: a service that still serves it has not read its files.
    pub(super) const fn found(&self) -> Option<&Facts> {
        self.leaves.found.as_ref()
    }

    pub(super) const fn fallback(&self) -> Option<&Facts> {
        self.leaves.fallback.as_ref()
    }

    /// Whether an earlier task of this certificate failed in this run.
    pub(super) const fn has_shortfall(&self) -> bool {
        self.shortfall.is_some()
    }

    /// Takes the note away that a run is at work on the certificate.
    pub(super) fn over(&self) {
        if let Err(why) = self.notes.over() {
            tracing::warn!(%why, "a run that ended stays noted");
        }
    }

    /// Ends the first of two tasks, of which the state knows already.
    pub(super) fn fall_short(&mut self, end: End) {
        self.shortfall = Some(end);
        self.is_noted = false;
    }

    /// Takes it back, where the second task does not begin.
    pub(super) fn take_shortfall(&mut self) -> Option<End> {
        self.is_noted = true;
        self.shortfall.take()
    }

    /// Leaves in the state what must not wait until the certificate's part is over, and gives the end back.
    pub(super) async fn note(&mut self, plan: &Plan, end: End) -> End {
        let writer = self.writer(plan);
        let noted = block(self.stage, move || {
            let written = writer.at_once(&end);
            Ok((end, written))
        });
        match noted.await {
            Ok((end, written)) => {
                self.is_noted = true;
                self.add_warnings(written.err().map(unwritten));
                end
            }
            // Only a runtime that is going away ends here; what is on the disk is settled by the next run.
            Err(failure) => End::failed(failure),
        }
    }

    /// Ends a certificate's part: state, report, ledger line, and only then is the note taken away that a run is at work on it.
    pub(super) async fn finish(mut self, plan: &Plan, end: End) -> CertReport {
        let (writer, is_noted) = (self.writer(plan), self.is_noted);
        let ended = block(self.stage, move || {
            let written = writer.all(&end, is_noted);
            Ok((end, written))
        });
        let end = match ended.await {
            Ok((end, written)) => {
                self.add_warnings(written.err().map(unwritten));
                end
            }
            Err(failure) => End::failed(failure),
        };
        self.close(plan, &end)
    }

    /// The same where there is no runtime.
    pub(in crate::steps) fn finish_here(mut self, plan: &Plan, end: &End) -> CertReport {
        let written = self.writer(plan).all(end, self.is_noted);
        self.add_warnings(written.err().map(unwritten));
        self.close(plan, end)
    }

    fn writer(&self, plan: &Plan) -> Writer {
        Writer {
            place: self.place.clone(),
            notes: self.notes.clone(),
            clock: self.clock,
            before: plan.is_rollback().then(|| self.before.clone()),
            fallback: plan.fallback(),
            shortfall: self.shortfall.as_ref().and_then(End::failure).cloned(),
        }
    }

    fn close(mut self, plan: &Plan, end: &End) -> CertReport {
        let is_back = self.place.published() == plan.fallback();
        let told = told(end, plan, self.shortfall.as_ref(), is_back);
        self.stage = told.stage.or_else(|| told.error.as_ref().map(|failure| failure.stage)).unwrap_or(self.stage);
        self.report.outcome = told.outcome;
        self.report.error = told.error;
        self.report.proof = told.proof.or(self.report.proof);
        if let End::Back { unseen: Some(why), .. } = end {
            let text = format!("the previous certificate is back, but not seen on the wire: {}", why.text);
            self.warn(Code::PreviousNotSeen, text);
        }
        let refused = [Some(end), self.shortfall.as_ref()].into_iter().flatten().find_map(End::rejection).cloned();
        if let Some(rejection) = &refused {
            self.report.findings.clone_from(&rejection.findings);
        }
        let report = self.described();
        if report.outcome != Outcome::NotDue {
            self.run.note(&self.entry(&report, refused.as_ref()));
            self.over();
        }
        self.watch.finished(&report);
        report
    }

    /// The report with what is true at the end.
    fn described(&self) -> CertReport {
        let published = self.place.published();
        let mut report = CertReport { generation: published, ..self.report.clone() };
        let facts = match &self.leaves.new {
            Some((generation, facts)) if Some(*generation) == published => Some(facts),
            _ if published == self.report.previous => self.leaves.found.as_ref(),
            _ => self.leaves.fallback.as_ref(),
        };
        describe_leaf(&mut report, facts);
        report.warnings.extend(self.plaintext());
        let state = self.notes.state();
        let waits = |g: &Generation| self.place.committed() < Some(*g) && !state.withdrawn.contains(g);
        let unproven = self.report.proof == Some(Proof::None);
        report.debt = state.debt.as_ref().filter(|debt| waits(&debt.generation) || unproven).map(|debt| Debt {
            generation: debt.generation,
            sha256: self.leaves.new.as_ref().filter(|(g, _)| *g == debt.generation).map(|(_, facts)| facts.sha256.clone()),
            since: Some(debt.since),
            stage: Some(debt.failure.stage),
            code: Some(debt.failure.code),
            attempts: debt.attempts,
        });
        report
    }

    /// What lay in the state directory in clear at the start may have gone.
    fn plaintext(&self) -> Option<Warning> {
        let var = self.place.var().ok().filter(|_| !self.place.certificate().keep.rests_in_clear())?;
        let all: Vec<Generation> = var.names().ok()?.iter().filter_map(|name| Generation::parse(name)).collect();
        plaintext_warning(&in_clear(&var, &all))
    }

    fn entry(&self, report: &CertReport, refused: Option<&Rejection>) -> Entry {
        let is_refused = report.outcome == Outcome::Refused;
        let new = self.leaves.new.as_ref();
        Entry {
            v: entry::VERSION,
            time: self.clock.now(),
            run: self.run.id.clone(),
            certificate: report.name.to_string(),
            generation: new.map(|(generation, _)| *generation),
            stage: self.stage,
            outcome: report.outcome,
            serial: refused.map_or_else(|| new.map(|(_, facts)| facts.serial.clone()), |refused| refused.serial.clone()),
            sha256: refused.map_or_else(|| new.map(|(_, facts)| facts.sha256.clone()), |refused| refused.sha256.clone()),
            break_glass: self.break_glass.clone(),
            reason: None,
            renamed_from: None,
            error: report.error.clone(),
            findings: if is_refused { report.findings.clone() } else { Vec::new() },
            refused_pem: refused.and_then(|refused| refused.refused_pem.clone()),
        }
    }
}

fn unwritten(why: Failure) -> Warning {
    Warning::new(Code::StateNotWritten, why.text)
}
