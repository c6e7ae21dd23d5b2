//! `./run bench`: the figures of the README, measured in one run on a real OpenBao and a real nginx; quote ratios, not absolutes.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_errors_doc,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "a program for a person, on the launchers of the tests"
)]

#[path = "../lab/mod.rs"]
#[allow(dead_code, reason = "tests, demo and bench each use a part of the lab")]
mod lab;

mod audit;
mod bare;
mod consumers;
mod host;
mod login;
mod look;
mod measure;
mod order;
mod outage;
mod rivals;
mod sealed;

use std::process::{Command, ExitCode};
use std::time::Duration;

use lab::child::Server;
use lab::estate::{Cert, Estate};
use lab::nginx::Nginx;
use lab::openbao::{NAMES, OpenBao, Options};
use measure::{Cost, measure, median, ms, standing};
use rivals::Rivals;
use rustix::process::Signal;

/// The cores of server and client where they are kept apart.
const SERVER: u32 = 0;
const CLIENT: u32 = 1;
/// Interleaved rounds of a thousand signatures.
const ROUNDS: usize = 5;
const MANY: usize = 1000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(measure::FLAG) => measure::as_measurer(&arguments[2..]),
        Some(bare::FLAG) => bare::as_client(&arguments[2..]),
        Some(audit::FLAG) => audit::as_verifier(&arguments[2..]),
        _ => {}
    }
    match arguments.get(1).map(String::as_str) {
        Some("outage") => {
            outage::outage();
            ExitCode::SUCCESS
        }
        Some("audit") => lab::run_and_clean_up("bench", audit::audit),
        Some("consumers") => lab::run_and_clean_up("bench", consumers::consumers),
        Some("login") => lab::run_and_clean_up("bench", login::login),
        Some("look") => lab::run_and_clean_up("bench", look::look),
        Some("order") => lab::run_and_clean_up("bench", order::order),
        Some("beside") => lab::run_and_clean_up("bench", || drop(beside_peers())),
        _ => lab::run_and_clean_up("bench", bench),
    }
}

/// A heading.
fn part(text: &str) {
    println!("\n{text}");
}

/// A figure, its target, and whether it is met.
fn figure(what: &str, found: &str, target: &str, met: bool) {
    println!("  {:<52} {found:<28} {target:<24} {}", what, if met { "met" } else { "MISSED" });
}

/// A figure beside it, for comparison.
fn beside(what: &str, found: &str) {
    println!("  {what:<52} {found}");
}

fn bench() {
    let bao = beside_peers();
    let rivals = Rivals::new(&bao);
    waiting(&bao, &rivals);
    thousand(&bao, &rivals);
    sealed::sealed(&bao);
    login::logins(&bao);
    look::looking(&bao);
    audit::audit();
}

/// What is asked beside consul-template, certificate for certificate: nothing due, and one renewal.
fn beside_peers() -> OpenBao {
    println!("omens {} beside its peers; OpenBao with RSA-4096 CAs on raft, {} cores", env!("CARGO_PKG_VERSION"), cores());
    let bao = OpenBao::start(Options::REAL);
    let rivals = Rivals::new(&bao);
    if rivals.consul_template("probe", 1, None).is_none() {
        println!("*** consul-template is not built here (tests/lab/peers.sh build consul-template): its figures are missing");
    }
    not_due(&bao, &rivals, &TEN);
    not_due(&bao, &rivals, &THOUSAND);
    one_renewal(&bao, &rivals);
    bao
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn host(bao: &OpenBao, count: usize) -> Estate {
    let mut estate = Estate::at(bao);
    estate.certs = (0..count).map(|n| Cert { common_name: NAMES[n % NAMES.len()].into(), ..Cert::web(&format!("c{n}")) }).collect();
    estate.write();
    estate
}

fn times(costs: &[Cost], of: fn(&Cost) -> Duration) -> Duration {
    median(&costs.iter().map(of).collect::<Vec<_>>())
}

fn peak(costs: &[Cost]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "kibibytes of one process")]
    let mib = median(&costs.iter().map(|c| c.peak_kib).collect::<Vec<_>>()) as f64 / 1024.0;
    mib
}

/// A host with nothing due, and what is demanded of a run on it.
struct Idle {
    set: &'static str,
    count: usize,
    rounds: usize,
    /// Of the time that consul-template takes over as many.
    share: f64,
    megabytes: f64,
}

const TEN: Idle = Idle { set: "ten", count: 10, rounds: 50, share: 0.35, megabytes: 9.0 };
const THOUSAND: Idle = Idle { set: "idle", count: MANY, rounds: 20, share: 0.15, megabytes: 16.0 };

