//! A certificate that another process works on at this moment: how far that has come, and what the certificate was before it began. Only
//! reads, also the lock.

use super::inventory::{self, Depth, Inventory, Tree};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::lock;
use crate::model::clock::Time;
use crate::model::failure::Stage;
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::state::{Proof, Proven, UnderWay};
use crate::model::working::Working;

/// How far a run came, by what it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The stage.
    pub stage: Stage,
    /// The generation it is about.
    pub generation: Option<Generation>,
}

/// How far the run came that is noted as at work.
#[must_use]
pub fn reached(tree: &Tree) -> Reached {
    let newest = tree.newer.last().copied().filter(|g| !tree.state.withdrawn.contains(g));
    let live = tree.live.as_ref().map(|kept| kept.generation);
    let committed_unnoted = live.filter(|live| tree.state.proven.as_ref().map(|p| p.generation) != Some(*live));
    match (newest, committed_unnoted) {
        (Some(newest), _) if tree.published.generation == Some(newest) => Reached { stage: Stage::Reload, generation: Some(newest) },
        (Some(newest), _) => Reached { stage: Stage::Publish, generation: Some(newest) },
        (None, Some(live)) => Reached { stage: Stage::Commit, generation: Some(live) },
        (None, None) => Reached { stage: Stage::Issue, generation: None },
    }
}

/// What is there, and where a run is at work, what was there before it: `plan`, `status` and the audit tell that as it was.
///
/// # Errors
/// When the state directory itself cannot be read.
pub fn look(settings: &Settings, wanted: &[&Certificate], depth: Depth) -> Result<Inventory, DiskError> {
    /// A run may end, and the next begin, between two looks; nobody is that unlucky so often.
    const LOOKS: usize = 3;
    let mut inventory = inventory::take(settings, wanted, depth)?;
    for _ in 0..LOOKS {
        let (begun, working) = (begun(&inventory), working(settings, &inventory));
        if begun.is_empty() && working.is_none() {
            break;
        }
        if is_locked(settings) {
            for observed in &mut inventory.certificates {
                let Ok(tree) = &mut observed.tree else { continue };
                set_back(tree);
                if let Some(working) = working.as_ref().filter(|working| working.is_about(&observed.name)) {
                    waits(tree, working.since);
                }
            }
            break;
        }
        if begun.is_empty() {
            break;
        }
        // It may have ended since: then a second look finds what it left. What is still noted was interrupted.
        let again = inventory::take(settings, wanted, depth)?;
        let is_same = self::begun(&again) == begun;
        inventory = again;
        if is_same {
            break;
        }
    }
    Ok(inventory)
}

/// The runs that are noted as at work, one for each certificate that has one.
fn begun(inventory: &Inventory) -> Vec<String> {
    let trees = inventory.certificates.iter().filter_map(|observed| observed.tree.as_ref().ok());
    trees.filter_map(|tree| tree.state.begun.as_ref()).map(|begun| begun.run.clone()).collect()
}

/// What the run that holds the lock is about to have signed, as far as it says so. What an earlier one left says nothing.
fn working(settings: &Settings, inventory: &Inventory) -> Option<Working> {
    let content = Dir::open(&settings.paths.run).ok().flatten()?.read(layout::WORKING).ok().flatten()?;
    let working: Working = serde_json::from_slice(&content.bytes).ok()?;
    inventory.last_run.is_none_or(|run| working.since >= run).then_some(working)
}

/// A run waits for its login, its verdict or the CA, and has done nothing to the certificate yet; unless its part of the run is over.
fn waits(tree: &mut Tree, since: Time) {
    let proven = tree.state.proven.as_ref().map(|proven| proven.at);
    let failed = tree.state.last_error.as_ref().map(|last| last.at);
    if tree.under_way.is_none() && proven.max(failed).is_none_or(|at| at <= since) {
        tree.under_way = Some(UnderWay { stage: Stage::Issue, generation: None, since: Some(since) });
    }
}

fn is_locked(settings: &Settings) -> bool {
    let state = Dir::open(&settings.paths.state).ok().flatten();
    state.is_some_and(|state| lock::is_held(&state, layout::LOCK))
}

