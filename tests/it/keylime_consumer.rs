//! A real Keylime as a consumer: registrar, verifier and a polled agent get their certificates from `omens`, are started anew for them, put
//! back where they refuse them, and their agents are seen to attest again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::lab::child::run;
use crate::lab::client::served_leaf;
use crate::lab::estate::{Cert, Estate, Run};
use crate::lab::openbao::{NAMES, OpenBao};
use crate::lab::pki::{Leaf, ec_key};
use crate::lab::{place, tool, wait_for};

const VENVS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab/keylime");

pub(crate) struct Keylime {
    pub(crate) state: PathBuf,
    pub(crate) json: Value,
    pub(crate) estate: Estate,
    /// The pair of an administrator of the verifier.
    pub(crate) admin: [String; 2],
}

/// A certificate for one of Keylime's servers, which its own probe calls `localhost`.
fn cert(name: &str, dir: &Path) -> Cert {
    let extra = format!("install = [ {{ dir = \"{}\", fullchain = \"{name}.crt\", key = \"{name}.key\" }} ]\n", dir.display());
    Cert { dns: vec!["localhost".into()], extra, ..Cert::web(name) }
}

impl Keylime {
    /// Issues the pairs, starts Keylime on them, and names its parts in the settings. `None` where it cannot run here, which is said.
    fn up(mode: &str) -> Option<Self> {
        Self::up_with(&["--mode", mode], false)
    }

    /// With these options of the lab; `keeps_agent` has the pair of its polled agent from omens as well.
    pub(crate) fn up_with(options: &[&str], keeps_agent: bool) -> Option<Self> {
        let bao = OpenBao::shared();
        let mut estate = Estate::at_openbao();
        let certs = place::directory("keylime-certs");
        estate.certs = vec![cert("registrar", &certs), cert("verifier", &certs)];
        if keeps_agent {
            // The agent in Python reads RSA keys alone.
            let rsa = |cert| Cert { algorithm: "rsa-2048".into(), role: "web-rsa".into(), profile: "infrastructure-rsa".into(), ..cert };
            estate.certs.push(rsa(cert("agent", &certs)));
        }
        estate.write();
        assert_eq!(estate.renew().code, 0);
        assert_eq!(estate.omens(&["install"]).code, 0);
        assert_eq!(estate.renew().code, 0);
        let state = place::directory("keylime");
        let pki = place::directory("keylime-pki");
        let file = |name: &str| pki.join(name).display().to_string();
        std::fs::write(pki.join("root.pem"), &bao.root.pem).unwrap();
        std::fs::write(pki.join("chain.pem"), format!("{}{}", bao.intermediate, bao.root.pem)).unwrap();
        let mut admin = Leaf::server("admin", &["admin"], &[], time::Duration::HOUR);
        admin.eku = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        pair(&pki, "admin", &ec_key(), &admin);
        let agent = Leaf::server("agent", &["localhost"], &["127.0.0.1".parse().unwrap()], time::Duration::HOUR);
        let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        pair(&pki, "agent", &rsa, &agent);
        // The lab resolves directories, so it is told the links at Keylime's own paths, as its configuration would be.
        let live = |file: &str| certs.join(file).display().to_string();
        let mut command = Command::new("bash");
        command.arg(tool("keylime-lab.sh")).arg("up").arg(&state).args(options).args(["--venvs", VENVS]);
        for (option, value) in [
            ("--root", file("root.pem")),
            ("--chain", file("chain.pem")),
            ("--client-cert", file("admin.pem")),
            ("--client-key", file("admin.key")),
            ("--agent-cert", if keeps_agent { live("agent.crt") } else { file("agent.pem") }),
            ("--agent-key", if keeps_agent { live("agent.key") } else { file("agent.key") }),
            ("--verifier-cert", live("verifier.crt")),
            ("--verifier-key", live("verifier.key")),
            ("--registrar-cert", live("registrar.crt")),
            ("--registrar-key", live("registrar.key")),
        ] {
            command.arg(option).arg(value);
        }
        command.env("OMENS_LAB_PARENT", std::process::id().to_string());
        let output = run(command, Duration::from_secs(400));
        if output.code == 125 {
            crate::skipped(&format!("the Keylime drivers on a real Keylime: {}", output.stderr.trim()));
            return None;
        }
        assert_eq!(output.code, 0, "{}", output.stderr);
        let json = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {}", output.stdout));
        let admin = [file("admin.pem"), file("admin.key")];
        let mut keylime = Self { state, json, estate, admin };
        keylime.write();
        Some(keylime)
    }

