//! From a leaf to what the host trusts: asks the judge, and where a path fails for what is sent, looks among everything that lies on the host
//! for what is missing. It must never accept where the judge does not.

use std::path::PathBuf;

use super::blocks::Cert;
use super::host::HostMaterial;
use crate::audit::facts::wiring::Pair;
use crate::judge::assess::{Assessment, Question, Requirements, assess};
use crate::judge::cert::Facts;
use crate::model::audit::Verdict;

/// No chain is longer.
const STEPS: usize = 16;

/// What was found out about a leaf.
pub(super) struct Judged {
    /// By what is sent; with the help of what lies on the host where that was not enough.
    pub(super) assessment: Assessment,
    /// The certificates of its path.
    pub(super) chain: Vec<Facts>,
    /// Whether a path leads to an anchor by what is sent.
    pub(super) complete: bool,
    /// Certificates that would have to be sent, and where they lie.
    pub(super) missing: Vec<(Cert, PathBuf)>,
    /// Where the path fails: the name of an authority that lies nowhere here.
    pub(super) unknown: Option<Unknown>,
}

/// An authority that lies nowhere on the host.
pub(super) struct Unknown {
    /// Its name.
    pub(super) name: String,
    /// Whether the distribution's public roots have one of that name.
    pub(super) public: bool,
}

impl Judged {
    fn new(assessment: Assessment, complete: bool) -> Self {
        let chain = assessment.path.iter().filter_map(|der| Facts::parse(der).ok()).collect();
        Self { assessment, chain, complete, missing: Vec::new(), unknown: None }
    }
}

/// Judges a leaf with what is sent beside it.
pub(super) fn judge(host: &HostMaterial<'_>, leaf: &Cert, sent: &[&Cert], pair: &Pair) -> Judged {
    let asked = Requirements { purpose: pair.asked(), ..host.basis.given.asked.clone() };
    let mut candidates: Vec<Vec<u8>> = sent.iter().map(|cert| cert.der.clone()).collect();
    candidates.extend(host.basis.given.intermediates.iter().cloned());
    let ask = |candidates: &[Vec<u8>], anchors: &[Vec<u8>]| {
        assess(&Question { leaf: &leaf.der, candidates, anchors, crls: &host.basis.given.crls, spki: None, asked: &asked, at: host.at })
    };
    let chain: Vec<&Cert> = [leaf].into_iter().chain(sent.iter().copied()).collect();
    let anchors = host.anchors(&chain);
    let assessment = ask(&candidates, &anchors);
    if ends(&assessment, &anchors) {
        return Judged::new(assessment, true);
    }
    // What else lies on this host may be what is missing.
    let helpers = above(host, &chain);
    let mut all = candidates.clone();
    all.extend(helpers.iter().filter(|(cert, _)| !cert.is_root()).map(|(cert, _)| cert.der.clone()));
    all.sort();
    all.dedup();
    let whole: Vec<&Cert> = chain.iter().copied().chain(helpers.iter().map(|(cert, _)| *cert)).collect();
    let anchors = host.anchors(&whole);
    let helped = ask(&all, &anchors);
    if ends(&helped, &anchors) {
        let lacking = helped.path.iter().skip(1).filter(|der| !candidates.contains(der) && !anchors.contains(der));
        let missing =
            lacking.filter_map(|der| helpers.iter().find(|(cert, _)| cert.der == *der)).map(|(cert, path)| ((*cert).clone(), path.clone()));
        if pair.leaf_only {
            return Judged::new(helped, true);
        }
        return Judged { missing: missing.collect(), ..Judged::new(Assessment { verdict: Verdict::Reject, ..helped }, false) };
    }
    by_names(host, leaf, sent, &helpers, Judged::new(assessment, false))
}

/// The authorities of this host that may be above these certificates, by their names.
fn above<'r>(host: &'r HostMaterial<'_>, chain: &[&Cert]) -> Vec<(&'r Cert, PathBuf)> {
    let mut names: Vec<&[u8]> = chain.iter().map(|cert| cert.facts.issuer.der.as_slice()).collect();
    let mut found: Vec<(&Cert, PathBuf)> = Vec::new();
    for _ in 0..STEPS {
        let more = host.cache.authorities().filter(|(cert, _)| names.contains(&cert.facts.subject.der.as_slice()));
        let more: Vec<_> = more.filter(|(cert, _)| !found.iter().any(|(known, _)| known.der == cert.der)).collect();
        if more.is_empty() {
            break;
        }
        for (cert, file) in more {
            names.push(&cert.facts.issuer.der);
            if !found.iter().any(|(known, _)| known.der == cert.der) {
                found.push((cert, file.path.clone()));
            }
        }
    }
    found
}

fn ends(assessment: &Assessment, anchors: &[Vec<u8>]) -> bool {
    assessment.path.len() > 1 && assessment.path.last().is_some_and(|last| anchors.contains(last))
}

/// No path ends at an anchor: climbs by names alone, to say where the way ends and what of it is not sent.
fn by_names(host: &HostMaterial<'_>, leaf: &Cert, sent: &[&Cert], helpers: &[(&Cert, PathBuf)], judged: Judged) -> Judged {
    let (mut here, mut missing) = (leaf, Vec::new());
    for _ in 0..STEPS {
        let issuer = &here.facts.issuer.der;
        if here.facts.self_issued() || host.is_anchor_name(issuer) {
            return Judged { missing: if host.has_anchor() { Vec::new() } else { missing }, ..judged };
        }
        let named = |cert: &&Cert| cert.facts.subject.der == *issuer && cert.der != here.der;
        if let Some(next) = sent.iter().copied().find(named) {
            here = next;
        } else if let Some((next, path)) = helpers.iter().find(|(cert, _)| named(cert)) {
            if !next.is_root() {
                missing.push(((*next).clone(), path.clone()));
            }
            here = next;
        } else {
            let unknown = Unknown { name: here.facts.issuer.to_string(), public: host.is_public_name(issuer) };
            return Judged { missing, unknown: Some(unknown), ..judged };
        }
    }
    judged
}
