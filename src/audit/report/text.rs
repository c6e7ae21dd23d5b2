//! The report for a terminal: chains drawn, findings worst first, one remedy each. It must never be wider than what it says.

use std::fmt::Write as _;

use crate::model::audit::{Chain, Document, Finding, Verdict};
use crate::model::finding::Severity;

/// As many chains are drawn; further ones are counted. All of them are in the JSON.
const DRAWN: usize = 40;
/// As many cells has the bar of a lifetime.
const BAR: usize = 20;

/// Writes it, with colours or without.
#[must_use]
pub fn write(document: &Document, colors: bool) -> String {
    let paint = Paint(colors);
    let mut out = String::new();
    let summary = document.summary;
    let counts = format!("{} high, {} medium, {} low, {} info", summary.high, summary.medium, summary.low, summary.info);
    line(&mut out, &format!("{}  {}  {counts}", paint.bold(&document.host), document.at));
    if !document.chains.is_empty() {
        line(&mut out, "");
    }
    for chain in document.chains.iter().take(DRAWN) {
        draw(&mut out, chain, paint);
    }
    if document.chains.len() > DRAWN {
        line(&mut out, &format!("… and {} more chains; --format json has them all", document.chains.len() - DRAWN));
    }
    for finding in &document.findings {
        line(&mut out, "");
        say(&mut out, finding, paint);
    }
    if document.findings.is_empty() {
        line(&mut out, "");
        line(&mut out, &paint.good("nothing to find fault with"));
    }
    out
}

fn line(out: &mut String, words: &str) {
    out.push_str(words);
    out.push('\n');
}

/// One line for the leaf, one for each certificate above it.
fn draw(out: &mut String, chain: &Chain, paint: Paint) {
    let verdict = match chain.verdict {
        Verdict::Accept => paint.good("accept"),
        Verdict::Reject => paint.bad("reject"),
    };
    line(out, &format!("{verdict}  {}", chain.target));
    for (depth, link) in chain.links.iter().enumerate() {
        let indent = " ".repeat(depth * 3);
        let arm = if depth == 0 { "" } else { "└─ " };
        let mut words = format!("        {indent}{arm}{}  {}", link.subject, paint.dim(&format!("{} until {}", link.key, link.not_after)));
        if let (0, Some(elapsed)) = (depth, chain.elapsed) {
            write!(words, "  {}", bar(elapsed)).unwrap_or_default();
        }
        line(out, &words);
    }
    let refusing: Vec<&str> =
        [("rustls", chain.peers.rustls), ("OpenSSL", chain.peers.openssl), ("Python ≥ 3.13", chain.peers.python), ("Go", chain.peers.go)]
            .into_iter()
            .filter(|(_, verdict)| *verdict == Verdict::Reject)
            .map(|(name, _)| name)
            .collect();
    if !refusing.is_empty() {
        line(out, &format!("        refused by {}", paint.bad(&refusing.join(", "))));
    }
}

/// How much of a life is over.
fn bar(elapsed: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and the bar's length"
    )]
    let full = (elapsed.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("[{}{}] {:.0} % of its life is over", "█".repeat(full), "·".repeat(BAR.saturating_sub(full)), elapsed * 100.0)
}

fn say(out: &mut String, finding: &Finding, paint: Paint) {
    let word = paint.severity(finding.severity);
    line(out, &format!("{word}  {}  {}", paint.bold(&finding.title), paint.dim(&finding.id)));
    let mut row = |name: &str, words: &str| {
        if !words.is_empty() {
            line(out, &format!("        {name:9} {words}"));
        }
    };
    let target = finding.target.to_string();
    let places: Vec<String> = finding.files.iter().map(ToString::to_string).collect();
    if !places.iter().any(|place| place.starts_with(&target)) {
        row("at", &target);
    }
    for (index, place) in places.iter().enumerate() {
        row(if index == 0 { "in" } else { "" }, place);
    }
    row("expected", &finding.expected);
    row("found", &finding.found);
    for (index, evidence) in finding.evidence.iter().enumerate() {
        row(if index == 0 { "shown by" } else { "" }, evidence);
    }
    row("since", &finding.since.map(|since| since.to_string()).unwrap_or_default());
    row("breaks", &finding.breaks.join(", "));
    if finding.hosts.len() > 1 {
        row("hosts", &finding.hosts.join(", "));
    }
    row("remedy", &finding.remedy);
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
    fn a_bar_never_leaves_its_frame() {
        for (elapsed, full) in [(0.0, 0), (0.5, 10), (1.0, 20), (7.5, 20)] {
            assert_eq!(bar(elapsed).matches('█').count(), full, "{elapsed}");
        }
    }
}
