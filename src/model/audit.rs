//! The document of `chain-audit`: findings with what they are about, judged chains, and how many there are of what. It must never decide
//! whether something is wrong.

mod object;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::clock::Time;
use super::finding::Severity;
pub use object::Object;

/// The `schema` of a document.
pub const SCHEMA: &str = "omens.chain-audit/1";

/// What `chain-audit` and its `merge` print as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: String,
    /// The time that was judged by.
    pub at: Time,
    /// The host; several, joined by commas, after `merge`.
    pub host: String,
    /// How many findings of each severity.
    pub summary: Summary,
    /// SHA-256 of the roots that the settings of the host pin, where there are settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<String>,
    /// Every leaf that was judged.
    pub chains: Vec<Chain>,
    /// Worst first.
    pub findings: Vec<Finding>,
}

/// Findings by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Breaks or endangers now.
    pub high: usize,
    /// Breaks some peer, or soon.
    pub medium: usize,
    /// Hygiene.
    pub low: usize,
    /// Worth knowing.
    pub info: usize,
    /// How many of all of these are waived, and do not count for `--fail-on`.
    #[serde(default)]
    pub waived: usize,
}

impl Summary {
    /// Counts.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        Self {
            high: count(Severity::High),
            medium: count(Severity::Medium),
            low: count(Severity::Low),
            info: count(Severity::Info),
            waived: findings.iter().filter(|finding| finding.waived.is_some()).count(),
        }
    }
}

/// What a finding or a chain was found at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// `file`, `endpoint`, `unit`, `nginx`, `keylime`, `spire`, `openbao`, `role`, `script`, `cron`, `settings` …
    pub kind: String,
    /// A path, `HOST:PORT`, or the name of a unit, server block, plugin or role.
    pub name: String,
    /// The line where a configuration names it.
    #[serde(default)]
    pub line: Option<u32>,
}

impl Target {
    /// A target without a line.
    #[must_use]
    pub fn new(kind: &str, name: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), name: name.into(), line: None }
    }

    /// The same at a line.
    #[must_use]
    pub const fn at_line(mut self, line: Option<u32>) -> Self {
        self.line = line;
        self
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.as_str() {
            "file" | "endpoint" => f.write_str(&self.name),
            kind => write!(f, "{kind} {}", self.name),
        }
    }
}

/// A file, and a line of it. Paths are those of the host that was looked at, not of where its copy lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Absolute path on the host.
    pub path: String,
    /// Counted from 1.
    #[serde(default)]
    pub line: Option<u32>,
}

impl Location {
    /// A whole file.
    #[must_use]
    pub fn file(path: impl AsRef<std::path::Path>) -> Self {
        Self { path: path.as_ref().display().to_string(), line: None }
    }

    /// One line of it.
    #[must_use]
    pub fn line(path: impl AsRef<std::path::Path>, line: u32) -> Self {
        Self { line: Some(line), ..Self::file(path) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// One finding: what is wrong, where, by which evidence, and what mends it. All texts are safe to print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id, such as `served.stale`.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in words.
    pub title: String,
    /// The same for the same id and object in every report.
    pub key: String,
    /// The hosts it was found on.
    pub hosts: Vec<String>,
    /// What it was found at.
    pub target: Target,
    /// The files to look at, the one to change first.
    pub files: Vec<Location>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// What shows it, one line each.
    pub evidence: Vec<String>,
    /// What to do.
    pub remedy: String,
    /// Kinds of peer that refuse it: `rustls`, `openssl`, `python`, `go`, or the name of a service.
    pub breaks: Vec<String>,
    /// Since when, where that is known.
    pub since: Option<Time>,
    /// What `key` was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
    /// Somebody decided to live with it, until a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waived>,
}

impl Finding {
    /// Lets it count again where its waiver is over at this time.
    pub fn end_waiver(&mut self, at: Time) {
        if let Some(waived) = self.waived.take_if(|waived| waived.until <= at) {
            self.evidence.push(format!("a waiver for it ended on {}: {}", waived.until, waived.reason));
        }
    }
}

/// Why a finding is lived with, and how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waived {
    /// In the words of who decided it.
    pub reason: String,
    /// From then on it counts again.
    pub until: Time,
}

impl fmt::Display for Waived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "until {}: {}", self.until, self.reason)
    }
}

/// What a peer of each kind says ([Peers](crate::judge#peers)): `accept` or `reject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// webpki, as in rustls.
    pub rustls: Verdict,
    /// OpenSSL as nginx and Keylime use it.
    pub openssl: Verdict,
    /// Python 3.13 and later: OpenSSL with VERIFY_X509_STRICT.
    pub python: Verdict,
    /// Go's crypto/x509, as in SPIRE.
    pub go: Verdict,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It may be used.
    Accept,
    /// It may not.
    Reject,
}

/// A leaf with the path it was judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// Where it was found.
    pub target: Target,
    /// SHA-256 of its DER.
    pub leaf_sha256: String,
    /// What we say.
    pub verdict: Verdict,
    /// From the leaf to the anchor; as far as it goes where it is broken.
    pub path: Vec<String>,
    /// What others say.
    pub peers: Peers,
    /// The certificates of `path`, for the picture.
    #[serde(default)]
    pub links: Vec<Link>,
    /// How much of the leaf's life is over, from 0 to 1; beyond 1 once it is expired.
    #[serde(default)]
    pub elapsed: Option<f64>,
    /// How often what renews on this host runs before the leaf ends, where its period is known.
    #[serde(default)]
    pub renewals_left: Option<u64>,
}

/// One certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// SHA-256 of its DER.
    pub sha256: String,
    /// Its subject, safe to print.
    pub subject: String,
    /// Its serial number.
    pub serial: String,
    /// Kind of key, such as `ec-p256`.
    pub key: String,
    /// SHA-256 of its SubjectPublicKeyInfo: two certificates for one key have the same.
    #[serde(default)]
    pub spki_sha256: String,
    /// First second of its validity.
    pub not_before: Time,
    /// Last second of its validity.
    pub not_after: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_id_kind_and_object_and_nothing_else() {
        let cert = Object::Certificate("ab".to_owned());
        assert_eq!(cert.key("eku.absent"), cert.clone().key("eku.absent"));
        let others =
            [Object::File("ab".to_owned()).key("eku.absent"), cert.key("eku.any"), Object::Role("ab".to_owned()).key("eku.absent")];
        assert!(others.iter().all(|other| *other != cert.key("eku.absent")));
        assert_eq!(cert.key("x").len(), 64);
    }

    #[test]
    fn what_another_host_has_at_the_same_path_is_another_thing() {
        assert!(!Object::file("/etc/x").is_shared() && Object::Endpoint("a:1".to_owned()).is_shared());
    }
}
