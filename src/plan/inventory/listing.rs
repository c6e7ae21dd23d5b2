//! The names in one directory of generations. Only reads.

use crate::io::dir::{Dir, DiskError};
use crate::model::name::Generation;

/// What a directory of generations holds.
pub(super) struct Listing {
    /// The complete ones, sorted.
    pub(super) generations: Vec<Generation>,
    /// Whether there are dot-names: what a killed run left half-made.
    pub(super) leftovers: bool,
}

impl Listing {
    pub(super) fn of(dir: &mut Dir) -> Result<Self, DiskError> {
        let mut listing = Self { generations: Vec::new(), leftovers: false };
        dir.each_name(|name| {
            listing.generations.extend(Generation::parse(name));
            listing.leftovers |= name.starts_with('.');
        })?;
        listing.generations.sort_unstable();
        Ok(listing)
    }

    pub(super) fn largest(&self) -> u64 {
        self.generations.last().map_or(0, |generation| generation.0)
    }
}
