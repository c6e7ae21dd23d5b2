//! `omens run`: at once and then on a schedule, on a real OpenBao and nginx and on a server that does not answer; and how it ends.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::lab::child::{Server, run};
use crate::lab::estate::{Cert, Estate, omens};
use crate::lab::hostile::{Hostile, Lie};
use crate::lab::impostor::{Impostor, impostor};
use crate::lab::{is_root, program, wait_for};
use crate::web::Web;

/// `omens run` at work.
struct Serving {
    server: Server,
    log: PathBuf,
}

impl Serving {
    /// With `--json`; a run every second unless `arguments` say something else.
    fn start(estate: &Estate, arguments: &[&str]) -> Self {
        let arguments = if arguments.is_empty() { &["--every", "1s"] } else { arguments };
        Self::of(estate, estate.command(&[&["run", "--json"], arguments].concat()))
    }

    fn of(estate: &Estate, command: Command) -> Self {
        let log = estate.dir.join("run.log");
        std::fs::remove_file(&log).ok();
        Self { server: Server::start(command, &log, Signal::TERM), log }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What stderr said: what is no document.
    fn said(&self) -> Vec<String> {
        self.text().lines().filter(|line| !line.starts_with('{')).map(str::to_owned).collect()
    }

    /// The documents so far, one a line.
    fn runs(&self) -> Vec<Value> {
        // The last line may still be on its way.
        let text = self.text();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).expect("a document a line")).collect()
    }

    /// Waits for this many documents.
    fn wait_for_runs(&self, count: usize) -> Vec<Value> {
        wait_for(&format!("{count} runs"), Duration::from_secs(60), || self.runs().len() >= count);
        self.runs()
    }

    /// Waits for a document of which this is true.
    fn wait_for_run(&self, what: &str, yes: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, Duration::from_secs(60), || self.runs().iter().any(&yes));
        self.runs().into_iter().find(yes).expect("found before")
    }

    /// Sends a signal and waits for the end; gives the exit code and how long that took.
    fn ended_by(&mut self, signals: &[Signal]) -> (Option<i32>, Duration) {
        let start = Instant::now();
        for signal in signals {
            self.server.signal(*signal);
            std::thread::sleep(Duration::from_millis(100));
        }
        wait_for("the end", Duration::from_secs(40), || !self.server.alive());
        (self.server.stop().and_then(|status| status.code()), start.elapsed())
    }

    fn status(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid())).expect("it lives");
        let line = status.lines().find(|line| line.starts_with(key)).expect("a line of status");
        line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).expect("a number")
    }

    /// Its children by their pids, dead ones that nobody waited for included.
    fn children(&self) -> String {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.server.pid())).expect("it lives");
        tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok()).collect()
    }
}

fn outcome<'a>(run: &'a Value, name: &str) -> &'a str {
    let certs = run["certificates"].as_array().expect("certificates");
    certs.iter().find(|cert| cert["name"] == name).and_then(|cert| cert["outcome"].as_str()).unwrap_or_default()
}

/// Where a certificate failed, as `stage/code`.
fn failed_at(cert: &Value) -> String {
    format!("{}/{}", cert["error"]["stage"].as_str().unwrap_or_default(), cert["error"]["code"].as_str().unwrap_or_default())
}

const SOON: Duration = Duration::from_secs(1);

