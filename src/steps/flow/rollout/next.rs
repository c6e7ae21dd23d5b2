//! What a rollout does next: a pure function of what was seen of each certificate, shown by a walk through every course that services can
//! take. [`super`] carries the moves out, one batch at a time, and asks again.
//!
//! The rules (`swap/ondisk.md`, "Shared reloads"): where a service refuses, the certificates that use it and have a fallback go back, by one
//! more request; if they were several, each is then tried alone, until two have failed alone. The rest of the group is looked at after that.
//! Certificates that are proven are committed before others go back. What has no fallback stays, as debt. Whoever was proven and shares a
//! service with one that went back is looked at again.

use std::collections::BTreeSet;

use crate::config::service::ServiceId;

/// Certificates tried alone that may fail before the rest is left for the next run.
const FAILURES_ALONE: usize = 2;

/// One certificate of a rollout, as far as the next move depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// What was seen last.
    pub(super) seen: Seen,
    /// Whether there is a generation to go back to.
    pub(super) has_fallback: bool,
    /// The services that are asked for it.
    pub(super) services: BTreeSet<ServiceId>,
    /// Whether a service refused when all were asked together, and what came after.
    pub(super) refusal: Refusal,
}

/// What was seen of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// It is published, and none of its services refused.
    Asked,
    /// It is published, and one of its services refused.
    Refused,
    /// It is proven, or all of its services are stopped.
    Proven,
    /// Something else is served.
    NotProven,
    /// Its fallback is published again, and its services were asked.
    Back,
    /// It is committed.
    Committed,
    /// It is committed, and one of its services was asked again since it was proven.
    CommittedInDoubt,
    /// Its part is over.
    Ended,
}

/// Whether a service of it refused when all were asked together, and whether it was tried alone after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// No service refused.
    None,
    /// A service refused.
    Together,
    /// It was tried alone since.
    TriedAlone,
}

/// What is done next, to the members of these numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Move {
    /// Look whether they serve.
    Look(Vec<usize>),
    /// Commit them with their proof.
    Commit(Vec<usize>),
    /// Commit them although they are not proven, since there is nothing to go back to.
    Stay(Vec<usize>),
    /// Publish their fallbacks, and ask their services once.
    Revert(Vec<usize>),
    /// Publish one once more and ask its services.
    TryAlone(usize),
    /// Look whether the fallbacks serve again; their part ends with that.
    EndBack(Vec<usize>),
    /// Look whether they still serve.
    LookAgain(Vec<usize>),
    /// Their part ends.
    End(Vec<usize>),
}

/// The next move, until all have ended.
pub(super) fn next(members: &[Member]) -> Option<Move> {
    let seen = |seen: Seen| all(members, |member| member.seen == seen);
    let with_fallback = |seen: Seen| all(members, |member| member.seen == seen && member.has_fallback);
    let tried_alone = || all(members, |member| member.seen == Seen::Asked && member.refusal == Refusal::TriedAlone);
    with_fallback(Seen::Refused)
        .map(Move::Revert)
        .or_else(|| seen(Seen::Refused).map(Move::Stay))
        .or_else(|| seen(Seen::Proven).map(Move::Commit))
        .or_else(|| with_fallback(Seen::NotProven).map(Move::Revert))
        .or_else(|| seen(Seen::NotProven).map(Move::Stay))
        .or_else(|| tried_alone().map(Move::Look))
        .or_else(|| alone(members).map(Move::TryAlone))
        .or_else(|| seen(Seen::Asked).map(Move::Look))
        .or_else(|| seen(Seen::Back).map(Move::EndBack))
        .or_else(|| seen(Seen::CommittedInDoubt).map(Move::LookAgain))
        .or_else(|| seen(Seen::Committed).map(Move::End))
}

/// The numbers of those for which it holds, if there are any.
fn all(members: &[Member], holds: impl Fn(&Member) -> bool) -> Option<Vec<usize>> {
    let found: Vec<usize> = members.iter().enumerate().filter(|(_, member)| holds(member)).map(|(number, _)| number).collect();
    (!found.is_empty()).then_some(found)
}

