//! Whole configurations in temporary directories, policies and roles: healthy ones say nothing high, and each defect is found.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::audit::facts::wiring::ClientAuth;
use crate::model::audit::Finding;
use crate::model::clock::Time;
use crate::model::finding::Severity;
use crate::model::key::KeyAlgorithm;
use crate::model::profile::{Profile, Purpose, Usage};

const FILE: &str = "/etc/openbao/openbao.hcl";
const SERVER: &str = r#"ui = true
cluster_name = "thundera"
api_addr = "https://ca.funlab.casa:8200"
cluster_addr = "https://10.10.2.62:8201"
log_level = "info"

storage "raft" {
  path = "/var/lib/openbao"
  node_id = "ca"
  performance_multiplier = 1
  retry_join {
    leader_api_addr = "https://ca2.funlab.casa:8200"
    leader_ca_cert_file = "/etc/openbao/tls/root.pem"
    leader_client_cert_file = "/etc/openbao/tls/peer.pem"
    leader_client_key_file = "/etc/openbao/tls/peer.key"
  }
}

listener "tcp" {
  address = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file = "/etc/openbao/tls/bao.pem"
  tls_key_file = "/etc/openbao/tls/bao.key"
  tls_min_version = "tls12"
  tls_require_and_verify_client_cert = false
  telemetry { unauthenticated_metrics_access = false }
}
listener "unix" { address = "/run/openbao/bao.sock" }

seal "transit" {
  address = "https://vault.funlab.casa:8200"
  key_name = "autounseal"
  mount_path = "transit/"
  tls_ca_cert = "/etc/openbao/tls/root.pem"
  # token = "hunter2"
}
audit "file" "log" { options { file_path = "/var/log/openbao/audit.log" } }
telemetry { disable_hostname = true }
"#;

fn look(files: &[(&str, &str)]) -> (Wiring, Vec<Finding>) {
    let top = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = top.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let view = View::root(top.path()).unwrap();
    let mut findings = HostFindings::new(Time::from_unix(0), "ca");
    let mut wiring = Wiring::default();
    for file in usual(&view) {
        wiring.join(read(&view, &file, &mut findings));
    }
    (wiring, findings.into_document().findings)
}

fn all(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|f| format!("{} {:?} {:?} {}", f.id, f.severity, f.files.first(), f.found)).collect()
}

#[test]
fn a_healthy_server_says_nothing_and_wires_what_it_does() {
    let (wiring, findings) = look(&[(FILE, SERVER), ("/etc/openbao/agent.hcl", "auto_auth {}\nlistener \"tcp\" { tls_disable = true }\n")]);
    assert_eq!(all(&findings), Vec::<String>::new());
    let listener = &wiring.listeners[0];
    assert_eq!((listener.host.as_str(), listener.port, listener.tls, listener.client_auth), ("0.0.0.0", 8200, true, ClientAuth::Optional));
    assert_eq!(wiring.listeners.len(), 1);
    let pair = &wiring.pairs[listener.pairs[0]];
    assert_eq!(
        (pair.certificate.as_path(), pair.consumer.location.clone()),
        (Path::new("/etc/openbao/tls/bao.pem"), Location::line(FILE, 22))
    );
    let calls: Vec<(&str, bool, Option<&str>, bool)> =
        wiring.connections.iter().map(|c| (c.host.as_str(), c.trust.is_some(), c.name.as_deref(), c.pair.is_some())).collect();
    assert_eq!(
        calls,
        [("vault.funlab.casa", true, Some("vault.funlab.casa"), false), ("ca2.funlab.casa", true, Some("ca2.funlab.casa"), true)]
    );
}

#[test]
fn json_says_the_same() {
    let json = r#"{"api_addr": "https://a:8200", "cluster_addr": "https://a:8201", "storage": {"raft": {"path": "/x", "node_id": "a"}},
        "listener": [{"tcp": {"address": "127.0.0.1:8200", "tls_disable": "true"}}, {"tcp": {"address": "0.0.0.0:8202", "tls_disable": 1}}]}"#;
    let (wiring, findings) = look(&[("/etc/vault.d/server.json", json)]);
    assert_eq!(wiring.listeners.iter().map(|l| (l.port, l.tls)).collect::<Vec<_>>(), [(8200, false), (8202, false)]);
    let severities: Vec<(&str, Severity)> = findings.iter().map(|finding| (finding.id.as_str(), finding.severity)).collect();
    assert_eq!(severities, [("openbao.tls-disabled", Severity::High), ("openbao.tls-disabled", Severity::Medium)]);
}

