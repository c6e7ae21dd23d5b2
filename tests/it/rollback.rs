//! `rollback`: what a person rejected does not come back, and one that is refused or not taken up leaves what was live.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::lab::estate::Estate;
use crate::web::{Web, issued};

/// The mark of a withdrawn generation.
fn mark(estate: &Estate, generation: u64) -> PathBuf {
    estate.state().join(format!("certs/web/withdrawn-{generation}"))
}

#[test]
fn a_mark_beside_the_generation_outlives_the_loss_of_the_state() {
    let (_hostile, estate) = issued();
    estate.force().expect(0, "web", "renewed");
    estate.omens(&["rollback", "web"]).expect(0, "web", "rolled-back");
    let meta = std::fs::metadata(mark(&estate, 2)).unwrap();
    assert_eq!((meta.len(), meta.permissions().mode() & 0o777), (0, 0o600));
    // What an older omens noted in state.json alone is marked by a run with nothing due, and a mark without its generation goes.
    std::fs::remove_file(mark(&estate, 2)).unwrap();
    std::fs::write(mark(&estate, 9), "").unwrap();
    estate.renew().expect(0, "web", "not-due");
    assert!(mark(&estate, 2).exists() && !mark(&estate, 9).exists());
    // Once more with one that is there as the run begins: its number is not used.
    std::fs::remove_file(estate.state().join("certs/web/state.json")).unwrap();
    std::fs::write(mark(&estate, 9), "").unwrap();
    assert_eq!(estate.omens(&["status"]).cert("web")["debt"]["generation"], 1, "only its proof is unknown");
    let run = estate.renew();
    run.expect(0, "web", "settled");
    assert_eq!((estate.committed("web"), estate.published("web")), (Some(1), Some(1)), "what a person rejected is back: {run}");
    assert!(!estate.state().join("certs/web/gen-2").exists() && !mark(&estate, 2).exists(), "it goes, and its mark with it");
    std::fs::write(mark(&estate, 9), "").unwrap();
    estate.force().expect(0, "web", "renewed");
    assert_eq!(estate.committed("web"), Some(10));
    // A link in its place is not followed, and the rollback ends before anything moves.
    std::os::unix::fs::symlink("/dev/null", mark(&estate, 10)).unwrap();
    let run = estate.omens(&["rollback", "web"]);
    assert_eq!((run.code, estate.committed("web"), estate.published("web")), (1, Some(10), Some(10)), "{run}");
}

#[test]
fn a_second_rollback_does_not_bring_back_what_was_rejected() {
    let (_hostile, estate) = issued();
    estate.force().expect(0, "web", "renewed");
    estate.omens(&["rollback", "web"]).expect(0, "web", "rolled-back");
    assert_eq!(estate.committed("web"), Some(1));
    estate.force().expect(0, "web", "renewed");
    assert_eq!(estate.committed("web"), Some(3));
    let run = estate.omens(&["rollback", "web"]);
    run.expect(0, "web", "rolled-back");
    assert_eq!((estate.committed("web"), estate.published("web")), (Some(1), Some(1)), "2 was rejected by a person: {run}");
}

#[test]
fn a_rollback_that_is_not_taken_up_leaves_what_was_live() {
    let web = Web::serving();
    web.estate.force().expect(0, "web", "renewed");
    let live = web.served().unwrap();
    web.nginx.write_broken();
    let run = web.estate.omens(&["rollback", "web"]);
    run.expect(1, "web", "failed");
    assert_eq!(run.cert("web")["error"]["code"], "reload-failed", "{run}");
    web.agrees_on(2, &live);
    assert!(!mark(&web.estate, 2).exists(), "what was not rolled back is marked as withdrawn");
    assert_eq!(web.estate.omens(&["status"]).json["certificates"][0]["last_error"]["failure"]["code"], "reload-failed");
    web.nginx.write();
    web.estate.renew().expect(0, "web", "not-due");
    web.agrees_on(2, &live);
}

#[test]
fn a_rollback_that_is_refused_changes_nothing_that_status_says() {
    let (_hostile, estate) = issued();
    let standing = || estate.omens(&["status"]);
    let (code, before) = (standing().code, estate.state_json("web"));
    assert_eq!(code, 0);
    // There is nothing to go back to.
    let run = estate.omens(&["rollback", "web"]);
    run.expect(1, "web", "refused");
    // What serves is said, although nothing was done.
    let (web, now) = (run.cert("web"), estate.omens(&["status"]));
    assert_eq!((&web["generation"], &web["previous"]), (&1.into(), &1.into()), "{run}");
    for (field, of_status) in [("serial", "serial"), ("sha256", "sha256"), ("not_before", "not_before"), ("not_after", "expires")] {
        assert_eq!(web[field], now.cert("web")[of_status], "{field}: {run}");
    }
    assert_eq!((standing().code, estate.state_json("web")), (0, before));
    assert_eq!(estate.ledger().last().unwrap()["outcome"], "refused");
    // What is there to go back to does not pass; an earlier failure is not forgotten for that.
    estate.force().expect(0, "web", "renewed");
    let kept = estate.state().join("certs/web/gen-1");
    std::fs::copy(estate.state().join("certs/web/gen-2/cert.pem"), kept.join("cert.pem")).unwrap();
    let failure = serde_json::json!({ "stage": "issue", "code": "unreachable", "text": "nobody there", "hint": null });
    let mut state = estate.state_json("web");
    state["last_error"] = serde_json::json!({ "at": "2026-01-01T00:02:00Z", "failure": failure });
    std::fs::write(estate.state().join("certs/web/state.json"), state.to_string()).unwrap();
    let run = estate.omens(&["rollback", "web"]);
    run.expect(1, "web", "refused");
    assert_eq!(estate.state_json("web")["last_error"], state["last_error"], "{run}");
}
