//! Certificates, keys and trust lists that configurations name: pairs, chains, owners and modes, debris, and whether both ends of a call agree.
//! It must never parse a configuration, and never keep or show a private key.

mod age;
mod blocks;
mod calls;
mod ciphers;
mod container;
mod decoded;
mod form;
mod held;
mod key;
#[cfg(test)]
pub(crate) mod estate;
mod leftover;
pub mod lints;
mod names;
mod owners;
mod pairs;
mod paths;
mod authorities;
mod advertised;
mod renewals;
mod revocation;
mod readable;
mod host;
mod key_copies;
mod pem_cache;
mod targets;
mod trusts;

use std::time::Duration;

use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::given::Given;
use crate::audit::facts::wiring::Wiring;
use crate::io::look::View;
use host::HostMaterial;
pub use targets::file;

/// What everything is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    /// The host.
    pub view: &'a View,
    /// Whom to trust and what to ask; where no anchors are given, the roots of the host's own trust lists are trusted.
    pub given: &'a Given,
    /// Whether a person or the settings gave the anchors: then another root of the same name is a forgery, not another PKI.
    pub pinned: bool,
}

impl<'a> Basis<'a> {
    /// A host, judged by what was given.
    #[must_use]
    pub fn new(view: &'a View, given: &'a Given) -> Self {
        Self { view, given, pinned: !given.anchors.is_empty() }
    }
}

/// The public halves of the private keys in a file, as the bits that a certificate's SubjectPublicKeyInfo holds. A key that OpenSSL does not
/// read as it is written is none.
#[must_use]
pub fn public_keys(bytes: &[u8]) -> Vec<Vec<u8>> {
    let content = blocks::Content::read(bytes);
    content.sound_keys().filter_map(|key| key.public().map(<[u8]>::to_vec)).collect()
}

/// Judges everything that the configurations of a host name, and gives the shortest life of a certificate among it.
pub fn judge(basis: &Basis<'_>, wiring: &Wiring, findings: &mut HostFindings) -> Option<Duration> {
    let host = HostMaterial::new(*basis, wiring, findings.at());
    let proven = pairs::judge(&host, findings);
    trusts::judge(&host, &proven, findings);
    revocation::judge(&host, findings);
    authorities::judge(&host, findings);
    advertised::judge(&host, findings);
    readable::judge(&host, findings);
    renewals::judge(&host, findings);
    owners::judge(&host, findings);
    key_copies::judge(&host, findings);
    leftover::judge(&host, findings);
    leftover::strays(&host, findings);
    calls::judge(&host, findings);
    ciphers::judge(&host, findings);
    let leaves = wiring.pairs.iter().filter_map(|pair| host.leaf(pair)).filter(|leaf| !leaf.is_ca() && !leaf.facts.self_issued());
    leaves.filter_map(|leaf| u64::try_from(leaf.facts.lifetime()).ok()).min().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
