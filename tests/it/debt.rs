//! What was issued and not taken up: put back at once, kept as debt, settled without issuing; and services that share a reload.

use std::time::Duration;

use crate::lab::client::served_leaf;
use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::Hostile;
use crate::lab::nginx::Nginx;
use crate::lab::openbao::OpenBao;
use crate::web::{NAME, Web};

#[test]
fn a_reload_that_fails_puts_the_old_one_back_and_the_debt_is_settled_later() {
    let web = Web::serving();
    let old = web.served().unwrap();
    web.nginx.write_broken();
    let run = web.estate.force();
    run.expect(1, "web", "rolled-back");
    assert_eq!(run.cert("web")["error"]["stage"], "reload", "{run}");
    assert_eq!(run.cert("web")["sha256"].as_str(), Some(old.as_str()), "what /run names at the end: {run}");
    let debt = &run.cert("web")["debt"];
    assert_eq!((&debt["generation"], &debt["stage"], &debt["attempts"]), (&2.into(), &"reload".into(), &1.into()), "{run}");
    web.agrees_on(1, &old);
    let status = web.estate.omens(&["status"]);
    assert_eq!(status.code, 1, "{status}");
    assert_eq!(status.cert("web")["debt"]["generation"], 2, "{status}");
    let plan = web.estate.omens(&["plan"]);
    assert_eq!(plan.reasons("web")[0], "debt", "{plan}");
    assert_eq!(web.estate.ledger().last().unwrap()["outcome"], "rolled-back");

    web.nginx.write();
    let run = web.estate.renew();
    run.expect(0, "web", "settled");
    assert_eq!((&run.cert("web")["debt"], &run.cert("web")["proof"]), (&serde_json::Value::Null, &"served".into()), "{run}");
    web.agrees_on(2, &web.estate.published_leaf("web").unwrap());
    assert_ne!(web.served().unwrap(), old);
    assert_eq!(web.estate.signed(), 2, "settled without issuing again");
    assert_eq!(web.estate.omens(&["status"]).code, 0);
}

#[test]
fn a_hundred_failed_reloads_are_one_signing_request() {
    let web = Web::serving();
    let old = web.served().unwrap();
    let before = web.estate.signed();
    web.nginx.write_broken();
    web.estate.force().expect(1, "web", "rolled-back");
    for attempt in 2..=100 {
        let run = web.estate.renew();
        assert_eq!((run.code, run.error("web").split('/').next()), (1, Some("reload")), "attempt {attempt}: {run}");
    }
    assert_eq!(web.estate.signed() - before, 1, "signing requests in OpenBao's audit log");
    web.agrees_on(1, &old);
    web.nginx.write();
    let run = web.estate.renew();
    run.expect(0, "web", "settled");
    assert_eq!(web.estate.signed() - before, 1);
    assert_eq!(web.estate.published("web"), Some(2));
}

/// A host whose endpoint is another server block: one that always serves generation 1.
fn watched_elsewhere() -> (Web, String) {
    let mut web = Web::serving();
    let old = web.served().unwrap();
    let live = web.estate.run_dir().join("web/live");
    let (cert, key) = (web.estate.dir.join("fixed.pem"), web.estate.dir.join("fixed.key"));
    std::fs::copy(live.join("fullchain.pem"), &cert).unwrap();
    std::fs::copy(live.join("key.pem"), &key).unwrap();
    let fixed = web.nginx.fixed(NAME, &cert, &key);
    assert_eq!(web.nginx.reload().code, 0);
    crate::lab::wait_for("the second block", Duration::from_secs(3), || served_leaf(fixed, NAME).is_some());
    web.estate.certs[0].verify.clear();
    web.estate.certs[0] = web.estate.certs[0].clone().seen_at(fixed, "1s");
    web.estate.write();
    (web, old)
}

#[test]
fn a_service_that_goes_on_with_the_old_one_is_not_believed() {
    let (mut web, old) = watched_elsewhere();
    let run = web.estate.force();
    run.expect(1, "web", "rolled-back").because("web", "verify/old-leaf");
    web.agrees_on(1, &old);
    assert_eq!(run.cert("web")["debt"]["code"], "old-leaf", "{run}");

    // The mistake is repaired: the same generation is proven, nothing is signed.
    web.estate.certs[0].verify.clear();
    web.estate.certs[0] = web.estate.certs[0].clone().seen_at(web.port, "2s");
    web.estate.write();
    web.estate.renew().expect(0, "web", "settled");
    assert_eq!(web.estate.signed(), 2);
    web.agrees_on(2, &web.estate.published_leaf("web").unwrap());
}