    /// Settings with a driver for each part.
    fn write(&mut self) {
        let admin = format!("admin = {{ cert = \"{}\", key = \"file:{}\" }}", self.admin[0], self.admin[1]);
        for number in 0..self.estate.certs.len() {
            let name = self.estate.certs[number].name.clone();
            let port = self.port(&format!("/{name}/port"));
            let more = match name.as_str() {
                "verifier" => format!(", deadline = \"60s\", {admin}"),
                "agent" => {
                    let (verifier, uuid) = (self.text("/verifier/url"), self.text("/agent/uuid"));
                    format!(", deadline = \"40s\", verifier = \"{verifier}\", agent = \"{uuid}\", {admin}")
                }
                _ => String::new(),
            };
            let runs = if name == "agent" { self.runs_agent() } else { self.runs(&name) };
            let driver = format!("{{ keylime_{name} = {{ {runs}{more} }} }}");
            let cert = &mut self.estate.certs[number];
            *cert = cert.clone().seen_at(port, "90s").reloaded_by(&driver);
        }
        self.estate.write();
    }

    /// How the lab restarts one: stop does nothing, start is the lab's restart.
    fn runs(&self, name: &str) -> String {
        format!(
            "start = [\"/bin/bash\", \"{}\", \"restart\", \"{}\", \"{name}\"], stop = [\"/bin/true\"], pid = \"{}\"",
            tool("keylime-lab.sh").display(),
            self.state.display(),
            self.state.join("run").join(format!("{name}.pid")).display()
        )
    }

    /// The same for the agent, without waiting: the lab comes back when the agent has attested again, and it is the driver that has to wait for
    /// that. Python runs it by a module's name, so its pid tells nobody what it is.
    pub(crate) fn runs_agent(&self) -> String {
        let restart =
            format!("setsid bash {} restart {} agent </dev/null >/dev/null 2>&1 &", tool("keylime-lab.sh").display(), self.state.display());
        format!("start = [\"/bin/bash\", \"-c\", \"{restart}\"], stop = [\"/bin/true\"]")
    }

    pub(crate) fn port(&self, pointer: &str) -> u16 {
        u16::try_from(self.json.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} in {}", self.json))).unwrap()
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {}", self.json))
    }

    pub(crate) fn tenant(&self, arguments: &[&str]) {
        let mut command = Command::new("bash");
        command.arg(tool("keylime-lab.sh")).arg("tenant").arg(&self.state).args(arguments);
        let done = run(command, Duration::from_secs(60));
        assert_eq!(done.code, 0, "{arguments:?}: {} {}", done.stdout, done.stderr);
    }

    /// What the verifier says of an agent to an administrator.
    pub(crate) fn verdict(&self, uuid: &str) -> Value {
        let mut command = Command::new("curl");
        command.args(["-sS", "--cacert"]).arg(self.estate.anchor()).args(["--cert", &self.admin[0], "--key", &self.admin[1]]);
        command.arg(format!("{}/v2.6/agents/{uuid}", self.text("/verifier/url")));
        let said = run(command, Duration::from_secs(20));
        let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", said.stdout, said.stderr));
        json["results"].clone()
    }

    pub(crate) fn served(&self, name: &str) -> Option<String> {
        served_leaf(self.port(&format!("/{name}/port")), NAMES[0])
    }

