//! The report for a terminal: chains drawn, findings worst first, one remedy each.

mod forest;

use super::fold::{self, Entry};
use crate::model::audit::Document;
use crate::model::finding::Severity;

/// Longer texts go on in the next line.
const WIDTH: usize = 100;
/// Where the texts of a finding begin.
const INDENT: usize = 18;
/// As many places of one entry are shown.
const PLACES: usize = 40;
/// With more findings than this, the worst one is said again at the end, where the eye is.
const MANY: usize = 3;

/// Writes it, with colours or without.
#[must_use]
pub fn write(document: &Document, colors: bool) -> String {
    let paint = Paint(colors);
    let mut out = String::new();
    let summary = document.summary;
    let mut counts = format!("{} high, {} medium, {} low, {} info", summary.high, summary.medium, summary.low, summary.info);
    if summary.waived > 0 {
        counts.push_str(&format!(", {} of them waived", summary.waived));
    }
    line(&mut out, &format!("{}  {}  {counts}", paint.bold(&document.host), document.at));
    if !document.chains.is_empty() {
        line(&mut out, "");
        forest::draw(&mut out, &document.chains, paint);
    }
    for entry in fold::entries(&document.findings) {
        line(&mut out, "");
        say(&mut out, &entry, &document.host, paint);
    }
    match document.findings.as_slice() {
        [] if document.chains.is_empty() => {
            line(&mut out, "\nno certificate was found to judge; name files, directories, HOST:PORT or a service's configuration");
        }
        [] => line(&mut out, &format!("\n{}", paint.good("nothing to find fault with"))),
        [worst, rest @ ..] if rest.len() >= MANY => {
            line(&mut out, &format!("\n{counts}; the worst: {} {}", worst.title, paint.dim(&worst.id)));
        }
        _ => {}
    }
    out
}

fn line(out: &mut String, words: &str) {
    out.push_str(words);
    out.push('\n');
}

fn say(out: &mut String, entry: &Entry<'_>, host: &str, paint: Paint) {
    let finding = entry.first;
    let word = paint.severity(finding.severity);
    let times = if entry.others.is_empty() { String::new() } else { format!("  {} times", entry.others.len() + 1) };
    line(out, &format!("{word}  {}  {}{times}", paint.bold(&finding.title), paint.dim(&finding.id)));
    let mut row = |name: &str, words: &str| {
        for (index, words) in wrapped(words).iter().enumerate() {
            line(out, &format!("        {:9} {words}", if index == 0 { name } else { "" }));
        }
    };
    let target = finding.target.to_string();
    let places = entry.places();
    if entry.others.is_empty() && !places.iter().any(|location| location.starts_with(&target)) {
        row("at", &target);
    }
    for (index, location) in places.iter().take(PLACES).enumerate() {
        row(if index == 0 { "in" } else { "" }, location);
    }
    if places.len() > PLACES {
        row("", &format!("and {} more (--json names all)", places.len() - PLACES));
    }
    row("expected", &finding.expected);
    if entry.others.iter().all(|other| other.found == finding.found) {
        row("found", &finding.found);
    }
    for (index, evidence) in finding.evidence.iter().enumerate() {
        row(if index == 0 { "shown by" } else { "" }, evidence);
    }
    row("since", &finding.since.map(|since| since.to_string()).unwrap_or_default());
    row("breaks", &finding.breaks.join(", "));
    if finding.hosts != [host] {
        row("hosts", &finding.hosts.join(", "));
    }
    let waived = finding.waived.as_ref().map(ToString::to_string);
    row("waived", &waived.unwrap_or_default());
    row("remedy", &finding.remedy);
}

/// The lines of a text; none where there is nothing to say.
fn wrapped(words: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + word.chars().count() < WIDTH - INDENT => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Colours, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, words: &str) -> String {
        if self.0 { format!("\x1b[{code}m{words}\x1b[0m") } else { words.to_owned() }
    }

    fn bold(self, words: &str) -> String {
        self.with("1", words)
    }

    fn dim(self, words: &str) -> String {
        self.with("2", words)
    }

    fn good(self, words: &str) -> String {
        self.with("32", words)
    }

    fn bad(self, words: &str) -> String {
        self.with("31", words)
    }

    fn severity(self, severity: Severity) -> String {
        let padded = format!("{:6}", severity.as_str());
        match severity {
            Severity::High => self.with("1;31", &padded),
            Severity::Medium => self.with("33", &padded),
            Severity::Low => self.with("36", &padded),
            Severity::Info => self.dim(&padded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn the_worst_comes_first_with_place_and_remedy() {
        let text = write(&sample(), false);
        let high = text.find("no extended key usage: good for everything").unwrap();
        assert!(high < text.find("lines that end in CR LF").unwrap());
        for words in [
            "/etc/nginx/sites-enabled/web:7",
            "expected  serverAuth",
            "remedy",
            "since",
            "└─ CN=Book of Omens",
            "refused by Python",
            "4 % of its life",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        assert!(!text.contains('\x1b') && write(&sample(), true).contains("\x1b[1;31m"));
    }

    #[test]
    fn long_texts_go_on_in_the_next_line() {
        let text = "word ".repeat(60);
        let lines = wrapped(&text);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= WIDTH - INDENT), "{lines:?}");
        assert_eq!(lines.join(" "), text.trim());
        assert_eq!(wrapped(&"x".repeat(300)).len(), 1);
        assert!(wrapped("").is_empty());
    }
}
