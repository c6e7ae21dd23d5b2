//! One host for one test: settings, anchor, secrets, state and run directory in a private place, and the binary run on them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::child::{Output, User, as_user, run};
use super::openbao::OpenBao;
use super::place;

/// Who signs, as the settings need to know it.
#[derive(Clone, Debug)]
pub struct Authority {
    pub address: String,
    pub root_pem: String,
    /// The `login` list in TOML; `DIR` stands for the estate's directory.
    pub login: String,
    /// Files for that login: name below DIR and content, mode 0600.
    pub secrets: Vec<(String, String)>,
}

impl Authority {
    /// AppRole.
    pub fn approle(address: String, root_pem: &str, role_id: &str, secret_id: &str) -> Self {
        Self {
            address,
            root_pem: root_pem.to_owned(),
            login: "[ { approle = { role_id = \"file:DIR/role-id\", secret_id = \"file:DIR/secret-id\" } } ]".into(),
            secrets: vec![("role-id".into(), format!("{role_id}\n")), ("secret-id".into(), format!("{secret_id}\n"))],
        }
    }

    /// A token file.
    pub fn token(address: String, root_pem: &str, token: &str) -> Self {
        Self {
            address,
            root_pem: root_pem.to_owned(),
            login: "[ { token = { token = \"file:DIR/token\" } } ]".into(),
            secrets: vec![("token".into(), format!("{token}\n"))],
        }
    }

    /// A TLS client certificate for the auth role `hosts`.
    pub fn cert(address: String, root_pem: &str, (cert, key): (String, String)) -> Self {
        Self {
            address,
            root_pem: root_pem.to_owned(),
            login: "[ { cert = { role = \"hosts\", cert = \"DIR/login.crt\", key = \"file:DIR/login.key\" } } ]".into(),
            secrets: vec![("login.crt".into(), cert), ("login.key".into(), key)],
        }
    }
}

/// One `[[certificate]]`; whatever is not a field goes into `extra` as TOML lines.
#[derive(Clone, Debug)]
pub struct Cert {
    pub name: String,
    pub profile: String,
    pub role: String,
    pub ttl: String,
    pub common_name: String,
    pub dns: Vec<String>,
    pub ip: Vec<String>,
    pub algorithm: String,
    /// `file` or `sealed`.
    pub keep: String,
    pub reload: Vec<String>,
    pub verify: Vec<String>,
    pub extra: String,
}

impl Cert {
    /// A P-256 web server's certificate for the first name of the lab.
    pub fn web(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            profile: "tls-server".into(),
            role: "web-ec".into(),
            ttl: "24h".into(),
            common_name: super::openbao::NAMES[0].into(),
            dns: Vec::new(),
            ip: vec!["127.0.0.1".into()],
            algorithm: "ec-p256".into(),
            keep: "file".into(),
            reload: Vec::new(),
            verify: Vec::new(),
            extra: String::new(),
        }
    }

    /// The same with `verify` at this port; a short deadline, since tests wait for it when it fails.
    pub fn seen_at(mut self, port: u16, deadline: &str) -> Self {
        let entry =
            format!("{{ tls = {{ address = \"127.0.0.1:{port}\", server_name = \"{}\", deadline = \"{deadline}\" }} }}", self.common_name);
        self.verify.push(entry);
        self
    }

    /// The same with its key sealed to the TPM.
    pub fn sealed(mut self) -> Self {
        "sealed".clone_into(&mut self.keep);
        self
    }

    /// The same with this driver.
    pub fn reloaded_by(mut self, driver: &str) -> Self {
        self.reload.push(driver.to_owned());
        self
    }

    /// As it stands in the settings.
    pub fn toml(&self) -> String {
        let list = |items: &[String]| items.iter().map(|i| format!("\"{i}\"")).collect::<Vec<_>>().join(", ");
        let Self { name, profile, role, ttl, common_name, algorithm, keep, extra, .. } = self;
        let mut text = format!(
            "[[certificate]]\nname = \"{name}\"\nprofile = \"{profile}\"\nrole = \"{role}\"\nttl = \"{ttl}\"\ncommon_name = \"{common_name}\"\n\
             dns = [{}]\nip = [{}]\nkey = {{ algorithm = \"{algorithm}\", keep = \"{keep}\" }}\n",
            list(&self.dns),
            list(&self.ip),
        );
        if !self.reload.is_empty() {
            text.push_str(&format!("reload = [ {} ]\n", self.reload.join(", ")));
        }
        if !self.verify.is_empty() {
            text.push_str(&format!("verify = [ {} ]\n", self.verify.join(", ")));
        }
        text.push_str(extra);
        text.push('\n');
        text
    }
}

