//! What to do about each certificate, and why: pure, from what was found, the settings and one time. [`choice`] chooses;
//! here the facts for it are drawn from what lies on disk, together with the reasons in words.

use super::choice::{self, Issue, Known, Live, Plan, Settle, Why};
use super::debt::{debt_is_void, debt_text, is_in_doubt, is_unasked, proof_of_live, publishable, unproven_text};
use super::due::Renewal;
use super::generation::{Condition, Kept};
use super::inventory::{StateFile, Tree};
use super::links;
use super::overdue::Deadline;
use super::validity::{fresh, is_valid, time_reason};
use super::window::{self, Hold, Life};
use crate::config::settings::{Certificate, Settings};
use crate::judge::cert::Facts;
use crate::judge::{self, lint};
use crate::model::clock::Time;
use crate::model::finding::Finding;
use crate::model::name::{CertName, Generation};
use crate::model::reason::{Reason, ReasonCode};
use crate::model::state::Proof;
use crate::model::window::Windows;

/// The plan for one certificate, with its reasons.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Its name.
    pub name: CertName,
    /// When the committed certificate is due by its lifetime.
    pub due_at: Option<Time>,
    /// When it expires.
    pub expires: Option<Time>,
    /// Why, most telling first.
    pub reasons: Vec<Reason>,
    /// What to do.
    pub plan: Plan,
    /// Whether that may be done now.
    pub hold: Hold,
}

/// What a person asked for beside what the settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// A new certificate, whatever is there.
    pub force: bool,
    /// Not to wait for a window.
    pub ignore_window: bool,
    /// To ask the CA whether it has revoked what serves.
    pub check_revoked: bool,
}

/// Decides for one certificate.
#[must_use]
pub fn decide(settings: &Settings, certificate: &Certificate, tree: &Tree, now: Time, wishes: Wishes) -> Decision {
    let judged = Judged { settings, certificate, tree, now, wishes };
    let mut reasons = judged.of_live();
    let live_is_due = !reasons.is_empty();
    let void = tree.debt.as_ref().and_then(|debt| debt_is_void(settings, certificate, debt, now));
    reasons.extend(judged.of_debt(void.as_deref()));
    reasons.extend(judged.of_the_rest());
    let mut plan = choice::choose(&judged.known(live_is_due, void.is_some()));
    if let Some(conflict) = tree.rename.conflict(certificate.name()) {
        reasons.push(Reason::new(ReasonCode::Unreadable, conflict.text));
        plan = Plan::Rest;
    } else if let StateFile::Newer(_) = tree.state_file {
        reasons.extend(tree.state_file.problem().map(|text| Reason::new(ReasonCode::Unreadable, text)));
        plan = Plan::Rest;
    } else if plan == Plan::Rest {
        reasons.push(fresh(&Renewal::of(settings, certificate), judged.live_facts(), now));
    }
    judged.decision(reasons, plan)
}

/// Plans a person's rollback.
///
/// # Errors
/// Why there is nothing to go back to, in words.
pub fn rollback(settings: &Settings, certificate: &Certificate, tree: &Tree, now: Time) -> Result<Decision, String> {
    let (live, settle) = before_live(tree)?;
    let text = format!("from {live} back to {}, asked for by a person", settle.generation);
    let judged = Judged { settings, certificate, tree, now, wishes: Wishes::default() };
    Ok(judged.decision(vec![Reason::new(ReasonCode::Forced, text)], Plan::Settle(settle)))
}

/// `live`, and the generation that was committed before it, or else the newest older one.
fn before_live(tree: &Tree) -> Result<(Generation, Settle), String> {
    let live = tree.live.as_ref().map(|kept| kept.generation).ok_or("nothing was committed yet")?;
    let noted = tree.state.previous.filter(|g| *g < live && tree.complete.contains(g));
    let newest = tree.complete.iter().copied().filter(|g| *g < live).max();
    let generation = noted.or(newest).ok_or_else(|| format!("there is no generation before {live}"))?;
    // Noted before anything moves: a kill from there on must not bring one of them back as debt.
    let withdraw = tree.complete.iter().copied().filter(|g| *g > generation).collect();
    Ok((live, Settle { generation, why: Why::Rollback, withdraw, fallback: Some(live) }))
}

