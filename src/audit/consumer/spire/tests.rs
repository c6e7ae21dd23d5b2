//! Whole configurations in temporary directories: healthy ones say nothing high, and each defect is found with its file and line.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

mod defects;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::model::audit::Finding;
use crate::model::clock::Time;
use crate::model::finding::Severity;

const SERVER_FILE: &str = "/opt/spire/conf/server/server.conf";
const AGENT_FILE: &str = "/opt/spire/conf/agent/agent.conf";
const DATA_FILE: &str = "/opt/spire/conf/server/keylime.hcl";

const SERVER: &str = r#"server {
    bind_address = "0.0.0.0"
    bind_port = "8081"
    socket_path = "/run/spire/server.sock"
    trust_domain = "funlab.casa"
    data_dir = "./data/server"
    log_level = "INFO"
    ca_ttl = "24h"
    default_x509_svid_ttl = "1h"
    jwt_issuer = "https://spire.funlab.casa"
    ca_subject { country = ["US"], organization = ["FunLab"], common_name = "Thunderian" }
    federation {
        bundle_endpoint {
            address = "0.0.0.0"
            port = 8443
            profile "https_web" {
                serving_cert_file {
                    cert_file_path = "/opt/spire/tls/bundle.pem"
                    key_file_path = "/opt/spire/tls/bundle.key"
                    file_sync_interval = "1m"
                }
            }
        }
        federates_with "other.casa" {
            bundle_endpoint_url = "https://other.casa:8443"
            bundle_endpoint_profile "https_web" {}
        }
    }
}
plugins {
    DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "./data/server/datastore.sqlite3" } }
    KeyManager "disk" { plugin_data { keys_path = "./data/server/keys.json" } }
    NodeAttestor "x509pop" {
        plugin_data {
            ca_bundle_path = "/opt/spire/conf/root.pem"
            agent_path_template = "/x509pop/cn/{{ .Subject.CommonName }}"
        }
    }
    NodeAttestor "keylime" {
        plugin_cmd = "/opt/spire/plugins/keylime-attestor-server"
        plugin_checksum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        plugin_data_file = "/opt/spire/conf/server/keylime.hcl"
    }
    UpstreamAuthority "vault" {
        plugin_data {
            vault_addr = "https://spire.funlab.casa:8200"
            pki_mount_point = "pki_int"
            ca_cert_path = "/opt/spire/conf/root.pem"
            cert_auth {
                cert_auth_role_name = "spire"
                client_cert_path = "/opt/spire/tls/vault.pem"
                client_key_path = "/opt/spire/tls/vault.key"
            }
            # token_auth { token = "hunter2" }
        }
    }
}
health_checks {
    listener_enabled = true
    bind_address = "127.0.0.1"
    bind_port = "8080"
    live_path = "/live"
    ready_path = "/ready"
}
telemetry {
    Prometheus { host = "127.0.0.1" port = 9988 }
}
"#;
const DATA: &str = r#"keylime_verifier_host = "127.0.0.1"
keylime_verifier_port = "8881"
keylime_tls_ca_cert_file = "/opt/spire/conf/root.pem"
keylime_tls_cert_file = "/opt/spire/tls/plugin.pem"
keylime_tls_key_file = "/opt/spire/tls/plugin.key"
"#;
const AGENT: &str = r#"agent {
    data_dir = "/opt/spire/data/agent"
    log_level = "INFO"
    server_address = "127.0.0.1"
    server_port = "8081"
    socket_path = "/run/spire/agent.sock"
    trust_bundle_path = "/opt/spire/conf/agent/bootstrap.pem"
    trust_domain = "funlab.casa"
    insecure_bootstrap = false
}
plugins {
    KeyManager "disk" { plugin_data { directory = "/opt/spire/data/agent" } }
    NodeAttestor "x509pop" {
        plugin_data {
            private_key_path = "/opt/spire/conf/agent/node.key"
            certificate_path = "/opt/spire/conf/agent/node.pem"
            intermediates_path = "/opt/spire/conf/agent/middle.pem"
        }
    }
    WorkloadAttestor "unix" { plugin_data {} }
}
"#;

struct Estate(tempfile::TempDir);

impl Estate {
    fn new() -> Self {
        let estate = Self(tempfile::tempdir().unwrap());
        estate.put("/opt/spire/plugins/keylime-attestor-server", "test").put("/etc/hostname", "spire.funlab.casa\n")
    }