/// A host.
pub struct Estate {
    pub dir: PathBuf,
    /// The login's name in OpenBao's audit log.
    pub login: String,
    pub authority: Authority,
    pub certs: Vec<Cert>,
    /// `[tpm]` in TOML, where there is one.
    pub tpm: Option<String>,
    pub run: PathBuf,
    pub user: Option<User>,
}

impl Estate {
    /// A host of this authority.
    pub fn new(login: &str, authority: Authority) -> Self {
        let dir = place::directory("estate");
        let run = dir.join("run");
        let estate = Self { dir, login: login.to_owned(), authority, certs: Vec::new(), tpm: None, run, user: None };
        place::make_private(&estate.dir.join("policies/certificates"));
        std::fs::write(estate.anchor(), &estate.authority.root_pem).expect("anchor");
        for (name, text) in &estate.authority.secrets {
            place::write_secret(&estate.dir.join(name), text);
        }
        estate
    }

    /// A host of the shared OpenBao with an AppRole of its own.
    pub fn at_openbao() -> Self {
        Self::at(OpenBao::shared())
    }

    /// A host of this OpenBao with an AppRole of its own.
    pub fn at(bao: &OpenBao) -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let login = format!("host-{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let (role_id, secret_id) = bao.approle(&login, &["omens-renew", "omens-weak"]);
        Self::new(&login, Authority::approle(bao.address(), &bao.root.pem, &role_id, &secret_id))
    }

    /// Adds a certificate and writes the settings.
    pub fn with(mut self, cert: Cert) -> Self {
        self.certs.push(cert);
        self.write();
        self
    }

    pub fn anchor(&self) -> PathBuf {
        self.dir.join("eye-of-thundera.pem")
    }

    pub fn settings(&self) -> PathBuf {
        self.dir.join("omens.toml")
    }

    pub fn state(&self) -> PathBuf {
        place::on_disk(&self.dir.join("state"))
    }

    pub fn run_dir(&self) -> PathBuf {
        self.run.clone()
    }

    /// The same host with a TPM, and with its run directory in memory.
    pub fn with_tpm(mut self, tcti: &str, pcrs: &[u32]) -> Self {
        self.run = place::in_memory("run");
        self.set_tpm(tcti, pcrs);
        self
    }

    /// Other settings for the TPM.
    pub fn set_tpm(&mut self, tcti: &str, pcrs: &[u32]) {
        self.tpm = Some(format!("tcti = \"{tcti}\"\npcrs = {pcrs:?}\n"));
        self.write();
    }

    /// The file that nginx includes.
    pub fn include(&self, name: &str) -> PathBuf {
        self.run_dir().join(name).join("nginx.conf")
    }

    /// Writes the settings.
    pub fn write(&self) {
        let text = self.settings_text();
        std::fs::write(self.settings(), text).expect("settings");
        if let Some(user) = self.user {
            own(&self.dir, user);
        }
    }

    /// The settings as they are written.
    pub fn settings_text(&self) -> String {
        let dir = self.dir.display();
        let sha256 = super::pki::sha256(&super::pki::pem_blocks(&self.authority.root_pem)[0]);
        let login = self.authority.login.replace("DIR", &dir.to_string());
        let mut text = format!(
            "[host]\nname = \"lab.funlab.casa\"\n\n[paths]\nstate = \"{}\"\nrun = \"{}\"\npolicies = \"{dir}/policies\"\n\n\
             [trust]\nanchor = \"{dir}/eye-of-thundera.pem\"\nanchor_sha256 = \"{sha256}\"\n\n\
             [openbao]\naddress = \"{}\"\nmount = \"pki_int\"\nlogin = {login}\n\n",
            self.state().display(),
            self.run.display(),
            self.authority.address
        );
        if let Some(tpm) = &self.tpm {
            text.push_str(&format!("[tpm]\n{tpm}\n"));
        }
        for cert in &self.certs {
            text.push_str(&cert.toml());
        }
        text
    }

