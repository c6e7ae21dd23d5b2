//! Configurations of nginx beside `nginx -t`: what it refuses has a finding that says so, and what it takes has none.

mod grammar;
mod mistakes;
mod modules;
mod others;
mod tree;

use std::fs;
use std::path::Path;
use std::process::Command;

use omens::audit::facts::findings::HostFindings;
use omens::audit::facts::given::Given;
use omens::audit::run as audit;
use omens::audit::target::AuditTarget;
use omens::io::look::View;
use omens::model::audit::Finding;
use omens::model::clock::Time;
use omens::model::finding::Severity;
use rcgen::{CertificateParams, KeyPair};

use crate::book::{Book, Difference, Way};
use crate::choice::{Random, once};
use crate::skipped::skipped;
use crate::{Course, program, run, said};
use modules::Module;
use tree::Node;

/// Where all of it lies in the host that is looked at.
pub const DIRECTORY: &str = "etc/nginx";
/// The main file's name.
pub const MAIN: &str = "nginx.conf";

/// What the configurations name: pairs, files that are none, files to be included.
fn files(directory: &Path) {
    let pair = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![format!("{name}.example")]).expect("a certificate");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(directory.join(format!("{name}.crt")), certificate.pem()).expect("a file");
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
    };
    fs::create_dir_all(directory).expect("a directory");
    pair("one");
    pair("two");
    for directory in ["tmp", "sites", "empty", "sites/directory.d"].map(|name| directory.join(name)) {
        fs::create_dir(directory).expect("a directory");
    }
    for (name, text) in [
        ("garbage.pem", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"),
        ("empty.pem", ""),
        ("headers.conf", "proxy_set_header Host $host;\nproxy_set_header X-Real-IP $remote_addr;\n"),
        ("broken.conf", "proxy_set_header Host $host\n"),
        ("loop.conf", "include loop.conf;\n"),
        ("words.txt", "a 1;\nb 2;\n"),
    ] {
        fs::write(directory.join(name), text).expect("a file");
    }
}

/// The package whose version decides which directives there are.
fn version_of(nginx: &Path, root: &Path) {
    let words = said(&run(Command::new(nginx).arg("-v")));
    let version = words.trim().rsplit('/').next().unwrap_or_default().split(' ').next().unwrap_or_default().to_owned();
    let mut status = format!("Package: nginx\nStatus: install ok installed\nVersion: {version}-1\n\n");
    // Debian's has stream and mail as modules.
    if said(&run(Command::new(nginx).arg("-V"))).contains("--with-stream=dynamic") {
        status += &status.replace("Package: nginx\n", "Package: nginx-common\n");
    }
    fs::create_dir_all(root.join("var/lib/dpkg")).expect("a directory");
    fs::write(root.join("var/lib/dpkg/status"), status).expect("a file");
}

/// Whether a finding says that nginx does not start.
pub fn stops(finding: &Finding) -> bool {
    const AREAS: &[&str] = &["input.malformed", "pair.", "pem.", "chain.leaf-not-first", "trust.absent", "trust.empty", "trust.malformed"];
    finding.severity == Severity::High && (finding.title.contains("not start") || AREAS.iter().any(|area| finding.id.starts_with(area)))
}

/// What we say of it.
fn ours(root: &Path) -> String {
    let target = AuditTarget::parse(&format!("nginx:/{DIRECTORY}/{MAIN}"), |_| false).expect("a target");
    let mut findings = HostFindings::new(Time::parse("2026-01-10T12:00:00Z").expect("a time"), "host");
    audit::files(&View::root(root).expect("the root"), &[target], &Given::default(), &mut findings);
    let document = findings.into_document();
    let words: Vec<String> = document
        .findings
        .iter()
        .filter(|finding| stops(finding))
        .map(|finding| {
            let line = finding.files.first().and_then(|file| file.line).unwrap_or_default();
            format!("{} in line {line}: expected {}, found {}", finding.id, finding.expected, finding.found)
        })
        .collect();
    words.join("; ")
}

/// One configuration, with what is wrong in it, in words.
struct Made {
    text: String,
    mistakes: Vec<String>,
}

/// Each has a seed of its own, so that one more choice in one of them does not change all after it.
fn random(course: Course, step: usize) -> Random {
    Random::new(course.seed.wrapping_mul(1_000_003).wrapping_add(u64::try_from(step).expect("64 bits")))
}

fn of_http(course: Course, step: usize) -> Made {
    let mut random = random(course, step);
    let mut list = grammar::configuration(&mut random);
    let mistakes = match () {
        // The text alone, behind those of the directives.
        () if step >= course.steps => vec!["text".to_owned()],
        () if once(&mut random, 4) => Vec::new(),
        () => mistakes::make(&mut list, &mut random, mistakes::HTTP),
    };
    Made { text: mistakes::in_text(tree::write(&list, &mut random), &mistakes, &mut random), mistakes }
}

