//! `Issued` becomes `Validated` here and nowhere else: the gate between what a CA answered and everything that serves it.
//! It must never let anything through that `judge::gate` refuses, and never decide by itself.

use crate::judge::cert::Facts;
use crate::judge::lint::{self, Findings};
use crate::judge::{self, Gate, pem};
use crate::model::anchor::{Anchor, Fingerprint};
use crate::model::clock::Time;
use crate::model::failure::{Failure, Stage};
use crate::model::finding::Finding;
use crate::model::request::Request;
use crate::model::text;

/// The longest `refused_pem` of a ledger line, in bytes (CONTRACT).
const MAX_REFUSED_PEM: usize = 16 * 1024;
/// The longest text of a failure, in characters; the findings hold all of it.
const MAX_TEXT: usize = 1_000;

/// What is to be validated: an answer of a CA, or a generation that was never taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// PEM of the leaf; where it holds several certificates (`pem_bundle`), the first is the leaf.
    pub leaf_pem: String,
    /// PEM texts of whatever came with it, each with any number of certificates.
    pub others: Vec<String>,
    /// DER of our own public key.
    pub spki: Vec<u8>,
}

/// A certificate that passed every check, with its chain. Only [`validate`] makes one.
#[derive(Clone, Debug)]
pub struct Validated {
    leaf: Vec<u8>,
    chain: Vec<Vec<u8>>,
    facts: Facts,
    spki: Vec<u8>,
    findings: Vec<Finding>,
}

impl Validated {
    /// DER of the leaf.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// DER of the intermediates, leaf side first, without the root.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// What the leaf says.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// DER of the public key, ours and the leaf's.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// What was found and blocks nothing.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// Why something did not pass.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// Everything that was found.
    pub findings: Vec<Finding>,
    /// The blocking ones in one line.
    pub failure: Failure,
    /// SHA-256 of the leaf, where there is one.
    pub sha256: Option<Fingerprint>,
    /// Its serial number.
    pub serial: Option<String>,
    /// What was refused, for the ledger: CERTIFICATE blocks only, whole ones, at most 16 KiB.
    pub refused_pem: Option<String>,
}

/// Judges an answer by what was asked, the pinned anchor and the time.
///
/// # Errors
/// The material, untouched, and all reasons at once.
pub fn validate(material: Material, request: &Request, anchor: &Anchor, now: Time) -> Result<Validated, (Material, Box<Rejection>)> {
    let mut input = Findings::new(&request.profile.lints);
    let mut certificates = pem::read(&material.leaf_pem, &mut input);
    let has_leaf = !certificates.is_empty();
    for text in &material.others {
        certificates.extend(pem::read(text, &mut input));
    }
    if !has_leaf {
        input.add(&lint::PEM_NO_CERTIFICATE, "a CERTIFICATE block", "none");
        let refused = reject(request, input.into_vec(), None, None, &certificates);
        return Err((material, refused));
    }
    let leaf = certificates.remove(0);
    let verdict = judge::gate(&Gate { request, anchor, leaf: &leaf, candidates: &certificates, spki: &material.spki }, now);
    let blocked = verdict.refused() || input.blocks();
    let mut findings = input.into_vec();
    findings.extend(verdict.findings);
    match (verdict.facts, verdict.path) {
        (Some(facts), Some(chain)) if !blocked => Ok(Validated { leaf, chain, facts, spki: material.spki, findings }),
        (facts, _) => {
            certificates.insert(0, leaf);
            let refused = reject(request, findings, certificates.first(), facts, &certificates);
            Err((material, refused))
        }
    }
}

fn reject(request: &Request, findings: Vec<Finding>, leaf: Option<&Vec<u8>>, facts: Option<Facts>, all: &[Vec<u8>]) -> Box<Rejection> {
    let blocking: Vec<&Finding> = findings.iter().filter(|finding| finding.blocks()).collect();
    let words: Vec<String> = blocking.iter().map(|f| format!("{}: expected {}, found {}", f.id, f.expected, f.found)).collect();
    let mut failure = Failure::new(Stage::Validate, "refused", text::one_line(&words.join("; "), MAX_TEXT));
    failure.hint = blocking.iter().find_map(|finding| lint::find(&finding.id)?.remedy_for(&request.role));
    Box::new(Rejection {
        failure,
        sha256: leaf.map(|leaf| Fingerprint::of(leaf)),
        serial: facts.map(|facts| facts.serial),
        refused_pem: refused_pem(all),
        findings,
    })
}

fn refused_pem(certificates: &[Vec<u8>]) -> Option<String> {
    let mut kept = String::new();
    for der in certificates {
        let block = pem::write(der);
        if kept.len() + block.len() > MAX_REFUSED_PEM {
            break;
        }
        kept.push_str(&block);
    }
    (!kept.is_empty()).then_some(kept)
}
