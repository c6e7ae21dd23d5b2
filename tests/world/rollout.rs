//! Turns of a rollout that want services of a particular manner: a proof that is lost, a refusal that others caused, one start, and restarts.

use std::time::Duration;

use omens::config::service::ServiceState;
use omens::model::entry::Outcome;
use omens::model::state::Proof;

use crate::host::{Cert, Host};
use crate::services::{Manner, Unit};
use crate::stories::{due, told};

const WEB: Cert = Cert { name: "web", daemons: &[0] };
const API: Cert = Cert { name: "api", daemons: &[0] };

fn count(host: &Host, event: &str) -> usize {
    host.events.take().iter().filter(|seen| seen.as_str() == event).count()
}

#[test]
fn a_proof_that_is_lost_while_others_go_back_is_told_and_what_was_committed_stays() {
    let certs = [Cert { name: "web", daemons: &[0, 1] }, Cert { name: "api", daemons: &[1, 0] }];
    let (_turn, host) = due(&certs);
    // web is proven at 0 and committed; api goes back for 1, and for that 0 is asked again, which forgets all.
    host.daemons[0].be(Manner::ReadsOnce);
    host.daemons[1].be(Manner::KeepsWhatItHas);
    let report = host.renew();
    assert_eq!(told(&report)[0], ("web".to_owned(), Outcome::Failed, Some(Proof::None), Some("unreachable")));
    assert_eq!(told(&report)[1].1, Outcome::RolledBack);
    assert_eq!((host.live("state", "web").as_deref(), host.live("run", "web").as_deref()), (Some("gen-2"), Some("gen-2")));
    assert_eq!(report.certificates[0].debt.as_ref().map(|debt| debt.generation.0), Some(2), "its proof is owed");
    assert!(!host.status().healthy);
    host.heal();
    let settled = host.renew();
    assert_eq!(told(&settled)[0], ("web".to_owned(), Outcome::Settled, Some(Proof::Served), None));
    host.check("the end");
}

/// A host where api is due and web has nothing to go back to.
fn first_beside_due(certs: &[Cert]) -> (crate::time_of_day::Turn, Host) {
    let (turn, host) = due(certs);
    for tree in ["state/certs/web", "run/web"] {
        std::fs::remove_dir_all(host.path(tree)).expect("a tree");
    }
    for daemon in &host.daemons {
        daemon.serves.lock().expect("serves").remove("web");
    }
    (turn, host)
}

#[test]
fn a_first_certificate_that_was_refused_for_another_one_is_looked_at_once_that_is_back() {
    let (_turn, host) = first_beside_due(&[WEB, API]);
    host.daemons[0].be(Manner::RefusesTheNew("api".to_owned()));
    let report = host.renew();
    assert_eq!(told(&report)[0], ("web".to_owned(), Outcome::Renewed, Some(Proof::Served), None));
    assert_eq!((told(&report)[1].1, told(&report)[1].3), (Outcome::RolledBack, Some("reload-failed")));
    host.check("the end");
}

#[test]
fn a_first_certificate_that_more_services_refused_than_were_asked_again_stays_as_debt() {
    let (_turn, host) = first_beside_due(&[Cert { name: "web", daemons: &[0, 1] }, API]);
    host.daemons[0].be(Manner::RefusesTheNew("api".to_owned()));
    host.daemons[1].be(Manner::Refuses);
    let report = host.renew();
    let web = &report.certificates[0];
    assert_eq!(told(&report)[0], ("web".to_owned(), Outcome::Failed, Some(Proof::None), Some("reload-failed")));
    let text = &web.error.as_ref().expect("an error").text;
    assert!(text.contains("api: the new certificate does not please"), "why it was refused first: {text}");
    assert_eq!(web.debt.as_ref().map(|debt| debt.generation.0), Some(1));
    host.check("the end");
}

#[test]
fn what_stays_is_told_by_why_it_was_refused_first() {
    let (_turn, host) = first_beside_due(&[WEB, API]);
    host.daemons[0].be(Manner::Refuses);
    let report = host.renew();
    let texts: Vec<&str> = report.certificates.iter().map(|c| c.error.as_ref().expect("an error").text.as_str()).collect();
    assert_eq!((told(&report)[0].1, told(&report)[1].1), (Outcome::Failed, Outcome::RolledBack));
    // It was asked again for what went back; web tells of the request that was for it.
    assert!(texts[0].contains("at request 0"), "{texts:?}");
}

