//! Equal findings of one kind as one entry with several places, for those who read: what is wrong in forty files is wrong once. The document
//! itself keeps each of them.

use std::collections::HashMap;

use crate::model::audit::Finding;
use crate::model::finding::Severity;

/// One entry: the first of its findings, and the others in their order.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) first: &'a Finding,
    pub(super) others: Vec<&'a Finding>,
}

impl<'a> Entry<'a> {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Finding> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Where they are, each place once; with what is there, where that differs.
    pub(super) fn places(&self) -> Vec<String> {
        let differs = self.others.iter().any(|other| other.found != self.first.found);
        let mut places = Vec::new();
        for finding in self.all() {
            for (index, file) in finding.files.iter().enumerate() {
                let place = if differs && index == 0 { format!("{file}: {}", finding.found) } else { file.to_string() };
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }
}

/// The entries of a report, in the order of their first findings.
pub(super) fn entries(findings: &[Finding]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut known: HashMap<Kind<'_>, usize> = HashMap::new();
    for finding in findings {
        match known.get(&kind(finding)).and_then(|index| entries.get_mut(*index)) {
            Some(entry) => entry.others.push(finding),
            None => {
                known.insert(kind(finding), entries.len());
                entries.push(Entry { first: finding, others: Vec::new() });
            }
        }
    }
    entries
}

/// What makes two findings the same to a reader. Of what is tidiness one entry says it for the whole host, whatever is there.
#[derive(PartialEq, Eq, Hash)]
struct Kind<'a> {
    id: &'a str,
    severity: &'static str,
    words: Option<(&'a str, &'a str)>,
    remedy: &'a str,
    hosts: &'a [String],
    waived: Option<&'a str>,
}

fn kind(finding: &Finding) -> Kind<'_> {
    let tidiness = matches!(finding.severity, Severity::Low | Severity::Info);
    Kind {
        id: &finding.id,
        severity: finding.severity.as_str(),
        words: (!tidiness).then_some((finding.expected.as_str(), finding.found.as_str())),
        remedy: if tidiness { "" } else { &finding.remedy },
        hosts: &finding.hosts,
        waived: finding.waived.as_ref().map(|waived| waived.reason.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::facts::findings::{HostFindings, NewFinding};
    use crate::judge::lint::{self, audit};
    use crate::model::audit::{Location, Object, Target};
    use crate::model::clock::Time;

    #[test]
    fn what_is_wrong_in_the_same_words_is_one_entry() {
        let mut findings = HostFindings::new(Time::from_unix(0), "h");
        let mut add = |lint: &'static lint::Lint, path: &str, found: &str| {
            let draft = NewFinding::new(lint, Target::new("file", path), Object::file(std::path::Path::new(path)));
            findings.add(draft.file(Location::file(path)).expected("other").found(found));
        };
        for path in ["/a", "/b", "/c"] {
            add(&lint::EKU_ABSENT, path, "none");
            add(&audit::NAME_LOCALHOST, path, if path == "/c" { "ip:127.0.0.1" } else { "dns:localhost" });
        }
        add(&lint::EKU_ABSENT, "/d", "another");
        let document = findings.into_document();
        let entries = entries(&document.findings);
        let shown: Vec<(String, usize)> = entries.iter().map(|entry| (entry.first.id.clone(), entry.all().count())).collect();
        assert_eq!(shown, [("eku.absent".to_owned(), 3), ("eku.absent".to_owned(), 1), ("name.localhost".to_owned(), 3)]);
        assert_eq!(entries[0].places(), ["/a", "/b", "/c"]);
        assert_eq!(entries[2].places(), ["/a: dns:localhost", "/b: dns:localhost", "/c: ip:127.0.0.1"]);
    }
}
