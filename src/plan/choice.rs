//! What a run does to one certificate, and the choice itself: a pure function of a few facts, shown by a table of all of them.

use crate::model::name::Generation;
use crate::model::state::Proof;

/// What a run does to one certificate. Each variant carries exactly what carrying it out needs; what is done is decided anew only where a key does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Rest,
    /// A new certificate is asked of the CA and deployed.
    Issue(Issue),
    /// A generation that is already here is published where needed, and its services are asked and looked at. Nothing is signed.
    Settle(Settle),
}

/// A new certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The number that it gets.
    pub generation: Generation,
    /// Generations that must not be published again, noted before anything is asked.
    pub withdraw: Vec<Generation>,
    /// Generations whose place the new one takes, noted once it has passed the gate: until then they are better than nothing.
    pub supersede: Vec<Generation>,
    /// The generation that comes back where the new one is not deployed.
    pub fallback: Option<Generation>,
    /// The committed generation, where consumers lack it: its files are given back before anything is asked, and where no new certificate
    /// comes this task brings it to its services.
    pub otherwise: Option<Settle>,
}

/// A generation that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// Which.
    pub generation: Generation,
    /// What makes it necessary.
    pub why: Why,
    /// Generations that must not be published again, noted before anything moves.
    pub withdraw: Vec<Generation>,
    /// The generation that comes back where this one is not deployed. The same one only in [`Issue::otherwise`]: its services are then asked
    /// and looked at once more.
    pub fallback: Option<Generation>,
}

/// What makes it necessary to deploy a generation that is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was issued and never committed.
    Debt,
    /// A run that acted on it did not finish.
    Interrupted,
    /// It was committed although it was not proven, for want of another one.
    NotProven,
    /// A person asked for it (`omens rollback`).
    Rollback,
    /// It was committed while its services did not run. Where they still do not, nothing at all is noted.
    ServiceStopped,
    /// What its consumers are to trust is not what they last took up.
    TrustChanged,
    /// What consumers read is not what is committed.
    Unpublished,
}

impl Plan {
    /// The generation of the state directory whose files this plan puts into the run directory before anything else.
    #[must_use]
    pub fn publishes(&self) -> Option<Generation> {
        match self {
            Self::Rest => None,
            Self::Issue(issue) => issue.otherwise.as_ref().map(|settle| settle.generation),
            Self::Settle(settle) => Some(settle.generation),
        }
    }

    /// The generation that comes back where this plan fails on the way.
    #[must_use]
    pub const fn fallback(&self) -> Option<Generation> {
        match self {
            Self::Rest => None,
            Self::Issue(issue) => issue.fallback,
            Self::Settle(settle) => settle.fallback,
        }
    }

    /// Whether a person's rollback is carried out.
    #[must_use]
    pub const fn is_rollback(&self) -> bool {
        matches!(self, Self::Settle(Settle { why: Why::Rollback, .. }))
    }
}

/// What is known about one certificate, as far as the choice needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The committed generation.
    pub live: Option<Live>,
    /// The newest generation that was issued and not deployed.
    pub debt: Option<Debt>,
    /// All complete generations newer than `live`.
    pub newer: Vec<Generation>,
    /// Whether `state.json` says what was withdrawn; without it nobody knows.
    pub knows_withdrawn: bool,
    /// Whether a run began to act on the certificate and did not finish.
    pub begun: bool,
    /// Whether consumers read what is committed.
    pub published: bool,
    /// Whether consumers took up what they are to trust.
    pub trusts: bool,
    /// Whether it is only published so far, since links at consumers' own paths are missing: nobody is asked before they are there.
    pub awaits_links: bool,
    /// Whether a new certificate was asked for by a person.
    pub force: bool,
    /// The number of the next generation.
    pub next: Generation,
}

/// What is known about the committed generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Which it is.
    pub generation: Generation,
    /// Whether something in itself asks for a new one: its time, its names, its files.
    pub due: bool,
    /// Whether consumers may be given it.
    pub publishable: bool,
    /// Whether it is valid now.
    pub valid: bool,
    /// How it is known to be in use.
    pub proof: Proof,
}

/// What is known about a generation that was issued and not deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Which it is.
    pub generation: Generation,
    /// Whether something forbids publishing it today.
    pub void: bool,
}

