//! Where findings are collected: made safe to print, joined where they are about the same thing, and counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::judge::lint::{self, Lint};
use crate::model::audit::{Chain, Document, Finding, Location, Object, SCHEMA, Summary, Target};
use crate::model::clock::Time;
use crate::model::finding::{self, Severity};
use crate::model::text;

/// The longest text of a finding; evidence may quote a line of a configuration.
const WORDS: usize = 400;
/// As many lines of evidence are kept.
const EVIDENCE: usize = 20;
/// As many findings are kept: what a hostile input can make is bounded.
const FINDINGS: usize = 50_000;

/// A finding in the making.
#[derive(Clone, Debug)]
pub struct NewFinding {
    lint: &'static Lint,
    object: Object,
    target: Target,
    severity: Severity,
    files: Vec<Location>,
    expected: String,
    found: String,
    evidence: Vec<String>,
    remedy: String,
    breaks: Vec<String>,
    since: Option<Time>,
    hosts: Vec<String>,
}

impl NewFinding {
    /// This lint was found at a target, about an object.
    #[must_use]
    pub fn new(lint: &'static Lint, target: Target, object: Object) -> Self {
        Self {
            lint,
            object,
            target,
            severity: lint.severity,
            files: Vec::new(),
            expected: String::new(),
            found: String::new(),
            evidence: Vec::new(),
            remedy: lint.remedy().unwrap_or_default(),
            breaks: Vec::new(),
            since: None,
            hosts: Vec::new(),
        }
    }

    /// It was found on these hosts, not on the one that the findings is about.
    #[must_use]
    pub fn hosts(self, hosts: Vec<String>) -> Self {
        Self { hosts, ..self }
    }

    /// It was found in a line of a file, and is about that file.
    #[must_use]
    pub fn at(lint: &'static Lint, target: Target, location: Location) -> Self {
        Self::new(lint, target.at_line(location.line), Object::File(location.path.clone())).file(location)
    }

    /// What a check of a certificate found; `None` for an id that no table has.
    #[must_use]
    pub fn of(finding: &finding::Finding, target: Target, object: Object) -> Option<Self> {
        let draft = Self::new(lint::find(&finding.id)?, target, object);
        Some(draft.severity(finding.severity).expected(&finding.expected).found(&finding.found))
    }

    /// A file to look at; the first is the one to change.
    #[must_use]
    pub fn file(mut self, location: Location) -> Self {
        if !self.files.contains(&location) {
            self.files.push(location);
        }
        self
    }

    /// What should be there.
    #[must_use]
    pub fn expected(mut self, words: impl Into<String>) -> Self {
        self.expected = words.into();
        self
    }

    /// What is there. Never a secret.
    #[must_use]
    pub fn found(mut self, words: impl Into<String>) -> Self {
        self.found = words.into();
        self
    }

    /// What shows it. Never a secret.
    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// What to do here, where more is known than the lint's own remedy says.
    #[must_use]
    pub fn remedy(mut self, words: impl Into<String>) -> Self {
        self.remedy = words.into();
        self
    }

    /// Who refuses it.
    #[must_use]
    pub fn breaks(mut self, peer: &str) -> Self {
        self.breaks.push(peer.to_owned());
        self
    }

    /// Since when.
    #[must_use]
    pub const fn since(mut self, time: Time) -> Self {
        self.since = Some(time);
        self
    }

    /// Another severity than the lint's own.
    #[must_use]
    pub const fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}

/// The findings of one host.
#[derive(Debug)]
pub struct HostFindings {
    at: Time,
    host: String,
    findings: Vec<Finding>,
    chains: Vec<Chain>,
    anchors: Vec<String>,
    known: BTreeMap<(String, String, String), usize>,
}

impl HostFindings {
    /// An empty one for a host at a time.
    #[must_use]
    pub fn new(at: Time, host: &str) -> Self {
        let host = text::one_line(&text::without_base64(host), text::SERVER_TEXT);
        Self { at, host, findings: Vec::new(), chains: Vec::new(), anchors: Vec::new(), known: BTreeMap::new() }
    }

    /// Notes the SHA-256 of the roots that the settings of the host pin.
    pub fn pinned(&mut self, anchors: Vec<String>) {
        self.anchors = anchors;
    }

