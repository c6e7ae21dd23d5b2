//! PEM beside OpenSSL: the first private key of a file beside `openssl pkey`, and a certificate file with its key beside nginx, which reads
//! both as every service with OpenSSL does.

use std::fs;
use std::path::Path;
use std::process::Command;

use omens::audit::facts::findings::HostFindings;
use omens::audit::facts::given::Given;
use omens::audit::rules::material;
use omens::audit::run as audit;
use omens::audit::target::AuditTarget;
use omens::io::look::View;
use omens::model::clock::Time;
use rcgen::{CertificateParams, KeyPair};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::book::{Book, Difference, Way};
use crate::choice::{Random, number, once, pick};
use crate::nginx::{DIRECTORY, MAIN, stops};
use crate::skipped::skipped;
use crate::{Course, program, run, said};

/// Blocks that belong together.
struct Blocks {
    /// The same key in each encoding, by what it is called.
    keys: Vec<(&'static str, String)>,
    certificate: String,
}

/// Made anew in each run: of these differences none depends on which key it is.
fn blocks(openssl: &Path, directory: &Path) -> Vec<Blocks> {
    let kinds = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ECDSA_P521_SHA512];
    kinds
        .iter()
        .map(|kind| {
            let key = KeyPair::generate_for(kind).expect("a key");
            let certificate =
                CertificateParams::new(vec!["web.example".to_owned()]).and_then(|params| params.self_signed(&key)).expect("a certificate");
            let plain = directory.join("plain.key");
            fs::write(&plain, key.serialize_pem()).expect("a file");
            let other = |arguments: &[&str]| {
                let output = run(Command::new(openssl).args(["pkey", "-in"]).arg(&plain).args(arguments));
                assert!(output.status.success(), "openssl pkey {arguments:?}: {}", said(&output));
                String::from_utf8(output.stdout).expect("PEM")
            };
            let keys = vec![
                ("PKCS#8", key.serialize_pem()),
                ("the form of its kind", other(&["-traditional"])),
                ("encrypted", other(&["-aes256", "-passout", "pass:secret"])),
            ];
            Blocks { keys, certificate: certificate.pem() }
        })
        .collect()
}

/// What is done to a text; what it is, in words.
fn damaged(text: &mut String, random: &mut Random) -> String {
    match random.below(22) {
        kind @ 0..8 => one_line(text, kind, random),
        kind @ 8..14 => letters(text, kind, random).to_owned(),
        kind => all(text, kind, random),
    }
}

/// One line changed, gone, or more.
fn one_line(text: &mut String, kind: usize, random: &mut Random) -> String {
    const MORE: &[&str] = &[
        "subject=CN = x",
        "# a comment",
        "Bag Attributes",
        "    friendlyName: x",
        "localKeyID: 01 02",
        "Proc-Type: 4,ENCRYPTED",
        "AAAA",
        "-",
        "=",
        "X: y",
    ];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.below(lines.len());
    let what = match kind {
        0 => {
            lines[at].insert_str(0, pick(random, &[" ", "\t", "    "]));
            "indented"
        }
        1 => {
            lines.insert(at, String::new());
            "an empty line"
        }
        2 => {
            lines[at].push_str(pick(random, &[" ", "\t", "  ", "\r"]));
            "white space at the end"
        }
        3 => {
            lines.remove(at);
            "a line less"
        }
        4 | 5 => {
            lines.insert(at, pick(random, MORE).to_owned());
            "a line more"
        }
        6 => {
            let column = random.below(lines[at].len() + 1);
            lines[at].insert_str(column, pick(random, &["!", " ", "A", "=", "-", "é", "\\n", "*"]));
            "a letter more"
        }
        _ => {
            lines.insert(at, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----".to_owned());
            "parameters"
        }
    };
    *text = lines.join("\n") + "\n";
    format!("{what} in line {}", at + 1)
}

/// Letters that are no lines of their own.
fn letters(text: &mut String, kind: usize, random: &mut Random) -> &'static str {
    match kind {
        8 => {
            text.insert(0, '\u{feff}');
            "a byte order mark"
        }
        9 => {
            let boundary = pick(random, &["-----BEGIN", "-----END", "-----\n"]);
            *text = text.replacen(boundary, pick(random, &["----", "------", "----BEGIN", "-----begin"]), 1);
            "a damaged boundary"
        }
        10 => {
            text.truncate(text.trim_end().len());
            "no newline at the end"
        }
        11 => {
            text.truncate(number(random, 1, text.len() - 1));
            "cut off"
        }
        12 => {
            *text = text.replace("-----END PRIVATE KEY-----\n", "-----END PRIVATE KEY-----");
            *text = text.replace("-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----");
            "glued"
        }
        _ => {
            *text = text.replace('=', "");
            "no padding"
        }
    }
}