#[test]
fn what_is_refused_once_more_alone_is_told_by_that() {
    let (_turn, host) = due(&[WEB, API]);
    host.daemons[0].be(Manner::Refuses);
    let report = host.renew();
    // Together 0, back 1, one alone 2, back 3, the other alone 4.
    let mut texts: Vec<&str> = report.certificates.iter().map(|c| c.error.as_ref().expect("an error").text.as_str()).collect();
    texts.sort_unstable();
    assert!(texts[0].contains("at request 2") && texts[1].contains("at request 4"), "{texts:?}");
}

#[test]
fn a_service_that_fails_its_one_start_is_not_started_for_what_goes_back() {
    let (_turn, host) = due(&[WEB]);
    host.daemons[0].set(ServiceState::Failed);
    host.daemons[0].be(Manner::Refuses);
    let report = host.renew();
    assert_eq!(told(&report)[0], ("web".to_owned(), Outcome::Failed, Some(Proof::None), Some("service-down")));
    let text = &report.certificates[0].error.as_ref().expect("an error").text;
    assert!(text.contains("does not run with its previous files either") && text.contains("the new ones: "), "{text}");
    assert_eq!(count(&host, "start 0"), 1);
    assert_eq!(host.live("run", "web").as_deref(), Some("gen-1"));
    // Another run is another start.
    host.renew();
    assert_eq!(count(&host, "start 0"), 1);
}

#[test]
fn a_service_of_which_nobody_can_say_whether_it_runs_is_not_said_to_serve_what_is_back() {
    let (_turn, host) = due(&[WEB]);
    host.daemons[0].be(Manner::Hides);
    let report = host.renew();
    assert_eq!(told(&report)[0], ("web".to_owned(), Outcome::RolledBack, Some(Proof::None), Some("reload-failed")));
    host.heal();
    assert_eq!(host.renew().exit, 0);
}

#[test]
fn what_a_restart_brought_down_is_started_again_with_its_previous_files() {
    let (_turn, host) = due(&[WEB]);
    *host.daemons[0].restarts.lock().expect("restarts") = true;
    *host.daemons[0].proves.lock().expect("proves") = true;
    host.daemons[0].be(Manner::EndsByTheNew("web".to_owned()));
    let report = host.renew();
    assert_eq!(told(&report)[0], ("web".to_owned(), Outcome::RolledBack, Some(Proof::Served), Some("reload-failed")));
    let events = host.events.take();
    let count = |event: &str| events.iter().filter(|seen| *seen == event).count();
    assert_eq!(count("ask 0"), 2, "it is asked, not started: what it is in by then is our own doing");
    assert_eq!(count("prove 0 by its life"), 1, "what was noted of others before is not asked for again: {events:?}");
    assert!(host.daemons[0].is_running());
    host.check("the end");
}

#[test]
fn what_a_restart_brought_down_for_good_is_said_to_be_down() {
    let (_turn, host) = due(&[WEB]);
    *host.daemons[0].restarts.lock().expect("restarts") = true;
    host.daemons[0].be(Manner::Ends);
    let report = host.renew();
    assert_eq!(told(&report)[0], ("web".to_owned(), Outcome::Failed, Some(Proof::None), Some("service-down")));
    let text = &report.certificates[0].error.as_ref().expect("an error").text;
    assert!(text.contains("does not run with its previous files either") && text.contains("the new ones: "), "{text}");
    assert_eq!(host.live("run", "web").as_deref(), Some("gen-1"));
    host.heal();
    assert_eq!(host.renew().exit, 0);
}

#[test]
fn what_is_gone_after_it_was_given_its_previous_files_is_down_whatever_else_is_seen() {
    // The first service is the one that is looked at; another one is seen by its state and its driver's proof alone.
    for (daemons, gone, manner, proves) in [
        (&[0][..], 0, Manner::Leaves, false),
        (&[0], 0, Manner::LeavesInSilence, false),
        (&[0, 1], 1, Manner::Ends, false),
        (&[0, 1], 1, Manner::LeavesInSilence, true),
        (&[0, 1], 1, Manner::Forgets, true),
    ] {
        let (_turn, host) = due(&[Cert { name: "web", daemons }]);
        let daemon = &host.daemons[gone];
        (*daemon.restarts.lock().expect("restarts"), *daemon.proves.lock().expect("proves")) = (true, proves);
        daemon.be(manner.clone());
        let report = host.renew();
        let (_, outcome, proof, code) = told(&report).remove(0);
        assert_eq!((outcome, code), (Outcome::Failed, Some("service-down")), "{manner:?}: {report:#?}");
        // Its driver's proof is no look at what others see.
        assert_eq!(proof, if proves { Some(Proof::Served) } else { Some(Proof::None) }, "{manner:?}");
        let text = &report.certificates[0].error.as_ref().expect("an error").text;
        assert!(text.contains("does not run with its previous files either"), "{text}");
    }
}

