//! What `status` tells, as metrics for Prometheus (text exposition format 0.0.4). Pure. It must never make a series for what changes from run
//! to run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::standing::Standing;
use super::view::{StatusDocument, TPM_OK, TPM_STATES};
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::Outcome;

/// The outcomes that a renewal can have, each a series also where it is 0: an alert must not wait for the first one.
const OUTCOMES: [Outcome; 8] = [
    Outcome::NotDue,
    Outcome::Renewed,
    Outcome::Settled,
    Outcome::RolledBack,
    Outcome::Refused,
    Outcome::Failed,
    Outcome::Blocked,
    Outcome::Exhausted,
];

/// One metric of every certificate that has it.
struct Gauge {
    name: &'static str,
    help: &'static str,
    value: fn(&Standing) -> Option<i64>,
}

const GAUGES: [Gauge; 10] = [
    Gauge {
        name: "omens_certificate_not_after_seconds",
        help: "End of the leaf's validity.",
        value: |standing| standing.planned.expires.map(Time::unix),
    },
    Gauge {
        name: "omens_certificate_not_before_seconds",
        help: "Begin of the leaf's validity.",
        value: |standing| standing.not_before.map(Time::unix),
    },
    Gauge {
        name: "omens_certificate_due_seconds",
        help: "When the certificate is due for renewal.",
        value: |standing| standing.planned.due_at.map(Time::unix),
    },
    Gauge {
        name: "omens_certificate_last_success_seconds",
        help: "When a generation was last proven and committed.",
        value: |standing| standing.last_success.map(Time::unix),
    },
    Gauge {
        name: "omens_certificate_last_attempt_seconds",
        help: "When a run last acted on the certificate.",
        value: |standing| standing.last_attempt.map(Time::unix),
    },
    Gauge {
        name: "omens_certificate_debt",
        help: "1 where a certificate was issued and is not deployed.",
        value: |standing| Some(i64::from(standing.debt.is_some())),
    },
    Gauge { name: "omens_certificate_overdue", help: "1 where a renewal is overdue.", value: |standing| Some(i64::from(standing.overdue)) },
    Gauge {
        name: "omens_certificate_healthy",
        help: "1 where all is well with the certificate.",
        value: |standing| Some(i64::from(standing.healthy)),
    },
    Gauge {
        name: "omens_certificate_due",
        help: "1 where a run would do something about the certificate.",
        value: |standing| Some(i64::from(standing.planned.due)),
    },
    Gauge {
        name: "omens_certificate_budget_remaining",
        help: "Signing requests that may still be sent at once.",
        value: |standing| i64::try_from(standing.budget_remaining).ok(),
    },
];

/// Writes them.
#[must_use]
pub fn prometheus(document: &StatusDocument) -> String {
    let mut out = String::new();
    for gauge in &GAUGES {
        let lines: Vec<String> = document
            .certificates
            .iter()
            .filter_map(|standing| Some(format!("{}{{{}}} {}", gauge.name, certificate(standing), (gauge.value)(standing)?)))
            .collect();
        metric(&mut out, gauge.name, gauge.help, &lines);
    }
    let errors: Vec<String> = document.certificates.iter().filter_map(last_error).collect();
    metric(&mut out, "omens_certificate_last_error", "1 with the stage and code of the last error that still counts.", &errors);
    host(&mut out, document);
    out
}

fn host(out: &mut String, document: &StatusDocument) {
    let one = |name: &str, value: i64| vec![format!("{name} {value}")];
    let name = "omens_healthy";
    metric(out, name, "1 where all is well with every certificate.", &one(name, i64::from(document.healthy)));
    if let Some(at) = document.last_run {
        let name = "omens_last_run_seconds";
        metric(out, name, "When the last run took the lock.", &one(name, at.unix()));
    }
    let count = |outcome: Outcome| document.certificates.iter().filter(|standing| standing.last_outcome == outcome).count();
    let outcomes = OUTCOMES.map(|outcome| format!("omens_last_run_outcome{{outcome=\"{}\"}} {}", outcome.as_str(), count(outcome)));
    metric(out, "omens_last_run_outcome", "Certificates by what became of them in the last run.", &outcomes);
    let mut logins: BTreeMap<&str, Time> = BTreeMap::new();
    for login in &document.logins {
        let first = logins.entry(&login.method).or_insert(login.expires);
        *first = login.expires.min(*first);
    }
    let name = "omens_login_expires_seconds";
    let ends: Vec<String> = logins.iter().map(|(method, at)| format!("{name}{{login=\"{method}\"}} {}", at.unix())).collect();
    metric(out, name, "When a login at OpenBao ends, by auth method, where that is known.", &ends);
    let name = "omens_login_end_known";
    let mut all: BTreeMap<&str, bool> = logins.keys().map(|method| (*method, true)).collect();
    all.extend(document.logins_unknown.iter().map(|login| (login.method.as_str(), false)));
    let known: Vec<String> = all.iter().map(|(method, known)| format!("{name}{{login=\"{method}\"}} {}", i64::from(*known))).collect();
    metric(out, name, "0 where nobody knows when a login ends that may end.", &known);
    if let Some(state) = document.tpm {
        let all = std::iter::once(TPM_OK).chain(TPM_STATES.map(Code::as_str));
        let states: Vec<String> = all.map(|word| format!("omens_tpm_state{{state=\"{word}\"}} {}", i64::from(word == state))).collect();
        metric(out, "omens_tpm_state", "1 for how the TPM was when it was last needed.", &states);
    }
}

/// Metrics that only a run itself can tell.
#[must_use]
pub fn of_run(started: Time, finished: Time) -> String {
    let mut out = String::new();
    let name = "omens_last_run_duration_seconds";
    metric(&mut out, name, "How long the last run took.", &[format!("{name} {}", finished.since(started).max(0))]);
    out
}

fn metric(out: &mut String, name: &str, help: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    // Writing to a String cannot fail.
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{}", lines.join("\n")).ok();
}

/// A certificate's name needs no escaping: it is a word of `[a-z0-9._-]`.
fn certificate(standing: &Standing) -> String {
    format!("certificate=\"{}\"", standing.planned.name)
}

fn last_error(standing: &Standing) -> Option<String> {
    let failure = &standing.last_error.as_ref()?.failure;
    let name = certificate(standing);
    Some(format!("omens_certificate_last_error{{{name},stage=\"{}\",code=\"{}\"}} 1", failure.stage, failure.code))
}
