//! `restore` publishes what passed the gate and nothing else: damaged and foreign pairs, debt in place of what is damaged, an empty run
//! directory, the trust anchor; and it does so on a state directory that cannot be written.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::estate::Estate;
use crate::lab::{is_root, place};
use crate::web::{NAME, Web, issued, warned};

/// A self-signed pair that works and is nobody's we know.
fn foreign_pair() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn wipe_run(estate: &Estate) {
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
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

#[test]
fn restore_writes_the_trust_anchor_again() {
    let (_hostile, estate) = issued();
    let anchor = estate.run_dir().join("trust/anchor.pem");
    std::fs::write(&anchor, "x").unwrap();
    estate.omens(&["restore"]).expect(0, "web", "kept");
    assert_eq!(std::fs::read_to_string(&anchor).unwrap().trim(), estate.authority.root_pem.trim());
}

/// A directory that is mounted over itself, read-only; until dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn mount(path: &Path) -> Self {
        for options in [&["--bind"][..], &["-o", "remount,ro,bind"]] {
            let mut command = Command::new("mount");
            command.args(options);
            if options.len() == 1 {
                command.arg(path);
            }
            assert!(command.arg(path).status().unwrap().success(), "{options:?}");
        }
        Self(path.to_path_buf())
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

#[test]
fn a_state_directory_that_came_back_read_only_is_published_with_what_a_killed_run_left_in_it() {
    if !is_root() {
        return crate::skipped("a state directory that cannot be written: only root can mount one");
    }
    let (_hostile, mut estate) = issued();
    let (state, leaf) = (estate.state(), estate.published_leaf("web"));
    let certs = state.join("certs/web");
    place::make_private(&certs.join(".gen-2"));
    let left =
        [certs.join(".gen-2/key.pem"), certs.join(".state.json.x1"), certs.join("withdrawn-7"), state.join(".anchor.pem.0123456789abcdef")];
    for file in &left {
        std::fs::write(file, "half").unwrap();
    }
    // The roots of another time.
    std::fs::write(state.join("anchor.pem"), "other").unwrap();
    wipe_run(&estate);
    {
        let _mounted = ReadOnly::mount(&state);
        estate.omens(&["restore"]).expect(0, "web", "restored");
        assert_eq!(estate.published_leaf("web"), leaf);
        let anchor = std::fs::read_to_string(estate.run_dir().join("trust/anchor.pem")).unwrap();
        assert_eq!(anchor.trim(), estate.authority.root_pem.trim());
        estate.omens(&["restore"]).expect(0, "web", "kept");
    }
    assert!(left.iter().all(|file| file.exists()));
    // What could not be removed then is removed by a run that can.
    estate.renew().expect(0, "web", "not-due");
    assert!(left.iter().all(|file| !file.exists()), "{left:?}");

    // Another name cannot be carried over there: both are published, and it is said.
    "www".clone_into(&mut estate.certs[0].name);
    estate.certs[0].extra.push_str("renamed_from = \"web\"\n");
    estate.write();
    wipe_run(&estate);
    let mounted = ReadOnly::mount(&state);
    let run = estate.omens(&["restore"]);
    run.expect(1, "www", "failed").because("www", "plan/rename-conflict");
    assert_eq!(
        (run.cert("www")["generation"].as_u64(), estate.published_leaf("www"), estate.published_leaf("web")),
        (Some(1), leaf.clone(), leaf)
    );
    drop(mounted);
    estate.omens(&["restore"]).expect(0, "www", "kept");
}

#[test]
fn a_lock_that_cannot_be_had_keeps_nothing_from_consumers() {
    let (_hostile, estate) = issued();
    let lock = estate.state().join("lock");
    std::fs::remove_file(&lock).unwrap();
    place::make_private(&lock);
    wipe_run(&estate);
    let run = estate.omens(&["restore"]);
    run.expect(1, "web", "restored");
    assert!(run.json["error"]["text"].as_str().unwrap().contains("/lock"), "{run}");
    assert!(estate.published_leaf("web").is_some());
}

/// While a file of `omens.d` cannot be read, what is committed may be what it names: its chain is one that consumers may meet.
#[test]
fn consumers_trust_the_chain_of_a_certificate_whose_file_cannot_be_read() {
    let (_hostile, estate) = issued();
    let text = estate.settings_text();
    let at = text.find("[[certificate]]").unwrap();
    let drop_in = estate.dir.join("omens.d");
    place::make_private(&drop_in);
    std::fs::write(estate.settings(), &text[..at]).unwrap();
    std::fs::write(drop_in.join("web.toml"), &text[at..]).unwrap();
    estate.renew().expect(0, "web", "not-due");
    let intermediates = || std::fs::read_to_string(estate.run_dir().join("trust/intermediates.pem")).unwrap();
    let before = intermediates();
    assert!(before.contains("BEGIN CERTIFICATE"));
    std::fs::write(drop_in.join("web.toml"), "[[certificate\n").unwrap();
    for command in [&["renew", "--all"][..], &["restore"]] {
        if command == ["restore"] {
            wipe_run(&estate);
        }
        let run = estate.omens(command);
        assert_eq!(run.code, 1, "{run}");
        assert_eq!(intermediates(), before, "{run}");
    }
    assert!(estate.published_leaf("web").is_some());
}