/// The whole text in another way.
fn all(text: &mut String, kind: usize, random: &mut Random) -> String {
    const LABELS: &[&str] = &[
        "X509 CERTIFICATE",
        "TRUSTED CERTIFICATE",
        "certificate",
        "CERTIFICATE REQUEST",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "ANY PRIVATE KEY",
        "PUBLIC KEY",
    ];
    let (changed, what) = match kind {
        14 => (text.lines().map(|line| format!("  {line}\n")).collect(), "all indented"),
        15 => (text.replace('\n', "\r\n"), "CR LF"),
        16 => (text.replace('\n', "\\n"), "lines that end in two characters"),
        17 => {
            let label = pick(random, LABELS);
            let old = if text.contains("CERTIFICATE") && once(random, 2) { "CERTIFICATE" } else { "PRIVATE KEY" };
            *text = text.replace(&format!("{old}-----"), &format!("{label}-----"));
            return format!("{label} for {old}");
        }
        18 => {
            let inner: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            let outer = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
            (format!("{}\n{inner}\n{}\n", outer("-----BEGIN"), outer("-----END")), "one long line")
        }
        19 => (format!("{text}{text}"), "twice"),
        20 => (text.replace('\n', "\n\n"), "empty lines between all"),
        _ if once(random, 3) => (String::new(), "nothing"),
        _ => (text.clone(), "nothing done"),
    };
    *text = changed;
    what.to_owned()
}

/// The first lines of each block, never a whole key.
fn shown(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.escape_debug().to_string().chars().take(60).collect::<String>())).collect()
}

#[test]
fn keys_are_openssls() {
    let Some(openssl) = program("openssl") else { return skipped("keys beside openssl pkey: there is no openssl (Debian: openssl)") };
    let course = Course::of(500);
    let mut book = Book::open("keys", course);
    let mut random = Random::new(course.seed);
    let place = tempfile::tempdir().expect("a directory");
    let all = blocks(&openssl, place.path());
    for _ in 0..course.steps {
        let blocks = &all[random.below(all.len())];
        let (name, key) = &blocks.keys[random.below(blocks.keys.len())];
        let mut text = match random.below(4) {
            0 => format!("{}{key}", blocks.certificate),
            1 => format!("{key}{}", blocks.certificate),
            _ => key.clone(),
        };
        let mut what = damaged(&mut text, &mut random);
        if once(&mut random, 5) && !text.trim().is_empty() {
            what = format!("{what}, {}", damaged(&mut text, &mut random));
        }
        let file = place.path().join("key.pem");
        fs::write(&file, &text).expect("a file");
        let output = run(Command::new(&openssl)
            .args(["pkey", "-inform", "PEM", "-passin", "pass:wrong", "-pubout", "-outform", "DER", "-in"])
            .arg(&file));
        let real = output
            .status
            .success()
            .then(|| SubjectPublicKeyInfo::from_der(&output.stdout).expect("a key").1.subject_public_key.data.into_owned());
        let ours = material::public_keys(text.as_bytes()).into_iter().next();
        book.judged(real.is_none());
        let way = match (&real, &ours) {
            (None, Some(_)) => Way::Missed,
            (Some(_), None) => Way::FalseAlarm,
            (Some(real), Some(ours)) if real != ours => Way::Meaning,
            _ => continue,
        };
        let words = said(&output).lines().next().unwrap_or("read").to_owned();
        let ours = if ours.is_some() { "read" } else { "no key" };
        book.differ(&Difference { way, real: words, ours: ours.to_owned(), input: format!("# {name}: {what}\n{}", shown(&text)) });
    }
    let version = run(Command::new(&openssl).arg("version"));
    book.close(String::from_utf8_lossy(&version.stdout).trim());
}

