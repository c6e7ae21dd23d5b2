//! A real SPIRE server and agent as consumers: their plugins read the data file of each generation at SIGUSR1, say so by its hash, and are put
//! back where they refuse it.

use std::os::unix::fs::PermissionsExt as _;

use crate::lab::estate::{Cert, Estate, Run};
use crate::lab::openbao::NAMES;
use crate::lab::spire::Spire;

/// The certificates `server` and `agent` are issued while nothing runs; then SPIRE starts on them. `more` is for the server's driver.
fn up(more: &str) -> Option<(Estate, Spire)> {
    let Some(mut spire) = Spire::new() else {
        crate::skipped("the SPIRE drivers on a real SPIRE: `tests/lab/peers.sh build spire` builds it where Go is");
        return None;
    };
    let mut estate = Estate::at_openbao();
    spire.attested_by_certificates(NAMES[0], &estate.run_dir());
    let [server, agent] = spire.drivers(more);
    estate.certs = vec![Cert::web("server").reloaded_by(&server), Cert::web("agent").reloaded_by(&agent)];
    estate.write();
    let first = estate.renew();
    first.expect(0, "server", "renewed");
    assert_eq!(first.cert("agent")["proof"], "service-stopped", "{first}");
    spire.up();
    estate.renew().expect(0, "server", "settled").expect(0, "agent", "settled");
    Some((estate, spire))
}

fn proofs(run: &Run) -> (&str, &str) {
    (run.cert("server")["proof"].as_str().unwrap(), run.cert("agent")["proof"].as_str().unwrap())
}

#[test]
fn both_configure_their_plugins_with_the_data_of_a_generation_and_go_back_where_they_refuse() {
    let Some((mut estate, mut spire)) = up("") else { return };
    let pids = (spire.server.as_ref().unwrap().pid(), spire.agent.as_ref().unwrap().pid());
    let renewed = estate.force();
    renewed.expect(0, "server", "renewed").expect(0, "agent", "renewed");
    assert_eq!(proofs(&renewed), ("served", "served"), "{renewed}");
    for part in ["server", "agent"] {
        let data = std::fs::read_to_string(estate.run_dir().join(part).join("spire-NodeAttestor-x509pop.json")).unwrap();
        assert!(data.contains(&format!("/{part}/gen-2/")), "{data}");
        assert!(spire.log(part).contains("Plugin reconfigured"), "{}", spire.log(part));
    }
    let data = std::fs::read_to_string(estate.run_dir().join("server/spire-NodeAttestor-x509pop.json")).unwrap();
    assert!(data.contains("/server/gen-2/anchors.pem"), "{data}");

    // The agent's plugin checks its pair: refused, it goes on with the old one, whose data file is back.
    let script = estate.dir.join("break");
    std::fs::write(&script, "#!/bin/sh\n: > \"$OMENS_DIR/key.pem\"\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    estate.certs[1].extra = format!("before = {{ exec = {{ command = [\"{}\"] }} }}\n", script.display());
    estate.write();
    let refused = estate.omens(&["renew", "agent", "--force"]);
    refused.expect(1, "agent", "rolled-back").because("agent", "reload/reload-failed");
    assert!(refused.cert("agent")["error"]["text"].as_str().unwrap().contains("Failed to reconfigure plugin"), "{refused}");
    let data = std::fs::read_to_string(estate.run_dir().join("agent/spire-NodeAttestor-x509pop.json")).unwrap();
    assert!(data.contains("/agent/gen-2/"), "{data}");
    assert!(spire.log("agent").contains("Plugin not reconfigured since the config is unchanged"), "{}", spire.log("agent"));
    estate.certs[1].extra.clear();
    estate.write();
    estate.renew().expect(0, "agent", "settled");

    // Neither was started anew; stopped, it is left alone.
    assert!(spire.server.as_mut().unwrap().alive() && spire.agent.as_mut().unwrap().alive());
    assert_eq!(pids, (spire.server.as_ref().unwrap().pid(), spire.agent.as_ref().unwrap().pid()));
    spire.agent = None;
    let stopped = estate.omens(&["renew", "agent", "--force"]);
    stopped.expect(0, "agent", "renewed");
    assert_eq!(stopped.cert("agent")["proof"], "service-stopped", "{stopped}");
}

#[test]
fn what_spire_does_not_say_is_not_believed() {
    let Some((mut estate, spire)) = up("") else { return };
    // A log that says nothing, as with log_level above info.
    let empty = spire.dir.join("empty.log");
    std::fs::write(&empty, "").unwrap();
    let log = format!("{}/agent.log", spire.dir.display());
    let seen = estate.certs[1].reload[0].clone();
    estate.certs[1].reload[0] = seen.replace(&log, &empty.display().to_string());
    estate.write();
    let silent = estate.omens(&["renew", "agent", "--force"]);
    silent.expect(0, "agent", "renewed");
    assert_eq!(
        (silent.cert("agent")["proof"].as_str(), silent.cert("agent")["warnings"][0]["code"].as_str()),
        (Some("file"), Some("not-observable")),
        "{silent}"
    );
    // A signal that is taken, and data that do not change: another certificate's file is not this one's.
    estate.certs[1].reload[0] = seen.replace("certificate_path", "other_path");
    estate.write();
    let other = estate.omens(&["renew", "agent", "--force"]);
    assert_eq!((other.code, other.error("agent").split('/').next()), (1, Some("reload")), "{other}");
}

#[test]
fn an_evicted_agent_attests_again_with_what_the_plugin_has_read() {
    let more =
        format!(", evict = true, agent = \"spiffe://funlab.casa/spire/agent/x509pop/cn/{}\", socket = \"DIR/server.sock\"", NAMES[0]);
    let Some((estate, spire)) = up(&more) else { return };
    let before = spire.serial().unwrap();
    let renewed = estate.omens(&["renew", "server", "--force"]);
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
