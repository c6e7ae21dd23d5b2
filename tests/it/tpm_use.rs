//! When a TPM is asked, how often, and that no child process finds the connection to it.

use std::time::Duration;

use omens::io::tpm::Tpm;
use omens::model::tcti::Tcti;

use crate::boot::empty_run;
use crate::identity::{APPROLE, auth_role, host};
use crate::lab::estate::{Cert, Estate, Run};
use crate::lab::liar::Liar;
use crate::lab::pki::{Ca, CaKeys, Leaf};
use crate::lab::swtpm::{self, CC_CREATE, CC_START_AUTH_SESSION, CC_UNSEAL, Relay};
use crate::tpm::start;

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

/// The dynamic linker lists what it would load, and starts nothing.
#[test]
fn libtss2_is_not_loaded_at_the_start() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_omens")).env_clear().env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
    let list = String::from_utf8_lossy(&output.stdout);
    assert!(list.contains("libc.so.6"), "{list}");
    for library in ["libtss2", "libcrypto"] {
        assert!(!list.contains(library), "{library} is loaded by every omens; is a function missing in packaging/tss2.c?\n{list}");
    }
}

/// Keys in files need no libtss2, and who needs it is told what is missing.
#[test]
fn without_libtss2_only_what_needs_a_tpm_fails() {
    let Some(swtpm) = start(&[7]) else { return };
    for library in ["libtss2-tctildr.so.0", "libtss2-esys.so.0", "libtss2-mu.so.0"] {
        let mut estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(Cert::web("plain"));
        estate.certs.push(Cert::web("web").sealed());
        estate.write();
        // What is found first is no library.
        let broken = estate.dir.join("lib");
        crate::lab::place::make_private(&broken);
        std::fs::write(broken.join(library), "no ELF").unwrap();
        let run = estate.omens_with(&[("LD_LIBRARY_PATH", &broken)], &["renew", "--all"]);
        run.expect(1, "plain", "renewed").expect(1, "web", "failed").because("web", "seal/tpm-unreachable");
        let error = run.cert("web")["error"].to_string();
        assert!(error.contains("libtss2-esys.so.0") && error.contains("install libtss2-esys"), "{error}");
        assert!(run.stderr.contains(&format!("omens: {}", broken.join(library).display())), "{}", run.stderr);
        estate.renew().expect(0, "web", "renewed");
    }
}

/// libtss2 opens the TPM without close-on-exec, and it is open while children are started, also for other certificates.
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
    // Something that omens itself was given open, as a library opens what it needs.
    let omens = estate.command(&["renew", "--all"]);
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "exec 9</etc/hostname; exec \"$@\"", "sh"]);
    command.arg(omens.get_program()).args(omens.get_args()).env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let output = crate::lab::child::run(command, Duration::from_secs(30));
    assert_eq!(output.code, 0, "{output:?}");
    let text = std::fs::read_to_string(&heard).expect("a list of what is open");
    assert!(text.contains(" 1 -> ") && !text.contains(" 9 -> ") && !text.contains("socket:"), "{text}");
}

/// Command codes (TPM 2.0 Part 2, §6.5.2).
const CC_ACTIVATE_CREDENTIAL: u32 = 0x147;
const CC_LOAD: u32 = 0x157;
const CC_QUOTE: u32 = 0x158;
const CC_SIGN: u32 = 0x15d;

/// A host that attests, logs in by its TPM, and has keys of every kind; and the verifier that vouches for it.
pub(crate) fn host_of_all_kinds(role: &str, name: &str, relay: &Relay, pcrs: &[u32]) -> (Estate, Liar) {
    auth_role(role, name);
    let ca = Ca::root("Eye of Thundera", CaKeys::Ec);
    let liar = Liar::start(&ca, &Leaf::server("keylime", &[], &["127.0.0.1".parse().unwrap()], time::Duration::HOUR));
    liar.twisted(Box::new(|_, _, _| {}));
    let mut estate = host(role, name, &relay.tcti(), pcrs, APPROLE);
    let root = estate.dir.join("keylime.pem");
    std::fs::write(&root, &ca.pem).unwrap();
    let keylime = format!("registrar = \"{0}\", verifier = \"{0}\", ca = \"{1}\", agent_id = \"host\"", liar.address, root.display());
    estate = estate.with(Cert::web("sealed").sealed()).with(Cert { keep: "resident".to_owned(), ..Cert::web("resident") });
    estate.certs.last_mut().unwrap().extra =
        format!("[attestation]\nrequired = true\nmax_age = \"10m\"\nby = [ {{ keylime = {{ {keylime} }} }} ]\n");
    estate.write();
    (estate, liar)
}

/// How often libtss2 comes to the control channel for one connection.
fn of_one_connection(relay: &Relay) -> usize {
    relay.opened();
    drop(Tpm::connect(&Tcti::parse(&relay.tcti()).unwrap()).unwrap());
    relay.opened()
}

fn all_renewed(run: &Run) {
    assert_eq!(run.code, 0, "{run}");
    let all = run.json["certificates"].as_array().unwrap();
    assert!(all.iter().all(|one| one["outcome"] == "renewed" && one["warnings"].as_array().is_none_or(Vec::is_empty)), "{run}");
}

