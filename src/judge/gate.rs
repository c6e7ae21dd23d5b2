//! The gate: all checks over one answer of a CA, and two smaller questions that are asked with the same engine.
//! It must never stop at the first rejection, and never accept without a path to the pinned anchor.

mod served;

use std::collections::BTreeMap;

use super::cert::Facts;
use super::lint::{self, Findings};
use super::parsed::Parsed;
use super::path::{Anchors, Search, Way};
use super::{chain, form, lifetime, name, pair, usage};
use crate::model::anchor::{Anchor, Fingerprint};
use crate::model::clock::Time;
use crate::model::finding::{Finding, Severity};
use crate::model::request::Request;
use served::blocking;
pub use served::{named, served};

/// More certificates than this are not looked at: no chain of ours comes near, and each costs work.
const MAX_CANDIDATES: usize = 32;

/// What is to be judged, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// What was asked for.
    pub request: &'a Request,
    /// The pinned roots: a path to any of them will do.
    pub anchors: &'a [&'a Anchor],
    /// DER of the certificate that was answered.
    pub leaf: &'a [u8],
    /// DER of whatever came with it, in any order, junk included.
    pub candidates: &'a [Vec<u8>],
    /// DER of our own public key.
    pub spki: &'a [u8],
    /// The end of the certificate that this one would take the place of, where that is good.
    pub serves_until: Option<Time>,
}

/// What the gate says.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What the leaf says, where it parses.
    pub facts: Option<Facts>,
    /// DER of the intermediates, leaf side first, without the root; `None` where no path leads to the anchor.
    pub path: Option<Vec<Vec<u8>>>,
    /// The pinned root at which it ends.
    pub anchor: Option<Fingerprint>,
    /// Everything that was found; the ones of severity `high` block.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether the certificate must not go further.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.facts.is_none() || self.path.is_none() || self.findings.iter().any(Finding::blocks)
    }
}

/// Judges an answer at a time: every check runs, and all that is wrong is said at once.
#[must_use]
pub fn gate(gate: &Gate<'_>, now: Time) -> Verdict {
    let mut findings = Findings::new(&gate.request.profile.lints);
    let leaf = Parsed::new(gate.leaf).map_err(|fault| findings.add(&lint::MALFORMED, "a certificate", fault.to_string())).ok();
    let mut anchors: Vec<Parsed<'_>> = Vec::new();
    for anchor in gate.anchors {
        match Parsed::new(&anchor.der) {
            Ok(parsed) => anchors.push(parsed),
            Err(fault) => findings.add(&lint::ANCHOR_MALFORMED, "a certificate", fault.to_string()),
        }
    }
    if let Some(leaf) = &leaf {
        form::check(&mut findings, &leaf.facts, "");
        form::leaf(&mut findings, &leaf.facts);
        fit(&mut findings, &leaf.facts, gate.request);
        own_key(&mut findings, &leaf.facts, gate.spki);
        lifetime::check(&mut findings, &leaf.facts, gate.request, gate.serves_until, now);
    }
    let led = match &leaf {
        Some(leaf) if !anchors.is_empty() => to_anchor(&mut findings, gate, leaf, &anchors, now),
        _ => None,
    };
    if led.is_none() && !findings.blocks() {
        findings.add(&lint::PATH_NONE, "a path to the pinned root", "none");
    }
    let (path, anchor) = led.map(|led| (led.path, led.anchor)).unzip();
    Verdict { facts: leaf.map(|leaf| leaf.facts), path, anchor, findings: findings.into_vec() }
}

/// A path, and where it ends.
struct Led {
    path: Vec<Vec<u8>>,
    anchor: Fingerprint,
}

fn to_anchor(findings: &mut Findings<'_>, gate: &Gate<'_>, leaf: &Parsed<'_>, anchors: &[Parsed<'_>], now: Time) -> Option<Led> {
    if gate.candidates.len() > MAX_CANDIDATES {
        findings.add(&lint::CHAIN_TOO_MANY, format!("at most {MAX_CANDIDATES}"), gate.candidates.len().to_string());
        return None;
    }
    let usable = chain::usable(findings, gate.candidates, &leaf.der, anchors);
    let (usable, anchors): (Vec<&Parsed<'_>>, _) = (usable.iter().collect(), Anchors::new(anchors.iter().cloned()));
    let search = Search { leaf, candidates: &usable, anchors: &anchors, purpose: Some(gate.request.profile.purpose), now };
    let lints = &gate.request.profile.lints;
    // Where no path is good, the best one says what is wrong with it.
    match search.best(&|way| blocking(&judged(lints, leaf, way, now)).count()) {
        Ok(way) => {
            chain::check(findings, &leaf.facts, &way.facts(), &way.anchor.facts, now);
            chain::surplus(findings, &usable, &way.authorities);
            let path = way.authorities.iter().map(|parsed| parsed.der.to_vec()).collect();
            Some(Led { path, anchor: way.anchor.facts.sha256.clone() })
        }
        Err(error) => {
            search.explain(findings, &error);
            None
        }
    }
}

/// What is to be said of one way.
fn judged(lints: &BTreeMap<String, Severity>, leaf: &Parsed<'_>, way: &Way<'_>, now: Time) -> Vec<Finding> {
    let mut own = Findings::new(lints);
    chain::check(&mut own, &leaf.facts, &way.facts(), &way.anchor.facts, now);
    own.into_vec()
}

/// What needs neither a signature nor a clock: names, usages, kind of key. The planner asks it of every certificate on every run.
#[must_use]
pub fn fits(leaf: &Facts, request: &Request) -> Vec<Finding> {
    let mut findings = Findings::new(&request.profile.lints);
    fit(&mut findings, leaf, request);
    findings.into_vec()
}

fn fit(findings: &mut Findings<'_>, leaf: &Facts, request: &Request) {
    name::check(findings, leaf, request);
    usage::check(findings, leaf, &request.profile);
    if leaf.key.algorithm != Some(request.algorithm) {
        findings.add(&lint::KEY_OTHER, request.algorithm.as_str(), &leaf.key.text);
    }
    if !request.profile.keys.iter().any(|allowed| leaf.key.algorithm == Some(*allowed)) {
        let allowed: Vec<&str> = request.profile.keys.iter().map(|key| key.as_str()).collect();
        findings.add(&lint::KEY_OUTSIDE, allowed.join(", "), &leaf.key.text);
    }
}

fn own_key(findings: &mut Findings<'_>, leaf: &Facts, spki: &[u8]) {
    let print = |spki: &[u8]| format!("public key with sha256 {}", Fingerprint::of(spki));
    if leaf.spki != spki {
        findings.add(&lint::PAIR_MISMATCH, print(spki), print(&leaf.spki));
    }
    if let (Some(_), Err(fault)) = (leaf.key.algorithm, pair::sound(&leaf.spki)) {
        findings.add(&lint::KEY_UNSOUND, "a sound public key", fault.to_string());
    }
}

#[cfg(test)]
mod tests;
