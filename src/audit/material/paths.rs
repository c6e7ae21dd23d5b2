//! From a leaf to what the host trusts: asks the judge, and where a path fails for what is sent, looks among everything that lies on the host
//! for what is missing. It must never accept where the judge does not.

use std::path::PathBuf;

use super::blocks::Cert;
use super::room::Room;
use crate::judge::assess::{Asked, Assessment, Question, assess};
use crate::judge::cert::Facts;
use crate::model::audit::{Chain, Link, Target, Verdict};
use crate::model::clock::Time;
use crate::model::profile::Purpose;

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
    /// Where the path fails: the name of an authority that nothing here knows.
    pub(super) unknown_issuer: Option<String>,
}

/// Judges a leaf with what is sent beside it.
pub(super) fn judge(room: &Room<'_>, leaf: &Cert, sent: &[&Cert], purpose: Purpose) -> Judged {
    let asked = Asked { purpose: Some(purpose), ..room.ground.asked.clone() };
    let mut candidates: Vec<Vec<u8>> = sent.iter().map(|cert| cert.der.clone()).collect();
    candidates.extend(room.ground.intermediates.iter().cloned());
    let ask = |candidates: &[Vec<u8>], anchors: &[Vec<u8>]| {
        assess(&Question { leaf: &leaf.der, candidates, anchors, crls: room.ground.crls, spki: None, asked: &asked, at: room.at })
    };
    let chain: Vec<&Cert> = [leaf].into_iter().chain(sent.iter().copied()).collect();
    let anchors = room.anchors(&chain);
    let assessment = ask(&candidates, &anchors);
    let ends = |assessment: &Assessment, anchors: &[Vec<u8>]| {
        assessment.path.len() > 1 && assessment.path.last().is_some_and(|last| anchors.contains(last))
    };
    if ends(&assessment, &anchors) || anchors.is_empty() {
        return Judged { complete: !anchors.is_empty(), chain: facts(&assessment), assessment, missing: Vec::new(), unknown_issuer: None };
    }
    // What else lies on this host may be what is missing.
    let (helpers, places): (Vec<&Cert>, Vec<PathBuf>) = room.shelf.authorities().map(|(cert, paper)| (cert, paper.path.clone())).unzip();
    let mut all = candidates.clone();
    all.extend(helpers.iter().filter(|cert| !cert.is_root()).map(|cert| cert.der.clone()).filter(|der| !candidates.contains(der)));
    all.sort();
    all.dedup();
    let whole: Vec<&Cert> = chain.iter().copied().chain(helpers.iter().copied()).collect();
    let anchors = room.anchors(&whole);
    let helped = ask(&all, &anchors);
    if ends(&helped, &anchors) {
        let lacking = helped.path.iter().skip(1).filter(|der| !candidates.contains(der) && !anchors.contains(der));
        let place = |der: &Vec<u8>| {
            helpers.iter().zip(&places).find(|(cert, _)| cert.der == *der).map(|(cert, place)| ((*cert).clone(), place.clone()))
        };
        let missing = lacking.filter_map(place).collect();
        let chain = facts(&helped);
        return Judged {
            assessment: Assessment { verdict: Verdict::Reject, ..helped },
            chain,
            complete: false,
            missing,
            unknown_issuer: None,
        };
    }
    let unknown_issuer = top(room, leaf, &whole);
    Judged { chain: facts(&assessment), assessment, complete: false, missing: Vec::new(), unknown_issuer }
}

/// Climbs by names: the issuer at which nobody is known any more, unless a name of an anchor is reached.
fn top(room: &Room<'_>, leaf: &Cert, known: &[&Cert]) -> Option<String> {
    let mut here = &leaf.facts;
    for _ in 0..known.len().min(16) {
        if here.self_issued()
            || room.anchors(&[]).iter().any(|der| Facts::parse(der).is_ok_and(|facts| facts.subject.der == here.issuer.der))
        {
            return None;
        }
        match known.iter().find(|cert| cert.facts.subject.der == here.issuer.der && cert.facts.sha256 != here.sha256) {
            Some(next) => here = &next.facts,
            None => return Some(here.issuer.to_string()),
        }
    }
    None
}

/// A judged leaf for the document; `None` where it does not parse.
pub(super) fn shown(assessment: &Assessment, target: Target, at: Time) -> Option<Chain> {
    let leaf = assessment.facts.as_ref()?;
    let life = leaf.lifetime();
    let path = facts(assessment);
    #[expect(clippy::cast_precision_loss, reason = "seconds of a life, far below 2^52")]
    let elapsed = (life > 0).then(|| (at.since(leaf.not_before).max(0) as f64) / life as f64);
    Some(Chain {
        target,
        leaf_sha256: leaf.sha256.as_str().to_owned(),
        verdict: assessment.verdict,
        path: path.iter().map(|facts| facts.sha256.as_str().to_owned()).collect(),
        peers: assessment.peers,
        links: path.iter().map(link).collect(),
        elapsed,
    })
}

fn facts(assessment: &Assessment) -> Vec<Facts> {
    assessment.path.iter().filter_map(|der| Facts::parse(der).ok()).collect()
}

fn link(facts: &Facts) -> Link {
    let safe = |words: &str| crate::model::text::one_line(words, crate::model::text::SERVER_TEXT);
    Link {
        sha256: facts.sha256.as_str().to_owned(),
        subject: safe(&facts.subject.to_string()),
        serial: safe(&facts.serial),
        key: safe(&facts.key.text),
        not_before: facts.not_before,
        not_after: facts.not_after,
    }
}
