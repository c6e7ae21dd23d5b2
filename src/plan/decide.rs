//! What to do about each certificate, and why: pure, from what was found, the settings and one time. Executing decides nothing.

use serde::Serialize;

use super::due::due_at;
use super::generation::{Condition, Kept, certificates};
use super::inventory::Tree;
use crate::config::settings::{Certificate, Settings};
use crate::judge::cert::Facts;
use crate::judge::{self, Gate};
use crate::model::clock::Time;
use crate::model::name::{CertName, Generation};
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::Debt;
use crate::model::span;
use crate::model::state::Proof;

/// What a run does to a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Ask the CA for a new one.
    Issue,
    /// Nothing.
    Nothing,
    /// Publish (where needed), reload and verify a generation that is already here.
    Settle(Generation),
}

/// The plan for one certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its name.
    pub name: CertName,
    /// Whether there is anything to do.
    pub due: bool,
    /// When the committed certificate is due by its lifetime.
    pub due_at: Option<Time>,
    /// When it expires.
    pub expires: Option<Time>,
    /// Why, most telling first.
    pub reasons: Vec<Reason>,
    /// What to do.
    pub action: Action,
    /// Generations that must not be published again.
    pub withdraw: Vec<Generation>,
    /// The committed generation, where consumers must be given it back before anything else.
    pub republish: Option<Generation>,
    /// The generation to go back to when the new one is not taken up.
    pub way_back: Option<Generation>,
    /// The number a new generation gets.
    pub next: Generation,
    /// Committed while its service was stopped: to be proven once it runs.
    pub unproven: bool,
    /// A person's rollback: the generation is older than the one to go back to if it fails.
    pub going_back: bool,
}

/// Decides for one certificate.
#[must_use]
pub fn decide(settings: &Settings, certificate: &Certificate, tree: &Tree, now: Time, force: bool) -> Step {
    let mut reasons = Vec::new();
    let live = tree.live.as_ref();
    let usable = live.filter(|k| publishable(settings, certificate, k, now));
    let mut must_issue = reasons_of_live(settings, certificate, tree, now, &mut reasons);
    // Without a readable state nobody knows what was withdrawn: all that is newer than `live` is.
    let mut withdraw = if tree.state_broken.is_some() { tree.newer.clone() } else { Vec::new() };
    let mut settle = None;
    if let Some(debt) = &tree.debt {
        match debt_is_void(settings, certificate, debt, now) {
            None if !force => {
                reasons.push(Reason::new(ReasonCode::Debt, debt_text(tree, debt.generation)));
                settle = Some(debt.generation);
            }
            void => {
                withdraw.clone_from(&tree.newer);
                let why = void.unwrap_or_else(|| "a new one is forced".to_owned());
                reasons.push(Reason::new(ReasonCode::Debt, format!("{} is withdrawn: {why}", debt.generation)));
                must_issue = true;
            }
        }
    } else if live.is_none() {
        reasons.push(Reason::new(ReasonCode::Missing, "no certificate was committed yet"));
        must_issue = true;
    }
    let unproven = proof_reasons(tree, &mut reasons);
    if let Some(text) = &tree.unpublished {
        reasons.push(Reason::new(ReasonCode::Unpublished, text.clone()));
    }
    if force {
        reasons.push(Reason::new(ReasonCode::Forced, "asked for by --force"));
        must_issue = true;
    }
    let settle_live = live.filter(|_| unproven || tree.unpublished.is_some() || not_proven(tree)).map(|k| k.generation);
    let action = match settle {
        Some(generation) => Action::Settle(generation),
        None if must_issue => Action::Issue,
        None => settle_live.map_or(Action::Nothing, Action::Settle),
    };
    if action == Action::Nothing {
        reasons.push(fresh(settings, certificate, live.and_then(|k| k.facts.as_ref()), now));
    }
    reasons.sort_by_key(|r| r.code);
    let target = if let Action::Settle(generation) = action { Some(generation) } else { None };
    let unexpired = usable.filter(|k| k.facts.as_ref().is_some_and(|f| f.not_after > now && f.not_before <= now));
    let facts = live.and_then(|k| k.facts.as_ref());
    Step {
        name: certificate.name().clone(),
        due: action != Action::Nothing,
        due_at: facts.map(|f| due_at(&settings.host, certificate.name(), f.not_before, f.not_after)),
        expires: facts.map(|f| f.not_after),
        reasons,
        action,
        withdraw,
        republish: usable.filter(|_| action == Action::Issue && tree.unpublished.is_some()).map(|k| k.generation),
        way_back: unexpired.map(|k| k.generation).filter(|g| Some(*g) != target),
        next: Generation(tree.largest + 1),
        going_back: false,
        unproven: unproven && action == live.map_or(Action::Nothing, |k| Action::Settle(k.generation)),
    }
}

