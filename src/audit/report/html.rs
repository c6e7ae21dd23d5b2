//! The report as one self-contained HTML file that prints well. It must never load anything from elsewhere, nor run what a name holds.

use super::escape;
use super::fold::{self, Entry};
use super::forest::{self, Node};
use crate::audit::{catalogue, examples, sources};
use crate::model::audit::{Chain, Document, Verdict};

const STYLE: &str = include_str!("style.css");
/// Filters: the only script there is; the report is whole without it.
const SCRIPT: &str = include_str!("filter.js");

/// Writes it.
#[must_use]
pub fn write(document: &Document) -> String {
    let mut out = String::new();
    let (host, at) = (escape(&document.host), document.at);
    put!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>chain-audit: {host}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{host}</h1>\n<p class=\"at\">chain-audit at <time>{at}</time></p>\n"
    );
    counts(&mut out, document);
    out.push_str("</header>\n<main>\n");
    findings(&mut out, document);
    chains(&mut out, document);
    put!(out, "</main>\n<footer>omens {}</footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n", env!("CARGO_PKG_VERSION"));
    out
}

fn counts(out: &mut String, document: &Document) {
    let summary = document.summary;
    out.push_str("<form class=\"counts\">\n");
    for (severity, count) in [("high", summary.high), ("medium", summary.medium), ("low", summary.low), ("info", summary.info)] {
        put_line!(
            out,
            "<label class=\"{severity}\"><input type=\"checkbox\" name=\"severity\" value=\"{severity}\" checked> <b>{count}</b> {severity}</label>"
        );
    }
    out.push_str("<input type=\"search\" name=\"words\" placeholder=\"filter: id, file, words\" aria-label=\"filter\">\n</form>\n");
}

fn findings(out: &mut String, document: &Document) {
    put_line!(out, "<section>\n<h2>Findings</h2>");
    if document.findings.is_empty() {
        out.push_str("<p class=\"none\">Nothing to find fault with.</p>\n");
    }
    for entry in fold::entries(&document.findings) {
        say(out, document, &entry);
    }
    out.push_str("</section>\n");
}

fn say(out: &mut String, document: &Document, entry: &Entry<'_>) {
    let finding = entry.first;
    let severity = finding.severity.as_str();
    let at = match entry.others.len() {
        0 => escape(&finding.target.to_string()),
        others => format!("{} times", others + 1),
    };
    let mark = if finding.waived.is_some() { " waived" } else { "" };
    put!(
        out,
        "<article class=\"finding {severity}{mark}\" data-severity=\"{severity}\">\n<h3><span class=\"mark\">{severity}</span> {}</h3>\n<p class=\"id\">{} · {at}</p>\n<dl>\n",
        escape(&finding.title),
        escape(&finding.id)
    );
    let mut row = |name: &str, class: &str, lines: &[String]| {
        if lines.iter().any(|line| !line.is_empty()) {
            let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
            put_line!(out, "<dt>{name}</dt><dd class=\"{class}\">{}</dd>", lines.join("<br>"));
        }
    };
    row("files", "code places", &entry.places());
    row("expected", "", std::slice::from_ref(&finding.expected));
    if entry.others.iter().all(|other| other.found == finding.found) {
        row("found", "", std::slice::from_ref(&finding.found));
    }
    row("shown by", "code", &finding.evidence);
    row("since", "", &finding.since.map(|since| since.to_string()).into_iter().collect::<Vec<_>>());
    row("breaks", "", &[finding.breaks.join(", ")]);
    if finding.hosts != [document.host.as_str()] {
        row("hosts", "", &[finding.hosts.join(", ")]);
    }
    let waived = finding.waived.as_ref().map(ToString::to_string);
    row("waived", "", &waived.into_iter().collect::<Vec<_>>());
    row("remedy", "remedy", std::slice::from_ref(&finding.remedy));
    out.push_str("</dl>\n");
    explained(out, &finding.id);
    out.push_str("</article>\n");
}

