//! Judges any chain without settings: path, form, usage, names, keys and revocation lists, as `chain-audit` asks.
//! It must never be kinder than the gate: both use the same checks.

use std::sync::Arc;

use super::cert::Facts;
use super::lint::{self, Findings};
use super::path::{Anchors, Parsed, Search};
use super::{chain, form};
use crate::model::audit::{Peers, Verdict};
use crate::model::clock::Time;
use crate::model::finding::Finding;
use crate::model::profile::{Profile, Purpose};

/// A name that the leaf must be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A DNS name, matched as RFC 6125 does.
    Dns(String),
    /// An IP address.
    Ip(std::net::IpAddr),
    /// A URI, such as a SPIFFE ID, equal to one of the leaf's.
    Uri(String),
}

/// What is asked of every chain of one run.
#[derive(Clone, Debug, Default)]
pub struct Asked {
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
    pub asked: &'a Asked,
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

/// Judges one chain.
#[must_use]
pub fn assess(question: &Question<'_>) -> Assessment {
    let severities = question.asked.profile.as_ref().map(|profile| profile.lints.clone()).unwrap_or_default();
    let mut findings = Findings::new(&severities);
    let leaf = Parsed::new(question.leaf).map_err(|fault| findings.add(&lint::MALFORMED, "a certificate", fault.to_string())).ok();
    let mut path = vec![question.leaf.to_vec()];
    let mut found = false;
    if let Some(leaf) = &leaf {
        form::check(&mut findings, &leaf.facts, "");
        form::leaf(&mut findings, &leaf.facts);
        let known: Vec<Parsed<'_>> = question.candidates.iter().filter_map(|der| Parsed::new(der).ok()).collect();
        let candidates: Vec<&Parsed<'_>> = known.iter().collect();
        let anchors = Anchors::new(question.anchors.iter().filter_map(|der| Parsed::new(der).ok()));
        let search = Search { leaf, candidates: &candidates, anchors: &anchors, purpose: question.asked.purpose, now: question.at };
        if let Ok(way) = search.best(&|_| 0) {
            chain::check(&mut findings, &leaf.facts, &way.facts(), &way.anchor.facts, question.at);
            path.extend(way.authorities.iter().map(|parsed| parsed.der.to_vec()));
            path.push(way.anchor.der.to_vec());
            found = true;
        }
    }
    let blocked = findings.blocks();
    let verdict = if found && !blocked { Verdict::Accept } else { Verdict::Reject };
    let peers = Peers { rustls: verdict, openssl: verdict, python: verdict, go: verdict };
    Assessment { facts: leaf.map(|leaf| leaf.facts), verdict, path, peers, findings: findings.into_vec() }
}
