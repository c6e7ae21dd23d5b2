//! Judges any chain without a request: path, form, usage, names, keys and revocation lists, as `chain-audit` asks.
//! It must never be kinder than the gate: both use the same checks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::beside::{self, MAX_BESIDE};
use super::cert::Facts;
use super::crl::Lists;
use super::lint::{self, Findings, audit};
use super::parsed::Parsed;
use super::path::{Anchors, Search, Way};
use super::wanted::Wanted;
use super::{chain, form, lifetime, pair, peers, strict, usage, wanted};
use crate::model::anchor::Fingerprint;
use crate::model::audit::{Peers, Verdict};
use crate::model::clock::Time;
use crate::model::finding::{Finding, Severity};
use crate::model::profile::{Profile, Purpose};

/// What is asked of every chain of one run.
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    /// The profile whose usages, keys, lifetimes and severities hold.
    pub profile: Option<Arc<Profile>>,
    /// What the leaf is used for; `None` asks nothing of its extended key usage.
    pub purpose: Option<Purpose>,
    /// Names it must be for.
    pub names: Vec<Wanted>,
    /// At most so many intermediates.
    pub max_depth: Option<usize>,
    /// Verdict `path`: RFC 5280 as webpki with its gaps closed, without the lints.
    pub path_only: bool,
    /// Verdict `profile` that refuses whatever verdict `path` refuses, where a chain is judged by itself. Without it lints keep their own
    /// severities: an estate that works is not refused for the form of its root.
    pub strict: bool,
}

/// One chain and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// DER of the leaf.
    pub leaf: &'a [u8],
    /// DER of what may lie on its path, in any order, junk included.
    pub candidates: &'a [Vec<u8>],
    /// DER of the certificates that are trusted.
    pub anchors: &'a [Vec<u8>],
    /// DER of revocation lists; where there is one, every certificate but the anchor must be covered.
    pub crls: &'a [Vec<u8>],
    /// DER of the SubjectPublicKeyInfo that it must be for.
    pub spki: Option<&'a [u8]>,
    /// The rest.
    pub asked: &'a Requirements,
    /// When.
    pub at: Time,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// What the leaf says, where it parses.
    pub facts: Option<Facts>,
    /// Ours, by the verdict that was asked for.
    pub verdict: Verdict,
    /// DER from the leaf to the anchor, or as far as it goes.
    pub path: Vec<Vec<u8>>,
    /// What peers of each kind would say.
    pub peers: Peers,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Judges one chain. Whoever judges many by the same anchors makes a [`Judge`] once.
#[must_use]
pub fn assess(question: &Question<'_>) -> Assessment {
    Judge::new(question.asked, question.anchors, question.crls).assess(question.leaf, question.candidates, question.spki, question.at)
}

/// As many certificates beside leaves are kept parsed.
const MAX_KEPT: usize = 10_000;

/// A certificate that lay beside a leaf, or why it is none.
type Kept = Result<Arc<Parsed<'static>>, String>;

/// What is the same for every chain of a run, read once: what is asked, anchors, revocation lists, and intermediates as they come.
#[derive(Debug)]
pub struct Judge {
    asked: Requirements,
    severities: BTreeMap<String, Severity>,
    anchors: Anchors<'static>,
    crls: Lists,
    kept: Mutex<HashMap<Vec<u8>, Kept>>,
}

impl Judge {
    /// Reads DER of anchors and revocation lists.
    #[must_use]
    pub fn new(asked: &Requirements, anchors: &[Vec<u8>], crls: &[Vec<u8>]) -> Self {
        let mut severities = if asked.path_only || asked.strict { strict::severities() } else { BTreeMap::new() };
        if let Some(profile) = asked.profile.as_ref().filter(|_| !asked.path_only) {
            severities.extend(profile.lints.clone());
        }
        let anchors = Anchors::new(anchors.iter().filter_map(|der| Parsed::owned(der).ok()));
        Self { asked: asked.clone(), severities, anchors, crls: Lists::new(crls), kept: Mutex::default() }
    }

