//! Reports and errors as text: one line per certificate, and under it what belongs to it. Pure; it must never decide an exit code.

use super::style::Style;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Warning};
use crate::model::finding::Severity;
use crate::model::name::Generation;
use crate::model::report::{CertReport, Debt, Report, RunError, SettingsError};
use crate::model::text::one_line;

/// Longer than any text we make; a bound for those we only pass on.
const LINE: usize = 2000;

/// The certificates of a report, the worst first, each with its warnings, findings, debt and hint.
#[must_use]
pub fn report(report: &Report, style: Style) -> String {
    worst_first(report).into_iter().map(|certificate| self::certificate(certificate, style)).collect()
}

/// The same of one of many runs: what was not due and has nothing to say is left out, and every certificate is told with the time.
#[must_use]
pub fn report_of_many(report: &Report, style: Style) -> String {
    let told = worst_first(report).into_iter().filter(|one| one.outcome != Outcome::NotDue || !one.warnings.is_empty());
    let time = style.dim(&report.finished.to_string());
    told.map(|certificate| format!("{time} {}", self::certificate(certificate, style))).collect()
}

/// What failed, a line each: for those who do not see the result.
#[must_use]
pub fn failures(report: &Report, style: Style) -> String {
    // `rolled-back` is what was asked for where the run ended well.
    let failed = worst_first(report).into_iter().filter(|certificate| !certificate.is_good(report.exit == 0));
    let line = |certificate: &CertReport| {
        let error = certificate.error.as_ref().map_or(String::new(), |error| format!(": {}", failure(error)));
        format!("{}: {}: {}{error}\n", style.bad("error"), certificate.name, certificate.outcome.as_str())
    };
    failed.map(line).collect()
}

fn worst_first(report: &Report) -> Vec<&CertReport> {
    let mut sorted: Vec<&CertReport> = report.certificates.iter().collect();
    sorted.sort_by_key(|certificate| rank(certificate.outcome));
    sorted
}

/// How bad an outcome is; 0 is the worst.
const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Failed | Outcome::Interrupted => 0,
        Outcome::Refused | Outcome::Exhausted | Outcome::Blocked => 1,
        Outcome::RolledBack => 2,
        Outcome::Renewed
        | Outcome::Settled
        | Outcome::Restored
        | Outcome::Resealed
        | Outcome::Installed
        | Outcome::Revoked
        | Outcome::Unblocked
        | Outcome::Forgotten
        | Outcome::Renamed => 3,
        Outcome::Kept | Outcome::NotDue | Outcome::Unchanged => 4,
    }
}

/// One certificate.
#[must_use]
pub fn certificate(report: &CertReport, style: Style) -> String {
    let mut text = format!("{}: {}", style.name(report.name.as_str()), outcome(report.outcome, style));
    if let Some(error) = &report.error {
        text.push_str(&format!(": {}", failure(error)));
    }
    if report.outcome == Outcome::Revoked {
        text.push_str(&revoked(report));
    } else if let Some(served) = served(report) {
        text.push_str(if report.error.is_some() { "; serves " } else { ": " });
        text.push_str(&served);
    }
    let reasons: Vec<String> = report.reasons.iter().map(|r| one_line(&format!("{}: {}", r.code.as_str(), r.text), LINE)).collect();
    if !reasons.is_empty() {
        text.push_str(&format!(" ({})", reasons.join("; ")));
    }
    text.push('\n');
    for warning in &report.warnings {
        text.push_str(&self::warning(warning, style));
    }
    for finding in &report.findings {
        let says = format!("{}: expected {}, found {}", finding.id, finding.expected, finding.found);
        // What a refusal says itself is not said twice.
        if report.error.as_ref().is_some_and(|error| error.text.contains(&says)) {
            continue;
        }
        text.push_str(&format!("  {}: {}\n", severity(finding.severity, style), one_line(&says, LINE)));
    }
    for (word, lines) in [("removed", &report.removed), ("left alone", &report.left_alone)] {
        lines.iter().for_each(|line| text.push_str(&format!("  {}: {}\n", style.dim(word), one_line(line, LINE))));
    }
    if let Some(debt) = &report.debt {
        text.push_str(&format!("  {}: {}\n", style.warn("debt"), self::debt(debt, report.generation)));
    }
    if let Some(error) = &report.error {
        text.push_str(&hint(error.hint.as_deref(), style));
    }
    text
}

