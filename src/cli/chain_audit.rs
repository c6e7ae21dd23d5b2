//! `chain-audit`: reads what was given, has it judged, prints the report. It must never judge itself, nor change anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::{AuditFormat, AuditMerge, AuditPurpose, AuditReport, AuditVerdict, ChainAudit, FailOn};
use super::session::Session;
use super::{FAILED, OK, REFUSED};
use crate::audit::run::{self, Given};
use crate::audit::sheet::Sheet;
use crate::audit::target::Where;
use crate::audit::wiring::Wiring;
use crate::audit::{catalogue, report};
use crate::config;
use crate::io::look::{self, View};
use crate::io::read;
use crate::judge::assess::Asked;
use crate::judge::lint::Findings;
use crate::judge::pem;
use crate::model::audit::{Document, Verdict};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;
use crate::model::report::RunError;

/// Profiles, where no settings name another directory.
const POLICIES: &str = "/etc/omens/policies";

/// Why there is no report.
type Refused = RunError;

pub(super) fn run(session: &mut Session<'_, '_>, arguments: &ChainAudit) -> u8 {
    if arguments.list_findings {
        return list(session, arguments.report);
    }
    let options = match &arguments.merge {
        Some(AuditMerge::Merge { report, .. }) => *report,
        None => arguments.report,
    };
    let document = match &arguments.merge {
        Some(AuditMerge::Merge { files, .. }) => merge(files),
        None => look(session, arguments),
    };
    match document {
        Ok(document) => {
            print(session, options, &document);
            exit(&document, options.fail_on, arguments.verdict)
        }
        Err(error) => {
            let empty = crate::model::report::Report { error: Some(error), ..session.empty("chain-audit", REFUSED) };
            session.report(&empty)
        }
    }
}

fn exit(document: &Document, fail_on: FailOn, verdict: AuditVerdict) -> u8 {
    let limit = match fail_on {
        FailOn::High => Some(Severity::High),
        FailOn::Medium => Some(Severity::Medium),
        FailOn::Low => Some(Severity::Low),
        FailOn::None => None,
    };
    let found = limit.is_some_and(|limit| document.findings.iter().any(|finding| finding.severity >= limit));
    let rejected = verdict == AuditVerdict::Path && document.chains.iter().any(|chain| chain.verdict == Verdict::Reject);
    if found || rejected { FAILED } else { OK }
}

fn print(session: &mut Session<'_, '_>, options: AuditReport, document: &Document) {
    let format = if session.global.json { AuditFormat::Json } else { options.format };
    let text = match format {
        AuditFormat::Json => return session.output.document(document),
        AuditFormat::Text => report::text::write(document, session.style.colors()),
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
        let bytes = read::file(file, report::merge::LIMIT).map_err(|error| refused("unreadable", error.to_string(), &error.hint()))?;
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| {
            refused("malformed", format!("{}: {error}", file.display()), "give it what `omens chain-audit --format json` printed")
        })?;
        documents.push(document);
    }
    Ok(report::merge::join(documents))
}

fn look(session: &Session<'_, '_>, arguments: &ChainAudit) -> Result<Document, Refused> {
    let view = match &arguments.root {
        None => View::host(),
        Some(directory) => View::root(directory).map_err(|error| {
            refused("root", format!("--root {}: {error}", directory.display()), "give it the root directory of a host's files")
        })?,
    };
    let inside = |word: &str| word_inside(arguments.root.as_deref(), word);
    let exists = |word: &str| view.meta(Path::new(&inside(word))).is_ok();
    let targets: Result<Vec<Where>, String> = arguments.targets.iter().map(|word| Where::parse(&inside(word), exists)).collect();
    let targets = targets.map_err(|text| refused("usage", text, "see omens chain-audit --help"))?;
    if view.is_elsewhere() && targets.iter().any(|target| matches!(target, Where::Endpoint(_))) {
        return Err(refused(
            "usage",
            "an endpoint cannot be asked with --root: nothing is asked over the network then".to_owned(),
            "leave out --root, or the endpoint",
        ));
    }
    let given = given(&view, arguments)?;
    let at = arguments.at.unwrap_or_else(|| session.clock.now());
    let host = view.host_name().unwrap_or_else(|| "localhost".to_owned());
    let mut sheet = Sheet::new(at, &host);
    run::files(&view, &targets, &given, Wiring::default(), &mut sheet);
    Ok(sheet.into_document())
}