    pub(crate) fn pid(&self, name: &str) -> String {
        std::fs::read_to_string(self.state.join("run").join(format!("{name}.pid"))).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn agrees(&self, name: &str) {
        assert_eq!(self.served(name), self.estate.published_leaf(name), "{name}");
    }

    /// Breaks what a hook is shown before it is published, where `name` is in this file.
    pub(crate) fn break_new_pairs_of(&mut self, name: &str) {
        let script = self.estate.dir.join("break");
        std::fs::write(&script, "#!/bin/sh\n: > \"$OMENS_DIR/key.pem\"\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let line = format!("before = {{ exec = {{ command = [\"{}\"] }} }}\n", script.display());
        for cert in &mut self.estate.certs {
            let kept: String = cert.extra.lines().filter(|line| !line.starts_with("before")).map(|line| format!("{line}\n")).collect();
            cert.extra = if cert.name == name { format!("{kept}{line}") } else { kept };
        }
        self.estate.write();
    }
}

fn pair(dir: &Path, name: &str, key: &rcgen::KeyPair, leaf: &Leaf) {
    std::fs::write(dir.join(format!("{name}.pem")), OpenBao::shared().root.leaf(key, leaf).pem()).unwrap();
    place::write_secret(&dir.join(format!("{name}.key")), &key.serialize_pem());
}

pub(crate) fn warnings(run: &Run, name: &str) -> Vec<String> {
    let all = run.cert(name)["warnings"].as_array();
    all.into_iter().flatten().filter_map(|warning| warning["code"].as_str().map(ToOwned::to_owned)).collect()
}

impl Drop for Keylime {
    fn drop(&mut self) {
        let mut command = Command::new("bash");
        command.arg(tool("keylime-lab.sh")).arg("down").arg(&self.state);
        run(command, Duration::from_secs(30));
    }
}

#[test]
fn registrar_and_verifier_are_started_anew_for_new_pairs_and_put_back_with_the_old() {
    let Some(mut keylime) = Keylime::up("push") else { return };
    let pids = [keylime.pid("registrar"), keylime.pid("verifier")];
    let renewed = keylime.estate.force();
    renewed.expect(0, "registrar", "renewed").expect(0, "verifier", "renewed");
    for (name, pid) in ["registrar", "verifier"].into_iter().zip(pids) {
        keylime.agrees(name);
        assert_eq!(renewed.cert(name)["proof"], "served", "{renewed}");
        assert_ne!(keylime.pid(name), pid, "{name} was not started anew");
    }

    // A pair that it dies of: the previous one is back, and it serves with that. The other one is done; an agent would be left alone.
    let before = keylime.served("registrar").unwrap();
    keylime.break_new_pairs_of("registrar");
    let agent = "{ keylime_agent = { start = [\"/bin/true\"], stop = [\"/bin/true\"] } }";
    keylime.estate.certs.push(Cert::web("agent").reloaded_by(agent));
    keylime.estate.write();
    let broken = keylime.estate.force();
    assert_eq!((broken.code, broken.outcome("registrar"), broken.outcome("verifier")), (1, "rolled-back", "renewed"), "{broken}");
    assert_eq!(broken.error("agent"), "reload/waits-for", "{broken}");
    assert_eq!((keylime.served("registrar").as_ref(), keylime.estate.published_leaf("registrar").as_ref()), (Some(&before), Some(&before)));
    keylime.agrees("verifier");

    // What waits is deployed once nothing is in the way.
    keylime.break_new_pairs_of("nobody");
    let settled = keylime.estate.renew();
    assert_eq!((settled.code, settled.outcome("registrar"), settled.outcome("agent")), (0, "settled", "settled"), "{settled}");
    keylime.agrees("registrar");
}

#[test]
fn a_registrar_that_does_not_come_back_is_said_to_be_down() {
    let Some(mut keylime) = Keylime::up("push") else { return };
    // Whatever it is given, it is stopped and does not start.
    let stop = format!("[\"/bin/bash\", \"-c\", \"kill -KILL -- -$(cat {})\"]", keylime.state.join("run/registrar.pid").display());
    let pid = keylime.state.join("run/registrar.pid");
    let driver = format!("{{ keylime_registrar = {{ start = [\"/bin/false\"], stop = {stop}, pid = \"{}\" }} }}", pid.display());
    keylime.estate.certs.truncate(1);
    keylime.estate.certs[0].reload = vec![driver];
    keylime.estate.write();
    let down = keylime.estate.force();
    down.expect(1, "registrar", "failed").because("registrar", "reload/service-down");
    assert_eq!(keylime.estate.published("registrar"), Some(1), "{down}");
    assert_eq!(keylime.estate.omens(&["status"]).code, 1);
}

#[test]
fn a_polled_agent_is_seen_to_attest_again_and_a_silent_one_is_named() {
    let Some(mut keylime) = Keylime::up("pull") else { return };
    let renewed = keylime.estate.force();
    renewed.expect(0, "verifier", "renewed");
    assert_eq!(warnings(&renewed, "verifier"), Vec::<String>::new(), "{renewed}");
    keylime.agrees("verifier");
    // An agent that is stopped with the verifier stays PASS there: it is named, and nothing goes back for it.
    let uuid = keylime.text("/agent/uuid").to_owned();
    let passes = || keylime.verdict(&uuid)["attestation_status"] == "PASS";
    wait_for("a pass of the agent", Duration::from_secs(60), passes);
    let script = keylime.estate.dir.join("silence");
    let text = format!("#!/bin/bash\nkill -KILL -- -$(cat {})\n", keylime.state.join("run/agent.pid").display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let runs = keylime.runs("verifier").replace("[\"/bin/true\"]", &format!("[\"{}\"]", script.display()));
    let old = keylime.estate.certs[1].reload[0].clone();
    let start = old.find("start = ").unwrap();
    let end = old.find(", deadline").unwrap();
    keylime.estate.certs[1].reload[0] = format!("{}{runs}{}", &old[..start], &old[end..]).replace("\"60s\"", "\"4s\"");
    keylime.estate.write();
    let silent = keylime.estate.omens(&["renew", "verifier", "--force"]);
    silent.expect(0, "verifier", "renewed");
    assert_eq!(warnings(&silent, "verifier"), ["verdict-frozen"], "{silent}");
    assert!(silent.cert("verifier")["warnings"][0]["text"].as_str().unwrap().contains(&uuid), "{silent}");
}
