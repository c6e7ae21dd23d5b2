//! The commands that only look: `plan` and `status`. They cannot change a host.

use super::arguments::{Command, Status, StatusFormat};
use super::exit::{FAILED, OK, REFUSED, UNKNOWN};
use super::services;
use super::session::Session;
use super::standing::{self, Of, SHORT, due, reasons, waits};
use super::style::Style;
use crate::config::settings::{Certificate, Faulty, Paths, Remains};
use crate::io::dir::DiskError;
use crate::io::look::View;
use crate::model::code::Code;
use crate::model::name::CertName;
use crate::model::report::RunError;
use crate::model::text::one_line;
use crate::plan::broken;
use crate::plan::faulty::{committed, on_disk};
use crate::plan::metrics;
use crate::plan::standing::Standing;
use crate::plan::view::{PlanDocument, Planned, StatusDocument};

pub(super) fn plan(session: &mut Session<'_>, command: &Command) -> u8 {
    session.output.when_lost(REFUSED);
    let settings = match session.begin(command) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let all: Vec<&Certificate> = settings.certificates.iter().collect();
    match broken::plan(&settings, &all, &on_disk(&settings), session.clock.now()) {
        Err(why) => session.refuse(command, unreadable(&why)),
        Ok(mut document) => {
            document.end.exit = if document.errors.is_empty() { OK } else { FAILED };
            if session.global.json {
                session.output.document(&document);
            } else {
                let text = plan_text(&document, session.style, session.global.verbose > 0);
                // What is due is nothing that went wrong.
                session.result(&text, OK);
            }
            session.show_errors(&document.errors);
            document.end.exit
        }
    }
}

pub(super) fn status(session: &mut Session<'_>, command: &Command, arguments: &Status) -> u8 {
    // "Not due" is 1, and would let a unit pass over what is due.
    if arguments.due.is_some() {
        session.output.when_lost(UNKNOWN);
    }
    let settings = match session.as_runs_find_them() {
        Ok(settings) => settings,
        Err(remains) => return status_without_settings(session, command, arguments, *remains),
    };
    let settings = match session.named(command, settings) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let named = arguments.due.as_deref().unwrap_or_default();
    let is_wanted = |name: &CertName| named.is_empty() || named.contains(name);
    let wanted: Vec<&Certificate> = settings.certificates.iter().filter(|c| is_wanted(c.name())).collect();
    let faulty: Vec<Faulty> = on_disk(&settings).into_iter().filter(|faulty| is_wanted(&faulty.name)).collect();
    let mut document = match broken::status(&settings, &wanted, &faulty, session.clock.now()) {
        Ok(document) => document,
        Err(why) => return session.refuse(command, unreadable(&why)),
    };
    document.warnings.extend(services::no_systemd(&settings, &View::host()));
    let hidden = named.is_empty() && settings.faults.hidden.is_some();
    let exit = match &arguments.due {
        None if document.healthy => OK,
        None => FAILED,
        Some(_) if document.certificates.iter().any(|c| c.planned.due) => OK,
        // What cannot be decided is never "not due"; that nobody can be told of a run keeps nothing from being decided.
        Some(_) if hidden || !faulty.is_empty() => UNKNOWN,
        Some(_) => FAILED,
    };
    show_status(session, &mut document, &settings.paths, arguments, exit)
}

/// What is committed and what consumers read is shown whatever the settings say. Whether anything is due is not known then.
fn status_without_settings(session: &mut Session<'_>, command: &Command, arguments: &Status, remains: Remains) -> u8 {
    let Some(paths) = remains.paths.clone().filter(|_| arguments.due.is_none()) else { return session.unusable(command, remains) };
    let faulty = committed(&remains, &paths);
    if faulty.is_empty() {
        return session.unusable(command, remains);
    }
    match broken::status_without_settings(&remains, &paths, &faulty, session.clock.now()) {
        Ok(mut document) => show_status(session, &mut document, &paths, arguments, FAILED),
        Err(why) => session.refuse(command, unreadable(&why)),
    }
}

fn show_status(session: &mut Session<'_>, document: &mut StatusDocument, paths: &Paths, arguments: &Status, exit: u8) -> u8 {
    document.end.exit = exit;
    match arguments.format {
        _ if session.global.json => session.output.document(document),
        StatusFormat::Json => session.output.document(document),
        StatusFormat::Prometheus => session.output.text(&metrics::prometheus(document)),
        StatusFormat::Text if arguments.due.is_some() => {
            session.result(&due_text(document), OK);
        }
        StatusFormat::Text => {
            let of = if session.global.quiet { Of::Unhealthy } else { Of::All };
            let text = standing::status(document, of, paths, session.style, session.global.verbose > 0);
            session.result(&text, exit);
        }
    }
    session.show_errors(&document.errors);
    exit
}

const _: () = assert!(UNKNOWN != REFUSED, "ExecCondition= tells 255 from all else");

/// What may not be read is an error, never "due".
fn unreadable(why: &DiskError) -> RunError {
    RunError { code: if why.denied() { Code::Permission } else { Code::Disk }, text: why.to_string(), hint: Some(why.hint()) }
}

/// One line a certificate, what is due first; with -v all reasons of each.
fn plan_text(document: &PlanDocument, style: Style, verbose: bool) -> String {
    if document.certificates.is_empty() {
        return "the settings name no certificate\n".to_owned();
    }
    let mut sorted: Vec<&Planned> = document.certificates.iter().collect();
    sorted.sort_by_key(|planned| (!planned.due, planned.expires, planned.due_at));
    let waits = |p: &Planned| waits(p).map_or_else(String::new, |waits| format!("; {waits}"));
    let whole = |p: &Planned| format!("{}: {} ({}){}\n", style.name(p.name.as_str()), due(p, style), reasons(&p.reasons), waits(p));
    if verbose {
        return sorted.into_iter().map(whole).collect();
    }
    let width = sorted.iter().map(|planned| planned.name.as_str().len()).max().unwrap_or_default();
    let line = |p: &Planned| {
        let (name, pad) = (format!("{:width$}", p.name.as_str()), if p.due { "    " } else { "" });
        let more = p.reasons.len().saturating_sub(1);
        let others = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        let first = p.reasons.get(..1).map(reasons).unwrap_or_default();
        format!("{}  {}{pad}  {}{others}{}\n", style.name(&name), due(p, style), one_line(&first, SHORT), waits(p))
    };
    let lines: String = sorted.iter().map(|planned| line(planned)).collect();
    let is_due = sorted.iter().filter(|planned| planned.due).count();
    let total = sorted.len();
    format!("{lines}{}: {is_due} of {total} due; more with -v\n", style.name(&one_line(&document.host, SHORT)))
}

fn due_text(document: &StatusDocument) -> String {
    let line = |s: &&Standing| format!("{}: due ({})\n", s.planned.name, reasons(&s.planned.reasons));
    document.certificates.iter().filter(|s| s.planned.due).map(|s| line(&s)).collect()
}
