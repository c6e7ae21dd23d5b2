//! The attestation gate on a real Keylime, a real OpenBao and a software TPM: register, enrol with what was printed, pass, fail, be repaired.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::lab::child::{Output, Server, run};
use crate::lab::estate::{Cert, Estate, Run};
use crate::lab::openbao::OpenBao;
use crate::lab::swtpm::Swtpm;
use crate::lab::{place, tool, wait_for};
use crate::tpm::start;

/// A verifier and a registrar in push mode, for a TPM of ours.
pub(crate) struct Keylime {
    state: PathBuf,
    json: Value,
}

impl Keylime {
    /// `None` where it cannot be started here, which is said.
    fn up(swtpm: &Swtpm) -> Option<Self> {
        Self::up_for(&swtpm.direct(), &[])
    }

    /// The same for a TPM that this side need not reach, with these options.
    pub(crate) fn up_for(tcti: &str, options: &[&str]) -> Option<Self> {
        let state = place::directory("keylime");
        let usual = ["--mode", "push", "--tcti", tcti, "--venvs", concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab/keylime")];
        let up = Self::lab(&state, &["up"], &[&usual, options].concat());
        if up.code == 125 {
            crate::skipped(&format!("attestation on a real Keylime: {}", up.stderr.trim()));
            return None;
        }
        assert_eq!(up.code, 0, "{}", up.stderr);
        let json = serde_json::from_str(&up.stdout).unwrap_or_else(|why| panic!("{why}: {}", up.stdout));
        Some(Self { state, json })
    }

    fn lab(state: &std::path::Path, before: &[&str], after: &[&str]) -> Output {
        let mut command = Command::new("bash");
        command.arg(tool("keylime-lab.sh")).args(before).arg(state).args(after).env("OMENS_LAB_PARENT", std::process::id().to_string());
        run(command, Duration::from_secs(400))
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {}", self.json))
    }

    pub(crate) fn tenant(&self, arguments: &[&str]) {
        let done = Self::lab(&self.state, &["tenant"], arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {} {}", done.stdout, done.stderr);
    }

    /// Does what an administrator is told to.
    pub(crate) fn enrol(&self, policy: &Value) {
        let command = policy["command"].as_str().unwrap();
        let (words, quoted) = command.split_once('\'').unwrap();
        let mut arguments: Vec<&str> = words.split_whitespace().skip(1).collect();
        arguments.push(quoted.strip_suffix('\'').unwrap());
        self.tenant(&arguments);
    }

    fn stop_verifier(&self) {
        let pids = std::fs::read_to_string(self.state.join("run/verifier.pid")).unwrap();
        let group = rustix::process::Pid::from_raw(pids.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process_group(group, Signal::KILL).unwrap();
    }

    fn settings(&self) -> String {
        format!(
            "[attestation]\nrequired = true\nmax_age = \"10m\"\nby = [ {{ keylime = {{ registrar = \"{}\", verifier = \"{}\", ca = \"{}\" }} }} ]\n",
            self.text("/registrar/url"),
            self.text("/verifier/url"),
            self.text("/ca/root")
        )
    }
}

impl Drop for Keylime {
    fn drop(&mut self) {
        Self::lab(&self.state, &["down"], &[]);
    }
}

fn json(estate: &Estate, arguments: &[&str]) -> (i32, Value) {
    let output = run(estate.command(arguments), Duration::from_secs(90));
    let document = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", output.stdout, output.stderr));
    (output.code, document)
}

fn verdict(estate: &Estate) -> String {
    // A verifier wants a second between two quotes; it is waited for.
    let (code, document) = json(estate, &["attest", "--once", "--json"]);
    let word = document["verdict"]["code"].as_str().unwrap().to_owned();
    assert_eq!((code == 0, document["exit"].as_i64()), (word == "pass", Some(code.into())), "{document:#}");
    word
}

fn policy(estate: &Estate) -> Value {
    let (code, policy) = json(estate, &["attest", "--print-policy", "--pcrs", "7", "--json"]);
    assert_eq!(code, 0, "{policy:#}");
    crate::schemas::fits("attest-policy", &policy);
    policy
}

/// Nothing is asked: not even a login.
fn blocked(estate: &Estate, run: &Run, code: &str) {
    run.expect(1, "web", "blocked");
    let error = &run.cert("web")["error"];
    assert_eq!((error["stage"].as_str(), error["code"].as_str()), (Some("attest"), Some(code)), "{run}");
    let line = estate.ledger().pop().unwrap();
    assert_eq!((line["outcome"].as_str(), line["stage"].as_str()), (Some("blocked"), Some("attest")), "{line}");
    assert_ne!(estate.omens(&["status"]).code, 0);
}

#[test]
fn a_certificate_takes_a_fresh_pass_of_a_real_verifier() {
    let Some(swtpm) = start(&[7]) else { return };
    let Some(keylime) = Keylime::up(&swtpm) else { return };
    let bao = OpenBao::shared();
    let mut web = Cert::web("web");
    web.extra = keylime.settings();
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(web);
    let kept = estate.run_dir().join(".attest.json");

    // Registered, and not enrolled.
    blocked(&estate, &estate.renew(), "verdict-unknown-agent");
    assert_eq!(bao.paths(&estate.login), Vec::<String>::new(), "nothing was asked");
    keylime.enrol(&policy(&estate));

    // Enrolled with what was printed.
    estate.renew().expect(0, "web", "renewed");
    let file: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    assert_eq!((file["v"].as_i64(), file["verdict"]["code"].as_str()), (Some(1), Some("pass")), "{file:#}");
    let leaf = estate.published_leaf("web");

    // A PCR that the policy names changes.
    swtpm.extend(7, "another boot loader");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(verdict(&estate), "failed");
    let asked = bao.paths(&estate.login).len();
    let failed = estate.force();
    blocked(&estate, &failed, "verdict-failed");
    let text = failed.cert("web")["error"]["text"].as_str().unwrap_or_default();
    assert!(text.ends_with(": PCR 7 is not as its policy has it"), "{text}");
    assert_eq!((bao.paths(&estate.login).len(), estate.published_leaf("web")), (asked, leaf), "nothing was asked, the old one serves");

    // A person's word.
    assert_eq!(run(estate.command(&["renew", "web", "--force", "--break-glass", "short"]), Duration::from_secs(20)).code, 2);
    let (code, broken) = json(&estate, &["renew", "web", "--force", "--break-glass", "the verifier is wrong", "--json"]);
    assert_eq!((code, broken["certificates"][0]["outcome"].as_str()), (0, Some("renewed")), "{broken:#}");
    assert_eq!(estate.ledger().pop().unwrap()["break_glass"], "the verifier is wrong");
    let (code, status) = json(&estate, &["status", "--json"]);
    let warned = status["certificates"][0]["warnings"].as_array().unwrap().iter().any(|warning| warning["code"] == "break-glass");
    assert!(code == 1 && warned, "{status:#}");

    // Repaired: enrolled with the state of now.
    let now = policy(&estate);
    keylime.tenant(&["-c", "delete", "--push-model", "-u", now["agent_id"].as_str().unwrap()]);
    keylime.enrol(&now);
    assert_eq!(verdict(&estate), "pass");
    estate.force().expect(0, "web", "renewed");
    assert_eq!(estate.omens(&["status"]).code, 0, "the pass ended what the broken glass left");

    // Away: a young pass is enough, and nothing else is.
    keylime.stop_verifier();
    estate.force().expect(0, "web", "renewed");
    std::fs::remove_file(&kept).unwrap();
    blocked(&estate, &estate.force(), "verdict-unreachable");
    let back = Keylime::lab(&keylime.state, &["restart"], &["verifier"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert_eq!(verdict(&estate), "pass");
    assert_eq!(swtpm.loaded(), Vec::<String>::new(), "all of that left the TPM as it was");

    // The agent: one verdict after the other, until it is asked to end.
    let mut agent = Server::start(estate.command(&["attest"]), &estate.dir.join("agent.log"), Signal::TERM);
    let written = || std::fs::read_to_string(&kept).unwrap_or_default();
    let mut seen = std::collections::BTreeSet::from([written()]);
    wait_for("three verdicts", Duration::from_secs(30), || {
        seen.insert(written());
        seen.len() >= 4
    });
    assert!(seen.iter().all(|text| text.contains("\"pass\"")), "{seen:?}");
    assert!(agent.stop().is_some_and(|status| status.success()), "{}", std::fs::read_to_string(estate.dir.join("agent.log")).unwrap());
    assert_eq!(swtpm.loaded(), Vec::<String>::new(), "the agent left the TPM as it was");
}
