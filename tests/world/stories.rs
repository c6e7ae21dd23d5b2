//! Order, reverts, shared reloads and interruptions, each told as the events that the outside sees.

use std::sync::atomic::Ordering;

use omens::config::service::ServiceState;
use omens::model::entry::Outcome;
use omens::model::report::Report;
use omens::model::state::Proof;
use omens::steps::flow::ending::Ending;

use crate::authority::Answers;
use crate::host::{Cert, Host};
use crate::services::Manner;
use crate::time_of_day::{self, Turn};

const WEB: Cert = Cert { name: "web", daemons: &[0] };
const API: Cert = Cert { name: "api", daemons: &[0] };
const MAIL: Cert = Cert { name: "mail", daemons: &[0] };
const DAY: i64 = 86_400;

fn host(certs: &[Cert]) -> (Turn, Host) {
    let turn = time_of_day::take();
    let host = Host::new(certs);
    (turn, host)
}

/// Outcome, proof and code of the error of each certificate, in the order of the settings.
pub fn told(report: &Report) -> Vec<(String, Outcome, Option<Proof>, Option<&'static str>)> {
    let one = |c: &omens::model::report::CertReport| {
        (c.name.to_string(), c.outcome, c.proof, c.error.as_ref().map(|failure| failure.code.as_str()))
    };
    report.certificates.iter().map(one).collect()
}

/// A host whose certificates are all committed and served, and now due.
pub fn due(certs: &[Cert]) -> (Turn, Host) {
    let (turn, host) = host(certs);
    let report = host.renew();
    assert_eq!(report.exit, 0, "{report:#?}");
    time_of_day::advance(DAY * 7 / 10);
    host.events.take();
    (turn, host)
}

#[test]
fn a_first_certificate_is_signed_then_asked_for_then_seen() {
    let (_turn, host) = host(&[WEB]);
    let report = host.renew();
    assert_eq!(told(&report), [("web".to_owned(), Outcome::Renewed, Some(Proof::Served), None)]);
    assert_eq!(host.events.take(), ["sign web", "ask 0", "look web"]);
    let again = host.renew();
    assert_eq!((told(&again)[0].1, host.events.take()), (Outcome::NotDue, vec![]), "nothing is done where nothing is due");
    host.check("the end");
}

#[test]
fn a_service_that_keeps_the_old_certificate_gets_it_back() {
    let (_turn, host) = due(&[WEB]);
    host.daemons[0].be(Manner::KeepsWhatItHas);
    let before = host.live("run", "web");
    let report = host.renew();
    assert_eq!(told(&report), [("web".to_owned(), Outcome::RolledBack, Some(Proof::Served), Some("old-leaf"))]);
    assert_eq!(host.events.take(), ["sign web", "ask 0", "look web", "ask 0", "look web"]);
    assert_eq!((host.live("run", "web"), host.live("state", "web")), (before.clone(), before));
    assert_eq!(report.certificates[0].debt.as_ref().map(|debt| debt.generation.0), Some(2), "what was signed waits");
    // Once the service reads again, what waits is deployed, and nothing is signed for it.
    host.heal();
    let settled = host.renew();
    assert_eq!(told(&settled), [("web".to_owned(), Outcome::Settled, Some(Proof::Served), None)]);
    assert_eq!(host.events.take(), ["ask 0", "look web"]);
    host.check("the end");
}

#[test]
fn a_refused_shared_reload_takes_all_back_and_tries_each_alone() {
    let (_turn, host) = due(&[WEB, API, MAIL]);
    host.daemons[0].be(Manner::RefusesTheNew("api".to_owned()));
    let report = host.renew();
    assert_eq!(
        told(&report).iter().map(|(name, outcome, _, code)| (name.as_str(), *outcome, *code)).collect::<Vec<_>>(),
        [("web", Outcome::Renewed, None), ("api", Outcome::RolledBack, Some("reload-failed")), ("mail", Outcome::Renewed, None),]
    );
    let asked = host.events.take().iter().filter(|event| event.as_str() == "ask 0").count();
    // Together, back, each of three alone, and the one that failed alone back once more.
    assert_eq!(asked, 6);
    assert_eq!(host.live("state", "api").as_deref(), Some("gen-1"));
    assert_eq!(host.live("state", "web").as_deref(), Some("gen-2"));
    host.check("the end");
}