#[test]
fn what_runs_and_serves_nothing_is_not_down_and_what_was_stopped_is_not_started_anew() {
    let (turn, host) = due(&[WEB]);
    *host.daemons[0].restarts.lock().expect("restarts") = true;
    host.daemons[0].be(Manner::Forgets);
    assert_eq!(told(&host.renew())[0], ("web".to_owned(), Outcome::RolledBack, Some(Proof::None), Some("unreachable")));
    drop((turn, host));
    let (_turn, host) = due(&[WEB]);
    *host.daemons[0].restarts.lock().expect("restarts") = true;
    host.daemons[0].set(ServiceState::Stopped);
    assert_eq!(told(&host.renew())[0], ("web".to_owned(), Outcome::Renewed, Some(Proof::ServiceStopped), None));
    assert_eq!(count(&host, "ask 0") + count(&host, "start 0"), 0);
}

#[test]
fn what_a_reload_brought_down_gets_its_one_start_and_what_was_stopped_before_is_not_down() {
    let (turn, host) = due(&[WEB]);
    host.daemons[0].be(Manner::EndsByTheNew("web".to_owned()));
    assert_eq!(told(&host.renew())[0], ("web".to_owned(), Outcome::RolledBack, Some(Proof::Served), Some("reload-failed")));
    let events = host.events.take();
    let count = |event: &str| events.iter().filter(|seen| *seen == event).count();
    assert_eq!((count("ask 0"), count("start 0")), (1, 1), "{events:?}");
    drop((turn, host));
    let (_turn, host) = due(&[Cert { name: "web", daemons: &[0, 1] }]);
    *host.daemons[1].restarts.lock().expect("restarts") = true;
    host.daemons[1].set(ServiceState::Stopped);
    host.daemons[0].be(Manner::KeepsWhatItHas);
    assert_eq!(told(&host.renew())[0], ("web".to_owned(), Outcome::RolledBack, Some(Proof::Served), Some("old-leaf")));
}

#[test]
fn what_was_given_back_to_a_stopped_service_is_noted_once() {
    let (_turn, host) = due(&[WEB]);
    assert_eq!(host.renew().exit, 0);
    host.daemons[0].set(ServiceState::Stopped);
    host.power_cut();
    assert_eq!(told(&host.renew())[0], ("web".to_owned(), Outcome::Settled, Some(Proof::ServiceStopped), None));
    let state = std::fs::read(host.path("state/certs/web/state.json")).expect("a state");
    let state: serde_json::Value = serde_json::from_slice(&state).expect("JSON");
    assert_eq!(state["proven"]["stopped"], serde_json::json!([host.daemons[0].name]), "who is still to be asked");
    let lines = host.ledger().len();
    assert_eq!((told(&host.renew())[0].1, host.ledger().len()), (Outcome::NotDue, lines), "it is stopped still, which is known");
}

#[test]
fn only_what_shares_a_service_with_what_goes_back_is_looked_at_again() {
    let certs = [Cert { name: "web", daemons: &[0] }, Cert { name: "api", daemons: &[0, 1] }, Cert { name: "mail", daemons: &[1] }];
    let (_turn, host) = due(&certs);
    host.daemons[1].be(Manner::KeepsWhatItHasOf("mail".to_owned()));
    let report = host.renew();
    let outcomes: Vec<_> = told(&report).into_iter().map(|(_, outcome, proof, _)| (outcome, proof)).collect();
    let renewed = (Outcome::Renewed, Some(Proof::Served));
    assert_eq!(outcomes, [renewed, renewed, (Outcome::RolledBack, Some(Proof::Served))]);
    let looks = |name: &str, events: &[String]| events.iter().filter(|event| **event == format!("look {name}")).count();
    let events = host.events.take();
    assert_eq!(["web", "api", "mail"].map(|name| looks(name, &events)), [1, 2, 2], "{events:?}");
}

