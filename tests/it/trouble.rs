//! TPMs that are silent, full, empty or in the way, and blobs that are damaged: each is said by its name, costs no signature and touches
//! nothing that serves.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::boot::{empty_run, published};
use crate::lab::estate::{Cert, Estate};
use crate::lab::swtpm::{CC_UNSEAL, Relay};
use crate::lab::{free_port, wait_for};
use crate::tpm::start;

/// What answers at the port of a TPM and is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Impostor {
    Silent,
    Closes,
    Babbles,
}

pub(crate) fn impostor(kind: Impostor) -> String {
    // libtss2 looks for the control channel at the next port.
    let mut port = free_port();
    loop {
        let next = free_port();
        if next == port + 1 {
            break;
        }
        port = next;
    }
    for port in [port, port + 1] {
        let mut listener = None;
        wait_for("a port of our own", Duration::from_secs(5), || {
            listener = TcpListener::bind(("127.0.0.1", port)).ok();
            listener.is_some()
        });
        let listener = listener.unwrap();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut client in listener.incoming().flatten() {
                match kind {
                    Impostor::Silent => held.push(client),
                    Impostor::Closes => drop(client),
                    Impostor::Babbles => {
                        std::thread::spawn(move || {
                            let mut buffer = [0; 512];
                            while client.read(&mut buffer).is_ok_and(|read| read > 0) {
                                client.write_all(&[0xff; 64]).ok();
                            }
                        });
                    }
                }
            }
        });
    }
    format!("swtpm:host=127.0.0.1,port={port}")
}

#[test]
fn what_is_no_tpm_is_given_up_in_time_for_all_certificates_together() {
    for kind in [Impostor::Closes, Impostor::Babbles, Impostor::Silent] {
        let mut estate = Estate::at_openbao().with_tpm(&impostor(kind), &[]).with(Cert::web("plain"));
        estate.certs.extend(["a", "b", "c"].map(|name| Cert::web(name).sealed()));
        estate.write();
        let before = Instant::now();
        let run = estate.renew();
        assert!(before.elapsed() < Duration::from_secs(50), "{kind:?}: {:?}", before.elapsed());
        for name in ["a", "b", "c"] {
            run.expect(1, name, "failed").because(name, "seal/tpm-unreachable");
        }
        run.expect(1, "plain", "renewed");
        assert_eq!(estate.signed(), 1, "{kind:?}");
    }
}

#[test]
fn a_tpm_without_a_free_slot_is_busy_and_says_whose_slots_those_are() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(Cert::web("web").sealed());
    // As a killed program leaves it where there is no resource manager.
    for number in 0..3 {
        swtpm.tool("tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", &format!("leaked-{number}.ctx")]);
    }
    let run = estate.renew();
    run.expect(1, "web", "failed").because("web", "seal/tpm-busy");
    assert!(run.cert("web")["error"]["hint"].as_str().unwrap().contains("killed program"), "{run}");
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    estate.renew().expect(0, "web", "renewed");
}

#[test]
fn a_pcr_that_nobody_measures_into_protects_nothing_and_is_refused() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[7, 11]).with(Cert::web("web").sealed());
    let run = estate.renew();
    run.expect(1, "web", "failed").because("web", "seal/pcr-unmeasured");
    assert!(run.cert("web")["error"]["text"].as_str().unwrap().contains("PCR 11"), "{run}");
    assert_eq!(estate.signed(), 0);
}

#[test]
fn one_damaged_key_fails_alone_and_is_made_anew() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[7]).with(Cert::web("one").sealed()).with(Cert::web("two").sealed());
    estate.renew().expect(0, "one", "renewed");
    let whole = published(&estate, "two");
    let path = estate.state().join("certs/one/live/key.sealed");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.find("\"ciphertext\": \"").unwrap() + 20;
    let flipped = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    let mut changed = text.clone();
    changed.replace_range(at..=at, flipped);
    std::fs::write(&path, changed).unwrap();
    assert_eq!(estate.omens(&["plan"]).reasons("one"), ["changed-on-disk"]);
    empty_run(&estate);
    let restore = estate.omens(&["restore"]);
    restore.expect(1, "one", "failed").because("one", "seal/blob-damaged").expect(1, "two", "restored");
    assert_eq!(published(&estate, "two"), whole);
    estate.renew().expect(0, "one", "renewed").expect(0, "two", "not-due");
}

#[test]
fn a_lost_sealing_key_is_seen_by_the_plan_and_made_anew() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[7]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    let key = std::fs::read_dir(estate.state().join("seal")).unwrap().flatten().map(|e| e.path());
    let keys: Vec<PathBuf> = key.filter(|path| !path.ends_with("srk.json")).collect();
    std::fs::remove_file(&keys[0]).unwrap();
    let plan = estate.omens(&["plan"]);
    assert_eq!(plan.reasons("web"), ["unreadable"], "{plan}");
    estate.renew().expect(0, "web", "renewed");
    estate.renew().expect(0, "web", "not-due");
}