#[test]
fn a_foreign_certificate_at_the_endpoint_is_named() {
    let mut web = Web::serving();
    let old = web.served().unwrap();
    let (cert, key) = OpenBao::shared().pair("web-ec", NAME);
    let (cert_file, key_file) = (web.estate.dir.join("foreign.pem"), web.estate.dir.join("foreign.key"));
    std::fs::write(&cert_file, cert).unwrap();
    crate::lab::place::write_secret(&key_file, &key);
    let foreign = web.nginx.fixed(NAME, &cert_file, &key_file);
    assert_eq!(web.nginx.reload().code, 0);
    crate::lab::wait_for("the second block", Duration::from_secs(3), || served_leaf(foreign, NAME).is_some());
    web.estate.certs[0].verify.clear();
    web.estate.certs[0] = web.estate.certs[0].clone().seen_at(foreign, "1s");
    web.estate.write();
    let run = web.estate.force();
    run.expect(1, "web", "rolled-back").because("web", "verify/other-leaf");
    web.agrees_on(1, &old);
    let nobody = crate::lab::free_port();
    web.estate.certs[0].verify =
        vec![format!("{{ tls = {{ address = \"127.0.0.1:{nobody}\", server_name = \"{NAME}\", deadline = \"1s\" }} }}")];
    web.estate.write();
    let run = web.estate.renew();
    assert_eq!((run.code, run.error("web").as_str()), (1, "verify/unreachable"), "{run}");
    assert_eq!(web.estate.signed(), 2, "the debt was tried again, nothing was signed");
}

#[test]
fn without_a_way_back_the_new_one_stays_as_debt() {
    let mut web = Web::stopped(Estate::at_openbao());
    let nobody = crate::lab::free_port();
    web.estate.certs[0].reload.clear();
    web.estate.certs[0].verify.clear();
    web.estate.certs[0] = web.estate.certs[0].clone().seen_at(nobody, "500ms");
    web.estate.write();
    let run = web.estate.renew();
    assert_eq!((run.code, &run.cert("web")["proof"]), (1, &"none".into()), "{run}");
    assert_eq!((web.estate.committed("web"), web.estate.published("web")), (Some(1), Some(1)), "{run}");
    assert_eq!(run.cert("web")["debt"]["generation"], 1, "{run}");
    assert_eq!(web.estate.omens(&["plan"]).reasons("web")[0], "debt");
    web.nginx.start();
    web.estate.certs[0].verify.clear();
    web.estate.certs[0] = web.estate.certs[0].clone().seen_at(web.port, "2s");
    web.estate.write();
    let run = web.estate.renew();
    run.expect(0, "web", "settled");
    assert_eq!(run.cert("web")["proof"], "served", "{run}");
    assert_eq!(web.estate.signed(), 1);
}

#[test]
fn force_withdraws_the_debt_and_signs_anew() {
    let web = Web::serving();
    web.nginx.write_broken();
    web.estate.force().expect(1, "web", "rolled-back");
    web.nginx.write();
    let run = web.estate.force();
    run.expect(0, "web", "renewed");
    assert_eq!((web.estate.signed(), web.estate.published("web")), (3, Some(3)), "{run}");
    assert_eq!(run.cert("web")["debt"], serde_json::Value::Null, "{run}");
}

#[test]
fn debt_that_no_longer_fits_the_settings_is_withdrawn_and_issued_anew() {
    let mut web = Web::serving();
    web.nginx.write_broken();
    web.estate.force().expect(1, "web", "rolled-back");
    web.nginx.write();
    web.estate.certs[0].dns = vec!["localhost".into()];
    web.estate.write();
    let run = web.estate.renew();
    run.expect(0, "web", "renewed");
    assert_eq!((web.estate.signed(), web.estate.published("web")), (3, Some(3)), "{run}");
}

#[test]
fn a_stopped_service_is_not_started_and_settles_when_it_runs() {
    let mut web = Web::serving();
    web.nginx.stop();
    let run = web.estate.force();
    run.expect(0, "web", "renewed");
    assert_eq!(run.cert("web")["proof"], "service-stopped", "{run}");
    assert!(!web.nginx.running());
    assert_eq!((web.estate.committed("web"), web.estate.published("web")), (Some(2), Some(2)));
    assert_eq!(web.estate.renew().outcome("web"), "not-due");
    assert_eq!(web.estate.omens(&["status"]).code, 0, "service-stopped is healthy");
    web.nginx.start();
    let run = web.estate.renew();
    run.expect(0, "web", "settled");
    assert_eq!(run.reasons("web"), ["unproven"], "{run}");
    assert_eq!(web.estate.signed(), 2);
}

/// Two certificates, one nginx.
struct Two {
    estate: Estate,
    nginx: Nginx,
    ports: [u16; 2],
}

impl Two {
    fn serving() -> Self {
        let mut estate = Estate::at_openbao();
        let mut nginx = Nginx::new(None);
        let ports = ["one", "two"].map(|name| nginx.include(NAME, &estate.include(name)));
        estate.certs = ["one", "two"].iter().zip(ports).map(|(n, p)| Cert::web(n).reloaded_by(&nginx.driver()).seen_at(p, "1s")).collect();
        estate.write();
        assert_eq!(estate.renew().code, 0);
        nginx.start();
        let run = estate.renew();
        run.expect(0, "one", "settled").expect(0, "two", "settled");
        Self { estate, nginx, ports }
    }

    fn served(&self) -> [Option<String>; 2] {
        self.ports.map(|port| served_leaf(port, NAME))
    }

    /// How often nginx was told to reload.
    fn reloads(&self) -> usize {
        self.nginx.log().matches("signal 1 (SIGHUP) received").count()
    }
}