#[test]
fn two_that_fail_alone_end_the_tries() {
    let (_turn, host) = due(&[WEB, API, MAIL]);
    host.daemons[0].be(Manner::Refuses);
    let report = host.renew();
    assert!(report.certificates.iter().all(|c| c.outcome == Outcome::RolledBack), "{report:#?}");
    let asked = host.events.take().iter().filter(|event| event.as_str() == "ask 0").count();
    // Together, back, twice alone and back; the third is left for the next run.
    assert_eq!(asked, 6);
    host.check("the end");
}

#[test]
fn what_is_proven_is_committed_before_others_go_back_and_looked_at_again() {
    let certs = [Cert { name: "web", daemons: &[0, 1] }, Cert { name: "api", daemons: &[1, 0] }];
    let (_turn, host) = due(&certs);
    // web is looked for at 0, api at 1; 1 keeps what it has.
    host.daemons[1].be(Manner::KeepsWhatItHas);
    let report = host.renew();
    assert_eq!(
        told(&report),
        [
            ("web".to_owned(), Outcome::Renewed, Some(Proof::Served), None),
            ("api".to_owned(), Outcome::RolledBack, Some(Proof::Served), Some("old-leaf")),
        ]
    );
    let events = host.events.take();
    let looks = |name: &str| events.iter().filter(|event| **event == format!("look {name}")).count();
    assert_eq!((looks("web"), looks("api")), (2, 2), "{events:?}");
    host.check("the end");
}

#[test]
fn without_anything_to_go_back_to_it_stays_as_debt() {
    let (_turn, host) = host(&[WEB]);
    host.daemons[0].be(Manner::Refuses);
    let report = host.renew();
    assert_eq!(told(&report), [("web".to_owned(), Outcome::Failed, Some(Proof::None), Some("reload-failed"))]);
    assert_eq!(host.live("state", "web").as_deref(), Some("gen-1"));
    assert_eq!(report.certificates[0].debt.as_ref().map(|debt| debt.generation.0), Some(1));
    host.heal();
    host.events.take();
    assert_eq!(told(&host.renew())[0].1, Outcome::Settled);
    assert_eq!(host.events.take(), ["ask 0", "look web"], "nothing was signed again");
}

#[test]
fn a_stopped_service_is_left_alone_and_proven_once_it_runs() {
    let (_turn, host) = host(&[WEB]);
    host.daemons[0].set(ServiceState::Stopped);
    let report = host.renew();
    assert_eq!(told(&report), [("web".to_owned(), Outcome::Renewed, Some(Proof::ServiceStopped), None)]);
    assert_eq!(host.events.take(), ["sign web"]);
    let lines = host.ledger().len();
    assert_eq!((told(&host.renew())[0].1, host.ledger().len()), (Outcome::NotDue, lines), "still stopped: nothing is noted");
    host.heal();
    assert_eq!(told(&host.renew()), [("web".to_owned(), Outcome::Settled, Some(Proof::Served), None)]);
    assert_eq!(host.events.take(), ["ask 0", "look web"]);
}

#[test]
fn a_failed_service_gets_one_start_in_a_run() {
    let certs = [WEB, API];
    let (_turn, host) = due(&certs);
    host.daemons[0].set(ServiceState::Failed);
    let report = host.renew();
    assert_eq!(report.exit, 0, "{report:#?}");
    assert_eq!(host.events.take().iter().filter(|event| event.as_str() == "start 0").count(), 1);
}

#[test]
fn consumers_are_given_the_committed_one_back_before_anything_is_asked_and_served_it_where_nothing_new_comes() {
    let (_turn, host) = due(&[WEB]);
    host.power_cut();
    host.authority.answer(Answers::Away);
    let report = host.renew();
    assert_eq!(told(&report), [("web".to_owned(), Outcome::Failed, Some(Proof::Served), Some("unreachable"))]);
    assert_eq!(host.events.take(), ["sign web", "ask 0", "look web"]);
    assert_eq!(host.live("run", "web").as_deref(), Some("gen-1"));
    let line = host.ledger().pop().expect("a line");
    assert_eq!((line["outcome"].as_str(), line["error"]["code"].as_str()), (Some("failed"), Some("unreachable")));
    // The failure is not forgotten because the old certificate serves.
    assert!(!host.status().healthy);
}

