//! Which leaf consumers find, by what lies in both trees. Pure.

use super::inventory::Tree;
use crate::judge::cert::Facts;

/// The leaf that consumers find. While a run is at work it is told as it was before that, and where nothing is published it is the committed
/// one.
#[must_use]
pub fn leaf_found(tree: &Tree) -> Option<&Facts> {
    let committed = tree.live.as_ref();
    let facts = || committed.and_then(|live| live.facts.as_ref());
    let other = tree.published.generation.filter(|published| committed.is_none_or(|live| live.generation != *published));
    match other.filter(|_| tree.under_way.is_none()) {
        Some(_) => tree.published.facts.as_ref(),
        None => tree.published.facts.as_ref().filter(|_| other.is_none()).or_else(facts),
    }
}
