//! `check-config`: every error of the settings, or how many certificates they name. It must never change anything.

use serde::Serialize;

use super::arguments::CheckConfig;
use super::session::Session;
use super::{OK, REFUSED, show};
use crate::model::failure::Warning;
use crate::model::report::SettingsError;
use crate::model::text::one_line;

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    file: String,
    ok: bool,
    errors: Vec<SettingsError>,
    certificates: usize,
    warnings: Vec<Warning>,
}

pub(super) fn run(session: &mut Session<'_, '_>, arguments: &CheckConfig) -> u8 {
    if arguments.online {
        let command = super::arguments::Command::CheckConfig(CheckConfig { online: true });
        return session.refuse(&command, super::session::not_available("--online"));
    }
    let file = session.global.config.display().to_string();
    let (errors, certificates) = match session.settings(true) {
        Ok(settings) => (Vec::new(), settings.certificates.len()),
        Err(errors) => (errors, 0),
    };
    let ok = errors.is_empty();
    let warnings = if ok && certificates == 0 {
        vec![Warning::new("no-certificates", "the settings name no certificate, so there is nothing to renew; add a [[certificate]]")]
    } else {
        Vec::new()
    };
    let document = Document { schema: "omens.check-config/1", file, ok, errors, certificates, warnings };
    if session.global.json {
        session.output.document(&document);
    } else {
        let text = text(session, &document);
        session.output.text(&text);
    }
    if document.ok { OK } else { REFUSED }
}

fn text(session: &Session<'_, '_>, document: &Document) -> String {
    let style = session.style;
    let mut text = show::settings_errors(&document.errors, style);
    if document.ok {
        let count = document.certificates;
        let certificates = if count == 1 { "certificate" } else { "certificates" };
        text = format!("{}: {}, {count} {certificates}\n", one_line(&document.file, 500), style.good("ok"));
    }
    for warning in &document.warnings {
        text.push_str(&format!("{}: {}: {}\n", style.warn("warning"), warning.code, warning.text));
    }
    text
}