#[test]
fn an_answer_that_does_not_pass_the_gate_reaches_nobody() {
    for answers in [Answers::SignsAnotherKey, Answers::AddsAName] {
        let (_turn, host) = due(&[WEB]);
        host.authority.answer(answers);
        let report = host.renew();
        assert_eq!(told(&report)[0].1, Outcome::Refused, "{answers:?}");
        assert_eq!(host.events.take(), ["sign web"], "no service is asked");
        assert_eq!(host.live("run", "web").as_deref(), Some("gen-1"));
        assert!(host.ledger().pop().expect("a line")["refused_pem"].is_string());
        host.check("the end");
    }
}

#[test]
fn the_budget_ends_requests_that_bring_nothing() {
    let (_turn, host) = due(&[WEB]);
    host.authority.answer(Answers::LosesTheAnswer);
    let before = host.authority.signed();
    let outcomes: Vec<Outcome> = (0..8).map(|_| told(&host.renew())[0].1).collect();
    assert_eq!(outcomes[..5], [Outcome::Failed; 5]);
    assert_eq!(outcomes[5..], [Outcome::Exhausted; 3]);
    assert_eq!(host.authority.signed() - before, 5);
    assert_eq!(host.live("run", "web").as_deref(), Some("gen-1"), "the old one goes on serving");
}

/// An authority whose answers are lost for hours is asked again all the time, and the certificate does not end once it is back.
#[test]
fn a_brown_out_costs_no_certificate() {
    const QUARTER: i64 = 900;
    let (_turn, host) = due(&[WEB]);
    let end = host.status().certificates[0].planned.expires.expect("a certificate");
    host.authority.answer(Answers::LosesTheAnswer);
    let before = host.authority.signed();
    let (mut runs, mut most_between) = (0, 0);
    let mut last_asked = time_of_day::now();
    while end.since(time_of_day::now()) > 2 * QUARTER {
        let asked = host.authority.signed();
        let outcome = told(&host.renew())[0].1;
        assert!(matches!(outcome, Outcome::Failed | Outcome::Exhausted), "{outcome:?}");
        if host.authority.signed() > asked {
            most_between = most_between.max(time_of_day::now().since(last_asked));
            last_asked = time_of_day::now();
        }
        runs += 1;
        time_of_day::advance(QUARTER);
    }
    let sent = host.authority.signed() - before;
    assert!(most_between <= 3600 + QUARTER, "a silence of {most_between} s");
    assert!(sent > 5 && sent < runs, "{sent} requests in {runs} runs: a trickle, and not all of them");
    host.heal();
    assert_eq!(told(&host.renew())[0].1, Outcome::Renewed);
    assert!(end > time_of_day::now(), "before the old one ended");
}

#[test]
fn a_run_that_is_asked_to_end_begins_nothing() {
    let (_turn, host) = due(&[WEB]);
    host.ender.ask();
    let report = host.renew_with(false, host.ender.ending());
    assert_eq!(told(&report), [("web".to_owned(), Outcome::Failed, Some(Proof::Served), Some("interrupted"))]);
    assert_eq!(host.events.take(), Vec::<String>::new());
}

#[test]
fn a_run_that_dies_leaves_what_the_next_one_settles_without_signing() {
    type Death = (&'static str, fn(&Host), usize);
    let deaths: [Death; 3] = [
        ("while the authority is asked", |host| host.authority.answer(Answers::Dies), 1),
        ("while the service is asked", |host| host.daemons[0].be(Manner::Dies), 0),
        ("while it looks", |host| host.eyes.die_at.store(1, Ordering::SeqCst), 0),
    ];
    for (when, kill, signs) in deaths {
        let (_turn, host) = due(&[WEB]);
        kill(&host);
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| host.renew()));
        assert!(died.is_err(), "{when}");
        host.check(when);
        assert_eq!(host.live("state", "web").as_deref(), Some("gen-1"), "{when}: what boots is what was proven");
        host.heal();
        let before = host.authority.signed();
        let report = host.renew();
        assert_eq!(report.exit, 0, "{when}: {report:#?}");
        assert_eq!(host.authority.signed() - before, signs, "{when}");
        assert!(host.ledger().iter().any(|line| line["outcome"] == "interrupted"), "{when}: {:#?}", host.ledger());
        assert!(host.status().healthy, "{when}");
    }
}