/// Chooses. Debt that is good comes first, since it was signed for; then whatever asks for a new certificate; then what is not certain about
/// the committed one.
#[must_use]
pub fn choose(known: &Known) -> Plan {
    let live = known.live.as_ref();
    let fallback = live.filter(|live| live.publishable && live.valid).map(|live| live.generation);
    let good_debt = known.debt.filter(|debt| !debt.void);
    let withdraw = match known.debt {
        Some(debt) if debt.void => known.newer.clone(),
        None if !known.knows_withdrawn => known.newer.clone(),
        Some(_) | None => Vec::new(),
    };
    if let Some(debt) = good_debt.filter(|_| !known.force) {
        return Plan::Settle(Settle { generation: debt.generation, why: Why::Debt, withdraw, fallback });
    }
    let asks_for_new = live.is_none_or(|live| live.due) || known.debt.is_some();
    if known.force || asks_for_new {
        let lacked = live.filter(|live| live.publishable && !known.published);
        return Plan::Issue(Issue {
            generation: known.next,
            withdraw,
            supersede: if good_debt.is_some() { known.newer.clone() } else { Vec::new() },
            fallback,
            otherwise: lacked.map(|live| Settle {
                generation: live.generation,
                why: Why::Unpublished,
                withdraw: Vec::new(),
                // There is nothing else to go back to: it is asked for once more, and looked for.
                fallback,
            }),
        });
    }
    let doubt = live.and_then(|live| doubt(live, known).map(|why| Settle { generation: live.generation, why, withdraw, fallback: None }));
    doubt.map_or(Plan::Rest, Plan::Settle)
}

