//! Units beside `systemd-analyze verify`: which of them systemd does not load, which lines it passes over, and what they run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use omens::audit::consumer::systemd;
use omens::audit::facts::findings::HostFindings;
use omens::io::look::View;
use omens::model::audit::Finding;
use omens::model::clock::Time;
use omens::model::finding::Severity;

use crate::book::{Book, Difference, Way};
use crate::choice::{Random, misspelled, number, once, pick};
use crate::skipped::skipped;
use crate::{Course, program, run, said};

/// Where they lie in the host that is looked at.
const DIRECTORY: &str = "etc/systemd/system";

/// Settings of a section with values that it takes.
const UNIT: &[(&str, &[&str])] = &[
    ("Description", &["certificates", "a \\\n  b", "x = y"]),
    ("After", &["network-online.target", ""]),
    ("Wants", &["network-online.target"]),
    ("ConditionPathExists", &["/etc", "!/run/x", "|/a"]),
    ("StartLimitIntervalSec", &["10min", "0"]),
    ("OnFailure", &["alert@%n.service"]),
    ("X-Note", &["anything"]),
    ("SuccessAction", &["none"]),
];
const SERVICE: &[(&str, &[&str])] = &[
    ("Type", &["oneshot", "simple", "exec", "notify", "dbus", "notify-reload", "bogus"]),
    ("ExecStartPre", &["/absent/pre", "-/absent/pre --x", "+/absent/pre 'a b'"]),
    ("ExecStartPost", &["/absent/post", "/absent/post \\\n  --more", "-/absent/post"]),
    ("ExecReload", &["/absent/reload $MAINPID", "/bin/kill -HUP $MAINPID"]),
    ("ExecStop", &["/absent/stop"]),
    ("User", &["root", "nobody"]),
    ("Environment", &["A=1", "'A=b c' B=2", "\"A=x"]),
    ("EnvironmentFile", &["-/etc/default/x"]),
    ("Restart", &["no", "always", "on-failure", "on-success", "never"]),
    ("RestartSec", &["5s", "1min 30s", "1x"]),
    ("RemainAfterExit", &["yes", "no", "maybe"]),
    ("ProtectSystem", &["strict", "full", "yes"]),
    ("ReadWritePaths", &["/etc/ssl /run", "-/x"]),
    ("LoadCredential", &["key:/etc/key"]),
    ("TimeoutStartSec", &["90", "infinity"]),
    ("UMask", &["0077", "0999"]),
    ("TimerSlackNSec", &["50ns", "1ms", "soon"]),
    ("IODeviceLatencyTargetSec", &["/dev/sda 25ms"]),
    ("PrivateTmp", &["true"]),
    ("BusName", &["org.example.x"]),
    ("ExecStart", &["", "/absent/other"]),
];
const START: &[&str] = &[
    "/absent/start",
    "/absent/start --a 'b c'",
    "-/absent/start",
    "@/absent/start name",
    "/absent/start \\\n  --more \\\n  # a comment\n  --last",
    "/absent/\"start\"",
    "\"/absent/start\" x",
    "absent-name",
    "./relative",
    "a/b",
    "/absent/start 'open",
    "+!/absent/start",
    "-",
    "/absent/start ; /absent/second",
    "/absent/start -c 'cd /srv ; exec ./run'",
    "/absent/start \"a ; b\"",
    "/absent/start \\; b",
    "/absent/start ;b",
    "/absent/start ;",
    "/absent/start \\\\",
    ":/absent/start ${X}",
    "%h/start",
];
const TIMER: &[(&str, &[&str])] = &[
    ("OnCalendar", &["daily", "*-*-* 03:00", "Mon..Fri 3:00", "*-*-* */6:00", "fortnightly", "*:0/15", "@1735689600", "%n", "@soon"]),
    ("OnBootSec", &["5min", "1x", ""]),
    ("OnUnitActiveSec", &["1h"]),
    ("RandomizedDelaySec", &["10min"]),
    ("Persistent", &["true", "maybe"]),
    ("AccuracySec", &["1min"]),
];
const INSTALL: &[(&str, &[&str])] = &[("WantedBy", &["multi-user.target", "timers.target"]), ("Alias", &["other.service"])];
/// Lines that are none, or stand elsewhere.
const ODD: &[&str] = &[
    "[Bogus]",
    "[service]",
    "[Service",
    "no setting",
    "=x",
    "ExecStart /absent/x",
    "[X-Own]",
    "[]",
    " [Service]",
    "Key = value",
    "; a comment",
    "# a comment",
    "OnCalendar=daily",
    "WantedBy=x.target",
    "User",
    "[Unit] # no",
    "\u{feff}",
    "é=1",
    "A=\\",
    "Requires=a.service",
    "ImportCredential=x",
    "ExecStart",
];

