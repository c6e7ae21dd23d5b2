//! What lies beside a leaf: which certificates a path may use, which are surplus, and how many are looked at. It must never look for a path.

use std::collections::BTreeMap;

use super::lint::{self, Findings};
use super::parsed::Parsed;
use super::path::{Anchors, signed_by};

/// As many certificates are read beside one leaf; a bundle of all public roots has some 150.
pub(super) const MAX_BESIDE: usize = 512;
/// As many of them may be of use: those that the names from the leaf upwards lead to.
const MAX_OF_USE: usize = 128;

/// The certificates that a path may use, in their order, and findings about the others.
pub(super) fn usable<'a>(
    findings: &mut Findings<'_>,
    all: &'a [impl AsRef<Parsed<'static>>],
    leaf: &Parsed<'_>,
    anchors: &Anchors<'_>,
) -> Vec<&'a Parsed<'a>> {
    let mut list: Vec<&'a Parsed<'a>> = Vec::new();
    for parsed in all.iter().map(AsRef::as_ref) {
        let words = || format!("{} (sha256 {})", parsed.facts.subject, parsed.facts.sha256);
        if anchors.iter().any(|anchor| anchor.der == parsed.der) {
            findings.add(&lint::CHAIN_ROOT, "intermediates only", words());
        } else if leaf.der == parsed.der {
            findings.add(&lint::CHAIN_LEAF, "intermediates only", words());
        } else if list.iter().any(|known| known.facts.sha256 == parsed.facts.sha256) {
            findings.add(&lint::CHAIN_DUPLICATE, "each certificate once", words());
        } else if let Some(lint) = other_root(parsed, anchors) {
            findings.add(lint, "the trusted root of this name", words());
        } else {
            list.push(parsed);
        }
    }
    list
}

/// Whether it passes itself off as one of the anchors. One that an anchor signed is its successor, and one of its own key that another
/// authority signed is a cross-signature.
fn other_root(parsed: &Parsed<'_>, anchors: &Anchors<'_>) -> Option<&'static lint::Lint> {
    let mut named = anchors.iter().filter(|anchor| anchor.facts.subject.der == parsed.facts.subject.der).peekable();
    if !parsed.facts.self_issued() || named.peek().is_none() {
        return None;
    }
    let (mut same_key, mut signed) = (false, false);
    for anchor in named {
        same_key |= anchor.facts.spki == parsed.facts.spki;
        signed |= anchor.facts.spki != parsed.facts.spki && signed_by(parsed, &anchor.facts);
    }
    match (same_key, signed) {
        (true, _) => Some(&lint::ANCHOR_OTHER_CERT),
        (false, true) => None,
        (false, false) => Some(&lint::ANCHOR_OTHER_KEY),
    }
}

/// Those that the names lead to from the leaf upwards: what lies elsewhere costs a search time and cannot be on a path.
pub(super) fn of_use<'a>(findings: &mut Findings<'_>, usable: &[&'a Parsed<'a>], leaf: &Parsed<'_>) -> Vec<&'a Parsed<'a>> {
    let mut by_name: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (at, parsed) in usable.iter().enumerate() {
        by_name.entry(&parsed.facts.subject.der).or_default().push(at);
    }
    let mut reached = vec![false; usable.len()];
    let mut names: Vec<&[u8]> = vec![&leaf.facts.issuer.der];
    while let Some(name) = names.pop() {
        for at in by_name.remove(name).unwrap_or_default() {
            if let (Some(reached), Some(parsed)) = (reached.get_mut(at), usable.get(at)) {
                *reached = true;
                names.push(&parsed.facts.issuer.der);
            }
        }
    }
    let mut list: Vec<&'a Parsed<'a>> = usable.iter().zip(reached).filter(|(_, reached)| *reached).map(|(parsed, _)| *parsed).collect();
    if list.len() > MAX_OF_USE {
        findings.add(&lint::CHAIN_TOO_MANY, format!("at most {MAX_OF_USE}"), list.len().to_string());
        list.truncate(MAX_OF_USE);
    }
    list
}