/// What a decision is made from.
struct Judged<'a> {
    settings: &'a Settings,
    certificate: &'a Certificate,
    tree: &'a Tree,
    now: Time,
    wishes: Wishes,
}

impl Judged<'_> {
    fn live_facts(&self) -> Option<&Facts> {
        self.tree.live.as_ref()?.facts.as_ref()
    }

    /// The windows that count.
    fn windows(&self) -> Option<&Windows> {
        self.certificate.window.as_ref().filter(|_| !self.wishes.ignore_window)
    }

    fn decision(&self, reasons: Vec<Reason>, plan: Plan) -> Decision {
        let hold = window::hold(self.windows(), &plan, self.live_facts().map(Life::of), self.now);
        // A new certificate waits for its window; what consumers lack meanwhile does not.
        let (plan, hold) = match (plan, hold) {
            (Plan::Issue(Issue { otherwise: Some(settle), .. }), Hold::Until(_)) => (Plan::Settle(settle), Hold::None),
            other => other,
        };
        let mut reasons = reasons;
        reasons.sort_by_key(|reason| reason.code);
        let (name, facts) = (self.certificate.name().clone(), self.live_facts());
        let due_at = facts.map(|facts| Renewal::of(self.settings, self.certificate).due_at(facts.not_before, facts.not_after));
        Decision { due_at, expires: facts.map(|facts| facts.not_after), name, reasons, plan, hold }
    }

    fn known(&self, due: bool, void: bool) -> Known {
        let tree = self.tree;
        let live = tree.live.as_ref().map(|kept| Live {
            generation: kept.generation,
            due,
            publishable: publishable(self.settings, self.certificate, kept, self.now),
            valid: kept.facts.as_ref().is_some_and(|facts| is_valid(facts, self.now)),
            proof: proof_of_live(tree).unwrap_or(Proof::None),
        });
        Known {
            live,
            debt: tree.debt.as_ref().map(|kept| choice::Debt { generation: kept.generation, void }),
            newer: tree.newer.clone(),
            knows_withdrawn: tree.state_file == StateFile::Known,
            begun: tree.state.begun.is_some(),
            published: tree.unpublished.is_none(),
            trusts: tree.trust_changed.is_none(),
            awaits_links: is_unasked(tree) && tree.missing_link.is_some(),
            force: self.wishes.force,
            next: Generation::after(tree.largest),
        }
    }

    /// The reasons in the committed certificate itself: each asks for a new one.
    fn of_live(&self) -> Vec<Reason> {
        let Some(live) = &self.tree.live else { return Vec::new() };
        let files = match &live.condition {
            Condition::Intact => None,
            Condition::Changed(text) => Some(Reason::new(ReasonCode::ChangedOnDisk, text.clone())),
            Condition::KeyMismatch => {
                let text = format!("certificate and key of {} do not belong together", live.generation);
                Some(Reason::new(ReasonCode::KeyMismatch, text))
            }
            Condition::Unreadable(text) => Some(Reason::new(ReasonCode::Unreadable, text.clone())),
        };
        let mut reasons: Vec<Reason> = files.into_iter().collect();
        reasons.extend(self.tree.refused_key().map(|refused| Reason::new(ReasonCode::Unreadable, refused.text())));
        if let Some(facts) = &live.facts {
            let changed = settings_changed(self.settings, self.certificate, live, facts);
            reasons.extend(changed.map(|text| Reason::new(ReasonCode::SettingsChanged, text)));
            if self.tree.state.revoked.contains(&facts.serial) {
                reasons.push(Reason::new(ReasonCode::Revoked, format!("the CA has revoked {}", facts.serial)));
            }
            let renewal = Renewal::of(self.settings, self.certificate);
            let staged = live.staged();
            let early = || self.windows().and_then(|windows| window::early(windows, &renewal, Life::of(facts), staged, self.now));
            reasons.extend(time_reason(&renewal, facts, self.now).or_else(early));
            let due = renewal.due_at(facts.not_before, facts.not_after);
            reasons.extend(Deadline { due, expires: facts.not_after, period: None }.reason(self.now));
        }
        reasons
    }

    /// The reason in what was issued and not deployed, or in that nothing was ever committed; `void` is why it must not be published.
    fn of_debt(&self, void: Option<&str>) -> Option<Reason> {
        let Some(debt) = self.tree.debt.as_ref().map(|kept| kept.generation) else {
            return self.tree.live.is_none().then(|| Reason::new(ReasonCode::Missing, "no certificate was committed yet"));
        };
        let text = match void {
            Some(why) => format!("{debt} is withdrawn: {why}"),
            None if self.wishes.force => format!("{debt} waits; a new one is to take its place"),
            None => debt_text(self.tree, debt),
        };
        Some(Reason::new(ReasonCode::Debt, text))
    }

    /// The reasons outside of the certificates: proof, run directory, a person, a run that did not finish.
    fn of_the_rest(&self) -> Vec<Reason> {
        let (tree, mut reasons) = (self.tree, Vec::new());
        let live = tree.live.as_ref().map(|kept| kept.generation);
        match live.zip(proof_of_live(tree)) {
            Some((live, Proof::None)) if is_in_doubt(tree) => reasons.push(Reason::new(ReasonCode::Debt, debt_text(tree, live))),
            Some((live, Proof::None)) if is_unasked(tree) && tree.missing_link.is_none() => {
                reasons.push(Reason::new(ReasonCode::Unproven, unproven_text(tree, live)));
            }
            Some((live, Proof::ServiceStopped)) => {
                reasons.push(Reason::new(ReasonCode::Unproven, format!("{live} was committed while its service was stopped")));
            }
            Some((_, Proof::Served | Proof::File | Proof::None)) | None => {}
        }
        reasons.extend(tree.unpublished.iter().map(|text| Reason::new(ReasonCode::Unpublished, text.clone())));
        reasons.extend(tree.trust_changed.iter().map(|text| Reason::new(ReasonCode::TrustChanged, text.clone())));
        if let Some(text) = &tree.missing_link {
            reasons.push(Reason::new(ReasonCode::LinkMissing, links::with_remedy(text)));
        }
        if let Some(under_way) = &tree.under_way {
            let since = under_way.since.map_or(String::new(), |since| format!(" since {since}"));
            reasons.push(Reason::new(ReasonCode::InProgress, format!("a run is at work on it{since}, at {}", under_way.stage)));
        }
        if self.wishes.force {
            reasons.push(Reason::new(ReasonCode::Forced, "asked for by --force"));
        }
        if let Some(begun) = tree.state.begun.as_ref().filter(|_| live.is_some()) {
            let text = format!("the run that began at {} did not finish; its services may serve something else", begun.at);
            reasons.push(Reason::new(ReasonCode::Unproven, text));
        }
        reasons
    }
}

