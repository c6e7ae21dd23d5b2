//! A real SPIRE server and agent on loopback, whose node attestor takes its data from files that somebody else writes.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::child::{Output, Server, run};
use super::{free_port, place, program, wait_for};

/// Where `peers.sh build spire` puts them.
pub fn binary(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("OMENS_PEERS").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/omens-peers")))?;
    Some(cache.join("bin").join(name)).filter(|path| path.is_file()).or_else(|| program(name))
}

/// A server of the trust domain funlab.casa and one agent.
pub struct Spire {
    pub dir: PathBuf,
    /// The agent's SPIFFE ID.
    pub id: String,
    pub server: Option<Server>,
    pub agent: Option<Server>,
    /// `NodeAttestor` of the server and of the agent, as they stand in the configuration.
    attestors: [String; 2],
    programs: [PathBuf; 2],
    port: u16,
}

impl Spire {
    /// Nothing runs yet, and nothing attests; none where SPIRE is not built.
    pub fn new() -> Option<Self> {
        let programs = [binary("spire-server")?, binary("spire-agent")?];
        let dir = place::directory("spire");
        for below in ["server", "agent"] {
            place::make_private(&dir.join(below));
        }
        Some(Self {
            dir,
            id: String::new(),
            server: None,
            agent: None,
            attestors: [String::new(), String::new()],
            programs,
            port: free_port(),
        })
    }

    /// An agent whose ID ends so, by these attestors of server and agent.
    pub fn attested_by(&mut self, id: &str, attestors: [String; 2]) {
        self.id = format!("spiffe://funlab.casa/spire/agent/{id}");
        self.attestors = attestors;
    }

    /// By x509pop, with the data files of the certificates `server` and `agent` below this run directory.
    pub fn attested_by_certificates(&mut self, common_name: &str, run: &Path) {
        let attestors = ["server", "agent"].map(|part| {
            let data = run.join(part).join("spire-NodeAttestor-x509pop.json");
            format!("NodeAttestor \"x509pop\" {{ plugin_data_file = \"{}\" }}", data.display())
        });
        self.attested_by(&format!("x509pop/cn/{common_name}"), attestors);
    }

    /// The drivers of those two certificates; `more` is what the server's has besides, where DIR is this directory.
    pub fn drivers(&self, more: &str) -> [String; 2] {
        let dir = self.dir.display().to_string();
        let template = "data = { agent_path_template = \"/x509pop/cn/{{ .Subject.CommonName }}\" }";
        [
            ("server", "a_cert", "a_key", format!(", ca = \"ca_bundle_path\", {template}"), more.replace("DIR", &dir)),
            ("agent", "certificate_path", "private_key_path", String::new(), String::new()),
        ]
        .map(|(part, cert, key, plugin, more)| {
            format!(
                "{{ spire_{part} = {{ pid = \"{dir}/{part}.pid\", log = \"{dir}/{part}.log\", \
                 plugin = {{ kind = \"NodeAttestor\", name = \"x509pop\", cert = \"{cert}\", key = \"{key}\"{plugin} }}{more} }} }}"
            )
        })
    }

    fn configuration(&self, part: &str) -> String {
        let (dir, port, [server, agent]) = (self.dir.display(), self.port, &self.attestors);
        let common = format!(
            " socket_path = \"{dir}/{part}.sock\"\n trust_domain = \"funlab.casa\"\n data_dir = \"{dir}/{part}\"\n log_level = \"INFO\"\n"
        );
        if part == "server" {
            format!(
                "server {{\n bind_address = \"127.0.0.1\"\n bind_port = \"{port}\"\n{common}}}\nplugins {{\n \
                 DataStore \"sql\" {{ plugin_data {{\n database_type = \"sqlite3\"\n connection_string = \"{dir}/server/data.sqlite3\"\n }} }}\n \
                 KeyManager \"disk\" {{ plugin_data {{ keys_path = \"{dir}/server/keys.json\" }} }}\n {server}\n}}\n"
            )
        } else {
            format!(
                "agent {{\n server_address = \"127.0.0.1\"\n server_port = \"{port}\"\n trust_bundle_path = \"{dir}/bundle.pem\"\n \
                 experimental {{ sync_interval = \"1s\" }}\n{common}}}\nplugins {{\n \
                 KeyManager \"disk\" {{ plugin_data {{ directory = \"{dir}/agent\" }} }}\n WorkloadAttestor \"unix\" {{ plugin_data {{}} }}\n \
                 {agent}\n}}\n"
            )
        }
    }

    /// Starts both, the agent with the server's bundle, and waits until it is attested.
    pub fn up(&mut self) {
        self.start("server");
        wait_for("SPIRE's server", Duration::from_secs(60), || self.serves("server"));
        std::fs::write(self.dir.join("bundle.pem"), self.cli(&["bundle", "show"]).stdout).expect("a bundle");
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while self.serial().is_none() {
            // An agent that is refused ends. Who judges it may not be ready for it yet, and a unit would start it again.
            if !self.agent.as_mut().is_some_and(Server::alive) {
                self.start("agent");
            }
            assert!(std::time::Instant::now() < until, "the agent is not attested:\n{}\n{}", self.log("server"), self.log("agent"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts one, which may be running.
    pub fn start(&mut self, part: &str) {
        let conf = self.dir.join(format!("{part}.conf"));
        std::fs::write(&conf, self.configuration(part)).expect("settings");
        let (slot, program) = if part == "server" { (&mut self.server, &self.programs[0]) } else { (&mut self.agent, &self.programs[1]) };
        *slot = None;
        let mut command = Command::new(program);
        command.arg("run").arg("-config").arg(&conf).env_clear().env("PATH", "/usr/bin:/bin");
        let server = Server::start(command, &self.dir.join(format!("{part}.log")), Signal::TERM);
        std::fs::write(self.dir.join(format!("{part}.pid")), server.pid().to_string()).expect("a pid");
        *slot = Some(server);
    }

    /// Whether one listens on its socket: the server's comes with its API, the agent's once it has an identity.
    pub fn serves(&self, part: &str) -> bool {
        UnixStream::connect(self.dir.join(format!("{part}.sock"))).is_ok()
    }

    /// Asks the server on its socket.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.programs[0]);
        command.args(arguments).arg("-socketPath").arg(self.dir.join("server.sock"));
        run(command, Duration::from_secs(20))
    }

    /// The serial number of the agent's SVID; none while it is not attested.
    pub fn serial(&self) -> Option<String> {
        let shown = self.cli(&["agent", "show", "-spiffeID", &self.id, "-output", "json"]);
        let json: serde_json::Value = serde_json::from_str(&shown.stdout).ok()?;
        let agent = json.get("agent").unwrap_or(&json);
        Some(agent["x509svid_serial_number"].as_str()?.to_owned())
    }

    pub fn log(&self, part: &str) -> String {
        std::fs::read_to_string(self.dir.join(format!("{part}.log"))).unwrap_or_default()
    }
}