fn settings(random: &mut Random, known: &[(&str, &[&str])], most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..random.below(most + 1) {
        let (key, values) = known[random.below(known.len())];
        // What is wrong with a value alone is seldom.
        let value = values[if once(random, 3) { random.below(values.len()) } else { 0 }];
        let key = if once(random, 25) { misspelled(random, key) } else { key.to_owned() };
        let equals = pick(random, &["=", "=", "=", " = "]);
        lines.push(format!("{key}{equals}{value}"));
    }
    lines
}

/// The text of a unit; `service` or a timer.
fn unit(random: &mut Random, service: bool) -> String {
    let mut sections: Vec<(&str, Vec<String>)> = vec![("[Unit]", settings(random, UNIT, 3))];
    if service {
        let mut lines = settings(random, SERVICE, 5);
        for _ in 0..pick(random, &[&1, &1, &1, &1, &1, &0, &2]).to_owned() {
            let start = START[if once(random, 2) { random.below(START.len()) } else { 0 }];
            lines.insert(random.below(lines.len() + 1), format!("ExecStart={start}"));
        }
        sections.push(("[Service]", lines));
    } else {
        let mut lines = settings(random, TIMER, 3);
        if !once(random, 5) {
            lines.push("OnCalendar=daily".to_owned());
        }
        lines.push("Unit=target.service".to_owned());
        sections.push(("[Timer]", lines));
    }
    sections.push(("[Install]", settings(random, INSTALL, 2)));
    if once(random, 12) {
        sections.swap(0, 1);
    }
    let mut lines: Vec<String> = sections.into_iter().flat_map(|(header, lines)| std::iter::once(header.to_owned()).chain(lines)).collect();
    for _ in 0..pick(random, &[&0, &0, &0, &1, &2]).to_owned() {
        lines.insert(random.below(lines.len() + 1), pick(random, ODD).to_owned());
    }
    if once(random, 20) {
        lines.remove(random.below(lines.len()));
    }
    let end = if once(random, 15) { "" } else { "\n" };
    lines.join(if once(random, 15) { "\n\n" } else { "\n" }) + end
}

/// What is said of one unit.
#[derive(Default)]
struct Said {
    /// Why it is not loaded.
    refused: Option<String>,
    /// Lines that are passed over, with the words.
    ignored: BTreeMap<u32, String>,
    /// Programs that are not there.
    runs: BTreeSet<String>,
}

/// What `systemd-analyze verify` says, by unit.
fn asked(analyze: &Path, directory: &Path, names: &[String]) -> BTreeMap<String, Said> {
    let mut command = Command::new(analyze);
    command.args(["verify", "--man=no", "--recursive-errors=no"]).env("SYSTEMD_UNIT_PATH", directory).env("SYSTEMD_LOG_LEVEL", "warning");
    let words = said(&run(command.args(names.iter().map(|name| directory.join(name)))));
    let mut all: BTreeMap<String, Said> = names.iter().map(|name| (name.clone(), Said::default())).collect();
    let start = format!("{}/", directory.display());
    for line in words.lines() {
        if let Some((name, rest)) = line.strip_prefix(&start).and_then(|rest| rest.split_once(':')) {
            let Some(said) = all.get_mut(name) else { continue };
            let (number, why) = rest.split_once(": ").unwrap_or(("0", rest));
            let fatal = why.contains("Failed to parse file") || why.contains("Invalid section header");
            if fatal {
                said.refused.get_or_insert_with(|| why.to_owned());
            } else {
                said.ignored.insert(number.parse().unwrap_or_default(), why.to_owned());
            }
        } else if let Some((name, why)) = line.split_once(": ") {
            let Some(said) = all.get_mut(name) else { continue };
            if why.contains("Refusing") {
                said.refused = Some(why.to_owned());
            } else if let Some(path) = why.strip_prefix("Command ").and_then(|rest| rest.split_once(" is not executable")) {
                said.runs.insert(path.0.to_owned());
            }
        } else if let Some(name) = line.strip_prefix("Unit ").and_then(|rest| rest.strip_suffix(" has a bad unit file setting."))
            && let Some(said) = all.get_mut(name)
        {
            said.refused.get_or_insert_with(|| line.to_owned());
        }
    }
    all
}

/// Whether it says that the unit is not loaded.
fn refuses(finding: &Finding) -> bool {
    match finding.id.as_str() {
        "unit.refused" | "timer.calendar" => true,
        // Beside times that count from a run there was one.
        "timer.never" => finding.found == "neither",
        _ => false,
    }
}

