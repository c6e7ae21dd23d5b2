//! How a certificate's part in a run can end, and what each end means for report and ledger.

use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage};
use crate::model::name::Generation;
use crate::model::state::Proof;
use crate::plan::choice::Plan;
use crate::steps::commit::Committed;
use crate::steps::validate::Rejection;

/// How a certificate's part in a run ended.
#[derive(Debug)]
pub(in crate::steps) enum End {
    /// Its services were found stopped once more: nothing happened and nothing is noted.
    StillStopped,
    /// It is committed, and proven or its services are stopped: those are named.
    Committed { committed: Box<Committed>, stopped: Vec<String> },
    /// It is committed although it is not proven, since there was nothing to go back to: it stays as debt.
    Unproven { committed: Box<Committed>, failure: Failure },
    /// It is committed, and nobody was asked to read it, since consumers' own paths do not lead to it yet.
    NotInstalled(Box<Committed>),
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
            Self::StillStopped | Self::Committed { .. } | Self::NotInstalled(_) | Self::Resealed { .. } => None,
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
            | Self::NotInstalled(committed)
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
/// is the end of bringing the committed one back to its services. Where that is committed with its proof, outcome and error of the first
/// one are told, otherwise its own. `is_back`: consumers read the plan's fallback.
pub(super) fn told(end: &End, plan: &Plan, shortfall: Option<&End>, is_back: bool) -> Told {
    let rollback = plan.is_rollback();
    let short = |outcome| shortfall.map_or(outcome, |first| told(first, &Plan::Rest, None, false).outcome);
    let outcome = match end {
        End::StillStopped => Outcome::NotDue,
        End::Committed { .. } | End::NotInstalled(_) => short(match plan {
            Plan::Issue(_) => Outcome::Renewed,
            Plan::Settle(_) if rollback => Outcome::RolledBack,
            Plan::Settle(_) | Plan::Rest => Outcome::Settled,
        }),
        End::Resealed { .. } => Outcome::Resealed,
        // A service that runs no more is worse than a certificate that was not deployed.
        End::Back { failure, .. } if failure.code == Code::ServiceDown => Outcome::Failed,
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
    let committed = matches!(end, End::Committed { .. } | End::NotInstalled(_) | End::Resealed { .. });
    let error = end.failure().cloned().or_else(|| shortfall.filter(|_| committed).and_then(End::failure).cloned());
    Told { outcome, error, stage: committed.then_some(Stage::Commit), proof }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::cert::Facts;
    use crate::judge::kit::Pki;
    use crate::plan::choice::{Issue, Settle, Why};

    const NEW: Generation = Generation(7);

    fn failure(stage: Stage) -> Failure {
        Failure::new(stage, Code::OldLeaf, "what happened")
    }

    fn issue() -> Plan {
        Plan::Issue(Issue { generation: NEW, withdraw: Vec::new(), supersede: Vec::new(), fallback: None, otherwise: None })
    }

    fn settle(why: Why) -> Plan {
        Plan::Settle(Settle { generation: NEW, why, withdraw: Vec::new(), fallback: None })
    }

    /// Each end of each kind of plan: outcome, stage of the ledger line, proof, and whether an error is told.
    #[test]
    fn each_end_is_told_as_it_is() {
        let leaf = Facts::parse(&Pki::new().leaf()).unwrap();
        let committed = |proof| Box::new(Committed::for_tests(NEW, proof, leaf.clone()));
        let served = || End::Committed { committed: committed(Proof::Served), stopped: Vec::new() };
        let back = |unseen: Option<Failure>| End::Back { failure: failure(Stage::Verify), generation: NEW, unseen };
        let refused = || {
            let (failure, refused_pem) = (failure(Stage::Validate), None);
            End::Refused(Box::new(Rejection { findings: Vec::new(), failure, sha256: None, serial: None, refused_pem }))
        };
        let not_deployable = || End::NotDeployable { failure: failure(Stage::Publish), generation: NEW };
        let unproven = || End::Unproven { committed: committed(Proof::None), failure: failure(Stage::Reload) };
        let lost = || End::ProofLost { committed: committed(Proof::Served), failure: failure(Stage::Verify) };
        let (rollback, debt) = (settle(Why::Rollback), settle(Why::Debt));
        let rows = [
            (served(), issue(), false, Outcome::Renewed, Some(Stage::Commit), Some(Proof::Served), false),
            (served(), debt.clone(), false, Outcome::Settled, Some(Stage::Commit), Some(Proof::Served), false),
            (served(), rollback.clone(), false, Outcome::RolledBack, Some(Stage::Commit), Some(Proof::Served), false),
            (
                End::Committed { committed: committed(Proof::ServiceStopped), stopped: vec!["nginx".to_owned()] },
                issue(),
                false,
                Outcome::Renewed,
                Some(Stage::Commit),
                Some(Proof::ServiceStopped),
                false,
            ),
            (End::StillStopped, settle(Why::ServiceStopped), false, Outcome::NotDue, None, None, false),
            (back(None), issue(), true, Outcome::RolledBack, None, None, true),
            (back(None), issue(), false, Outcome::Failed, None, None, true),
            (back(None), rollback.clone(), true, Outcome::Failed, None, None, true),
            (back(Some(failure(Stage::Verify))), issue(), true, Outcome::RolledBack, None, Some(Proof::None), true),
            (unproven(), issue(), false, Outcome::Failed, None, Some(Proof::None), true),
            (lost(), debt.clone(), false, Outcome::Failed, None, Some(Proof::None), true),
            (refused(), issue(), false, Outcome::Refused, None, None, true),
            (not_deployable(), debt, false, Outcome::Failed, None, None, true),
            (not_deployable(), rollback, false, Outcome::Refused, None, None, true),
            (End::Blocked(failure(Stage::Attest)), issue(), false, Outcome::Blocked, None, None, true),
            (End::Exhausted(failure(Stage::Issue)), issue(), false, Outcome::Exhausted, None, None, true),
            (End::failed(failure(Stage::Seal)), issue(), false, Outcome::Failed, None, None, true),
            (
                End::Resealed { committed: committed(Proof::File), from: Generation(6) },
                Plan::Rest,
                false,
                Outcome::Resealed,
                Some(Stage::Commit),
                Some(Proof::File),
                false,
            ),
        ];
        for (end, plan, is_back, outcome, stage, proof, is_error) in rows {
            let told = told(&end, &plan, None, is_back);
            let found = (told.outcome, told.stage, told.proof, told.error.is_some());
            assert_eq!(found, (outcome, stage, proof, is_error), "{end:?} of {plan:?}");
        }
    }

    /// What is not installed is no failure; a service that runs no more is one, although the previous certificate is back.
    #[test]
    fn a_service_that_is_down_is_worse_than_one_that_was_not_asked() {
        let leaf = Facts::parse(&Pki::new().leaf()).unwrap();
        let unasked = told(&End::NotInstalled(Box::new(Committed::for_tests(NEW, Proof::None, leaf))), &issue(), None, false);
        assert_eq!(
            (unasked.outcome, unasked.stage, unasked.proof, unasked.error),
            (Outcome::Renewed, Some(Stage::Commit), Some(Proof::None), None)
        );
        let failure = Failure::new(Stage::Reload, Code::ServiceDown, "down");
        let down = told(&End::Back { failure: failure.clone(), generation: NEW, unseen: None }, &issue(), None, true);
        assert_eq!((down.outcome, down.error), (Outcome::Failed, Some(failure)));
    }

    /// What was given back to consumers may be deployed well: that no new certificate came is what is told all the same.
    #[test]
    fn a_first_task_that_fell_short_is_not_hidden_by_the_second() {
        let leaf = Facts::parse(&Pki::new().leaf()).unwrap();
        let committed = || Box::new(Committed::for_tests(NEW, Proof::Served, leaf.clone()));
        let first = End::Exhausted(failure(Stage::Issue));
        let second = End::Committed { committed: committed(), stopped: Vec::new() };
        let expected = Told {
            outcome: Outcome::Exhausted,
            error: Some(failure(Stage::Issue)),
            stage: Some(Stage::Commit),
            proof: Some(Proof::Served),
        };
        assert_eq!(told(&second, &settle(Why::Unpublished), Some(&first), false), expected);
        // What went wrong last is what there is to mend first.
        let second = End::Unproven { committed: committed(), failure: failure(Stage::Verify) };
        let told = told(&second, &settle(Why::Unpublished), Some(&first), false);
        assert_eq!((told.outcome, told.error), (Outcome::Failed, Some(failure(Stage::Verify))));
    }
}
