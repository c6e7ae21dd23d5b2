//! The commands that only look: `plan` and `status`. They cannot change a host.

use super::arguments::{Command, Status, StatusFormat};
use super::exit::{FAILED, OK, REFUSED, UNKNOWN};
use super::session::Session;
use super::standing::{self, due, reasons};
use super::style::Style;
use crate::config::settings::Certificate;
use crate::io::dir::DiskError;
use crate::model::code::Code;
use crate::model::report::RunError;
use crate::plan::metrics;
use crate::plan::view::{self, PlanDocument, Planned, Standing, StatusDocument};

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
    let mut document = match view::status(&settings, &wanted, session.clock.now()) {
        Ok(document) => document,
        Err(why) => return session.refuse(command, unreadable(&why)),
    };
    let due_only = arguments.due.is_some();
    let good = if due_only { document.certificates.iter().any(|c| c.planned.due) } else { document.healthy };
    document.end.exit = if good { OK } else { FAILED };
    let text = match arguments.format {
        _ if session.global.json => None,
        StatusFormat::Json => None,
        StatusFormat::Prometheus => Some(metrics::prometheus(&document)),
        StatusFormat::Text if due_only => Some(due_text(&document)),
        StatusFormat::Text => Some(standing::status(&document, &settings, session.style, session.global.verbose > 0)),
    };
    match text {
        Some(text) => session.output.text(&text),
        None => session.output.document(&document),
    }
    document.end.exit
}

const _: () = assert!(UNKNOWN != REFUSED, "ExecCondition= tells 255 from all else");

/// What may not be read is an error, never "due".
fn unreadable(why: &DiskError) -> RunError {
    RunError { code: if why.denied() { Code::Permission } else { Code::Disk }, text: why.to_string(), hint: Some(why.hint()) }
}

fn plan_text(document: &PlanDocument, style: Style) -> String {
    if document.certificates.is_empty() {
        return "the settings name no certificate\n".to_owned();
    }
    let line = |p: &&Planned| format!("{}: {} ({})\n", style.name(p.name.as_str()), due(p, style), reasons(&p.reasons));
    let mut sorted: Vec<&Planned> = document.certificates.iter().collect();
    sorted.sort_by_key(|planned| (!planned.due, planned.expires, planned.due_at));
    sorted.iter().map(line).collect()
}

fn due_text(document: &StatusDocument) -> String {
    let line = |s: &&Standing| format!("{}: due ({})\n", s.planned.name, reasons(&s.planned.reasons));
    document.certificates.iter().filter(|s| s.planned.due).map(|s| line(&s)).collect()
}
