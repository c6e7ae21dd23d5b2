//! JUnit XML as CI systems read it: one test case for each finding, and for each chain that was accepted. It must never hide a failure: what
//! is waived is a skipped case with the reason.

use super::escape;
use crate::model::audit::{Document, Finding, Verdict};
use crate::model::finding::Severity;

/// Writes it. High and medium findings are failures; the rest are passed cases with their text.
#[must_use]
pub fn write(document: &Document) -> String {
    let accepted: Vec<_> = document.chains.iter().filter(|chain| chain.verdict == Verdict::Accept).collect();
    let failures = document.findings.iter().filter(|finding| fails(finding)).count();
    let skipped = document.summary.waived;
    let tests = document.findings.len() + accepted.len();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (host, at) = (escape(&document.host), document.at);
    put!(
        out,
        "<testsuites name=\"omens chain-audit\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">\n <testsuite name=\"{host}\" timestamp=\"{at}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">\n"
    );
    for chain in accepted {
        put_line!(out, "  <testcase classname=\"chain\" name=\"{}\"/>", escape(&chain.target.to_string()));
    }
    for finding in &document.findings {
        case(&mut out, finding);
    }
    out.push_str(" </testsuite>\n</testsuites>\n");
    out
}

fn fails(finding: &Finding) -> bool {
    finding.severity >= Severity::Medium && finding.waived.is_none()
}

fn case(out: &mut String, finding: &Finding) {
    let location = finding.files.first().map_or_else(|| finding.target.to_string(), ToString::to_string);
    put_line!(out, "  <testcase classname=\"{}\" name=\"{}\">", escape(&finding.id), escape(&location));
    let rows = [("expected", &finding.expected), ("found", &finding.found), ("remedy", &finding.remedy)];
    let body: Vec<String> = rows
        .into_iter()
        .filter(|(_, words)| !words.is_empty())
        .map(|(name, words)| format!("{name}: {words}"))
        .chain(finding.evidence.iter().map(|line| format!("evidence: {line}")))
        .collect();
    let body = escape(&body.join("\n"));
    if let Some(waived) = &finding.waived {
        put_line!(out, "   <skipped message=\"{}\"/>", escape(&format!("waived {waived}")));
    }
    if fails(finding) {
        let (kind, title) = (finding.severity.as_str(), escape(&finding.title));
        put_line!(out, "   <failure type=\"{kind}\" message=\"{title}\">{body}</failure>");
    } else {
        put_line!(out, "   <system-out>{}: {}\n{body}</system-out>", finding.severity.as_str(), escape(&finding.title));
    }
    out.push_str("  </testcase>\n");
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn failures_are_counted_and_nothing_breaks_out() {
        let text = write(&sample());
        assert!(text.contains("tests=\"2\" failures=\"1\""), "{text}");
        assert_eq!((text.matches("<failure ").count(), text.matches("<testcase ").count(), text.matches("</testcase>").count()), (1, 2, 2));
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"), "{text}");
    }
}