#[test]
fn the_first_run_is_at_once_and_the_next_ones_settle_and_then_do_nothing() {
    let mut web = Web::stopped(Estate::at_openbao());
    let mut serving = Serving::start(&web.estate, &[]);
    let first = serving.wait_for_runs(1).remove(0);
    assert_eq!((first["schema"].as_str(), first["exit"].as_i64()), (Some("omens.renew/1"), Some(0)), "{first:#}");
    assert_eq!(outcome(&first, "web"), "renewed", "{first:#}");
    web.nginx.start();
    let settled = serving.wait_for_run("nginx to be seen", |run| outcome(run, "web") == "settled");
    assert_eq!(settled["certificates"][0]["proof"], "served", "{settled:#}");
    web.agrees_on(1, &web.estate.published_leaf("web").unwrap());
    let count = serving.runs().len();
    let runs = serving.wait_for_runs(count + 3);
    for idle in runs.iter().rev().take(2) {
        assert_eq!((outcome(idle, "web"), idle["certificates"][0]["reasons"][0]["code"].as_str()), ("not-due", Some("fresh")), "{idle:#}");
    }
    assert_eq!(web.estate.signed(), 1);
    assert_eq!(serving.children(), "", "every child was waited for");

    let (code, took) = serving.ended_by(&[Signal::TERM]);
    assert_eq!(code, Some(0), "{}", serving.text());
    assert!(took < SOON, "idle: {took:?}");
    let said = serving.said();
    assert_eq!(said[0], format!("run: {}, now and every 1s; SIGHUP: now, SIGTERM: the end", web.estate.settings().display()));
    assert!(said[1].starts_with("run: next run at 20") && said[1].contains("Z, in "), "{said:?}");
    assert!(said.last().unwrap().starts_with("run: ended after ") && said.last().unwrap().ends_with(" runs, 0 of them failed"), "{said:?}");
}

/// Runs of one process do not pile up before a TPM that never answers.
#[test]
fn a_silent_tpm_is_asked_once() {
    let estate = Estate::at_openbao().with_tpm(&impostor(Impostor::Silent), &[]).with(Cert::web("web").sealed());
    let mut serving = Serving::start(&estate, &["--every", "1h"]);
    let first = serving.wait_for_runs(1).remove(0);
    assert_eq!(failed_at(&first["certificates"][0]), "seal/tpm-unreachable", "{first:#}");
    let threads = serving.status("Threads:");
    for count in 2..=3 {
        let before = Instant::now();
        serving.server.signal(Signal::HUP);
        let runs = serving.wait_for_runs(count);
        assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
        assert_eq!(failed_at(&runs[count - 1]["certificates"][0]), "seal/tpm-unreachable", "{runs:#?}");
    }
    assert!(serving.status("Threads:") <= threads, "{} threads, {threads} after the first run", serving.status("Threads:"));
    assert_eq!(serving.ended_by(&[Signal::TERM]).0, Some(0));
}

#[test]
fn a_cron_expression_is_kept_and_a_person_reads_what_renew_prints() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let mut serving = Serving::of(&estate, estate.command(&["run", "--cron", "* * * * * *"]));
    wait_for("three runs", Duration::from_secs(20), || serving.text().matches("next run at ").count() >= 3);
    assert_eq!(serving.ended_by(&[Signal::INT]).0, Some(0));
    let text = serving.text();
    assert!(text.contains("now and at * * * * * * (UTC);"), "{text}");
    let told: Vec<&str> = text.lines().filter(|line| line.contains(" web: ")).collect();
    assert!(told.len() == 1 && told[0].starts_with("20") && told[0].contains("Z web: renewed: gen-1, valid until "), "{text}");
    assert_eq!(hostile.signed(), 1);
}

#[test]
fn a_hang_up_is_a_run_now() {
    let hostile = Hostile::start();
    let mut serving = Serving::start(&hostile.estate(), &["--every", "7d"]);
    serving.wait_for_runs(1);
    std::thread::sleep(SOON);
    assert_eq!(serving.runs().len(), 1);
    serving.server.signal(Signal::HUP);
    serving.wait_for_runs(2);
    assert_eq!(serving.ended_by(&[Signal::TERM]).0, Some(0));
}

/// Ten certificates and a server that never ends its answer: eight are under way, two wait for their turn.
fn stuck() -> (Hostile, Estate, Serving) {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.certs = (0..10).map(|n| Cert::web(&format!("c{n}"))).collect();
    estate.write();
    hostile.lie(Lie::Drip);
    let serving = Serving::start(&estate, &[]);
    wait_for("eight requests", Duration::from_secs(20), || hostile.sign_requests() >= 8);
    (hostile, estate, serving)
}

