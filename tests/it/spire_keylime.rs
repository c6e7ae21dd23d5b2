//! SPIRE's Keylime plugin at a real Keylime in pull mode, with nothing between the two: its pair lives a minute, `omens run` renews it, and the
//! agent, evicted after each renewal, is attested with the new pair each time. The plugin is a stand-in that reads its files as the real one does.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::keylime_consumer::Keylime;
use crate::lab::child::{Output, Server, run};
use crate::lab::estate::Cert;
use crate::lab::{free_port, place, wait_for};
use crate::spire_consumer::binary;

#[test]
fn an_agent_of_the_keylime_plugin_stays_attested_over_three_renewals_of_its_pair() {
    let all = ["spire-server", "spire-agent", "keylime-attestor"].map(binary);
    let [Some(server_program), Some(agent_program), Some(plugin)] = all else {
        return crate::skipped("the Keylime plugin on a real SPIRE: `tests/lab/peers.sh build spire` builds both where Go is");
    };
    let Some(mut keylime) = Keylime::up_with(&["--mode", "pull"], false) else { return };
    let uuid = keylime.text("/agent/uuid").to_owned();
    let (dir, port, plugin) = (place::directory("spire-keylime"), free_port(), plugin.display().to_string());
    let home = dir.display().to_string();
    for below in ["server", "agent"] {
        place::make_private(&dir.join(below));
    }
    let id = format!("spiffe://funlab.casa/spire/agent/keylime/{uuid}");
    let driver = format!(
        "{{ spire_server = {{ pid = \"{home}/server.pid\", log = \"{home}/server.log\", evict = true, agent = \"{id}\", \
         socket = \"{home}/server.sock\", plugin = {{ kind = \"NodeAttestor\", name = \"keylime\", cert = \"keylime_tls_cert_file\", \
         key = \"keylime_tls_key_file\", ca = \"keylime_tls_ca_cert_file\", \
         data = {{ keylime_verifier_host = \"localhost\", keylime_verifier_port = \"{}\" }} }} }} }}",
        keylime.json.pointer("/verifier/port").and_then(Value::as_u64).unwrap()
    );
    keylime.estate.certs.push(Cert {
        role: "services".into(),
        profile: "mtls-service".into(),
        ttl: "60s".into(),
        ..Cert::web("plugin").reloaded_by(&driver)
    });
    keylime.estate.write();
    keylime.estate.omens(&["renew", "plugin"]).expect(0, "plugin", "renewed");

    let data = keylime.estate.run_dir().join("plugin/spire-NodeAttestor-keylime.json").display().to_string();
    let common = |part: &str| {
        format!(
            "socket_path = \"{home}/{part}.sock\"\n trust_domain = \"funlab.casa\"\n data_dir = \"{home}/{part}\"\n log_level = \"INFO\"\n"
        )
    };
    let of_server = format!(
        "server {{\n bind_address = \"127.0.0.1\"\n bind_port = \"{port}\"\n {}}}\nplugins {{\n \
         DataStore \"sql\" {{ plugin_data {{\n database_type = \"sqlite3\"\n connection_string = \"{home}/server/data.sqlite3\"\n }} }}\n \
         KeyManager \"disk\" {{ plugin_data {{ keys_path = \"{home}/server/keys.json\" }} }}\n \
         NodeAttestor \"keylime\" {{\n plugin_cmd = \"{plugin}\"\n plugin_args = [\"server\"]\n plugin_data_file = \"{data}\"\n }}\n}}\n",
        common("server")
    );
    let of_agent = format!(
        "agent {{\n server_address = \"127.0.0.1\"\n server_port = \"{port}\"\n trust_bundle_path = \"{home}/bundle.pem\"\n \
         experimental {{ sync_interval = \"1s\" }}\n {}}}\nplugins {{\n KeyManager \"disk\" {{ plugin_data {{ directory = \"{home}/agent\" }} }}\n \
         WorkloadAttestor \"unix\" {{ plugin_data {{}} }}\n \
         NodeAttestor \"keylime\" {{\n plugin_cmd = \"{plugin}\"\n plugin_args = [\"agent\"]\n plugin_data {{ agent_uuid = \"{uuid}\" }}\n }}\n}}\n",
        common("agent")
    );
    let start = |part: &str, program: &std::path::Path, conf: &str| {
        let file = dir.join(format!("{part}.conf"));
        std::fs::write(&file, conf).unwrap();
        let mut command = Command::new(program);
        command.arg("run").arg("-config").arg(&file).env_clear().env("PATH", "/usr/bin:/bin");
        let server = Server::start(command, &dir.join(format!("{part}.log")), Signal::TERM);
        std::fs::write(dir.join(format!("{part}.pid")), server.pid().to_string()).unwrap();
        server
    };
    let cli = |arguments: &[&str]| -> Output {
        let mut command = Command::new(&server_program);
        command.args(arguments).arg("-socketPath").arg(dir.join("server.sock"));
        run(command, Duration::from_secs(20))
    };
    let serial = || {
        let shown = cli(&["agent", "show", "-spiffeID", &id, "-output", "json"]);
        let json: Value = serde_json::from_str(&shown.stdout).ok()?;
        Some(json.get("agent").unwrap_or(&json)["x509svid_serial_number"].as_str()?.to_owned())
    };
    let log = |part: &str| std::fs::read_to_string(dir.join(format!("{part}.log"))).unwrap_or_default();
    let mut server = start("server", &server_program, &of_server);
    wait_for("SPIRE's server", Duration::from_secs(60), || cli(&["healthcheck"]).code == 0);
    std::fs::write(dir.join("bundle.pem"), cli(&["bundle", "show"]).stdout).unwrap();
    let mut agent = start("agent", &agent_program, &of_agent);
    wait_for("SPIRE's agent to be attested by Keylime", Duration::from_secs(60), || serial().is_some());
    let first = serial();

    // From here on nobody does anything but the daemon; a pair that is not taken up would have ended long before.
    let mut daemon = Server::start(keylime.estate.command(&["run", "--every", "5s"]), &dir.join("omens.log"), Signal::TERM);
    wait_for("three renewals", Duration::from_secs(300), || {
        assert!(server.alive() && agent.alive() && daemon.alive(), "{}\n{}\n{}", log("server"), log("agent"), log("omens"));
        keylime.estate.committed("plugin") >= Some(4)
    });
    daemon.stop();
    let said = log("omens");
    assert!(!said.contains("not-evicted") && !said.contains("failed") && !said.contains("rolled-back"), "{said}");
    assert_ne!(serial(), first, "{said}");
    // Once more, with the first pair over and gone.
    assert!(!keylime.estate.run_dir().join("plugin/gen-1").exists());
    let before = serial();
    assert_eq!(cli(&["agent", "evict", "-spiffeID", &id]).code, 0);
    wait_for("the agent to be attested again", Duration::from_secs(30), || serial().is_some_and(|now| Some(now) != before));
    assert!(server.alive() && agent.alive());
    let attested = log("server").lines().filter(|line| line.contains("Agent attestation request completed")).count();
    assert!(attested >= 5, "{attested}: {}", log("server"));
}
