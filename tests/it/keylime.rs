//! `probe` and `chain-audit` on a real Keylime: what they say agrees with what its verifier does, and with what OpenSSL sees of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::pki::{Ca, CaKeys, Leaf, ec_key};
use crate::lab::{place, tool};

/// The lab while it runs.
struct Keylime {
    state: PathBuf,
    json: Value,
}

impl Keylime {
    /// `None` where it cannot be started here, which is said.
    fn up() -> Option<Self> {
        let state = place::directory("keylime");
        let mut command = Command::new("bash");
        command.arg(tool("keylime-lab.sh")).arg("up").arg(&state).args(["--mode", "push", "--venvs"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab/keylime")).env("OMENS_LAB_PARENT", std::process::id().to_string());
        let output = run(command, Duration::from_secs(400));
        if output.code == 125 {
            crate::skipped(&format!("probe and chain-audit on a real Keylime: {}", output.stderr.trim()));
            return None;
        }
        assert_eq!(output.code, 0, "{}", output.stderr);
        let json = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {}", output.stdout));
        Some(Self { state, json })
    }

    fn text(&self, pointer: &str) -> &str {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {}", self.json))
    }

    fn port(&self, pointer: &str) -> u64 {
        self.json.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} in {}", self.json))
    }

    fn probe(&self, port: u64, pair: Option<(&str, &str)>) -> Value {
        let mut command = Command::new(omens());
        command.args(["probe", "--json", &format!("localhost:{port}"), "--trust", self.text("/ca/root")]);
        command.args(pair.iter().flat_map(|(certificate, key)| ["--cert", certificate, "--key", key]));
        let output = run(command, Duration::from_secs(30));
        serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", output.stdout, output.stderr))
    }
}

impl Drop for Keylime {
    fn drop(&mut self) {
        let mut command = Command::new("bash");
        command.arg(tool("keylime-lab.sh")).arg("down").arg(&self.state);
        run(command, Duration::from_secs(30));
    }
}

#[test]
fn a_real_verifier_is_seen_as_it_is() {
    let Some(keylime) = Keylime::up() else { return };
    let verifier = keylime.port("/verifier/port");
    let own = (keylime.text("/client/cert"), keylime.text("/client/key"));
    let accepted = keylime.probe(verifier, Some(own));
    assert_eq!((accepted["cause"]["id"].as_str(), accepted["client_auth"]["sent"].as_bool()), (Some("probe.accepted"), Some(true)));
    assert!(accepted["server_subjects"][0].as_str().unwrap().contains("verifier"), "{accepted:#}");

    // A client of another PKI: the verifier refuses it in the handshake, and so says openssl.
    let dir = place::directory("strange");
    let (key, mut leaf) = (ec_key(), Leaf::server("strange", &["strange"], &[], time::Duration::HOUR));
    leaf.eku = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let (certificate, key_file) = (dir.join("strange.pem"), dir.join("strange.key"));
    std::fs::write(&certificate, Ca::root("Third Earth Root", CaKeys::Ec).leaf(&key, &leaf).pem()).unwrap();
    place::write_secret(&key_file, &key.serialize_pem());
    let strange = (certificate.to_str().unwrap(), key_file.to_str().unwrap());
    let refused = keylime.probe(verifier, Some(strange));
    assert_eq!(refused["refused_by"], "server", "{refused:#}");
    assert!(refused["cause"]["id"].as_str().unwrap().starts_with("probe.client-"), "{refused:#}");
    assert_eq!(refused["alert"], "unknown_ca", "{refused:#}");
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-tls1_2", "-connect", &format!("localhost:{verifier}"), "-cert", strange.0, "-key", strange.1]);
    let seen = run(openssl, Duration::from_secs(20));
    assert!(format!("{}{}", seen.stdout, seen.stderr).contains("unknown ca"), "{} {}", seen.stdout, seen.stderr);

    // The registrar's other port.
    let plain = keylime.probe(keylime.port("/registrar/http_port"), None);
    assert_eq!((plain["cause"]["id"].as_str(), plain["plain_http"].as_bool()), (Some("probe.plain-http"), Some(true)), "{plain:#}");

    // Its configuration, as it runs: nothing that breaks it.
    let configuration = Path::new(keylime.text("/state")).join("etc");
    let audit = |directory: &Path| {
        let mut command = Command::new(omens());
        command.args(["chain-audit", "--no-config", "--json", "--anchor", keylime.text("/ca/root")]);
        let output = run(
            {
                command.arg(format!("keylime:{}", directory.display()));
                command
            },
            Duration::from_secs(30),
        );
        let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {}", output.stderr));
        (output.code, document)
    };
    let (code, document) = audit(&configuration);
    assert_eq!(code, 0, "{document:#}");
    assert!(document["chains"].as_array().unwrap().len() >= 3, "{document:#}");
    // The same with the list that cost the lab's owners their hours.
    let broken = place::directory("broken-keylime");
    for entry in std::fs::read_dir(&configuration).unwrap().flatten() {
        std::fs::copy(entry.path(), broken.join(entry.file_name())).unwrap();
    }
    let pem = std::fs::read_to_string(keylime.text("/ca/chain")).unwrap();
    let first = pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    let list = broken.join("intermediate.crt");
    std::fs::write(&list, first).unwrap();
    let text = std::fs::read_to_string(broken.join("verifier.conf")).unwrap();
    let line = text.lines().find(|line| line.starts_with("trusted_client_ca")).unwrap();
    std::fs::write(broken.join("verifier.conf"), text.replace(line, &format!("trusted_client_ca = ['{}']", list.display()))).unwrap();
    let (code, document) = audit(&broken);
    let found = document["findings"].as_array().unwrap().iter().any(|finding| finding["id"] == "trust.no-root");
    assert!(code == 1 && found, "{document:#}");
}
