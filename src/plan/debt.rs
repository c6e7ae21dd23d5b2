//! Debt: what was issued and not deployed. Whether it may still be published, and how reports show it.

use super::due::Renewal;
use super::generation::{Condition, Kept, certificates};
use super::inventory::Tree;
use super::validity::time_reason;
use crate::config::settings::{Certificate, Settings};
use crate::judge::{self, Gate};
use crate::model::clock::Time;
use crate::model::name::Generation;
use crate::model::report::Debt;
use crate::model::state::Proof;

/// Debt is judged by today's settings and clock ([Debt](crate::steps::swap#debt)): why it must not be published, or `None`.
#[must_use]
pub fn debt_is_void(settings: &Settings, certificate: &Certificate, debt: &Kept, now: Time) -> Option<String> {
    let facts = match (&debt.condition, &debt.facts) {
        (Condition::Intact, Some(facts)) => facts,
        (Condition::KeyMismatch, _) => return Some("certificate and key do not belong together".to_owned()),
        (Condition::Changed(text) | Condition::Unreadable(text), _) => return Some(text.clone()),
        (Condition::Intact, None) => return Some("its certificate does not parse".to_owned()),
    };
    if let Some(reason) = time_reason(&Renewal::of(settings, certificate), facts, now) {
        return Some(format!("{}: {}", reason.code.as_str(), reason.text));
    }
    if debt.keep != certificate.keep {
        return Some(format!("its key was made for keep = \"{}\"", debt.keep.as_str()));
    }
    gate_refuses(settings, certificate, debt, now)
}

/// What the gate holds against a generation, by today's settings and clock; the first of it.
fn gate_refuses(settings: &Settings, certificate: &Certificate, kept: &Kept, now: Time) -> Option<String> {
    let none = || Some("its certificate does not parse".to_owned());
    let (Some(leaf), Some(facts)) = (certificates(kept.cert_pem().as_bytes()).into_iter().next(), &kept.facts) else { return none() };
    let candidates = certificates(kept.chain_pem().as_bytes());
    let (request, anchors) = (&certificate.request, settings.anchors());
    let verdict =
        judge::gate(&Gate { request, anchors: &anchors, leaf: &leaf, candidates: &candidates, spki: &facts.spki, serves_until: None }, now);
    let blocking = verdict.findings.iter().find(|f| f.blocks());
    blocking.map(|f| format!("{}: expected {}, found {}", f.id, f.expected, f.found))
}

/// Whether consumers may be given this generation (back): it is the one that was staged, or it passes the gate as it is now.
#[must_use]
pub fn publishable(settings: &Settings, certificate: &Certificate, kept: &Kept, now: Time) -> bool {
    match kept.condition {
        Condition::Intact => true,
        Condition::Changed(_) => gate_refuses(settings, certificate, kept, now).is_none(),
        Condition::KeyMismatch | Condition::Unreadable(_) => false,
    }
}

/// Why a generation waits, in words.
pub(super) fn debt_text(tree: &Tree, generation: Generation) -> String {
    match tree.state.debt.as_ref().filter(|d| d.generation == generation) {
        Some(debt) => format!(
            "{generation} was issued but not taken up: {} at {} (tried {} since {})",
            debt.failure.code,
            debt.failure.stage,
            if debt.attempts == 1 { "once".to_owned() } else { format!("{} times", debt.attempts) },
            debt.since
        ),
        None if tree.live.as_ref().is_some_and(|live| live.generation == generation) => {
            format!("{generation} is committed, and how it was proven is not known")
        }
        None => format!("{generation} was issued but its run did not finish"),
    }
}

/// The proof of `live`, as far as the state knows it; entries for other generations are void.
#[must_use]
pub fn proof_of_live(tree: &Tree) -> Option<Proof> {
    let live = tree.live.as_ref()?;
    let proven = tree.state.proven.as_ref().filter(|p| p.generation == live.generation);
    Some(proven.map_or(Proof::None, |p| p.proof))
}

/// The debt of a tree as reports show it.
#[must_use]
pub fn debt_of(tree: &Tree) -> Option<Debt> {
    let unproven = tree.live.as_ref().filter(|_| proof_of_live(tree) == Some(Proof::None));
    let kept = tree.debt.as_ref().or(unproven)?;
    let noted = tree.state.debt.as_ref().filter(|debt| debt.generation == kept.generation);
    Some(Debt {
        generation: kept.generation,
        sha256: kept.facts.as_ref().map(|facts| facts.sha256.clone()),
        since: noted.map(|debt| debt.since).or_else(|| kept.meta.as_ref().map(|meta| meta.staged)),
        stage: noted.map(|debt| debt.failure.stage),
        code: noted.map(|debt| debt.failure.code),
        attempts: noted.map_or(0, |debt| debt.attempts),
    })
}
