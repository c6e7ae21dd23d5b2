//! `chain-audit` beside bare rustls-webpki and `openssl verify` on the same chains, a host of many files, an estate of three hosts, and `probe` beside scanners.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::lab::estate::omens;
use crate::lab::nginx::Nginx;
use crate::lab::pki::{Ca, CaKeys, INTERMEDIATE, Leaf, ROOT, ec_key};
use crate::lab::{place, program};
use crate::measure::{Cost, measure, median, ms};
use crate::{CLIENT, beside, figure, host, part, times};

/// The argument that makes this program the bare verifier.
pub const FLAG: &str = "--webpki";

const CHAINS: usize = 20_000;
/// Files that `openssl verify` gets at once, and files that it gets one by one.
const AT_ONCE: usize = 500;
const ONE_BY_ONE: usize = 200;
const ROUNDS: usize = 5;

pub fn audit() {
    let dir = place::in_memory("chains");
    let root = Ca::root(ROOT, CaKeys::Ec);
    let middle = root.intermediate(INTERMEDIATE, CaKeys::Ec);
    let (anchor, between) = (dir.join("root.pem"), dir.join("middle.pem"));
    std::fs::write(&anchor, &root.pem).expect("the root");
    std::fs::write(&between, &middle.pem).expect("the intermediate");
    chains(&dir, &middle, &anchor, &between);
    host::host(&dir, &middle, &anchor);
    estate(&dir, &middle, &anchor);
    probes(&dir, &middle, &anchor);
}

/// Every certificate has a name, a serial number and a signature of its own.
fn chains(dir: &Path, middle: &Ca, anchor: &Path, between: &Path) {
    part(&format!("{CHAINS} PEM files with chains, chains per second and core (CPU time, {ROUNDS} rounds)"));
    let files = dir.join("files");
    std::fs::create_dir(&files).expect("a directory");
    let key = ec_key();
    for n in 0..CHAINS {
        let name = format!("host{n}.funlab.casa");
        let leaf = Leaf::server(&name, &[&name], &[], time::Duration::DAY);
        std::fs::write(files.join(format!("{n}.pem")), middle.leaf(&key, &leaf).pem() + &middle.pem).expect("a chain");
    }
    let mut own = Command::new(omens());
    own.args(["chain-audit", "--no-config", "--fail-on", "none", "--purpose", "server", "--json", "--anchor"]).arg(anchor).arg(&files);
    let mut bare = Command::new(std::env::current_exe().expect("the own path"));
    bare.arg(FLAG).arg(anchor).arg(&files);
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(measure(&own, Some(CLIENT)));
        bares.push(measure(&bare, Some(CLIENT)));
    }
    let rate = |costs: &[Cost]| per_second(CHAINS, times(costs, |cost| cost.cpu));
    let ratio = rate(&ours) / rate(&bares);
    beside("bare rustls-webpki: read, PEM, path, signatures", &format!("{:.0}/s", rate(&bares)));
    let found = format!("{:.0}/s = {:.0} %", rate(&ours), ratio * 100.0);
    figure("omens chain-audit DIR, all lints, JSON report", &found, "at least 60 % of it", ratio >= 0.6);
    beside("  peak memory", &format!("{:.0} MiB", crate::peak(&ours)));
    if program("openssl").is_none() {
        return println!("*** openssl is not installed: its figures are missing");
    }
    let verify = |names: &[PathBuf]| {
        let mut command = Command::new("openssl");
        command.args(["verify", "-purpose", "sslserver", "-CAfile"]).arg(anchor).arg("-untrusted").arg(between).args(names);
        measure(&command, Some(CLIENT)).cpu
    };
    let name = |n: usize| files.join(format!("{n}.pem"));
    let many: Vec<PathBuf> = (0..AT_ONCE).map(name).collect();
    beside(&format!("openssl verify, {AT_ONCE} files a process"), &format!("{:.0}/s", per_second(AT_ONCE, verify(&many))));
    let single: Duration = (0..ONE_BY_ONE).map(|n| verify(&[name(n)])).sum();
    beside("openssl verify, a process for each file", &format!("{:.0}/s", per_second(ONE_BY_ONE, single)));
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The bare verifier: the leaf's and the intermediate's signature and path, nothing else.
pub fn as_verifier(arguments: &[String]) -> ! {
    let root = CertificateDer::from_pem_file(&arguments[0]).expect("the root");
    let anchors = [webpki::anchor_from_trusted_cert(&root).expect("an anchor")];
    let usage = webpki::KeyUsage::server_auth();
    let now = UnixTime::now();
    let mut good = 0_usize;
    for entry in std::fs::read_dir(&arguments[1]).expect("the files") {
        let pem = std::fs::read(entry.expect("an entry").path()).expect("a file");
        let mut chain = CertificateDer::pem_slice_iter(&pem).map(|der| der.expect("PEM"));
        let leaf = chain.next().expect("a leaf");
        let rest: Vec<CertificateDer<'_>> = chain.collect();
        let end = webpki::EndEntityCert::try_from(&leaf).expect("a certificate");
        end.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &rest, now, usage, None, None).expect("a path");
        good += 1;
    }
    assert_eq!(good, CHAINS);
    std::process::exit(0);
}

