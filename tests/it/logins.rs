//! What `status` says of a login without asking anybody: that a run waits for one, and that one ends before it is needed.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::lab::hostile::{Hostile, Login, TOKEN};
use crate::lab::place;
use crate::lab::wait_for;

#[test]
fn a_run_that_only_waits_for_its_login_is_under_way_and_health_is_as_before_it() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    hostile.login(Login::Late);
    let mut child = estate.command(&["renew", "web", "--force"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let working = estate.run_dir().join(".working.json");
    wait_for("the run to begin its work", Duration::from_secs(10), || working.exists());
    let status = estate.omens(&["status"]);
    let state = estate.state_json("web");
    assert!(child.try_wait().unwrap().is_none() && state["begun"].is_null(), "nothing of the run is in its state yet: {state}");
    assert_eq!((status.code, &status.cert("web")["in_progress"]["stage"]), (0, &json!("issue")), "{status}");
    assert!(status.reasons("web").contains(&"in-progress"), "{status}");
    assert!(estate.plain(&["status"]).stdout.contains("in-progress"));
    assert!(child.wait().unwrap().success() && !working.exists());
    // What a killed run left says nothing of a later one.
    std::fs::write(&working, json!({ "since": "2026-01-01T00:00:00Z", "certificates": ["web"] }).to_string()).unwrap();
    assert_eq!(estate.omens(&["status"]).cert("web")["in_progress"], json!(null));
}

#[test]
fn a_token_that_ends_before_the_next_renewal_is_said_and_measured_without_asking_for_it() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    assert_eq!(estate.omens(&["status"]).json["logins"], json!([]), "a login that is made for each run has no end that matters");
    place::write_secret(&estate.dir.join("token"), TOKEN);
    estate.authority.login = "[ { token = { token = \"file:DIR/token\" } } ]".into();
    estate.write();
    // Its period is an hour, and the certificate is due in 16: by then it is over.
    estate.force().expect(0, "web", "renewed");
    let asked = hostile.requests().len();
    let status = estate.omens(&["status"]);
    assert_eq!((&status.json["logins"][0]["method"], &status.json["logins"][0]["renews"]), (&json!("token"), &json!(true)), "{status}");
    assert_eq!((status.code, &status.json["warnings"][0]["code"]), (0, &json!("login-ends")), "{status}");
    assert_eq!(status.json["login_expires"], status.json["logins"][0]["expires"]);
    assert!(estate.plain(&["status"]).stdout.contains("login-ends: the login by token ends in"));
    let metrics = estate.plain(&["status", "--format", "prometheus"]).stdout;
    assert!(metrics.contains("omens_login_expires_seconds{login=\"token\"} 1"), "{metrics}");
    assert!(!metrics.contains("omens_tpm_state"), "there is no TPM here");
    assert_eq!(hostile.requests().len(), asked, "status asks nobody");
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(checked.json["warnings"].as_array().unwrap().iter().any(|warning| warning["code"] == "login-ends"), "{checked}");
    // Another login: what was noted of the token is no longer about anything.
    estate.authority.login = hostile.estate().authority.login;
    estate.write();
    assert_eq!(estate.omens(&["status"]).json["logins"], json!([]));
}
