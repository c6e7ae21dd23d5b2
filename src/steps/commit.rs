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

/// Moves the state directory's `live`.
///
/// # Errors
/// The value and why, when the link cannot be renamed or flushed. The generation is debt then and settled by the next run.
pub fn commit(proven: Proven) -> Result<Committed, Box<(Proven, Failure)>> {
    let place = proven.published().place().clone();
    let generation = proven.published().generation();
    let previous = place.committed().filter(|live| *live != generation);
    let moved = if place.committed() == Some(generation) {
        Ok(())
    } else {
        place.var().and_then(|var| write::replace_link(&var, layout::LIVE, &generation.to_string()))
    };
    match moved {
        Ok(()) => Ok(Committed { generation, previous, proof: proven.proof(), facts: proven.published().facts().clone() }),
        Err(why) => Err(Box::new((proven, super::swap::disk_failure(Stage::Commit, &why)))),
    }
}

/// Removes generations that nothing needs: both trees keep `live`, the one committed before it and the newest debt.
///
/// A generation gets a dot-name before its files go, so that a killed run leaves no half of one that is complete by its name.
///
/// # Errors
/// When something cannot be removed; that is no reason to fail a run.
pub fn collect(place: &Place, previous: Option<Generation>, withdrawn: &[Generation]) -> Result<(), DiskError> {
    let (Some(live), Some(published)) = (place.committed(), place.published()) else { return Ok(()) };
    let (var, run) = (place.var()?, place.run()?);
    let all: Vec<Generation> = var.names()?.iter().filter_map(|name| Generation::parse(name)).collect();
    let debt = all.iter().copied().filter(|g| *g > live && !withdrawn.contains(g)).max();
    let kept = [Some(live), Some(published), previous, debt];
    for dir in [&var, &run] {
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