/// Three hosts with 20 files between them and 8 endpoints: three audits of copies, one of what is served, one merge.
fn estate(dir: &Path, middle: &Ca, anchor: &Path) {
    part("3 hosts, 20 files, 8 endpoints (median of 10)");
    let mut nginx = Nginx::new(None);
    let (mut roots, mut endpoints) = (Vec::new(), Vec::new());
    for (host, sites) in [("auth", 3), ("ca", 3), ("spire", 2)] {
        let root = dir.join(host);
        let tls = root.join("etc/nginx/tls");
        std::fs::create_dir_all(&tls).expect("a host");
        std::fs::write(root.join("estate.toml"), format!("host = \"{host}.funlab.casa\"\n")).expect("estate.toml");
        std::fs::create_dir_all(root.join("etc/ssl/funlab")).expect("a directory");
        std::fs::copy(anchor, root.join("etc/ssl/funlab/root.pem")).expect("a copy");
        let mut conf = String::from("events {}\nhttp {\n");
        for n in 0..sites {
            let name = format!("s{n}.{host}.funlab.casa");
            let (key, leaf) =
                (ec_key(), Leaf::server(&name, &[&name, "localhost"], &["127.0.0.1".parse().expect("an address")], time::Duration::DAY));
            let (certificate, key_file) = (tls.join(format!("{n}.pem")), tls.join(format!("{n}.key")));
            std::fs::write(&certificate, middle.leaf(&key, &leaf).pem() + &middle.pem).expect("a chain");
            place::write_secret(&key_file, &key.serialize_pem());
            conf.push_str(&format!(
                "server {{ listen 443 ssl; server_name {name}; ssl_certificate tls/{n}.pem; ssl_certificate_key tls/{n}.key; }}\n"
            ));
            endpoints.push(format!("127.0.0.1:{}", nginx.fixed(&name, &certificate, &key_file)));
        }
        std::fs::write(root.join("etc/nginx/nginx.conf"), conf + "}\n").expect("nginx.conf");
        roots.push(root);
    }
    nginx.start();
    let script = |report: &Path| {
        let mut all: Vec<Vec<String>> = Vec::new();
        let text = |path: &Path| path.display().to_string();
        for root in &roots {
            all.push(vec!["--root".into(), text(root)]);
        }
        all.push([vec!["--anchor".into(), text(anchor)], endpoints.clone()].concat());
        let mut lines = String::from("set -e\n");
        let (omens, report) = (text(&omens()), text(report));
        for (n, arguments) in all.iter().enumerate() {
            lines.push_str(&format!("'{omens}' chain-audit --no-config --fail-on none --json {} > '{report}.{n}'\n", arguments.join(" ")));
        }
        lines + &format!("'{omens}' chain-audit merge --fail-on none --format html '{report}'.[0-3] > '{report}'\n")
    };
    let report = dir.join("report.html");
    let mut command = Command::new("sh");
    command.args(["-c", &script(&report)]);
    let costs: Vec<Cost> = (0..10).map(|_| measure(&command, None)).collect();
    let wall = times(&costs, |cost| cost.wall);
    let page = std::fs::read_to_string(&report).expect("the report");
    assert!(endpoints.iter().all(|endpoint| page.contains(endpoint.as_str())), "every endpoint is in the report");
    figure("three audits of files, one of endpoints, merge to HTML", &ms(wall), "under 1 s", wall < Duration::from_secs(1));
}

/// Scanners ask for much that a probe does not; they are what people take for the same question today.
fn probes(dir: &Path, middle: &Ca, anchor: &Path) {
    part("one endpoint: TLS versions, chain, client certificates (median of 5)");
    let (key, leaf) =
        (ec_key(), Leaf::server("localhost", &["localhost"], &["127.0.0.1".parse().expect("an address")], time::Duration::DAY));
    let (certificate, key_file) = (dir.join("localhost.pem"), dir.join("localhost.key"));
    std::fs::write(&certificate, middle.leaf(&key, &leaf).pem() + &middle.pem).expect("a chain");
    place::write_secret(&key_file, &key.serialize_pem());
    let mut nginx = Nginx::new(None);
    let port = nginx.fixed("localhost", &certificate, &key_file);
    nginx.start();
    let endpoint = format!("localhost:{port}");
    let mut own = Command::new(omens());
    own.args(["probe", "--json", &endpoint, "--trust"]).arg(anchor);
    let five = |command: &Command| times(&(0..5).map(|_| measure(command, None)).collect::<Vec<_>>(), |cost| cost.wall);
    let ours = five(&own);
    match std::env::var_os("SSLYZE") {
        Some(sslyze) => {
            let mut command = Command::new(sslyze);
            command.args([
                "--tlsv1",
                "--tlsv1_1",
                "--tlsv1_2",
                "--tlsv1_3",
                "--certinfo",
                "--mozilla_config",
                "disable",
                "--certinfo_ca_file",
            ]);
            let theirs = five(command.arg(anchor).arg(&endpoint));
            let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
            beside("sslyze: versions and certificates", &ms(theirs));
            figure("omens probe", &format!("{} = {ratio:.0} times faster", ms(ours)), "at least 10 times", ratio >= 10.0);
        }
        None => println!("*** sslyze is not there: omens probe took {}", ms(ours)),
    }
    match program("testssl") {
        Some(testssl) => {
            let mut command = Command::new(testssl);
            command.args(["--quiet", "--color", "0", "--ip", "127.0.0.1", "--protocols", "--server-defaults"]);
            // Its exit code counts what it dislikes.
            let mut lenient = Command::new("sh");
            lenient.args(["-c", "\"$0\" \"$@\" || true"]).arg(command.get_program()).args(command.get_args()).arg(&endpoint);
            beside("testssl.sh --protocols --server-defaults", &ms(median(&[measure(&lenient, None).wall])));
        }
        None => println!("*** testssl.sh is not installed"),
    }
}
