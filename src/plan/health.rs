//! Whether all is well with a certificate: one yardstick for `status`, its metrics and the audit. Pure.

use super::debt::{debt_of, proof_of_live};
use super::generation::Condition;
use super::inventory::{StateFile, Tree};
use super::overdue::Deadline;
use super::rename::Rename;
use super::validity::is_valid;
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::state::{LastError, Proof, State};

/// What health is judged by beside the tree itself.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Whether a run would do anything.
    pub is_due: bool,
    /// When it was due and when it ends.
    pub deadline: Option<Deadline>,
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// Whether a run could write its state.
    pub is_writable: bool,
    /// The time.
    pub now: Time,
}

/// Whether all is well: deployed, valid, renewed in time, and the last run had no error.
#[must_use]
pub fn is_healthy(tree: &Tree, moment: &Moment) -> bool {
    let live = tree.live.as_ref().filter(|live| live.condition == Condition::Intact);
    let is_valid = live.and_then(|live| live.facts.as_ref()).is_some_and(|facts| is_good(facts, &tree.state, moment.now));
    let is_in_time = !moment.deadline.is_some_and(|deadline| deadline.is_over(moment.now));
    // `restore` leaves no error in the state, which may be read-only at a boot: what it could not publish is seen here.
    let is_proven = proof_of_live(tree) != Some(Proof::None);
    let is_deployed = is_proven && debt_of(tree).is_none() && tree.unpublished.is_none() && tree.missing_link.is_none();
    let is_ours = !matches!(tree.state_file, StateFile::Newer(_)) && !matches!(tree.rename, Rename::Conflict(_));
    // Whoever can read the key, or put another in its place, can be the host.
    let is_safe = tree.loose.is_none();
    let signs = tree.refused_key().is_none();
    is_valid && is_safe && signs && is_in_time && is_deployed && is_ours && moment.is_writable && last_error(tree, moment).is_none()
}

/// Whether consumers may show a certificate to others: valid at this time, by this host's clock, and not known to be revoked.
fn is_good(facts: &Facts, state: &State, now: Time) -> bool {
    is_valid(facts, now) && !state.revoked.contains(&facts.serial)
}

/// The last error, as long as it counts: until a later run had no cause to repeat it, which leaves the error where it stands unless it is of
/// that very second (cli/contract.md, "Commands and exit codes"). A run that began after it and did not finish knew better: what it left is
/// its own.
#[must_use]
pub fn last_error<'a>(tree: &'a Tree, moment: &Moment) -> Option<&'a LastError> {
    let is_since = |last: &LastError| match moment.last_run {
        // The clock was ahead when it was noted, and a run since has seen the clock as it is: that run had no cause to repeat it.
        Some(run) if last.at > moment.now => run > moment.now,
        Some(run) => last.at >= run,
        None => true,
    };
    // Of a certificate whose settings are wrong there is no tree by its settings: once there is one, they were mended.
    let counts = |last: &LastError| last.failure.code != Code::Settings && (moment.is_due || is_since(last));
    let is_of_before = |last: &LastError| tree.state.begun.as_ref().is_some_and(|begun| last.at < begun.at);
    tree.state.last_error.as_ref().filter(|last| counts(last) && !is_of_before(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::kit::Pki;
    use crate::model::failure::{Failure, Stage};
    use crate::model::state::Begun;

    const NOW: i64 = 1_800_000_000;

    fn moment(is_due: bool, last_run: Option<i64>) -> Moment {
        Moment { is_due, deadline: None, last_run: last_run.map(Time::from_unix), is_writable: true, now: Time::from_unix(NOW) }
    }

    #[test]
    fn settings_that_were_mended_are_no_error_before_the_next_run() {
        let last_error = Some(LastError { at: Time::from_unix(NOW), failure: Failure::new(Stage::Plan, Code::Settings, "a wrong ttl") });
        let tree = Tree { state: State { last_error, ..State::default() }, ..Tree::default() };
        assert!([true, false].iter().all(|is_due| last_error_of(&tree, *is_due).is_none()));
    }

    #[test]
    fn an_error_is_no_cause_of_what_a_later_run_left_undone() {
        let (failure, run) = (Failure::new(Stage::Reload, Code::ReloadFailed, "nginx refuses"), "killed".to_owned());
        let last_error = Some(LastError { at: Time::from_unix(NOW - 60), failure });
        for (began, counts) in [(None, true), (Some(-61), true), (Some(-60), true), (Some(-59), false)] {
            let begun = began.map(|at| Begun { run: run.clone(), at: Time::from_unix(NOW + at) });
            let state = State { last_error: last_error.clone(), begun, ..State::default() };
            assert_eq!(last_error_of(&Tree { state, ..Tree::default() }, true).is_some(), counts, "{began:?}");
        }
    }

    #[test]
    fn what_is_revoked_or_not_valid_yet_is_not_good() {
        let facts = Facts::parse(&Pki::new().leaf()).unwrap();
        let state = |revoked: &[&str]| State { revoked: revoked.iter().map(ToString::to_string).collect(), ..State::default() };
        let inside = facts.not_before.plus(60);
        for (what, now, revoked, good) in [
            ("valid", inside, vec!["01"], true),
            ("its first second", facts.not_before, Vec::new(), true),
            ("a clock that was set back", facts.not_before.plus(-1), Vec::new(), false),
            ("over", facts.not_after, Vec::new(), false),
            ("revoked", inside, vec![facts.serial.as_str()], false),
        ] {
            assert_eq!(is_good(&facts, &state(&revoked), now), good, "{what}");
        }
    }

    fn last_error_of(tree: &Tree, is_due: bool) -> Option<&LastError> {
        last_error(tree, &moment(is_due, Some(NOW - 12)))
    }

    #[test]
    fn an_error_counts_until_a_run_had_no_cause_to_repeat_it() {
        let tree = |at: i64| {
            let failure = Failure::new(Stage::Issue, Code::Unreachable, "nobody answers");
            let last_error = Some(LastError { at: Time::from_unix(at), failure });
            Tree { state: State { last_error, ..State::default() }, ..Tree::default() }
        };
        for (what, at, is_due, last_run, counts) in [
            ("of the last run", NOW - 10, false, Some(NOW - 12), true),
            ("of a run before", NOW - 60, false, Some(NOW - 12), false),
            ("of a run before, and still due", NOW - 60, true, Some(NOW - 12), true),
            ("of an unknown run", NOW - 60, false, None, true),
            ("dated in the future, and a run since", NOW + 9_000, false, Some(NOW - 12), false),
            ("dated in the future, and no run since", NOW + 9_000, false, Some(NOW + 8_990), true),
            ("dated in the future, and still due", NOW + 9_000, true, Some(NOW - 12), true),
        ] {
            assert_eq!(last_error(&tree(at), &moment(is_due, last_run)).is_some(), counts, "{what}");
        }
    }
}