/// Nothing of the run is in the way of the next.
fn converges(hostile: &Hostile, estate: &Estate) {
    hostile.lie(Lie::Nothing);
    let next = estate.omens(&["renew", "--all", "--wait", "0s"]);
    assert_eq!(next.code, 0, "{next}");
    for cert in &estate.certs {
        assert_eq!(next.outcome(&cert.name), "renewed", "{next}");
        assert_eq!((estate.committed(&cert.name), estate.published(&cert.name)), (Some(1), Some(1)));
    }
}

#[test]
fn a_signal_in_the_middle_of_a_run_begins_nothing_more_and_ends_in_time() {
    let (hostile, estate, mut serving) = stuck();
    let (code, took) = serving.ended_by(&[Signal::TERM]);
    assert_eq!(code, Some(0), "{}", serving.text());
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(12), "{took:?}: {}", serving.text());
    let run = serving.runs().remove(0);
    let mut places: Vec<String> = run["certificates"].as_array().unwrap().iter().map(failed_at).collect();
    places.sort();
    assert_eq!(places, [vec!["issue/interrupted"; 8], vec!["plan/interrupted"; 2]].concat(), "{run:#}");
    assert_eq!((run["exit"].as_i64(), hostile.sign_requests()), (Some(1), 8), "{run:#}");
    assert!(hostile.requests().iter().any(|request| request.path.ends_with("/revoke-self")), "its token is revoked");
    assert!(serving.text().contains("run: SIGTERM: finishing what is under way, at most 25 s; again: at once\n"), "{}", serving.text());
    assert!(serving.text().ends_with("run: ended after 1 run, 1 of them failed\n"), "{}", serving.text());
    assert!(estate.ledger().iter().all(|line| line["error"]["code"] == "interrupted"), "{:?}", estate.ledger());
    converges(&hostile, &estate);
}

#[test]
fn a_second_signal_ends_at_once_and_the_next_run_goes_on() {
    let (hostile, estate, mut serving) = stuck();
    let (code, took) = serving.ended_by(&[Signal::TERM, Signal::INT]);
    assert_eq!(code, Some(0), "{}", serving.text());
    assert!(took < SOON, "{took:?}");
    let cut = serving.runs().remove(0);
    assert_eq!((cut["error"]["code"].as_str(), cut["exit"].as_i64()), (Some("interrupted"), Some(1)), "{cut:#}");
    assert!(cut["error"]["text"].as_str().unwrap().contains("was cut by a second signal"), "{cut:#}");
    converges(&hostile, &estate);
}

#[test]
fn what_is_published_is_finished_after_a_signal() {
    // The endpoint never shows the new leaf: the run is in `verify` for its two seconds, and then takes back what it published.
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    let mut nginx = crate::lab::nginx::Nginx::new(None);
    let live = estate.state().join("certs/web/gen-1");
    let port = nginx.fixed(crate::web::NAME, &live.join("fullchain.pem"), &live.join("key.pem"));
    nginx.start();
    estate.certs = vec![Cert { dns: vec!["localhost".into()], ..Cert::web("web").seen_at(port, "2s") }];
    estate.write();
    let mut serving = Serving::start(&estate, &[]);
    wait_for("the new one to be out", Duration::from_secs(20), || estate.published("web") == Some(2));
    assert_eq!(serving.ended_by(&[Signal::TERM]).0, Some(0));
    let run = serving.runs().remove(0);
    assert_eq!((outcome(&run, "web"), failed_at(&run["certificates"][0]).as_str()), ("rolled-back", "verify/old-leaf"), "{run:#}");
    assert_eq!((estate.committed("web"), estate.published("web")), (Some(1), Some(1)));
}

#[test]
fn a_lock_that_somebody_else_holds_is_said_and_the_next_tick_tries_again() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    let lock = std::fs::File::open(estate.state().join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut serving = Serving::start(&estate, &[]);
    for run in serving.wait_for_runs(2) {
        assert_eq!((run["exit"].as_i64(), run["error"]["code"].as_str()), (Some(1), Some("locked")), "{run:#}");
        assert_eq!(run["error"]["hint"], "the next run tries again");
    }
    drop(lock);
    serving.wait_for_run("a run with the lock", |run| run["exit"] == 0);
    assert_eq!(serving.ended_by(&[Signal::TERM]).0, Some(0));
    assert!(!serving.text().ends_with(", 0 of them failed\n"), "{}", serving.text());
}

