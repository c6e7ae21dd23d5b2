//! SPIRE's Keylime plugin at a real Keylime in pull mode, with nothing between the two: its pair lives a minute, `omens run` renews it, and the
//! agent, evicted after each renewal, is attested with the new pair each time. The plugin is a stand-in that reads its files as the real one does.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::keylime_consumer::Keylime;
use crate::lab::child::{Output, Server, run};
use crate::lab::estate::Cert;
use crate::lab::{free_port, place, wait_for};
use crate::spire_consumer::binary;

/// SPIRE's server and agent with that plugin, whose pair is certificate `plugin` of Keylime's host.
struct Spire {
    dir: PathBuf,
    /// `spire-server`, `spire-agent` and the plugin.
    programs: [PathBuf; 3],
    id: String,
    keylime: Keylime,
}

impl Spire {
    /// The pair is issued; nothing runs yet.
    fn new(programs: [PathBuf; 3], mut keylime: Keylime) -> Self {
        let (dir, id) =
            (place::directory("spire-keylime"), format!("spiffe://funlab.casa/spire/agent/keylime/{}", keylime.text("/agent/uuid")));
        for below in ["server", "agent"] {
            place::make_private(&dir.join(below));
        }
        let home = dir.display();
        let driver = format!(
            "{{ spire_server = {{ pid = \"{home}/server.pid\", log = \"{home}/server.log\", evict = true, agent = \"{id}\", \
             socket = \"{home}/server.sock\", plugin = {{ kind = \"NodeAttestor\", name = \"keylime\", cert = \"keylime_tls_cert_file\", \
             key = \"keylime_tls_key_file\", ca = \"keylime_tls_ca_cert_file\", \
             data = {{ keylime_verifier_host = \"localhost\", keylime_verifier_port = \"{}\" }} }} }} }}",
            keylime.json.pointer("/verifier/port").and_then(Value::as_u64).unwrap()
        );
        let plugin = Cert::web("plugin").reloaded_by(&driver);
        keylime.estate.certs.push(Cert { role: "services".into(), profile: "mtls-service".into(), ttl: "60s".into(), ..plugin });
        keylime.estate.write();
        keylime.estate.omens(&["renew", "plugin"]).expect(0, "plugin", "renewed");
        Self { dir, programs, id, keylime }
    }

    fn configuration(&self, part: &str, port: u16) -> String {
        let (home, plugin) = (self.dir.display(), self.programs[2].display());
        let common = format!(
            " socket_path = \"{home}/{part}.sock\"\n trust_domain = \"funlab.casa\"\n data_dir = \"{home}/{part}\"\n log_level = \"INFO\"\n"
        );
        if part == "server" {
            let data = self.keylime.estate.run_dir().join("plugin/spire-NodeAttestor-keylime.json");
            format!(
                "server {{\n bind_address = \"127.0.0.1\"\n bind_port = \"{port}\"\n{common}}}\nplugins {{\n \
                 DataStore \"sql\" {{ plugin_data {{\n database_type = \"sqlite3\"\n connection_string = \"{home}/server/data.sqlite3\"\n }} }}\n \
                 KeyManager \"disk\" {{ plugin_data {{ keys_path = \"{home}/server/keys.json\" }} }}\n \
                 NodeAttestor \"keylime\" {{\n plugin_cmd = \"{plugin}\"\n plugin_args = [\"server\"]\n plugin_data_file = \"{}\"\n }}\n}}\n",
                data.display()
            )
        } else {
            format!(
                "agent {{\n server_address = \"127.0.0.1\"\n server_port = \"{port}\"\n trust_bundle_path = \"{home}/bundle.pem\"\n \
                 experimental {{ sync_interval = \"1s\" }}\n{common}}}\nplugins {{\n \
                 KeyManager \"disk\" {{ plugin_data {{ directory = \"{home}/agent\" }} }}\n WorkloadAttestor \"unix\" {{ plugin_data {{}} }}\n \
                 NodeAttestor \"keylime\" {{\n plugin_cmd = \"{plugin}\"\n plugin_args = [\"agent\"]\n plugin_data {{ agent_uuid = \"{}\" }}\n }}\n}}\n",
                self.keylime.text("/agent/uuid")
            )
        }
    }

