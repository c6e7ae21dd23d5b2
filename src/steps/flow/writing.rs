//! What an end leaves on the disk: `state.json`, in two parts, and then generations that nothing needs any more are removed.

use std::sync::Arc;

use super::end::End;
use crate::model::clock::Clock;
use crate::model::failure::Failure;
use crate::model::name::Generation;
use crate::model::state::{Proof, State};
use crate::steps::commit::collect;
use crate::steps::record::{Notes, Replaced};
use crate::steps::swap::Place;

/// Writes ends down, away from the network's thread.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) place: Arc<Place>,
    pub(super) notes: Arc<Notes>,
    pub(super) clock: Clock,
    /// The state before a person's rollback.
    pub(super) before: Option<State>,
    pub(super) fallback: Option<Generation>,
    /// Why no new certificate came, where this is about the committed one that was given back.
    pub(super) shortfall: Option<Failure>,
}

impl Writer {
    /// What must be on the disk before anything else is waited for: a commit, and why something failed.
    pub(super) fn at_once(&self, end: &End) -> Result<(), Failure> {
        let (notes, now) = (&self.notes, self.clock.now());
        // A person who goes back may want to go forth again.
        let revokes = self.place.certificate().revoke_replaced && self.before.is_none();
        let replaced = if revokes { Replaced::Revoked } else { Replaced::Stays };
        // Of a person's rollback that was not carried out nothing waits.
        let failed = |failure: &Failure, waits: Option<Generation>| notes.failed(failure, waits.filter(|_| self.before.is_none()), now);
        match end {
            End::StillStopped => Ok(()),
            End::Committed { committed, stopped } => {
                let stopped = if committed.proof() == Proof::ServiceStopped { stopped.clone() } else { Vec::new() };
                notes.committed(committed, replaced, stopped, self.shortfall.as_ref(), now)
            }
            End::NotInstalled(committed) | End::ProofLost { committed, .. } => notes.committed(committed, replaced, Vec::new(), None, now),
            End::Unproven { committed, failure } => notes.committed(committed, replaced, Vec::new(), Some(failure), now),
            End::Resealed { committed, from } => notes.resealed(*from, committed.generation()),
            End::Back { failure, generation, .. } | End::NotDeployable { failure, generation } => failed(failure, Some(*generation)),
            End::Refused(rejection) => failed(&rejection.failure, None),
            End::Blocked(failure) | End::Exhausted(failure) => failed(failure, None),
            End::Failed { failure, waits } => failed(failure, *waits),
        }
    }

    /// What is known only when a certificate's part is over.
    pub(super) fn at_last(&self, end: &End) -> Result<(), Failure> {
        let (notes, now) = (&self.notes, self.clock.now());
        let lost = match end {
            End::ProofLost { committed, failure } => Some((committed.generation(), failure)),
            End::Back { unseen: Some(why), .. } => self.fallback.map(|previous| (previous, why)),
            _ => None,
        };
        let lost = lost.map_or(Ok(()), |(generation, why)| notes.lost_proof(generation, why, now));
        // A rollback that was not carried out leaves what was live: no longer withdrawn, and where it was refused before anything moved, with
        // no failure of its own. The exit code and the ledger say that a person's wish was refused.
        let not_carried_out = self.before.as_ref().filter(|_| end.committed().is_none());
        let before = not_carried_out.map_or(Ok(()), |before| notes.as_before(before, matches!(end, End::NotDeployable { .. })));
        // After a person's rollback nothing is thrown away: what was rolled back may be wanted for a look.
        if end.committed().is_some()
            && self.before.is_none()
            && let Err(why) = collect(&self.place, &notes.state())
        {
            tracing::warn!(%why, certificate = %self.place.name(), "an old generation was not removed");
        }
        lost.and(before)
    }

    /// Both, where the first was not done yet. One write that fails is no reason to leave the other out.
    pub(super) fn all(&self, end: &End, is_noted: bool) -> Result<(), Failure> {
        let at_once = if is_noted { Ok(()) } else { self.at_once(end) };
        let at_last = self.at_last(end);
        at_once.and(at_last)
    }
}
