//! `explain`: what one finding means, how bad it is, what to do, and by which rule it is one. It looks at nothing.

use serde::Serialize;

use super::arguments::{Command, Explain};
use super::exit::OK;
use super::session::Session;
use crate::audit::{catalogue, examples, sources};
use crate::judge::lint::Lint;
use crate::judge::peers;
use crate::model::code::Code;
use crate::model::finding::Severity;
use crate::model::report::RunError;

/// What `explain --json` prints.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    id: &'static str,
    severity: Severity,
    title: &'static str,
    why: &'static str,
    remedy: String,
    bad: &'static str,
    good: &'static str,
    breaks: &'static [&'static str],
    sources: Vec<String>,
}

pub(super) fn run(session: &mut Session<'_>, command: &Command, arguments: &Explain) -> u8 {
    let Some(lint) = catalogue::all().find(|lint| lint.id == arguments.id) else {
        let near = catalogue::all().map(|lint| (strsim::osa_distance(lint.id, &arguments.id), lint.id)).min();
        let hint = near.map_or_else(String::new, |(_, id)| format!("the nearest id is {id}; `omens chain-audit --list-findings` has all"));
        let text = format!("there is no finding \"{}\"", arguments.id);
        return session.refuse(command, RunError { code: Code::Usage, text, hint: Some(hint) });
    };
    let document = of(lint);
    if session.global.json {
        session.output.document(&document);
    } else {
        let mut text = format!("{}  {}\n\n{}\n", document.id, document.severity.as_str(), document.title);
        for (name, words) in [
            ("why", document.why.to_owned()),
            ("breaks", document.breaks.join(", ")),
            ("remedy", document.remedy.clone()),
            ("bad", document.bad.to_owned()),
            ("good", document.good.to_owned()),
            ("sources", document.sources.join("; ")),
        ] {
            if !words.is_empty() {
                text.push_str(&format!("  {name:8} {words}\n"));
            }
        }
        session.output.text(&text);
    }
    OK
}

fn of(lint: &'static Lint) -> Document {
    let example = examples::of(lint);
    Document {
        schema: "omens.explain/1",
        id: lint.id,
        severity: lint.severity,
        title: lint.title,
        why: why(lint.severity),
        remedy: lint.remedy().unwrap_or_default(),
        bad: example.map_or("", |example| example.bad),
        good: example.map_or("", |example| example.good),
        breaks: peers::breaks(lint.id),
        sources: sources::of(lint),
    }
}

/// What its severity says (cli/contract.md, "Audit report").
const fn why(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "it breaks or endangers something now",
        Severity::Medium => "it breaks some peers, or something soon",
        Severity::Low => "hygiene: nothing breaks by it",
        Severity::Info => "worth knowing",
    }
}