/// Takes the endpoints of these certificates out of the settings.
fn without_endpoints(host: &mut Host, names: &[&str]) {
    host.configure(|text| {
        let is_of = |line: &str| names.iter().any(|name| line.contains(&format!("server_name = \"{name}.example.net\"")));
        text.lines().filter(|line| !is_of(line)).map(|line| format!("{line}\n")).collect()
    });
}

#[test]
fn a_unit_that_was_started_has_to_stay_unless_it_is_meant_to_end() {
    let mail = Cert { name: "mail", daemons: &[1] };
    let (mta, cdn) = (Cert { name: "mta", daemons: &[2] }, Cert { name: "cdn", daemons: &[3] });
    let (_turn, mut host) = due(&[WEB, API, mail, mta, cdn]);
    without_endpoints(&mut host, &["web", "mail", "mta"]);
    for (number, unit, manner) in [
        (0, Unit::Lasting, Manner::LeavesInSilence),
        (1, Unit::Oneshot, Manner::LeavesInSilence),
        (2, Unit::Lasting, Manner::Reads),
        (3, Unit::Lasting, Manner::LeavesInSilence),
    ] {
        let daemon = &host.daemons[number];
        daemon.set(ServiceState::Failed);
        *daemon.unit.lock().unwrap() = Some(unit);
        daemon.be(manner);
    }
    let report = host.renew();
    let row = |name: &str, outcome, proof, code| (name.to_owned(), outcome, Some(proof), code);
    let expected = [
        // One unit of both, and only one of them has an endpoint.
        row("web", Outcome::Failed, Proof::None, Some("service-down")),
        row("api", Outcome::Failed, Proof::None, Some("service-down")),
        row("mail", Outcome::Renewed, Proof::File, None),
        row("mta", Outcome::Renewed, Proof::File, None),
        // It is seen at its endpoint: nobody waits.
        row("cdn", Outcome::Failed, Proof::None, Some("service-down")),
    ];
    assert_eq!(told(&report), expected, "{report:#?}");
    let events = host.events.take();
    let count = |event: &str| events.iter().filter(|seen| *seen == event).count();
    assert_eq!(["start 0", "start 1", "start 2", "start 3"].map(count), [1, 1, 1, 1], "{events:?}");
    let text = |number: usize| &report.certificates[number].error.as_ref().expect("an error").text;
    assert!(text(0).contains("has ended again") && text(1).contains("has ended again"), "{}", text(0));
    assert!(!text(4).contains("has ended again"), "{}", text(4));
    host.check("the end");
}

#[test]
fn a_first_look_is_put_off_for_half_its_time_at_most_and_for_nobody_who_was_not_asked() {
    let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
    for (lingers, state, manner, rest) in [
        ([Duration::ZERO, Duration::ZERO], ServiceState::Running, Manner::Reads, second..=second),
        ([Duration::from_millis(300), Duration::ZERO], ServiceState::Running, Manner::Reads, second * 7 / 10..=second * 8 / 10),
        ([hour, Duration::ZERO], ServiceState::Running, Manner::Reads, second / 2..=second / 2),
        // Another one that lingers was not asked.
        ([Duration::ZERO, hour], ServiceState::Stopped, Manner::Reads, second..=second),
        ([hour, Duration::ZERO], ServiceState::Running, Manner::KeepsWhatItHas, second / 2..=second / 2),
    ] {
        let (_turn, host) = due(&[Cert { name: "web", daemons: &[0, 1] }]);
        for (daemon, lingers) in host.daemons.iter().zip(lingers) {
            *daemon.lingers.lock().unwrap() = lingers;
        }
        host.daemons[0].be(manner.clone());
        host.daemons[1].set(state);
        host.eyes.limits.lock().unwrap().clear();
        let report = host.renew();
        let limits = host.eyes.limits.lock().unwrap();
        assert!(rest.contains(&limits[0]), "{lingers:?} {state:?}: {limits:?}");
        // What went back is looked at without a wait.
        let outcome = if manner == Manner::Reads { Outcome::Renewed } else { Outcome::RolledBack };
        assert_eq!((told(&report)[0].1, &limits[1..]), (outcome, &vec![second; usize::from(manner != Manner::Reads)][..]));
    }
}
