//! Groups of hosts: each is audited by itself, the reports are joined, and what only shows across hosts is found.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::spec::{self, Across};
use crate::{CORPUS, build};

/// The joined report, and the hosts' own.
fn joined(group: &Across) -> (Value, Vec<Value>) {
    let top = tempfile::tempdir().expect("a directory");
    let (mut made, mut files, mut own) = (build::Certificates::new(), Vec::new(), Vec::new());
    for estate in &group.hosts {
        let root = top.path().join(&estate.name);
        std::fs::create_dir(&root).expect("a root");
        build::build_with(estate, &root, &mut made);
        let mut command = Command::new(env!("CARGO_BIN_EXE_omens"));
        command.args(["chain-audit", "--no-config", "--json", "--at", build::AT, "--root"]).arg(&root);
        let report = command.output().expect("omens").stdout;
        let file = top.path().join(format!("{}.json", estate.name));
        std::fs::write(&file, &report).expect("a report");
        own.push(serde_json::from_slice(&report).expect("JSON"));
        files.push(file);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_omens")).args(["--json", "chain-audit", "merge"]).args(&files).output().expect("omens");
    (serde_json::from_slice(&output.stdout).expect("JSON"), own)
}

fn list<'a>(document: &'a Value, field: &str) -> &'a Vec<Value> {
    document[field].as_array().expect("a list")
}

#[test]
fn what_only_shows_across_hosts_is_found_and_nothing_is_lost() {
    let (_, groups) = spec::read_all(Path::new(CORPUS));
    assert!(groups.len() > 3);
    for group in &groups {
        assert!(!group.story.is_empty());
        let (document, own) = joined(group);
        let findings = list(&document, "findings");
        for expected in &group.expect {
            let severity = expected.severity.as_deref().unwrap_or("high");
            let is = |finding: &&Value| {
                let mut hosts: Vec<&str> = list(finding, "hosts").iter().filter_map(Value::as_str).collect();
                hosts.sort_unstable();
                finding["id"] == expected.id.as_str() && finding["severity"] == severity && hosts == expected.hosts
            };
            assert!(
                findings.iter().any(|finding| is(&finding)),
                "{}: no {} at {:?}: {findings:#?}",
                group.name,
                expected.id,
                expected.hosts
            );
        }
        for finding in findings.iter().filter(|finding| finding["severity"] == "high") {
            assert!(group.expect.iter().any(|expected| finding["id"] == expected.id.as_str()), "{}: false alarm: {finding:#}", group.name);
        }
        // Nothing of a host is lost: every key is still there, with its host.
        for (report, estate) in own.iter().zip(&group.hosts) {
            for finding in list(report, "findings") {
                let there = findings.iter().any(|one| one["key"] == finding["key"] && list(one, "hosts").contains(&report["host"]));
                assert!(there, "{}: {} of {} is lost", group.name, finding["id"], estate.name);
            }
        }
    }
}
