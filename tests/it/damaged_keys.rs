//! A private key whose file was damaged, wherever an audit comes across it: no report, of no form, repeats a part of it.

use std::path::Path;

use crate::lab::child::{self, Output};
use crate::lab::{estate, place};

/// So many characters of a key's base64 in a row are a part of the key; an audit may say a shorter word that a file holds.
const PART: usize = 16;
/// Kinds of targets that name a file and what reads it.
const READERS: [&str; 8] = ["", "nginx:", "nginx-dump:", "script:", "openbao:", "keylime:", "spire:", "agent:"];
const FORMATS: [&str; 5] = ["text", "json", "html", "sarif", "junit"];

fn audit(arguments: &[&str]) -> Output {
    omens(&[&["chain-audit", "--no-config"], arguments].concat())
}

fn omens(arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(estate::omens());
    command.args(arguments);
    child::run(command, std::time::Duration::from_secs(60))
}

/// What happens to files of keys: the last is a whole one, of which nothing is to be seen either.
fn damages(key: &str) -> Vec<(&'static str, String)> {
    let lines: Vec<&str> = key.lines().collect();
    let (begin, end) = (lines[0], lines[lines.len() - 1]);
    let body = lines[1..lines.len() - 1].join("\n");
    let flat = body.replace('\n', "");
    vec![
        ("no line breaks", key.replace('\n', "")),
        ("spaces for line breaks", key.replace('\n', " ")),
        ("no break behind BEGIN", format!("{begin}{body}\n{end}\n")),
        ("a space behind BEGIN", format!("{begin} {body}\n{end}\n")),
        ("no break before END", format!("{begin}\n{body}{end}\n")),
        ("no dashes behind the label", format!("{}{flat}-----\n{end}\n", begin.trim_end_matches('-'))),
        ("no label", format!("-----BEGIN {flat}-----\n-----END {flat}-----\n")),
        (
            "the body in the boundaries, line by line",
            body.lines().map(|line| format!("-----BEGIN {line}-----\n-----END {line}-----\n")).collect(),
        ),
        ("ends of other blocks", format!("{begin}\n-----END {flat}-----\n{begin}\n{body}\n-----END X509 CRL-----\n")),
        ("glued blocks", format!("{key}-----END PRIVATE KEY----------BEGIN {flat}-----\n{end}\n").replace("-----\n-----END", "-----")),
        ("glued and flat", format!("-----END CERTIFICATE----------BEGIN PRIVATE KEY-----{flat}{end}")),
        ("boundaries lost", body.clone()),
        ("flat without boundaries", flat.clone()),
        ("cut off", key[..key.len() * 2 / 3].to_owned()),
        ("four dashes", key.replace("-----", "----")),
        ("indented", key.lines().map(|line| format!("    {line}\n")).collect()),
        ("backslash n", key.replace('\n', "\\n")),
        ("in JSON", format!("{{\"data\": {{\"private_key\": \"{}\"", key.replace('\n', "\\n"))),
        ("a variable", format!("KEY='{key}'\nexport KEY={flat}\n{flat} = {flat}\n{flat} {{\n")),
        ("sections", format!("[{flat}]\n{flat}\n[[{flat}\n")),
        ("a byte that is no text", key.replacen('\n', "\n\u{fffd}", 1)),
        ("whole", key.to_owned()),
    ]
}

fn parts(key: &str) -> Vec<String> {
    let base64: Vec<char> = key.lines().filter(|line| !line.starts_with('-')).flat_map(str::chars).collect();
    base64.windows(PART).map(|part| part.iter().collect()).collect()
}

/// A key of whose lines each shows what it is: a last line alone, short and by chance without figures, is told from a name by nobody.
fn ordinary(new: impl Fn() -> String) -> String {
    let shows = |line: &str| {
        let many = |is: fn(&u8) -> bool| line.bytes().filter(is).count() * 6 >= line.len();
        line.len() >= 24 && many(u8::is_ascii_uppercase) && many(u8::is_ascii_lowercase) && line.contains(|c: char| c.is_ascii_digit())
    };
    std::iter::repeat_with(new).find(|key| key.lines().filter(|line| !line.starts_with('-')).all(shows)).unwrap()
}

