//! Input that somebody wants to break us: mutated configurations, PEM files, units and scripts, strange files, names that talk to terminals
//! and browsers. No panic, no hang, bounded memory; nothing in a report that a terminal or a browser would obey.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use omens::audit::facts::findings::HostFindings;
use omens::audit::report;
use omens::audit::run::{self, Given};
use omens::io::look::View;
use omens::model::audit::Document;
use omens::model::clock::Time;

use crate::{CORPUS, build, spec};

/// For one look at a whole host, in a debug build on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);
const ROUNDS: usize = 600;

/// The same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides.max(1)).expect("sides")).expect("a side")
    }
}

/// Pieces that parsers fall over.
const PIECES: [&[u8]; 26] = [
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x1b]0;owned\x07\x1b[31m",
    "\u{202e}\u{2066}gro.elpmaxe".as_bytes(),
    b"<script>alert(1)</script>",
    b"\"'><img src=x onerror=alert(1)>",
    b"{{{{{{{{{{{{{{{{",
    b"}}}}}}}}}}}}}}}}",
    b"((((((((((((((((",
    b"[[[[[[[[[[[[[[[[",
    b"include /etc/nginx/nginx.conf;",
    b"include *;",
    b"\\\n\\\n\\\n",
    b"<<EOF\n",
    b"$(((((((",
    b"99999999999999999999999999",
    b"-1",
    b"*/0 * * * *",
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----",
    b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    b"\r",
    b"=",
    b"OnCalendar=*-*-* 25:61:61\n",
    b"path \"+/+/+/*\" { capabilities = [\"sudo\"] }",
];

fn mutated(original: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        let piece = PIECES[dice.roll(PIECES.len())];
        match dice.roll(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, piece.iter().copied())),
            2 => drop(bytes.splice(at..at, piece.repeat(500 + dice.roll(3_000)))),
            3 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            4 => {
                let end = (at + dice.roll(200)).min(bytes.len());
                let cut: Vec<u8> = bytes.drain(at..end).collect();
                let to = dice.roll(bytes.len() + 1);
                bytes.splice(to..to, cut);
            }
            5 => {
                let end = (at + dice.roll(400)).min(bytes.len());
                let twice = bytes[at..end].repeat(2 + dice.roll(50));
                bytes.splice(at..at, twice);
            }
            6 => bytes = bytes.iter().copied().filter(|b| *b != b'\n').collect(),
            _ => bytes.extend_from_slice(piece),
        }
    }
    bytes.truncate(4 << 20);
    bytes
}

/// The report in all of its forms.
fn audited(root: &Path) -> (Document, Vec<String>) {
    let view = View::root(root).expect("a root");
    let mut findings = HostFindings::new(Time::parse(build::AT).expect("a time"), "host");
    run::files(&view, &[], &Given::default(), &mut findings);
    let document = findings.into_document();
    let json = serde_json::to_string(&document).expect("JSON");
    let forms = vec![
        report::text::write(&document, false),
        report::html::write(&document),
        report::junit::write(&document),
        report::prometheus::write(&document),
        report::sarif::write(&document),
        json,
    ];
    (document, forms)
}

/// What a terminal or a browser would obey.
fn dangerous(form: &str) -> Option<char> {
    let steers = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    form.chars().find(|c| steers(*c))
}

/// Every kind of host at once.
fn everything(root: &Path) -> Vec<PathBuf> {
    let book = r##"
[[estate]]
name = "everything"
story = "one of each"
base = ["pki", "nginx", "keylime", "agent", "spire", "openbao", "systemd"]
files."/etc/cron.d/renew" = "*/5 * * * * root /usr/local/bin/renew.sh\n"
files."/usr/local/bin/renew.sh" = { mode = "0755", text = "#!/bin/sh\nbao write pki_int/issue/web > /tmp/x\nkill -HUP $(pidof nginx)\n" }
"##;
    let scratch = tempfile::tempdir().expect("a directory");
    for entry in std::fs::read_dir(CORPUS).expect("the corpus").flatten().filter(|entry| entry.file_name() == "bases.toml") {
        std::fs::copy(entry.path(), scratch.path().join("bases.toml")).expect("a copy");
    }
    std::fs::write(scratch.path().join("one.toml"), book).expect("a book");
    let estate = spec::read(scratch.path()).remove(0);
    build::build(&estate, root);
    let files = estate.files.iter().filter(|(_, file)| file.more().link.is_none() && !file.more().directory);
    files.map(|(path, _)| root.join(path.trim_start_matches('/'))).chain([root.join("estate.toml")]).collect()
}