/// The reasons in the committed certificate itself; true where a new one must be issued.
fn reasons_of_live(settings: &Settings, certificate: &Certificate, tree: &Tree, now: Time, reasons: &mut Vec<Reason>) -> bool {
    let Some(live) = &tree.live else { return false };
    let before = reasons.len();
    match &live.condition {
        Condition::Intact => {}
        Condition::Changed(text) => reasons.push(Reason::new(ReasonCode::ChangedOnDisk, text.clone())),
        Condition::KeyMismatch => {
            reasons
                .push(Reason::new(ReasonCode::KeyMismatch, format!("certificate and key of {} do not belong together", live.generation)));
        }
        Condition::Unreadable(text) => reasons.push(Reason::new(ReasonCode::Unreadable, text.clone())),
    }
    if let Some(facts) = &live.facts {
        if let Some(text) = settings_changed(settings, certificate, live, facts) {
            reasons.push(Reason::new(ReasonCode::SettingsChanged, text));
        }
        reasons.extend(time_reason(settings, certificate.name(), facts, now));
    }
    reasons.len() > before
}

fn settings_changed(settings: &Settings, certificate: &Certificate, live: &Kept, facts: &Facts) -> Option<String> {
    if live.meta.as_ref().is_some_and(|meta| meta.anchor_sha256 != settings.anchor.sha256) {
        return Some("trust.anchor is another root than the one this certificate was checked against".to_owned());
    }
    let against = judge::fits(facts, &certificate.request);
    let blocking: Vec<String> =
        against.iter().filter(|f| f.blocks()).map(|f| format!("expected {}, found {}", f.expected, f.found)).collect();
    (!blocking.is_empty()).then(|| blocking.join("; "))
}

fn time_reason(settings: &Settings, name: &CertName, facts: &Facts, now: Time) -> Option<Reason> {
    let due = due_at(&settings.host, name, facts.not_before, facts.not_after);
    // As OpenSSL has it, the last second is over (facts/x509 §4).
    if now >= facts.not_after {
        return Some(Reason::new(
            ReasonCode::Expired,
            format!("since {} ({} ago)", facts.not_after, span::about(now.since(facts.not_after))),
        ));
    }
    if now < facts.not_before {
        return Some(Reason::new(ReasonCode::NotYetValid, format!("valid only from {}; is this host's clock right?", facts.not_before)));
    }
    let left = || format!("{} left until {}", span::about(facts.not_after.since(now)), facts.not_after);
    (now >= due).then(|| Reason::new(ReasonCode::InWindow, format!("due since {due}, {}", left())))
}

fn fresh(settings: &Settings, certificate: &Certificate, facts: Option<&Facts>, now: Time) -> Reason {
    let Some(facts) = facts else { return Reason::new(ReasonCode::Fresh, "nothing to do") };
    let due = due_at(&settings.host, certificate.name(), facts.not_before, facts.not_after);
    Reason::new(
        ReasonCode::Fresh,
        format!("valid since {} until {}, due in {} at {due}", facts.not_before, facts.not_after, span::about(due.since(now))),
    )
}

/// Debt is judged by today's settings and clock (ONDISK): why it must not be published, or `None`.
#[must_use]
pub fn debt_is_void(settings: &Settings, certificate: &Certificate, debt: &Kept, now: Time) -> Option<String> {
    let facts = match (&debt.condition, &debt.facts) {
        (Condition::Intact, Some(facts)) => facts,
        (Condition::KeyMismatch, _) => return Some("certificate and key do not belong together".to_owned()),
        (Condition::Changed(text) | Condition::Unreadable(text), _) => return Some(text.clone()),
        (Condition::Intact, None) => return Some("its certificate does not parse".to_owned()),
    };
    if let Some(reason) = time_reason(settings, certificate.name(), facts, now) {
        return Some(format!("{}: {}", reason.code.as_str(), reason.text));
    }
    gate_refuses(settings, certificate, debt, now)
}

/// What the gate holds against a generation, by today's settings and clock; the first of it.
fn gate_refuses(settings: &Settings, certificate: &Certificate, kept: &Kept, now: Time) -> Option<String> {
    let none = || Some("its certificate does not parse".to_owned());
    let (Some(leaf), Some(facts)) = (certificates(kept.cert_pem().as_bytes()).into_iter().next(), &kept.facts) else { return none() };
    let candidates = certificates(kept.chain_pem().as_bytes());
    let (request, anchor) = (&certificate.request, &settings.anchor);
    let verdict = judge::gate(&Gate { request, anchor, leaf: &leaf, candidates: &candidates, spki: &facts.spki }, now);
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

fn debt_text(tree: &Tree, generation: Generation) -> String {
    match tree.state.debt.as_ref().filter(|d| d.generation == generation) {
        Some(debt) => format!(
            "{generation} was issued but not taken up: {} at {} (tried {} times since {})",
            debt.failure.code, debt.failure.stage, debt.attempts, debt.since
        ),
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

fn not_proven(tree: &Tree) -> bool {
    proof_of_live(tree) == Some(Proof::None)
}

/// Adds `debt` or `unproven` for a `live` that was not proven; true for `unproven`.
fn proof_reasons(tree: &Tree, reasons: &mut Vec<Reason>) -> bool {
    let Some(live) = &tree.live else { return false };
    match proof_of_live(tree) {
        Some(Proof::None) => {
            reasons.push(Reason::new(ReasonCode::Debt, debt_text(tree, live.generation)));
            false
        }
        Some(Proof::ServiceStopped) => {
            reasons.push(Reason::new(ReasonCode::Unproven, format!("{} was committed while its service was stopped", live.generation)));
            true
        }
        Some(Proof::Served | Proof::File) | None => false,
    }
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
        code: noted.map(|debt| debt.failure.code.clone()),
        attempts: noted.map_or(0, |debt| debt.attempts),
    })
}
