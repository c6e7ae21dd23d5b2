//! SPIRE's Keylime plugin at a real Keylime in pull mode, with nothing between the two: its pair lives a minute, `omens run` renews it, and the
//! agent, evicted after each renewal, is attested with the new pair each time. The plugin is a stand-in that reads its files as the real one does.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::keylime_consumer::Keylime;
use crate::lab::child::Server;
use crate::lab::estate::Cert;
use crate::lab::spire::{Spire, binary};
use crate::lab::wait_for;

/// Has the agent attested by that plugin, whose pair becomes certificate `plugin` of Keylime's host.
fn attest_by_keylime(spire: &mut Spire, plugin: &std::path::Path, keylime: &mut Keylime) {
    let (home, uuid) = (spire.dir.display().to_string(), keylime.text("/agent/uuid").to_owned());
    let data = keylime.estate.run_dir().join("plugin/spire-NodeAttestor-keylime.json");
    let attestor = |part: &str, data: &str| {
        format!("NodeAttestor \"keylime\" {{\n plugin_cmd = \"{}\"\n plugin_args = [\"{part}\"]\n {data}\n }}", plugin.display())
    };
    let server = attestor("server", &format!("plugin_data_file = \"{}\"", data.display()));
    let agent = attestor("agent", &format!("plugin_data {{ agent_uuid = \"{uuid}\" }}"));
    spire.attested_by(&format!("keylime/{uuid}"), [server, agent]);
    let driver = format!(
        "{{ spire_server = {{ pid = \"{home}/server.pid\", log = \"{home}/server.log\", evict = true, agent = \"{}\", \
         socket = \"{home}/server.sock\", plugin = {{ kind = \"NodeAttestor\", name = \"keylime\", cert = \"keylime_tls_cert_file\", \
         key = \"keylime_tls_key_file\", ca = \"keylime_tls_ca_cert_file\", \
         data = {{ keylime_verifier_host = \"localhost\", keylime_verifier_port = \"{}\" }} }} }} }}",
        spire.id,
        keylime.json.pointer("/verifier/port").and_then(Value::as_u64).unwrap()
    );
    let plugin = Cert::web("plugin").reloaded_by(&driver);
    keylime.estate.certs.push(Cert { role: "services".into(), profile: "mtls-service".into(), ttl: "60s".into(), ..plugin });
    keylime.estate.write();
    keylime.estate.omens(&["renew", "plugin"]).expect(0, "plugin", "renewed");
}

#[test]
fn an_agent_of_the_keylime_plugin_stays_attested_over_three_renewals_of_its_pair() {
    let (Some(mut spire), Some(plugin)) = (Spire::new(), binary("keylime-attestor")) else {
        return crate::skipped("the Keylime plugin on a real SPIRE: `tests/lab/peers.sh build spire` builds both where Go is");
    };
    let Some(mut keylime) = Keylime::up_with(&["--mode", "pull"], false) else { return };
    attest_by_keylime(&mut spire, &plugin, &mut keylime);
    spire.up();
    let (first, estate) = (spire.serial(), &keylime.estate);
    let alive = |spire: &mut Spire| [&mut spire.server, &mut spire.agent].into_iter().all(|part| part.as_mut().is_some_and(Server::alive));

    // From here on nobody does anything but the daemon; a pair that is not taken up would have ended long before.
    let mut daemon = Server::start(estate.command(&["run", "--every", "5s"]), &spire.dir.join("omens.log"), Signal::TERM);
    wait_for("three renewals", Duration::from_secs(300), || {
        assert!(alive(&mut spire) && daemon.alive(), "{}\n{}\n{}", spire.log("server"), spire.log("agent"), spire.log("omens"));
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
    assert!(alive(&mut spire));
    let log = spire.log("server");
    let attested = log.lines().filter(|line| line.contains("Agent attestation request completed")).count();
    assert!(attested >= 5, "{attested}: {log}");
}
