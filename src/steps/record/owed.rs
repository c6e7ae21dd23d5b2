//! Revocations that are owed: noted with the commit that is the reason for them.

use crate::model::clock::Time;
use crate::model::name::Generation;
use crate::model::state::{State, ToRevoke};
use crate::plan::generation::Kept;
use crate::steps::commit::Committed;
use crate::steps::swap::Place;

/// What becomes of the certificate before one that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It stays valid until it ends.
    Stays,
    /// It is revoked once the new one is known to be in use.
    Revoked,
}

/// Notes that the certificate before the committed one is to be revoked, once that is known to be in use: what a kill or a refusal leaves
/// undone is done by a later run.
pub(super) fn owe(place: &Place, state: &mut State, committed: &Committed, now: Time) {
    let serial = &committed.facts().serial;
    state.to_revoke.retain(|owed| owed.ends > now && owed.serial != *serial);
    let replaced = state.previous.and_then(|previous| certificate_of(place, previous));
    let is_owed =
        |one: &ToRevoke| one.ends > now && one.serial != *serial && !state.revoked.contains(&one.serial) && !state.to_revoke.contains(one);
    let replaced = replaced.filter(is_owed);
    state.to_revoke.extend(replaced);
}

/// The certificate of a generation that is there.
fn certificate_of(place: &Place, generation: Generation) -> Option<ToRevoke> {
    let facts = place.var().and_then(|var| Kept::read(&var, generation)).ok()?.facts?;
    Some(ToRevoke { serial: facts.serial, ends: facts.not_after })
}
