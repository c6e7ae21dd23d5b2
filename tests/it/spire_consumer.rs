//! A real SPIRE server and agent as consumers: their plugins read the data file of each generation at SIGUSR1, say so by its hash, and are put
//! back where they refuse it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::child::{Output, Server, run};
use crate::lab::estate::{Cert, Estate, Run};
use crate::lab::{free_port, place, program, wait_for};

/// Where `peers.sh build spire` puts them.
pub(crate) fn binary(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("OMENS_PEERS").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/omens-peers")))?;
    Some(cache.join("bin").join(name)).filter(|path| path.is_file()).or_else(|| program(name))
}

struct Spire {
    dir: PathBuf,
    estate: Estate,
    port: u16,
    server: Option<Server>,
    agent: Option<Server>,
}

const AGENT_ID: &str = "spiffe://funlab.casa/spire/agent/x509pop/cn/www.funlab.casa";

impl Spire {
    /// The certificates are issued while nothing runs; then server and agent start on them.
    fn up(server_settings: &str) -> Option<Self> {
        if binary("spire-server").is_none() || binary("spire-agent").is_none() {
            crate::skipped("the SPIRE drivers on a real SPIRE: `tests/lab/peers.sh build spire` builds it where Go is");
            return None;
        }
        let dir = place::directory("spire");
        for below in ["server", "agent"] {
            place::make_private(&dir.join(below));
        }
        let mut spire = Self { dir, estate: Estate::at_openbao(), port: free_port(), server: None, agent: None };
        spire.estate.certs = vec![
            Cert::web("server").reloaded_by(&spire.driver(
                "server",
                "a_cert",
                "a_key",
                ", ca = \"ca_bundle_path\", data = { agent_path_template = \"/x509pop/cn/{{ .Subject.CommonName }}\" }",
                server_settings,
            )),
            Cert::web("agent").reloaded_by(&spire.driver("agent", "certificate_path", "private_key_path", "", "")),
        ];
        spire.estate.write();
        let first = spire.estate.renew();
        first.expect(0, "server", "renewed");
        assert_eq!(first.cert("agent")["proof"], "service-stopped", "{first}");
        spire.start("server");
        let bundle = spire.cli(&["bundle", "show"]);
        std::fs::write(spire.dir.join("bundle.pem"), bundle.stdout).unwrap();
        spire.start("agent");
        spire.estate.renew().expect(0, "server", "settled").expect(0, "agent", "settled");
        Some(spire)
    }

    fn driver(&self, part: &str, cert: &str, key: &str, plugin: &str, more: &str) -> String {
        let dir = self.dir.display();
        format!(
            "{{ spire_{part} = {{ pid = \"{dir}/{part}.pid\", log = \"{dir}/{part}.log\", \
             plugin = {{ kind = \"NodeAttestor\", name = \"x509pop\", cert = \"{cert}\", key = \"{key}\"{plugin} }}{more} }} }}",
            more = more.replace("DIR", &dir.to_string())
        )
    }

    fn configuration(&self, part: &str) -> String {
        let (dir, port) = (self.dir.display(), self.port);
        let data = self.estate.run_dir().join(part).join("spire-NodeAttestor-x509pop.json");
        let attestor = format!("NodeAttestor \"x509pop\" {{ plugin_data_file = \"{}\" }}", data.display());
        if part == "server" {
            format!(
                "server {{\n bind_address = \"127.0.0.1\"\n bind_port = \"{port}\"\n socket_path = \"{dir}/server.sock\"\n \
                 trust_domain = \"funlab.casa\"\n data_dir = \"{dir}/server\"\n log_level = \"INFO\"\n}}\nplugins {{\n \
                 DataStore \"sql\" {{ plugin_data {{\n database_type = \"sqlite3\"\n connection_string = \"{dir}/server/data.sqlite3\"\n }} }}\n \
                 KeyManager \"disk\" {{ plugin_data {{ keys_path = \"{dir}/server/keys.json\" }} }}\n {attestor}\n}}\n"
            )
        } else {
            format!(
                "agent {{\n server_address = \"127.0.0.1\"\n server_port = \"{port}\"\n socket_path = \"{dir}/agent.sock\"\n \
                 trust_domain = \"funlab.casa\"\n data_dir = \"{dir}/agent\"\n log_level = \"INFO\"\n \
                 trust_bundle_path = \"{dir}/bundle.pem\"\n experimental {{ sync_interval = \"1s\" }}\n}}\nplugins {{\n \
                 KeyManager \"disk\" {{ plugin_data {{ directory = \"{dir}/agent\" }} }}\n WorkloadAttestor \"unix\" {{ plugin_data {{}} }}\n {attestor}\n}}\n"
            )
        }
    }