fn settings_changed(settings: &Settings, certificate: &Certificate, live: &Kept, facts: &Facts) -> Option<String> {
    let checked_against = live.checked_against();
    if checked_against.is_some_and(|root| settings.anchors().iter().all(|anchor| anchor.sha256 != *root)) {
        return Some(
            "the root that this certificate was checked against is pinned no more: neither trust.anchor nor in trust.also".to_owned(),
        );
    }
    if live.keep != certificate.keep {
        let (asked, found) = (certificate.keep.as_str(), live.keep.as_str());
        return Some(format!("expected keep = \"{asked}\", found a key of {} with keep = \"{found}\"", live.generation));
    }
    let against = judge::fits(facts, &certificate.request);
    let blocking: Vec<&Finding> = against.iter().filter(|finding| finding.blocks()).collect();
    let is_of_names = |finding: &&&Finding| finding.id == lint::NAME_MISSING.id || finding.id == lint::NAME_EXTRA.id;
    let others = blocking.iter().filter(|finding| !is_of_names(finding));
    let others = others.map(|finding| format!("expected {}, found {}", finding.expected, finding.found));
    let texts: Vec<String> = names_changed(&blocking).into_iter().chain(others).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// What the settings add to the names of a certificate and take away from them: `names: +www.other.org −api.example.net`.
fn names_changed(findings: &[&Finding]) -> Option<String> {
    let of = |lint: &'static lint::Lint| findings.iter().filter(move |finding| finding.id == lint.id);
    let bare = |name: &str| name.split_once(':').map_or(name, |(_, name)| name).to_owned();
    let added = of(&lint::NAME_MISSING).map(|finding| format!("+{}", bare(&finding.expected)));
    let taken = of(&lint::NAME_EXTRA).map(|finding| format!("−{}", bare(&finding.found)));
    let names: Vec<String> = added.chain(taken).collect();
    (!names.is_empty()).then(|| format!("names: {}", names.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::Keep;
    use crate::model::state::State;

    #[test]
    fn changed_names_are_told_as_what_comes_and_what_goes() {
        let finding = |id: &str, expected: &str, found: &str| Finding::new(id, crate::model::finding::Severity::High, expected, found);
        let (missing, extra) = (lint::NAME_MISSING.id, lint::NAME_EXTRA.id);
        let findings = [
            finding(missing, "dns:www.other.org", "api.example.net"),
            finding(missing, "ip:2001:db8::1", "no addresses"),
            finding(extra, "only www.other.org", "dns:api.example.net"),
            finding("key.other", "ec-p384", "ec-p256"),
        ];
        let all: Vec<&Finding> = findings.iter().collect();
        assert_eq!(names_changed(&all).as_deref(), Some("names: +www.other.org +2001:db8::1 −api.example.net"));
        assert_eq!(names_changed(&all[3..]), None);
    }

    #[test]
    fn a_rollback_goes_to_what_was_committed_before() {
        let g = Generation;
        let tree = |live: Option<u64>, complete: &[u64], previous: Option<u64>| Tree {
            live: live.map(|live| Kept::for_tests(g(live), Keep::File, Condition::Intact)),
            complete: complete.iter().copied().map(g).collect(),
            state: State { previous: previous.map(g), ..State::default() },
            ..Tree::default()
        };
        let rows = [
            ("nothing committed", tree(None, &[1, 2], Some(1)), Err("nothing was committed yet".to_owned())),
            ("nothing before", tree(Some(3), &[3, 4], None), Err("there is no generation before gen-3".to_owned())),
            ("as noted", tree(Some(5), &[2, 3, 4, 5], Some(3)), Ok((3, vec![4, 5]))),
            ("noted and gone", tree(Some(5), &[2, 4, 5], Some(3)), Ok((4, vec![5]))),
            ("noted and newer", tree(Some(5), &[2, 5, 6], Some(6)), Ok((2, vec![5, 6]))),
            ("live itself is noted", tree(Some(5), &[2, 5], Some(5)), Ok((2, vec![5]))),
            ("not noted", tree(Some(5), &[1, 2, 5], None), Ok((2, vec![5]))),
        ];
        for (what, tree, expected) in rows {
            let found = before_live(&tree).map(|(live, settle)| {
                assert_eq!((settle.why, settle.fallback), (Why::Rollback, Some(live)), "{what}");
                (settle.generation.0, settle.withdraw.iter().map(|g| g.0).collect::<Vec<_>>())
            });
            assert_eq!(found, expected, "{what}");
        }
    }
}