/// What `omens explain` says of it.
fn explained(out: &mut String, id: &str) {
    let Some(lint) = catalogue::all().find(|lint| lint.id == id) else { return };
    let example = examples::of(lint).map(|example| [("bad", example.bad), ("good", example.good)]);
    out.push_str("<details><summary>explain</summary><dl>\n");
    for (name, words) in example.into_iter().flatten() {
        put_line!(out, "<dt>{name}</dt><dd class=\"code\">{}</dd>", escape(words));
    }
    put_line!(out, "<dt>sources</dt><dd>{}</dd>", escape(&sources::of(lint).join("; ")));
    out.push_str("</dl></details>\n");
}

fn chains(out: &mut String, document: &Document) {
    if document.chains.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Chains</h2>\n<ul class=\"tree\">\n");
    for root in &forest::plant(document.chains.iter()) {
        node(out, root);
    }
    for chain in document.chains.iter().filter(|chain| chain.links.is_empty()) {
        put_line!(out, "<li><div class=\"link reject\">{}: no certificate that parses</div></li>", escape(&chain.target.to_string()));
    }
    out.push_str("</ul>\n</section>\n");
}

/// A certificate as a box, whoever uses it, and what it signed.
fn node(out: &mut String, node_: &Node<'_>) {
    let rejected = node_.chains.iter().any(|chain| chain.verdict == Verdict::Reject);
    let class = match (node_.chains.is_empty(), rejected) {
        (true, _) => "authority",
        (false, true) => "reject",
        (false, false) => "accept",
    };
    let link = node_.link;
    put!(
        out,
        "<li><div class=\"link {class}\"><b>{}</b><span class=\"id\">{} · {} to {}<br>sha256 {}</span>",
        escape(&link.subject),
        escape(&link.key),
        link.not_before,
        link.not_after,
        escape(&link.sha256)
    );
    if let Some(elapsed) = node_.chains.iter().find_map(|chain| chain.elapsed) {
        life(out, elapsed, node_.chains.iter().find_map(|chain| chain.renewals_left));
    }
    for chain in &node_.chains {
        verdict(out, chain);
    }
    out.push_str("</div>");
    if !node_.below.is_empty() {
        out.push_str("\n<ul>\n");
        for below in &node_.below {
            node(out, below);
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</li>\n");
}

fn life(out: &mut String, elapsed: f64, renewals_left: Option<u64>) {
    let over = (elapsed * 100.0).clamp(0.0, 100.0);
    let words = if elapsed > 1.0 { "its life is over".to_owned() } else { format!("{over:.0} % of its life is over") };
    let words = renewals_left.map_or(words.clone(), |left| format!("{words}, {left} renewal runs left"));
    put!(
        out,
        "<span class=\"life\" role=\"img\" aria-label=\"{words}\"><span style=\"width:{over:.1}%\"></span></span><span class=\"id\">{words}</span>"
    );
}

fn verdict(out: &mut String, chain: &Chain) {
    let class = if chain.verdict == Verdict::Accept { "accept" } else { "reject" };
    put!(
        out,
        "<p class=\"verdict\"><span class=\"mark {class}\">{class}</span> {}<span class=\"peers\">",
        escape(&chain.target.to_string())
    );
    for (name, verdict) in forest::peers(chain) {
        let (class, sign) = if verdict == Verdict::Accept { ("accept", "✓") } else { ("reject", "✗") };
        put!(out, " <span class=\"{class}\">{sign} {name}</span>");
    }
    out.push_str("</span></p>");
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;
    use crate::model::finding::Severity;

    #[test]
    fn names_stay_names_and_nothing_is_loaded() {
        let page = write(&sample());
        assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(1)"), "{page}");
        for word in ["src=", "href=", "url(", "@import", "http://", "https://"] {
            assert!(!page.contains(word), "{word}");
        }
        for class in [Severity::High, Severity::Medium, Severity::Low, Severity::Info].map(Severity::as_str) {
            assert!(STYLE.contains(&format!(".{class}")), "{class}");
        }
    }
}
