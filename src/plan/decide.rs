//! What to do about each certificate, and why: pure, from what was found, the settings and one time. Executing decides nothing.

use serde::Serialize;

use super::debt::{about_debt, debt_text, proof_of_live, publishable};
use super::due::due_at;
use super::generation::{Condition, Kept};
use super::inventory::Tree;
use crate::config::settings::{Certificate, Settings};
use crate::judge;
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::name::{CertName, Generation};
use crate::model::reason::{Reason, ReasonCode};
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
    /// Generations that must not be published again, noted before anything else.
    pub withdraw: Vec<Generation>,
    /// Generations that a new one takes the place of once it has passed the gate.
    pub supersede: Vec<Generation>,
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
    let about = about_debt(settings, certificate, tree, now, force, &mut reasons);
    must_issue |= about.must_issue;
    let unproven = proof_reasons(tree, &mut reasons);
    if let Some(text) = &tree.unpublished {
        reasons.push(Reason::new(ReasonCode::Unpublished, text.clone()));
    }
    if force {
        reasons.push(Reason::new(ReasonCode::Forced, "asked for by --force"));
        must_issue = true;
    }
    if let Some(begun) = tree.state.begun.as_ref().filter(|_| live.is_some()) {
        let text = format!("the run that began at {} did not finish; its services may serve something else", begun.at);
        reasons.push(Reason::new(ReasonCode::Unproven, text));
    }
    let doubtful = unproven || not_proven(tree) || tree.state.begun.is_some();
    let settle_live = live.filter(|_| doubtful || tree.unpublished.is_some()).map(|k| k.generation);
    let action = match about.settle {
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
        withdraw: about.withdraw,
        supersede: about.supersede,
        republish: usable.filter(|_| action == Action::Issue && tree.unpublished.is_some()).map(|k| k.generation),
        way_back: unexpired.map(|k| k.generation).filter(|g| Some(*g) != target),
        next: Generation(tree.largest + 1),
        going_back: false,
        unproven: unproven && tree.state.begun.is_none() && action == live.map_or(Action::Nothing, |k| Action::Settle(k.generation)),
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
    if live.keep != certificate.keep {
        let (asked, found) = (certificate.keep.as_str(), live.keep.as_str());
        return Some(format!("expected keep = \"{asked}\", found a key of {} with keep = \"{found}\"", live.generation));
    }
    let against = judge::fits(facts, &certificate.request);
    let blocking: Vec<String> =
        against.iter().filter(|f| f.blocks()).map(|f| format!("expected {}, found {}", f.expected, f.found)).collect();
    (!blocking.is_empty()).then(|| blocking.join("; "))
}

/// The reason in a certificate's validity, if there is one.
pub(super) fn time_reason(settings: &Settings, name: &CertName, facts: &Facts, now: Time) -> Option<Reason> {
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
