//! A judged leaf as the report draws it: every certificate of its path with what people ask about.

use crate::judge::assess::Assessment;
use crate::judge::cert::Facts;
use crate::model::anchor::Fingerprint;
use crate::model::audit::{Chain, Link, Target};
use crate::model::clock::Time;
use crate::model::text::{self, one_line};

/// The chain of this assessment.
#[must_use]
pub fn chain(target: Target, assessment: &Assessment, at: Time) -> Chain {
    let links: Vec<Link> = assessment.path.iter().filter_map(|der| Facts::parse(der).ok()).map(|facts| link(&facts)).collect();
    Chain {
        target: Target { name: one_line(&target.name, text::SERVER_TEXT), ..target },
        leaf_sha256: assessment.path.first().map(|der| Fingerprint::of(der).as_str().to_owned()).unwrap_or_default(),
        verdict: assessment.verdict,
        path: assessment.path.iter().map(|der| Fingerprint::of(der).as_str().to_owned()).collect(),
        peers: assessment.peers,
        elapsed: assessment.facts.as_ref().map(|facts| elapsed(facts, at)),
        links,
        renewals_left: None,
    }
}

fn link(facts: &Facts) -> Link {
    Link {
        sha256: facts.sha256.as_str().to_owned(),
        subject: one_line(&facts.subject.to_string(), text::SERVER_TEXT),
        serial: facts.serial.clone(),
        key: facts.key.text.clone(),
        spki_sha256: Fingerprint::of(&facts.spki).as_str().to_owned(),
        not_before: facts.not_before,
        not_after: facts.not_after,
    }
}

/// How much of a life is over, from 0; beyond 1 once it has ended.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "seconds of a certificate's life are far below 2^52")]
pub fn elapsed(facts: &Facts, at: Time) -> f64 {
    let part = at.since(facts.not_before) as f64 / facts.lifetime().max(1) as f64;
    (part.max(0.0) * 1000.0).round() / 1000.0
}
