//! What fails is seen in `status`, `plan` and the ledger, for as long as it is so, and costs one certificate alone.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use serde_json::Value;

use crate::lab::estate::Cert;
use crate::lab::hostile::{Hostile, Lie};
use crate::web::issued;

#[test]
fn a_failure_before_the_flow_is_in_status_until_a_run_had_no_cause_to_repeat_it() {
    let (_hostile, estate) = issued();
    let gone = estate.dir.join("aside");
    std::fs::rename(estate.run_dir().join("web"), &gone).unwrap();
    std::os::unix::fs::symlink(&gone, estate.run_dir().join("web")).unwrap();
    let run = estate.force();
    run.expect(1, "web", "failed");
    assert_eq!(run.cert("web")["error"]["code"], "link-refused", "{run}");
    assert_eq!(estate.ledger().last().unwrap()["error"]["code"], "link-refused");
    std::fs::remove_file(estate.run_dir().join("web")).unwrap();
    std::fs::rename(&gone, estate.run_dir().join("web")).unwrap();
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert("web")["last_error"]["failure"]["code"]), (1, &"link-refused".into()), "{status}");
    // Also where both are of one second.
    estate.renew().expect(0, "web", "not-due");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert("web")["last_error"]), (0, &Value::Null), "{status}");
}

#[test]
fn an_error_of_before_is_not_told_as_the_cause_of_what_a_killed_run_left() {
    let (hostile, mut estate) = issued();
    hostile.lie(Lie::OtherEku);
    estate.force().expect(1, "web", "refused");
    let status = estate.omens(&["status"]);
    assert_eq!(status.cert("web")["last_error"]["failure"]["stage"], "validate", "{status}");
    // The next run gets a good one, and dies before anybody reads it. Both are told apart by whole seconds.
    hostile.lie(Lie::Nothing);
    std::thread::sleep(Duration::from_millis(1100));
    let script = estate.dir.join("kill");
    std::fs::write(&script, "#!/bin/sh\nkill -KILL $PPID\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    estate.certs[0].extra = format!("before = {{ exec = {{ command = [\"{}\"] }} }}\n", script.display());
    estate.write();
    let killed = estate.command(&["renew", "web", "--force"]).output().unwrap();
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    estate.certs[0].extra.clear();
    estate.write();
    let status = estate.omens(&["status"]);
    let web = status.cert("web");
    assert_eq!((status.code, &web["debt"]["generation"], &web["last_error"]), (1, &2.into(), &Value::Null), "{status}");
    let text = estate.plain(&["status"]).stdout;
    assert!(text.contains("gen-2 was issued but its run did not finish") && !text.contains("validate"), "{text}");
    estate.renew().expect(0, "web", "settled");
    assert_eq!(estate.omens(&["status"]).code, 0);
}

#[test]
fn a_failure_to_install_is_over_with_the_next_install_that_is_not_one() {
    let (_hostile, mut estate) = issued();
    let dir = estate.dir.join("consumer");
    estate.certs[0].extra = format!("install = [ {{ dir = \"{}\", cert = \"server.crt\" }} ]\n", dir.display());
    estate.write();
    let run = estate.omens(&["install"]);
    run.expect(1, "web", "failed");
    // What serves is said all the same.
    assert_eq!((&run.cert("web")["generation"], run.cert("web")["not_after"].is_string()), (&1.into(), true), "{run}");
    std::fs::create_dir(&dir).unwrap();
    estate.omens(&["install"]).expect(0, "web", "installed");
    assert_eq!(estate.omens(&["status"]).code, 0);
}

#[test]
fn a_strange_file_of_one_certificate_leaves_the_others_their_report() {
    let hostile = Hostile::start();
    let estate = hostile.estate().with(Cert::web("second"));
    estate.renew();
    let state = estate.state().join("certs/web/state.json");
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    let plan = estate.omens(&["plan"]);
    assert_eq!((plan.code, plan.reasons("web"), plan.reasons("second")), (0, vec!["debt"], vec!["fresh"]), "{plan}");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert("second")["healthy"]), (1, &true.into()), "{status}");
    // What consumers find is told all the same.
    let web = status.cert("web");
    assert!(web["serial"].is_string() && web["live"] == 1 && web["healthy"] == false, "{status}");
}
