//! `status` as text: one line a certificate, the worst first; with -v all that is known of each. Pure.

use super::show;
use super::style::Style;
use crate::config::settings::Paths;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::layout;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::span;
use crate::model::text::one_line;
use crate::plan::view::{Keeps, Planned, Standing, StatusDocument, Wait};

/// Longer than any text we make; a bound for those we only pass on.
const LINE: usize = 2000;
/// As much of what is wrong as a line of many has room for.
pub(super) const SHORT: usize = 240;

/// Which certificates are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    All,
    /// Those that need attention.
    Unhealthy,
}

/// The whole report.
pub(super) fn status(document: &StatusDocument, of: Of, paths: &Paths, style: Style, verbose: bool) -> String {
    let mut sorted: Vec<&Standing> = document.certificates.iter().filter(|standing| of == Of::All || !standing.healthy).collect();
    sorted.sort_by_key(|standing| rank(standing));
    let width = sorted.iter().map(|standing| standing.planned.name.as_str().len()).max().unwrap_or_default();
    let text = |standing: &&Standing| {
        if verbose { whole(standing, document.at, style) } else { line(standing, document.at, width, style) }
    };
    let mut text: String = sorted.iter().map(text).collect();
    let last = document.last_run.map_or_else(|| "never".to_owned(), |at| format!("{at} ({} ago)", span::about(document.at.since(at))));
    let total = document.certificates.len();
    let well = document.certificates.iter().filter(|c| c.healthy).count();
    let summary = if document.healthy { style.good("healthy") } else { style.bad(&format!("{} of {total} need attention", total - well)) };
    let unknown: Vec<&str> = document.logins_unknown.iter().map(|login| login.method.as_str()).collect();
    let ends =
        if unknown.is_empty() { String::new() } else { format!("; when the login by {} ends is not known", unknown.join(" and by ")) };
    let more = if verbose || (document.healthy && unknown.is_empty()) { "" } else { "; more with -v" };
    text.push_str(&format!("{}: {summary}, last run {last}{ends}{more}\n", style.name(&host(document))));
    if let Some(beyond) = document.certificates.iter().find_map(|c| c.keep_beyond).filter(|_| verbose) {
        text.push_str(&format!("{}: {beyond}\n", style.warn("note")));
    }
    for warning in &document.warnings {
        text.push_str(&show::general_warning(warning, style));
    }
    for login in document.logins_unknown.iter().filter(|_| verbose) {
        let says = one_line(&format!("when the login by {} ends is not known: {}", login.method, login.why), LINE);
        text.push_str(&format!("{}: {says}\n", style.warn("note")));
    }
    for name in &document.unnamed {
        let (state, run) = (paths.state.join(layout::CERTS), &paths.run);
        let places = format!("{} and {}", state.display(), run.display());
        text.push_str(&format!(
            "{}: {name} is kept in {}, but the settings no longer name it\n  {} `omens forget {name}` removes it when nothing needs it, and says before what that is\n",
            style.warn("note"),
            one_line(&places, LINE),
            style.dim("hint:")
        ));
    }
    text
}

/// The host, where the settings say which it is.
fn host(document: &StatusDocument) -> String {
    if document.host.is_empty() { "this host".to_owned() } else { one_line(&document.host, LINE) }
}

/// The worst first: not healthy before healthy, then what ends first.
fn rank(standing: &Standing) -> impl Ord + use<> {
    (standing.healthy, standing.planned.expires, standing.planned.due_at)
}

fn line(standing: &Standing, now: Time, width: usize, style: Style) -> String {
    let planned = &standing.planned;
    let name = format!("{:width$}", planned.name.as_str());
    let word = format!("{:13}", word(standing));
    let word = if standing.healthy { style.good(&word) } else { style.bad(&word) };
    let generation = standing.serves().map_or_else(|| "-".to_owned(), |serves| serves.to_string());
    let left = planned.expires.map_or_else(|| "nothing".to_owned(), |expires| left(expires, now));
    let mut text = format!("{}  {word}  {generation:8}  {left:16}  {}\n", style.name(&name), one_line(&what(standing, now), SHORT));
    // What the line itself says is not said twice.
    let said = [Code::LinkMissing, Code::StateNewer, Code::StateNotWritten];
    for warning in standing.warnings.iter().filter(|warning| !said.contains(&warning.code)) {
        text.push_str(&show::warning(warning, style));
    }
    text
}

fn left(expires: Time, now: Time) -> String {
    if expires > now {
        format!("{} left", span::about(expires.since(now)))
    } else {
        format!("expired {} ago", span::about(now.since(expires)))
    }
}

/// The one word for how it is: of what is wrong that which tells most.
fn word(standing: &Standing) -> &'static str {
    if standing.in_progress.is_some() {
        return ReasonCode::InProgress.as_str();
    }
    if standing.healthy {
        return "healthy";
    }
    telling(standing).map_or("not healthy", |reason| reason.code.as_str())
}

