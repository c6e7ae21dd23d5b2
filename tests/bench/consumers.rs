//! What the drivers cost: fifty certificates of ten services in one run, and each kind of service by itself beside the time that it needs for
//! the same by hand.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::measure::{Cost, measure, median, ms};
use super::{beside, figure, part, times};
use crate::lab::child::{Server, run};
use crate::lab::estate::{Cert, Estate};
use crate::lab::nginx::Nginx;
use crate::lab::openbao::{NAMES, OpenBao, Options, binary};
use crate::lab::spire::Spire;
use crate::lab::{self, free_port, place, tool, wait_for};

const SERVICES: usize = 10;
const EACH: usize = 5;
const ROUNDS: usize = 5;
const FORCE: [&str; 3] = ["renew", "--all", "--force"];

/// The part by itself.
pub fn consumers() {
    let bao = OpenBao::start(Options::REAL);
    many(&bao);
    part(&format!("one certificate and its service (median of {ROUNDS}); by hand: until it serves again, without a look at what"));
    nginx(&bao);
    openbao(&bao);
    keylime(&bao);
    spire(&bao);
}

/// Fifty certificates, five for each of ten nginx.
fn many(bao: &OpenBao) {
    part(&format!("{} P-256 certificates of {SERVICES} nginx in one run (median of {ROUNDS})", SERVICES * EACH));
    let (mut all, mut alone, mut bare) = (Estate::at(bao), Estate::at(bao), Estate::at(bao));
    let mut servers: Vec<Nginx> = Vec::new();
    for number in 0..SERVICES {
        let mut nginx = Nginx::new(None);
        for certificate in 0..EACH {
            let name = format!("s{number}c{certificate}");
            let port = nginx.include(NAMES[0], &all.include(&name));
            all.certs.push(Cert::web(&name).reloaded_by(&nginx.driver()).seen_at(port, "10s"));
            bare.certs.push(Cert::web(&name));
        }
        servers.push(nginx);
    }
    let mut one = Nginx::new(None);
    for certificate in 0..EACH {
        let name = format!("c{certificate}");
        let port = one.include(NAMES[0], &alone.include(&name));
        alone.certs.push(Cert::web(&name).reloaded_by(&one.driver()).seen_at(port, "10s"));
    }
    servers.push(one);
    for estate in [&mut all, &mut alone, &mut bare] {
        estate.write();
        assert_eq!(estate.renew().code, 0);
    }
    servers.iter_mut().for_each(Nginx::start);
    for estate in [&all, &alone] {
        assert_eq!(estate.renew().code, 0);
    }
    let asked = |nginx: &Nginx| std::fs::read_to_string(nginx.dir.join("error.log")).unwrap_or_default().matches(", reconfiguring").count();
    let before: Vec<usize> = servers.iter().map(asked).collect();
    let mut costs: [Vec<Cost>; 3] = std::array::from_fn(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (estate, costs) in [&all, &alone, &bare].into_iter().zip(&mut costs) {
            costs.push(measure(&estate.command(&FORCE), None));
        }
    }
    let once = servers.iter().zip(&before).all(|(nginx, before)| asked(nginx) - before == ROUNDS);
    figure("reloads of each nginx in each run", if once { "1" } else { "more, or none" }, "exactly 1", once);
    let [all, alone, bare] = costs.each_ref().map(|costs| times(costs, |cost| cost.wall));
    beside("wall: 50 signed and kept, without services", &ms(bare));
    beside("wall: 5 of one nginx, reloaded and proven", &ms(alone));
    let rest = all.saturating_sub(bare);
    figure(
        "wall: all 50, proven; over the first, in the second",
        &format!("{}; {:.1}", ms(all), rest.as_secs_f64() / alone.as_secs_f64()),
        "at most 2",
        rest <= alone * 2,
    );
    beside("CPU: all 50, with ten children nginx -s reload", &ms(times(&costs[0], |cost| cost.cpu)));
}

