//! What an end leaves on the disk: `state.json` first, and then generations that nothing needs any more are removed.

use std::sync::Arc;

use super::end::End;
use crate::model::clock::Clock;
use crate::model::failure::Failure;
use crate::model::name::Generation;
use crate::model::state::{Proof, State};
use crate::steps::commit::{Committed, collect};
use crate::steps::record::Notes;
use crate::steps::swap::Place;

/// What an end leaves in `state.json`, done away from the network's thread.
pub(super) struct Writing {
    pub(super) end: End,
    pub(super) place: Arc<Place>,
    pub(super) notes: Arc<Notes>,
    pub(super) clock: Clock,
    /// The state before a person's rollback.
    pub(super) before: Option<State>,
    pub(super) fallback: Option<Generation>,
    /// Why no new certificate came, where this is about the committed one that was given back.
    pub(super) shortfall: Option<Failure>,
}

/// An end that was written down, or why it could not be.
pub(super) struct Written {
    pub(super) end: End,
    pub(super) unwritten: Option<Failure>,
}

impl Writing {
    pub(super) fn write(self) -> Written {
        let unwritten = self.note().err();
        if let Some(committed) = self.end.committed() {
            self.collect(committed);
        }
        Written { end: self.end, unwritten }
    }

    fn note(&self) -> Result<(), Failure> {
        let (notes, now, rollback) = (&self.notes, self.clock.now(), self.before.is_some());
        let failed = |failure: &Failure, waits: Option<Generation>| notes.failed(failure, waits.filter(|_| !rollback), now);
        match &self.end {
            End::StillStopped => return Ok(()),
            End::Committed { committed, stopped } => {
                let stopped = if committed.proof() == Proof::ServiceStopped { stopped.clone() } else { Vec::new() };
                return notes.committed(committed, stopped, self.shortfall.as_ref(), now);
            }
            End::Unproven { committed, failure } => notes.committed(committed, Vec::new(), Some(failure), now)?,
            End::ProofLost { committed, failure } => {
                notes.committed(committed, Vec::new(), None, now)?;
                notes.lost_proof(committed.generation(), failure, now)?;
            }
            End::Back { failure, generation, unseen } => {
                failed(failure, Some(*generation))?;
                if let Some((previous, why)) = self.fallback.zip(unseen.as_ref()) {
                    notes.lost_proof(previous, why, now)?;
                }
            }
            End::Refused(rejection) => failed(&rejection.failure, None)?,
            End::NotDeployable { failure, generation } => failed(failure, Some(*generation))?,
            End::Blocked(failure) | End::Exhausted(failure) => failed(failure, None)?,
            End::Failed { failure, waits } => failed(failure, *waits)?,
            End::Resealed { committed, from } => return notes.resealed(*from, committed.generation()),
        }
        // A rollback that was not carried out leaves what was live: no longer withdrawn, and where it was refused before anything moved, with
        // no failure of its own. The exit code and the ledger say that a person's wish was refused.
        match &self.before {
            Some(before) => notes.as_before(before, matches!(self.end, End::NotDeployable { .. })),
            None => Ok(()),
        }
    }

    /// After a person's rollback nothing is thrown away: what was rolled back may be wanted for a look.
    fn collect(&self, committed: &Committed) {
        let keeps_all = self.before.is_some();
        if !keeps_all && let Err(why) = collect(&self.place, &self.notes.state()) {
            tracing::warn!(%why, generation = %committed.generation(), "an old generation was not removed");
        }
    }
}