/// `stream`, `mail` or both, seldom beside `http`. The lines that load them share the first one.
fn of_others(course: Course, step: usize, loads: [&Module; 2]) -> Made {
    let mut random = random(course, step);
    let mut list = grammar::outer(&mut random);
    let both = once(&mut random, 5);
    let mail = once(&mut random, 2);
    if once(&mut random, 10) {
        list.push(Node::block("http", grammar::http(&mut random)));
    }
    let [stream_load, mail_load] = loads;
    let there = |module: &Module| *module != Module::Absent;
    if there(stream_load) && (both || !mail || !there(mail_load)) {
        list.push(Node::block("stream", others::stream(&mut random)));
    }
    if there(mail_load) && (both || mail || !there(stream_load)) {
        list.push(Node::block("mail", others::mail(&mut random)));
    }
    let mut mistakes = Vec::new();
    if !once(&mut random, 4) {
        mistakes = mistakes::make(&mut list, &mut random, mistakes::STREAM_AND_MAIL);
    }
    let text = mistakes::in_text(tree::write(&list, &mut random), &mistakes, &mut random);
    let line = |module: &Module| if let Module::Loaded(line) = module { line.clone() } else { String::new() };
    let mut lines = line(stream_load) + &line(mail_load);
    if once(&mut random, 25) {
        mistakes.push("a module that is not loaded".to_owned());
        lines = if once(&mut random, 2) { line(stream_load) } else { line(mail_load) };
    }
    Made { text: lines + &text, mistakes }
}

/// What nginx says of the main file, where it refuses it.
fn real(nginx: &Path, prefix: &Path) -> Option<String> {
    let output = run(Command::new(nginx).args(["-t", "-e", "stderr", "-p"]).arg(prefix).arg("-c").arg(prefix.join(MAIN)));
    let words = said(&output);
    let line = words.lines().find(|line| line.contains("[emerg]")).unwrap_or(&words).replace(&prefix.display().to_string(), "");
    (!output.status.success()).then_some(line)
}

#[test]
fn configurations_are_nginxs() {
    let Some(nginx) = program("nginx") else {
        return skipped("the reader of nginx beside nginx -t: there is no nginx (Debian: nginx-light)");
    };
    let course = Course::of(500);
    let mut book = Book::open("nginx", course);
    let place = tempfile::tempdir().expect("a directory");
    let prefix = place.path().join(DIRECTORY);
    files(&prefix);
    version_of(&nginx, place.path());
    let [stream, mail] = ["stream", "mail"].map(|name| modules::of(&nginx, name));
    for (name, _) in [("stream", &stream), ("mail", &mail)].iter().filter(|(_, module)| **module == Module::Absent) {
        skipped(&format!("servers of {name} beside nginx -t: this nginx has no such module (Debian: libnginx-mod-{name})"));
    }
    let has_others = [&stream, &mail].iter().any(|module| **module != Module::Absent);
    let of_http_alone = course.steps + course.steps / 2;
    let all = of_http_alone + if has_others { course.steps } else { 0 };
    for step in 0..all {
        let made = if step < of_http_alone { of_http(course, step) } else { of_others(course, step, [&stream, &mail]) };
        fs::write(prefix.join(MAIN), &made.text).expect("the configuration");
        let real = real(&nginx, &prefix);
        let ours = ours(place.path());
        book.judged(real.is_some());
        let way = match (real.is_some(), ours.is_empty()) {
            (true, true) => Way::Missed,
            (false, false) => Way::FalseAlarm,
            _ => continue,
        };
        let real = real.unwrap_or_default();
        let input = format!("# number {step}, with: {}\n{}", made.mistakes.join(", "), around(&made.text, &format!("{real} {ours}")));
        book.differ(&Difference { way, real, ours, input });
    }
    let version = run(Command::new(&nginx).arg("-v"));
    book.close(said(&version).trim());
}

/// The lines of a text that words speak of (`nginx.conf:12`, `line 12`), with those beside them; all of it where they speak of none.
fn around(text: &str, words: &str) -> String {
    let number = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().ok();
    let named: Vec<usize> = ["nginx.conf:", "in line "].iter().flat_map(|mark| words.split(mark).skip(1)).filter_map(number).collect();
    let near = |at: usize| named.iter().any(|line| line.abs_diff(at) <= 2);
    let lines: Vec<String> = (1..).zip(text.lines()).filter(|(at, _)| near(*at)).map(|(at, line)| format!("{at}: {line}")).collect();
    if lines.is_empty() { text.to_owned() } else { lines.join("\n") }
}
