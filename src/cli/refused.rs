//! What a command prints as JSON that could not do anything: its own document with nothing in it, so that each schema has one shape at every
//! exit code.

use serde::Serialize;

use super::output::Output;
use crate::audit::adopt::Adoption;
use crate::model::audit;
use crate::model::clock::Time;
use crate::model::failure::Warning;
use crate::model::report::{Report, SettingsError};
use crate::plan::view::{End, PlanDocument, StatusDocument};

/// What the command line asks about, as far as it can be made out.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    /// The settings file.
    pub(super) config: &'a str,
    /// The endpoint.
    pub(super) endpoint: &'a str,
}

/// A document whose command says how it ended only where it could not do anything.
#[derive(Serialize)]
struct Refused<T> {
    #[serde(flatten)]
    document: T,
    #[serde(flatten)]
    end: End,
    errors: Vec<SettingsError>,
}

/// Prints this report as the document of its command, where that is another than a report; says whether it is.
pub(super) fn print(output: &mut Output, report: &Report, asked: Asked<'_>) -> bool {
    let end = End { started: report.started, finished: report.finished, exit: report.exit, error: report.error.clone() };
    let (host, errors) = (report.host.clone(), report.errors.clone());
    match report.schema.as_str() {
        "omens.plan/1" => output.document(&PlanDocument::refused(host, end, errors)),
        "omens.status/1" => output.document(&StatusDocument::refused(host, end, errors)),
        "omens.init/1" => output.document(&Refused { document: Adoption::empty(), end, errors }),
        "omens.check-config/1" => {
            let (schema, file) = (&report.schema, asked.config);
            output.document(&Settings { schema, file, ok: false, errors, certificates: 0, warnings: [], end });
        }
        "omens.probe/1" => output.document(&Refused { document: Endpoint::refused(report, asked.endpoint), end, errors }),
        audit::SCHEMA => output.document(&Refused { document: no_audit(host, report), end, errors }),
        _ => return false,
    }
    true
}

/// An audit that could not be made.
fn no_audit(host: String, report: &Report) -> audit::Document {
    let (schema, summary) = (audit::SCHEMA.to_owned(), audit::Summary::default());
    audit::Document { schema, at: report.started, host, summary, anchors: Vec::new(), chains: Vec::new(), findings: Vec::new() }
}

#[derive(Serialize)]
struct Settings<'a> {
    schema: &'a str,
    file: &'a str,
    ok: bool,
    errors: Vec<SettingsError>,
    certificates: usize,
    warnings: [Warning; 0],
    #[serde(flatten)]
    end: End,
}

/// Nobody was asked.
#[derive(Serialize)]
struct Endpoint<'a> {
    schema: &'a str,
    address: &'a str,
    server_name: &'a str,
    at: Time,
    plain_http: bool,
    protocols: [&'a str; 0],
    server_chain: [&'a str; 0],
    server_subjects: [&'a str; 0],
    group: Option<&'a str>,
    alpn: Option<&'a str>,
    client_auth: ClientAuth<'a>,
    refused_by: Option<&'a str>,
    alert: Option<&'a str>,
    cause: Cause<'a>,
    remedy: Remedy<'a>,
}

#[derive(Serialize)]
struct ClientAuth<'a> {
    requested: bool,
    issuers: [&'a str; 0],
    sent: bool,
}

#[derive(Serialize)]
struct Cause<'a> {
    id: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct Remedy<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    text: &'a str,
}

impl<'a> Endpoint<'a> {
    fn refused(report: &'a Report, address: &'a str) -> Self {
        let error = report.error.as_ref();
        let cause = Cause { id: error.map_or("", |error| error.code.as_str()), text: error.map_or("", |error| &error.text) };
        let hint = error.and_then(|error| error.hint.as_deref()).unwrap_or_default();
        Self {
            schema: &report.schema,
            address,
            server_name: "",
            at: report.started,
            plain_http: false,
            protocols: [],
            server_chain: [],
            server_subjects: [],
            group: None,
            alpn: None,
            client_auth: ClientAuth { requested: false, issuers: [], sent: false },
            refused_by: None,
            alert: None,
            cause,
            remedy: Remedy { file: None, line: None, text: hint },
        }
    }
}