#[test]
fn a_run_opens_the_tpm_once_for_attestation_login_and_keys_and_asks_no_more_of_it_for_more_certificates() {
    let Some(swtpm) = start(&[7]) else { return };
    let relay = Relay::recording(&swtpm);
    let one = of_one_connection(&relay);
    assert!(one > 0);
    for pcrs in [&[][..], &[7]] {
        let (mut estate, liar) = host_of_all_kinds("of-one-tpm", "git.funlab.casa", &relay, pcrs);
        let kept = estate.run_dir().join(".attest.json");
        let opened = |what: &str| assert_eq!(relay.opened(), one, "{what} {pcrs:?}");
        relay.codes();
        estate.omens(&["enroll"]).expect(0, "host-identity", "renewed");
        opened("enroll");
        estate.renew();
        opened("first keys");
        assert_eq!(liar.evidences(), 1, "a young pass is enough");
        relay.codes();
        // One that attests, logs in by the TPM, seals, and makes a key that stays there.
        let mut asked = Vec::new();
        for more in ["two", "three"] {
            std::fs::remove_file(&kept).unwrap();
            all_renewed(&estate.omens(&["renew", "web", "sealed", "resident", "--force"]));
            opened("renew");
            asked.push(relay.codes());
            // The next time there are more of them.
            estate.certs.insert(0, Cert::web(more));
            estate.certs.insert(0, Cert::web(&format!("{more}-sealed")).sealed());
            estate.write();
        }
        let count = |wanted| asked[0].iter().filter(|code| **code == wanted).count();
        // The sealing key is loaded to be opened, the attestation key to quote, the key of the login and the new one to sign.
        assert_eq!((count(CC_SIGN), count(CC_LOAD), count(CC_CREATE), count(CC_QUOTE)), (2, 4, 1, 1), "{pcrs:?} {:x?}", asked[0]);
        let all: Vec<String> = estate.certs.iter().map(|cert| cert.name.clone()).filter(|name| name != "host-identity").collect();
        std::fs::remove_file(&kept).unwrap();
        all_renewed(&estate.omens(&[&["renew", "--force"], all.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat()));
        opened("renew of many");
        let many = relay.codes();
        let sorted = |codes: &[u32]| {
            let mut codes = codes.to_vec();
            codes.sort_unstable();
            codes
        };
        assert_eq!((sorted(&asked[1]), sorted(&many)), (sorted(&asked[0]), sorted(&asked[0])), "{pcrs:?}");
        println!("{} TPM commands for a run with {} certificates and an attestation: {:x?}", many.len(), all.len(), many);
        // The identity itself: a new key, its request, the old one's login and the new one's.
        all_renewed(&estate.force());
        opened("renew of all");
        let codes = relay.codes();
        let count = |wanted| codes.iter().filter(|code| **code == wanted).count();
        assert_eq!((count(CC_SIGN), count(CC_LOAD), count(CC_QUOTE)), (4, 5, 0), "{pcrs:?} {codes:x?}");
        assert_eq!(swtpm.loaded(), Vec::<String>::new());
    }
}

#[test]
fn a_listener_hears_nothing_secret_of_enrolment_attestation_logins_and_keys() {
    let Some(swtpm) = start(&[7]) else { return };
    let relay = Relay::recording(&swtpm);
    for pcrs in [&[][..], &[7]] {
        let (estate, liar) = host_of_all_kinds("of-the-bus", "www.funlab.casa", &relay, pcrs);
        estate.omens(&["enroll"]).expect(0, "host-identity", "renewed");
        estate.renew();
        std::fs::remove_file(estate.run_dir().join(".attest.json")).unwrap();
        all_renewed(&estate.force());
        assert_eq!(liar.evidences(), 2);
        std::fs::remove_file(estate.run_dir().join(".attest.json")).unwrap();
        empty_run(&estate);
        assert_eq!(estate.omens(&["restore"]).code, 0);
    }
    let (commands, bytes) = (relay.commands(), relay.bytes());
    let of = |wanted: u32| commands.iter().filter(move |command| swtpm::code(command) == wanted);
    // Each session is salted to a key of this TPM: to the storage root key, or to the endorsement key.
    let salts: Vec<&[u8]> = of(CC_START_AUTH_SESSION).map(|command| &command[10..14]).collect();
    assert!(salts.len() >= 4 && salts.iter().all(|salt| salt[..2] == [0x81, 0] || salt[0] == 0x80), "{salts:x?}");
    // What is sealed, opened, proven or signed goes through such a session, which hides what is secret of it.
    for (code, handles, secret_is_sent, secret_comes_back, at_least) in [
        (CC_CREATE, 1, true, false, 4),
        (CC_UNSEAL, 1, false, true, 4),
        (CC_ACTIVATE_CREDENTIAL, 2, false, true, 2),
        (CC_SIGN, 1, false, false, 8),
    ] {
        let all: Vec<_> = of(code).map(|command| swtpm::authorised(command, handles)).collect();
        assert!(all.len() >= at_least, "{code:x}: {}", all.len());
        for authorised in all {
            let last = *authorised.last().unwrap();
            assert!(matches!(last.session >> 24, 2 | 3), "{code:x}: {authorised:x?}");
            assert!(!secret_is_sent || last.hides_command(), "{code:x}: {authorised:x?}");
            assert!(!secret_comes_back || last.hides_answer(), "{code:x}: {authorised:x?}");
        }
    }
    // What the registrar hides for this TPM is known to this test, and so is what a token of OpenBao and a key in PEM look like.
    for secret in [&b"0123456789abcdef0123456789abcdef"[..], b"hvs.", b"PRIVATE KEY", b"secret-token"] {
        let found = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "{}", String::from_utf8_lossy(secret));
    }
}