#[test]
fn settings_are_read_before_each_run_and_wrong_ones_cost_only_that_run() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    let mut serving = Serving::start(&estate, &[]);
    serving.wait_for_run("the first run", |run| outcome(run, "web") == "renewed");
    // Somebody is told of that, too.
    let (told, tell) = (estate.dir.join("told"), estate.dir.join("tell"));
    std::fs::write(&tell, format!("#!/bin/sh\ncat >{}\n", told.display())).unwrap();
    std::fs::set_permissions(&tell, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(estate.settings(), format!("[hots]\n\n[notify]\nexec = [\"{}\"]\n", tell.display())).unwrap();
    let wrong = serving.wait_for_run("a run with wrong settings", |run| run["exit"] == 2);
    assert!(std::fs::read_to_string(&told).unwrap().contains("omens.toml:"), "{wrong:#}");
    assert_eq!((wrong["schema"].as_str(), &wrong["certificates"]), (Some("omens.renew/1"), &serde_json::json!([])), "{wrong:#}");
    assert!(wrong["errors"].as_array().unwrap().iter().any(|error| error["code"] == "unknown-key"), "{wrong:#}");
    estate.certs.push(Cert::web("more"));
    estate.write();
    let healed = serving.wait_for_run("the new certificate", |run| run["exit"] == 0 && outcome(run, "more") == "renewed");
    assert_eq!(outcome(&healed, "web"), "not-due", "{healed:#}");
    assert!(serving.said().iter().any(|line| line.starts_with("run: the settings are wrong: nothing was done; next run at ")));
    assert_eq!(serving.ended_by(&[Signal::TERM]).0, Some(0));
}

/// A process that ends with its test.
struct Spawned(Child);

impl Drop for Spawned {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Spawned {
    fn of(estate: &Estate, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let mut command = estate.command(&["run", "--json", "--every", "7d"]);
        Self(command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap())
    }

    /// Another run, which has something to do.
    fn again(&self, estate: &Estate) {
        let before = estate.ledger().len();
        std::fs::remove_file(estate.run_dir().join("web/live")).unwrap();
        self.signal(Signal::HUP);
        wait_for("another run", Duration::from_secs(20), || estate.ledger().len() > before);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), signal).unwrap();
    }

    fn end(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        wait_for("the end", Duration::from_secs(10), || self.0.try_wait().unwrap().is_some());
        self.0.wait().unwrap().code()
    }
}

#[test]
fn who_reads_nothing_holds_up_neither_runs_nor_the_end() {
    let hostile = Hostile::start();
    for read in [false, true] {
        let estate = hostile.estate();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut filler = writer.try_clone().unwrap();
        // More than a pipe holds.
        std::thread::spawn(move || filler.write_all(&[b' '; 100_000]).ok());
        std::thread::sleep(Duration::from_millis(200));
        // As a container has it: both in one.
        let stderr = writer.try_clone().unwrap();
        let mut serving = Spawned::of(&estate, writer, stderr);
        wait_for("the first run", Duration::from_secs(20), || !estate.ledger().is_empty());
        std::thread::sleep(Duration::from_millis(200));
        serving.again(&estate);
        if !read {
            assert_eq!(serving.end(), Some(0));
            continue;
        }
        // Whoever reads again finds everything, and the end as well.
        let text = std::thread::spawn(move || std::io::read_to_string(&mut reader).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(serving.end(), Some(0));
        let text = text.join().unwrap();
        let runs: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line.trim()).ok()).collect();
        let outcomes: Vec<&str> = runs.iter().map(|run| outcome(run, "web")).collect();
        assert_eq!(outcomes, ["renewed", "settled"], "{}", text.trim());
        assert!(text.ends_with("run: ended after 2 runs, 0 of them failed\n"), "{}", text.trim());
    }
}