    fn start(&mut self, part: &str) {
        let conf = self.dir.join(format!("{part}.conf"));
        std::fs::write(&conf, self.configuration(part)).unwrap();
        let mut command = Command::new(binary(&format!("spire-{part}")).unwrap());
        command.arg("run").arg("-config").arg(&conf).env_clear().env("PATH", "/usr/bin:/bin");
        let server = Server::start(command, &self.dir.join(format!("{part}.log")), Signal::TERM);
        std::fs::write(self.dir.join(format!("{part}.pid")), server.pid().to_string()).unwrap();
        if part == "server" {
            self.server = Some(server);
            wait_for("SPIRE's server", Duration::from_secs(60), || self.cli(&["healthcheck"]).code == 0);
        } else {
            self.agent = Some(server);
            wait_for("SPIRE's agent to attest", Duration::from_secs(60), || self.serial().is_some());
        }
    }

    fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary("spire-server").unwrap());
        command.args(arguments).arg("-socketPath").arg(self.dir.join("server.sock"));
        run(command, Duration::from_secs(20))
    }

    /// The serial number of the agent's SVID.
    fn serial(&self) -> Option<String> {
        let shown = self.cli(&["agent", "show", "-spiffeID", AGENT_ID, "-output", "json"]);
        let json: serde_json::Value = serde_json::from_str(&shown.stdout).ok()?;
        let agent = json.get("agent").unwrap_or(&json);
        Some(agent["x509svid_serial_number"].as_str()?.to_owned())
    }

    fn log(&self, part: &str) -> String {
        std::fs::read_to_string(self.dir.join(format!("{part}.log"))).unwrap()
    }
}

fn proofs(run: &Run) -> (&str, &str) {
    (run.cert("server")["proof"].as_str().unwrap(), run.cert("agent")["proof"].as_str().unwrap())
}