    fn put(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn mode(self, path: &str, mode: u32) -> Self {
        fs::set_permissions(self.0.path().join(path.trim_start_matches('/')), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn whole() -> Self {
        Self::new().put(SERVER_FILE, SERVER).put(DATA_FILE, DATA).put(AGENT_FILE, AGENT)
    }

    fn look(&self) -> (Wiring, Vec<Finding>) {
        let view = View::root(self.0.path()).unwrap();
        let mut findings = HostFindings::new(Time::from_unix(0), "spire");
        let mut wiring = Wiring::default();
        for file in usual(&view) {
            wiring.join(read(&view, &file, &mut findings));
        }
        (wiring, findings.into_document().findings)
    }
}

fn all(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{} {:?} {:?} {}", f.id, f.severity, f.files.first(), f.found)).collect()
}

#[test]
fn healthy_configurations_say_nothing_and_wire_what_they_do() {
    let (wiring, findings) = Estate::whole().look();
    assert_eq!(all(&findings), Vec::<String>::new());
    let pairs: Vec<&str> = wiring.pairs.iter().map(|pair| pair.certificate.to_str().unwrap()).collect();
    let expected = ["/opt/spire/tls/bundle.pem", "/opt/spire/tls/plugin.pem", "/opt/spire/tls/vault.pem", "/opt/spire/conf/agent/node.pem"];
    assert_eq!(pairs, expected);
    let calls: Vec<(&str, u16, bool, Option<&str>)> =
        wiring.connections.iter().map(|c| (c.host.as_str(), c.port, c.tls, c.name.as_deref())).collect();
    for expected in [
        ("127.0.0.1", 8881, true, Some("127.0.0.1")),
        ("spire.funlab.casa", 8200, true, Some("spire.funlab.casa")),
        ("other.casa", 8443, true, None),
        ("127.0.0.1", 8081, true, None),
    ] {
        assert!(calls.contains(&expected), "{expected:?} in {calls:?}");
    }
    let ports: Vec<(u16, bool)> = wiring.listeners.iter().map(|listener| (listener.port, listener.tls)).collect();
    assert_eq!(ports, [(8081, true), (8443, true), (8080, false), (9988, false)]);
    let verifier = wiring.connections.iter().find(|call| call.port == 8881).unwrap();
    assert_eq!(wiring.trusts[verifier.trust.unwrap()].files, [PathBuf::from("/opt/spire/conf/root.pem")]);
    assert_eq!(wiring.pairs[verifier.pair.unwrap()].consumer.location, Location::line(DATA_FILE, 4));
}

#[test]
fn the_three_hours_are_told_with_their_cause() {
    let homelab = DATA
        .replace("keylime_tls_cert_file", "keylime_tls_client_cert_file")
        .replace("keylime_tls_key_file", "keylime_tls_client_key_file");
    let inline = SERVER.replace("plugin_data_file = \"/opt/spire/conf/server/keylime.hcl\"", &format!("plugin_data {{\n{homelab}}}"));
    let (wiring, findings) = Estate::whole().put(SERVER_FILE, &inline).look();
    let misspelled: Vec<&Finding> = findings.iter().filter(|finding| finding.id == "spire.option-unknown").collect();
    assert_eq!(misspelled.len(), 2, "{:?}", all(&findings));
    assert_eq!((misspelled[0].expected.as_str(), misspelled[0].files[0].line), ("keylime_tls_cert_file", Some(46)));
    assert!(misspelled[0].evidence.iter().any(|line| line.contains("unknown certificate authority")));
    assert!(misspelled[0].evidence.iter().any(|line| line.contains("/var/lib/keylime/cv_ca/server-cert.crt")));
    let call = wiring.connections.iter().find(|call| call.port == 8881).unwrap();
    assert_eq!(wiring.pairs[call.pair.unwrap()].certificate, Path::new("/var/lib/keylime/cv_ca/server-cert.crt"), "what really is shown");
}

#[test]
fn the_agents_half_of_the_plugin_is_judged() {
    let block = r#"NodeAttestor "keylime" {
        plugin_cmd = "/opt/spire/plugins/keylime-attestor-agent"
        plugin_checksum = ""
        plugin_data {
            keylime_agent_host = "127.0.0.1"
            keylime_agent_port = "9002"
            keylime_agent_use_tls = true
            keylime_agent_ca_cert = "/etc/keylime/certs/ca.crt"
            keylime_agent_client_cert = "/etc/keylime/certs/agent.crt"
            keylime_agent_client_key = "/etc/keylime/certs/agent.key"
        }
    }"#;
    let start = AGENT.find("NodeAttestor").unwrap();
    let end = AGENT.find("    WorkloadAttestor").unwrap();
    let text = format!("{}{block}\n{}", &AGENT[..start], &AGENT[end..]);
    let ids = |text: &str| {
        let (wiring, findings) = Estate::whole().put(AGENT_FILE, text).put("/opt/spire/plugins/keylime-attestor-agent", "x").look();
        let call =
            wiring.connections.iter().find(|call| call.port == 9002).map(|call| (call.tls, call.pair.is_some(), call.trust.is_some()));
        (findings.into_iter().map(|finding| finding.id).collect::<Vec<_>>(), call)
    };
    let (found, call) = ids(&text);
    assert_eq!(found, ["spire.keylime-administrator", "spire.pair-loaded-once", "spire.checksum-absent"]);
    assert_eq!(call, Some((true, true, true)));
    let (found, call) = ids(&text.replace("use_tls = true", "use_tls = false"));
    assert!(found.contains(&"spire.keylime-agent-plain".to_owned()) && call == Some((false, false, false)));
}

#[test]
fn what_is_on_disk_is_looked_at() {
    let long = |text: &str, key: &str, length: usize| {
        let line = text.lines().find(|line| line.trim_start().starts_with(key)).unwrap();
        text.replace(line, &format!("    {key} = \"/{}\"", "x".repeat(length - 1)))
    };
    let found = |estate: Estate| estate.look().1.into_iter().map(|finding| finding.id).collect::<Vec<_>>();
    for (file, text, length, bad) in [
        (AGENT_FILE, AGENT, 107, false),
        (AGENT_FILE, AGENT, 108, true),
        (SERVER_FILE, SERVER, 105, false),
        (SERVER_FILE, SERVER, 106, true),
    ] {
        let ids = found(Estate::whole().put(file, &long(text, "socket_path", length)));
        assert_eq!(ids.contains(&"spire.socket-path".to_owned()), bad, "{file} {length}");
    }
    let keys = "/opt/spire/data/server/keys.json";
    let estate = |mode| Estate::whole().put(keys, "{}").mode(keys, mode).mode("/opt/spire/data/server", 0o700);
    assert!(found(estate(0o644)).contains(&"spire.keys-readable".to_owned()));
    assert_eq!(found(estate(0o600)), Vec::<String>::new());
    assert!(found(estate(0o600).mode("/opt/spire/data/server", 0o755)).contains(&"spire.data-directory".to_owned()));
    assert!(found(Estate::whole().mode("/opt/spire/plugins/keylime-attestor-server", 0o777)).contains(&"spire.plugin-writable".to_owned()));
}

#[test]
fn json_is_read_as_well_and_usual_places_name_each_file_once() {
    let json = r#"{"agent": {"trust_domain": "funlab.casa", "server_address": "10.0.0.1", "server_port": 8081, "insecure_bootstrap": true},
        "plugins": {"KeyManager": {"disk": {"plugin_data": {"directory": "/x"}}}, "NodeAttestor": [{"x509pop": {"plugin_data": {"certificate_path": "/c", "private_key_path": "/k"}}}],
        "WorkloadAttestor": {"unix": {"plugin_data": {}}}}}"#;
    let estate =
        Estate::new().put("/etc/spire/node.json", json).put("/etc/spire/other.conf", "x = 1\n").put("/etc/spire/server.conf", "server {");
    let view = View::root(estate.0.path()).unwrap();
    assert_eq!(usual(&view), [PathBuf::from("/etc/spire/node.json"), PathBuf::from("/etc/spire/server.conf")]);
    let (wiring, findings) = estate.look();
    assert_eq!(wiring.pairs.len(), 1);
    assert!(all(&findings).iter().any(|line| line.starts_with("spire.insecure-bootstrap High")));
    assert!(all(&findings).iter().any(|line| line.starts_with("input.malformed")));
    std::os::unix::fs::symlink("/opt/spire/conf/server", estate.0.path().join("etc/spire/server")).unwrap();
    let estate = estate.put(SERVER_FILE, SERVER);
    assert_eq!(usual(&View::root(estate.0.path()).unwrap()).len(), 3);
}

#[test]
fn hostile_files_end() {
    for text in [
        "",
        "\0",
        "server",
        "server {",
        "agent = 1",
        "server = [1, {}]",
        &"server { ".repeat(3000),
        &"plugins { NodeAttestor \"keylime\" { plugin_data_file = \"keylime.hcl\" } }\nagent {}\n".repeat(300),
    ] {
        let estate = Estate::new().put(SERVER_FILE, text).put("/opt/spire/conf/agent/keylime.hcl", text).put(AGENT_FILE, text);
        let _ = estate.look().1.len();
    }
}