#[test]
fn a_rollback_that_is_not_deployed_leaves_what_was_live() {
    let (_turn, host) = due(&[WEB]);
    assert_eq!(host.renew().exit, 0);
    host.daemons[0].be(Manner::Refuses);
    let report = host.rollback("web");
    assert_eq!(told(&report)[0].1, Outcome::Failed);
    assert_eq!((host.live("run", "web").as_deref(), host.live("state", "web").as_deref()), (Some("gen-2"), Some("gen-2")));
    host.heal();
    let report = host.rollback("web");
    assert_eq!((told(&report)[0].1, report.exit), (Outcome::RolledBack, 0));
    assert_eq!(host.live("state", "web").as_deref(), Some("gen-1"));
    // What a person rolled back does not come back as debt.
    assert!(host.status().certificates[0].debt.is_none());
    host.check("the end");
}

#[test]
fn a_rollback_that_fails_leaves_what_is_known_of_the_debt() {
    let (_turn, host) = due(&[WEB]);
    assert_eq!(host.renew().exit, 0);
    host.daemons[0].be(Manner::Refuses);
    assert_eq!(told(&host.renew_with(true, Ending::default()))[0].3, Some("reload-failed"));
    let debt = |host: &Host| host.status().certificates[0].debt.clone().expect("a debt");
    let before = debt(&host);
    assert_eq!((before.generation.0, before.code.map(|code| code.as_str()), before.attempts), (3, Some("reload-failed"), 1));
    assert_eq!(told(&host.rollback("web"))[0].1, Outcome::Failed);
    assert_eq!(format!("{:?}", debt(&host)), format!("{before:?}"));
    host.heal();
    assert_eq!(told(&host.renew())[0].1, Outcome::Settled);
    host.check("the end");
}

#[test]
fn what_is_committed_is_noted_before_its_neighbours_go_back() {
    let certs = [Cert { name: "web", daemons: &[0, 1] }, Cert { name: "api", daemons: &[1, 0] }];
    let (_turn, host) = due(&certs);
    host.daemons[1].be(Manner::KeepsWhatItHas);
    // web is proven at 0 and committed; the run dies while it looks whether api's old certificate is back.
    host.eyes.die_at.store(3, Ordering::SeqCst);
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| host.renew()));
    assert!(died.is_err(), "{:?}", host.events.take());
    assert_eq!((host.live("state", "web").as_deref(), host.live("state", "api").as_deref()), (Some("gen-2"), Some("gen-1")));
    let state = |name: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(host.path("state/certs").join(name).join("state.json")).expect("a state");
        serde_json::from_str(&text).expect("JSON")
    };
    assert_eq!((state("web")["proven"]["generation"].as_u64(), state("web")["previous"].as_u64()), (Some(2), Some(1)));
    assert_eq!(state("api")["last_error"]["failure"]["code"], "old-leaf", "why it went back is not lost");
    assert_eq!(state("api")["debt"]["generation"].as_u64(), Some(2));
    host.heal();
    assert_eq!(host.renew().exit, 0);
    // The one before the live one is still there, and known.
    assert!(host.path("state/certs/web/gen-1").is_dir());
    assert_eq!(told(&host.rollback("web"))[0].1, Outcome::RolledBack);
    assert_eq!(host.live("state", "web").as_deref(), Some("gen-1"));
}

#[test]
fn what_was_given_back_and_is_not_deployed_is_told_as_that() {
    let (_turn, host) = due(&[WEB]);
    host.power_cut();
    host.authority.answer(Answers::Away);
    host.daemons[0].be(Manner::Refuses);
    let report = host.renew();
    // It is all that there is: asked for once more, looked for, and said to be back although nobody serves it.
    assert_eq!(told(&report), [("web".to_owned(), Outcome::RolledBack, Some(Proof::None), Some("reload-failed"))]);
    assert_eq!(host.live("state", "web").as_deref(), Some("gen-1"));
    host.heal();
    assert_eq!(host.renew().exit, 0);
}

#[test]
fn giving_the_committed_one_back_does_not_begin_the_budget_anew() {
    let (_turn, host) = host(&[WEB]);
    assert_eq!(host.renew().exit, 0);
    let before = host.authority.signed();
    host.authority.answer(Answers::LosesTheAnswer);
    for _ in 0..8 {
        // Consumers lack it each time, so each run commits it once more beside what it asks for in vain.
        host.power_cut();
        assert_eq!(host.renew_with(true, Ending::default()).exit, 1);
    }
    assert_eq!(host.authority.signed() - before, 5);
}