    fn start(&self, part: &str, port: u16) -> Server {
        let file = self.dir.join(format!("{part}.conf"));
        std::fs::write(&file, self.configuration(part, port)).unwrap();
        let mut command = Command::new(&self.programs[usize::from(part == "agent")]);
        command.arg("run").arg("-config").arg(&file).env_clear().env("PATH", "/usr/bin:/bin");
        let server = Server::start(command, &self.dir.join(format!("{part}.log")), Signal::TERM);
        std::fs::write(self.dir.join(format!("{part}.pid")), server.pid().to_string()).unwrap();
        server
    }

    fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.programs[0]);
        command.args(arguments).arg("-socketPath").arg(self.dir.join("server.sock"));
        run(command, Duration::from_secs(20))
    }

    /// The serial number of the agent's SVID; none while it is not attested.
    fn serial(&self) -> Option<String> {
        let shown = self.cli(&["agent", "show", "-spiffeID", &self.id, "-output", "json"]);
        let json: Value = serde_json::from_str(&shown.stdout).ok()?;
        Some(json.get("agent").unwrap_or(&json)["x509svid_serial_number"].as_str()?.to_owned())
    }

    fn log(&self, part: &str) -> String {
        std::fs::read_to_string(self.dir.join(format!("{part}.log"))).unwrap_or_default()
    }
}

#[test]
fn an_agent_of_the_keylime_plugin_stays_attested_over_three_renewals_of_its_pair() {
    let [Some(server), Some(agent), Some(plugin)] = ["spire-server", "spire-agent", "keylime-attestor"].map(binary) else {
        return crate::skipped("the Keylime plugin on a real SPIRE: `tests/lab/peers.sh build spire` builds both where Go is");
    };
    let Some(keylime) = Keylime::up_with(&["--mode", "pull"], false) else { return };
    let (spire, port) = (Spire::new([server, agent, plugin], keylime), free_port());
    let mut server = spire.start("server", port);
    wait_for("SPIRE's server", Duration::from_secs(60), || spire.cli(&["healthcheck"]).code == 0);
    std::fs::write(spire.dir.join("bundle.pem"), spire.cli(&["bundle", "show"]).stdout).unwrap();
    let mut agent = spire.start("agent", port);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while spire.serial().is_none() {
        // An agent that is refused ends. Keylime itself may not be done with its first round, and a unit would start it again.
        if !agent.alive() {
            agent = spire.start("agent", port);
        }
        assert!(std::time::Instant::now() < until, "not attested by Keylime:\n{}\n{}", spire.log("server"), spire.log("agent"));
        std::thread::sleep(Duration::from_millis(200));
    }
    let (first, estate) = (spire.serial(), &spire.keylime.estate);

    // From here on nobody does anything but the daemon; a pair that is not taken up would have ended long before.
    let mut daemon = Server::start(estate.command(&["run", "--every", "5s"]), &spire.dir.join("omens.log"), Signal::TERM);
    wait_for("three renewals", Duration::from_secs(300), || {
        assert!(
            server.alive() && agent.alive() && daemon.alive(),
            "{}\n{}\n{}",
            spire.log("server"),
            spire.log("agent"),
            spire.log("omens")
        );
        estate.committed("plugin") >= Some(4)
    });
    daemon.stop();
    let said = spire.log("omens");
    assert!(!["not-evicted", "failed:", "rolled-back"].iter().any(|word| said.contains(word)), "{said}");
    assert_ne!(spire.serial(), first, "{said}");
    // Once more, with the first pair over and gone.
    assert!(!estate.run_dir().join("plugin/gen-1").exists());
    let before = spire.serial();
    assert_eq!(spire.cli(&["agent", "evict", "-spiffeID", &spire.id]).code, 0);
    wait_for("the agent to be attested again", Duration::from_secs(30), || spire.serial().is_some_and(|now| Some(now) != before));
    assert!(server.alive() && agent.alive());
    let log = spire.log("server");
    let attested = log.lines().filter(|line| line.contains("Agent attestation request completed")).count();
    assert!(attested >= 5, "{attested}: {log}");
}
