//! `reseal` in trouble: what goes wrong on its way is said, leaves nothing behind that the next run stumbles over, and takes nothing away that
//! somebody has to know. The binary on a real software TPM.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::boot::{empty_run, published};
use crate::lab::estate::{Cert, Estate};
use crate::lab::swtpm::Swtpm;
use crate::tpm::start;

/// A host with one sealed certificate that is served.
fn host(swtpm: &Swtpm) -> Estate {
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    estate
}

fn generations(estate: &Estate) -> Vec<String> {
    let names =
        std::fs::read_dir(estate.state().join("certs/web")).unwrap().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let mut all: Vec<String> = names.filter(|name| name.starts_with("gen-")).collect();
    all.sort();
    all
}

fn note(estate: &Estate, change: impl FnOnce(&mut Value)) {
    let mut state = estate.state_json("web");
    change(&mut state);
    std::fs::write(estate.state().join("certs/web/state.json"), state.to_string()).unwrap();
}

#[test]
fn what_is_known_of_a_certificate_is_known_after_it() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = host(&swtpm);
    let failure = json!({ "stage": "issue", "code": "unreachable", "text": "nobody there", "hint": null });
    note(&estate, |state| {
        state["proven"]["proof"] = "none".into();
        state["proven"]["at"] = "2026-01-01T00:00:00Z".into();
        state["debt"] = json!({ "generation": 1, "since": "2026-01-01T00:00:00Z", "failure": failure, "attempts": 3 });
        state["requests"] = json!(["2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"]);
        state["last_error"] = json!({ "at": "2026-01-01T00:02:00Z", "failure": failure });
    });
    let before = estate.state_json("web");
    estate.omens(&["reseal"]).expect(0, "web", "resealed");
    let mut expected = before;
    expected["largest"] = 2.into();
    expected["proven"]["generation"] = 2.into();
    expected["debt"]["generation"] = 2.into();
    assert_eq!(estate.state_json("web"), expected);
}

#[test]
fn what_services_were_configured_with_stays_until_the_next_commit() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = host(&swtpm);
    let run = estate.run_dir().join("web");
    for _ in 0..2 {
        estate.omens(&["reseal"]).expect(0, "web", "resealed");
    }
    // Services were told the paths of gen-1 and are told no others.
    for name in ["gen-1", "gen-3"] {
        assert!(run.join(name).join("key.pem").exists(), "{name}");
    }
    assert_eq!(estate.published("web"), Some(3));
    estate.force().expect(0, "web", "renewed");
    estate.force().expect(0, "web", "renewed");
    assert!(!run.join("gen-1").exists() && !run.join("gen-2").exists());
}

#[test]
fn a_run_directory_on_a_disk_is_seen_before_anything_is_begun() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut estate = host(&swtpm);
    let disk = omens::io::dir::Dir::open(&estate.dir).unwrap().unwrap();
    if disk.is_memory_backed().unwrap() {
        return crate::skipped("a run directory on a disk: the temporary directory is in memory");
    }
    estate.run = estate.dir.join("run");
    estate.write();
    for _ in 0..2 {
        estate.omens(&["reseal"]).expect(1, "web", "failed").because("web", "seal/run-not-tmpfs");
        assert_eq!((generations(&estate), &estate.state_json("web")["begun"]), (vec!["gen-1".to_owned()], &Value::Null));
    }
}

/// A command with a system call that fails in this way: `EIO:when=2`, and all after it with `+`. `None` where there is no strace.
///
/// `within`: only where it is about this directory.
pub fn with_failing(estate: &Estate, arguments: &[&str], call: &str, how: &str, within: Option<&Path>) -> Option<Value> {
    if !Path::new("/usr/bin/strace").exists() {
        crate::skipped("what is done where system calls fail: there is no strace");
        return None;
    }
    let omens = estate.command(&[&["--json"], arguments].concat());
    let mut command = Command::new("/usr/bin/strace");
    command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:error={how}")]);
    within.into_iter().for_each(|dir| {
        command.arg("-P").arg(dir);
    });
    command.arg(omens.get_program()).args(omens.get_args()).env_clear().envs(omens.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let output = crate::lab::child::run(command, Duration::from_secs(60));
    let report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output:?}"));
    assert_eq!(report["exit"], output.code, "{output:?}");
    Some(report)
}