/// Renews by this command so often, beside this by hand; `child` says whether that is what omens runs as its child.
fn row(name: &str, renew: &Command, mut hand: impl FnMut() -> Cost, child: bool) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(hand());
        ours.push(measure(renew, None));
    }
    let cpu = |costs: &[Cost]| median(&costs.iter().map(|cost| cost.cpu).collect::<Vec<_>>());
    let own = cpu(&ours).saturating_sub(if child { cpu(&theirs) } else { Duration::ZERO });
    let (wall, hand) = (times(&ours, |cost| cost.wall), times(&theirs, |cost| cost.wall));
    // A child that works for seconds, in a hundred processes, cannot be told from what is left over.
    if cpu(&theirs) < Duration::from_millis(100) {
        figure(name, &format!("{} own CPU", ms(own)), "under 60 ms", own < Duration::from_millis(60));
    } else {
        beside(name, &format!("{} CPU, with what it starts", ms(cpu(&ours))));
    }
    beside("  wall with signature and proof; the service by hand", &format!("{}; {}", ms(wall), ms(hand)));
}

fn nginx(bao: &OpenBao) {
    let (mut estate, mut nginx) = (Estate::at(bao), Nginx::new(None));
    let port = nginx.include(NAMES[0], &estate.include("web"));
    estate.certs = vec![Cert::web("web").reloaded_by(&nginx.driver()).seen_at(port, "5s")];
    estate.write();
    assert_eq!(estate.renew().code, 0);
    nginx.start();
    assert_eq!(estate.renew().outcome("web"), "settled");
    let mut reload = Command::new(lab::program("nginx").expect("nginx"));
    reload.arg("-p").arg(&nginx.dir).arg("-c").arg(nginx.conf()).args(["-s", "reload"]);
    row("nginx: reload", &estate.command(&FORCE), || measure(&reload, None), true);
}