fn silent(what: &str, output: &Output, parts: &[String]) {
    for said in [&output.stdout, &output.stderr] {
        let part = parts.iter().find(|part| said.contains(part.as_str()));
        assert_eq!(part, None, "{what}: a part of the key is in\n{said}");
    }
    assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{what}");
}

fn wired(dir: &Path, certificate: &str, key: &str) {
    std::fs::create_dir_all(dir.join("etc/nginx")).unwrap();
    std::fs::write(dir.join("etc/nginx/web.pem"), certificate).unwrap();
    std::fs::write(dir.join("etc/nginx/web.key"), key).unwrap();
    std::fs::write(dir.join("etc/nginx/both.pem"), format!("{certificate}{key}")).unwrap();
    let server = |port, certificate, key| {
        format!("server {{ listen {port} ssl; ssl_certificate /etc/nginx/{certificate}; ssl_certificate_key /etc/nginx/{key}; }}")
    };
    // As if the key had been written over what a program or systemd reads.
    for taken in [
        "systemd/system/web.service",
        "systemd/system/nginx.service.d/own.conf",
        "keylime/agent.conf",
        "spire/server/server.conf",
        "spire/agent/agent.conf",
        "openbao/openbao.hcl",
        "omens/omens.toml",
        "cron.d/renew",
        "default/nginx",
        "hostname",
    ] {
        let taken = dir.join("etc").join(taken);
        std::fs::create_dir_all(taken.parent().unwrap()).unwrap();
        std::fs::write(taken, key).unwrap();
    }
    let servers = [server(443, "web.pem", "web.key"), server(444, "both.pem", "both.pem"), server(445, "web.key", "web.key")].join("\n");
    std::fs::write(dir.join("etc/nginx/nginx.conf"), format!("events {{}}\nhttp {{\n{servers}\n}}\n")).unwrap();
}

#[test]
fn no_report_repeats_a_part_of_a_damaged_key() {
    let dir = place::directory("damaged-keys");
    let certificate = crate::lab::pki::Ca::root("Some Root", crate::lab::pki::CaKeys::Ec).pem;
    let ec = ordinary(|| rcgen::KeyPair::generate().unwrap().serialize_pem());
    let rsa = || rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap().serialize_pem();
    let rsa = ordinary(rsa);
    // The second kind is longer; what a form of report does with a text is shown by the first.
    for (key, formats) in [(ec, &FORMATS[..]), (rsa, &FORMATS[1..2])] {
        let parts = parts(&key);
        for (what, damaged) in damages(&key) {
            let root = dir.join("root");
            wired(&root, &certificate, &damaged);
            let (root, file) = (root.to_str().unwrap(), root.join("etc/nginx/web.key"));
            let (file, both) = (file.to_str().unwrap(), format!("{root}/etc/nginx/both.pem"));
            for format in formats {
                silent(what, &audit(&["--format", format, file, &both, &format!("{root}/etc/nginx")]), &parts);
                if formats.len() > 1 {
                    silent(what, &audit(&["--format", format, "--root", root]), &parts);
                }
                silent(what, &omens(&["chain-audit", "--format", format, "--root", root]), &parts);
            }
            for reader in READERS {
                silent(&format!("{reader} {what}"), &audit(&["--json", &format!("{reader}{file}")]), &parts);
            }
            for command in ["check-config", "chain-audit", "init"] {
                silent(&format!("{command} {what}"), &omens(&["--config", file, "--json", command]), &parts);
            }
            for flag in ["--key", "--anchor", "--intermediates", "--crl", "--profile", "--waivers"] {
                silent(&format!("{flag} {what}"), &audit(&["--json", flag, file, &format!("{root}/etc/nginx/web.pem")]), &parts);
            }
        }
    }
}
