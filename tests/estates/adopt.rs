//! `omens init` on every estate of the corpus: what it prints is accepted by `check-config` but for what a person fills in, every pair of a
//! healthy host is in it or named with a reason, and the host's files are as before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::{CORPUS, build, spec};

fn omens(arguments: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_omens")).args(arguments).arg(path).output().expect("omens")
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Every file with its content, every link with its target.
fn tree(top: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![top.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let kind = path.symlink_metadata().expect("metadata").file_type();
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                all.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
            } else if kind.is_symlink() {
                all.insert(path.clone(), std::fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes());
            }
        }
    }
    all
}

fn errors(text: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("omens.toml");
    std::fs::write(&file, text).expect("settings");
    let checked = document(&omens(&["check-config", "--json", "--config"], &file));
    let errors = checked["errors"].as_array().expect("errors");
    errors.iter().map(|error| format!("{}:{}:{}", error["line"], error["code"].as_str().expect("a code"), error["text"])).collect()
}

#[test]
fn what_it_prints_is_accepted_but_for_what_a_person_fills_in() {
    let mut printed = 0;
    for estate in spec::read(Path::new(CORPUS)) {
        let top = tempfile::tempdir().expect("a directory");
        build::build(&estate, top.path());
        let before = tree(top.path());
        let output = omens(&["init", "--root"], top.path());
        assert!(tree(top.path()) == before, "{} was changed", estate.name);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let found = text.matches("\n[[certificate]]\n").count();
        assert_eq!(output.status.code(), Some(i32::from(found == 0)), "{}", estate.name);
        printed += usize::from(found > 0);
        let errors = errors(&text);
        let other: Vec<&String> = errors.iter().filter(|error| !error.contains(":fill-in:")).collect();
        assert!(other.is_empty(), "{}: {other:#?}\n{text}", estate.name);
        let open = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.matches("\"FILL IN").count()).sum::<usize>();
        assert_eq!(errors.len(), open, "{}: each is named once\n{text}", estate.name);
    }
    assert!(printed > 100, "{printed}");
}

#[test]
fn a_healthy_host_of_all_services_is_taken_over_whole() {
    let estates = spec::read(Path::new(CORPUS));
    let estate = estates.iter().find(|estate| estate.name == "healthy-everything").expect("the estate");
    let top = tempfile::tempdir().expect("a directory");
    build::build(estate, top.path());
    let json = document(&omens(&["init", "--json", "--root"], top.path()));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found: Vec<String> = json["certificates"]
        .as_array()
        .expect("certificates")
        .iter()
        .map(|one| {
            let first = &one["install"][0];
            let endpoint = one["verify"].get(0).map_or_else(String::new, |endpoint| text(&endpoint["address"]));
            format!("{} {} {} {} {endpoint}", text(&one["name"]), text(&one["profile"]), text(&first["dir"]), first["files"])
        })
        .collect();
    assert_eq!(
        found,
        [
            "nginx-spire tls-server /etc/nginx/tls {\"fullchain\":\"web.pem\",\"key\":\"web.key\"} 127.0.0.1:443",
            "keylime-verifier tls-server /etc/keylime/tls {\"fullchain\":\"verifier.crt\",\"key\":\"verifier.key\"} 127.0.0.1:8881",
            "keylime-verifier-client mtls-client /etc/keylime/tls {\"fullchain\":\"verifier-client.crt\",\"key\":\"verifier-client.key\"} ",
            "keylime-registrar tls-server /etc/keylime/tls {\"fullchain\":\"registrar.crt\",\"key\":\"registrar.key\"} 127.0.0.1:8891",
            "keylime-tenant mtls-client /etc/keylime/tls {\"fullchain\":\"tenant.crt\",\"key\":\"tenant.key\"} ",
            "spire-server-spire-plugin mtls-client /opt/spire/conf {\"fullchain\":\"spire.pem\",\"key\":\"spire.key\"} ",
            "spire-agent-spire mtls-client /opt/spire/conf/agent {\"cert\":\"node.pem\",\"chain\":\"middle.pem\",\"key\":\"node.key\"} ",
            "openbao-ca tls-server /etc/openbao/tls {\"fullchain\":\"bao.pem\",\"key\":\"bao.key\"} 127.0.0.1:8200",
        ]
    );
    // SPIRE's plugins read the pair that a data file names, which the driver writes with all that the plugin is told beside.
    let plugins: Vec<String> = json["certificates"]
        .as_array()
        .expect("certificates")
        .iter()
        .flat_map(|one| one["reload"].as_array().expect("drivers"))
        .filter(|reload| !reload["plugin"].is_null())
        .map(|reload| {
            let plugin = &reload["plugin"];
            let words = ["kind", "name", "cert", "key", "ca", "file"].map(|key| text(&plugin[key]));
            format!("{} {} {} {}:{}", text(&reload["driver"]), text(&reload["unit"]), words.join(" "), plugin["line"], plugin["data"])
        })
        .collect();
    assert_eq!(
        plugins,
        [
            "spire_server spire-server.service NodeAttestor keylime keylime_tls_cert_file keylime_tls_key_file keylime_tls_ca_cert_file \
             /opt/spire/conf/server/server.conf 29:{\"keylime_verifier_host\":\"127.0.0.1\",\"keylime_verifier_port\":\"8881\"}",
            "spire_agent spire-agent.service NodeAttestor x509pop certificate_path private_key_path  /opt/spire/conf/agent/agent.conf 17:{}",
        ]
    );
    assert_eq!(json["issuer"]["addresses"][0], "https://ca.funlab.casa:8200");
    assert_eq!(json["skipped"], Value::Array(Vec::new()));
    assert_eq!(json["anchor"]["alone"], "/etc/keylime/tls/root.crt");
}
