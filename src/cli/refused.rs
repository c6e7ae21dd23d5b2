//! What a command prints as JSON that could not do anything: its own document with nothing in it, so that each schema has one shape at every
//! exit code.

use std::collections::BTreeMap;

use serde::Serialize;

use super::output::Output;
use crate::audit::adopt::Adoption;
use crate::model::audit;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::finding::Severity;
use crate::model::report::{Report, SettingsError};
use crate::model::verdict::Appraised;
use crate::plan::view::{End, PlanDocument, StatusDocument};

/// What the command line asks about, as far as it can be made out.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    /// The settings file.
    pub(super) config: &'a str,
    /// The endpoint, or the finding.
    pub(super) object: &'a str,
}

/// The document of a command, by the word behind `omens.`: some have another one for what a flag asks for.
pub(super) fn document<'a>(command: &'a str, words: &[&str]) -> &'a str {
    match command {
        "attest" if words.contains(&"--print-policy") => "attest-policy",
        "init" if words.contains(&"--server") => "init-server",
        _ => command,
    }
}

/// A document and how its command ended: one shape at every exit code.
#[derive(Serialize)]
pub(super) struct Ended<T> {
    #[serde(flatten)]
    pub(super) document: T,
    #[serde(flatten)]
    pub(super) end: End,
    pub(super) errors: Vec<SettingsError>,
}

/// Prints this report as the document of its command, where that is another than a report; says whether it is.
pub(super) fn print(output: &mut Output, report: &Report, asked: Asked<'_>) -> bool {
    let end = End { started: report.started, finished: report.finished, exit: report.exit, error: report.error.clone() };
    let (host, errors, schema) = (report.host.clone(), report.errors.clone(), report.schema.as_str());
    match report.schema.as_str() {
        "omens.plan/1" => output.document(&PlanDocument::refused(host, end, errors)),
        "omens.status/1" => output.document(&StatusDocument::refused(host, end, errors)),
        "omens.init/1" => output.document(&Ended { document: Adoption::empty(), end, errors }),
        "omens.check-config/1" => {
            let file = asked.config;
            output.document(&Settings { schema, file, ok: false, errors, certificates: 0, warnings: [], end });
        }
        "omens.probe/1" => output.document(&Ended { document: Endpoint::refused(report, asked.object), end, errors }),
        "omens.attest/1" => output.document(&Ended { document: Attested::refused(report), end, errors }),
        "omens.attest-policy/1" => {
            output.document(&Ended { document: Policy { schema, host: &report.host, ..Policy::default() }, end, errors })
        }
        "omens.explain/1" => output.document(&Ended { document: Finding { schema, id: asked.object, ..Finding::default() }, end, errors }),
        "omens.init-server/1" => output.document(&Ended { document: Server { schema, host: &report.host, script: "" }, end, errors }),
        "omens.schema/1" => output.document(&Ended { document: Names { schema, names: [] }, end, errors }),
        audit::SCHEMA => output.document(&Ended { document: no_audit(host, report), end, errors }),
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

/// No verdict: in its place why there is none.
#[derive(Serialize)]
struct Attested<'a> {
    schema: &'a str,
    host: &'a str,
    agent_id: Option<&'a str>,
    ek_sha256: Option<&'a str>,
    ak_name: Option<&'a str>,
    registered: bool,
    verdict: NoVerdict<'a>,
    next: Option<u64>,
    warnings: [Warning; 0],
}

#[derive(Serialize)]
struct NoVerdict<'a> {
    code: &'a str,
    text: &'a str,
    hint: Option<&'a str>,
    at: Time,
    last_successful: Option<Time>,
    attested: Appraised,
}

impl<'a> Attested<'a> {
    fn refused(report: &'a Report) -> Self {
        let error = report.error.as_ref();
        let of_settings = report.errors.first();
        let code = error.map(|error| error.code).or_else(|| of_settings.map(|error| error.code)).map_or("", Code::as_str);
        let text = error.map(|error| error.text.as_str()).or_else(|| of_settings.map(|error| error.text.as_str())).unwrap_or_default();
        let hint = error.map_or_else(|| of_settings?.suggestion.as_deref(), |error| error.hint.as_deref());
        let verdict = NoVerdict { code, text, hint, at: report.started, last_successful: None, attested: Appraised::default() };
        let (schema, host) = (report.schema.as_str(), report.host.as_str());
        Self { schema, host, agent_id: None, ek_sha256: None, ak_name: None, registered: false, verdict, next: None, warnings: [] }
    }
}

/// No measurement.
#[derive(Default, Serialize)]
struct Policy<'a> {
    schema: &'a str,
    host: &'a str,
    agent_id: Option<&'a str>,
    ek_sha256: Option<&'a str>,
    ak_name: Option<&'a str>,
    registered: bool,
    tpm_policy: BTreeMap<u32, [String; 1]>,
    unmeasured: [u32; 0],
    command: &'a str,
}

/// No such finding.
#[derive(Default, Serialize)]
struct Finding<'a> {
    schema: &'a str,
    id: &'a str,
    severity: Option<Severity>,
    title: &'a str,
    why: &'a str,
    remedy: &'a str,
    bad: &'a str,
    good: &'a str,
    breaks: [&'a str; 0],
    sources: [&'a str; 0],
}

/// No script.
#[derive(Serialize)]
struct Server<'a> {
    schema: &'a str,
    host: &'a str,
    script: &'a str,
}

/// No schema of that name.
#[derive(Serialize)]
struct Names<'a> {
    schema: &'a str,
    names: [&'a str; 0],
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
