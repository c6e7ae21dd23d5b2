//! SARIF 2.1.0 (OASIS), for code scanners.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::audit::catalogue;
use crate::model::audit::{Document, Finding, Waived};
use crate::model::finding::Severity;

/// Writes it, one line.
#[must_use]
pub fn write(document: &Document) -> String {
    let used: BTreeSet<&str> = document.findings.iter().map(|finding| finding.id.as_str()).collect();
    let rules: Vec<Value> = catalogue::all().filter(|lint| used.contains(lint.id)).map(rule).collect();
    let results: Vec<Value> = document.findings.iter().map(|finding| result(finding, document.summary.waived > 0)).collect();
    let driver = json!({
        "name": "omens chain-audit",
        "version": env!("CARGO_PKG_VERSION"),
        "informationUri": env!("CARGO_PKG_REPOSITORY"),
        "rules": rules,
    });
    let run = json!({
        "tool": {"driver": driver},
        "automationDetails": {"id": format!("omens/{}/", document.host)},
        "invocations": [{"executionSuccessful": true, "endTimeUtc": document.at.to_string()}],
        "results": results,
    });
    let log = json!({"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]});
    format!("{log}\n")
}

fn rule(lint: &crate::judge::lint::Lint) -> Value {
    let mut rule = json!({
        "id": lint.id,
        "shortDescription": {"text": lint.title},
        "defaultConfiguration": {"level": level(lint.severity)},
    });
    if let (Some(remedy), Some(rule)) = (lint.remedy(), rule.as_object_mut()) {
        rule.insert("help".to_owned(), json!({"text": remedy}));
    }
    rule
}

/// SARIF error, warning, note, note ([Audit report](crate::cli#audit-report)).
const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// One result; `any_is_suppressed` is of the whole run, whose results all say so, or none does (SARIF §3.27.23).
fn result(finding: &Finding, any_is_suppressed: bool) -> Value {
    let mut words = format!("{}: {}", finding.target, finding.title);
    for (name, value) in [("expected", &finding.expected), ("found", &finding.found), ("remedy", &finding.remedy)] {
        if !value.is_empty() {
            words.push_str(&format!("; {name}: {value}"));
        }
    }
    let locations: Vec<Value> = finding
        .files
        .iter()
        .map(|location| {
            // Relative to the host's root: a scanner shows it below its own checkout (SARIF §3.4.4).
            let mut physical = json!({"artifactLocation": {"uri": uri(location.path.trim_start_matches('/')), "uriBaseId": "ROOT"}});
            if let (Some(line), Some(physical)) = (location.line, physical.as_object_mut()) {
                physical.insert("region".to_owned(), json!({"startLine": line.max(1)}));
            }
            json!({"physicalLocation": physical})
        })
        .collect();
    let mut result = json!({
        "ruleId": finding.id,
        "level": level(finding.severity),
        "message": {"text": words},
        "locations": locations,
        "partialFingerprints": {"omensKey/v1": finding.key},
        "properties": {"severity": finding.severity.as_str(), "hosts": finding.hosts, "breaks": finding.breaks, "evidence": finding.evidence},
    });
    // By somebody outside of the sources, and not for ever (SARIF §3.35).
    let suppression = |waived: &Waived| json!({"kind": "external", "status": "accepted", "justification": waived.to_string()});
    if let Some(result) = result.as_object_mut().filter(|_| any_is_suppressed) {
        let suppressions: Vec<Value> = finding.waived.iter().map(suppression).collect();
        result.insert("suppressions".to_owned(), json!(suppressions));
    }
    result
}

/// A path as a URI reference (RFC 3986 §2.3, §3.3).
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn every_result_has_its_rule_level_and_place() {
        let log: Value = serde_json::from_str(&write(&sample())).unwrap();
        let run = &log["runs"][0];
        let rules: BTreeSet<&str> = run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
        let results = run["results"].as_array().unwrap();
        assert!(results.iter().all(|result| rules.contains(result["ruleId"].as_str().unwrap())));
        assert_eq!((results[0]["level"].as_str(), results[1]["level"].as_str()), (Some("error"), Some("note")));
        let location = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(
            (location["artifactLocation"]["uri"].as_str(), location["region"]["startLine"].as_u64()),
            (Some("etc/nginx/sites-enabled/web"), Some(7))
        );
        assert_eq!(uri("a b/ü"), "a%20b/%C3%BC");
    }
}
