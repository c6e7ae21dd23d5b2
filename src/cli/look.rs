//! The commands that only look: `plan` and `status`. They cannot change a host.

use super::arguments::{Command, Status};
use super::exit::{FAILED, OK, REFUSED, UNKNOWN};
use super::session::Session;
use super::show;
use super::style::Style;
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::DiskError;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::reason::Reason;
use crate::model::report::RunError;
use crate::model::span;
use crate::model::text::one_line;
use crate::plan::standing::Standing;
use crate::plan::view::{self, PlanDocument, Planned, StatusDocument};

/// Longer than any text we make; a bound for those we only pass on.
const LINE: usize = 2000;

pub(super) fn plan(session: &mut Session<'_>, command: &Command) -> u8 {
    session.output.when_lost(REFUSED);
    let settings = match session.begin(command) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let all: Vec<&Certificate> = settings.certificates.iter().collect();
    match view::plan(&settings, &all, session.clock.now()) {
        Err(why) => session.refuse(command, unreadable(&why)),
        Ok(document) => {
            if session.global.json {
                session.output.document(&document);
            } else {
                let text = plan_text(&document, session.style);
                session.output.text(&text);
            }
            OK
        }
    }
}

pub(super) fn status(session: &mut Session<'_>, command: &Command, arguments: &Status) -> u8 {
    // "Not due" is 1, and would let a unit pass over what is due.
    if arguments.due.is_some() {
        session.output.when_lost(UNKNOWN);
    }
    let settings = match session.begin(command) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let named = arguments.due.as_deref().unwrap_or_default();
    let wanted: Vec<&Certificate> = settings.certificates.iter().filter(|c| named.is_empty() || named.contains(c.name())).collect();
    let document = match view::status(&settings, &wanted, session.clock.now()) {
        Ok(document) => document,
        Err(why) => return session.refuse(command, unreadable(&why)),
    };
    let due_only = arguments.due.is_some();
    if session.global.json {
        session.output.document(&document);
    } else if due_only {
        let text = due_text(&document);
        session.output.text(&text);
    } else {
        let text = status_text(&document, &settings, session.style);
        session.output.text(&text);
    }
    let good = if due_only { document.certificates.iter().any(|c| c.planned.due) } else { document.healthy };
    if good { OK } else { FAILED }
}

const _: () = assert!(UNKNOWN != REFUSED, "ExecCondition= tells 255 from all else");

/// What may not be read is an error, never "due".
fn unreadable(why: &DiskError) -> RunError {
    RunError { code: if why.denied() { Code::Permission } else { Code::Disk }, text: why.to_string(), hint: Some(why.hint()) }
}

fn reasons(reasons: &[Reason]) -> String {
    let each: Vec<String> = reasons.iter().map(|r| one_line(&format!("{}: {}", r.code.as_str(), r.text), LINE)).collect();
    each.join("; ")
}

fn due(planned: &Planned, style: Style) -> String {
    if planned.due { style.warn("due") } else { style.dim("not due") }
}

fn plan_text(document: &PlanDocument, style: Style) -> String {
    if document.certificates.is_empty() {
        return "the settings name no certificate\n".to_owned();
    }
    let line = |p: &Planned| format!("{}: {} ({})\n", style.name(p.name.as_str()), due(p, style), reasons(&p.reasons));
    document.certificates.iter().map(line).collect()
}

fn due_text(document: &StatusDocument) -> String {
    let line = |s: &&Standing| format!("{}: due ({})\n", s.planned.name, reasons(&s.planned.reasons));
    document.certificates.iter().filter(|s| s.planned.due).map(|s| line(&s)).collect()
}

fn status_text(document: &StatusDocument, settings: &Settings, style: Style) -> String {
    let mut text: String = document.certificates.iter().map(|standing| standing_text(standing, document.at, style)).collect();
    let last = document.last_run.map_or_else(|| "never".to_owned(), |at| format!("{at} ({} ago)", span::about(document.at.since(at))));
    let total = document.certificates.len();
    let well = document.certificates.iter().filter(|c| c.healthy).count();
    let summary = if document.healthy { style.good("healthy") } else { style.bad(&format!("{} of {total} need attention", total - well)) };
    text.push_str(&format!("{}: {summary}, last run {last}\n", style.name(&one_line(&settings.host, LINE))));
    if let Some(beyond) = document.certificates.iter().find_map(|c| c.keep_beyond) {
        text.push_str(&format!("{}: {beyond}\n", style.warn("note")));
    }
    for name in &document.unnamed {
        let path = settings.paths.state.join("certs").join(name);
        text.push_str(&format!(
            "{}: {} is kept, but the settings no longer name it\n  {} remove it by hand when nothing needs it\n",
            style.warn("note"),
            one_line(&path.display().to_string(), LINE),
            style.dim("hint:")
        ));
    }
    text
}

fn standing_text(standing: &Standing, now: Time, style: Style) -> String {
    let planned = &standing.planned;
    let health = if standing.healthy { style.good("healthy") } else { style.bad("not healthy") };
    let mut text = format!("{}: {health}", style.name(planned.name.as_str()));
    if let Some((generation, expires)) = standing.live.zip(planned.expires) {
        let proof = standing.proof.map_or("none", crate::model::state::Proof::as_str);
        let left = if expires > now {
            format!("{} left", span::about(expires.since(now)))
        } else {
            format!("expired {} ago", span::about(now.since(expires)))
        };
        text.push_str(&format!(": {generation}, {left} until {expires}, proof {proof}"));
    }
    text.push_str(&format!("\n  {} ({})\n", due(planned, style), reasons(&planned.reasons)));
    if let Some(window) = &planned.waits_for {
        text.push_str(&format!(
            "  {}: waits for its window, which opens at {} and ends at {}\n",
            style.warn("note"),
            window.opens,
            window.ends
        ));
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
        text.push_str(&format!("  {}: {}\n", style.warn("debt"), show::debt(debt)));
    }
    if let Some(last) = &standing.last_error {
        let says = format!("{}: {}: {}", last.failure.stage, last.failure.code, last.failure.text);
        text.push_str(&format!("  {} {}: {}\n", style.bad("last error"), last.at, one_line(&says, LINE)));
        text.push_str(&show::hint(last.failure.hint.as_deref(), style));
    }
    text
}
