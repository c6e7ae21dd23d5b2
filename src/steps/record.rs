//! What a run leaves behind about a certificate: `state.json` (replaced in one step) and a ledger line (only ever appended).
//! It also holds the budget of signing requests, which breaks loops whatever causes them.

mod outside;
mod owed;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use outside::{certificate_dir, forget_failure, note_failure, note_logins, note_refused_key, note_revoked, noted, outlive_failure};
pub use owed::Replaced;

use super::commit::Committed;
use super::swap::{Place, disk_failure, withdrawn};
use crate::io::dir::{Dir, DiskError};
use crate::io::write;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::Entry;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::state::{Begun, DebtState, LastError, Proof, Proven, State};
use crate::plan::budget::{self, Allowance, Life};
use crate::plan::due::Renewal;

/// The state of one certificate during a run, saved at every step that must survive a kill.
#[derive(Debug)]
pub struct Notes {
    place: Arc<Place>,
    run: String,
    /// What the pauses between signing requests are measured by.
    life: Life,
    state: Mutex<(State, usize)>,
}

impl Notes {
    /// The notes of this run about a certificate, on top of what earlier runs left. What was asked of another role, mount or issuer, or for
    /// other names, no longer counts.
    #[must_use]
    pub fn new(place: Arc<Place>, run: &str, life: Life, state: State) -> Self {
        let subject = budget::subject(place.settings(), place.certificate());
        let requests = budget::counted(&state, &subject).to_vec();
        let state = State { requests, requests_for: Some(subject), ..state };
        Self { place, run: run.to_owned(), life, state: Mutex::new((state, 0)) }
    }

