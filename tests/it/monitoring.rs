//! What `units/monitoring` has for Prometheus and Grafana: read, checked and tried by Prometheus' own tool, and about metrics that there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::lab::child::{Output, run};
use crate::lab::{place, program};

/// The metrics of `omens status --format prometheus` and of `[metrics] textfile`.
const METRICS: [&str; 12] = [
    "omens_certificate_budget_remaining",
    "omens_certificate_debt",
    "omens_certificate_due_seconds",
    "omens_certificate_last_attempt_seconds",
    "omens_certificate_last_success_seconds",
    "omens_certificate_not_after_seconds",
    "omens_certificate_not_before_seconds",
    "omens_certificate_overdue",
    "omens_last_run_outcome",
    "omens_last_run_seconds",
    "omens_login_expires_seconds",
    "omens_tpm_state",
];

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("units/monitoring").join(name)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn promtool(dir: &Path, arguments: &[&str]) -> Option<Output> {
    let Some(promtool) = program("promtool") else {
        crate::skipped("alert rules and dashboard: needs promtool (Debian package prometheus)");
        return None;
    };
    let mut command = Command::new(promtool);
    command.args(arguments).current_dir(dir);
    Some(run(command, Duration::from_secs(60)))
}

/// The rules and their tests beside each other.
fn stage() -> PathBuf {
    let dir = place::directory("monitoring");
    std::fs::copy(shipped("omens.rules.yml"), dir.join("omens.rules.yml")).unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitoring/rules.test.yml"), dir.join("rules.test.yml")).unwrap();
    dir
}

/// The queries of the dashboard, with what its variables stand for.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text(&shipped("omens.dashboard.json"))).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().replace("$instance", ".*").replace("$certificate", ".*")).collect()
}

/// The names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c| !part(c)).filter(|word| word.starts_with("omens_")).map(str::to_owned).collect()
}

#[test]
fn every_alert_fires_where_it_must_and_nowhere_else() {
    let dir = stage();
    let Some(checked) = promtool(&dir, &["check", "rules", "omens.rules.yml"]) else { return };
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    let tried = promtool(&dir, &["test", "rules", "rules.test.yml"]).unwrap();
    assert_eq!(tried.code, 0, "{}{}", tried.stdout, tried.stderr);
    // Each alert is in the tests.
    let (rules, tests) = (text(&dir.join("omens.rules.yml")), text(&dir.join("rules.test.yml")));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 5);
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} is not tried");
    }
    // And what is tried is what is shipped: a rule that never fires is seen.
    std::fs::write(dir.join("omens.rules.yml"), rules.replace("omens_certificate_overdue > 0", "omens_certificate_overdue > 1")).unwrap();
    assert_ne!(promtool(&dir, &["test", "rules", "rules.test.yml"]).unwrap().code, 0, "another rule passes as well");
}

#[test]
fn the_queries_of_the_dashboard_are_queries() {
    let dir = place::directory("dashboard");
    let rules: String = queries().iter().map(|query| format!("  - record: x\n    expr: {}\n", Value::from(query.as_str()))).collect();
    let file = format!("groups:\n- name: dashboard\n  rules:\n{rules}");
    std::fs::write(dir.join("queries.yml"), &file).unwrap();
    let Some(checked) = promtool(&dir, &["check", "rules", "--lint=none", "queries.yml"]) else { return };
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    std::fs::write(dir.join("queries.yml"), file.replacen("sum(", "sum((", 1)).unwrap();
    assert_ne!(promtool(&dir, &["check", "rules", "--lint=none", "queries.yml"]).unwrap().code, 0, "a wrong query passes as well");
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() {
    let known: BTreeSet<String> = METRICS.iter().map(|&name| name.to_owned()).collect();
    let asked: BTreeSet<String> =
        [metrics(&text(&shipped("omens.rules.yml"))), metrics(&queries().join(" "))].into_iter().flatten().collect();
    assert_eq!(asked, known);
}
