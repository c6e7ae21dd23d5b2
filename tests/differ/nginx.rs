//! Configurations of nginx beside `nginx -t`: what it refuses has a finding that says so, and what it takes has none.

mod grammar;
mod mistakes;
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
    let said = said(&run(Command::new(nginx).arg("-v")));
    let version = said.trim().rsplit('/').next().unwrap_or_default().split(' ').next().unwrap_or_default().to_owned();
    let status = format!("Package: nginx\nStatus: install ok installed\nVersion: {version}-1\n\n");
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
    let main = prefix.join(MAIN);
    for step in 0..course.steps + course.steps / 2 {
        // Each has a seed of its own, so that one more choice in one of them does not change all after it.
        let mut random = Random::new(course.seed.wrapping_mul(1_000_003).wrapping_add(u64::try_from(step).expect("64 bits")));
        let mut list = grammar::configuration(&mut random);
        let made = match () {
            // The text alone, behind those of the directives.
            () if step >= course.steps => vec!["text".to_owned()],
            () if once(&mut random, 4) => Vec::new(),
            () => mistakes::make(&mut list, &mut random),
        };
        let text = mistakes::in_text(tree::write(&list, &mut random), &made, &mut random);
        fs::write(&main, &text).expect("the configuration");
        let output = run(Command::new(&nginx).args(["-t", "-e", "stderr", "-p"]).arg(&prefix).arg("-c").arg(&main));
        let refused = !output.status.success();
        let words = said(&output);
        let real = words.lines().find(|line| line.contains("[emerg]")).unwrap_or(&words).replace(&prefix.display().to_string(), "");
        let ours = ours(place.path());
        book.judged(refused);
        let way = match (refused, ours.is_empty()) {
            (true, true) => Way::Missed,
            (false, false) => Way::FalseAlarm,
            _ => continue,
        };
        let input = format!("# number {step}, with: {}\n{}", made.join(", "), around(&text, &format!("{real} {ours}")));
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
