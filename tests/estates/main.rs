//! The corpus of broken and healthy hosts (fixtures/estates): every defect is found with its id and file, and nothing else is `high`.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "tests open files, start processes and panic when something is wrong"
)]

mod across;
mod adopt;
mod build;
mod hostile;
mod page;
#[path = "../vectors/skipped.rs"]
mod skipped;
mod spec;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use spec::{Estate, Expect};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/estates");

/// What the audit says of an estate.
fn audit(estate: &Estate) -> (Value, i32) {
    let top = tempfile::tempdir().expect("a directory");
    build::build(estate, top.path());
    if let Some(keep) = std::env::var_os("OMENS_ESTATES") {
        // For a person who wants to look at them.
        build::build(estate, &Path::new(&keep).join(&estate.name));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_omens"));
    command.args(["chain-audit", "--json", "--root"]).arg(top.path());
    if !estate.settings {
        command.arg("--no-config");
    }
    if !estate.arguments.iter().any(|argument| argument == "--at") {
        command.args(["--at", build::AT]);
    }
    let output = command.args(&estate.arguments).output().expect("omens");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let document = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{}: {error}\n{text}\n{}", estate.name, String::from_utf8_lossy(&output.stderr)));
    (document, output.status.code().unwrap_or(-1))
}

fn is(finding: &Value, expected: &Expect) -> bool {
    let files = finding["files"].as_array().expect("files");
    let there = files.iter().any(|file| file["path"] == expected.file.as_str() && expected.line.is_none_or(|line| file["line"] == line));
    let severity = expected.severity.as_deref().unwrap_or("high");
    let words = finding.to_string();
    finding["id"] == expected.id.as_str()
        && finding["severity"] == severity
        && there
        && expected.says.iter().all(|word| words.contains(word))
}

/// What is wrong with the answer, one line each.
fn faults(estate: &Estate) -> Vec<String> {
    let (document, code) = audit(estate);
    let findings = document["findings"].as_array().expect("findings");
    let shown = |finding: &Value| {
        let files: Vec<String> =
            finding["files"].as_array().expect("files").iter().map(|file| format!("{}:{}", file["path"], file["line"])).collect();
        format!(
            "{} {} at {} ({}; found {})",
            finding["severity"],
            finding["id"],
            finding["target"]["name"],
            files.join(", "),
            finding["found"]
        )
    };
    let mut faults = Vec::new();
    for expected in &estate.expect {
        if !findings.iter().any(|finding| is(finding, expected)) {
            let all: Vec<String> = findings.iter().map(shown).collect();
            faults.push(format!("{}: not found: {} at {}; found: {all:#?}", estate.name, expected.id, expected.file));
        }
    }
    for finding in findings.iter().filter(|finding| finding["severity"] == "high") {
        let known = estate.expect.iter().any(|expected| finding["id"] == expected.id.as_str());
        if !known && !estate.also.iter().any(|id| finding["id"] == id.as_str()) {
            faults.push(format!("{}: false alarm: {}", estate.name, shown(finding)));
        }
    }
    let high = findings.iter().any(|finding| finding["severity"] == "high");
    if code != i32::from(high) {
        faults.push(format!("{}: exit code {code} with{} findings of severity high", estate.name, if high { "" } else { "out" }));
    }
    for finding in findings {
        if ["title", "remedy", "key"].iter().any(|field| finding[field].as_str().is_none_or(str::is_empty)) && finding["severity"] != "info"
        {
            faults.push(format!("{}: {} lacks a title or a remedy", estate.name, finding["id"]));
        }
    }
    faults
}

#[test]
fn every_defect_is_found_with_its_id_and_file_and_nothing_else_is_high() {
    let only = std::env::var("OMENS_ESTATE").ok();
    let estates: Vec<Estate> =
        spec::read(Path::new(CORPUS)).into_iter().filter(|e| only.as_ref().is_none_or(|only| e.name.contains(only))).collect();
    let mut names = std::collections::BTreeSet::new();
    let mut all = Vec::new();
    for estate in &estates {
        assert!(names.insert(&estate.name) && !estate.story.is_empty(), "{} twice, or without a story", estate.name);
        all.extend(faults(estate));
    }
    let healthy = estates.iter().filter(|estate| estate.expect.is_empty()).count();
    println!("{} broken and {healthy} healthy estates", estates.len() - healthy);
    assert!(all.is_empty(), "{} faults\n{}", all.len(), all.join("\n"));
}
