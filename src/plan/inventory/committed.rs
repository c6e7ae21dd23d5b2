//! What the state directory holds of a certificate: what is committed, what is debt, and what `state.json` says. Only reads.

use super::Tree;
use super::listing::Listing;
use super::state_file::{StateFile, read_state};
use crate::io::dir::{Buffer, Dir, DiskError};
use crate::model::key::Keep;
use crate::model::layout;
use crate::model::name::Generation;
use crate::plan::generation::Kept;
use crate::plan::sealing::{SealingKeys, in_clear};

/// What the state directory holds of a certificate.
pub(super) fn committed(
    keep: Option<Keep>,
    var: &mut Dir,
    keys: &SealingKeys,
    tree: &mut Tree,
    buffer: &mut Buffer,
) -> Result<(), DiskError> {
    (tree.state, tree.state_file) = read_state(var, layout::STATE, buffer)?;
    let listing = Listing::of(var)?;
    // A number that no host comes to is a damaged digit, and no reason to count on from it.
    tree.largest = listing.largest().max(if tree.state.largest <= Generation::LARGEST { tree.state.largest } else { 0 });
    (tree.complete, tree.leftovers) = (listing.generations, listing.leftovers);
    let marked = listing.withdrawn;
    if keep.is_some_and(|keep| !keep.rests_in_clear()) {
        tree.in_clear = in_clear(var, &tree.complete);
    }
    let link = var.link(layout::LIVE)?;
    let live = link.as_deref().map(|text| (Generation::parse(text), text));
    tree.live = match live {
        None => None,
        Some((Some(generation), _)) => Some(Kept::read(var, generation)?),
        Some((None, text)) => return Err(strange_link(var, text)),
    };
    withdraw(tree, &marked);
    choose_debt(tree, var)?;
    tree.live.iter_mut().for_each(|live| keys.judge_live(live));
    tree.debt.iter_mut().for_each(|debt| keys.judge(debt));
    tree.loose = tree.live.iter().chain(&tree.debt).find_map(|kept| kept.loose.clone());
    // The directory, `certs` and the state directory.
    tree.loose = tree.loose.take().or(var.told_writable(2)?);
    // Opening its place puts that right, as it removes what was left half-made.
    tree.leftovers |= tree.loose.is_some();
    Ok(())
}

fn strange_link(var: &Dir, text: &str) -> DiskError {
    tracing::warn!(link = %var.join(layout::LIVE).display(), target = text, "the link names no generation");
    DiskError::new("understand the link", var.join(layout::LIVE), rustix::io::Errno::INVAL)
}

/// What a mark beside a generation says counts as if `state.json` said it: that file may be lost. What only `state.json` says is to be marked.
fn withdraw(tree: &mut Tree, marked: &[Generation]) {
    let live = tree.live.as_ref().map_or(0, |kept| kept.generation.0);
    let counts = |generation: &Generation| generation.0 > live && tree.complete.contains(generation);
    tree.unmarked = tree.state.withdrawn.iter().copied().filter(|g| counts(g) && !marked.contains(g)).collect();
    let unnoted: Vec<Generation> = marked.iter().copied().filter(|g| counts(g) && !tree.state.withdrawn.contains(g)).collect();
    tree.state.withdrawn.extend(unnoted);
}

/// The newest complete generation after `live` that is not withdrawn; what is older than it was superseded.
fn choose_debt(tree: &mut Tree, var: &Dir) -> Result<(), DiskError> {
    let live = tree.live.as_ref().map_or(0, |k| k.generation.0);
    tree.newer = tree.complete.iter().copied().filter(|g| g.0 > live).collect();
    // Without a readable state nobody knows what was withdrawn: nothing is published again then.
    if tree.state_file != StateFile::Known {
        return Ok(());
    }
    let newest = tree.newer.iter().rev().copied().find(|g| !tree.state.withdrawn.contains(g));
    tree.debt = newest.map(|g| Kept::read(var, g)).transpose()?;
    Ok(())
}
