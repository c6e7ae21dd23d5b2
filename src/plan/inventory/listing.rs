//! The names in one directory of generations. Only reads.

use crate::io::dir::{Dir, DiskError};
use crate::model::layout;
use crate::model::name::Generation;

/// What a directory of generations holds.
pub(super) struct Listing {
    /// The complete ones, sorted.
    pub(super) generations: Vec<Generation>,
    /// Those that are marked as withdrawn, sorted.
    pub(super) withdrawn: Vec<Generation>,
    /// The number of the last file that has the name of a generation and is no directory: somebody else's, and taken.
    taken: u64,
    /// Whether there are dot-names or marks without a generation: what a killed run left half-made.
    pub(super) leftovers: bool,
}

impl Listing {
    pub(super) fn of(dir: &mut Dir) -> Result<Self, DiskError> {
        let mut listing = Self { generations: Vec::new(), withdrawn: Vec::new(), taken: 0, leftovers: false };
        dir.each_name(|name, can_be_directory| {
            match Generation::parse(name) {
                Some(generation) if can_be_directory => listing.generations.push(generation),
                Some(generation) => listing.taken = listing.taken.max(generation.0),
                None => {}
            }
            listing.withdrawn.extend(layout::marked_by(name));
            listing.leftovers |= name.starts_with('.');
        })?;
        listing.generations.sort_unstable();
        listing.withdrawn.sort_unstable();
        // A mark goes with its generation; a killed run left this one.
        listing.leftovers |= listing.withdrawn.iter().any(|marked| !listing.generations.contains(marked));
        Ok(listing)
    }

    pub(super) fn largest(&self) -> u64 {
        // A mark without its generation still takes that number: the next one of it would be withdrawn before it was made.
        self.generations.last().max(self.withdrawn.last()).map_or(0, |generation| generation.0).max(self.taken)
    }
}