/// Another OpenBao, whose listener has its certificate from the first.
fn openbao(bao: &OpenBao) {
    let (mut estate, dir, port) = (Estate::at(bao), place::directory("listener"), free_port());
    let (home, pid) = (dir.display().to_string(), dir.join("bao.pid"));
    let mut cert = Cert::web("bao").seen_at(port, "5s").reloaded_by(&format!("{{ openbao = {{ pid = \"{}\" }} }}", pid.display()));
    cert.extra = format!("install = [ {{ dir = \"{home}\", fullchain = \"listener.crt\", key = \"listener.key\" }} ]\n");
    estate.certs = vec![cert];
    estate.write();
    assert_eq!(estate.renew().code, 0);
    assert_eq!(estate.omens(&["install"]).code, 0);
    let hcl = format!(
        "storage \"inmem\" {{}}\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"{home}/listener.crt\"\n  \
         tls_key_file = \"{home}/listener.key\"\n}}\napi_addr = \"https://127.0.0.1:{port}\"\n"
    );
    std::fs::write(dir.join("bao.hcl"), hcl).expect("settings");
    let mut command = Command::new(binary().expect("OpenBao"));
    command.arg("server").arg(format!("-config={home}/bao.hcl")).env_clear().env("PATH", "/usr/bin:/bin");
    let server = Server::start(command, &dir.join("bao.log"), Signal::TERM);
    std::fs::write(&pid, format!("{}\n", server.pid())).expect("a pid");
    wait_for("OpenBao to listen", Duration::from_secs(20), || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert_eq!(estate.renew().code, 0);
    let mut kill = Command::new(lab::program("kill").expect("kill (procps)"));
    kill.args(["-HUP", &server.pid().to_string()]);
    row("openbao: SIGHUP", &estate.command(&FORCE), || measure(&kill, None), false);
}

/// Registrar and verifier, as far as Keylime is installed.
fn keylime(bao: &OpenBao) {
    let venvs = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/keylime");
    if !venvs.join("server/bin/keylime_verifier").exists() {
        return println!("*** Keylime is not installed here (`./run lab keylime`): its figures are missing");
    }
    let (state, certs) = (place::directory("keylime"), place::directory("keylime-certs"));
    let issued = |name: &str| {
        let mut estate = Estate::at(bao);
        let extra = format!("install = [ {{ dir = \"{}\", fullchain = \"{name}.crt\", key = \"{name}.key\" }} ]\n", certs.display());
        let both = Cert { role: "services".into(), profile: "mtls-service".into(), ..Cert::web(name) };
        estate.certs = vec![Cert { dns: vec!["localhost".into()], extra, ..both }];
        estate.write();
        assert_eq!((estate.renew().code, estate.omens(&["install"]).code), (0, 0));
        estate
    };
    let estates = ["registrar", "verifier"].map(|name| (name, issued(name)));
    let (root, chain) = (certs.join("root.pem"), certs.join("chain.pem"));
    std::fs::write(&root, &bao.root.pem).expect("root");
    std::fs::write(&chain, format!("{}{}", bao.intermediate, bao.root.pem)).expect("chain");
    let mut up = lab_command("up", &state);
    up.args(["--mode", "push", "--venvs"]).arg(&venvs).arg("--root").arg(&root).arg("--chain").arg(&chain);
    for (option, file) in [
        ("verifier-cert", "verifier.crt"),
        ("verifier-key", "verifier.key"),
        ("registrar-cert", "registrar.crt"),
        ("registrar-key", "registrar.key"),
        ("client-cert", "verifier.crt"),
        ("client-key", "verifier.key"),
    ] {
        up.arg(format!("--{option}")).arg(certs.join(file));
    }
    let output = run(up, Duration::from_secs(400));
    if output.code != 0 {
        return println!("*** Keylime does not start here: {}", output.stderr.trim());
    }
    let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("what it says of itself");
    for (name, mut estate) in estates {
        let port = json
            .pointer(&format!("/{name}/port"))
            .and_then(serde_json::Value::as_u64)
            .and_then(|port| port.try_into().ok())
            .expect("a port");
        let pid = state.join("run").join(format!("{name}.pid"));
        let agents = if name == "verifier" { ", agents = \"ignore\"" } else { "" };
        let driver = format!(
            "{{ keylime_{name} = {{ start = [\"/bin/bash\", \"{}\", \"restart\", \"{}\", \"{name}\"], stop = [\"/bin/true\"], pid = \"{}\"{agents} }} }}",
            tool("keylime-lab.sh").display(),
            state.display(),
            pid.display()
        );
        estate.certs[0] = estate.certs[0].clone().seen_at(port, "60s").reloaded_by(&driver);
        estate.write();
        let first = estate.force();
        assert_eq!(first.code, 0, "{first}");
        let mut restart = lab_command("restart", &state);
        restart.arg(name);
        row(&format!("keylime_{name}: restart, and 3 s in which it must stay"), &estate.command(&FORCE), || measure(&restart, None), true);
    }
    run(lab_command("down", &state), Duration::from_secs(30));
}

fn lab_command(what: &str, state: &PathBuf) -> Command {
    let mut command = Command::new("/bin/bash");
    command.arg(tool("keylime-lab.sh")).arg(what).arg(state).env("OMENS_LAB_PARENT", std::process::id().to_string());
    command
}

/// Server and agent, where they are built. They are never started anew for a certificate, so what is by hand is what that would take.
fn spire(bao: &OpenBao) {
    let Some(mut spire) = Spire::new() else {
        return println!("*** SPIRE is not built here (`./run lab spire`, where Go is): its figures are missing");
    };
    let mut estate = Estate::at(bao);
    spire.attested_by_certificates(NAMES[0], &estate.run_dir());
    estate.certs =
        ["server", "agent"].into_iter().zip(spire.drivers("")).map(|(name, driver)| Cert::web(name).reloaded_by(&driver)).collect();
    estate.write();
    assert_eq!(estate.renew().code, 0);
    spire.up();
    let first = estate.force();
    for part in ["server", "agent"] {
        assert_eq!(first.cert(part)["proof"], "served", "{first}");
        let renew = estate.command(&["renew", part, "--force"]);
        row(&format!("spire_{part}: SIGUSR1 and its log; by hand a restart"), &renew, || restarted(&mut spire, part), false);
    }
}

/// The wall time until it serves again; what it computes meanwhile is no part of any renewal.
fn restarted(spire: &mut Spire, part: &str) -> Cost {
    let start = Instant::now();
    spire.start(part);
    wait_for("SPIRE to serve again", Duration::from_secs(60), || spire.serves(part));
    Cost { wall: start.elapsed(), cpu: Duration::ZERO, peak_kib: 0 }
}
