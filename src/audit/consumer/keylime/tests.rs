//! KeylimeReader directories as hosts have them: healthy ones say nothing high, and each defect is found with its file and line.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

use std::fs;
use std::path::Path;

use super::*;
use crate::model::audit::Finding;
use crate::model::clock::Time;
use crate::model::finding::Severity;

const VERIFIER: &str = "\
[verifier]
version = 2.5
uuid = default
ip = 10.10.2.62
port = 8881
registrar_ip = 127.0.0.1
registrar_port = 8891
enable_agent_mtls = True
tls_dir = /etc/keylime/certs
server_key = verifier.key
server_key_password =
server_cert = verifier.crt
trusted_client_ca = ['root.crt', 'intermediate.crt']
client_key = verifier-client.key
client_key_password =
client_cert = verifier-client.crt
trusted_server_ca = ['root.crt', 'intermediate.crt']
authorization_provider = simple
database_url = sqlite
database_pool_sz_ovfl = 5,10
auto_migrate_db = True
num_workers = 0
exponential_backoff = True
retry_interval = 2
max_retries = 5
request_timeout = 60.0
quote_interval = 2
measured_boot_policy_name = accept-all
measured_boot_imports = []
measured_boot_evaluate = once
severity_labels = [\"info\", \"notice\", \"warning\", \"error\", \"critical\", \"alert\", \"emergency\"]
severity_policy = [{\"event_id\": \".*\", \"severity_label\": \"emergency\"}]
signed_attributes =
require_allow_list_signatures = False
mode = pull

[revocations]
enabled_revocation_notifications = ['agent']
zmq_ip = 127.0.0.1
zmq_port = 8992
webhook_url =
";
const REGISTRAR: &str = "\
[registrar]
version = 2.5
ip = \"0.0.0.0\"
port = 8890
tls_port = 8891
tls_dir = /etc/keylime/certs
server_key = registrar.key
server_key_password =
server_cert = registrar.crt
trusted_client_ca = ['root.crt', 'intermediate.crt']
database_url = sqlite
tpm_identity = default
";
const TENANT: &str = "\
[tenant]
version = 2.5
verifier_ip = 127.0.0.1
verifier_port = 8881
registrar_ip = 127.0.0.1
registrar_port = 8891
tls_dir = /etc/keylime/certs
client_key = tenant.key
client_key_password = secret # not a comment
client_cert = tenant.crt
trusted_server_ca = ['root.crt', 'intermediate.crt']
accept_tpm_hash_algs = ['sha512', 'sha384', 'sha256']
accept_tpm_encryption_algs = ['ecc', 'rsa']
accept_tpm_signing_algs = ['ecschnorr', 'rsassa']
require_ek_cert = True
";
const AGENT: &str = "\
[agent]
version = \"2.5\"
uuid = \"5a1e7f7c-9c1e-4f0b-8f58-2f6f5d6f3a10\"
ip = \"0.0.0.0\"
port = 9002
contact_ip = \"10.10.2.70\"
contact_port = 9002
registrar_ip = \"10.10.2.62\"
registrar_port = 8890
enable_agent_mtls = true
keylime_dir = \"/var/lib/keylime\"
server_key = \"/etc/keylime/certs/agent.key\"
server_key_password = \"\"
server_cert = \"/etc/keylime/certs/agent.crt\"
trusted_client_ca = \"/etc/keylime/certs/root.crt,/etc/keylime/certs/intermediate.crt\"
tpm_hash_alg = \"sha256\"
run_as = \"keylime:tss\"
";

struct Estate(tempfile::TempDir);

impl Estate {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn whole() -> Self {
        let estate = Self::new().put("/etc/keylime/verifier.conf", VERIFIER).put("/etc/keylime/registrar.conf", REGISTRAR);
        estate.put("/etc/keylime/tenant.conf", TENANT).put("/etc/keylime/agent.conf", AGENT)
    }

    fn read(&self, environment: &[(&str, &str)]) -> (Wiring, Vec<Finding>) {
        let view = View::root(self.0.path()).unwrap();
        let mut findings = HostFindings::new(Time::from_unix(0), "auth");
        let unit = Location::line("/etc/systemd/system/keylime_agent.service", 7);
        let variables: Vec<Variable> = environment
            .iter()
            .map(|(name, value)| Variable { name: (*name).to_owned(), value: (*value).to_owned(), location: unit.clone() })
            .collect();
        let wiring = read_with(&view, Path::new("/etc/keylime"), &variables, &mut findings);
        (wiring, findings.into_document().findings)
    }
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.id.as_str()).collect()
}

fn worse_than_info(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|f| f.severity > Severity::Info).map(|f| format!("{} {} {:?}", f.id, f.found, f.files)).collect()
}

#[test]
fn healthy_parts_say_nothing_and_wire_what_they_do() {
    let (wiring, findings) = Estate::whole().read(&[]);
    assert_eq!(worse_than_info(&findings), Vec::<String>::new());
    assert_eq!(ids(&findings), ["keylime.agent-uuid"]);
    let certificates: Vec<&str> = wiring.pairs.iter().map(|pair| pair.certificate.to_str().unwrap()).collect();
    let expected = ["verifier.crt", "verifier-client.crt", "registrar.crt", "tenant.crt", "agent.crt"]
        .map(|name| format!("/etc/keylime/certs/{name}"));
    assert_eq!(certificates, expected);
    assert!(wiring.pairs[3].passphrase && !wiring.pairs[0].passphrase && wiring.pairs[4].leaf_only);
    let listeners: Vec<(&str, u16, bool, usize)> =
        wiring.listeners.iter().map(|l| (l.host.as_str(), l.port, l.tls, l.pairs.len())).collect();
    assert_eq!(
        listeners,
        [("10.10.2.62", 8881, true, 1), ("0.0.0.0", 8890, false, 0), ("0.0.0.0", 8891, true, 1), ("0.0.0.0", 9002, true, 1)]
    );
    let calls: Vec<(&str, u16, bool)> = wiring.connections.iter().map(|c| (c.host.as_str(), c.port, c.tls)).collect();
    assert_eq!(calls, [("10.10.2.70", 9002, true), ("127.0.0.1", 8881, true), ("127.0.0.1", 8891, true), ("10.10.2.62", 8890, false)]);
    assert_eq!(wiring.trusts[0].consumer.location, Location::line("/etc/keylime/verifier.conf", 13));
    assert_eq!(wiring.trusts[0].files.len(), 2);
    assert_eq!(wiring.files.len(), 4);
}

#[test]
fn what_keylime_ships_is_not_called_broken() {
    let verifier = VERIFIER.replace("tls_dir = /etc/keylime/certs", "tls_dir = generate");
    let verifier: String = verifier
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some((
                option @ ("server_key" | "server_cert" | "client_key" | "client_cert" | "trusted_client_ca" | "trusted_server_ca"),
                _,
            )) => format!("{option} = default\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let agent = "[agent]\nuuid = \"hash_ek\"\nserver_key = \"default\"\nserver_cert = \"default\"\ntrusted_client_ca = \"default\"\n";
    let (wiring, findings) = Estate::new().put("/usr/etc/keylime/verifier.conf", &verifier).put("/etc/keylime/agent.conf", agent).read(&[]);
    assert_eq!(ids(&findings), ["keylime.tls-generated"]);
    assert!(wiring.pairs.is_empty() && wiring.trusts.is_empty(), "what Keylime has yet to make is not missing");
}

/// File, text to replace, replacement; then the finding, its severity and its line.
type Defect = (&'static str, &'static str, &'static str, &'static str, Severity, u32);

const DEFECTS: &[Defect] = &[
    ("verifier", "[verifier]", "[general]", "keylime.section-missing", Severity::High, 1),
    ("verifier", "[verifier]", "[cloud_verifier]\nport = 1\n[verifier]", "keylime.section-ignored", Severity::Medium, 1),
    (
        "verifier",
        "trusted_client_ca = ['root.crt', 'intermediate.crt']",
        "trusted_client_ca = ca.crt",
        "keylime.list-expected",
        Severity::High,
        13,
    ),
    (
        "verifier",
        "trusted_server_ca = ['root.crt', 'intermediate.crt']",
        "trusted_server_ca = /x/a.crt,/x/b.crt",
        "keylime.list-expected",
        Severity::High,
        17,
    ),
    (
        "registrar",
        "trusted_client_ca = ['root.crt', 'intermediate.crt']",
        "trusted_client_ca = ca.crt",
        "keylime.list-expected",
        Severity::High,
        10,
    ),
    ("verifier", "trusted_client_ca =", "#trusted_client_ca =", "keylime.client-ca-unset", Severity::High, 1),
    (
        "verifier",
        "trusted_client_ca = ['root.crt', 'intermediate.crt']",
        "trusted_client_ca = []",
        "keylime.client-ca-unset",
        Severity::High,
        13,
    ),
    (
        "verifier",
        "trusted_client_ca = ['root.crt', 'intermediate.crt']",
        "trusted_client_ca = all",
        "keylime.client-ca-unset",
        Severity::High,
        13,
    ),
    ("registrar", "trusted_client_ca =", "# trusted_client_ca =", "keylime.client-ca-unset", Severity::High, 1),
    ("verifier", "trusted_client_ca =", "trusted_client_cas =", "keylime.option-unknown", Severity::High, 13),
    ("verifier", "server_cert =", "my_cert =", "keylime.option-unknown", Severity::High, 12),
    ("verifier", "quote_interval =", "quote_intervall =", "keylime.option-unknown", Severity::Medium, 27),
    ("verifier", "uuid = default", "uuid = default\ncolour = red", "keylime.option-unknown", Severity::Low, 4),
    ("verifier", "zmq_port = 8992", "zmq_port = 8992\nsession_lifetime = 180", "keylime.option-unknown", Severity::Low, 41),
    ("verifier", "zmq_port = 8992", "zmq_port = 8992\nserver_cert = my.crt", "keylime.option-unknown", Severity::Low, 41),
    ("verifier", "mode = pull\n\n[revocations]", "\n[revocations]\nmode = pull", "keylime.option-unknown", Severity::High, 37),
    ("verifier", "port = 8881", "port = 8881  # the default", "keylime.inline-comment", Severity::High, 5),
    ("verifier", "mode = pull", "mode = pull ; or push", "keylime.inline-comment", Severity::High, 35),
    ("verifier", "port = 8881", "port = 8881\nport = 8882", "keylime.option-twice", Severity::High, 6),
    ("verifier", "[revocations]", "[verifier]\n[revocations]", "keylime.option-twice", Severity::High, 37),
    ("verifier", "mode = pull", "mode = pul", "keylime.mode-unknown", Severity::High, 35),
    ("verifier", "mode = pull", "mode = push", "keylime.quote-interval", Severity::Medium, 27),
    ("verifier", "enable_agent_mtls = True", "enable_agent_mtls = False", "keylime.agent-mtls-off", Severity::High, 8),
    ("verifier", "enable_agent_mtls = True", "enable_agent_mtls = Yup", "keylime.value-invalid", Severity::High, 8),
    ("verifier", "severity_policy =", "#severity_policy =", "keylime.option-missing", Severity::High, 1),
    ("verifier", "enabled_revocation_notifications =", "#enabled =", "keylime.option-missing", Severity::High, 37),
    ("verifier", "client_cert = verifier-client.crt", "client_cert = verifier.crt", "keylime.client-cert-shared", Severity::Medium, 16),
    ("verifier", "uuid = default", "word", "input.malformed", Severity::High, 3),
    ("verifier", "[verifier]", "port = 1\n[verifier]", "input.malformed", Severity::High, 1),
    ("tenant", "require_ek_cert = True", "require_ek_cert = False", "keylime.ek-unchecked", Severity::High, 15),
    ("tenant", "'sha256']", "'sha256', 'sha1']", "keylime.sha1", Severity::Medium, 12),
    ("tenant", "registrar_port = 8891", "registrar_port = 8890", "keylime.registrar-tls-port", Severity::High, 6),
    ("tenant", "client_cert =", "my_cert =", "keylime.option-unknown", Severity::High, 10),
    ("agent", "[agent]", "[cloud_agent]", "keylime.section-missing", Severity::High, 1),
    ("agent", "registrar_port = 8890", "registrar_port = 8891", "keylime.registrar-port", Severity::High, 9),
    ("agent", "registrar_port = 8890", "registrar_port = 443\nregistrar_tls_enabled = true", "keylime.registrar-port", Severity::High, 9),
    (
        "agent",
        "registrar_port = 8890",
        "registrar_port = 8890\nregistrar_tls_enabled = true",
        "keylime.registrar-tls-ignored",
        Severity::Medium,
        10,
    ),
    ("agent", "5a1e7f7c-9c1e-4f0b-8f58-2f6f5d6f3a10", "d432fbb3-d2f1-4a97-9ef7-75bd81c00000", "keylime.uuid-default", Severity::Medium, 3),
    ("agent", "uuid =", "agent_uuid =", "keylime.uuid-default", Severity::Medium, 1),
    ("agent", "uuid =", "agent_uuid =", "keylime.option-unknown", Severity::High, 3),
    ("agent", "5a1e7f7c-9c1e-4f0b-8f58-2f6f5d6f3a10", "generate", "keylime.uuid-generated", Severity::Medium, 3),
    ("agent", "5a1e7f7c-9c1e-4f0b-8f58-2f6f5d6f3a10", "auth-host", "keylime.uuid-malformed", Severity::High, 3),
    ("agent", "port = 9002\ncontact_ip", "port = 9002\nport = 9003\ncontact_ip", "keylime.option-twice", Severity::High, 6),
    ("agent", "ip = \"0.0.0.0\"", "ip = 0.0.0.0", "input.malformed", Severity::High, 4),
    ("agent", "enable_agent_mtls = true", "enable_agent_mtls = false", "keylime.agent-mtls-off", Severity::High, 10),
    ("agent", "tpm_hash_alg = \"sha256\"", "tpm_hash_alg = \"sha1\"", "keylime.sha1", Severity::Medium, 16),
    ("agent", "contact_ip = \"10.10.2.70\"", "contact_ip = \"127.0.0.1\"", "keylime.contact-address", Severity::Medium, 6),
    ("agent", "ip = \"0.0.0.0\"", "ip = \"127.0.0.1\"", "keylime.contact-address", Severity::Medium, 4),
];

#[test]
fn each_defect_is_found_with_its_file_and_line() {
    for (part, from, to, id, severity, line) in DEFECTS {
        let (path, text) = match *part {
            "verifier" => ("/etc/keylime/verifier.conf", VERIFIER),
            "registrar" => ("/etc/keylime/registrar.conf", REGISTRAR),
            "tenant" => ("/etc/keylime/tenant.conf", TENANT),
            _ => ("/etc/keylime/agent.conf", AGENT),
        };
        assert!(text.contains(from), "{from}");
        let (_, findings) = Estate::whole().put(path, &text.replacen(from, to, 1)).read(&[]);
        let location = Location::line(path, *line);
        let found = findings.iter().find(|finding| finding.id == *id && finding.files.first() == Some(&location));
        let found = found.unwrap_or_else(|| panic!("{to}: expected {id} at {location}, found {:?}", worse_than_info(&findings)));
        assert_eq!(found.severity, *severity, "{to}");
        assert!(!found.expected.is_empty() && !found.found.is_empty() && !found.remedy.is_empty(), "{found:?}");
    }
}

#[test]
fn later_layers_win_and_the_environment_last() {
    let estate = Estate::whole()
        .put("/usr/etc/keylime/registrar.conf", "[registrar]\nport = 1\n")
        .put("/etc/keylime/registrar.conf.d/10-a.conf", "[registrar]\nport = 2\n")
        .put("/etc/keylime/registrar.conf.d/20-b.conf", "[registrar]\nport = 3\n")
        .put("/usr/etc/keylime/agent.conf", "[agent]\nport = 4\n")
        .put("/usr/etc/keylime/agent.conf.d/x.conf", "[agent]\nsecure_size = \"2m\"\n");
    let ports = |wiring: &Wiring| wiring.listeners.iter().map(|listener| listener.port).collect::<Vec<_>>();
    let (wiring, findings) = estate.read(&[]);
    assert_eq!((ports(&wiring), worse_than_info(&findings)), (vec![8881, 3, 8891, 9002], Vec::new()));
    assert_eq!(wiring.files.len(), 8, "the agent reads both trees, the others one");
    let (wiring, _) = estate.read(&[("KEYLIME_REGISTRAR_PORT", "4"), ("KEYLIME_AGENT_PORT", "5")]);
    assert_eq!(ports(&wiring), [8881, 4, 8891, 5]);
    assert_eq!(wiring.listeners[1].consumer.location, Location::line("/etc/systemd/system/keylime_agent.service", 7));
    let estate = estate.put("/srv/other.conf", &REGISTRAR.replace("8890", "6"));
    let (wiring, _) = estate.read(&[("KEYLIME_REGISTRAR_CONFIG", "/srv/other.conf")]);
    assert_eq!(ports(&wiring), [8881, 6, 8891, 9002]);
}

#[test]
fn what_lies_beside_the_files_is_judged_too() {
    let old = "[cloud_agent]\nagent_uuid = x\n";
    let alone = Estate::new().put("/etc/keylime/keylime-agent.conf", old).read(&[]).1;
    assert_eq!((ids(&alone), alone[0].severity), (vec!["keylime.file-ignored"], Severity::High));
    let beside = Estate::whole().put("/etc/keylime/keylime-agent.conf", old).read(&[]).1;
    assert!(beside.iter().any(|finding| finding.id == "keylime.file-ignored" && finding.severity == Severity::Low));
    let named =
        Estate::new().put("/etc/keylime/keylime-agent.conf", AGENT).read(&[("KEYLIME_AGENT_CONFIG", "/etc/keylime/keylime-agent.conf")]).1;
    assert_eq!(ids(&named), ["keylime.agent-uuid"], "it is read where the environment names it");
    let backup = Estate::whole().put("/etc/keylime/verifier.conf.d/10-ours.conf.bak", "[verifier]\nport = 1\n").read(&[]).1;
    assert!(ids(&backup).contains(&"keylime.backup-read"));
    let moved = Estate::whole().read(&[("KEYLIME_DIR", "/srv/keylime")]).1;
    assert!(ids(&moved).contains(&"keylime.dir-overridden"));
    assert_eq!(ids(&Estate::new().read(&[]).1), ["input.absent"], "a directory that was asked for");
}

#[test]
fn a_push_agent_speaks_tls_and_has_no_certificate() {
    let push = "[agent]\nuuid = \"hash_ek\"\nverifier_url = \"https://verifier.funlab.casa:8881\"\nverifier_tls_ca_cert = \"/etc/keylime/root.crt\"\nregistrar_ip = \"10.0.0.1\"\nregistrar_port = 8891\nregistrar_tls_enabled = true\nregistrar_tls_ca_cert = \"/etc/keylime/root.crt\"\n";
    let (wiring, findings) = Estate::new().put("/etc/keylime/agent.conf", push).read(&[]);
    assert_eq!(worse_than_info(&findings), Vec::<String>::new());
    assert!(wiring.pairs.is_empty() && wiring.listeners.is_empty());
    assert_eq!(
        wiring.connections.iter().map(|c| (c.port, c.tls, c.trust.is_some())).collect::<Vec<_>>(),
        [(8881, true, true), (8891, true, true)]
    );
    let pulled = Estate::new().put("/etc/keylime/agent.conf", push).put("/usr/lib/systemd/system/keylime_agent.service", "");
    assert!(ids(&pulled.read(&[]).1).contains(&"keylime.registrar-port"), "the unit tells which agent reads it");
    let plain = Estate::new().put("/etc/keylime/agent.conf", &push.replace("https", "http")).read(&[]).1;
    assert!(ids(&plain).contains(&"keylime.verifier-url-http"));
}

#[test]
fn hostile_files_end_and_tell_no_secret() {
    for text in [
        "\0",
        "[",
        "[verifier",
        "\u{feff}[verifier]\n",
        &"[a]\n".repeat(50_000),
        &"x=1\n".repeat(50_000),
        &"[verifier]\nserver_key_password = hunter2 # x\n".repeat(3),
    ] {
        let estate = Estate::new().put("/etc/keylime/verifier.conf", text).put("/etc/keylime/agent.conf", text);
        let (_, findings) = estate.read(&[]);
        assert!(!format!("{findings:?}").contains("hunter2"));
    }
}