    /// Judges one chain: the leaf, what lies beside it in any order, the DER of the SubjectPublicKeyInfo it must be for, and the time.
    #[must_use]
    pub fn assess(&self, leaf: &[u8], candidates: &[Vec<u8>], spki: Option<&[u8]>, at: Time) -> Assessment {
        let mut findings = Findings::new(&self.severities);
        let mut path = vec![leaf.to_vec()];
        let parsed = Parsed::new(leaf).map_err(|fault| findings.add(&lint::MALFORMED, "a certificate", fault.to_string())).ok();
        let mut found = false;
        if let Some(leaf) = &parsed {
            self.leaf(&mut findings, leaf, spki, at);
            let (rest, complete) = self.chain(&mut findings, leaf, candidates, at);
            path.extend(rest);
            found = complete;
        }
        let mut findings = findings.into_vec();
        let peers = peers::judge(&findings, parsed.as_ref().map(|leaf| &leaf.facts), found, at);
        self.restrict(&mut findings, found);
        let good = found && !findings.iter().any(Finding::blocks);
        let verdict = if good { Verdict::Accept } else { Verdict::Reject };
        Assessment { facts: parsed.map(|leaf| leaf.facts), verdict, path, peers, findings }
    }

    /// Verdict `path` says nothing of what is no rule of RFC 5280's.
    fn restrict(&self, findings: &mut Vec<Finding>, found: bool) {
        if self.asked.path_only {
            // Why there is no path is said by these as well.
            let why = |id: &str| !found && [lint::ANCHOR_OTHER_KEY.id, lint::CHAIN_TOO_MANY.id].contains(&id);
            findings.retain(|finding| strict::is_of_path(&finding.id) || why(&finding.id));
        }
    }

    /// What the leaf says by itself.
    fn leaf(&self, findings: &mut Findings<'_>, leaf: &Parsed<'_>, spki: Option<&[u8]>, at: Time) {
        let profile = self.asked.profile.as_deref();
        form::check(findings, &leaf.facts, "");
        form::leaf(findings, &leaf.facts);
        if let Some(profile) = profile {
            usage::check(findings, &leaf.facts, profile);
        }
        usage::plain(findings, &leaf.facts, self.asked.purpose);
        wanted::form(findings, &leaf.facts, self.asked.purpose, profile.is_none_or(|profile| profile.wildcard));
        wanted::cover(findings, leaf, &self.asked.names);
        lifetime::plain(findings, &leaf.facts, profile, at);
        key(findings, &leaf.facts, profile, spki);
    }

