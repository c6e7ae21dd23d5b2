//! What a review found missing: damaged and changed generations at boot, foreign copies, partly stopped services, failures before the flow.

use std::path::Path;
use std::process::Command;

use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::Hostile;
use crate::lab::nginx::Nginx;
use crate::lab::pki::pem_blocks;
use crate::web::{NAME, Web};

fn issued() -> (Hostile, Estate) {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    (hostile, estate)
}

/// A self-signed pair that works and is nobody's we know.
fn foreign_pair() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn wipe_run(estate: &Estate) {
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
}

fn warned(run: &crate::lab::estate::Run, code: &str) -> bool {
    run.cert("web")["warnings"].as_array().unwrap().iter().any(|w| w["code"] == code)
}

#[test]
fn restore_publishes_no_pair_that_never_passed_the_gate() {
    let (_hostile, estate) = issued();
    let live = estate.state().join("certs/web/gen-1");
    let (certificate, key) = foreign_pair();
    for (file, text) in [("cert.pem", &certificate), ("fullchain.pem", &certificate), ("key.pem", &key)] {
        std::fs::write(live.join(file), text).unwrap();
    }
    wipe_run(&estate);
    let run = estate.omens(&["restore"]);
    run.expect(1, "web", "failed");
    assert_eq!(run.cert("web")["error"]["code"], "blob-damaged", "{run}");
    assert_eq!(estate.published_leaf("web"), None);
    // The next run makes a new one.
    estate.renew().expect(0, "web", "renewed");
}

#[test]
fn restore_takes_valid_debt_where_the_committed_one_is_damaged() {
    let web = Web::serving();
    web.nginx.write_broken();
    web.estate.force().expect(1, "web", "rolled-back");
    std::fs::write(web.estate.state().join("certs/web/gen-1/key.pem"), "torn").unwrap();
    wipe_run(&web.estate);
    let run = web.estate.omens(&["restore"]);
    run.expect(0, "web", "restored");
    assert_eq!(run.cert("web")["generation"], 2, "{run}");
    assert!(warned(&run, "debt-published"), "{run}");
    web.nginx.write();
    web.estate.renew().expect(0, "web", "settled");
    assert_eq!(web.estate.signed(), 2);
}

#[test]
fn restore_does_not_call_an_empty_run_directory_kept() {
    let (_hostile, estate) = issued();
    wipe_run(&estate);
    std::fs::create_dir_all(estate.run_dir().join("web")).unwrap();
    let run = estate.omens(&["restore"]);
    run.expect(0, "web", "restored");
    assert!(estate.published_leaf("web").is_some());
    estate.omens(&["restore"]).expect(0, "web", "kept");
}

fn with_copies(estate: Estate) -> Estate {
    let dir = estate.dir.join("consumer");
    std::fs::create_dir(&dir).unwrap();
    let install = format!(
        "install = [ {{ dir = \"{}\", cert = \"server.crt\", key = \"server.key\", ca = \"ca.crt\", as = \"copy\" }} ]\n",
        dir.display()
    );
    let estate = Estate { certs: vec![Cert { extra: install, ..Cert::web("web") }], ..estate };
    estate.write();
    estate
}

#[test]
fn a_file_that_is_not_ours_is_kept_aside_by_whoever_comes_first() {
    let hostile = Hostile::start();
    for command in [&["renew", "--all"][..], &["install"]] {
        let estate = hostile.estate();
        if command == ["install"] {
            estate.renew().expect(0, "web", "renewed");
        }
        let estate = with_copies(estate);
        let dir = estate.dir.join("consumer");
        std::fs::write(dir.join("server.key"), "-----BEGIN PRIVATE KEY-----\nprecious\n").unwrap();
        std::fs::write(dir.join("ca.crt"), "somebody's authorities").unwrap();
        let run = estate.omens(command);
        assert_eq!(run.code, 0, "{run}");
        assert!(std::fs::read_to_string(dir.join("server.key.before-omens")).unwrap().contains("precious"), "{run}");
        assert_eq!(std::fs::read_to_string(dir.join("ca.crt.before-omens")).unwrap(), "somebody's authorities", "{run}");
        assert!(warned(&run, "kept-aside") && warned(&run, "plaintext-key"), "{run}");
        // Our own copies are simply renewed.
        let run = estate.force();
        run.expect(0, "web", "renewed");
        assert!(!warned(&run, "kept-aside"), "{run}");
        assert_eq!(std::fs::read(dir.join("server.key")).unwrap(), std::fs::read(estate.run_dir().join("web/live/key.pem")).unwrap());
        assert!(!dir.join("server.key.before-omens-2").exists());
    }
}