#[test]
fn both_configure_their_plugins_with_the_data_of_a_generation_and_go_back_where_they_refuse() {
    let Some(mut spire) = Spire::up("") else { return };
    let pids = (spire.server.as_ref().unwrap().pid(), spire.agent.as_ref().unwrap().pid());
    let renewed = spire.estate.force();
    renewed.expect(0, "server", "renewed").expect(0, "agent", "renewed");
    assert_eq!(proofs(&renewed), ("served", "served"), "{renewed}");
    for part in ["server", "agent"] {
        let data = std::fs::read_to_string(spire.estate.run_dir().join(part).join("spire-NodeAttestor-x509pop.json")).unwrap();
        assert!(data.contains(&format!("/{part}/gen-2/")), "{data}");
        assert!(spire.log(part).contains("Plugin reconfigured"), "{}", spire.log(part));
    }
    let data = std::fs::read_to_string(spire.estate.run_dir().join("server/spire-NodeAttestor-x509pop.json")).unwrap();
    assert!(data.contains("/server/gen-2/anchors.pem"), "{data}");

    // The agent's plugin checks its pair: refused, it goes on with the old one, whose data file is back.
    let script = spire.estate.dir.join("break");
    std::fs::write(&script, "#!/bin/sh\n: > \"$OMENS_DIR/key.pem\"\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    spire.estate.certs[1].extra = format!("before = {{ exec = {{ command = [\"{}\"] }} }}\n", script.display());
    spire.estate.write();
    let refused = spire.estate.omens(&["renew", "agent", "--force"]);
    refused.expect(1, "agent", "rolled-back").because("agent", "reload/reload-failed");
    assert!(refused.cert("agent")["error"]["text"].as_str().unwrap().contains("Failed to reconfigure plugin"), "{refused}");
    let data = std::fs::read_to_string(spire.estate.run_dir().join("agent/spire-NodeAttestor-x509pop.json")).unwrap();
    assert!(data.contains("/agent/gen-2/"), "{data}");
    assert!(spire.log("agent").contains("Plugin not reconfigured since the config is unchanged"), "{}", spire.log("agent"));
    spire.estate.certs[1].extra.clear();
    spire.estate.write();
    spire.estate.renew().expect(0, "agent", "settled");

    // Neither was started anew; stopped, it is left alone.
    assert!(spire.server.as_mut().unwrap().alive() && spire.agent.as_mut().unwrap().alive());
    assert_eq!(pids, (spire.server.as_ref().unwrap().pid(), spire.agent.as_ref().unwrap().pid()));
    spire.agent = None;
    let stopped = spire.estate.omens(&["renew", "agent", "--force"]);
    stopped.expect(0, "agent", "renewed");
    assert_eq!(stopped.cert("agent")["proof"], "service-stopped", "{stopped}");
}

#[test]
fn what_spire_does_not_say_is_not_believed() {
    let Some(mut spire) = Spire::up("") else { return };
    // A log that says nothing, as with log_level above info.
    let empty = spire.dir.join("empty.log");
    std::fs::write(&empty, "").unwrap();
    let log = format!("{}/agent.log", spire.dir.display());
    let seen = spire.estate.certs[1].reload[0].clone();
    spire.estate.certs[1].reload[0] = seen.replace(&log, &empty.display().to_string());
    spire.estate.write();
    let silent = spire.estate.omens(&["renew", "agent", "--force"]);
    silent.expect(0, "agent", "renewed");
    assert_eq!(
        (silent.cert("agent")["proof"].as_str(), silent.cert("agent")["warnings"][0]["code"].as_str()),
        (Some("file"), Some("not-observable")),
        "{silent}"
    );
    // A signal that is taken, and data that do not change: another certificate's file is not this one's.
    spire.estate.certs[1].reload[0] = seen.replace("certificate_path", "other_path");
    spire.estate.write();
    let other = spire.estate.omens(&["renew", "agent", "--force"]);
    assert_eq!((other.code, other.error("agent").split('/').next()), (1, Some("reload")), "{other}");
}

#[test]
fn an_evicted_agent_attests_again_with_what_the_plugin_has_read() {
    let more = format!(", evict = true, agent = \"{AGENT_ID}\", socket = \"DIR/server.sock\"");
    let Some(spire) = Spire::up(&more) else { return };
    let before = spire.serial().unwrap();
    let renewed = spire.estate.omens(&["renew", "server", "--force"]);
    renewed.expect(0, "server", "renewed");
    assert_eq!(
        (renewed.cert("server")["proof"].as_str(), renewed.cert("server")["warnings"].as_array().map(Vec::len)),
        (Some("served"), Some(0)),
        "{renewed}"
    );
    assert_ne!(spire.serial(), Some(before));
}

#[test]
fn a_plugin_has_one_certificate() {
    let mut estate = Estate::at_openbao();
    let driver = |option: &str| {
        format!(
            "{{ spire_agent = {{ unit = \"spire-agent.service\", plugin = {{ kind = \"NodeAttestor\", name = \"x509pop\", \
             cert = \"{option}\", key = \"private_key_path\" }} }} }}"
        )
    };
    estate.certs = ["one", "two"].map(|name| Cert::web(name).reloaded_by(&driver(&format!("{name}_path")))).to_vec();
    estate.write();
    let checked = estate.omens(&["check-config"]);
    let error = &checked.json["errors"][0];
    assert_eq!(
        (checked.code, error["code"].as_str(), error["key"].as_str()),
        (2, Some("duplicate"), Some("certificate[1].reload")),
        "{checked}"
    );
    assert!(error["text"].as_str().unwrap().contains("NodeAttestor \"x509pop\" of spire-agent.service"), "{checked}");
}
