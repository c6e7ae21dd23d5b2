//! One change of a healthy configuration each, and the finding that must name it.

use super::*;

/// File, text to replace, replacement; then the finding, its severity, the file that it names and its line.
const DEFECTS: &[(&str, &str, &str, &str, Severity, &str, u32)] = &[
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
