//! Certificates, keys and trust lists that configurations name: pairs, chains, owners and modes, debris, and whether both ends of a call agree.
//! It must never parse a configuration, and never keep or show a private key.

mod age;
mod blocks;
mod calls;
mod form;
mod key;
#[cfg(test)]
pub(crate) mod kit;
mod leftover;
pub mod lints;
mod names;
mod owners;
mod pairs;
mod paths;
mod room;
mod shared;
mod shelf;
mod targets;
mod trusts;

use std::time::Duration;

use crate::audit::sheet::Sheet;
use crate::audit::wiring::Wiring;
use crate::io::look::View;
use crate::judge::assess::Asked;
use room::Room;
pub use targets::file;

/// What everything is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The host.
    pub view: &'a View,
    /// DER of the certificates that are trusted; where there are none, the roots of the host's own trust lists are.
    pub anchors: &'a [Vec<u8>],
    /// DER of further certificates that may lie on a path.
    pub intermediates: &'a [Vec<u8>],
    /// DER of revocation lists.
    pub crls: &'a [Vec<u8>],
    /// Public keys that a certificate which was named itself must be for one of; as [`public_keys`] gives them.
    pub keys: &'a [Vec<u8>],
    /// What is asked of every chain.
    pub asked: &'a Asked,
    /// Whether a person or the settings gave the anchors: then another root of the same name is a forgery, not another PKI.
    pub pinned: bool,
}

/// The public halves of the private keys in a file, as the bits that a certificate's SubjectPublicKeyInfo holds.
#[must_use]
pub fn public_keys(bytes: &[u8]) -> Vec<Vec<u8>> {
    let content = blocks::Content::read(bytes);
    content.keys().filter_map(|(key, _)| key.public().map(<[u8]>::to_vec)).collect()
}

/// Judges everything that the configurations of a host name, and gives the shortest life of a certificate among it.
pub fn judge(ground: &Ground<'_>, wiring: &Wiring, sheet: &mut Sheet) -> Option<Duration> {
    let room = Room::new(ground, wiring, sheet.at());
    let proven = pairs::judge(&room, sheet);
    trusts::judge(&room, &proven, sheet);
    owners::judge(&room, sheet);
    shared::judge(&room, sheet);
    leftover::judge(&room, sheet);
    leftover::strays(&room, sheet);
    calls::judge(&room, sheet);
    let leaves = wiring.pairs.iter().filter_map(|pair| room.leaf(pair)).filter(|leaf| !leaf.is_ca() && !leaf.facts.self_issued());
    leaves.filter_map(|leaf| u64::try_from(leaf.facts.lifetime()).ok()).min().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
