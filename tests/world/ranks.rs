//! Services in ranks: who is asked after whom, who waits for whom, and the proofs of drivers in between.

use omens::model::entry::Outcome;

use crate::host::{Cert, Host};
use crate::services::Manner;
use crate::stories::{due, told};

const WEB: Cert = Cert { name: "web", daemons: &[0] };
const API: Cert = Cert { name: "api", daemons: &[0] };
const REGISTRAR: Cert = Cert { name: "registrar", daemons: &[1] };
const VERIFIER: Cert = Cert { name: "verifier", daemons: &[2] };
const AGENT: Cert = Cert { name: "agent", daemons: &[0] };
const HOST: Cert = Cert { name: "host", daemons: &[0, 1, 2] };

/// The agent, number 0, comes last and waits for the two others.
fn ranked(host: &Host) {
    ranked_among(host, &[(0, 3), (1, 1), (2, 2)]);
}

fn ranked_among(host: &Host, ranks: &[(usize, u8)]) {
    for &(number, rank) in ranks {
        *host.daemons[number].rank.lock().unwrap() = rank;
    }
    *host.daemons[0].waits.lock().unwrap() = true;
}

/// What was asked and looked at, in order.
fn asked(host: &Host) -> Vec<String> {
    host.events.take().into_iter().filter(|event| !event.starts_with("sign")).collect()
}

#[test]
fn a_rank_begins_when_the_one_before_has_ended() {
    let (turn, host) = due(&[AGENT, REGISTRAR, VERIFIER]);
    ranked(&host);
    let report = host.renew();
    assert_eq!(report.exit, 0, "{report:#?}");
    assert_eq!(asked(&host), ["ask 1", "look registrar", "ask 2", "look verifier", "ask 0", "look agent"]);
    drop(turn);
    // One certificate of three services: they are asked in the same order.
    let (_turn, host) = due(&[HOST]);
    ranked(&host);
    assert_eq!(host.renew().exit, 0);
    assert_eq!(asked(&host), ["ask 1", "ask 2", "ask 0", "look host"]);
}

#[test]
fn where_one_fails_who_needs_it_is_left_alone_and_takes_its_turn_later() {
    let (turn, host) = due(&[AGENT, REGISTRAR, VERIFIER]);
    ranked(&host);
    host.daemons[1].be(Manner::Refuses);
    let before = host.live("run", "agent");
    let report = host.renew();
    let told: Vec<_> = told(&report).into_iter().map(|(name, outcome, _, code)| (name, outcome, code)).collect();
    let row = |name: &str, outcome, code| (name.to_owned(), outcome, code);
    let expected = [
        row("agent", Outcome::Failed, Some("waits-for")),
        row("registrar", Outcome::RolledBack, Some("reload-failed")),
        row("verifier", Outcome::Renewed, None),
    ];
    assert_eq!(told, expected);
    let events = asked(&host);
    assert!(!events.iter().any(|event| event.ends_with(" 0")), "the agent was asked: {events:?}");
    assert!(events.contains(&"ask 2".to_owned()), "the other one was not: {events:?}");
    assert_eq!((host.live("run", "agent"), report.certificates[0].error.as_ref().unwrap().stage.as_str()), (before, "reload"));
    assert_eq!(report.certificates[0].debt.as_ref().map(|debt| debt.generation.0), Some(2), "what was signed waits");
    host.heal();
    let settled = host.renew();
    assert_eq!(settled.certificates.iter().map(|c| c.outcome).collect::<Vec<_>>(), [Outcome::Settled, Outcome::Settled, Outcome::NotDue]);
    host.check("the end");
    drop(turn);
    // Of one certificate the same: who was not asked with the new one is not told of the old one either.
    let (_turn, host) = due(&[HOST]);
    ranked(&host);
    host.daemons[1].be(Manner::Refuses);
    host.renew();
    let events = asked(&host);
    assert!(!events.contains(&"ask 0".to_owned()), "the agent was asked: {events:?}");
}

#[test]
fn what_is_not_proven_holds_back_who_needs_it_and_who_has_read_the_new_one_is_told_of_the_old_one() {
    let (turn, host) = due(&[AGENT, REGISTRAR]);
    ranked_among(&host, &[(0, 3), (1, 1)]);
    host.daemons[1].be(Manner::KeepsWhatItHas);
    let report = host.renew();
    let codes: Vec<_> = told(&report).into_iter().map(|(_, outcome, _, code)| (outcome, code)).collect();
    assert_eq!(codes, [(Outcome::Failed, Some("waits-for")), (Outcome::RolledBack, Some("old-leaf"))]);
    drop((turn, host));
    // The agent comes last and is not proven; by then all of them have failed, and it has to read its old one again.
    let (_turn, host) = due(&[HOST]);
    ranked(&host);
    host.daemons[0].be(Manner::KeepsWhatItHas);
    assert_eq!(told(&host.renew())[0].1, Outcome::RolledBack);
    assert_eq!(asked(&host).iter().filter(|event| *event == "ask 0").count(), 2);
}

#[test]
fn the_proof_of_a_driver_is_looked_for_once_and_before_a_later_rank_begins() {
    let (turn, host) = due(&[HOST]);
    ranked(&host);
    host.daemons.iter().for_each(|daemon| *daemon.proves.lock().unwrap() = true);
    host.daemons[2].say("it read it slowly");
    let report = host.renew();
    assert_eq!(report.exit, 0, "{report:#?}");
    assert_eq!(asked(&host), ["ask 1", "prove 1", "ask 2", "prove 2", "ask 0", "look host", "prove 0"]);
    let said: Vec<&str> = report.certificates[0].warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert_eq!(said, ["it read it slowly"]);
    drop((turn, host));
    // One that fails is a refusal: who needs it is not asked at all, and what the others said of the new one is not told.
    let (turn, host) = due(&[HOST]);
    ranked(&host);
    host.daemons[1].be(Manner::KeepsWhatItHas);
    *host.daemons[1].proves.lock().unwrap() = true;
    host.daemons[2].say("it read it slowly");
    let report = host.renew();
    assert_eq!((told(&report)[0].1, told(&report)[0].3), (Outcome::RolledBack, Some("old-leaf")));
    let events = asked(&host);
    assert!(!events.contains(&"ask 0".to_owned()), "{events:?}");
    assert!(report.certificates[0].warnings.is_empty(), "{report:#?}");
    drop((turn, host));
    // One service of two certificates is told of both at once.
    let (_turn, host) = due(&[WEB, API]);
    host.daemons[0].told.lock().unwrap().clear();
    assert_eq!((host.renew().exit, host.daemons[0].told.lock().unwrap().as_slice()), (0, [2].as_slice()));
}
