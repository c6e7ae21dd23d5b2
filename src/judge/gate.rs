//! The gate: all checks over one answer of a CA, and the two smaller questions that are asked with the same engine.
//! It must never stop at the first rejection, and never accept without a path to the pinned anchor.

use std::collections::BTreeMap;

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::cert::Facts;
use super::lint::{self, Findings};
use super::path::{Parsed, Search};
use super::{chain, form, lifetime, name, pair, usage};
use crate::model::anchor::Anchor;
use crate::model::clock::Time;
use crate::model::finding::Finding;
use crate::model::profile::Purpose;
use crate::model::request::Request;
use crate::model::text;

/// More certificates than this are not looked at: no chain of ours comes near, and each costs work.
const MAX_CANDIDATES: usize = 32;

/// What is to be judged, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// What was asked for.
    pub request: &'a Request,
    /// The pinned root.
    pub anchor: &'a Anchor,
    /// DER of the certificate that was answered.
    pub leaf: &'a [u8],
    /// DER of whatever came with it, in any order, junk included.
    pub candidates: &'a [Vec<u8>],
    /// DER of our own public key.
    pub spki: &'a [u8],
}

/// What the gate says.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What the leaf says, where it parses.
    pub facts: Option<Facts>,
    /// DER of the intermediates, leaf side first, without the root; `None` where no path leads to the anchor.
    pub path: Option<Vec<Vec<u8>>>,
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
    let anchor =
        Parsed::new(&gate.anchor.der).map_err(|fault| findings.add(&lint::ANCHOR_MALFORMED, "a certificate", fault.to_string())).ok();
    if let Some(leaf) = &leaf {
        form::check(&mut findings, &leaf.facts, "");
        form::leaf(&mut findings, &leaf.facts);
        fit(&mut findings, &leaf.facts, gate.request);
        own_key(&mut findings, &leaf.facts, gate.spki);
        lifetime::check(&mut findings, &leaf.facts, gate.request, now);
    }
    let path = match (&leaf, &anchor) {
        (Some(leaf), Some(anchor)) => to_anchor(&mut findings, gate, leaf, anchor, now),
        _ => None,
    };
    if path.is_none() && !findings.blocks() {
        findings.add(&lint::PATH_NONE, "a path to the pinned root", "none");
    }
    Verdict { facts: leaf.map(|leaf| leaf.facts), path, findings: findings.into_vec() }
}

fn to_anchor(findings: &mut Findings<'_>, gate: &Gate<'_>, leaf: &Parsed<'_>, anchor: &Parsed<'_>, now: Time) -> Option<Vec<Vec<u8>>> {
    if gate.candidates.len() > MAX_CANDIDATES {
        findings.add(&lint::CHAIN_TOO_MANY, format!("at most {MAX_CANDIDATES}"), gate.candidates.len().to_string());
        return None;
    }
    let usable = chain::usable(findings, gate.candidates, leaf.der, anchor);
    let search = Search { leaf, candidates: &usable, anchor, purpose: gate.request.profile.purpose, now };
    let lints = &gate.request.profile.lints;
    let found = search.find(&|authorities| {
        let mut own = Findings::new(lints);
        chain::check(&mut own, &leaf.facts, authorities, &anchor.facts, now);
        !own.blocks()
    });
    // Where no path is good, any path says what is wrong with it.
    match found.or_else(|_| search.find(&|_| true)) {
        Ok(path) => {
            let authorities: Vec<&Facts> = path.iter().map(|parsed| &parsed.facts).collect();
            chain::check(findings, &leaf.facts, &authorities, &anchor.facts, now);
            chain::surplus(findings, &usable, &path);
            Some(path.iter().map(|parsed| parsed.der.to_vec()).collect())
        }
        Err(error) => {
            search.explain(findings, &error);
            None
        }
    }
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
    let print = |spki: &[u8]| format!("public key with sha256 {}", crate::model::anchor::Fingerprint::of(spki));
    if leaf.spki != spki {
        findings.add(&lint::PAIR_MISMATCH, print(spki), print(&leaf.spki));
    }
    if let (Some(_), Err(fault)) = (leaf.key.algorithm, pair::sound(&leaf.spki)) {
        findings.add(&lint::KEY_UNSOUND, "a sound public key", fault.to_string());
    }
}

/// Whether a chain as it came over the wire leads to the anchor and is for this name, a DNS name or an IP address.
///
/// # Errors
/// Why not, in one line that is safe to print.
pub fn served(anchor: &Anchor, chain_as_sent: &[Vec<u8>], server_name: &str, now: Time) -> Result<(), String> {
    let safe = |words: &str| text::one_line(words, text::SERVER_TEXT);
    let (leaf, others) = chain_as_sent.split_first().ok_or("no certificate was sent")?;
    let parsed = Parsed::new(leaf).map_err(|fault| safe(&fault.to_string()))?;
    let root = Parsed::new(&anchor.der).map_err(|fault| safe(&format!("the pinned root: {fault}")))?;
    let severities = BTreeMap::new();
    let mut findings = Findings::new(&severities);
    let others = others.get(..MAX_CANDIDATES.min(others.len())).unwrap_or_default();
    let usable = chain::usable(&mut findings, others, leaf, &root);
    let search = Search { leaf: &parsed, candidates: &usable, anchor: &root, purpose: Purpose::Server, now };
    let judge = |authorities: &[&Facts]| {
        let mut own = Findings::new(&severities);
        chain::check(&mut own, &parsed.facts, authorities, &root.facts, now);
        own
    };
    match search.find(&|authorities| !judge(authorities).blocks()).or_else(|_| search.find(&|_| true)) {
        Ok(path) => {
            let own = judge(&path.iter().map(|on| &on.facts).collect::<Vec<_>>());
            blocking(own.into_vec().iter().chain(&findings.into_vec()))?;
        }
        Err(error) => {
            search.explain(&mut findings, &error);
            blocking(findings.into_vec().iter())?;
            return Err(safe(&format!("no path to the pinned root {}: {error:?}", root.facts.subject)));
        }
    }
    for_name(leaf, server_name).map_err(|found| safe(&format!("expected a certificate for {server_name}, found {found}")))
}

fn blocking<'f>(findings: impl Iterator<Item = &'f Finding>) -> Result<(), String> {
    let found: Vec<String> =
        findings.filter(|f| f.blocks()).map(|f| format!("{}: expected {}, found {}", f.id, f.expected, f.found)).collect();
    if found.is_empty() { Ok(()) } else { Err(found.join("; ")) }
}

fn for_name(leaf: &[u8], server_name: &str) -> Result<(), String> {
    let wanted = ServerName::try_from(server_name).map_err(|_| "a name that is neither DNS name nor address".to_owned())?;
    let der = CertificateDer::from(leaf);
    let certificate = EndEntityCert::try_from(&der).map_err(|error| format!("{error:?}"))?;
    certificate.verify_is_valid_for_subject_name(&wanted).map_err(|_| {
        let names: Vec<String> = Facts::parse(leaf)
            .ok()
            .and_then(|facts| facts.extensions.san)
            .map(|san| san.dns.into_iter().chain(san.ip.iter().map(ToString::to_string)).collect())
            .unwrap_or_default();
        format!("one for {}", if names.is_empty() { "no name".to_owned() } else { names.join(", ") })
    })
}