#[test]
fn a_copy_with_the_wrong_mode_or_content_is_mended_without_signing() {
    let (hostile, estate) = issued();
    let estate = with_copies(estate);
    estate.renew().expect(0, "web", "settled");
    let signed = || hostile.requests().iter().filter(|r| r.path.contains("/sign/")).count();
    let before = signed();
    let dir = estate.dir.join("consumer");
    let mend = |break_it: &dyn Fn(&Path)| {
        break_it(&dir);
        let plan = estate.omens(&["plan"]);
        assert_eq!(plan.reasons("web"), ["unpublished"], "{plan}");
        estate.renew().expect(0, "web", "settled");
        assert_eq!(estate.omens(&["status", "--due"]).code, 1);
    };
    mend(&|dir| std::fs::set_permissions(dir.join("server.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap());
    mend(&|dir| std::fs::remove_file(dir.join("ca.crt")).unwrap());
    mend(&|dir| std::fs::write(dir.join("server.crt"), "scribble").unwrap());
    assert_eq!(signed(), before);
}

#[test]
fn a_run_directory_that_others_may_write_is_mended_without_signing() {
    use std::os::unix::fs::PermissionsExt as _;
    let (hostile, estate) = issued();
    let directory = estate.run_dir().join("web");
    let before = std::fs::metadata(&directory).unwrap().permissions().mode();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    let plan = estate.omens(&["plan"]);
    assert_eq!(plan.reasons("web"), ["unpublished"], "{plan}");
    estate.renew().expect(0, "web", "settled");
    assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode(), before);
    assert_eq!(hostile.sign_requests(), 1);
}

#[test]
fn a_directory_of_somebody_else_is_used_for_nothing() {
    if !rustix::process::geteuid().is_root() {
        return crate::skipped("directories of another user: only root can make them");
    }
    for which in [Estate::state, Estate::run_dir] {
        let (hostile, estate) = issued();
        std::os::unix::fs::chown(which(&estate), Some(12_345), None).unwrap();
        let run = estate.force();
        run.expect(1, "web", "failed").because("web", "publish/foreign-owner");
        assert_eq!((hostile.sign_requests(), estate.committed("web")), (1, Some(1)), "{run}");
        std::os::unix::fs::chown(which(&estate), Some(0), None).unwrap();
        estate.force().expect(0, "web", "renewed");
    }
}

#[test]
fn with_v_every_step_is_told_and_with_vv_every_question() {
    let (_hostile, estate) = issued();
    let stderr = |flag: &str| {
        let run = estate.plain(&["renew", "--all", "--force", flag]);
        assert_eq!(run.code, 0, "{run:?}");
        run.stderr
    };
    let told = stderr("-v");
    for words in ["web: issue", "web: validate", "web: publish", "web: renewed"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("answered"), "{told}");
    assert!(stderr("-vv").contains("/sign/"));
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
    estate.omens(&["rollback", "web"]).expect(1, "web", "refused");
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
fn more_certificates_than_open_files_are_renewed() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.certs = (0..150).map(|n| Cert::web(&format!("c{n}"))).collect();
    estate.write();
    let omens = estate.command(&["renew", "--all"]);
    let output =
        Command::new("prlimit").arg("--nofile=100:100").arg("--").arg(omens.get_program()).args(omens.get_args()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout).chars().take(600).collect::<String>());
    assert!(estate.published_leaf("c149").is_some());
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

#[test]
fn restore_writes_the_trust_anchor_again() {
    let (_hostile, estate) = issued();
    let anchor = estate.run_dir().join("trust/anchor.pem");
    std::fs::write(&anchor, "x").unwrap();
    estate.omens(&["restore"]).expect(0, "web", "kept");
    assert_eq!(std::fs::read_to_string(&anchor).unwrap().trim(), estate.authority.root_pem.trim());
}

#[test]
fn settings_of_another_user_are_refused() {
    if !rustix::process::geteuid().is_root() {
        return crate::skipped("settings_of_another_user_are_refused: needs root to give files away");
    }
    let (_hostile, estate) = issued();
    std::os::unix::fs::chown(estate.settings(), Some(65534), None).unwrap();
    let run = estate.omens(&["check-config"]);
    assert_eq!((run.code, &run.json["errors"][0]["code"]), (2, &"permissions".into()), "{run}");
}

#[test]
fn the_certificate_at_live_is_a_leaf_and_its_chain_without_the_root() {
    let (_hostile, estate) = issued();
    let live = estate.run_dir().join("web/live");
    let count = |file: &str| pem_blocks(&std::fs::read_to_string(live.join(file)).unwrap()).len();
    assert_eq!((count("cert.pem"), count("chain.pem"), count("fullchain.pem")), (1, 1, 2));
}