#[test]
fn pairs_are_openssls() {
    let (Some(openssl), Some(nginx)) = (program("openssl"), program("nginx")) else {
        return skipped("certificate files beside OpenSSL: there is no openssl or no nginx (Debian: openssl, nginx-light)");
    };
    let course = Course::of(400);
    let mut book = Book::open("pem", course);
    let mut random = Random::new(course.seed);
    let place = tempfile::tempdir().expect("a directory");
    let prefix = place.path().join(DIRECTORY);
    fs::create_dir_all(&prefix).expect("a directory");
    let all = blocks(&openssl, place.path());
    let main = prefix.join(MAIN);
    let server = "server { listen 127.0.0.1:20000 ssl; ssl_certificate web.crt; ssl_certificate_key web.key; }";
    fs::write(&main, format!("pid p;\nerror_log stderr;\nevents {{}}\nhttp {{ access_log off; {server} }}\n")).expect("a file");
    for _ in 0..course.steps {
        let blocks = &all[random.below(all.len())];
        let (name, key) = &blocks.keys[random.below(2)];
        let (mut certificate, mut key) = (blocks.certificate.clone(), key.clone());
        if once(&mut random, 3) {
            // The issuer behind it.
            certificate.push_str(&all[0].certificate);
        }
        if once(&mut random, 20) {
            key.clone_from(&all[(random.below(all.len()) + 1) % all.len()].keys[0].1);
        }
        let (part, at) = if once(&mut random, 2) { ("certificate", &mut certificate) } else { ("key", &mut key) };
        let what = format!("{part}, {name}: {}", damaged(at, &mut random));
        fs::write(prefix.join("web.crt"), &certificate).expect("a file");
        fs::write(prefix.join("web.key"), &key).expect("a file");
        let output = run(Command::new(&nginx).args(["-t", "-e", "stderr", "-p"]).arg(&prefix).arg("-c").arg(&main));
        let refused = !output.status.success();
        let target = AuditTarget::parse(&format!("nginx:/{DIRECTORY}/{MAIN}"), |_| false).expect("a target");
        let mut findings = HostFindings::new(Time::parse("2026-01-10T12:00:00Z").expect("a time"), "host");
        audit::files(&View::root(place.path()).expect("the root"), &[target], &Given::default(), &mut findings);
        let document = findings.into_document();
        let ours: Vec<String> = document
            .findings
            .iter()
            .filter(|finding| stops(finding))
            .map(|finding| format!("{}: found {}", finding.id, finding.found))
            .collect();
        book.judged(refused);
        let way = match (refused, ours.is_empty()) {
            (true, true) => Way::Missed,
            (false, false) => Way::FalseAlarm,
            _ => continue,
        };
        let words = said(&output);
        let real = words.lines().find(|line| line.contains("[emerg]")).unwrap_or("taken").replace(&prefix.display().to_string(), "");
        let text = if part == "key" { shown(&key) } else { shown(&certificate) };
        book.differ(&Difference { way, real, ours: ours.join("; "), input: format!("# {what}\n{text}") });
    }
    let version = run(Command::new(&openssl).arg("version"));
    book.close(String::from_utf8_lossy(&version.stdout).trim());
}
