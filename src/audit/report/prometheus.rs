//! Metrics for the textfile collector of the Prometheus node exporter (text exposition format 0.0.4). It must never make a series for what
//! changes from run to run.

use std::collections::BTreeMap;

use crate::model::audit::{Document, Finding, Verdict};
use crate::model::finding::Severity;

/// Writes it.
#[must_use]
pub fn write(document: &Document) -> String {
    let mut out = String::new();
    let host = label(&document.host);
    head(&mut out, "omens_audit_time_seconds", "Time that the audit judged by.");
    put_line!(out, "omens_audit_time_seconds{{host=\"{host}\"}} {}", document.at.unix());
    let (waived, counting): (Vec<&Finding>, Vec<&Finding>) = document.findings.iter().partition(|finding| finding.waived.is_some());
    for (name, help, findings) in [
        ("omens_audit_findings", "Findings by severity, without those that are waived.", &counting),
        ("omens_audit_findings_waived", "Findings that are waived, by severity.", &waived),
    ] {
        head(&mut out, name, help);
        for severity in [Severity::High, Severity::Medium, Severity::Low, Severity::Info] {
            let count = findings.iter().filter(|finding| finding.severity == severity).count();
            put_line!(out, "{name}{{host=\"{host}\",severity=\"{}\"}} {count}", severity.as_str());
        }
    }
    let mut ids: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in counting {
        *ids.entry((finding.id.as_str(), finding.severity.as_str())).or_default() += 1;
    }
    head(&mut out, "omens_audit_finding", "Findings by id, without those that are waived.");
    for ((id, severity), count) in ids {
        put_line!(out, "omens_audit_finding{{host=\"{host}\",id=\"{}\",severity=\"{severity}\"}} {count}", label(id));
    }
    chains(&mut out, document, &host);
    out
}

fn chains(out: &mut String, document: &Document, host: &str) {
    // The same file may be judged for several consumers: one series each would be the same one twice.
    let mut leaves: BTreeMap<String, (i64, i64, f64, bool)> = BTreeMap::new();
    for chain in &document.chains {
        let Some(leaf) = chain.links.first() else { continue };
        let accepted = chain.verdict == Verdict::Accept;
        let row = (leaf.not_before.unix(), leaf.not_after.unix(), chain.elapsed.unwrap_or_default(), accepted);
        let known = leaves.entry(label(&chain.target.to_string())).or_insert(row);
        known.3 &= accepted;
    }
    let gauges = [
        ("omens_certificate_not_before_seconds", "Begin of the leaf's validity."),
        ("omens_certificate_not_after_seconds", "End of the leaf's validity."),
        ("omens_certificate_elapsed_ratio", "Part of the leaf's life that is over."),
        ("omens_certificate_accepted", "1 where the chain was accepted."),
    ];
    for (index, (name, help)) in gauges.into_iter().enumerate() {
        head(out, name, help);
        for (target, (before, after, elapsed, accepted)) in &leaves {
            let value = match index {
                0 => before.to_string(),
                1 => after.to_string(),
                2 => elapsed.to_string(),
                _ => i32::from(*accepted).to_string(),
            };
            put_line!(out, "{name}{{host=\"{host}\",target=\"{target}\"}} {value}");
        }
    }
}

fn head(out: &mut String, name: &str, help: &str) {
    put!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n");
}

/// A label's value: backslash, quote and line feed are escaped.
fn label(words: &str) -> String {
    words.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn every_series_stands_once() {
        let mut document = sample();
        document.chains.push(document.chains[0].clone());
        let text = write(&document);
        let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect();
        let unique: std::collections::BTreeSet<&&str> = series.iter().collect();
        assert_eq!(series.len(), unique.len(), "{text}");
        assert!(text.contains("omens_audit_findings{host=\"auth.funlab.casa\",severity=\"high\"} 1"), "{text}");
        assert!(text.contains("omens_certificate_accepted{host=\"auth.funlab.casa\",target=\"/etc/nginx/tls/web.pem\"} 0"), "{text}");
    }
}
