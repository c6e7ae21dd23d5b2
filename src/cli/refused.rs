//! Why a command did nothing, as a document of the shape that the command's has at every exit code. A report of a run has that of itself.

use serde::Serialize;

use super::output::Output;
use crate::model::audit::{self, Summary};
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

pub(super) fn print(output: &mut Output, report: &Report, asked: Asked<'_>) {
    let end = End { started: report.started, finished: report.finished, exit: report.exit, error: report.error.clone() };
    let (host, errors) = (report.host.clone(), report.errors.clone());
    match report.schema.as_str() {
        "omens.plan/1" => output.document(&PlanDocument::refused(host, end, errors)),
        "omens.status/1" => output.document(&StatusDocument::refused(host, end, errors)),
        "omens.check-config/1" => {
            let (schema, file) = (&report.schema, asked.config);
            output.document(&Settings { schema, file, ok: false, errors, certificates: 0, warnings: [], end });
        }
        "omens.chain-audit/1" => {
            let (schema, at) = (report.schema.clone(), report.started);
            let (anchors, chains, findings) = (Vec::new(), Vec::new(), Vec::new());
            let nothing = audit::Document { schema, at, host, summary: Summary::default(), anchors, chains, findings };
            output.document(&Audit { nothing, end });
        }
        "omens.probe/1" => output.document(&Endpoint::refused(report, asked.endpoint, end)),
        _ => output.document(report),
    }
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

#[derive(Serialize)]
struct Audit {
    #[serde(flatten)]
    nothing: audit::Document,
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
    #[serde(flatten)]
    end: End,
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
    fn refused(report: &'a Report, address: &'a str, end: End) -> Self {
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
            end,
        }
    }
}
