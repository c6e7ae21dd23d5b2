//! What evidence costs: a login by a key of the TPM beside one by an AppRole, one attestation, and an agent that waits for the next.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::measure::{Cost, measure, median, ms, standing};
use super::{beside, figure, part, times};
use crate::lab::child::Server;
use crate::lab::estate::{Authority, Cert, Estate};
use crate::lab::liar::{Ask, Liar};
use crate::lab::openbao::{NAMES, OpenBao, Options};
use crate::lab::pki::{Ca, CaKeys, Leaf};
use crate::lab::swtpm::{Relay, Swtpm, missing};

const ROUNDS: usize = 20;
/// The clock of `/proc/PID/stat` (proc_pid_stat(5)).
const TICKS: u64 = 100;

/// The part by itself.
pub fn login() {
    logins(&OpenBao::start(Options::REAL));
}

pub fn logins(bao: &OpenBao) {
    part(&format!("1 P-256 certificate renewed by a login of the TPM (swtpm), beside an AppRole (median of {ROUNDS})"));
    if let Some(package) = missing() {
        return println!("*** {package} is not installed: nothing about logins of the TPM was measured");
    }
    let swtpm = Swtpm::start(&[7]);
    beside_an_approle(bao, &swtpm);
    attesting(bao, &swtpm);
}

fn identity() -> Cert {
    Cert {
        profile: "host-identity".to_owned(),
        role: "hosts-login".to_owned(),
        common_name: NAMES[0].into(),
        ip: Vec::new(),
        keep: "resident".to_owned(),
        ..Cert::web("host-identity")
    }
}

fn beside_an_approle(bao: &OpenBao, swtpm: &Swtpm) {
    let role = json!({
        "certificate": bao.intermediate, "allowed_common_names": [NAMES[0]], "token_policies": ["omens-renew"],
        "token_no_default_policy": true, "token_ttl": "10m"
    });
    bao.api("POST", "auth/cert/certs/of-bench", Some(role));
    let usual = Estate::at(bao).with(Cert::web("web"));
    usual.write();
    let own = "{ tpm_identity = { certificate = \"host-identity\", mount = \"cert\", role = \"of-bench\" } }";
    let login = usual.authority.login.replacen("[ ", &format!("[ {own}, "), 1);
    let mut by_tpm = Estate::new(&usual.login, Authority { login, ..usual.authority.clone() }).with_tpm(&swtpm.direct(), &[]);
    by_tpm = by_tpm.with(identity()).with(Cert::web("web"));
    assert_eq!((by_tpm.omens(&["enroll"]).code, by_tpm.renew().code, usual.renew().code), (0, 0, 0));
    let (ours, theirs) = (by_tpm.command(&["renew", "web", "--force"]), usual.command(&["renew", "web", "--force"]));
    let (mut tpm, mut approle, mut chip): (Vec<Cost>, Vec<Cost>, Vec<u64>) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = ticks(swtpm.pid());
        tpm.push(measure(&ours, None));
        chip.push(ticks(swtpm.pid()) - before);
        approle.push(measure(&theirs, None));
    }
    let ratio =
        median(&tpm.iter().zip(&approle).map(|(ours, theirs)| ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64()).collect::<Vec<_>>());
    let shown = |costs: &[Cost]| format!("{} CPU, {} wall", ms(times(costs, |cost| cost.cpu)), ms(times(costs, |cost| cost.wall)));
    beside("omens, login by the TPM", &format!("{} = {ratio:.2} of its CPU", shown(&tpm)));
    beside("omens, login by AppRole", &shown(&approle));
    let spent = Duration::from_micros(chip.iter().sum::<u64>() * 1_000_000 / TICKS / u64::try_from(ROUNDS).expect("few"));
    beside("  swtpm for each of them, CPU", &ms(spent));
    let relay = Relay::recording(swtpm);
    by_tpm.set_tpm(&relay.tcti(), &[]);
    assert_eq!(by_tpm.omens(&["renew", "web", "--force"]).code, 0);
    let (codes, opened) = (relay.codes().len(), relay.opened());
    figure("TPM commands of such a run", &codes.to_string(), "at most 10, one connection", codes <= 10 && opened <= 1);
}

/// User and system time of a process.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// A host that attests.
pub struct AttestingHost {
    pub estate: Estate,
    /// A verifier in this very process, whose work is not counted.
    _verifier: Liar,
}

pub fn attesting_host(bao: &OpenBao, swtpm: &Swtpm) -> AttestingHost {
    let ca = Ca::root("Eye of Thundera", CaKeys::Ec);
    let verifier = Liar::start(&ca, &Leaf::server("keylime", &[], &["127.0.0.1".parse().expect("an address")], time::Duration::HOUR));
    verifier.twisted(Box::new(|ask, _, reply| {
        if ask == Ask::Submit {
            reply.set("/meta/seconds_to_next_attestation", json!(600));
        }
    }));
    let mut web = Cert::web("web");
    let estate = Estate::at(bao);
    let root = estate.dir.join("keylime.pem");
    std::fs::write(&root, &ca.pem).expect("the root");
    web.extra = format!(
        "[attestation]\nby = [ {{ keylime = {{ registrar = \"{0}\", verifier = \"{0}\", ca = \"{1}\", agent_id = \"bench\" }} }} ]\n",
        verifier.address,
        root.display()
    );
    AttestingHost { estate: estate.with_tpm(&swtpm.direct(), &[]).with(web), _verifier: verifier }
}

#[expect(clippy::cast_precision_loss, reason = "kibibytes and wake-ups of one process")]
fn attesting(bao: &OpenBao, swtpm: &Swtpm) {
    // Threads that asked the TPM have ended by then, and with them what they are counted by.
    const SETTLE: Duration = Duration::from_secs(20);
    const LOOK: Duration = Duration::from_secs(30);
    part(&format!("attesting to a verifier of Keylime's protocol (median of {ROUNDS}), and waiting ({} s)", LOOK.as_secs()));
    let host = attesting_host(bao, swtpm);
    let estate = &host.estate;
    let once = estate.command(&["attest", "--once"]);
    measure(&once, None);
    let (mut costs, mut chip) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let before = ticks(swtpm.pid());
        costs.push(measure(&once, None));
        chip += ticks(swtpm.pid()) - before;
    }
    let spent = Duration::from_micros(chip * 1_000_000 / TICKS / u64::try_from(ROUNDS).expect("few"));
    let found = format!("{} CPU, {} wall", ms(times(&costs, |cost| cost.cpu)), ms(times(&costs, |cost| cost.wall)));
    beside("omens attest --once: login, quote, verdict", &found);
    beside("  swtpm for each of them, CPU", &ms(spent));
    let agent = Server::start(estate.command(&["attest"]), &estate.dir.join("agent.log"), Signal::TERM);
    std::thread::sleep(SETTLE);
    let (_, before) = standing(agent.pid());
    std::thread::sleep(LOOK);
    let (resident, woken) = standing(agent.pid());
    let (mib, often) = (resident as f64 / 1024.0, woken.saturating_sub(before) as f64 / LOOK.as_secs_f64());
    figure("omens attest, waiting", &format!("{mib:.1} MiB, {often:.2} wake-ups/s"), "under 16 MiB", mib < 16.0);
}
