//! Findings that somebody decided to live with (`/etc/omens/waivers.toml`): each with its object, a reason and an end. A waiver never hides a
//! finding; it only does not count until then.

use std::path::Path;

use serde::Deserialize;

use super::catalogue;
use crate::model::audit::{Document, Finding, Object, Summary, Waived};
use crate::model::clock::Time;
use crate::model::text::{self, one_line};

/// Where they are looked for.
pub const FILE: &str = "/etc/omens/waivers.toml";

/// The file's shape.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    #[serde(default)]
    waiver: Vec<Waiver>,
}

/// One waiver.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiver {
    /// The finding's id.
    id: String,
    /// What it is about: a path, the SHA-256 of a certificate, `ADDRESS`, or the finding's key.
    object: String,
    /// Why it is lived with.
    reason: String,
    /// A day or a time, from which on it counts again.
    until: String,
}

/// Waivers that were read.
#[derive(Debug, Default)]
pub struct Waivers(Vec<Read>);

#[derive(Debug)]
struct Read {
    waiver: Waiver,
    until: Time,
}

impl Waivers {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong with it, with the place.
    pub fn parse(text: &str, file: &Path) -> Result<Self, String> {
        let shape: Shape = toml::from_str(text).map_err(|error| wrong(&error, text, file))?;
        let mut all = Vec::new();
        for (number, waiver) in (1..).zip(shape.waiver) {
            let at = |what: &str| format!("{}: waiver {number} ({}): {what}", file.display(), one_line(&waiver.id, text::SERVER_TEXT));
            if catalogue::all().all(|lint| lint.id != waiver.id) {
                let meant = catalogue::nearest(&waiver.id).map_or_else(String::new, |id| format!("; did you mean {id}?"));
                return Err(at(&format!("there is no finding of this id{meant}")));
            }
            if waiver.reason.trim().is_empty() {
                return Err(at("expected a reason, found none"));
            }
            let until = Time::parse(&waiver.until).or_else(|| Time::parse(&format!("{}T00:00:00Z", waiver.until)));
            let until = until.ok_or_else(|| at(&format!("until: expected a day such as 2027-01-31, found {:?}", waiver.until)))?;
            all.push(Read { waiver, until });
        }
        Ok(Self(all))
    }

    /// Marks the findings of a document that are waived at its time.
    pub fn apply(&self, document: &mut Document) {
        let now = document.at;
        let mut unused: Vec<&Read> = self.0.iter().collect();
        for finding in &mut document.findings {
            let found = self.0.iter().find(|read| read.waiver.id == finding.id && is_about(finding, &read.waiver.object));
            let Some(found) = found else { continue };
            unused.retain(|read| !std::ptr::eq(*read, found));
            let Read { waiver, until } = found;
            let reason = one_line(&waiver.reason, text::SERVER_TEXT);
            finding.waived = Some(Waived { reason, until: *until });
            finding.end_waiver(now);
        }
        document.summary = Summary::of(&document.findings);
        // Not a fault where one file serves many hosts.
        for Read { waiver, .. } in unused {
            tracing::info!(
                "the waiver of {} for {} is about nothing in this report",
                waiver.id,
                one_line(&waiver.object, text::SERVER_TEXT)
            );
        }
    }
}

/// Where it is no TOML of ours, in one line. The file's own line is not repeated: it may be one of a key that was named by mistake.
fn wrong(error: &toml::de::Error, toml: &str, file: &Path) -> String {
    let before = error.span().and_then(|span| toml.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let said = one_line(&text::without_base64(error.message()), text::SERVER_TEXT);
    format!("{}: line {line}: {said}", file.display())
}

fn is_about(finding: &Finding, object: &str) -> bool {
    let own = finding.object.as_ref().map(|own| match own {
        Object::Certificate(value) | Object::File(value) | Object::Endpoint(value) | Object::Role(value) => value.as_str(),
    });
    own.is_some_and(|own| own == object || own.split('#').next() == Some(object))
        || finding.key == object
        || finding.target.name == object
        || finding.files.iter().any(|file| file.path == object)
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    fn marked(until: &str, object: &str) -> Document {
        let text = format!(
            "[[waiver]]\nid = \"pem.crlf\"\nobject = \"{object}\"\nreason = \"converted at the next renewal\"\nuntil = \"{until}\"\n"
        );
        let mut document = sample();
        Waivers::parse(&text, Path::new("/w")).unwrap().apply(&mut document);
        document
    }

    #[test]
    fn a_waiver_holds_for_its_object_until_its_end() {
        let waived = |document: &Document| document.findings.iter().filter(|finding| finding.waived.is_some()).count();
        assert_eq!(waived(&marked("2026-12-01", "/etc/x.pem")), 1);
        assert_eq!(marked("2026-12-01", "/etc/x.pem").summary.waived, 1);
        assert_eq!(waived(&marked("2026-12-01", "/etc/y.pem")), 0);
        let over = marked("2026-11-24T11:00:00Z", "/etc/x.pem");
        assert_eq!(waived(&over), 0);
        assert!(over.findings.iter().any(|finding| finding.evidence.iter().any(|line| line.contains("ended on"))));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        for (text, words) in [
            ("[[waiver]]\nid = \"a.b\"\n", "missing field"),
            ("[[waiver]]\nid=\"pem.bom\"\nobject=\"x\"\nreason=\"\"\nuntil=\"2027-01-01\"\n", "expected a reason"),
            ("[[waiver]]\nid=\"pem.bom\"\nobject=\"x\"\nreason=\"y\"\nuntil=\"soon\"\n", "expected a day"),
            ("[[waivers]]\n", "unknown field"),
            ("[[waiver]]\nid=\"pem.bm\"\nobject=\"x\"\nreason=\"y\"\nuntil=\"2027-01-01\"\n", "did you mean pem.bom?"),
        ] {
            let error = Waivers::parse(text, Path::new("/w")).unwrap_err();
            assert!(error.contains(words) && error.starts_with("/w: "), "{error}");
        }
    }
}
