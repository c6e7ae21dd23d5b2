//! Debt: what was issued and not deployed. Whether it may still be published, and how reports show it.

use super::due::Renewal;
use super::generation::{Condition, Kept, certificates};
use super::inventory::{StateFile, Tree};
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
    let is_read = tree.published.generation == Some(generation) && tree.live.as_ref().is_none_or(|live| live.generation != generation);
    match tree.state.debt.as_ref().filter(|d| d.generation == generation) {
        Some(debt) => format!(
            "{generation} {}: {} at {} (tried {} since {})",
            if is_read { "is what consumers read, but was not committed" } else { "was issued but not taken up" },
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

/// Whether the committed generation has no proof because nobody was asked to read it: links at consumers' own paths were missing then. That
/// is no debt of a service.
#[must_use]
pub fn is_unasked(tree: &Tree) -> bool {
    let Some(live) = tree.live.as_ref().map(|live| live.generation) else { return false };
    let noted = tree.state.proven.as_ref().is_some_and(|proven| proven.generation == live && proven.proof == Proof::None);
    // Where a service was asked, that it did not take it up was noted with the commit.
    noted && tree.state.debt.as_ref().is_none_or(|debt| debt.generation != live)
}

/// Why nobody knows that the committed generation is in use, in words, where that is no debt of a service.
pub(super) fn unproven_text(tree: &Tree, live: Generation) -> String {
    // Of what was committed without asking anybody that was noted before anything behind it could fail.
    let lost_at = tree.state.proven.as_ref().filter(|proven| proven.generation == live).map(|proven| proven.at);
    let failed = tree.state.debt.as_ref().filter(|debt| debt.generation > live && lost_at.is_some_and(|at| debt.since <= at));
    match failed {
        Some(debt) => format!("{live} was published again after {} failed, and was not seen in use then", debt.generation),
        None => format!("{live} was committed while links to it were missing, and its services were not asked to read it"),
    }
}

/// Whether the committed generation should be in use by now, and nobody knows that it is. What a newer omens noted this one cannot know.
#[must_use]
pub fn is_in_doubt(tree: &Tree) -> bool {
    let is_known = !matches!(tree.state_file, StateFile::Newer(_));
    proof_of_live(tree) == Some(Proof::None) && is_known && !is_unasked(tree)
}

/// The debt of a tree as reports show it.
#[must_use]
pub fn debt_of(tree: &Tree) -> Option<Debt> {
    let unproven = tree.live.as_ref().filter(|_| is_in_doubt(tree));
    let kept = tree.debt.as_ref().or(unproven)?;
    let noted = tree.state.debt.as_ref().filter(|debt| debt.generation == kept.generation);
    Some(Debt {
        generation: kept.generation,
        sha256: kept.facts.as_ref().map(|facts| facts.sha256.clone()),
        since: noted.map(|debt| debt.since).or_else(|| kept.staged()),
        stage: noted.map(|debt| debt.failure.stage),
        code: noted.map(|debt| debt.failure.code),
        attempts: noted.map_or(0, |debt| debt.attempts),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::code::Code;
    use crate::model::failure::{Failure, Stage};
    use crate::model::key::Keep;
    use crate::model::state::{DebtState, Proven, State};

    const LIVE: Generation = Generation(4);

    fn tree(proof: Option<Proof>, debt: Option<Generation>) -> Tree {
        let at = Time::from_unix(1_800_000_000);
        let failure = Failure::new(Stage::Commit, Code::DiskFull, "no room");
        let proven = proof.map(|proof| Proven { generation: LIVE, proof, at, stopped: Vec::new() });
        let debt = debt.map(|generation| DebtState { generation, since: at, failure, attempts: 1 });
        let live = Some(Kept::for_tests(LIVE, Keep::File, Condition::Intact));
        Tree { live, state: State { proven, debt, ..State::default() }, ..Tree::default() }
    }

    #[test]
    fn what_nobody_was_asked_to_read_is_no_debt() {
        for (what, tree, unasked, in_doubt) in [
            ("proven", tree(Some(Proof::File), None), false, false),
            ("its service is stopped", tree(Some(Proof::ServiceStopped), None), false, false),
            ("links were missing", tree(Some(Proof::None), None), true, false),
            ("its service did not take it up", tree(Some(Proof::None), Some(LIVE)), false, true),
            ("nobody was asked, and there is debt", tree(Some(Proof::None), Some(Generation(5))), true, false),
            ("nothing is noted", tree(None, None), false, true),
            ("what a newer omens noted", Tree { state_file: StateFile::Newer(2), ..tree(None, None) }, false, false),
        ] {
            assert_eq!((is_unasked(&tree), is_in_doubt(&tree)), (unasked, in_doubt), "{what}");
            assert_eq!(debt_of(&tree).map(|debt| debt.generation), in_doubt.then_some(LIVE), "{what}");
        }
    }

    #[test]
    fn why_it_is_unproven_is_said_as_it_was() {
        let links = "gen-4 was committed while links to it were missing, and its services were not asked to read it";
        let back = "gen-4 was published again after gen-5 failed, and was not seen in use then";
        let with = |debt: Option<Generation>, noted: i64| {
            let mut tree = tree(Some(Proof::None), debt);
            tree.state.proven.iter_mut().for_each(|proven| proven.at = Time::from_unix(1_800_000_000 + noted));
            unproven_text(&tree, LIVE)
        };
        for (what, debt, noted, expected) in [
            ("links were missing", None, 0, links),
            ("links were missing, and then a newer one failed", Some(Generation(5)), -60, links),
            ("a newer one failed, and it was not seen again at once", Some(Generation(5)), 0, back),
            ("the same in a later attempt", Some(Generation(5)), 600, back),
        ] {
            assert_eq!(with(debt, noted), expected, "{what}");
        }
    }

    #[test]
    fn what_consumers_read_is_not_said_to_be_not_taken_up() {
        let mut tree = tree(Some(Proof::Served), Some(Generation(5)));
        assert!(debt_text(&tree, Generation(5)).contains("gen-5 was issued but not taken up"));
        tree.published.generation = Some(Generation(5));
        assert!(debt_text(&tree, Generation(5)).contains("gen-5 is what consumers read, but was not committed"));
    }
}
