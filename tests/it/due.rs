//! `renew_at`: when a certificate is due, by itself, its profile or `[defaults]`, and what follows from that; and one that is not valid yet.

use omens::model::anchor::Fingerprint;
use omens::model::clock::Time;
use serde_json::Value;

use crate::lab::estate::{Estate, Run};
use crate::lab::hostile::Hostile;
use crate::lab::pki::Leaf;
use crate::web::{NAME, issued};

/// The part of its life after which `web` is due.
fn share(estate: &Estate) -> f64 {
    let status = estate.omens(&["status"]);
    let time = |field: &str| Time::parse(status.cert("web")[field].as_str().unwrap()).unwrap().unix();
    let (from, due, until) = (time("not_before"), time("due_at"), time("expires"));
    (due - from) as f64 / (until - from) as f64
}

/// Puts another leaf of the same key in the place of the committed one, as if a run had staged it: one that is valid in an hour.
fn postpone(hostile: &Hostile, estate: &Estate) {
    let live = estate.state().join("certs/web/gen-1");
    let read = |file: &str| std::fs::read_to_string(live.join(file)).unwrap();
    let key = rcgen::KeyPair::from_pem(&read("key.pem")).unwrap();
    let mut leaf = Leaf::server(NAME, &[NAME], &[[127, 0, 0, 1].into()], time::Duration::DAY);
    (leaf.not_before, leaf.not_after) = (leaf.not_before + time::Duration::HOUR, leaf.not_after + time::Duration::HOUR);
    let pem = hostile.leaf(&key, &leaf);
    std::fs::write(live.join("fullchain.pem"), format!("{pem}{}", read("chain.pem"))).unwrap();
    std::fs::write(live.join("cert.pem"), pem).unwrap();
    let mut meta: Value = serde_json::from_str(&read("meta.json")).unwrap();
    for (file, print) in meta["files"].as_object_mut().unwrap() {
        *print = serde_json::to_value(Fingerprint::of(read(file).as_bytes())).unwrap();
    }
    std::fs::write(live.join("meta.json"), meta.to_string()).unwrap();
}

#[test]
fn what_is_committed_and_not_valid_yet_is_said_and_renewed() {
    let (hostile, estate) = issued();
    postpone(&hostile, &estate);
    estate.omens(&["restore"]).expect(0, "web", "restored");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, status.reasons("web"), &status.cert("web")["healthy"]), (1, vec!["not-yet-valid"], &false.into()), "{status}");
    let text = estate.plain(&["status"]).stdout;
    assert!(text.contains("not-yet-valid") && text.contains("is this host's clock right?"), "{text}");
    assert_eq!(estate.omens(&["status", "--due"]).code, 0);
    let plan = estate.omens(&["plan"]);
    assert_eq!((&plan.cert("web")["action"], plan.reasons("web")), (&"issue".into(), vec!["not-yet-valid"]), "{plan}");
    let audit = estate.omens(&["chain-audit"]);
    assert!(audit.json["findings"].as_array().unwrap().iter().any(|finding| finding["id"] == "validity.not-yet-valid"), "{audit}");
    estate.renew().expect(0, "web", "renewed");
    assert_eq!((estate.committed("web"), estate.omens(&["status"]).code), (Some(2), 0));
}

fn errors(run: &Run) -> Vec<String> {
    run.json["errors"].as_array().unwrap().iter().map(|error| error["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_certificate_is_due_as_it_says_or_its_profile_or_the_defaults() {
    let (_hostile, mut estate) = issued();
    let within = |share: f64, at: f64| assert!((at - 0.05..=at + 0.001).contains(&share), "{share} for {at}");
    within(share(&estate), 0.667);
    let settings = estate.settings_text();
    let defaults = |text: &str| std::fs::write(estate.settings(), format!("{settings}\n[defaults]\nrenew_at = {text}\n")).unwrap();
    defaults("0.9");
    within(share(&estate), 0.9);
    let profile = estate.dir.join("policies/certificates/tls-server.toml");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/certificates/tls-server.toml");
    std::fs::write(&profile, format!("renew_at = \"12h\"\n{}", std::fs::read_to_string(shipped).unwrap())).unwrap();
    within(share(&estate), 0.5);
    estate.certs[0].extra = "renew_at = \"80%\"\n".to_owned();
    estate.write();
    within(share(&estate), 0.8);
    estate.certs[0].extra = "renew_at = 0.1\n".to_owned();
    estate.write();
    within(share(&estate), 0.1);
    // What the metrics say follows.
    let metrics = estate.plain(&["status", "--format", "prometheus"]).stdout;
    let due = metrics.lines().find_map(|line| line.strip_prefix("omens_certificate_due_seconds{certificate=\"web\"} ")).unwrap().to_owned();
    let said = estate.omens(&["plan"]).cert("web")["due_at"].as_str().map(|text| Time::parse(text).unwrap().unix().to_string());
    assert_eq!(Some(due), said);
    // The time left is what runs have to fit into: 7 h of 24 h are no room for one a day, 20 h are for one in 15 minutes.
    let warns = |estate: &Estate| estate.omens(&["check-config"]).json.to_string().contains("runs-too-seldom");
    estate.certs[0].ttl = "3m".to_owned();
    estate.certs[0].extra = "renew_at = 0.95\n".to_owned();
    estate.write();
    assert!(warns(&estate));

    // Nothing that is too early, too late, or no time at all.
    for (text, says) in [
        ("0.05", "expected a share of the lifetime from 0.1 to 0.95, found 0.05"),
        ("1", "from 0.1 to 0.95, found 1"),
        ("\"10s\"", "expected 1h12m to 21h36m before the end of 24h, found 10s"),
        ("\"soon\"", "expected a number with its unit"),
        ("[1]", "expected a number or a string, found an array"),
    ] {
        estate.certs[0].ttl = "24h".to_owned();
        estate.certs[0].extra = format!("renew_at = {text}\n");
        estate.write();
        let run = estate.omens(&["check-config"]);
        assert!(run.code == 2 && errors(&run).iter().any(|error| error.contains(says)), "{text}: {run}");
    }
    estate.certs[0].extra.clear();
    estate.write();
    std::fs::remove_file(&profile).unwrap();
    let settings = estate.settings_text();
    std::fs::write(estate.settings(), format!("{settings}\n[defaults]\nrenew_at = \"30d\"\n")).unwrap();
    let run = estate.omens(&["check-config"]);
    assert!(errors(&run)[0].starts_with("renew_at of [defaults]: expected 1h12m to 21h36m"), "{run}");
}