#[test]
fn nothing_due_asks_no_tpm_and_a_boot_unseals_once() {
    let Some(swtpm) = start(&[7]) else { return };
    let relay = Relay::recording(&swtpm);
    let mut estate = Estate::at_openbao().with_tpm(&relay.tcti(), &[7]);
    estate.certs = (0..10).map(|number| Cert::web(&format!("c{number}")).sealed()).collect();
    estate.write();
    estate.renew().expect(0, "c0", "renewed");
    let many = relay.codes().len();
    // What a killed run left half-written is not waited with until the TPM is needed.
    let leftover = estate.state().join("seal/.key-0000000000000000.json.0123456789abcdef");
    std::fs::write(&leftover, "torn").unwrap();
    for (quiet, code) in [(&["renew", "--all"][..], 0), (&["plan"], 0), (&["status"], 0), (&["status", "--due"], 1), (&["restore"], 0)] {
        let run = estate.omens(quiet);
        assert_eq!(run.code, code, "{run}");
        assert_eq!(relay.codes(), Vec::<u32>::new(), "{quiet:?}");
        assert!(!leftover.exists(), "{quiet:?}");
    }
    empty_run(&estate);
    estate.omens(&["restore"]).expect(0, "c9", "restored");
    let codes = relay.codes();
    assert_eq!(codes.iter().filter(|code| **code == CC_UNSEAL).count(), 1, "{codes:x?}");
    assert!(codes.len() <= 10, "{codes:x?}");
    // What a run asks of the TPM does not grow with its certificates.
    estate.certs.truncate(1);
    estate.write();
    estate.force().expect(0, "c0", "renewed");
    let one = relay.codes().len();
    assert!(many <= one + 12, "{many} commands for ten first keys, {one} for one key later");
    // A person's way back to one that is no longer in the run directory opens it, and nothing else.
    std::fs::remove_dir_all(estate.run_dir().join("c0/gen-1")).ok();
    estate.omens(&["rollback", "c0"]).expect(0, "c0", "rolled-back");
    assert_eq!(relay.codes().iter().filter(|code| **code == CC_UNSEAL).count(), 1, "the removed one is opened once");
}

/// A pin that cannot be read says nothing about the keys: what waits is not given up for it.
#[test]
fn a_damaged_pin_costs_no_debt() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    estate.certs[0] = Cert::web("web").sealed().seen_at(free_port(), "50ms");
    estate.write();
    estate.force().expect(1, "web", "rolled-back");
    estate.certs[0] = Cert::web("web").sealed();
    estate.write();
    empty_run(&estate);
    let pin = estate.state().join("seal/srk.json");
    let good = std::fs::read(&pin).unwrap();
    let requests = estate.signed();
    std::fs::write(&pin, "{}").unwrap();
    let run = estate.renew();
    run.expect(1, "web", "failed").because("web", "seal/blob-damaged");
    assert!(run.cert("web")["error"]["text"].as_str().unwrap().contains("srk.json"), "{run}");
    assert_eq!(estate.state_json("web")["withdrawn"], serde_json::json!([]), "{run}");
    std::fs::write(&pin, good).unwrap();
    estate.renew().expect(0, "web", "settled");
    assert_eq!((estate.committed("web"), estate.signed()), (Some(2), requests));
}

/// libtss2 opens the TPM without close-on-exec, so it must be closed while any child is started, also for another certificate.
#[test]
fn no_child_finds_the_tpm_open() {
    let Some(swtpm) = start(&[7]) else { return };
    let slow = Relay::before(
        &swtpm,
        Box::new(|_, _| {
            std::thread::sleep(Duration::from_millis(100));
            None
        }),
    );
    let mut estate = Estate::at_openbao().with_tpm(&slow.tcti(), &[]);
    let bin = estate.dir.join("bin");
    crate::lab::place::make_private(&bin);
    let (heard, nginx) = (estate.dir.join("heard"), bin.join("nginx"));
    std::fs::write(&nginx, format!("#!/bin/sh\nls -l /proc/$$/fd >>'{}'\n", heard.display())).unwrap();
    std::fs::set_permissions(&nginx, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let driver = format!("{{ nginx = {{ conf = \"{}/nginx.conf\" }} }}", estate.dir.display());
    estate.certs = vec![Cert::web("plain").reloaded_by(&driver), Cert::web("web").sealed()];
    estate.write();
    // What this very process has open without close-on-exec, for tests of the TPM beside this one, is not meant.
    let inherited = estate.dir.join("inherited");
    let omens = estate.command(&["renew", "--all"]);
    let mut command = std::process::Command::new("/bin/sh");
    command.arg("-c").arg(format!("ls -l /proc/$$/fd >'{}'; exec \"$@\"", inherited.display())).arg("sh");
    command.arg(omens.get_program()).args(omens.get_args()).env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let output = crate::lab::child::run(command, Duration::from_secs(30));
    assert_eq!(output.code, 0, "{output:?}");
    let sockets = |file: &Path| -> BTreeSet<String> {
        let text = std::fs::read_to_string(file).expect("a list of what is open");
        text.lines().filter_map(|line| Some(line.split_once("socket:")?.1.to_owned())).collect()
    };
    let found: Vec<String> = sockets(&heard).difference(&sockets(&inherited)).cloned().collect();
    assert_eq!(found, Vec::<String>::new(), "a connection that it was not given");
}