/// Text to replace, replacement; then the finding, its severity and its line.
type Defect = (&'static str, &'static str, &'static str, Severity, u32);

const DEFECTS: &[Defect] = &[
    ("tls_min_version = \"tls12\"", "tls_disable = true", "openbao.tls-disabled", Severity::High, 24),
    ("tls_min_version = \"tls12\"", "tls_disable = \"yes\"", "openbao.value-invalid", Severity::High, 24),
    ("tls_min_version = \"tls12\"", "tls_min_version = \"tls10\"", "openbao.tls-old", Severity::Medium, 24),
    ("tls_min_version = \"tls12\"", "tls_max_version = \"tls11\"", "openbao.tls-old", Severity::High, 24),
    ("tls_min_version = \"tls12\"", "tls_min_version = \"TLSv1.2\"", "openbao.value-invalid", Severity::High, 24),
    ("tls_min_version = \"tls12\"", "tls_client_ca_file = \"/r.pem\"", "openbao.client-ca-unused", Severity::Medium, 24),
    ("tls_min_version = \"tls12\"", "tls_disable_client_certs = true", "openbao.client-certificates-off", Severity::Low, 24),
    ("client_cert = false", "client_cert = true", "openbao.client-ca-unset", Severity::Medium, 25),
    (
        "client_cert = false",
        "client_cert = true\n tls_disable_client_certs = 1",
        "openbao.client-certificates-conflict",
        Severity::High,
        26,
    ),
    ("tls_cert_file =", "tls_cert_fil =", "openbao.option-unknown", Severity::High, 22),
    ("tls_cert_file =", "tls_certificate =", "openbao.option-unknown", Severity::High, 22),
    ("tls_cert_file =", "# tls_cert_file =", "openbao.certificate-unset", Severity::High, 23),
    ("tls_key_file =", "# tls_key_file =", "openbao.key-unset", Severity::High, 22),
    ("0.0.0.0:8200\"", "0.0.0.0\"", "openbao.value-invalid", Severity::High, 20),
    ("listener \"tcp\"", "listener \"tpc\"", "openbao.listener-type", Severity::High, 19),
    ("api_addr = \"https", "api_addr = \"http", "openbao.address-http", Severity::Medium, 3),
    ("cluster_name =", "cluster_nam =", "openbao.option-unknown", Severity::Medium, 2),
    ("ui = true", "nonsense = true", "openbao.option-unknown", Severity::Low, 1),
    ("ui = true", "raw_storage_endpoint = true", "openbao.raw-endpoint", Severity::Medium, 1),
    ("ui = true", "disable_mlock = false", "openbao.mlock", Severity::High, 1),
    ("ui = true", "ui = yes", "input.malformed", Severity::High, 1),
    ("storage \"raft\"", "storage \"inmem\"", "openbao.storage-in-memory", Severity::High, 7),
    ("storage \"raft\"", "storage \"file\"", "openbao.storage-unknown", Severity::High, 7),
    ("leader_ca_cert_file =", "leader_tls_skip_verify = true #", "openbao.verification-off", Severity::High, 11),
    ("# token =", "token =", "openbao.secret-in-file", Severity::Medium, 35),
    ("tls_ca_cert =", "tls_skip_verify = true #", "openbao.verification-off", Severity::High, 34),
    ("seal \"transit\" {", "seal \"static\" {\n current_key = \"hunter2\"", "openbao.seal-key-in-file", Severity::High, 31),
    ("address = \"https://vault", "address = \"http://vault", "openbao.address-http", Severity::Medium, 31),
];

#[test]
fn each_defect_is_found_with_its_line() {
    for (from, to, id, severity, line) in DEFECTS {
        assert!(SERVER.contains(from), "{from}");
        let (_, findings) = look(&[(FILE, &SERVER.replacen(from, to, 1))]);
        let location = Location::line(FILE, *line);
        let found = findings.iter().find(|finding| finding.id == *id && finding.files.first() == Some(&location));
        let found = found.unwrap_or_else(|| panic!("{to}: expected {id} at {location}, found {:#?}", all(&findings)));
        assert_eq!(found.severity, *severity, "{to}");
        assert!(!found.expected.is_empty() && !found.found.is_empty() && !found.remedy.is_empty(), "{found:?}");
        assert!(!format!("{findings:?}").contains("hunter2"), "{to}: a secret is shown");
    }
    let without = SERVER.replace("cluster_addr =", "# cluster_addr =").replace("api_addr = \"https://ca.", "# api_addr = \"https://ca.");
    assert!(all(&look(&[(FILE, &without)]).1).iter().any(|line| line.starts_with("openbao.cluster-address-unset Medium")));
}

/// Name and text of a policy, and the finding with its severity.
type Grant = (&'static str, &'static str, Option<(&'static str, Severity)>);

#[test]
fn policies_are_judged_by_what_they_grant() {
    let cases: &[Grant] = &[
        ("hosts", "path \"pki_int/sign/web\" { capabilities = [\"update\"] allowed_parameters = { \"csr\" = [] } }", None),
        ("spire", "path \"pki_int/root/sign-intermediate\" { capabilities = [\"update\"] }", None),
        (
            "hosts",
            "path \"pki_int/sign-verbatim/*\" { capabilities = [\"create\", \"update\"] }",
            Some(("openbao.sign-verbatim", Severity::High)),
        ),
        ("hosts", "path \"pki_int/*\" { capabilities = [\"update\"] }", Some(("openbao.sign-verbatim", Severity::High))),
        ("hosts", "path \"pki_int/*\" { capabilities = [\"read\", \"list\"] }", None),
        ("hosts", "path \"pki_int/sign-verbatim\" { capabilities = [\"deny\"] }", None),
        ("hosts", "path \"pki_int/issue/web\" { capabilities = [\"update\"] }", Some(("openbao.policy-issue", Severity::Medium))),
        ("hosts", "path \"pki_int/roles/web\" { capabilities = [\"update\"] }", Some(("openbao.policy-role-write", Severity::High))),
        ("hosts", "path \"pki_int/roles/web\" { capabilities = [\"read\"] }", None),
        ("hosts", "path \"pki_int/revoke\" { capabilities = [\"update\"] }", Some(("openbao.policy-revoke", Severity::Medium))),
        ("hosts", "path \"sys/leases/revoke\" { capabilities = [\"update\"] }", None),
        ("hosts", "path \"*\" { capabilities = [\"sudo\", \"update\"] }", Some(("openbao.policy-everything", Severity::High))),
        ("admin", "path \"*\" { capabilities = [\"sudo\", \"update\"] }", None),
    ];
    for (name, text, expected) in cases {
        let path = format!("/etc/openbao/policies/{name}.hcl");
        let findings = look(&[(&path, text)]).1;
        let found = findings.first().map(|finding| (finding.id.as_str(), finding.severity));
        assert_eq!((found, findings.len()), (*expected, usize::from(expected.is_some())), "{text}: {:?}", all(&findings));
        let mut named = HostFindings::new(Time::from_unix(0), "ca");
        policy(name, text, &mut named);
        assert_eq!(named.list().len(), findings.len(), "{text}");
    }
}

fn profile(name: &str, purpose: Purpose, eku: &[&str]) -> Profile {
    let strings = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
    Profile {
        name: name.to_owned(),
        purpose,
        eku: Usage { required: strings(eku), allowed: Vec::new() },
        key_usage: Usage { required: strings(&["digitalSignature"]), allowed: strings(&["keyEncipherment"]) },
        keys: vec![KeyAlgorithm::EcP256],
        lifetime_min: Duration::from_secs(600),
        lifetime_max: Duration::from_secs(168 * 3600),
        wildcard: false,
        lints: BTreeMap::new(),
        renew_at: None,
    }
}

/// As [Roles and policies](crate::io::openbao#roles-and-policies) wants it.
fn good() -> Value {
    json!({
        "allow_any_name": false, "allow_bare_domains": true, "allow_subdomains": false, "allow_glob_domains": false, "allow_ip_sans": true,
        "allow_localhost": false, "allow_wildcard_certificates": false, "allowed_domains": ["spire.funlab.casa"], "allowed_ip_sans_cidr": ["10.10.2.0/24"],
        "allowed_uri_sans": [], "basic_constraints_valid_for_non_ca": true, "client_flag": false, "server_flag": true, "enforce_hostnames": true,
        "ext_key_usage": [], "ext_key_usage_oids": [], "key_bits": 256, "key_type": "ec", "key_usage": ["DigitalSignature"], "max_ttl": 604800,
        "ttl": 86400, "no_store": false, "not_after": "", "not_after_bound": "forbid", "not_before_bound": "forbid", "signature_bits": 0
    })
}

fn judged(name: &str, value: &Value, profile: Option<&Profile>) -> Vec<(String, Severity, String)> {
    let mut findings = HostFindings::new(Time::from_unix(0), "ca");
    role(name, "pki_int/", value, profile, &mut findings);
    findings.list().iter().map(|finding| (finding.id.clone(), finding.severity, finding.remedy.clone())).collect()
}

#[test]
fn a_hardened_role_says_nothing() {
    let web = profile("web-server", Purpose::Server, &["serverAuth"]);
    assert_eq!(judged("web", &good(), Some(&web)), []);
    assert_eq!(judged("web", &json!({"data": good()}), None), []);
}

#[test]
fn every_field_beyond_the_profile_is_found() {
    let web = profile("web-server", Purpose::Server, &["serverAuth"]);
    let cases: &[(&str, Value, &str, Severity)] = &[
        ("not_after_bound", json!("permit"), "openbao.role-not-after", Severity::Medium),
        ("not_before_bound", json!("permit"), "openbao.role-not-after", Severity::Low),
        ("not_after", json!("2031-01-01T00:00:00Z"), "openbao.role-not-after", Severity::Medium),
        ("allow_any_name", json!(true), "openbao.role-any-name", Severity::High),
        ("allow_subdomains", json!(true), "openbao.role-subdomains", Severity::Medium),
        ("allow_wildcard_certificates", json!(true), "openbao.role-wildcard", Severity::Low),
        ("enforce_hostnames", json!(false), "openbao.role-hostnames", Severity::Medium),
        ("allowed_ip_sans_cidr", json!([]), "openbao.role-any-address", Severity::Medium),
        ("allowed_uri_sans", json!(["*"]), "openbao.role-any-uri", Severity::High),
        ("client_flag", json!(true), "openbao.role-purpose", Severity::High),
        ("ext_key_usage", json!(["ClientAuth"]), "openbao.role-purpose", Severity::High),
        ("ext_key_usage", json!(["Any"]), "openbao.role-any-purpose", Severity::High),
        ("ext_key_usage_oids", json!(["2.5.29.37.0"]), "openbao.role-any-purpose", Severity::High),
        ("server_flag", json!(false), "openbao.role-purpose-missing", Severity::High),
        ("key_usage", json!(["DigitalSignature", "KeyAgreement"]), "openbao.role-key-usage", Severity::Medium),
        ("key_usage", json!(["DigitalSignature", "CertSign"]), "openbao.role-key-usage", Severity::High),
        ("max_ttl", json!(31_536_000), "openbao.role-max-ttl", Severity::Medium),
        ("max_ttl", json!(0), "openbao.role-max-ttl", Severity::Medium),
        ("max_ttl", json!(60), "openbao.role-max-ttl-short", Severity::Medium),
        ("key_type", json!("ed25519"), "openbao.role-key", Severity::Medium),
        ("key_bits", json!(224), "openbao.role-key-weak", Severity::Medium),
        ("signature_bits", json!(160), "openbao.role-signature", Severity::High),
        ("no_store", json!(true), "openbao.role-no-store", Severity::Medium),
        ("allow_localhost", json!(true), "openbao.role-localhost", Severity::Info),
        ("basic_constraints_valid_for_non_ca", json!(false), "openbao.role-basic-constraints", Severity::Low),
    ];
    for (field, value, id, severity) in cases {
        let mut role = good();
        role[*field] = value.clone();
        let found = judged("web", &role, Some(&web));
        assert_eq!(found.len(), 1, "{field}: {found:?}");
        assert_eq!((found[0].0.as_str(), found[0].1), (*id, *severity), "{field}");
        assert!(found[0].2.starts_with("bao patch pki_int/roles/web ") && found[0].2.contains('='), "{}", found[0].2);
    }
}

#[test]
fn an_agents_role_gives_no_client_certificates() {
    let both = |name: &str, profile: Option<&Profile>| {
        let mut role = good();
        role["client_flag"] = json!(true);
        judged(name, &role, profile).into_iter().map(|(id, ..)| id).collect::<Vec<_>>()
    };
    assert_eq!(both("keylime-agent", None), ["openbao.role-agent-client"]);
    assert_eq!(both("hosts", Some(&profile("keylime-agent", Purpose::Server, &["serverAuth"]))), ["openbao.role-agent-client"]);
    assert_eq!(both("spire-agent", None), ["openbao.role-both-purposes"]);
    assert_eq!(both("keylime-services", None), ["openbao.role-both-purposes"]);
}

#[test]
fn answers_of_another_shape_are_no_reason_to_stop() {
    for value in [
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        json!({"data": null}),
        json!({"key_usage": 3, "max_ttl": -1, "allowed_domains": {"a": 1}}),
    ] {
        let _ = judged("x", &value, Some(&profile("p", Purpose::Both, &["serverAuth", "clientAuth"]))).len();
        let mut findings = HostFindings::new(Time::from_unix(0), "ca");
        issuer("default", "pki", &value, &mut findings);
        assert!(findings.list().is_empty());
    }
    let mut findings = HostFindings::new(Time::from_unix(0), "ca");
    issuer("default", "pki", &json!({"data": {"leaf_not_after_behavior": "permit"}}), &mut findings);
    assert_eq!(findings.list()[0].id, "openbao.issuer-not-after");
}

#[test]
fn hostile_files_end() {
    for text in [
        "",
        "\0",
        "listener",
        "listener \"tcp\" {",
        "listener = 1\nstorage = []\nseal = \"x\"",
        &"listener \"tcp\" { a = 1 }\n".repeat(20_000),
        &"path \"*\" { capabilities = [\"sudo\"] }\n".repeat(20_000),
    ] {
        let _ = look(&[(FILE, text)]).1.len();
    }
}
