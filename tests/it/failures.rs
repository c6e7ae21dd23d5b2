//! What fails is seen in `status`, `plan` and the ledger, for as long as it is so, and costs one certificate alone.

use crate::lab::estate::Cert;
use crate::lab::hostile::Hostile;
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
    // A second later, so that the next run is told from this one.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    estate.renew().expect(0, "web", "not-due");
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
    assert_eq!((plan.code, plan.reasons("web"), plan.reasons("second")), (0, vec!["unreadable"], vec!["fresh"]), "{plan}");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert("second")["healthy"]), (1, &true.into()), "{status}");
}