#[test]
fn a_result_that_cannot_be_written_is_said_once_and_the_next_one_is_tried() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let log = estate.dir.join("run.log");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut serving = Spawned::of(&estate, full, std::fs::File::create(&log).unwrap());
    wait_for("the first run", Duration::from_secs(20), || !estate.ledger().is_empty());
    serving.again(&estate);
    serving.again(&estate);
    assert_eq!(serving.end(), Some(0));
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("error: cannot write the result: No space left").count(), 1, "{text}");
}

#[test]
fn what_cannot_be_served_is_said_before_anything_is_done() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    for (arguments, expected) in [
        (&["--cron", "every day"][..], "such as \"*/15 * * * *\""),
        (&["--cron", "0 0 13 * FRI"], "two ways"),
        (&["--cron", "*/90 * * * *"], "never comes round twice"),
        (&["--every", "1m", "--cron", "* * * * *"], "does not go together with"),
        (&["--every", "10"], "its unit"),
        (&["--every", "0s"], "expected 1s to 7d"),
        (&["nginx"], "expected no further word"),
    ] {
        let plain = estate.plain(&[&["run"], arguments].concat());
        assert_eq!((plain.code, plain.stdout.as_str()), (2, ""), "{arguments:?}: {plain:?}");
        assert!(plain.stderr.contains(expected), "{arguments:?}: {plain:?}");
    }
    std::fs::write(estate.settings(), "[hots]\n").unwrap();
    let document = estate.omens(&["run"]);
    assert_eq!((document.code, document.json["exit"].as_i64(), document.json["schema"].as_str()), (2, Some(2), Some("omens.run/1")));
    assert!(document.json["errors"].as_array().unwrap().iter().any(|error| error["code"] == "unknown-key"), "{document}");
    assert_eq!(hostile.requests().len(), 0);
}

#[test]
fn idle_it_wakes_rarely_and_memory_does_not_grow_with_the_runs() {
    let hostile = Hostile::start();
    let mut serving = Serving::start(&hostile.estate(), &["--every", "7d"]);
    let runs_up_to = |serving: &Serving, count: usize| {
        for count in serving.runs().len()..count {
            serving.server.signal(Signal::HUP);
            serving.wait_for_runs(count + 1);
        }
    };
    serving.wait_for_runs(1);
    runs_up_to(&serving, 10);
    let before = serving.status("VmRSS");
    runs_up_to(&serving, 50);
    let grown = serving.status("VmRSS").saturating_sub(before);
    assert!(grown < 512, "{grown} KiB in 40 runs");
    // The thread of the last run goes when nothing came for ten seconds.
    wait_for("one thread, and the one that prints", Duration::from_secs(20), || serving.status("Threads") == 2);
    let before = serving.status("voluntary_ctxt_switches");
    std::thread::sleep(Duration::from_secs(5));
    let woken = serving.status("voluntary_ctxt_switches") - before;
    assert!(woken <= 2, "{woken} times in 5 s");
    assert_eq!(serving.ended_by(&[Signal::TERM]).0, Some(0));
}

#[test]
fn as_pid_1_it_renews_and_obeys() {
    let Some(unshare) = program("unshare").filter(|_| is_root()) else {
        crate::skipped("omens run as PID 1: needs root and unshare (util-linux)");
        return;
    };
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let mut command = Command::new(unshare);
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(omens());
    command.arg("--config").arg(estate.settings()).args(["run", "--json", "--every", "1s"]).env_clear().current_dir("/");
    let mut serving = Serving::of(&estate, command);
    if serving.text().contains("unshare failed") {
        crate::skipped("omens run as PID 1: no PID namespace here");
        return;
    }
    serving.wait_for_run("the first run", |run| outcome(run, "web") == "renewed");
    let pid = serving.children().trim().to_owned();
    let mut kill = Command::new("kill");
    kill.args(["-TERM", &pid]);
    assert_eq!(run(kill, SOON).code, 0, "{pid}");
    wait_for("the end", Duration::from_secs(5), || !serving.server.alive());
    assert_eq!(serving.server.stop().and_then(|status| status.code()), Some(0), "{}", serving.text());
}