/// The line in which a statement begins that ends in this one.
fn first(text: &str, line: u32) -> u32 {
    let lines: Vec<&str> = text.lines().collect();
    let continues = |at: u32| {
        let before = at.checked_sub(2).and_then(|at| lines.get(usize::try_from(at).expect("64 bits")));
        before.is_some_and(|before| before.ends_with('\\') && !before.ends_with("\\\\"))
    };
    let mut at = line;
    while continues(at) {
        at -= 1;
    }
    at
}

fn words(finding: &Finding) -> String {
    format!("{} {:?}: expected {}, found {}", finding.id, finding.severity, finding.expected, finding.found)
}

/// The program of a command line, as far as this grammar goes.
fn program_of(line: &str) -> Option<String> {
    // Of what may fail nothing is said.
    if line.starts_with('-') {
        return None;
    }
    let bare = line.trim_start_matches(['@', ':', '+', '!']);
    let program = bare.split_whitespace().next()?.replace(['"', '\''], "");
    program.starts_with("/absent").then_some(program)
}

fn compare(book: &mut Book, text: &str, said: &Said, own: &[&Finding], unit: &systemd::Unit) {
    let refused: Vec<String> =
        own.iter().filter(|finding| finding.severity == Severity::High && refuses(finding)).map(|finding| words(finding)).collect();
    let refused = refused.join("; ");
    book.judged(said.refused.is_some());
    let mut differ =
        |way, real: String, ours: String| book.differ(&Difference { way, real, ours, input: format!("# {}\n{text}", unit.name) });
    match (&said.refused, refused.is_empty()) {
        (Some(why), true) => differ(Way::Missed, why.clone(), String::new()),
        (None, false) => differ(Way::FalseAlarm, format!("{:?}", said.ignored), refused.clone()),
        _ => {}
    }
    // Of what is not loaded systemd reads no more than up to there.
    if said.refused.is_some() {
        return;
    }
    let lines: BTreeMap<u32, String> = own
        .iter()
        .filter(|finding| {
            matches!(finding.id.as_str(), "unit.key-unknown" | "unit.line-ignored" | "timer.calendar") && finding.severity < Severity::High
        })
        .filter_map(|finding| Some((finding.files.first()?.line?, words(finding))))
        .collect();
    for (line, why) in said.ignored.iter().filter(|(line, _)| !lines.contains_key(line)) {
        differ(Way::Missed, format!("line {line}: {why}"), String::new());
    }
    for (line, ours) in lines.iter().filter(|(line, _)| !said.ignored.contains_key(line)) {
        differ(Way::FalseAlarm, format!("nothing of line {line}: {:?}", said.ignored), ours.clone());
    }
    let runs: BTreeSet<String> = unit.commands().filter_map(|setting| program_of(&setting.value)).collect();
    // Where one of several is not there systemd may stop at it.
    if !said.runs.is_subset(&runs) || (said.runs.is_empty() != runs.is_empty()) {
        differ(Way::Meaning, format!("runs {:?}", said.runs), format!("{runs:?}"));
    }
}

#[test]
fn units_are_systemds() {
    let Some(analyze) = program("systemd-analyze") else {
        return skipped("units beside systemd-analyze verify: there is none (Debian: systemd)");
    };
    let course = Course::of(600);
    let mut book = Book::open("units", course);
    let mut random = Random::new(course.seed);
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join(DIRECTORY);
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("target.service"), "[Service]\nExecStart=/bin/true\n").expect("a unit");
    let mut texts = BTreeMap::new();
    for at in 0..course.steps {
        let service = number(&mut random, 0, 3) > 0;
        let name = format!("u{at}.{}", if service { "service" } else { "timer" });
        // A name on the bus is one unit's.
        let text = unit(&mut random, service).replace("org.example.x", &format!("org.example.u{at}"));
        fs::write(directory.join(&name), &text).expect("a unit");
        texts.insert(name, text);
    }
    let names: Vec<String> = texts.keys().cloned().collect();
    let mut real = asked(&analyze, &directory, &names);
    let view = View::root(place.path()).expect("the root");
    let mut findings = HostFindings::new(Time::parse("2026-01-10T12:00:00Z").expect("a time"), "host");
    let read = systemd::read(&view, &[], &mut findings);
    let document = findings.into_document();
    for (name, text) in &texts {
        let mut said = real.remove(name).expect("each of them");
        said.ignored = said.ignored.into_iter().map(|(line, why)| (first(text, line), why)).collect();
        said.runs.retain(|program| program.starts_with("/absent"));
        let own: Vec<&Finding> = document.findings.iter().filter(|finding| finding.target.name == *name).collect();
        let unit = read.units.iter().find(|unit| unit.name == *name).expect("a unit that is judged");
        compare(&mut book, text, &said, &own, unit);
    }
    let version = run(Command::new(&analyze).arg("--version"));
    book.close(String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default());
}
