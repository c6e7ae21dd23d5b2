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
use crate::model::text::{SERVER_TEXT, one_line};

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
        let text = format!("there is no finding \"{}\"", one_line(&arguments.id, SERVER_TEXT));
        return session.refuse(command, RunError { code: Code::Usage, text, hint: Some(hint(&arguments.id)) });
    };
    let document = of(lint);
    if session.global.json {
        session.ended(&document, OK);
    } else {
        let mut text = format!("{}  {}\n\n{}\n", document.id, document.severity.as_str(), document.title);
        for (name, words) in [
            ("means", document.why.to_owned()),
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

/// Where to look for a word that is no id: at the nearest one where it is near, for the words of outcomes, reasons and codes in their page.
fn hint(word: &str) -> String {
    match catalogue::nearest(word) {
        Some(id) => format!("the nearest id is {id}; `omens chain-audit --list-findings` has all"),
        None => "`omens chain-audit --list-findings` has all ids; outcomes, reasons and codes are in omens-words(7)".to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_id_is_the_nearest() {
        for (word, id) in [("eku.absnt", Some("eku.absent")), ("pem.bm", Some("pem.bom")), ("foo", None), ("renewed", None), ("", None)] {
            let hint = hint(word);
            assert_eq!(hint.contains("the nearest id is"), id.is_some(), "{word}: {hint}");
            assert!(hint.contains(id.unwrap_or("omens-words(7)")) && hint.contains("--list-findings"), "{word}: {hint}");
        }
    }
}