/// The next certificate to try alone: one of several that a service refused together, while not too many have failed alone.
fn alone(members: &[Member]) -> Option<usize> {
    let several = members.iter().filter(|member| member.refusal != Refusal::None).count() > 1;
    let failed = members.iter().filter(|member| member.refusal == Refusal::TriedAlone && member.seen == Seen::Back).count();
    let waits = |member: &Member| member.refusal == Refusal::Together && member.seen == Seen::Back;
    members.iter().position(waits).filter(|_| several && failed < FAILURES_ALONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(seen: Seen, has_fallback: bool, refusal: Refusal) -> Member {
        Member { seen, has_fallback, services: BTreeSet::from([ServiceId::new("nginx", [Some("nginx.service")])]), refusal }
    }

    /// What a member is made of.
    type Row = (Seen, bool, Refusal);

    fn check(rows: &[(&str, &[Row], Option<Move>)]) {
        for (what, members, expected) in rows {
            let members: Vec<Member> = members.iter().map(|(seen, fallback, refusal)| member(*seen, *fallback, *refusal)).collect();
            assert_eq!(next(&members), *expected, "{what}");
        }
    }

    #[test]
    fn each_rule_in_its_order() {
        use Refusal::{None as Calm, Together, TriedAlone};
        check(&[
            ("nobody", &[], None),
            ("asked", &[(Seen::Asked, true, Calm), (Seen::Asked, false, Calm)], Some(Move::Look(vec![0, 1]))),
            (
                "a refused reload takes back what can go, before anything is looked at",
                &[(Seen::Refused, true, Together), (Seen::Refused, false, Together), (Seen::Asked, true, Calm)],
                Some(Move::Revert(vec![0])),
            ),
            ("refused, with nothing to go back to", &[(Seen::Refused, false, Together)], Some(Move::Stay(vec![0]))),
            (
                "proven before others go back",
                &[(Seen::NotProven, true, Calm), (Seen::Proven, true, Calm), (Seen::NotProven, false, Calm)],
                Some(Move::Commit(vec![1])),
            ),
            (
                "not proven: back by one reload",
                &[(Seen::NotProven, true, Calm), (Seen::Committed, true, Calm), (Seen::NotProven, true, Calm)],
                Some(Move::Revert(vec![0, 2])),
            ),
            ("not proven, nothing to go back to", &[(Seen::NotProven, false, Calm)], Some(Move::Stay(vec![0]))),
            (
                "refused with nothing to go back to, and another one is proven",
                &[(Seen::Proven, true, Calm), (Seen::Refused, false, Together)],
                Some(Move::Stay(vec![1])),
            ),
            (
                "not proven with nothing to go back to, and another one is tried alone",
                &[(Seen::Asked, true, TriedAlone), (Seen::NotProven, false, Calm)],
                Some(Move::Stay(vec![1])),
            ),
        ]);
    }

    #[test]
    fn what_was_refused_is_tried_alone_and_the_rest_follows() {
        use Refusal::{None as Calm, Together, TriedAlone};
        check(&[
            ("one that was refused is not tried alone", &[(Seen::Back, true, Together)], Some(Move::EndBack(vec![0]))),
            (
                "nor is it beside one that was not",
                &[(Seen::Committed, true, Calm), (Seen::Back, true, Together)],
                Some(Move::EndBack(vec![1])),
            ),
            (
                "several are, before the others are looked at",
                &[(Seen::Asked, true, Calm), (Seen::Back, true, Together), (Seen::Back, true, Together)],
                Some(Move::TryAlone(1)),
            ),
            (
                "what was accepted without the others is looked at after them",
                &[(Seen::Asked, false, Together), (Seen::Back, true, Together)],
                Some(Move::TryAlone(1)),
            ),
            ("several are", &[(Seen::Back, true, Together), (Seen::Back, true, Together)], Some(Move::TryAlone(0))),
            (
                "what is tried alone is looked at before the next one",
                &[(Seen::Asked, true, TriedAlone), (Seen::Back, true, Together), (Seen::Asked, true, Calm)],
                Some(Move::Look(vec![0])),
            ),
            ("one failure alone is not the end", &[(Seen::Back, true, TriedAlone), (Seen::Back, true, Together)], Some(Move::TryAlone(1))),
            (
                "two are",
                &[(Seen::Back, true, TriedAlone), (Seen::Back, true, TriedAlone), (Seen::Back, true, Together)],
                Some(Move::EndBack(vec![0, 1, 2])),
            ),
            ("what stayed counts among several", &[(Seen::Ended, false, Together), (Seen::Back, true, Together)], Some(Move::TryAlone(1))),
            (
                "others are looked at once nobody is tried alone any more",
                &[(Seen::Committed, true, TriedAlone), (Seen::Back, true, TriedAlone), (Seen::Asked, true, Calm)],
                Some(Move::Look(vec![2])),
            ),
            ("went back for want of a proof", &[(Seen::Back, true, Calm), (Seen::Back, true, Calm)], Some(Move::EndBack(vec![0, 1]))),
            (
                "committed and disturbed",
                &[(Seen::Ended, true, Calm), (Seen::CommittedInDoubt, true, Calm), (Seen::Committed, true, Calm)],
                Some(Move::LookAgain(vec![1])),
            ),
            ("committed", &[(Seen::Committed, true, Calm)], Some(Move::End(vec![0]))),
            ("all over", &[(Seen::Ended, true, Calm)], None),
        ]);
    }

    /// One course of a rollout: what was done to each certificate so far.
    #[derive(Clone)]
    struct Course {
        members: Vec<Member>,
        /// How often each was tried alone, committed with proof, committed without, and ended.
        tried: Vec<usize>,
        proven: Vec<bool>,
        stayed: Vec<bool>,
        ended: Vec<usize>,
        asked: usize,
        was_proven_last: Vec<bool>,
    }

    impl Course {
        fn end(&mut self, number: usize) {
            self.members[number].seen = Seen::Ended;
            self.ended[number] += 1;
        }

        /// Carries a move out, with `answers` as what services and eyes answer, and gives one course for each answer.
        fn after(&self, step: &Move) -> Vec<Self> {
            match step {
                Move::Look(who) => self.each(who, [Seen::Proven, Seen::NotProven]),
                Move::LookAgain(who) => self.each(who, [Seen::Ended, Seen::Ended]),
                Move::TryAlone(one) => {
                    let mut next = self.clone();
                    next.asked += 1;
                    next.tried[*one] += 1;
                    next.members[*one].refusal = Refusal::TriedAlone;
                    next.each(&[*one], [Seen::Asked, Seen::Refused])
                }
                Move::Commit(who) => self.all(who, |course, number| {
                    assert!(course.was_proven_last[number], "committed with a proof that nobody saw");
                    course.proven[number] = true;
                    course.members[number].seen = Seen::Committed;
                }),
                Move::Stay(who) => self.all(who, |course, number| {
                    assert!(!course.members[number].has_fallback && !course.was_proven_last[number]);
                    course.stayed[number] = true;
                    course.end(number);
                }),
                Move::EndBack(who) | Move::End(who) => self.all(who, Self::end),
                Move::Revert(who) => self.revert(who),
            }
        }

        fn all(&self, who: &[usize], change: impl Fn(&mut Self, usize)) -> Vec<Self> {
            let mut next = self.clone();
            who.iter().for_each(|number| change(&mut next, *number));
            vec![next]
        }

        fn each(&self, who: &[usize], answers: [Seen; 2]) -> Vec<Self> {
            let mut courses = vec![self.clone()];
            for number in who {
                courses = courses
                    .into_iter()
                    .flat_map(|course| {
                        answers.map(|answer| {
                            let mut next = course.clone();
                            next.was_proven_last[*number] = answer == Seen::Proven;
                            if answer == Seen::Ended {
                                next.end(*number)
                            } else {
                                next.members[*number].seen = answer
                            }
                            next
                        })
                    })
                    .collect();
            }
            courses
        }

        fn revert(&self, who: &[usize]) -> Vec<Self> {
            let mut next = self.clone();
            next.asked += 1;
            for number in who {
                let member = &mut next.members[*number];
                assert!(member.has_fallback && member.seen != Seen::Proven && !next.proven[*number], "what is proven is not taken back");
                member.seen = Seen::Back;
            }
            for member in &mut next.members {
                if member.seen == Seen::Committed {
                    member.seen = Seen::CommittedInDoubt;
                }
            }
            let stuck: Vec<usize> = (0..next.members.len()).filter(|n| next.members[*n].seen == Seen::Refused).collect();
            next.each(&stuck, [Seen::Asked, Seen::Refused])
        }
    }

    /// Every course of up to four certificates that share a service: it ends, each ends once, no more than two fail alone, and what is
    /// committed with a proof was seen last.
    #[test]
    fn every_course_ends_well() {
        let starts = [Seen::Asked, Seen::Refused];
        let mut courses = 0;
        for count in 1..=4_usize {
            for bits in 0..1_usize << (2 * count) {
                let bit = |n: usize| bits >> n & 1;
                let members: Vec<Member> = (0..count)
                    .map(|n| {
                        let seen = starts[bit(2 * n)];
                        let refusal = if seen == Seen::Refused { Refusal::Together } else { Refusal::None };
                        member(seen, bit(2 * n + 1) == 1, refusal)
                    })
                    .collect();
                let zero = Course {
                    members,
                    tried: vec![0; count],
                    proven: vec![false; count],
                    stayed: vec![false; count],
                    ended: vec![0; count],
                    asked: 1,
                    was_proven_last: vec![false; count],
                };
                let mut todo = vec![(zero, 0)];
                while let Some((course, depth)) = todo.pop() {
                    assert!(depth < 40, "no end in sight: {:?}", course.members);
                    let Some(step) = next(&course.members) else {
                        courses += 1;
                        assert!(course.ended.iter().all(|times| *times == 1), "{:?}", course.ended);
                        assert!(course.tried.iter().all(|times| *times <= 1));
                        let failed = (0..count).filter(|n| course.tried[*n] == 1 && !course.proven[*n]).count();
                        assert!(failed <= FAILURES_ALONE, "{failed} failed alone");
                        assert!((0..count).all(|n| !(course.proven[n] && course.stayed[n])));
                        // Together, once back, and each alone at most twice: there and back.
                        assert!(course.asked <= 3 + 2 * count, "{} reloads for {count} certificates", course.asked);
                        continue;
                    };
                    todo.extend(course.after(&step).into_iter().map(|next| (next, depth + 1)));
                }
            }
        }
        assert!(courses > 10_000, "{courses}");
    }
}