#[test]
fn certificates_of_one_service_share_one_reload() {
    let two = Two::serving();
    let before = two.reloads();
    let run = two.estate.force();
    run.expect(0, "one", "renewed").expect(0, "two", "renewed");
    assert_eq!(two.reloads() - before, 1, "{}", two.nginx.log());
    assert_eq!(two.served(), ["one", "two"].map(|n| two.estate.published_leaf(n)));
}

#[test]
fn one_that_is_not_served_goes_back_and_the_other_stays() {
    let mut two = Two::serving();
    let old = two.served();
    // Its endpoint is one where its certificate will never be seen.
    two.estate.certs[1].verify.clear();
    two.estate.certs[1] = two.estate.certs[1].clone().seen_at(two.ports[0], "1s");
    two.estate.write();
    let run = two.estate.force();
    run.expect(1, "one", "renewed").expect(1, "two", "rolled-back");
    assert_eq!((two.estate.committed("one"), two.estate.committed("two")), (Some(2), Some(1)), "{run}");
    crate::lab::wait_for("both to be served as committed", Duration::from_secs(3), || {
        two.served() == [two.estate.published_leaf("one"), old[1].clone()]
    });
    assert_ne!(two.served()[0], old[0]);
}

#[test]
fn a_shared_reload_that_fails_takes_everything_of_the_run_back() {
    let two = Two::serving();
    let old = two.served();
    two.nginx.write_broken();
    let run = two.estate.force();
    run.expect(1, "one", "rolled-back").expect(1, "two", "rolled-back");
    assert_eq!(two.served(), old);
    two.nginx.write();
    let run = two.estate.renew();
    run.expect(0, "one", "settled").expect(0, "two", "settled");
    assert_eq!(two.estate.signed(), 4, "two first issues, two forced, none for settling");
}

#[test]
fn the_server_process_is_what_the_lab_thinks_it_is() {
    // Guards the counting above: a reload that happens is seen in nginx's log.
    let two = Two::serving();
    let before = two.reloads();
    assert_eq!(two.nginx.reload().code, 0);
    crate::lab::wait_for("the log line", Duration::from_secs(2), || two.reloads() == before + 1);
}

#[test]
fn forcing_costs_no_good_debt_while_the_ca_does_not_answer() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    // A service that refuses every reload: what is issued waits.
    let broken = format!("{{ nginx = {{ conf = \"{}/no-such.conf\" }} }}", estate.dir.display());
    let mut estate = Estate { certs: vec![Cert::web("web").reloaded_by(&broken)], ..estate };
    estate.write();
    estate.force().expect(1, "web", "rolled-back");
    hostile.lie(crate::lab::hostile::Lie::Status(500));
    let run = estate.force();
    run.expect(1, "web", "failed");
    assert_eq!(run.cert("web")["error"]["stage"], "issue", "{run}");
    hostile.lie(crate::lab::hostile::Lie::Nothing);
    estate.certs = vec![Cert::web("web")];
    estate.write();
    let before = hostile.requests().iter().filter(|r| r.path.contains("/sign/")).count();
    let run = estate.renew();
    run.expect(0, "web", "settled");
    assert_eq!(run.cert("web")["generation"], 2, "{run}");
    assert_eq!(hostile.requests().iter().filter(|r| r.path.contains("/sign/")).count(), before);
}

#[test]
fn of_two_services_the_one_that_runs_is_not_reloaded_again_and_again() {
    let mut web = Web::stopped(Estate::at_openbao());
    let asleep = Nginx::new(None);
    web.estate.certs[0] = web.estate.certs[0].clone().reloaded_by(&asleep.driver());
    web.estate.write();
    web.estate.renew().expect(0, "web", "renewed");
    web.nginx.start();
    let run = web.estate.renew();
    run.expect(0, "web", "settled");
    assert_eq!(run.cert("web")["proof"], "service-stopped", "one of them sleeps: {run}");
    let lines = web.estate.ledger().len();
    let reloads = || web.nginx.log().matches("signal 1 (SIGHUP) received").count();
    let before = reloads();
    for _ in 0..3 {
        web.estate.renew().expect(0, "web", "not-due");
    }
    assert_eq!((web.estate.ledger().len(), reloads()), (lines, before), "nothing happened");
    assert_eq!(web.estate.omens(&["status"]).code, 0);
}

#[test]
fn a_wrong_pid_file_does_not_switch_the_proof_off() {
    let web = Web::serving();
    let old = web.served().unwrap();
    let pid = web.nginx.pid_file();
    let right = std::fs::read_to_string(&pid).unwrap();
    std::fs::write(&pid, "999999999\n").unwrap();
    let run = web.estate.force();
    run.expect(1, "web", "rolled-back");
    assert_eq!(run.cert("web")["error"]["code"], "old-leaf", "{run}");
    assert!(run.cert("web")["error"]["hint"].as_str().unwrap().contains("pid"), "{run}");
    web.agrees_on(1, &old);
    std::fs::write(&pid, right).unwrap();
    web.estate.renew().expect(0, "web", "settled");
}
