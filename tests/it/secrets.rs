//! A private key is on the host that made it and nowhere else; a token is in a header and nowhere else.

use std::path::Path;

use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::{Hostile, Lie, SECRET_ID, TOKEN};
use crate::lab::swtpm::Relay;

/// Whether `needle` occurs in `hay`.
fn holds(hay: &[u8], needle: &[u8]) -> bool {
    needle.len() <= hay.len() && hay.windows(needle.len()).any(|w| w == needle)
}

/// What of a private key must not be seen: its scalar as bytes, in hexadecimal, and the lines of its PEM.
fn traces(pem: &str) -> Vec<Vec<u8>> {
    let der = crate::lab::pki::pem_blocks(pem).remove(0);
    // Of a P-256 PKCS#8 the secret is the 32 bytes after the ECPrivateKey's version (RFC 5915 §3).
    let at = der.windows(5).position(|w| w == [0x02, 0x01, 0x01, 0x04, 0x20]).expect("an EC key") + 5;
    let scalar = der[at..at + 32].to_vec();
    let mut traces: Vec<Vec<u8>> = vec![scalar.clone(), omens::model::anchor::hex(&scalar).into_bytes()];
    traces.extend(pem.lines().filter(|l| l.len() == 64).map(|l| l.as_bytes().to_vec()));
    assert!(traces.len() > 2);
    traces
}

/// Every file below a directory with its content, except links.
fn files(dir: &Path, seen: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, seen);
        } else if !path.is_symlink() {
            seen.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn no_key_and_no_token_is_seen_anywhere() {
    let hostile = Hostile::start();
    let estate = hostile.estate().with(Cert::web("second"));
    let (seen, _) = full_run(&hostile, &estate);
    assert!(!seen.iter().any(|(place, _)| place.ends_with("key.sealed")));
}

/// With sealed keys the search covers the whole state directory, and what crossed the connection to the TPM.
#[test]
fn a_sealed_key_is_not_even_on_the_disk() {
    let Some(swtpm) = crate::tpm::start(&[7]) else { return };
    let hostile = Hostile::start();
    let relay = Relay::recording(&swtpm);
    let mut estate = hostile.estate().with_tpm(&relay.tcti(), &[7]);
    estate.certs = vec![Cert::web("web").sealed(), Cert::web("second").sealed()];
    estate.write();
    let (mut seen, mut keys) = full_run(&hostile, &estate);
    assert!(seen.iter().any(|(place, _)| place.ends_with("key.sealed")));
    swtpm.extend(7, "an update");
    std::fs::remove_dir_all(estate.run_dir().join("second")).unwrap();
    let before = keys.len();
    // The second one is lost with the run directory, and made anew by the renewal.
    for (arguments, code) in
        [(&["-v", "restore"][..], 1), (&["-v", "reseal"], 1), (&["-v", "renew", "--all"], 0), (&["-v", "reseal", "--new-tpm"], 0)]
    {
        let output = estate.plain(arguments);
        assert_eq!(output.code, code, "{arguments:?}: {output:?}");
        seen.push((format!("{arguments:?}"), [output.stdout, output.stderr].concat().into_bytes()));
        collect_keys(&estate, &mut keys);
    }
    assert_eq!(keys.len(), before + 1, "the one that was made anew");
    files(&estate.state(), &mut seen);
    seen.push(("the connection to the TPM".into(), relay.bytes()));
    search(&hostile, &seen, &keys);
}

/// The keys that consumers have now, each once.
fn collect_keys(estate: &Estate, keys: &mut Vec<String>) {
    for name in ["web", "second"] {
        keys.extend(std::fs::read_to_string(estate.run_dir().join(name).join("live/key.pem")).ok());
    }
    keys.sort();
    keys.dedup();
}

/// Everything a host does with its certificates; what was said and written meanwhile, and the keys that nobody may have seen.
fn full_run(hostile: &Hostile, estate: &Estate) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
    let mut keys = Vec::new();
    let mut watch = |arguments: &[&str]| {
        let output = estate.plain(arguments);
        seen.push((format!("{arguments:?} stdout"), output.stdout.into_bytes()));
        seen.push((format!("{arguments:?} stderr"), output.stderr.into_bytes()));
    };
    watch(&["-v", "renew", "--all"]);
    collect_keys(estate, &mut keys);
    for lie in [Lie::OtherKey, Lie::PrivateKey, Lie::Echo, Lie::Nothing] {
        hostile.lie(lie);
        watch(&["-v", "--json", "renew", "--all", "--force"]);
        collect_keys(estate, &mut keys);
    }
    for arguments in [["--json", "plan"], ["--json", "status"], ["-v", "restore"], ["--json", "check-config"]] {
        watch(&arguments);
    }
    watch(&["--json", "check-config", "--online"]);
    watch(&["-v", "rollback", "web"]);
    files(&estate.state(), &mut seen);
    seen.retain(|(place, _)| !place.ends_with("/key.pem"));
    assert!(keys.len() >= 4, "keys of several generations: {}", keys.len());
    search(hostile, &seen, &keys);
    (seen, keys)
}

