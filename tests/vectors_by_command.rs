//! The same vectors through the command line: what is tested is what users run. Every case gets from `omens chain-audit` the verdict that the
//! engine gives by itself, and no wrong accept.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test writes its cases, starts the program, and stops where something is broken"
)]

#[path = "vectors/limbo.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod limbo;
#[path = "vectors/pkits.rs"]
mod pkits;
#[path = "vectors/skipped.rs"]
mod skipped;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use limbo::MISSING;
use omens::judge::assess::{Judge, Question, Requirements, assess};
use omens::model::audit::Verdict;
use omens::model::clock::Time;
use serde_json::Value;
use skipped::skipped;

/// What the program is given.
struct Run {
    name: String,
    leaf: Vec<u8>,
    anchors: Vec<Vec<u8>>,
    intermediates: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
    arguments: Vec<String>,
    expected: Verdict,
}

fn put(directory: &Path, name: &str, der: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, der).expect("a file");
    path
}

fn pem(label: &'static str, der: &[u8]) -> Vec<u8> {
    use p256::pkcs8::der::pem::{LineEnding, encode_string};
    encode_string(label, LineEnding::LF, der).expect("PEM").into_bytes()
}

/// The verdict of the program; a leaf that does not parse has no chain and is refused by the exit code.
fn verdict(run: &Run, directory: &Path) -> Verdict {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omens"));
    command.args(["chain-audit", "--no-config", "--json"]).args(&run.arguments);
    for (flag, files) in [("--anchor", &run.anchors), ("--intermediates", &run.intermediates), ("--crl", &run.lists)] {
        for (index, der) in files.iter().enumerate() {
            // Both forms that files have.
            let label = if flag == "--crl" { "X509 CRL" } else { "CERTIFICATE" };
            let bytes = if (der.len() + index) % 2 == 0 { der.clone() } else { pem(label, der) };
            command.arg(flag).arg(put(directory, &format!("{}{index}", flag.trim_start_matches('-')), &bytes));
        }
    }
    let output = command.arg(put(directory, "leaf.der", &run.leaf)).output().expect("omens");
    let code = output.status.code().expect("an exit code");
    assert!(code < 2, "{}: {}", run.name, String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{}: {why}", run.name));
    let chains = document["chains"].as_array().expect("chains");
    let verdict = match chains.first().and_then(|chain| chain["verdict"].as_str()) {
        Some("accept") => Verdict::Accept,
        Some("reject") => Verdict::Reject,
        _ => Verdict::Reject,
    };
    let path_only = run.arguments.iter().any(|argument| argument == "path");
    assert!(!path_only || (code == 1) == (verdict == Verdict::Reject), "{}: exit {code} with {verdict:?}", run.name);
    verdict
}

/// Runs all, on as many threads as there are cores, and gives the names of those that differ.
fn differing(runs: &[Run]) -> Vec<String> {
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, std::num::NonZero::get) {
            scope.spawn(|| {
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let directory = tempfile::tempdir().expect("a directory");
                    let found = verdict(run, directory.path());
                    if found != run.expected {
                        faults.lock().expect("faults").push(format!("{}: {found:?}, by itself {:?}", run.name, run.expected));
                    }
                }
            });
        }
    });
    faults.into_inner().expect("faults")
}

fn of_limbo(case: &limbo::Case, verdict: &str) -> Run {
    let asked = match verdict {
        "path" => Requirements { path_only: true, ..case.asked() },
        _ => Requirements { strict: true, ..case.asked() },
    };
    let (leaf, intermediates, anchors, lists) = (case.leaf(), case.intermediates(), case.anchors(), case.lists());
    let question =
        Question { leaf: &leaf, candidates: &intermediates, anchors: &anchors, crls: &lists, spki: None, asked: &asked, at: case.time() };
    let expected = assess(&question).verdict;
    let mut arguments: Vec<String> = vec!["--verdict".into(), verdict.into(), "--at".into(), case.time().to_string()];
    let purpose = if case.validation_kind == "SERVER" { "server" } else { "client" };
    arguments.extend(["--purpose".to_owned(), purpose.to_owned()]);
    if let Some(name) = case.expected_peer_name.as_ref() {
        let kind = match name.kind.as_str() {
            "DNS" => Some("dns"),
            "IP" => Some("ip"),
            _ => None,
        };
        arguments.extend(kind.into_iter().flat_map(|kind| ["--name".to_owned(), format!("{kind}:{}", name.value)]));
    }
    if let Some(depth) = case.max_chain_depth {
        arguments.extend(["--max-depth".to_owned(), depth.to_string()]);
    }
    Run { name: format!("{} ({verdict})", case.id), leaf, anchors, intermediates, lists, arguments, expected }
}

#[test]
fn cases_of_others_get_the_same_verdict_on_the_command_line() {
    let Some(all) = limbo::Case::all() else {
        return skipped(&format!("x509-limbo through the command line: {MISSING}"));
    };
    let authored: Vec<&limbo::Case> = all.iter().filter(|case| !case.id.starts_with("bettertls::")).collect();
    // BetterTLS has thousands of cases that differ little: every fifth, with all that must fail.
    let others = all.iter().filter(|case| case.id.starts_with("bettertls::")).enumerate();
    let others: Vec<&limbo::Case> = others.filter(|(index, case)| index % 5 == 0 || !case.must_pass()).map(|(_, case)| case).collect();
    let mut runs: Vec<Run> = authored.iter().chain(&others).map(|case| of_limbo(case, "path")).collect();
    runs.extend(authored.iter().map(|case| of_limbo(case, "profile")));
    assert!(runs.len() > 1_000, "{} runs", runs.len());
    let wrong: Vec<&str> = authored
        .iter()
        .filter(|case| !case.must_pass())
        .flat_map(|case| runs.iter().filter(move |run| run.name.starts_with(&format!("{} (", case.id)) && run.expected == Verdict::Accept))
        .map(|run| run.name.as_str())
        .collect();
    assert!(wrong.is_empty(), "wrong accepts: {wrong:#?}");
    let faults = differing(&runs);
    println!("x509-limbo and BetterTLS by the command line: {} runs, {} differ", runs.len(), faults.len());
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn pkits_gets_the_same_verdict_on_the_command_line() {
    let Some(cases) = pkits::Case::all() else {
        return skipped(&format!("NIST PKITS through the command line: its data is not at {}", pkits::data().display()));
    };
    let anchor = pkits::anchor();
    let asked = Requirements { path_only: true, ..Requirements::default() };
    let at = Time::parse("2015-01-01T00:00:00Z").expect("a time");
    let arguments: Vec<String> =
        ["--verdict", "path", "--purpose", "any", "--at", "2015-01-01T00:00:00Z"].map(str::to_owned).into_iter().collect();
    let run = |case: pkits::Case| {
        let judge = Judge::new(&asked, std::slice::from_ref(&anchor), &case.lists);
        let expected = judge.assess(&case.leaf, &case.others, None, at).verdict;
        assert!(case.must_pass() || expected == Verdict::Reject, "{}", case.name);
        let (anchors, arguments) = (vec![anchor.clone()], arguments.clone());
        Run { name: case.name, leaf: case.leaf, anchors, intermediates: case.others, lists: case.lists, arguments, expected }
    };
    let runs: Vec<Run> = cases.into_iter().map(run).collect();
    assert!(runs.len() > 150, "{} runs", runs.len());
    let faults = differing(&runs);
    assert!(faults.is_empty(), "{faults:#?}");
}