/// A target below `--root` may be given with that directory's own path in front.
fn word_inside(root: Option<&Path>, word: &str) -> String {
    let strip = |path: &str| {
        let rest = Path::new(path).strip_prefix(root?).ok()?;
        Some(Path::new("/").join(rest).display().to_string())
    };
    match word.split_once(':') {
        Some((kind, path)) if path.starts_with('/') => strip(path).map_or_else(|| word.to_owned(), |path| format!("{kind}:{path}")),
        _ => strip(word).unwrap_or_else(|| word.to_owned()),
    }
}

fn given(view: &View, arguments: &ChainAudit) -> Result<Given, Refused> {
    let profile = match &arguments.profile {
        None => None,
        Some(word) => Some(config::profile(word, Path::new(POLICIES)).map_err(|errors| {
            let words: Vec<String> = errors.iter().map(|error| error.text.clone()).collect();
            let hint = errors.iter().find_map(|error| error.suggestion.clone()).unwrap_or_default();
            refused("profile", format!("--profile {word}: {}", words.join("; ")), &hint)
        })?),
    };
    let purpose = match arguments.purpose {
        Some(AuditPurpose::Server) => Some(Purpose::Server),
        Some(AuditPurpose::Client) => Some(Purpose::Client),
        Some(AuditPurpose::Any) => None,
        None => profile.as_ref().map(|profile| profile.purpose),
    };
    let path_only = arguments.verdict == AuditVerdict::Path;
    let asked = Asked { profile, purpose, names: arguments.name.clone(), max_depth: arguments.max_depth, path_only };
    Ok(Given {
        anchors: ders(view, &arguments.anchor)?,
        intermediates: ders(view, &arguments.intermediates)?,
        crls: ders(view, &arguments.crl)?,
        spki: Vec::new(),
        asked,
    })
}

/// What the files of a flag hold, as DER: PEM blocks, or the file as it is. They are this host's, or else those of `--root`.
fn ders(view: &View, files: &[PathBuf]) -> Result<Vec<Vec<u8>>, Refused> {
    let mut all = Vec::new();
    for file in files {
        let read = read::file(file, look::LIMIT).or_else(|error| match view.bytes(file) {
            Ok(bytes) if view.is_elsewhere() => Ok(bytes.to_vec()),
            _ => Err(refused("unreadable", error.to_string(), &error.hint())),
        });
        let bytes = read?;
        let none = BTreeMap::new();
        match std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN ")) {
            Some(text) => all.extend(pem::read(text, &mut Findings::new(&none))),
            None => all.push(bytes),
        }
    }
    Ok(all)
}

fn refused(code: &str, text: String, hint: &str) -> Refused {
    RunError { code: code.to_owned(), text, hint: (!hint.is_empty()).then(|| hint.to_owned()) }
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
}

fn list(session: &mut Session<'_, '_>, options: AuditReport) -> u8 {
    let row = |lint: &'static crate::judge::lint::Lint| Row {
        id: lint.id,
        severity: lint.severity,
        title: lint.title,
        remedy: lint.remedy_for("that signs it").unwrap_or_default(),
    };
    let rows: Vec<Row> = catalogue::all().map(row).collect();
    if session.global.json || options.format == AuditFormat::Json {
        session.output.document(&Listed { schema: "omens.chain-audit-findings/1", findings: rows });
    } else {
        let wide = rows.iter().map(|row| row.id.len()).max().unwrap_or_default();
        let text: String = rows.iter().map(|row| format!("{:wide$}  {:6}  {}\n", row.id, row.severity.as_str(), row.title)).collect();
        session.output.text(&text);
    }
    OK
}