/// Nothing due: interleaved with consul-template over as many certificates of which none is due either.
fn not_due(bao: &OpenBao, rivals: &Rivals<'_>, idle: &Idle) {
    part(&format!("{} certificates, nothing due (median of {})", idle.count, idle.rounds));
    let estate = host(bao, idle.count);
    assert_eq!(estate.renew().code, 0);
    let own = estate.command(&["renew", "--all"]);
    let theirs = rivals.consul_template(idle.set, idle.count, None);
    // Not counted: theirs issues, and ours is what comes after a run that did something.
    measure(&own, None);
    if let Some(theirs) = &theirs {
        measure(theirs, None);
    }
    let (mut ours, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..idle.rounds {
        let cost = measure(&own, None);
        if let Some(theirs) = &theirs {
            let beside = measure(theirs, None);
            ratios.push(cost.wall.as_secs_f64() / beside.wall.as_secs_f64());
            other.push(beside);
        }
        ours.push(cost);
    }
    let wall = ms(times(&ours, |c| c.wall));
    if ratios.is_empty() {
        beside("omens renew --all, wall (no peer to compare)", &wall);
    } else {
        let ratio = median(&ratios);
        let found = format!("{wall} = {ratio:.2} ({})", hundredths(&ratios));
        figure("omens renew --all, wall", &found, &format!("at most {} of theirs", idle.share), ratio <= idle.share);
        beside("consul-template -once, wall and peak memory", &format!("{}, {:.1} MiB", ms(times(&other, |c| c.wall)), peak(&other)));
    }
    beside("omens renew --all, CPU", &ms(times(&ours, |c| c.cpu)));
    let megabytes = peak(&ours) * 1.048_576;
    figure(
        "omens renew --all, peak memory",
        &format!("{megabytes:.1} MB"),
        &format!("under {} MB", idle.megabytes),
        megabytes < idle.megabytes,
    );
    match measure::sockets(&own, &estate.dir.join("strace")) {
        Some(count) => figure("sockets opened (strace)", &count.to_string(), "none", count == 0),
        None => println!("*** strace is missing: sockets were not counted"),
    }
}

/// One certificate due, nginx reloaded and verified: median of 20, interleaved with the others.
fn one_renewal(bao: &OpenBao, rivals: &Rivals<'_>) {
    part("1 P-256 certificate due, nginx reloaded (median of 20)");
    let mut estate = Estate::at(bao);
    let mut nginx = Nginx::new(None);
    let port = nginx.include(NAMES[0], &estate.include("web"));
    estate.certs = vec![Cert::web("web").reloaded_by(&nginx.driver()).seen_at(port, "5s")];
    estate.write();
    assert_eq!(estate.renew().code, 0);
    nginx.start();
    assert_eq!(estate.renew().outcome("web"), "settled");
    let own = estate.command(&["renew", "--all", "--force"]);
    let mut reload = Command::new(lab::program("nginx").expect("nginx"));
    reload.arg("-p").arg(&nginx.dir).arg("-c").arg(nginx.conf()).args(["-s", "reload"]);

    let other_nginx = rivals.nginx();
    let pid = other_nginx.pid_file();
    let (template, agent, hand) = (rivals.consul_template("one", 1, Some(&pid)), rivals.agent(&pid), rivals.by_hand(&pid));
    let mut costs: [Vec<Cost>; 5] = std::array::from_fn(|_| Vec::new());
    for _ in 0..20 {
        costs[0].push(measure(&own, None));
        costs[1].push(measure(&reload, None));
        rivals.forget("one", 1);
        costs[2].extend(template.as_ref().map(|command| measure(command, None)));
        rivals.forget("agent", 1);
        costs[3].push(measure(&agent, None));
        costs[4].push(measure(&hand, None));
    }
    let total = times(&costs[0], |c| c.cpu);
    // RUSAGE_CHILDREN counts omens and the `nginx -s reload` that it waits for; the second is known by itself.
    let child = times(&costs[1], |c| c.cpu);
    let own_cpu = total.saturating_sub(child);
    figure("omens, own CPU time, with proof on the wire", &ms(own_cpu), "under 60 ms", own_cpu < Duration::from_millis(60));
    if !costs[2].is_empty() {
        // Round by round: the machine's speed drifts.
        let rounds = costs[0].iter().zip(&costs[2]);
        let ratios: Vec<f64> = rounds.map(|(own, theirs)| own.cpu.saturating_sub(child).as_secs_f64() / theirs.cpu.as_secs_f64()).collect();
        let ratio = median(&ratios);
        let found = format!("{ratio:.2} ({})", hundredths(&ratios));
        figure("  beside consul-template without proof", &found, "at most 1.0 of its CPU", ratio <= 1.0);
    }
    beside("  with its child nginx -s reload; wall with proof", &format!("{}; {}", ms(total), ms(times(&costs[0], |c| c.wall))));
    for (name, costs) in
        [("consul-template -once and HUP", &costs[2]), ("bao agent, one shot, and HUP", &costs[3]), ("two bao write, mv, HUP", &costs[4])]
    {
        let shown = if costs.is_empty() {
            "missing".to_owned()
        } else {
            format!("{} CPU, {} wall, {:.0} MiB, no proof", ms(times(costs, |c| c.cpu)), ms(times(costs, |c| c.wall)), peak(costs))
        };
        beside(name, &shown);
    }
}

/// What serves ten certificates of which none is due, all at the same time, over half a minute.
#[expect(clippy::cast_precision_loss, reason = "kibibytes and wake-ups of one process")]
fn waiting(bao: &OpenBao, rivals: &Rivals<'_>) {
    const SETTLE: Duration = Duration::from_secs(20);
    const LOOK: Duration = Duration::from_secs(30);
    part(&format!("10 certificates, waiting for the next to be due ({} s)", LOOK.as_secs()));
    let estate = host(bao, 10);
    assert_eq!(estate.renew().code, 0);
    let commands =
        [Some(estate.command(&["run"])), Some(rivals.agent_serving("agents", 10)), rivals.consul_template_serving("waiting", 10, None)];
    let log = estate.dir.join("serving.log");
    let servers = commands.map(|command| command.map(|command| Server::start(command, &log, Signal::TERM)));
    std::thread::sleep(SETTLE);
    let before = servers.each_ref().map(|server| server.as_ref().map(|server| standing(server.pid())));
    std::thread::sleep(LOOK);
    let figures = std::array::from_fn::<_, 3, _>(|n| {
        let (server, (_, before)) = servers[n].as_ref().zip(before[n])?;
        let (resident, woken) = standing(server.pid());
        Some((resident as f64 / 1024.0, (woken - before) as f64 / LOOK.as_secs_f64()))
    });
    let shown = |(mib, woken): (f64, f64)| format!("{mib:.1} MiB, {woken:.2} wake-ups/s");
    let own = figures[0].expect("omens run");
    figure("omens run", &shown(own), "under 16 MiB", own.0 < 16.0);
    for (name, found) in [("bao agent", figures[1]), ("consul-template", figures[2])] {
        beside(name, &found.map_or_else(|| "missing".to_owned(), shown));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a thousand signatures")]
fn rate(count: usize, wall: Duration) -> f64 {
    count as f64 / wall.as_secs_f64()
}

/// Median, least and most.
fn spread(v: &[f64]) -> String {
    format!("{:.0} ({:.0}-{:.0})", median(v), v.iter().copied().fold(f64::MAX, f64::min), v.iter().copied().fold(0.0, f64::max))
}

/// Least and most of ratios.
fn hundredths(v: &[f64]) -> String {
    format!("{:.2}-{:.2}", v.iter().copied().fold(f64::MAX, f64::min), v.iter().copied().fold(0.0, f64::max))
}

/// A thousand certificates: against the bare loop on cores of their own, against consul-template on shared ones.
fn thousand(bao: &OpenBao, rivals: &Rivals<'_>) {
    part(&format!("{MANY} P-256 certificates, signatures per second"));
    let estate = host(bao, MANY);
    let own = estate.command(&["renew", "--all", "--force"]);
    let token = bao.token("bare", &["omens-renew"]);
    let bare = bare::Bare::new(bao, &token);
    measure(&own, None);
    if cores() >= 2 {
        pin(bao.pid(), &SERVER.to_string());
        let (mut ours, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let before = bao.signed(&estate.login);
            let (b, o) = (bare.rate(MANY, Some(CLIENT)), rate(MANY, measure(&own, Some(CLIENT)).wall));
            assert_eq!(bao.signed(&estate.login) - before, MANY, "signing requests of round {round}");
            ours.push(o);
            bares.push(b);
            ratios.push(o / b);
        }
        beside(&format!("bare loop, 8 tasks, one CSR, own core, {ROUNDS} rounds"), &spread(&bares));
        let ratio = median(&ratios);
        figure(
            "omens renew --all --force, own core",
            &format!("{} = {:.0} %", spread(&ours), ratio * 100.0),
            "at least 95 % of it",
            ratio >= 0.95,
        );
        figure("signing requests in the audit log, each round", &MANY.to_string(), "exactly 1000", true);
        pin(bao.pid(), &format!("0-{}", cores() - 1));
    } else {
        println!("*** one core only: server and client cannot be kept apart");
    }
    let shared = rate(MANY, measure(&own, None).wall);
    let loose = bare.rate(MANY, None);
    if let Some(theirs) = rivals.consul_template("thousand", MANY, None) {
        rivals.forget("thousand", MANY);
        let rival = rate(MANY, measure(&theirs, None).wall);
        figure(
            "omens, shared cores",
            &format!("{shared:.0} = {:.2} of theirs", shared / rival),
            "at least 1.3 of theirs",
            shared / rival >= 1.3,
        );
        beside("consul-template -once, shared cores", &format!("{rival:.0}"));
    } else {
        beside("omens, shared cores (no peer to compare)", &format!("{shared:.0}"));
    }
    beside("bare loop, shared cores", &format!("{loose:.0}"));
}

/// Moves every thread of a process to these cores.
fn pin(pid: u32, cores: &str) {
    let output = Command::new("taskset").args(["-a", "-p", "-c", cores, &pid.to_string()]).output().expect("taskset (util-linux)");
    assert!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
}
