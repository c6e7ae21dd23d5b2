//! A live push agent (`omens attest`) at a real Keylime stays attested while the pairs of verifier and registrar are renewed again and again.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::keylime_consumer::{Keylime, warnings};
use crate::lab::child::{Server, run};
use crate::lab::estate::{Cert, Estate};
use crate::lab::wait_for;
use crate::tpm::start;

fn document(estate: &Estate, arguments: &[&str]) -> Value {
    let output = run(estate.command(arguments), Duration::from_secs(90));
    serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", output.stdout, output.stderr))
}

#[test]
fn a_push_agent_stays_attested_through_renewals_of_verifier_and_registrar() {
    let Some(swtpm) = start(&[7]) else { return };
    let tcti = swtpm.direct();
    let Some(keylime) = Keylime::up_with(&["--mode", "push", "--tcti", &tcti], false) else { return };
    let mut web = Cert::web("web");
    web.extra = format!(
        "[attestation]\nrequired = true\nmax_age = \"1m\"\nby = [ {{ keylime = {{ registrar = \"{}\", verifier = \"{}\", ca = \"{}\" }} }} ]\n",
        keylime.text("/registrar/url"),
        keylime.text("/verifier/url"),
        keylime.estate.anchor().display()
    );
    let host = Estate::at_openbao().with_tpm(&tcti, &[]).with(web);
    // Registers, and is enrolled with what it printed.
    document(&host, &["attest", "--once", "--json"]);
    let policy = document(&host, &["attest", "--print-policy", "--pcrs", "7", "--json"]);
    let command = policy["command"].as_str().unwrap();
    let (words, quoted) = command.split_once('\'').unwrap();
    let mut arguments: Vec<&str> = words.split_whitespace().skip(1).collect();
    arguments.push(quoted.strip_suffix('\'').unwrap());
    let uuid = arguments[arguments.iter().position(|word| *word == "-u").unwrap() + 1].to_owned();
    keylime.tenant(&arguments);
    let mut agent = Server::start(host.command(&["attest"]), &host.dir.join("attest.log"), Signal::TERM);
    let passes = || keylime.verdict(&uuid)["attestation_status"] == "PASS";
    wait_for("the first pass", Duration::from_secs(60), passes);

    for round in 1..=3 {
        let renewed = keylime.estate.force();
        renewed.expect(0, "registrar", "renewed").expect(0, "verifier", "renewed");
        // The driver has waited for an attestation that is newer than the restart, of every agent that was fresh before.
        assert_eq!(warnings(&renewed, "verifier"), Vec::<String>::new(), "round {round}: {renewed}");
        let verdict = keylime.verdict(&uuid);
        assert_eq!(verdict["attestation_status"], "PASS", "round {round}: {verdict}");
        // And what stands behind the pass lets the host renew its own certificate.
        host.force().expect(0, "web", "renewed");
    }
    assert!(agent.alive(), "{}", std::fs::read_to_string(host.dir.join("attest.log")).unwrap_or_default());
    let pids = std::fs::read_to_string(host.dir.join("attest.log")).unwrap_or_default();
    assert!(!pids.contains("verdict-failed"), "{pids}");
}