/// The reason that says most of why it is not healthy; that it is due says nothing by itself.
fn telling(standing: &Standing) -> Option<&Reason> {
    let reasons = &standing.planned.reasons;
    let says_little = [ReasonCode::InWindow, ReasonCode::Fresh, ReasonCode::Forced, ReasonCode::InProgress];
    reasons.iter().find(|reason| !says_little.contains(&reason.code))
}

fn what(standing: &Standing, now: Time) -> String {
    let planned = &standing.planned;
    // No run makes a link, so that no error of one is about it.
    let by_a_run = telling(standing).is_none_or(|reason| reason.code != ReasonCode::LinkMissing);
    if let Some(last) = standing.last_error.as_ref().filter(|_| !standing.healthy && by_a_run) {
        let pause = waits(planned).map_or(String::new(), |waits| format!("; {waits}"));
        let hint = last.failure.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
        return format!("{}: {}: {}{pause}{hint}", last.failure.stage, last.failure.code, last.failure.text);
    }
    if let Some(warning) = standing.warnings.iter().find(|warning| matches!(warning.code, Code::StateNewer | Code::StateNotWritten)) {
        return warning.text.clone();
    }
    if let Some(reason) = telling(standing).or_else(|| planned.reasons.iter().find(|reason| reason.code == ReasonCode::InProgress)) {
        return reason.text.clone();
    }
    match planned.due_at {
        Some(due) if due > now => format!("due in {}", span::about(due.since(now))),
        Some(_) => waits(planned).map_or_else(|| "due".to_owned(), |waits| format!("due, and {waits}")),
        None => String::new(),
    }
}

/// What a run waits for before it does what is due.
pub(super) fn waits(planned: &Planned) -> Option<String> {
    let Wait { opens, ends, why } = planned.waits_for?;
    Some(match why {
        Keeps::Window => {
            let ends = ends.map_or(String::new(), |ends| format!(" and ends at {ends}"));
            format!("waits for its window, which opens at {opens}{ends}")
        }
        Keeps::Budget => format!("the CA is asked again from {opens} on, or at once after `omens unblock {}`", planned.name),
    })
}

pub(super) fn reasons(reasons: &[Reason]) -> String {
    let each: Vec<String> = reasons.iter().map(|r| one_line(&format!("{}: {}", r.code.as_str(), r.text), LINE)).collect();
    each.join("; ")
}

pub(super) fn due(planned: &Planned, style: Style) -> String {
    if planned.due { style.warn("due") } else { style.dim("not due") }
}

/// All that is known of one.
fn whole(standing: &Standing, now: Time, style: Style) -> String {
    let planned = &standing.planned;
    let health = if standing.healthy { style.good("healthy") } else { style.bad("not healthy") };
    let mut text = format!("{}: {health}", style.name(planned.name.as_str()));
    if let Some((generation, expires)) = standing.serves().zip(planned.expires) {
        let proof = standing.proof.map_or("none", crate::model::state::Proof::as_str);
        let left = if expires > now {
            format!("{} left", span::about(expires.since(now)))
        } else {
            format!("expired {} ago", span::about(now.since(expires)))
        };
        text.push_str(&format!(": {generation}, {left} until {expires}, proof {proof}"));
    }
    text.push_str(&format!("\n  {} ({})\n", due(planned, style), reasons(&planned.reasons)));
    if let Some(waits) = waits(planned) {
        let why = if planned.waits_for_window() { "" } else { "five signing requests brought no certificate: " };
        text.push_str(&format!("  {}: {why}{waits}\n", style.warn("note")));
    }
    if let Some(subject) = &standing.subject {
        text.push_str(&format!("  subject: {}\n  names: {}\n", one_line(subject, LINE), one_line(&standing.names.join(", "), LINE)));
    }
    text.push_str(&format!("  key: {}\n", standing.keep_means));
    for warning in &standing.warnings {
        text.push_str(&show::warning(warning, style));
    }
    if !standing.copies.is_empty() {
        let all = one_line(&standing.copies.join(", "), LINE);
        text.push_str(&format!("  {}: copies, renewed file by file and so weaker than links: {all}\n", style.warn("note")));
    }
    if let Some(debt) = &standing.debt {
        text.push_str(&format!("  {}: {}\n", style.warn("debt"), show::debt(debt, standing.published)));
    }
    if let Some(last) = &standing.last_error {
        let says = format!("{}: {}: {}", last.failure.stage, last.failure.code, last.failure.text);
        text.push_str(&format!("  {} {}: {}\n", style.bad("last error"), last.at, one_line(&says, LINE)));
        text.push_str(&show::hint(last.failure.hint.as_deref(), style));
    }
    text
}