    /// The binary with these arguments and `--config`, not yet started. Nothing of our environment reaches it but a path.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.user {
            Some(user) => as_user(Some(user), None, &omens()),
            None => Command::new(omens()),
        };
        command.arg("--config").arg(self.settings()).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").current_dir("/");
        command
    }

    /// Runs the binary with `--json`.
    pub fn omens(&self, arguments: &[&str]) -> Run {
        self.omens_with(&[], arguments)
    }

    /// The same with more in its environment.
    pub fn omens_with(&self, environment: &[(&str, &Path)], arguments: &[&str]) -> Run {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let shown = all.join(" ");
        let mut command = self.command(&all);
        command.envs(environment.iter().copied());
        Run::of(shown, run(command, Duration::from_secs(400)))
    }

    /// Runs the binary as a person would, without `--json`.
    pub fn plain(&self, arguments: &[&str]) -> Output {
        run(self.command(arguments), Duration::from_secs(180))
    }

    /// `renew --all`.
    pub fn renew(&self) -> Run {
        self.omens(&["renew", "--all"])
    }

    /// `renew --all --force`.
    pub fn force(&self) -> Run {
        self.omens(&["renew", "--all", "--force"])
    }

    /// What `live` of this certificate names below this tree.
    pub fn live(&self, tree: &Path, name: &str) -> Option<u64> {
        let target = std::fs::read_link(tree.join(name).join("live")).ok()?;
        target.to_str()?.strip_prefix("gen-")?.parse().ok()
    }

    /// The committed generation.
    pub fn committed(&self, name: &str) -> Option<u64> {
        self.live(&self.state().join("certs"), name)
    }

    /// The published generation.
    pub fn published(&self, name: &str) -> Option<u64> {
        self.live(&self.run_dir(), name)
    }

    /// How many signing requests of this host the shared OpenBao has seen.
    pub fn signed(&self) -> usize {
        OpenBao::shared().signed(&self.login)
    }

    /// SHA-256 of the published leaf.
    pub fn published_leaf(&self, name: &str) -> Option<String> {
        let pem = std::fs::read_to_string(self.run_dir().join(name).join("live/cert.pem")).ok()?;
        Some(super::pki::sha256(super::pki::pem_blocks(&pem).first()?))
    }

    /// The ledger, oldest line first.
    pub fn ledger(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.state().join("ledger.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// `state.json` of a certificate.
    pub fn state_json(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.state().join("certs").join(name).join("state.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Gives everything to this user and runs as him from now on.
    pub fn owned_by(mut self, user: User) -> Self {
        self.user = Some(user);
        own(&self.dir, user);
        self
    }
}

fn own(path: &Path, user: User) {
    std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid)).expect("chown");
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).expect("a directory").flatten() {
            own(&entry.path(), user);
        }
    }
}

/// The binary under test: what cargo names for tests, `OMENS`, or the one built beside this example.
pub fn omens() -> PathBuf {
    if let Some(path) = option_env!("CARGO_BIN_EXE_omens") {
        return path.into();
    }
    if let Some(path) = std::env::var_os("OMENS") {
        return path.into();
    }
    let own = std::env::current_exe().expect("the own path");
    own.parent().and_then(Path::parent).expect("target directory").join("omens")
}

/// A finished run with `--json`.
#[derive(Debug)]
pub struct Run {
    pub arguments: String,
    pub code: i32,
    pub json: Value,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    fn of(arguments: String, output: Output) -> Self {
        let json = serde_json::from_str(&output.stdout).unwrap_or(Value::Null);
        Self { arguments, code: output.code, json, stdout: output.stdout, stderr: output.stderr }
    }

    /// The report of one certificate.
    pub fn cert(&self, name: &str) -> &Value {
        let certs = self.json["certificates"].as_array();
        certs.into_iter().flatten().find(|c| c["name"] == name).unwrap_or_else(|| panic!("nothing about {name} in {self}"))
    }

    /// Its outcome.
    pub fn outcome(&self, name: &str) -> &str {
        self.cert(name)["outcome"].as_str().unwrap_or_default()
    }

    /// `stage/code` of its error, or nothing.
    pub fn error(&self, name: &str) -> String {
        let error = &self.cert(name)["error"];
        if error.is_null() {
            return String::new();
        }
        format!("{}/{}", error["stage"].as_str().unwrap_or_default(), error["code"].as_str().unwrap_or_default())
    }

    /// The codes of its reasons.
    pub fn reasons(&self, name: &str) -> Vec<&str> {
        let reasons = self.cert(name)["reasons"].as_array();
        reasons.into_iter().flatten().filter_map(|r| r["code"].as_str()).collect()
    }

    /// The ids of its findings.
    pub fn findings(&self, name: &str) -> Vec<&str> {
        let findings = self.cert(name)["findings"].as_array();
        findings.into_iter().flatten().filter_map(|f| f["id"].as_str()).collect()
    }

    /// Demands exit code and outcome.
    #[track_caller]
    pub fn expect(&self, code: i32, name: &str, outcome: &str) -> &Self {
        assert_eq!(self.code, code, "exit code: {self}");
        assert_eq!(self.json["exit"], code, "exit in the document: {self}");
        assert_eq!(self.outcome(name), outcome, "outcome: {self}");
        self
    }

    /// Demands the error.
    #[track_caller]
    pub fn because(&self, name: &str, error: &str) -> &Self {
        assert_eq!(self.error(name), error, "error: {self}");
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let document = serde_json::to_string_pretty(&self.json).unwrap_or_default();
        let shown = if self.json.is_null() { &self.stdout } else { &document };
        write!(f, "omens {} → {}\n{shown}\nstderr:\n{}", self.arguments, self.code, self.stderr)
    }
}
