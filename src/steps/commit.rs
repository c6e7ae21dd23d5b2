//! The commit: the state directory's `live` names the proven generation, and is flushed. From here on it is what boots.

use super::swap::Place;
use super::verify::Proven;
use crate::io::dir::DiskError;
use crate::io::write;
use crate::judge::cert::Facts;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::state::Proof;

/// A committed generation. Only this file makes one.
#[derive(Debug)]
pub struct Committed {
    /// Which.
    generation: Generation,
    proof: Proof,
    facts: Facts,
}

impl Committed {
    /// Which generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
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

/// Moves the state directory's `live`.
///
/// # Errors
/// The value and why, when the link cannot be renamed or flushed. The generation is debt then and settled by the next run.
pub fn commit(proven: Proven) -> Result<Committed, Box<(Proven, Failure)>> {
    let place = proven.published().place().clone();
    let generation = proven.published().generation();
    let moved =
        if place.committed() == Some(generation) { Ok(()) } else { write::replace_link(&place.var, layout::LIVE, &generation.to_string()) };
    match moved {
        Ok(()) => Ok(Committed { generation, proof: proven.proof(), facts: proven.published().facts().clone() }),
        Err(why) => Err(Box::new((proven, super::swap::disk_failure(Stage::Commit, &why)))),
    }
}

/// Removes generations that nothing needs: both trees keep `live`, the one before it and the newest debt.
///
/// A generation gets a dot-name before its files go, so that a killed run leaves no half of one that is complete by its name.
///
/// # Errors
/// When something cannot be removed; that is no reason to fail a run.
pub fn collect(place: &Place, withdrawn: &[Generation]) -> Result<(), DiskError> {
    let (Some(live), Some(published)) = (place.committed(), place.published()) else { return Ok(()) };
    let mut all: Vec<Generation> = place.var.names()?.iter().filter_map(|name| Generation::parse(name)).collect();
    all.sort();
    let before = all.iter().rev().find(|g| **g < live).copied();
    let debt = all.iter().rev().find(|g| **g > live && !withdrawn.contains(g)).copied();
    let kept = [Some(live), Some(published), before, debt];
    for dir in [&place.var, &place.run] {
        for name in dir.names()? {
            if Generation::parse(&name).is_none_or(|g| kept.contains(&Some(g))) {
                continue;
            }
            let leaving = format!(".{name}");
            write::rename(dir, &name, &leaving)?;
            write::remove(dir, &leaving)?;
        }
    }
    Ok(())
}