/// What is not certain about a committed generation that could go on serving.
const fn doubt(live: &Live, known: &Known) -> Option<Why> {
    match live.proof {
        _ if known.begun => Some(Why::Interrupted),
        Proof::None if known.awaits_links => {
            if known.published {
                None
            } else {
                Some(Why::Unpublished)
            }
        }
        Proof::None => Some(Why::NotProven),
        Proof::Served | Proof::File if !known.published => Some(Why::Unpublished),
        _ if !known.trusts => Some(Why::TrustChanged),
        Proof::ServiceStopped => Some(Why::ServiceStopped),
        Proof::Served | Proof::File => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Generation = Generation(3);
    const DEBT: Generation = Generation(5);
    const NEXT: Generation = Generation(6);

    fn lives() -> Vec<Option<Live>> {
        let mut all = vec![None];
        for proof in [Proof::Served, Proof::File, Proof::None, Proof::ServiceStopped] {
            for (due, publishable, valid) in (0..8).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0)) {
                all.push(Some(Live { generation: LIVE, due, publishable, valid, proof }));
            }
        }
        all
    }

    fn debts() -> [Option<Debt>; 3] {
        [None, Some(Debt { generation: DEBT, void: false }), Some(Debt { generation: DEBT, void: true })]
    }

    /// Every combination of live, debt, what was withdrawn, begun, published, trusted and force.
    fn all() -> Vec<Known> {
        let mut all = Vec::new();
        for live in lives() {
            for debt in debts() {
                for bits in 0..32 {
                    // Without a readable state nothing newer counts as debt.
                    let knows_withdrawn = bits & 1 == 0;
                    if debt.is_some() && !knows_withdrawn {
                        continue;
                    }
                    let newer = if debt.is_some() || !knows_withdrawn { vec![Generation(4), DEBT] } else { Vec::new() };
                    let (begun, published, force, trusts) = (bits & 2 != 0, bits & 4 != 0, bits & 8 != 0, bits & 16 == 0);
                    all.push(Known {
                        live,
                        debt,
                        newer,
                        knows_withdrawn,
                        begun,
                        published,
                        trusts,
                        awaits_links: false,
                        force,
                        next: NEXT,
                    });
                }
            }
        }
        all
    }

    #[test]
    fn every_combination_keeps_the_rules() {
        let all = all();
        assert_eq!(all.len(), 33 * 64, "33 lives; 32 without debt, 16 for each kind of debt");
        for known in &all {
            let plan = choose(known);
            let says = || format!("{known:?} -> {plan:?}");
            let live = known.live;
            let good = live.filter(|live| live.publishable && live.valid).map(|live| live.generation);
            // What cannot be published or is not valid is nothing to go back to, and nothing is its own fallback.
            assert!(plan.fallback().is_none() || plan.fallback() == good, "{}", says());
            match &plan {
                Plan::Rest => {
                    let live = live.expect("something committed");
                    assert!(
                        !live.due && known.published && known.trusts && !known.begun && !known.force && known.debt.is_none(),
                        "{}",
                        says()
                    );
                    assert!(matches!(live.proof, Proof::Served | Proof::File), "{}", says());
                }
                Plan::Issue(issue) => {
                    let cause = known.force || live.is_none_or(|live| live.due) || known.debt.is_some_and(|debt| debt.void);
                    assert!(cause && issue.generation == NEXT && issue.fallback == good, "{}", says());
                    // Debt that is good is never thrown away before its successor passed the gate.
                    let good_debt = known.debt.is_some_and(|debt| !debt.void);
                    assert_eq!(!issue.supersede.is_empty(), good_debt, "{}", says());
                    assert!(issue.withdraw.is_empty() || !good_debt, "{}", says());
                    let lacked = live.filter(|live| live.publishable && !known.published);
                    let given = issue.otherwise.as_ref().map(|settle| settle.generation);
                    assert_eq!(given, lacked.map(|live| live.generation), "{}", says());
                    // What is withdrawn is noted once, by the task that asks for a new one.
                    assert!(issue.otherwise.as_ref().is_none_or(|settle| settle.withdraw.is_empty()), "{}", says());
                }
                Plan::Settle(settle) => {
                    assert!(!known.force, "{}", says());
                    assert_ne!(Some(settle.generation), settle.fallback, "{}", says());
                    if settle.why == Why::Debt {
                        assert_eq!((settle.generation, settle.fallback), (DEBT, good), "{}", says());
                    } else {
                        let live = live.expect("something committed");
                        assert!(settle.generation == LIVE && !live.due && known.debt.is_none(), "{}", says());
                    }
                }
            }
            // Without a readable state all that is newer is withdrawn, whatever is done.
            let withdraw = match &plan {
                Plan::Rest => continue,
                Plan::Issue(issue) => &issue.withdraw,
                Plan::Settle(settle) => &settle.withdraw,
            };
            let voids = !known.knows_withdrawn || known.debt.is_some_and(|debt| debt.void);
            assert_eq!(*withdraw, if voids { known.newer.clone() } else { Vec::new() }, "{}", says());
        }
    }

    fn live(proof: Proof) -> Live {
        Live { generation: LIVE, due: false, publishable: true, valid: true, proof }
    }

    /// Nothing to do.
    fn calm() -> Known {
        Known {
            live: Some(live(Proof::Served)),
            debt: None,
            newer: Vec::new(),
            knows_withdrawn: true,
            begun: false,
            published: true,
            trusts: true,
            awaits_links: false,
            force: false,
            next: NEXT,
        }
    }

    fn issue(fallback: Option<Generation>) -> Issue {
        Issue { generation: NEXT, withdraw: Vec::new(), supersede: Vec::new(), fallback, otherwise: None }
    }

    fn settle(generation: Generation, why: Why, fallback: Option<Generation>) -> Settle {
        Settle { generation, why, withdraw: Vec::new(), fallback }
    }

    #[test]
    fn what_is_done_about_a_committed_certificate_and_why() {
        let due = Live { due: true, ..live(Proof::Served) };
        let damaged = Live { due: true, publishable: false, ..live(Proof::Served) };
        let expired = Live { due: true, valid: false, ..live(Proof::Served) };
        let again = |why| Plan::Settle(settle(LIVE, why, None));
        let stopped = || Some(live(Proof::ServiceStopped));
        let given_back = Some(settle(LIVE, Why::Unpublished, Some(LIVE)));
        let rows = [
            ("nothing", calm(), Plan::Rest),
            ("nothing committed", Known { live: None, ..calm() }, Plan::Issue(issue(None))),
            ("in its window", Known { live: Some(due), ..calm() }, Plan::Issue(issue(Some(LIVE)))),
            ("expired", Known { live: Some(expired), ..calm() }, Plan::Issue(issue(None))),
            ("damaged", Known { live: Some(damaged), ..calm() }, Plan::Issue(issue(None))),
            ("forced", Known { force: true, ..calm() }, Plan::Issue(issue(Some(LIVE)))),
            ("unpublished", Known { published: false, ..calm() }, again(Why::Unpublished)),
            ("another trust", Known { trusts: false, ..calm() }, again(Why::TrustChanged)),
            ("another trust, and stopped", Known { live: stopped(), trusts: false, ..calm() }, again(Why::TrustChanged)),
            ("interrupted", Known { begun: true, ..calm() }, again(Why::Interrupted)),
            ("unproven", Known { live: Some(live(Proof::None)), ..calm() }, again(Why::NotProven)),
            ("links are missing", Known { live: Some(live(Proof::None)), awaits_links: true, ..calm() }, Plan::Rest),
            (
                "links are missing, and what lies there is wrong",
                Known { live: Some(live(Proof::None)), awaits_links: true, published: false, ..calm() },
                again(Why::Unpublished),
            ),
            ("stopped", Known { live: stopped(), ..calm() }, again(Why::ServiceStopped)),
            ("stopped in an interrupted run", Known { live: stopped(), begun: true, ..calm() }, again(Why::Interrupted)),
            (
                "in its window and lacked by consumers",
                Known { live: Some(due), published: false, ..calm() },
                Plan::Issue(Issue { otherwise: given_back, ..issue(Some(LIVE)) }),
            ),
        ];
        for (what, known, expected) in rows {
            assert_eq!(choose(&known), expected, "{what}");
        }
    }

    #[test]
    fn what_is_done_about_what_is_newer_and_why() {
        let expired = Live { due: true, valid: false, ..live(Proof::Served) };
        let newer = vec![DEBT];
        let owes = |void| Known { debt: Some(Debt { generation: DEBT, void }), newer: vec![DEBT], ..calm() };
        let rows = [
            ("debt", owes(false), Plan::Settle(settle(DEBT, Why::Debt, Some(LIVE)))),
            ("debt, and expired", Known { live: Some(expired), ..owes(false) }, Plan::Settle(settle(DEBT, Why::Debt, None))),
            ("void debt", owes(true), Plan::Issue(Issue { withdraw: newer.clone(), ..issue(Some(LIVE)) })),
            (
                "debt and a person who wants a new one",
                Known { force: true, ..owes(false) },
                Plan::Issue(Issue { supersede: newer.clone(), ..issue(Some(LIVE)) }),
            ),
            (
                "a state that cannot be read",
                Known { live: Some(live(Proof::None)), newer: newer.clone(), knows_withdrawn: false, ..calm() },
                Plan::Settle(Settle { withdraw: newer, ..settle(LIVE, Why::NotProven, None) }),
            ),
        ];
        for (what, known, expected) in rows {
            assert_eq!(choose(&known), expected, "{what}");
        }
    }

    #[test]
    fn what_a_plan_publishes_and_falls_back_to() {
        let second = Some(settle(LIVE, Why::Unpublished, Some(LIVE)));
        let rows = [
            (Plan::Rest, None, None, false),
            (Plan::Issue(issue(Some(LIVE))), None, Some(LIVE), false),
            (Plan::Issue(Issue { otherwise: second, ..issue(None) }), Some(LIVE), None, false),
            (Plan::Settle(settle(DEBT, Why::Debt, Some(LIVE))), Some(DEBT), Some(LIVE), false),
            (Plan::Settle(settle(LIVE, Why::Rollback, Some(DEBT))), Some(LIVE), Some(DEBT), true),
        ];
        for (plan, publishes, fallback, is_rollback) in rows {
            assert_eq!((plan.publishes(), plan.fallback(), plan.is_rollback()), (publishes, fallback, is_rollback), "{plan:?}");
        }
    }

    #[test]
    fn what_was_withdrawn_before_is_not_withdrawn_again() {
        let due = Live { due: true, ..live(Proof::Served) };
        let known = Known { live: Some(due), newer: vec![DEBT], ..calm() };
        assert_eq!(choose(&known), Plan::Issue(issue(Some(LIVE))));
    }
}