fn search(hostile: &Hostile, seen: &[(String, Vec<u8>)], keys: &[String]) {
    let requests = hostile.requests();
    assert!(requests.iter().filter(|r| r.path.contains("/sign/")).count() >= 8);
    for key in keys {
        for trace in traces(key) {
            for (place, bytes) in seen {
                assert!(!holds(bytes, &trace), "key material in {place}");
            }
            for request in &requests {
                assert!(!holds(&request.bytes, &trace), "key material in {} {}", request.method, request.path);
            }
        }
    }
    for secret in [TOKEN, SECRET_ID] {
        for (place, bytes) in seen {
            assert!(!holds(bytes, secret.as_bytes()), "a secret in {place}");
        }
    }
    // They are where they belong, so that the search above is known to find.
    assert!(requests.iter().any(|r| r.path.contains("login") && holds(&r.bytes, SECRET_ID.as_bytes())));
    assert!(requests.iter().any(|r| r.path.contains("/sign/") && holds(&r.bytes, TOKEN.as_bytes())));
    assert!(!requests.iter().any(|r| r.path.contains("/sign/") && holds(&r.bytes, SECRET_ID.as_bytes())));
}

#[test]
fn secrets_are_not_in_arguments_or_environment_of_any_child() {
    // The reload is the only child there is: a stand-in for nginx on PATH writes down what it was given.
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let bin = estate.dir.join("bin");
    crate::lab::place::make_private(&bin);
    let heard = estate.dir.join("heard");
    std::fs::write(bin.join("nginx"), format!("#!/bin/sh\n{{ echo \"$@\"; env; }} >>'{}'\n", heard.display())).unwrap();
    std::fs::set_permissions(bin.join("nginx"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut estate = estate;
    estate.certs[0] = Cert::web("web").reloaded_by(&format!("{{ nginx = {{ conf = \"{}/nginx.conf\" }} }}", estate.dir.display()));
    estate.write();
    let mut command = estate.command(&["renew", "--all"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("MARKER", "inherited");
    let output = crate::lab::child::run(command, std::time::Duration::from_secs(30));
    assert_eq!(output.code, 0, "{output:?}");
    let heard = std::fs::read_to_string(heard).expect("the stand-in was called");
    assert!(heard.contains("-s reload"), "{heard}");
    for secret in [TOKEN, SECRET_ID, "PRIVATE KEY"] {
        assert!(!heard.contains(secret), "{heard}");
    }
}

#[test]
fn a_secret_that_was_typed_where_its_file_belongs_is_not_repeated() {
    const TYPED: &str = "hvs.CAESIJtypedbymistake";
    let by_approle = format!("file:/etc/role,{TYPED}");
    for arguments in [
        ["enroll", "--token", TYPED],
        ["enroll", "--wrapping-token", TYPED],
        ["enroll", "--approle", TYPED],
        ["enroll", "--approle", &by_approle],
    ] {
        for json in [&[][..], &["--json"]] {
            let mut command = std::process::Command::new(crate::lab::estate::omens());
            command.args(json).args(arguments).env_clear();
            let output = crate::lab::child::run(command, std::time::Duration::from_secs(20));
            assert_eq!(output.code, 2, "{arguments:?}: {}", output.stderr);
            assert!(
                !format!("{}{}", output.stdout, output.stderr).contains("typedbymistake"),
                "{arguments:?}: {} {}",
                output.stdout,
                output.stderr
            );
        }
    }
}
