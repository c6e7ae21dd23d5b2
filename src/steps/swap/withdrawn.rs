//! Marks beside generations that must not be published again: empty files that outlive `state.json`, which says the same
//! (`swap/ondisk.md`, "Withdrawn").

use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write::{self, Ownership};
use crate::model::layout;
use crate::model::name::Generation;

/// Marks generations as withdrawn; durable when it returns.
///
/// # Errors
/// When a mark cannot be written or flushed.
pub fn mark(var: &Dir, generations: &[Generation]) -> Result<(), DiskError> {
    for generation in generations {
        let name = layout::withdrawn_mark(*generation);
        write::refuse_link(var, &name)?;
        if var.kind(&name)?.is_none() {
            write::write_new(var, &name, &[], 0o600, Ownership::default())?;
        }
    }
    if generations.is_empty() { Ok(()) } else { write::sync(var) }
}

/// Removes the marks that `is_void` says.
///
/// # Errors
/// When a mark cannot be removed.
pub fn unmark(var: &Dir, is_void: impl Fn(Generation) -> bool) -> Result<(), DiskError> {
    for name in var.names()? {
        if layout::marked_by(&name).is_some_and(&is_void) {
            write::remove(var, &name)?;
        }
    }
    Ok(())
}

/// Removes the marks of generations that are gone: those went first, so that a kill in between leaves no generation without its mark.
///
/// # Errors
/// When a mark cannot be removed.
pub fn clean(var: &Dir) -> Result<(), DiskError> {
    let is_there = |generation: Generation| var.kind(&generation.to_string()).is_ok_and(|kind| kind == Some(Kind::Directory));
    unmark(var, |marked| !is_there(marked))
}
