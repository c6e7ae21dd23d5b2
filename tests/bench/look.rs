//! What only looks, on a large host: `status` and `plan` with thousands of certificates, and with a history of a million lines beside them.

use std::io::Write as _;
use std::path::Path;

use super::measure::{Cost, measure, median, ms};
use super::{beside, figure, part};
use crate::lab::estate::{Cert, Estate};
use crate::lab::openbao::{OpenBao, Options};

const MANY: usize = 3000;
const LINES: usize = 1_000_000;
const ROUNDS: usize = 7;

/// The part by itself.
pub fn look() {
    looking(&OpenBao::start(Options::REAL));
}

/// Makes the host from one certificate that is issued, and looks at it.
pub fn looking(bao: &OpenBao) {
    part(&format!("{MANY} certificates on one host, looked at (median of {ROUNDS})"));
    let mut estate = Estate::at(bao);
    estate.certs = vec![Cert::web("web")];
    estate.write();
    assert_eq!(estate.renew().code, 0);
    multiply(&mut estate);
    let (status, plan) = (estate.command(&["status"]), estate.command(&["plan"]));
    let run = |command| -> Vec<Cost> { (0..=ROUNDS).map(|_| measure(command, None)).skip(1).collect() };
    let wall = |costs: &[Cost]| median(&costs.iter().map(|cost| cost.wall).collect::<Vec<_>>());
    let short = wall(&run(&status));
    figure("omens status", &ms(short), "under 1500 ms", short.as_millis() < 1500);
    beside("omens plan", &ms(wall(&run(&plan))));
    lengthen(&estate.state().join("ledger.jsonl"));
    let long = wall(&run(&status));
    let ratio = long.as_secs_f64() / short.as_secs_f64();
    figure(&format!("  with a ledger of {LINES} lines"), &format!("{} = {ratio:.2}", ms(long)), "at most 1.15 of that", ratio <= 1.15);
}

/// The first certificate under many names: the same files, each with directories, links and a state of its own.
fn multiply(estate: &mut Estate) {
    let (certs, run) = (estate.state().join("certs"), estate.run_dir());
    for number in 1..MANY {
        let name = format!("c{number}");
        copy(&certs.join("web"), &certs.join(&name));
        std::fs::copy(certs.join("web/state.json"), certs.join(&name).join("state.json")).expect("state");
        copy(&run.join("web"), &run.join(&name));
        std::os::unix::fs::symlink("live/nginx.conf", run.join(&name).join("nginx.conf")).expect("link");
        estate.certs.push(Cert::web(&name));
    }
    // Settings of more than a mebibyte are split.
    let text = estate.settings_text();
    let middle = text.match_indices("[[certificate]]").nth(MANY / 2).expect("many").0;
    std::fs::write(estate.settings(), &text[..middle]).expect("settings");
    std::fs::create_dir_all(estate.dir.join("omens.d")).expect("omens.d");
    std::fs::write(estate.dir.join("omens.d/more.toml"), &text[middle..]).expect("more settings");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("gen-1")).expect("a directory");
    for entry in std::fs::read_dir(from.join("gen-1")).expect("gen-1").flatten() {
        std::fs::hard_link(entry.path(), to.join("gen-1").join(entry.file_name())).expect("a file");
    }
    // It names its own paths.
    let own = to.join("gen-1/nginx.conf");
    if let Ok(text) = std::fs::read_to_string(&own) {
        std::fs::remove_file(&own).expect("nginx.conf");
        let name = to.file_name().and_then(std::ffi::OsStr::to_str).expect("a name");
        std::fs::write(&own, text.replace("/web/", &format!("/{name}/"))).expect("nginx.conf");
    }
    std::os::unix::fs::symlink("gen-1", to.join("live")).expect("live");
}

/// The lines that are there, a million times.
fn lengthen(ledger: &Path) {
    let text = std::fs::read_to_string(ledger).expect("the ledger");
    let line = text.lines().next().expect("a line").to_owned();
    let mut file = std::io::BufWriter::new(std::fs::OpenOptions::new().append(true).open(ledger).expect("the ledger"));
    for _ in 0..LINES {
        writeln!(file, "{line}").expect("a line");
    }
}