/// What the run has done so far is taken out of the tree, and kept as that it is under way.
fn set_back(tree: &mut Tree) {
    let Some(begun) = tree.state.begun.take() else { return };
    let Reached { stage, generation } = reached(tree);
    // A run that goes back notes so at once, and is at work until the previous certificate is seen again.
    if tree.state.debt.as_ref().is_some_and(|debt| debt.since >= begun.at) {
        tree.state.debt = None;
        tree.state.last_error = tree.state.last_error.take().filter(|last| last.at < begun.at);
    }
    // Nor is it over while the previous certificate was not seen again: that this is so is noted last.
    let lost = tree.state.proven.as_mut().filter(|proven| proven.proof == Proof::None && proven.at >= begun.at);
    if let Some(proven) = lost {
        proven.proof = Proof::File;
    }
    let noted = tree.state.debt.as_ref().map(|debt| debt.generation);
    tree.debt = tree.debt.take().filter(|debt| Some(debt.generation) == noted);
    tree.newer.retain(|newer| Some(*newer) == noted || tree.state.withdrawn.contains(newer));
    let live = tree.live.as_ref().map(|live| live.generation);
    if live.is_none() || tree.published.generation >= live {
        tree.unpublished = None;
    }
    // Committed a moment ago, and not noted yet: a commit follows a proof, or what is missing is noted with it.
    let unnoted = live.filter(|live| tree.state.proven.as_ref().is_none_or(|proven| proven.generation < *live));
    if let Some(generation) = unnoted {
        tree.state.proven = Some(Proven { generation, proof: Proof::File, at: begun.at, stopped: Vec::new() });
    }
    tree.under_way = Some(UnderWay { stage, generation, since: Some(begun.at) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::Keep;
    use crate::model::state::{Begun, DebtState, State};
    use crate::plan::generation::{Condition, Kept};
    use crate::plan::inventory::Published;

    const AT: i64 = 1_800_000_000;

    fn kept(generation: u64) -> Kept {
        Kept::for_tests(Generation(generation), Keep::File, Condition::Intact)
    }

    /// Committed 4, and a run that began.
    fn tree(newer: &[u64], published: u64, proven: u64) -> Tree {
        let begun = Some(Begun { run: "r".to_owned(), at: Time::from_unix(AT) });
        let proven = Some(Proven { generation: Generation(proven), proof: Proof::Served, at: Time::from_unix(AT), stopped: Vec::new() });
        Tree {
            live: Some(kept(4)),
            debt: newer.last().map(|newest| kept(*newest)),
            newer: newer.iter().copied().map(Generation).collect(),
            published: Published { generation: Some(Generation(published)), facts: None },
            unpublished: (published != 4).then(|| "live names another one".to_owned()),
            state: State { begun, proven, ..State::default() },
            ..Tree::default()
        }
    }

    #[test]
    fn how_far_it_came_is_told_and_nothing_of_it_is_debt() {
        for (newer, published, proven, stage, generation) in [
            (&[][..], 4, 4, Stage::Issue, None),
            (&[5][..], 4, 4, Stage::Publish, Some(5)),
            (&[5][..], 5, 4, Stage::Reload, Some(5)),
            (&[][..], 4, 3, Stage::Commit, Some(4)),
        ] {
            let mut tree = tree(newer, published, proven);
            set_back(&mut tree);
            let under_way = tree.under_way.as_ref().unwrap();
            assert_eq!((under_way.stage, under_way.generation), (stage, generation.map(Generation)), "{newer:?} {published} {proven}");
            assert!(tree.debt.is_none() && tree.newer.is_empty() && tree.unpublished.is_none() && tree.state.begun.is_none());
            assert_eq!(tree.state.proven.as_ref().map(|proven| proven.generation), Some(Generation(4)));
        }
    }

    #[test]
    fn what_was_debt_before_the_run_stays_debt() {
        let failure = crate::model::failure::Failure::new(Stage::Reload, crate::model::code::Code::ReloadFailed, "no");
        for (since, expected) in [(AT - 60, Some(Generation(5))), (AT, None)] {
            let mut tree = self::tree(&[5], 5, 4);
            let since = Time::from_unix(since);
            tree.state.debt = Some(DebtState { generation: Generation(5), since, failure: failure.clone(), attempts: 1 });
            set_back(&mut tree);
            assert_eq!(tree.debt.map(|debt| debt.generation), expected);
        }
    }

    #[test]
    fn what_is_behind_was_unpublished_before() {
        let mut tree = tree(&[], 3, 4);
        set_back(&mut tree);
        assert!(tree.unpublished.is_some());
    }
}
