//! The report as one self-contained HTML file that prints well. It must never load anything from elsewhere, nor run what a name holds.

use super::escape;
use crate::model::audit::{Chain, Document, Finding, Verdict};
use crate::model::finding::Severity;

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
    for finding in &document.findings {
        say(out, finding);
    }
    out.push_str("</section>\n");
}

fn say(out: &mut String, finding: &Finding) {
    let severity = finding.severity.as_str();
    put!(
        out,
        "<article class=\"finding {severity}\" data-severity=\"{severity}\">\n<h3><span class=\"mark\">{severity}</span> {}</h3>\n<p class=\"id\">{} · {}</p>\n<dl>\n",
        escape(&finding.title),
        escape(&finding.id),
        escape(&finding.target.to_string())
    );
    let mut row = |name: &str, class: &str, lines: &[String]| {
        if lines.iter().any(|line| !line.is_empty()) {
            let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
            put_line!(out, "<dt>{name}</dt><dd class=\"{class}\">{}</dd>", lines.join("<br>"));
        }
    };
    row("files", "code", &finding.files.iter().map(ToString::to_string).collect::<Vec<_>>());
    row("expected", "", std::slice::from_ref(&finding.expected));
    row("found", "", std::slice::from_ref(&finding.found));
    row("shown by", "code", &finding.evidence);
    row("since", "", &finding.since.map(|since| since.to_string()).into_iter().collect::<Vec<_>>());
    row("breaks", "", &[finding.breaks.join(", ")]);
    if finding.hosts.len() > 1 {
        row("hosts", "", &[finding.hosts.join(", ")]);
    }
    row("remedy", "remedy", std::slice::from_ref(&finding.remedy));
    out.push_str("</dl>\n</article>\n");
}

fn chains(out: &mut String, document: &Document) {
    if document.chains.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Chains</h2>\n");
    for chain in &document.chains {
        draw(out, chain);
    }
    out.push_str("</section>\n");
}

fn draw(out: &mut String, chain: &Chain) {
    let verdict = if chain.verdict == Verdict::Accept { "accept" } else { "reject" };
    put!(
        out,
        "<article class=\"chain {verdict}\">\n<h3><span class=\"mark\">{verdict}</span> {}</h3>\n<ol class=\"path\">\n",
        escape(&chain.target.to_string())
    );
    for (depth, link) in chain.links.iter().enumerate() {
        put!(
            out,
            "<li><b>{}</b> <span class=\"id\">{} · {} to {}<br>sha256 {}</span>",
            escape(&link.subject),
            escape(&link.key),
            link.not_before,
            link.not_after,
            escape(&link.sha256)
        );
        if let (0, Some(elapsed)) = (depth, chain.elapsed) {
            let over = (elapsed * 100.0).clamp(0.0, 100.0);
            put!(
                out,
                "<span class=\"life\" role=\"img\" aria-label=\"{:.0} % of its life is over\"><span style=\"width:{over:.1}%\"></span></span><span class=\"id\">{:.0} % of its life is over</span>",
                elapsed * 100.0,
                elapsed * 100.0
            );
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ol>\n<p class=\"peers\">");
    let peers =
        [("rustls", chain.peers.rustls), ("OpenSSL", chain.peers.openssl), ("Python ≥ 3.13", chain.peers.python), ("Go", chain.peers.go)];
    for (name, verdict) in peers {
        let (class, sign) = if verdict == Verdict::Accept { ("accept", "✓") } else { ("reject", "✗") };
        put!(out, "<span class=\"{class}\">{sign} {name}</span> ");
    }
    out.push_str("</p>\n</article>\n");
}

/// A class for each severity, so that the style cannot forget one.
#[must_use]
pub const fn classes() -> [&'static str; 4] {
    [Severity::High.as_str(), Severity::Medium.as_str(), Severity::Low.as_str(), Severity::Info.as_str()]
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn names_stay_names_and_nothing_is_loaded() {
        let page = write(&sample());
        assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(1)"), "{page}");
        for word in ["src=", "href=", "url(", "@import", "http://", "https://"] {
            assert!(!page.contains(word), "{word}");
        }
        for class in classes() {
            assert!(STYLE.contains(&format!(".{class}")), "{class}");
        }
    }
}
