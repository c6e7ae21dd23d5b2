//! The commit: the state directory's `live` names the generation that was proven, or that has nothing to go back to, and is flushed. From
//! here on it is what boots.

use std::collections::BTreeSet;

use super::prove::Proven;
use super::swap::{Place, Published, disk_failure, withdrawn};
use crate::config::install::Part;
use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write;
use crate::judge::cert::Facts;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::key::Keep;
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::state::{self, Proof, State};
use crate::plan::generation::Kept;
use crate::plan::reseal::Again;
use crate::plan::sealing::in_clear;

/// A committed generation. Only this file makes one.
#[derive(Debug)]
pub struct Committed {
    /// Which.
    generation: Generation,
    previous: Option<Generation>,
    proof: Proof,
    facts: Facts,
}

impl Committed {
    /// Which generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Which one was committed until now, where that was another.
    #[must_use]
    pub const fn previous(&self) -> Option<Generation> {
        self.previous
    }

    /// How it is known to be in use.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        self.proof
    }

    /// Its leaf.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }
}

#[cfg(test)]
impl Committed {
    /// One that nobody committed, for tables of tests.
    pub(in crate::steps) const fn for_tests(generation: Generation, proof: Proof, facts: Facts) -> Self {
        Self { generation, previous: None, proof, facts }
    }
}

/// Commits a generation that was proven, or whose services are stopped.
///
/// # Errors
/// The link cannot be renamed or flushed. The generation is debt then and settled by the next run.
pub fn commit(proven: &Proven) -> Result<Committed, Failure> {
    link(proven.published(), proven.proof())
}

/// Commits a generation that is not proven, since there is nothing to go back to (`swap/ondisk.md`, "No fallback"): it stays as debt.
///
/// # Errors
/// As [`commit`].
pub fn commit_unproven(published: &Published) -> Result<Committed, Failure> {
    link(published, Proof::None)
}

/// Commits the certificate and private key of the committed generation in other files: how that is known to be in use is how this is.
///
/// # Errors
/// As [`commit`]; and where it is another certificate, of which nothing is known.
pub fn commit_resealed(published: &Published, again: &Again) -> Result<Committed, Failure> {
    let place = published.place();
    let committed = place.var().and_then(|var| Kept::read(&var, again.from())).map_err(|why| disk_failure(Stage::Commit, &why))?;
    if committed.facts.as_ref().map(|facts| &facts.sha256) != Some(&published.facts().sha256) {
        let text = format!("expected the certificate of {} in {}, found another one", again.from(), published.generation());
        return Err(Failure::new(Stage::Commit, Code::OtherLeaf, text).hint("look at what else writes into the state directory"));
    }
    link(published, again.proof())
}

/// Moves the state directory's `live`.
fn link(published: &Published, proof: Proof) -> Result<Committed, Failure> {
    let (place, generation) = (published.place(), published.generation());
    let previous = place.committed().filter(|live| *live != generation);
    if place.committed() != Some(generation) {
        let moved = place.var().and_then(|var| write::replace_link(&var, layout::LIVE, &generation.to_string()));
        moved.map_err(|why| disk_failure(Stage::Commit, &why))?;
    }
    Ok(Committed { generation, previous, proof, facts: published.facts().clone() })
}

/// Removes generations that nothing needs: both trees keep `live`, the one committed before it and the newest debt; the run directory also
/// those with the leaf of `live`, which `reseal` left behind: services were told their paths and are not told new ones before the next commit.
///
/// Where keys are to be sealed, one that still lies in the state directory in clear goes as soon as `live` is proven: until then it is the
/// fallback, from then on it would only be what a stolen disk gives away.
///
/// A generation gets a dot-name before its files go, so that a killed run leaves no half of one that is complete by its name.
///
/// # Errors
/// When something cannot be removed; that is no reason to fail a run.
pub fn collect(place: &Place, state: &State) -> Result<(), DiskError> {
    let (Some(live), Some(published)) = (place.committed(), place.published()) else { return Ok(()) };
    let (var, run) = (place.var()?, place.run()?);
    let all: Vec<Generation> = var.names()?.iter().filter_map(|name| Generation::parse(name)).collect();
    let is_directory = |dir: &Dir, name: &str| dir.kind(name).is_ok_and(|kind| kind == Some(Kind::Directory));
    let may_be_debt = |g: &Generation| *g > live && !state.withdrawn.contains(g) && is_directory(&var, &g.to_string());
    let debt = all.iter().copied().filter(may_be_debt).max();
    let is_proven = |p: &state::Proven| p.generation == live && p.proof.is_in_use();
    let gives_away = |g: &Generation| {
        !place.certificate().keep.rests_in_clear() && state.proven.as_ref().is_some_and(is_proven) && !in_clear(&var, &[*g]).is_empty()
    };
    let leaf = run.child(&live.to_string())?.map_or(Ok(None), |dir| dir.read(layout::CERT))?;
    // What cannot be read, a planted link for one, is none that a service was configured with.
    let has_leaf_of_live = |dir: &Dir, name: &str| {
        let found = dir.child(name).ok().flatten().and_then(|dir| dir.read(layout::CERT).ok().flatten());
        leaf.as_ref().zip(found).is_some_and(|(leaf, found)| leaf.bytes == found.bytes)
    };
    let sealed = state.previous.filter(|g| !gives_away(g));
    for (dir, previous, keeps_leaf) in [(&var, sealed, false), (&run, state.previous, true)] {
        let kept = [Some(live), Some(published), previous, debt];
        for name in dir.names()? {
            if Generation::parse(&name).is_none_or(|g| kept.contains(&Some(g))) {
                continue;
            }
            // A file of that name is somebody else's.
            if !is_directory(dir, &name) || keeps_leaf && has_leaf_of_live(dir, &name) {
                continue;
            }
            let is_given_away = !keeps_leaf && Generation::parse(&name).is_some_and(|g| gives_away(&g));
            let leaving = format!(".{name}");
            write::rename(dir, &name, &leaving)?;
            // A disk that is stolen is not to have it even unlinked. Consumers read the run directory, so nobody is in the middle of it.
            if is_given_away && let Some(files) = dir.child(&leaving)? {
                wipe_keys(&files)?;
            }
            write::remove(dir, &leaving)?;
        }
    }
    // What a mark says of `live` and what is older is void.
    withdrawn::unmark(&var, |marked| marked <= live)?;
    withdrawn::clean(&var)
}

/// Overwrites every file of a generation that holds a private key, also a sealed one, before it is removed.
///
/// # Errors
/// When one cannot be overwritten.
pub fn wipe_keys(generation: &Dir) -> Result<(), DiskError> {
    let parts = Part::ALL.iter().filter(|part| part.holds_key()).filter_map(|part| part.file());
    let kept = Keep::ALL.iter().map(|keep| keep.file());
    let files: BTreeSet<&str> = parts.chain(kept).collect();
    files.into_iter().try_for_each(|file| write::wipe(generation, file))
}
