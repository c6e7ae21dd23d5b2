//! How a certificate's part in a run can end, and what each end means for report and ledger.

use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::name::Generation;
use crate::model::state::Proof;
use crate::plan::choice::Plan;
use crate::steps::commit::Committed;
use crate::steps::validate::Rejection;

/// How a certificate's part in a run ended. Where nothing was to be done there is none.
#[derive(Debug)]
pub(in crate::steps) enum End {
    /// Its services were found stopped once more: nothing happened and nothing is noted.
    StillStopped,
    /// It is committed, and proven or its services are stopped: those are named.
    Committed { committed: Box<Committed>, stopped: Vec<String> },
    /// It is committed although it is not proven, since there was nothing to go back to: it stays as debt.
    Unproven { committed: Box<Committed>, failure: Failure },
    /// It was committed with its proof, and no longer seen after a service was asked once more for others.
    ProofLost { committed: Box<Committed>, failure: Failure },
    /// The previous generation is published again; `unseen`: it was not seen on the wire.
    Back { failure: Failure, generation: Generation, unseen: Option<Failure> },
    /// What the CA answered did not pass the gate.
    Refused(Box<Rejection>),
    /// What lies here must not be deployed.
    NotDeployable { failure: Failure, generation: Generation },
    /// Attestation forbids asking for one.
    Blocked(Failure),
    /// The budget of signing requests is used up.
    Exhausted(Failure),
    /// Anything else went wrong. A generation that is whole in the state directory all the same waits.
    Failed { failure: Failure, waits: Option<Generation> },
    /// The private key is under a new sealing key.
    Resealed { committed: Box<Committed>, from: Generation },
}

impl End {
    /// A failure after which nothing waits.
    pub(in crate::steps) const fn failed(failure: Failure) -> Self {
        Self::Failed { failure, waits: None }
    }

    pub(super) const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::StillStopped | Self::Committed { .. } | Self::Resealed { .. } => None,
            Self::Refused(rejection) => Some(&rejection.failure),
            Self::Unproven { failure, .. }
            | Self::ProofLost { failure, .. }
            | Self::Back { failure, .. }
            | Self::NotDeployable { failure, .. }
            | Self::Failed { failure, .. }
            | Self::Blocked(failure)
            | Self::Exhausted(failure) => Some(failure),
        }
    }

    pub(super) fn rejection(&self) -> Option<&Rejection> {
        if let Self::Refused(rejection) = self { Some(rejection) } else { None }
    }

    pub(super) const fn committed(&self) -> Option<&Committed> {
        match self {
            Self::Committed { committed, .. }
            | Self::Unproven { committed, .. }
            | Self::ProofLost { committed, .. }
            | Self::Resealed { committed, .. } => Some(committed),
            _ => None,
        }
    }
}

/// What an end means for report and ledger.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) outcome: Outcome,
    pub(super) error: Option<Failure>,
    /// The stage that was reached, where it is not the failure's.
    pub(super) stage: Option<Stage>,
    /// How the committed generation is known to be in use; `None`: as before.
    pub(super) proof: Option<Proof>,
}

/// Tells an end: pure, with a table of all of them below. `shortfall` is how the first of two tasks ended: no new certificate came, and this
/// is the end of bringing the committed one back to its services, after which the first one is still what is told. `is_back`: consumers read
/// the plan's fallback.
pub(super) fn told(end: &End, plan: &Plan, shortfall: Option<&End>, is_back: bool) -> Told {
    let rollback = plan.is_rollback();
    let short = |outcome| shortfall.map_or(outcome, |first| told(first, &Plan::Rest, None, false).outcome);
    let outcome = match end {
        End::StillStopped => Outcome::NotDue,
        End::Committed { .. } => short(match plan {
            Plan::Issue(_) => Outcome::Renewed,
            Plan::Settle(_) if rollback => Outcome::RolledBack,
            Plan::Settle(_) | Plan::Rest => Outcome::Settled,
        }),
        End::Resealed { .. } => Outcome::Resealed,
        // Of a person's rollback that was not deployed, what is back is what was live: that is a failure, and nothing waits.
        End::Back { .. } if is_back && !rollback => Outcome::RolledBack,
        End::Refused(_) => Outcome::Refused,
        End::NotDeployable { .. } if rollback => Outcome::Refused,
        End::Blocked(_) => Outcome::Blocked,
        End::Exhausted(_) => Outcome::Exhausted,
        End::Unproven { .. } | End::ProofLost { .. } | End::Back { .. } | End::NotDeployable { .. } | End::Failed { .. } => Outcome::Failed,
    };
    let proof = match end {
        End::ProofLost { .. } | End::Back { unseen: Some(_), .. } => Some(Proof::None),
        _ => end.committed().map(Committed::proof),
    };
    let committed = matches!(end, End::Committed { .. } | End::Resealed { .. });
    let error = end.failure().cloned().or_else(|| shortfall.filter(|_| committed).and_then(End::failure).cloned());
    Told { outcome, error, stage: committed.then_some(Stage::Commit), proof }
}