#[test]
fn no_mutation_of_any_file_breaks_the_audit_or_talks_through_it() {
    let top = tempfile::tempdir().expect("a directory");
    let files = everything(top.path());
    let originals: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).expect("a file")).collect();
    let mut dice = Dice(20_261_124);
    let (mut findings, mut longest) = (0, Duration::ZERO);
    for round in 0..ROUNDS {
        let chosen: Vec<usize> = (0..=dice.roll(2)).map(|_| dice.roll(files.len())).collect();
        for at in &chosen {
            std::fs::write(&files[*at], mutated(&originals[*at], &mut dice)).expect("a mutation");
        }
        let named = || chosen.iter().map(|at| files[*at].display().to_string()).collect::<Vec<_>>().join(", ");
        let began = Instant::now();
        // estate.toml is a person's own: when it cannot be read the run is refused, which is no finding.
        if View::root(top.path()).is_ok() {
            let (document, forms) = audited(top.path());
            findings += document.findings.len();
            for form in &forms {
                assert_eq!(dangerous(form), None, "round {round}: {}", named());
            }
            assert!(!forms[1].contains("<script>alert") && !forms[1].contains("<img"), "round {round}: {}", named());
        }
        longest = longest.max(began.elapsed());
        assert!(began.elapsed() < LIMIT, "round {round} took {:?}: {}", began.elapsed(), named());
        for at in &chosen {
            std::fs::write(&files[*at], &originals[*at]).expect("the original");
        }
    }
    println!("{ROUNDS} rounds, {findings} findings, the longest look {longest:?}");
    assert!(findings > ROUNDS, "the mutations reach the checks");
}

#[test]
fn strange_files_end_a_run_neither_by_a_hang_nor_by_memory() {
    let top = tempfile::tempdir().expect("a directory");
    everything(top.path());
    let nginx = top.path().join("etc/nginx");
    let put = |path: &str| top.path().join(path);
    // A pipe and a device where certificates should be, a loop, a directory, a file of 64 GiB that holds nothing, one without rights.
    for path in ["etc/nginx/tls/web.pem", "etc/keylime/tls/root.crt", "etc/openbao/tls/bao.pem", "opt/spire/conf/root.pem"] {
        std::fs::remove_file(put(path)).expect("a file that was there");
    }
    let made = Command::new("mkfifo").arg(put("etc/nginx/tls/web.pem")).status().expect("mkfifo");
    assert!(made.success());
    symlink("root.crt", put("etc/keylime/tls/root.crt")).expect("a loop");
    std::fs::create_dir(put("etc/openbao/tls/bao.pem")).expect("a directory");
    let sparse = std::fs::File::create(put("opt/spire/conf/root.pem")).expect("a file");
    sparse.set_len(64 << 30).expect("its length");
    symlink("/dev/zero", nginx.join("conf.d-zero")).expect("a link");
    std::fs::create_dir_all(nginx.join("conf.d")).expect("a directory");
    symlink("/dev/zero", nginx.join("conf.d/zero.conf")).expect("a link");
    symlink("../sites-enabled", nginx.join("sites-enabled/again")).expect("a link");
    for format in ["text", "json", "html"] {
        let began = Instant::now();
        let mut command = Command::new("prlimit");
        // The address space of the whole program, libraries and stacks included.
        command.args(["--as=1500000000", "--", env!("CARGO_BIN_EXE_omens"), "chain-audit", "--no-config", "--format", format, "--root"]);
        let output = command.arg(top.path()).output().expect("omens");
        assert!(
            output.status.code().is_some_and(|code| code < 2),
            "{format}: {:?} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(began.elapsed() < LIMIT, "{format}: {:?}", began.elapsed());
        assert_eq!(dangerous(&String::from_utf8_lossy(&output.stdout)), None, "{format}");
    }
}

#[test]
fn a_report_of_somebody_elses_making_is_merged_or_refused() {
    let top = tempfile::tempdir().expect("a directory");
    everything(top.path());
    let (document, _) = audited(top.path());
    let original = serde_json::to_vec(&document).expect("JSON");
    let mut dice = Dice(7);
    let file = top.path().join("report.json");
    let (mut merged, mut refused) = (0, 0);
    // A whole document whose every text talks to the terminal.
    let steering = String::from_utf8(original.clone()).expect("UTF-8").replace("funlab", "\\u202efunlab\\u001b[31m<img>");
    std::fs::write(&file, steering).expect("a report");
    for format in ["text", "html", "json", "prometheus", "sarif", "junit"] {
        let output = Command::new(env!("CARGO_BIN_EXE_omens")).args(["chain-audit", "merge", "--format", format]).arg(&file).output();
        let text = String::from_utf8(output.expect("omens").stdout).expect("UTF-8");
        assert!(text.contains("funlab"), "{format}");
        assert_eq!(dangerous(&text), None, "{format}");
        assert!(!text.contains("\\u001b[31m"), "{format}: escaped, but there");
    }
    for round in 0..150 {
        std::fs::write(&file, mutated(&original, &mut dice)).expect("a mutation");
        let output = Command::new(env!("CARGO_BIN_EXE_omens")).args(["chain-audit", "merge", "--format", "html"]).arg(&file).output();
        let output = output.expect("omens");
        match output.status.code() {
            Some(0 | 1) => merged += 1,
            Some(2) => refused += 1,
            other => panic!("round {round}: {other:?} {}", String::from_utf8_lossy(&output.stderr)),
        }
        let page = String::from_utf8_lossy(&output.stdout);
        assert_eq!(dangerous(&page), None, "round {round}");
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "round {round}");
    }
    assert!(merged > 0 && refused > 50, "{merged} merged, {refused} refused");
}