    /// The way to an anchor as DER, as far as it goes, and whether it gets there.
    fn chain(&self, findings: &mut Findings<'_>, leaf: &Parsed<'_>, candidates: &[Vec<u8>], at: Time) -> (Vec<Vec<u8>>, bool) {
        let all = self.read(findings, candidates);
        let usable = beside::usable(findings, &all, leaf, &self.anchors);
        let of_use = beside::of_use(findings, &usable, leaf);
        let search = Search { leaf, candidates: &of_use, anchors: &self.anchors, purpose: self.asked.purpose, now: at };
        self.crls.faults(findings);
        let ders = |list: &[&Parsed<'_>]| list.iter().map(|parsed| parsed.der.to_vec()).collect::<Vec<_>>();
        if self.anchors.is_empty() {
            findings.add(&audit::ANCHOR_NONE, "at least one trusted certificate", "none");
            return (ders(&search.reached()), false);
        }
        match search.best(&|way| self.cost(leaf, way, at)) {
            Ok(way) => {
                self.way(findings, leaf, &way, at);
                chain::surplus(findings, &usable, &way.authorities);
                let mut rest = ders(&way.authorities);
                rest.push(way.anchor.der.to_vec());
                (rest, true)
            }
            Err(error) => {
                search.explain(findings, &error);
                (ders(&search.reached()), false)
            }
        }
    }

    /// How much speaks against a way.
    fn cost(&self, leaf: &Parsed<'_>, way: &Way<'_>, at: Time) -> usize {
        let mut own = Findings::new(&self.severities);
        self.way(&mut own, leaf, way, at);
        let mut own = own.into_vec();
        self.restrict(&mut own, true);
        own.iter().filter(|finding| finding.blocks()).count()
    }

    fn way(&self, findings: &mut Findings<'_>, leaf: &Parsed<'_>, way: &Way<'_>, at: Time) {
        let authorities = way.facts();
        chain::check(findings, &leaf.facts, &authorities, &way.anchor.facts, at);
        lifetime::authorities(findings, &authorities, &way.anchor.facts, at);
        // RFC 5280 §6.1.4 (l): self-issued ones do not count.
        let count = authorities.iter().filter(|facts| !facts.self_issued()).count();
        if let Some(most) = self.asked.max_depth.filter(|most| count > *most) {
            findings.add(&audit::PATH_DEEP, format!("at most {most} intermediates"), count.to_string());
        }
        self.crls.check(findings, leaf, way, at);
    }

    /// What lies beside a leaf, each certificate parsed once in a run.
    fn read(&self, findings: &mut Findings<'_>, candidates: &[Vec<u8>]) -> Vec<Arc<Parsed<'static>>> {
        if candidates.len() > MAX_BESIDE {
            findings.add(&lint::CHAIN_TOO_MANY, format!("at most {MAX_BESIDE}"), candidates.len().to_string());
        }
        let mut all = Vec::new();
        for der in candidates.iter().take(MAX_BESIDE) {
            match self.keep(der) {
                Ok(parsed) => all.push(parsed),
                Err(fault) => findings.add_about(&Fingerprint::of(der), &lint::CHAIN_MALFORMED, "a certificate", fault),
            }
        }
        all
    }

    fn keep(&self, der: &Vec<u8>) -> Kept {
        if let Some(known) = self.kept.lock().ok().and_then(|kept| kept.get(der).cloned()) {
            return known;
        }
        let parsed: Kept = Parsed::owned(der).map(Arc::new).map_err(|fault| fault.to_string());
        if let Ok(mut kept) = self.kept.lock() {
            if kept.len() >= MAX_KEPT {
                kept.clear();
            }
            kept.insert(der.clone(), parsed.clone());
        }
        parsed
    }
}

/// Judges the key of a leaf: its kind, whether it is one, and whether it is the one it should be.
fn key(findings: &mut Findings<'_>, leaf: &Facts, profile: Option<&Profile>, spki: Option<&[u8]>) {
    if leaf.key.kind.is_rare() {
        findings.add(&audit::KEY_RARE, "a key of P-256, P-384, Ed25519 or RSA", &leaf.key.text);
    }
    if leaf.key.weak {
        findings.add(&audit::KEY_WEAK, "P-256, P-384, P-521, Ed25519, ML-DSA or RSA of 2048 bits and more", &leaf.key.text);
    }
    if let Some(profile) = profile.filter(|profile| !profile.keys.iter().any(|allowed| leaf.key.algorithm == Some(*allowed))) {
        let allowed: Vec<&str> = profile.keys.iter().map(|key| key.as_str()).collect();
        findings.add(&lint::KEY_OUTSIDE, allowed.join(", "), &leaf.key.text);
    }
    if let (Some(_), Err(fault)) = (leaf.key.algorithm, pair::sound(&leaf.spki)) {
        findings.add(&lint::KEY_UNSOUND, "a sound public key", fault.to_string());
    }
    if let Some(spki) = spki.filter(|spki| *spki != leaf.spki) {
        let print = |spki: &[u8]| format!("public key with sha256 {}", Fingerprint::of(spki));
        findings.add(&lint::PAIR_MISMATCH, print(spki), print(&leaf.spki));
    }
}