fn outcome(outcome: Outcome, style: Style) -> String {
    let word = outcome.as_str();
    match outcome {
        Outcome::Renewed
        | Outcome::Settled
        | Outcome::Restored
        | Outcome::Resealed
        | Outcome::Revoked
        | Outcome::Unblocked
        | Outcome::Installed
        | Outcome::Forgotten
        | Outcome::Renamed => style.good(word),
        Outcome::NotDue | Outcome::Kept | Outcome::Unchanged => style.dim(word),
        Outcome::RolledBack => style.warn(word),
        Outcome::Refused | Outcome::Failed | Outcome::Blocked | Outcome::Exhausted | Outcome::Interrupted => style.bad(word),
    }
}

fn severity(severity: Severity, style: Style) -> String {
    match severity {
        Severity::High => style.bad(severity.as_str()),
        Severity::Medium => style.warn(severity.as_str()),
        Severity::Low | Severity::Info => style.dim(severity.as_str()),
    }
}

/// A warning about one of many.
pub(super) fn warning(warning: &Warning, style: Style) -> String {
    format!("  {}", general_warning(warning, style))
}

/// A warning about all of it.
pub(super) fn general_warning(warning: &Warning, style: Style) -> String {
    let text = one_line(&format!("{}: {}", warning.code, warning.text), LINE);
    format!("{}: {text}\n{}", style.warn("warning"), hint(warning.hint.as_deref(), style))
}

fn failure(failure: &Failure) -> String {
    one_line(&format!("{}: {}: {}", failure.stage, failure.code, failure.text), LINE)
}

/// What the CA has revoked. Of what consumers find more is known than which one it is.
fn revoked(report: &CertReport) -> String {
    let generation = report.generation.map_or(String::new(), |generation| format!("{generation}, "));
    let serial = report.serial.as_deref().unwrap_or("unknown");
    let serves = if report.sha256.is_some() { "; it still serves, and is due: `omens renew` replaces it" } else { "" };
    format!(": {generation}serial number {serial}{serves}")
}

/// What consumers read at the end, and how that is known.
fn served(report: &CertReport) -> Option<String> {
    let mut text = report.generation?.to_string();
    if let Some(previous) = report.previous.filter(|previous| Some(*previous) != report.generation) {
        text.push_str(&format!(" after {previous}"));
    }
    if let Some(end) = report.not_after {
        text.push_str(&format!(", valid until {end}"));
    }
    if let Some(proof) = report.proof {
        text.push_str(&format!(", proof {}", proof.as_str()));
    }
    Some(text)
}

/// What is owed, where consumers read `read`.
pub(super) fn debt(debt: &Debt, read: Option<Generation>) -> String {
    let since = debt.since.map_or(String::new(), |since| format!(" since {since}"));
    let tried = match debt.attempts {
        0 => String::new(),
        1 => ", tried once".to_owned(),
        attempts => format!(", tried {attempts} times"),
    };
    let last = debt.stage.zip(debt.code).map_or(String::new(), |(stage, code)| format!(", last failed at {stage}: {code}"));
    let how = if read == Some(debt.generation) { "is what consumers read, and not settled" } else { "is issued but not taken up" };
    one_line(&format!("{} {how}{since}{tried}{last}", debt.generation), LINE)
}

pub(super) fn hint(hint: Option<&str>, style: Style) -> String {
    hint.map_or(String::new(), |hint| format!("  {} {}\n", style.dim("hint:"), one_line(hint, LINE)))
}

/// An error of a whole run.
#[must_use]
pub fn run_error(error: &RunError, style: Style) -> String {
    let text = one_line(&format!("{}: {}", error.code, error.text), LINE);
    format!("{}: {text}\n{}", style.bad("error"), hint(error.hint.as_deref(), style))
}