    /// The time that is judged by.
    #[must_use]
    pub const fn at(&self) -> Time {
        self.at
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Adds a finding. What was found before about the same object in the same words becomes one with it.
    pub fn add(&mut self, draft: NewFinding) {
        let safe = |words: &str| text::one_line(words, WORDS);
        let key = draft.object.key(draft.lint.id);
        // A line of a file that is no configuration at all may be one of a key.
        let quoted = |words: &str| safe(&text::without_base64(words));
        // A place in a file is named by a word of the file.
        let within = |object: &str| match object.split_once('#') {
            Some((path, place)) => format!("{}#{}", safe(path), quoted(place)),
            None => safe(object),
        };
        let (expected, found) = (safe(&draft.expected), quoted(&draft.found));
        let files = draft.files.into_iter().map(|location| Location { path: safe(&location.path), line: location.line });
        let evidence = draft.evidence.iter().map(|line| quoted(line));
        // The same file may be wrong in several lines; a certificate is wrong once, wherever it lies.
        let line = if draft.object.is_shared() { None } else { draft.target.line };
        let same = (key.clone(), line.map_or(String::new(), |line| line.to_string()), format!("{expected}\0{found}"));
        if let Some(finding) = self.known.get(&same).and_then(|index| self.findings.get_mut(*index)) {
            extend(&mut finding.files, files);
            extend(&mut finding.evidence, evidence);
            finding.evidence.truncate(EVIDENCE);
            finding.severity = finding.severity.max(draft.severity);
            return;
        }
        if self.findings.len() >= FINDINGS {
            return;
        }
        self.known.insert(same, self.findings.len());
        self.findings.push(Finding {
            id: draft.lint.id.to_owned(),
            severity: draft.severity,
            title: draft.lint.title.to_owned(),
            key,
            hosts: if draft.hosts.is_empty() { vec![self.host.clone()] } else { draft.hosts },
            target: Target { name: safe(&draft.target.name), ..draft.target },
            files: files.collect(),
            expected,
            found,
            evidence: evidence.take(EVIDENCE).collect(),
            remedy: safe(&draft.remedy),
            breaks: draft.breaks.iter().map(|peer| safe(peer)).collect(),
            since: draft.since,
            object: Some(draft.object.map(within)),
            waived: None,
        });
    }

    /// Adds a judged leaf.
    pub fn chain(&mut self, chain: Chain) {
        let target = Target { name: text::one_line(&chain.target.name, WORDS), ..chain.target };
        self.chains.push(Chain { target, ..chain });
    }

    /// Says of every leaf how often something that runs with this period runs before it ends.
    pub fn renewals(&mut self, period: Duration) {
        let period = i64::try_from(period.as_secs().max(1)).unwrap_or(i64::MAX);
        for chain in &mut self.chains {
            let left = chain.links.first().map(|leaf| leaf.not_after.since(self.at).max(0) / period);
            chain.renewals_left = left.and_then(|left| u64::try_from(left).ok());
        }
    }

    /// Whether this lint was found about this object.
    #[must_use]
    pub fn has(&self, lint: &Lint, object: &Object) -> bool {
        let key = object.key(lint.id);
        self.findings.iter().any(|finding| finding.key == key)
    }

    /// What was found so far.
    #[must_use]
    pub fn list(&self) -> &[Finding] {
        &self.findings
    }

    /// The document, worst first.
    #[must_use]
    pub fn into_document(mut self) -> Document {
        self.findings
            .sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| (&a.files, &a.id, &a.found).cmp(&(&b.files, &b.id, &b.found))));
        let summary = Summary::of(&self.findings);
        Document {
            schema: SCHEMA.to_owned(),
            at: self.at,
            host: self.host,
            summary,
            anchors: self.anchors,
            chains: self.chains,
            findings: self.findings,
        }
    }
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: impl Iterator<Item = T>) {
    for one in more {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::lint::{EKU_ABSENT, NAME_EXTRA, PEM_CRLF};

    fn findings() -> HostFindings {
        HostFindings::new(Time::from_unix(0), "auth")
    }

    #[test]
    fn one_certificate_in_two_files_is_one_finding_with_two_files() {
        let mut findings = findings();
        let cert = Object::Certificate("ab".into());
        for path in ["/a", "/b", "/a"] {
            findings.add(NewFinding::new(&EKU_ABSENT, Target::new("file", path), cert.clone()).file(Location::file(path)).found("none"));
        }
        for name in ["x", "y"] {
            findings.add(NewFinding::new(&NAME_EXTRA, Target::new("file", "/a"), cert.clone()).found(name));
        }
        let findings = findings.into_document().findings;
        assert_eq!(findings.len(), 3);
        assert_eq!(findings.iter().find(|f| f.id == "eku.absent").unwrap().files, [Location::file("/a"), Location::file("/b")]);
    }

    #[test]
    fn two_lines_of_a_file_are_two_findings_and_the_worst_comes_first() {
        let mut findings = findings();
        for line in [3, 9] {
            findings.add(NewFinding::at(&PEM_CRLF, Target::new("file", "/a"), Location::line("/a", line)));
        }
        findings.add(NewFinding::at(&EKU_ABSENT, Target::new("file", "/z\x1b[2J"), Location::file("/z\x1b[2J")));
        let document = findings.into_document();
        assert_eq!((document.summary.high, document.summary.low), (1, 2));
        assert_eq!((document.findings[0].id.as_str(), document.findings[0].target.name.as_str()), ("eku.absent", "/z\\u{1b}[2J"));
    }
}