#[test]
fn one_that_fails_in_the_middle_has_ended_all_the_same() {
    let Some(swtpm) = start(&[7]) else { return };
    // Two links are made: what consumers read, and what boots.
    for (link, stage, published_then) in [("1", "publish", 1), ("2", "commit", 2)] {
        let estate = host(&swtpm);
        let before = published(&estate, "web");
        let Some(report) = with_failing(&estate, &["reseal"], "symlinkat", &format!("EIO:when={link}"), None) else { return };
        let web = &report["certificates"][0];
        assert_eq!(
            (&web["outcome"], &web["error"]["stage"], &web["generation"]),
            (&"failed".into(), &stage.into(), &published_then.into()),
            "{report}"
        );
        let state = estate.state_json("web");
        let (begun, waits, last) = (&state["begun"], &state["debt"]["generation"], &state["last_error"]["failure"]["code"]);
        assert_eq!((begun, waits, last), (&Value::Null, &2.into(), &"disk".into()), "{state}");
        let requests = estate.signed();
        estate.renew().expect(0, "web", "settled");
        assert_eq!((published(&estate, "web"), estate.committed("web"), estate.signed()), (before, Some(2), requests));
        let outcomes: Vec<Value> = estate.ledger().iter().map(|line| line["outcome"].clone()).collect();
        assert_eq!(outcomes, ["renewed", "failed", "settled"], "nobody was interrupted");
        estate.omens(&["reseal"]).expect(0, "web", "resealed");
    }
}

#[test]
fn what_was_committed_is_not_called_failed_for_want_of_a_note() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = host(&swtpm);
    // After the sealing key and its generation: `begin`, the generation, both links; then no name changes any more.
    let Some(report) = with_failing(&estate, &["reseal"], "renameat", "EIO:when=6+", None) else { return };
    let web = &report["certificates"][0];
    assert_eq!((&web["outcome"], &web["generation"]), (&"resealed".into(), &2.into()), "{report}");
    assert_eq!(web["warnings"][0]["code"], "state-not-written", "{report}");
    assert_eq!(estate.committed("web"), Some(2));
    // Its proof is not known to the notes: it is looked for, and nothing is signed.
    let requests = estate.signed();
    estate.renew().expect(0, "web", "settled");
    assert_eq!(estate.signed(), requests);
}

#[test]
fn a_damaged_generation_fails_and_is_not_taken_for_a_file() {
    let Some(swtpm) = start(&[7]) else { return };
    for lost in ["chain.pem", "key.sealed"] {
        let estate = host(&swtpm);
        std::fs::remove_file(estate.state().join("certs/web/live").join(lost)).unwrap();
        estate.omens(&["reseal"]).expect(1, "web", "failed").because("web", "seal/blob-damaged");
        estate.renew().expect(0, "web", "renewed");
    }
}

/// What opens no more and is still in memory is saved; what is nowhere fails.
#[test]
fn a_lost_sealing_key_is_made_good_from_memory() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = host(&swtpm);
    let before = published(&estate, "web");
    let lose = || {
        for entry in std::fs::read_dir(estate.state().join("seal")).unwrap().flatten().filter(|e| e.file_name() != "srk.json") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    };
    lose();
    estate.omens(&["reseal"]).expect(0, "web", "resealed");
    empty_run(&estate);
    estate.omens(&["restore"]).expect(0, "web", "restored");
    assert_eq!(published(&estate, "web"), before);
    lose();
    empty_run(&estate);
    estate.omens(&["reseal"]).expect(1, "web", "failed").because("web", "seal/blob-damaged");
}
