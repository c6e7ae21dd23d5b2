//! `chain-audit`: reads what was given, has it judged, prints the report.

mod look;
mod network;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::{AuditFormat, AuditMerge, AuditReport, AuditVerdict, ChainAudit, FailOn};
use super::exit::{FAILED, OK, REFUSED};
use super::refused::{Asked, print as print_refused};
use super::session::Session;
use crate::audit::waivers::{FILE, Waivers};
use crate::audit::{catalogue, report, sources};
use crate::io::look::View;
use crate::io::read;
use crate::model::audit::{Document, SCHEMA, Verdict};
use crate::model::code::Code;
use crate::model::finding::Severity;
use crate::model::report::{Report, RunError};
use crate::model::text::{SERVER_TEXT, one_line, without_base64};

/// Why there is no report.
type Refused = RunError;

pub(super) fn run(session: &mut Session<'_>, arguments: &ChainAudit) -> u8 {
    if arguments.list_findings {
        return list(session, arguments.report);
    }
    let options = match &arguments.merge {
        Some(AuditMerge::Merge { report, .. }) => *report,
        None => arguments.report,
    };
    let document = match &arguments.merge {
        Some(AuditMerge::Merge { files, .. }) => merge(files),
        // With flags before it clap takes the word for a target.
        None => match arguments.targets.split_first() {
            Some((word, files)) if word == "merge" && !files.is_empty() => merge(&files.iter().map(PathBuf::from).collect::<Vec<_>>()),
            _ => look::look(session, arguments).and_then(|document| waived(arguments, document)),
        },
    };
    match document {
        Ok(document) => {
            let exit = exit(&document, options.fail_on, arguments.verdict);
            print(session, options, &document, exit);
            exit
        }
        Err(error) => {
            let empty = Report { error: Some(error), ..session.empty("chain-audit", REFUSED) };
            if !(session.global.json || options.format == AuditFormat::Json) {
                return session.report(&empty);
            }
            print_refused(session.output, &empty, Asked::default());
            session.errors(&empty);
            empty.exit
        }
    }
}

/// Marks what is waived: by the file that was named, or by the own of the host that is looked at, where there is one.
fn waived(arguments: &ChainAudit, mut document: Document) -> Result<Document, Refused> {
    let unreadable = |text: String, hint: String| refused(Code::Unreadable, text, &hint);
    let read = match (&arguments.waivers, &arguments.root) {
        // Who may write it decides what counts.
        (Some(file), _) => read::trusted(file).map(Some).map_err(|error| unreadable(error.to_string(), error.hint())),
        (None, None) => match read::trusted(Path::new(FILE)) {
            Err(error) if error.is_not_found() => Ok(None),
            read => read.map(Some).map_err(|error| unreadable(error.to_string(), error.hint())),
        },
        // What a copy says of itself is not taken where its settings are not.
        (None, Some(_)) if arguments.no_config => Ok(None),
        (None, Some(root)) => of_copy(root).map_err(|text| unreadable(text, "make it readable, or name another with --waivers".to_owned())),
    };
    let Some(bytes) = read? else { return Ok(document) };
    let file = arguments.waivers.as_deref().unwrap_or(Path::new(FILE));
    let text = String::from_utf8_lossy(&bytes);
    let waivers =
        Waivers::parse(&text, file).map_err(|text| refused(Code::Malformed, text, "write [[waiver]] with id, object, reason and until"))?;
    waivers.apply(&mut document);
    Ok(document)
}

/// The waivers of the host whose root directory this is. Owner and mode of a copy say nothing; its links lead nowhere else.
fn of_copy(root: &Path) -> Result<Option<Vec<u8>>, String> {
    let view = View::root(root).map_err(|error| error.to_string())?;
    match view.bytes(Path::new(FILE)) {
        Ok(bytes) => Ok(Some(bytes.to_vec())),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn exit(document: &Document, fail_on: FailOn, verdict: AuditVerdict) -> u8 {
    let limit = match fail_on {
        FailOn::High => Some(Severity::High),
        FailOn::Medium => Some(Severity::Medium),
        FailOn::Low => Some(Severity::Low),
        FailOn::None => None,
    };
    let found = limit.is_some_and(|limit| document.findings.iter().any(|finding| finding.waived.is_none() && finding.severity >= limit));
    let rejected = verdict == AuditVerdict::Path && document.chains.iter().any(|chain| chain.verdict == Verdict::Reject);
    if found || rejected { FAILED } else { OK }
}

fn print(session: &mut Session<'_>, options: AuditReport, document: &Document, exit: u8) {
    let format = if session.global.json { AuditFormat::Json } else { options.format };
    let text = match format {
        AuditFormat::Json => return session.ended(document, exit),
        AuditFormat::Text => {
            let text = report::text::write(document, session.style.colors());
            session.result(&text, exit);
            return;
        }
        AuditFormat::Html => report::html::write(document),
        AuditFormat::Sarif => report::sarif::write(document),
        AuditFormat::Junit => report::junit::write(document),
        AuditFormat::Prometheus => report::prometheus::write(document),
    };
    session.output.text(&text);
}

fn merge(files: &[PathBuf]) -> Result<Document, Refused> {
    let mut documents = Vec::new();
    for file in files {
        let bytes = read::file(file, report::merge::LIMIT).map_err(|error| refused(Code::Unreadable, error.to_string(), &error.hint()))?;
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| {
            refused(
                Code::Malformed,
                no_report(file, &bytes, &error),
                "give it what `omens chain-audit --format json` of this version printed",
            )
        })?;
        documents.push(document);
    }
    Ok(report::merge::join(documents))
}

/// What a file is that is no report to be merged.
fn no_report(file: &Path, bytes: &[u8], error: &serde_json::Error) -> String {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let expected = format!("{}: expected a report of the schema {SCHEMA}, found", file.display());
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    // An array would be taken for the fields of it.
    let head = serde_json::from_slice::<Head>(bytes).ok().filter(|_| bytes.trim_ascii_start().starts_with(b"{"));
    match head {
        Some(head) if head.schema == SCHEMA => {
            let said = error.to_string();
            format!("{expected} one that is damaged: {}", one_line(&without_base64(&said), SERVER_TEXT))
        }
        Some(head) => format!("{expected} one of the schema {}", one_line(&without_base64(&head.schema), 64)),
        None if is_json => format!("{expected} JSON without a schema"),
        None => format!("{expected} no JSON"),
    }
}

fn refused(code: Code, text: String, hint: &str) -> Refused {
    RunError { code, text, hint: (!hint.is_empty()).then(|| hint.to_owned()) }
}

#[derive(Serialize)]
struct Listed {
    schema: &'static str,
    findings: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    id: &'static str,
    severity: Severity,
    title: &'static str,
    remedy: String,
    sources: Vec<String>,
}

fn list(session: &mut Session<'_>, options: AuditReport) -> u8 {
    let row = |lint: &'static crate::judge::lint::Lint| Row {
        id: lint.id,
        severity: lint.severity,
        title: lint.title,
        remedy: lint.remedy().unwrap_or_default(),
        sources: sources::of(lint),
    };
    let rows: Vec<Row> = catalogue::all().map(row).collect();
    if session.global.json || options.format == AuditFormat::Json {
        session.ended(&Listed { schema: "omens.chain-audit-findings/1", findings: rows }, OK);
    } else {
        let wide = rows.iter().map(|row| row.id.len()).max().unwrap_or_default();
        let text: String = rows.iter().map(|row| format!("{:wide$}  {:6}  {}\n", row.id, row.severity.as_str(), row.title)).collect();
        session.output.text(&text);
    }
    OK
}
