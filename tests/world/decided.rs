//! One decision: what it is made from, which a test changes, and its plan in a few words.

use omens::config::settings::Settings;
use omens::model::clock::Time;
use omens::model::name::Generation;
use omens::model::reason::ReasonCode;
use omens::model::state::Proof;
use omens::model::window::{Weekly, Windows};
use omens::plan::choice::Plan;
use omens::plan::decide::{Decision, Wishes, decide};
use omens::plan::generation::{Condition, Kept};
use omens::plan::inventory::{self, Depth, Tree};
use omens::plan::window::Hold;

use crate::host::Host;
use crate::time_of_day;

/// What a decision is made from.
pub struct Case {
    pub settings: Settings,
    pub tree: Tree,
    /// The committed generation, read once more.
    other: Kept,
    pub wishes: Wishes,
    pub now: Time,
}

/// What is changed, how, the reasons in their order, what is done, and a part of the texts.
pub type Row = (&'static str, fn(&mut Case), &'static [ReasonCode], &'static str, &'static str);

impl Case {
    /// `gen-1` is committed and served.
    pub fn of(host: &Host) -> Self {
        let tree = || {
            let found = inventory::take(&host.settings, &[&host.settings.certificates[0]], Depth::Whole).expect("the trees");
            found.certificates.into_iter().next().expect("one").tree.expect("its trees")
        };
        let other = tree().live.expect("live");
        Self { settings: (*host.settings).clone(), tree: tree(), other, wishes: Wishes::default(), now: time_of_day::now() }
    }

    /// The same, valid for the first three days of June, and staged as these began.
    pub fn in_june(host: &Host) -> Self {
        let mut case = Self::of(host);
        let live = case.live();
        let facts = live.facts.as_mut().expect("a leaf");
        (facts.not_before, facts.not_after) = (at("01T00:00"), at("04T00:00"));
        live.meta_mut().expect("all of it").as_mut().expect("what was noted").staged = at("01T00:00");
        case
    }

    pub fn live(&mut self) -> &mut Kept {
        self.tree.live.as_mut().expect("live")
    }

    pub fn proof(&mut self, proof: Proof) {
        self.tree.state.proven.as_mut().expect("a proof").proof = proof;
    }

    pub fn revoked(&mut self) {
        let serial = self.other.facts.as_ref().expect("a leaf").serial.clone();
        self.tree.state.revoked.push(serial);
    }

    /// The same certificate again as `gen-5`, which nobody committed.
    pub fn owes(&mut self, condition: Condition) {
        let mut debt = std::mem::replace(&mut self.other, Case::nothing());
        (debt.generation, debt.condition) = (Generation(5), condition);
        (self.tree.debt, self.tree.newer, self.tree.largest) = (Some(debt), vec![Generation(5)], 5);
    }

    fn nothing() -> Kept {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = omens::io::dir::Dir::open(dir.path()).expect("a directory").expect("it is there");
        Kept::read(&dir, Generation(9)).expect("a generation that is not there")
    }

    /// It may be renewed at night alone, and this is the time.
    pub fn nightly(&mut self, now: &str) {
        let windows = Windows { weekly: vec![Weekly::parse("02:00-05:00").expect("a window")], zone: jiff::tz::TimeZone::UTC };
        (self.settings.certificates[0].window, self.now) = (Some(windows), at(now));
    }

    pub fn decided(&self) -> Decision {
        decide(&self.settings, &self.settings.certificates[0], &self.tree, self.now, self.wishes)
    }
}

pub fn at(text: &str) -> Time {
    Time::parse(&format!("2026-06-{text}:00Z")).expect("a time")
}

/// A plan and what keeps it, in a few words.
pub fn told(decision: &Decision) -> String {
    let numbers = |words: &str, all: &[Generation]| all.iter().map(|one| format!(" {words} {}", one.0)).collect::<String>();
    let fallback = |one: Option<Generation>| one.map_or_else(String::new, |one| format!(", else {}", one.0));
    let plan = match &decision.plan {
        Plan::Rest => "rest".to_owned(),
        Plan::Issue(issue) => {
            let (without, instead) = (numbers("without", &issue.withdraw), numbers("instead of", &issue.supersede));
            let given = issue.otherwise.as_ref().map_or_else(String::new, |settle| format!(", {} given back", settle.generation.0));
            format!("issue {}{without}{instead}{}{given}", issue.generation.0, fallback(issue.fallback))
        }
        Plan::Settle(settle) => {
            format!("settle {} {:?}{}{}", settle.generation.0, settle.why, numbers("without", &settle.withdraw), fallback(settle.fallback))
        }
    };
    match &decision.hold {
        Hold::None => plan,
        Hold::Overridden(_) => format!("{plan}, now"),
        Hold::Until(opening) => format!("{plan}, from {}", opening.opens),
    }
}

pub fn check(rows: &[Row], case: impl Fn() -> Case) {
    for (what, change, codes, plan, text) in rows {
        let mut case = case();
        change(&mut case);
        let decision = case.decided();
        let found: Vec<ReasonCode> = decision.reasons.iter().map(|reason| reason.code).collect();
        assert_eq!((found.as_slice(), told(&decision).as_str()), (*codes, *plan), "{what}: {decision:#?}");
        assert!(decision.reasons.iter().any(|reason| reason.text.contains(text)), "{what}: {decision:#?}");
    }
}