    fn lock(&self) -> MutexGuard<'_, (State, usize)> {
        // A panic elsewhere cannot leave a State half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known now.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().0.clone()
    }

    fn save(&self, state: &State) -> Result<(), Failure> {
        let save = || {
            let var = self.place.var()?;
            write::replace_file(&var, layout::STATE, &write::json(&var, layout::STATE, state)?, 0o600)
        };
        save().map_err(|why| disk_failure(Stage::Commit, &why))
    }

    /// Notes that this run begins to act on the certificate, and what must not be published again.
    ///
    /// # Errors
    /// When `state.json` cannot be written.
    pub fn begin(&self, now: Time, withdraw: &[Generation]) -> Result<(), Failure> {
        let mut guard = self.lock();
        let state = &mut guard.0;
        state.begun = Some(Begun { run: self.run.clone(), at: now });
        for generation in withdraw {
            if !state.withdrawn.contains(generation) {
                state.withdrawn.push(*generation);
            }
        }
        // Before anything else moves, and beside the generations: a state.json that is lost later brings none of them back.
        self.mark(&state.withdrawn)?;
        if state.debt.as_ref().is_some_and(|debt| withdraw.contains(&debt.generation)) {
            state.debt = None;
        }
        self.save(state)
    }

    /// Marks what is withdrawn and there, also what an older omens noted in `state.json` alone.
    fn mark(&self, withdrawn: &[Generation]) -> Result<(), Failure> {
        let there: Vec<Generation> = withdrawn.iter().copied().filter(|generation| self.place.is_complete(*generation)).collect();
        let marked = self.place.var().and_then(|var| withdrawn::mark(&var, &there));
        marked.map_err(|why| disk_failure(Stage::Plan, &why))
    }

    /// Notes that the run which had begun is over, once its end is in the ledger: a kill before that leaves `interrupted` to the next run.
    ///
    /// # Errors
    /// When `state.json` cannot be written.
    pub fn over(&self) -> Result<(), Failure> {
        let mut guard = self.lock();
        guard.0.begun = None;
        // The directory is not flushed: a power cut may bring the note back, which costs a line that says "interrupted" of a run that was not.
        let save = || {
            let var = self.place.var()?;
            write::replace_unflushed(&var, layout::STATE, &write::json(&var, layout::STATE, &guard.0)?, 0o600)
        };
        save().map_err(|why| disk_failure(Stage::Commit, &why))
    }

    /// Whether the budget allows a signing request now.
    ///
    /// # Errors
    /// Code `exhausted`.
    pub fn allowance(&self, now: Time) -> Result<(), Failure> {
        let guard = self.lock();
        let (state, in_this_run) = &*guard;
        let name = self.place.name();
        let (text, when) = match budget::allowance(&state.requests, *in_this_run, self.life, now) {
            Allowance::Granted => return Ok(()),
            Allowance::NextRun => {
                let text = format!(
                    "{in_this_run} signing requests for {name} in this run brought no certificate, which is all that one run sends"
                );
                (text, "the next run asks again".to_owned())
            }
            Allowance::NotBefore(next) => {
                let burst = budget::BURST;
                let text =
                    format!("{burst} signing requests for {name} brought no committed certificate; from then on they are sent with pauses");
                (text, format!("the next request is possible at {next}, or at once after `omens unblock {name}`"))
            }
        };
        Err(Failure::new(Stage::Issue, Code::Exhausted, text).hint(format!("mend what last_error in `omens status` names; {when}")))
    }

    /// Counts a signing request, on the disk, before it is sent.
    ///
    /// # Errors
    /// Code `exhausted`, or when the count cannot be written: what is not counted is not sent.
    pub fn take_request(&self, now: Time) -> Result<(), Failure> {
        self.allowance(now)?;
        let mut guard = self.lock();
        let (state, this_run) = &mut *guard;
        state.requests.push(now);
        let surplus = state.requests.len().saturating_sub(budget::KEPT);
        state.requests.drain(..surplus);
        state.begun = Some(Begun { run: self.run.clone(), at: now });
        *this_run += 1;
        self.save(state)
    }

    /// Takes a request back that was definitely refused. In this run it stays counted: what was refused is asked at most once more.
    ///
    /// # Errors
    /// When `state.json` cannot be written; the request stays counted then.
    pub fn give_back_request(&self) -> Result<(), Failure> {
        let mut guard = self.lock();
        guard.0.requests.pop();
        self.save(&guard.0)
    }

    /// Notes a commit.
    ///
    /// # Errors
    /// When `state.json` cannot be written; the link already counts.
    pub fn committed(
        &self,
        committed: &Committed,
        replaced: Replaced,
        stopped: Vec<String>,
        failure: Option<&Failure>,
        now: Time,
    ) -> Result<(), Failure> {
        let mut guard = self.lock();
        let state = &mut guard.0;
        let generation = committed.generation();
        let was_seen = state.proven.as_ref().is_some_and(|proven| proven.generation == generation && proven.proof.is_in_use());
        // Where the link was moved by a run that did not come to note it, what was noted last is what was committed before.
        let noted = state.proven.as_ref().map(|proven| proven.generation).filter(|noted| *noted < generation);
        state.previous = committed.previous().or(noted).or(state.previous);
        state.proven = Some(Proven { generation, proof: committed.proof(), at: now, stopped });
        (state.trust, state.key_refused) = (self.place.trusted(), None);
        if replaced == Replaced::Revoked && committed.proof().is_in_use() && !was_seen {
            owed::owe(&self.place, state, committed, now);
        }
        // Entries for generations up to `live` are void.
        state.withdrawn.retain(|g| *g > generation);
        state.largest = state.largest.max(generation.0);
        // Without a failure nobody was asked to read it: that is no debt of a service.
        if committed.proof() == Proof::None && failure.is_some() {
            note_debt(state, generation, failure, now);
        } else {
            state.debt = state.debt.take().filter(|debt| debt.generation > generation);
            // A certificate that is due as it comes would be asked for at every run: its request stays counted, and so it does where it is
            // only the committed one that was given back because no new one came.
            let renewal = Renewal::of(self.place.settings(), self.place.certificate());
            if failure.is_none() && renewal.due_at(committed.facts().not_before, committed.facts().not_after) > now {
                state.requests.clear();
            }
        }
        state.last_error = failure.map(|failure| LastError { at: now, failure: failure.clone() });
        self.save(state)
    }

    /// Notes that the committed certificate is now the generation `to`, with another file for the same key: what is known of it stays known,
    /// failures and counted requests too, and the fallback is still the certificate before it.
    ///
    /// # Errors
    /// When `state.json` cannot be written; the link already counts.
    pub fn resealed(&self, from: Generation, to: Generation) -> Result<(), Failure> {
        let mut guard = self.lock();
        let state = &mut guard.0;
        state.largest = state.largest.max(to.0);
        // Entries for generations up to `live` are void.
        state.withdrawn.retain(|g| *g > to);
        if let Some(proven) = state.proven.as_mut().filter(|proven| proven.generation == from) {
            proven.generation = to;
        }
        if let Some(debt) = state.debt.as_mut().filter(|debt| debt.generation == from) {
            debt.generation = to;
        }
        self.save(state)
    }

    /// Notes a failure; `debt` is the generation that was issued and now waits.
    ///
    /// # Errors
    /// When `state.json` cannot be written.
    pub fn failed(&self, failure: &Failure, debt: Option<Generation>, now: Time) -> Result<(), Failure> {
        let mut guard = self.lock();
        let state = &mut guard.0;
        if let Some(generation) = debt {
            state.largest = state.largest.max(generation.0);
            note_debt(state, generation, Some(failure), now);
        }
        // "Exhausted" sends people to the reason of the failures before it, which therefore stays.
        if failure.code != Code::Exhausted || state.last_error.is_none() {
            state.last_error = Some(LastError { at: now, failure: failure.clone() });
        }
        self.save(state)
    }

    /// Notes that a committed generation is not proven after all.
    ///
    /// # Errors
    /// When `state.json` cannot be written.
    pub fn lost_proof(&self, generation: Generation, failure: &Failure, now: Time) -> Result<(), Failure> {
        let mut guard = self.lock();
        let state = &mut guard.0;
        state.proven = Some(Proven { generation, proof: Proof::None, at: now, stopped: Vec::new() });
        if state.debt.as_ref().is_none_or(|debt| debt.generation <= generation) {
            note_debt(state, generation, Some(failure), now);
        }
        state.last_error = Some(LastError { at: now, failure: failure.clone() });
        self.save(state)
    }

    /// Notes that a `rollback` did not succeed: what was withdrawn for it no longer is, what waited waits again for the reason that it had,
    /// and where it was refused before anything moved that is no failure of the certificate.
    ///
    /// # Errors
    /// When `state.json` cannot be written.
    pub fn as_before(&self, before: &State, refused: bool) -> Result<(), Failure> {
        let mut guard = self.lock();
        guard.0.withdrawn.clone_from(&before.withdrawn);
        guard.0.debt = guard.0.debt.take().or_else(|| before.debt.clone());
        if refused {
            guard.0.last_error.clone_from(&before.last_error);
        }
        self.save(&guard.0)?;
        // The marks go last: a kill before that leaves marks of `live`, which say nothing, and of debt that is made anew.
        let unmarked = self.place.var().and_then(|var| withdrawn::unmark(&var, |marked| !before.withdrawn.contains(&marked)));
        unmarked.map_err(|why| disk_failure(Stage::Commit, &why))
    }
}

fn note_debt(state: &mut State, generation: Generation, failure: Option<&Failure>, now: Time) {
    let earlier = state.debt.take().filter(|debt| debt.generation == generation);
    state.debt = Some(DebtState {
        generation,
        since: earlier.as_ref().map_or(now, |debt| debt.since),
        failure: failure.cloned().unwrap_or_else(|| Failure::new(Stage::Commit, Code::Interrupted, "its run did not finish")),
        attempts: earlier.map_or(0, |debt| debt.attempts) + 1,
    });
}

/// Appends lines to the ledger.
///
/// # Errors
/// When the ledger cannot be written.
pub fn append(state: &Dir, entries: &[Entry], flush: bool) -> Result<(), DiskError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut lines = String::new();
    for entry in entries {
        lines.push_str(&serde_json::to_string(entry).map_err(|_| write::not_json(state, layout::LEDGER))?);
        lines.push('\n');
    }
    write::append(state, layout::LEDGER, &lines, flush)
}