/// Errors of the settings: `FILE:LINE:COLUMN: CODE: TEXT`, as editors and compilers write them.
#[must_use]
pub fn settings_errors(errors: &[SettingsError], style: Style) -> String {
    let show = |error: &SettingsError| {
        let place = one_line(&error.place(), LINE);
        let text = one_line(&error.text, LINE);
        format!("{}: {}: {text}\n{}", style.name(&place), style.bad(error.code.as_str()), hint(error.suggestion.as_deref(), style))
    };
    errors.iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Time;
    use crate::model::code::Code;
    use crate::model::failure::Stage;
    use crate::model::finding::Finding;
    use crate::model::name::CertName;
    use crate::model::reason::{Reason, ReasonCode};
    use crate::model::state::Proof;

    fn some(outcome: Outcome) -> CertReport {
        CertReport::new(CertName::parse("nginx").unwrap(), outcome)
    }

    #[test]
    fn a_renewed_certificate_says_what_is_served_and_why_it_was_due() {
        let mut report = some(Outcome::Renewed);
        report.generation = Some(Generation(3));
        report.previous = Some(Generation(2));
        report.not_after = Time::parse("2026-11-25T01:46:00Z");
        report.proof = Some(Proof::Served);
        report.reasons = vec![Reason::new(ReasonCode::InWindow, "since 2026-11-24T17:40:00Z")];
        report.warnings = vec![Warning::new(Code::ClockSkew, "the server is 70s ahead")];
        report.findings = vec![Finding::new("ku.beyond", Severity::Medium, "digitalSignature", "keyEncipherment as well")];
        assert_eq!(
            certificate(&report, Style::PLAIN),
            "nginx: renewed: gen-3 after gen-2, valid until 2026-11-25T01:46:00Z, proof served (in-window: since 2026-11-24T17:40:00Z)\n  \
             warning: clock-skew: the server is 70s ahead\n  \
             medium: ku.beyond: expected digitalSignature, found keyEncipherment as well\n"
        );
    }

    #[test]
    fn a_failure_names_stage_and_code_and_its_hint_comes_last() {
        let mut report = some(Outcome::RolledBack);
        report.generation = Some(Generation(2));
        report.previous = Some(Generation(2));
        report.error = Some(Failure::new(Stage::Verify, Code::OldLeaf, "127.0.0.1:443 serves gen-2\nafter 15s").hint("see `nginx -t`"));
        report.debt = Some(Debt {
            generation: Generation(3),
            sha256: None,
            since: Time::parse("2026-11-24T01:46:00Z"),
            stage: Some(Stage::Verify),
            code: Some(Code::OldLeaf),
            attempts: 1,
        });
        assert_eq!(
            certificate(&report, Style::PLAIN),
            "nginx: rolled-back: verify: old-leaf: 127.0.0.1:443 serves gen-2 after 15s; serves gen-2\n  \
             debt: gen-3 is issued but not taken up since 2026-11-24T01:46:00Z, tried once, last failed at verify: old-leaf\n  \
             hint: see `nginx -t`\n"
        );
    }

    #[test]
    fn what_a_refusal_says_itself_is_not_said_twice() {
        let mut report = some(Outcome::Refused);
        let finding = |id| Finding::new(id, Severity::High, "only web", "api as well");
        report.findings = vec![finding("name.extra"), finding("name.other")];
        report.error = Some(Failure::new(Stage::Validate, Code::Refused, "name.extra: expected only web, found api as well"));
        assert_eq!(
            certificate(&report, Style::PLAIN),
            "nginx: refused: validate: refused: name.extra: expected only web, found api as well\n  \
             high: name.other: expected only web, found api as well\n"
        );
    }

    #[test]
    fn what_is_not_due_is_one_line() {
        let mut report = some(Outcome::NotDue);
        report.reasons = vec![Reason::new(ReasonCode::Fresh, "until 2026-11-24T17:40:00Z")];
        assert_eq!(certificate(&report, Style::PLAIN), "nginx: not-due (fresh: until 2026-11-24T17:40:00Z)\n");
    }

    #[test]
    fn settings_errors_stand_as_compilers_write_them_and_steer_no_terminal() {
        let mut error = SettingsError {
            file: "/etc/omens/omens.toml".to_owned(),
            line: Some(3),
            column: Some(7),
            key: Some("host.nmae".to_owned()),
            code: Code::UnknownKey,
            text: "[host] has no key \"n\x1b[2Jme\"".to_owned(),
            suggestion: Some("did you mean \"name\"?".to_owned()),
        };
        let text = settings_errors(std::slice::from_ref(&error), Style::PLAIN);
        assert_eq!(text, "/etc/omens/omens.toml:3:7: unknown-key: [host] has no key \"n\\u{1b}[2Jme\"\n  hint: did you mean \"name\"?\n");
        (error.line, error.column, error.suggestion) = (None, None, None);
        assert!(settings_errors(&[error], Style::PLAIN).starts_with("/etc/omens/omens.toml: unknown-key: "));
    }
}
