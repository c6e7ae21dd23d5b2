//! Whole configurations in temporary directories: healthy ones say nothing high, and each defect is found with its file and line.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

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

/// File, text to replace, replacement; then the finding, its severity, the file that it names and its line.
type Defect = (&'static str, &'static str, &'static str, &'static str, Severity, &'static str, u32);

const DEFECTS: &[Defect] = &[
    (DATA_FILE, "keylime_tls_cert_file", "keylime_tls_client_cert_file", "spire.option-unknown", Severity::High, DATA_FILE, 4),
    (DATA_FILE, "keylime_tls_key_file", "keylime_tls_client_key_file", "spire.option-unknown", Severity::High, DATA_FILE, 5),
    (DATA_FILE, "keylime_tls_key_file", "tpm_policy", "spire.option-unknown", Severity::Medium, DATA_FILE, 5),
    (DATA_FILE, "keylime_tls_key_file", "# keylime_tls_key_file", "spire.keylime-pair-incomplete", Severity::High, DATA_FILE, 4),
    (DATA_FILE, "\"8881\"", "\"8890\"", "spire.keylime-port", Severity::High, DATA_FILE, 2),
    (DATA_FILE, "\"8881\"", "8891", "spire.keylime-port", Severity::High, DATA_FILE, 2),
    (DATA_FILE, "\"8881\"", "\"https\"", "spire.value-invalid", Severity::High, DATA_FILE, 2),
    (DATA_FILE, "= \"127.0.0.1\"", "= \"https://127.0.0.1\"", "spire.value-invalid", Severity::High, DATA_FILE, 1),
    (DATA_FILE, "= \"8881\"", "= \"8881", "input.malformed", Severity::High, DATA_FILE, 2),
    (SERVER_FILE, "plugin_data_file =", "plugin_data_fil =", "spire.plugin-key-unknown", Severity::High, SERVER_FILE, 42),
    (SERVER_FILE, "plugin_data_file =", "plugin_data {}\n plugin_data_file =", "spire.data-twice", Severity::High, SERVER_FILE, 43),
    (
        SERVER_FILE,
        "/opt/spire/conf/server/keylime.hcl",
        "/opt/spire/conf/server/keylime.json",
        "spire.data-file-absent",
        Severity::High,
        SERVER_FILE,
        42,
    ),
    (
        SERVER_FILE,
        "/opt/spire/conf/server/keylime.hcl",
        "conf/server/keylime.hcl",
        "spire.data-file-relative",
        Severity::Low,
        SERVER_FILE,
        42,
    ),
    (SERVER_FILE, "9f86d081", "00000000", "spire.checksum-mismatch", Severity::High, SERVER_FILE, 41),
    (SERVER_FILE, "plugin_checksum =", "# plugin_checksum =", "spire.checksum-absent", Severity::Low, SERVER_FILE, 40),
    (
        SERVER_FILE,
        "plugin_cmd = \"/opt/spire/plugins/keylime-attestor-server\"",
        "",
        "spire.plugin-unknown",
        Severity::High,
        SERVER_FILE,
        39,
    ),
    (SERVER_FILE, "keylime-attestor-server", "keylime-attestor", "spire.plugin-absent", Severity::Medium, SERVER_FILE, 40),
    (SERVER_FILE, "NodeAttestor \"x509pop\"", "NodeAttestor \"x509_pop\"", "spire.plugin-unknown", Severity::High, SERVER_FILE, 33),
    (SERVER_FILE, "NodeAttestor \"x509pop\"", "NodeAttester \"x509pop\"", "spire.plugin-type", Severity::High, SERVER_FILE, 33),
    (SERVER_FILE, "trust_domain =", "trust_domian =", "spire.key-unknown", Severity::High, SERVER_FILE, 5),
    (SERVER_FILE, "trust_domain =", "#trust_domain =", "spire.key-missing", Severity::High, SERVER_FILE, 1),
    (SERVER_FILE, "default_x509_svid_ttl", "default_svid_ttl", "spire.key-unknown", Severity::High, SERVER_FILE, 9),
    (SERVER_FILE, "log_level =", "colour =", "spire.key-unknown", Severity::Medium, SERVER_FILE, 7),
    (SERVER_FILE, "bind_port = \"8081\"", "bind_port = \"grpc\"", "spire.value-invalid", Severity::High, SERVER_FILE, 3),
    (SERVER_FILE, "live_path", "live_pth", "spire.key-unknown", Severity::High, SERVER_FILE, 62),
    (SERVER_FILE, "agent_path_template =", "# agent_path_template =", "spire.agent-path-template", Severity::Medium, SERVER_FILE, 34),
    (SERVER_FILE, "agent_path_template =", "agent_path_templte =", "spire.option-unknown", Severity::High, SERVER_FILE, 36),
    (SERVER_FILE, "ca_bundle_path =", "ca_cert_path =", "spire.option-unknown", Severity::High, SERVER_FILE, 35),
    (SERVER_FILE, "KeyManager \"disk\"", "KeyManager \"memory\"", "spire.keys-in-memory", Severity::Medium, SERVER_FILE, 32),
    (
        SERVER_FILE,
        "KeyManager \"disk\" {",
        "KeyManager \"disk\" { enabled = false ",
        "spire.plugin-missing",
        Severity::High,
        SERVER_FILE,
        30,
    ),
    (
        SERVER_FILE,
        "NodeAttestor \"x509pop\"",
        "NodeAttestor \"join_token\" {}\n    NodeAttestor \"x509pop\"",
        "spire.join-token",
        Severity::Low,
        SERVER_FILE,
        33,
    ),
    (
        SERVER_FILE,
        "pki_mount_point = \"pki_int\"",
        "insecure_skip_verify = true",
        "spire.verification-off",
        Severity::High,
        SERVER_FILE,
        47,
    ),
    (SERVER_FILE, "https://spire.funlab.casa:8200", "http://spire.funlab.casa:8200", "spire.plain-http", Severity::High, SERVER_FILE, 46),
    (SERVER_FILE, "# token_auth", "token_auth", "spire.token-in-file", Severity::Medium, SERVER_FILE, 54),
    (SERVER_FILE, "client_cert_path =", "client_cert =", "spire.option-unknown", Severity::High, SERVER_FILE, 51),
    (SERVER_FILE, "file_sync_interval", "# file_sync_interval", "spire.sync-interval", Severity::Low, SERVER_FILE, 17),
    (SERVER_FILE, "https://other.casa", "http://other.casa", "spire.plain-http", Severity::High, SERVER_FILE, 25),
    (SERVER_FILE, "log_level = \"INFO\"", "log_level = INFO", "input.malformed", Severity::High, SERVER_FILE, 7),
    (AGENT_FILE, "insecure_bootstrap = false", "insecure_bootstrap = true", "spire.insecure-bootstrap", Severity::High, AGENT_FILE, 9),
    (AGENT_FILE, "trust_bundle_path =", "# trust_bundle_path =", "spire.bootstrap-unset", Severity::High, AGENT_FILE, 1),
    (AGENT_FILE, "trust_bundle_path = \"", "trust_bundle_url = \"http://x", "spire.trust-bundle-http", Severity::High, AGENT_FILE, 7),
    (AGENT_FILE, "trust_domain = \"funlab.casa\"", "trust_domain = \"fun.casa\"", "spire.trust-domain", Severity::High, AGENT_FILE, 8),
    (AGENT_FILE, "server_port = \"8081\"", "server_port = \"8082\"", "spire.server-port", Severity::High, AGENT_FILE, 5),
    (AGENT_FILE, "server_port", "sever_port", "spire.key-unknown", Severity::High, AGENT_FILE, 5),
    (AGENT_FILE, "log_level = \"INFO\"", "join_token = \"hunter2\"", "spire.token-in-file", Severity::Medium, AGENT_FILE, 3),
    (
        AGENT_FILE,
        "NodeAttestor \"x509pop\"",
        "NodeAttestor \"join_token\" {}\n    NodeAttestor \"x509pop\"",
        "spire.join-token",
        Severity::Medium,
        AGENT_FILE,
        13,
    ),
    (
        AGENT_FILE,
        "NodeAttestor \"x509pop\"",
        "NodeAttestor \"join_token\" {}\n    NodeAttestor \"x509pop\"",
        "spire.plugin-missing",
        Severity::High,
        AGENT_FILE,
        14,
    ),
    (AGENT_FILE, "certificate_path =", "cert_path =", "spire.option-unknown", Severity::High, AGENT_FILE, 16),
    (AGENT_FILE, "KeyManager \"disk\"", "KeyManager \"memory\"", "spire.agent-keys-in-memory", Severity::Low, AGENT_FILE, 12),
    (AGENT_FILE, "WorkloadAttestor \"unix\" { plugin_data {} }", "", "spire.plugin-missing", Severity::High, AGENT_FILE, 11),
];

#[test]
fn each_defect_is_found_with_its_file_and_line() {
    for (path, from, to, id, severity, named, line) in DEFECTS {
        let text = match *path {
            SERVER_FILE => SERVER,
            DATA_FILE => DATA,
            _ => AGENT,
        };
        assert!(text.contains(from), "{from}");
        let (_, findings) = Estate::whole().put(path, &text.replacen(from, to, 1)).look();
        let location = Location::line(named, *line);
        let found = findings.iter().find(|finding| finding.id == *id && finding.files.first() == Some(&location));
        let found = found.unwrap_or_else(|| panic!("{to}: expected {id} at {location}, found {:#?}", all(&findings)));
        assert_eq!(found.severity, *severity, "{to}");
        assert!(!found.expected.is_empty() && !found.found.is_empty() && !found.remedy.is_empty(), "{found:?}");
        assert!(!format!("{findings:?}").contains("hunter2"), "{to}: a secret is shown");
    }
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
