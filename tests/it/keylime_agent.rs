//! A real Keylime agent in pull mode as a consumer: started anew for its pair, it has to pass with a new quote.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use crate::keylime_consumer::{Keylime, warnings};
use crate::lab::child::run;
use crate::lab::estate::{Cert, Estate};
use crate::lab::{place, wait_for};

#[test]
fn an_agent_that_derives_a_pcr_from_its_tls_key_gets_no_new_one() {
    let mut estate = Estate::at_openbao();
    let dir = place::directory("agents");
    let agent = dir.join("keylime_agent");
    let version = |number: &str| {
        std::fs::write(&agent, format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo keylime_agent {number}; fi\n")).unwrap();
        std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    version("0.2.8");
    let driver = format!("{{ keylime_agent = {{ start = [\"{}\"], stop = [\"/bin/true\"] }} }}", agent.display());
    estate.certs = vec![Cert::web("agent").reloaded_by(&driver)];
    estate.write();
    let checked = estate.omens(&["check-config"]);
    assert_eq!((checked.code, checked.json["errors"][0]["code"].as_str()), (2, Some("agent-too-old")), "{checked}");
    let refused = estate.renew();
    refused.expect(1, "agent", "failed").because("agent", "reload/agent-too-old");
    assert_eq!((estate.published("agent"), estate.signed()), (None, 0), "nothing was signed for it");
    version("0.2.9");
    assert_eq!(estate.omens(&["check-config"]).code, 0);
    let good = estate.renew();
    good.expect(0, "agent", "renewed");
    assert_eq!(warnings(&good, "agent"), Vec::<String>::new(), "{good}");
    version("of another kind");
    let unknown = estate.force();
    unknown.expect(0, "agent", "renewed");
    assert_eq!(warnings(&unknown, "agent"), ["agent-version-unknown"], "{unknown}");
}

#[test]
fn a_polled_agent_takes_a_pair_up_and_passes_with_a_new_quote() {
    let Some(mut keylime) = Keylime::up_with(&["--mode", "pull"], true) else { return };
    let uuid = keylime.text("/agent/uuid").to_owned();
    for _ in 0..2 {
        let (pid, before) = (keylime.pid("agent"), keylime.verdict(&uuid)["last_successful_attestation"].as_i64().unwrap());
        let run = keylime.estate.omens(&["renew", "agent", "--force"]);
        run.expect(0, "agent", "renewed");
        assert_ne!(keylime.pid("agent"), pid, "it was not started anew");
        let after = keylime.verdict(&uuid);
        assert_eq!(after["attestation_status"], "PASS", "{after}");
        assert!(after["last_successful_attestation"].as_i64().unwrap() > before, "{after}");
        // It is no agent written in Rust, so nobody can tell its version by a question.
        assert_eq!(warnings(&run, "agent"), ["agent-version-unknown"], "{run}");
    }

    // What serves the new pair and attests nothing: the verifier has no quote of it since, and calls it PASS until it gives up.
    let (script, port) = (keylime.estate.dir.join("mute"), keylime.port("/agent/port"));
    let (pair, pid) = (|file: &str| keylime.text(&format!("/agent/{file}")), keylime.state.join("run/agent.pid"));
    let text = format!(
        "#!/bin/bash\nkill -KILL -- -$(cat {0}) 2>/dev/null\nkill $(cat {1}) 2>/dev/null\n\
         timeout 60 openssl s_server -accept {port} -cert {2} -cert_chain {2} -key {3} -www </dev/null >/dev/null 2>&1 &\necho $! >{1}\n",
        pid.display(),
        keylime.estate.dir.join("mute.pid").display(),
        pair("cert"),
        pair("key")
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let runs = keylime.runs_agent();
    let mute = format!("start = [\"{}\"], stop = [\"/bin/true\"]", script.display());
    let agent = keylime.estate.certs.last_mut().unwrap();
    agent.reload[0] = agent.reload[0].replace(&runs, &mute).replace("\"40s\"", "\"3s\"");
    keylime.estate.write();
    let silent = keylime.estate.omens(&["renew", "agent", "--force"]);
    silent.expect(1, "agent", "rolled-back");
    let why = silent.error("agent");
    assert!(["verify/verdict-stale", "verify/verdict-failed"].contains(&why.as_str()), "{silent}");
}

#[test]
fn a_polled_agent_that_dies_of_its_pair_passes_again_with_the_old_one_and_one_that_hangs_is_started_anew() {
    let Some(mut keylime) = Keylime::up_with(&["--mode", "pull"], true) else { return };
    let agent = keylime.estate.certs.last_mut().unwrap();
    agent.verify[0] = agent.verify[0].replace("90s", "15s");
    keylime.estate.write();
    let uuid = keylime.text("/agent/uuid").to_owned();
    let last = |keylime: &Keylime| keylime.verdict(&uuid)["last_successful_attestation"].as_i64();
    let renew = |keylime: &Keylime, options: &[&str]| keylime.estate.omens(&[&["renew", "agent"], options].concat());
    renew(&keylime, &["--force"]).expect(0, "agent", "renewed");

    let (old, before) = (keylime.served("agent").unwrap(), last(&keylime));
    keylime.break_new_pairs_of("agent");
    let broken = renew(&keylime, &["--force"]);
    broken.expect(1, "agent", "rolled-back").because("agent", "verify/unreachable");
    assert_eq!((keylime.served("agent").as_ref(), keylime.estate.published_leaf("agent").as_ref()), (Some(&old), Some(&old)), "{broken}");
    assert_eq!(broken.cert("agent")["proof"], "served", "{broken}");
    wait_for("a quote of the agent with its old pair", Duration::from_secs(30), || last(&keylime) > before);
    assert_eq!(keylime.verdict(&uuid)["attestation_status"], "PASS");
    keylime.break_new_pairs_of("nobody");
    renew(&keylime, &[]).expect(0, "agent", "settled");
    keylime.agrees("agent");

    let pid = keylime.pid("agent");
    let mut stop = Command::new(crate::lab::program("kill").expect("kill (procps)"));
    stop.args(["-STOP", pid.trim()]);
    assert_eq!(run(stop, Duration::from_secs(5)).code, 0);
    let hung = renew(&keylime, &["--force"]);
    hung.expect(0, "agent", "renewed");
    assert_ne!(keylime.pid("agent"), pid, "{hung}");
    keylime.agrees("agent");
}
