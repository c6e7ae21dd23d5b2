//! Several hosts' documents as one: equal certificates and endpoints become one finding, and what only shows across hosts is found.
//! It must never join what lies at the same path on two hosts.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::facts::findings::HostFindings;
use crate::audit::rules::across;
use crate::model::audit::{Chain, Document, Finding, Link, Location, Object, SCHEMA, Summary, Target, Waived};
use crate::model::clock::Time;
use crate::model::text::one_line;

/// The largest report that is read.
pub const LIMIT: u64 = 256 << 20;
/// The longest text of a report.
const LONGEST: usize = 4_000;

/// Joins documents. The host of the result names all of theirs.
#[must_use]
pub fn join(documents: Vec<Document>) -> Document {
    let mut cleaned: Vec<Document> = Vec::new();
    for document in documents.into_iter().map(clean) {
        // One that was given twice counts once.
        if !cleaned.contains(&document) {
            cleaned.push(document);
        }
    }
    let documents = cleaned;
    let at = documents.iter().map(|document| document.at).max().unwrap_or(Time::from_unix(0));
    let hosts: BTreeSet<&str> = documents.iter().map(|document| document.host.as_str()).collect();
    let host = hosts.iter().copied().collect::<Vec<_>>().join(",");
    let mut findings = HostFindings::new(at, &host);
    across::judge(&documents, &mut findings);
    let mut new = findings.into_document().findings;
    let mut all: Vec<Finding> = Vec::new();
    let mut chains: Vec<Chain> = Vec::new();
    let mut known: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for document in documents {
        for finding in document.findings {
            take(finding, &mut all, &mut known);
        }
        for mut chain in document.chains {
            // A path is one of its host; an address is the same from everywhere.
            if chain.target.kind != "endpoint" {
                chain.target.name = format!("{}:{}", document.host, chain.target.name);
            }
            chains.push(chain);
        }
    }
    all.append(&mut new);
    for finding in &mut all {
        finding.end_waiver(at);
    }
    all.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| (&a.id, &a.hosts, &a.files).cmp(&(&b.id, &b.hosts, &b.files))));
    Document { schema: SCHEMA.to_owned(), at, host, summary: Summary::of(&all), anchors: Vec::new(), chains, findings: all }
}

/// A document of somebody else's making: its texts are made safe to print again.
fn clean(document: Document) -> Document {
    let safe = |words: &String| one_line(words, LONGEST);
    let all = |words: &Vec<String>| words.iter().map(safe).collect();
    let target = |target: &Target| Target { kind: safe(&target.kind), name: safe(&target.name), line: target.line };
    let finding = |finding: &Finding| Finding {
        id: safe(&finding.id),
        title: safe(&finding.title),
        key: safe(&finding.key),
        hosts: all(&finding.hosts),
        target: target(&finding.target),
        files: finding.files.iter().map(|file| Location { path: safe(&file.path), line: file.line }).collect(),
        expected: safe(&finding.expected),
        found: safe(&finding.found),
        evidence: all(&finding.evidence),
        remedy: safe(&finding.remedy),
        breaks: all(&finding.breaks),
        object: finding.object.clone().map(|object| object.map(|words| one_line(words, LONGEST))),
        waived: finding.waived.as_ref().map(|waived| Waived { reason: safe(&waived.reason), until: waived.until }),
        ..*finding
    };
    let link = |link: &Link| Link {
        sha256: safe(&link.sha256),
        subject: safe(&link.subject),
        serial: safe(&link.serial),
        key: safe(&link.key),
        spki_sha256: safe(&link.spki_sha256),
        ..*link
    };
    let chain = |chain: &Chain| Chain {
        target: target(&chain.target),
        leaf_sha256: safe(&chain.leaf_sha256),
        path: all(&chain.path),
        links: chain.links.iter().map(link).collect(),
        ..*chain
    };
    Document {
        host: safe(&document.host),
        anchors: all(&document.anchors),
        chains: document.chains.iter().map(chain).collect(),
        findings: document.findings.iter().map(finding).collect(),
        ..document
    }
}

fn take(finding: Finding, all: &mut Vec<Finding>, known: &mut BTreeMap<(String, String, String), usize>) {
    // A document of another program's making may lack the object: then nothing is known to be the same.
    if !finding.object.as_ref().is_some_and(Object::is_shared) {
        return all.push(finding);
    }
    let same = (finding.key.clone(), finding.expected.clone(), finding.found.clone());
    let Some(first) = known.get(&same).and_then(|index| all.get_mut(*index)) else {
        known.insert(same, all.len());
        return all.push(finding);
    };
    first.severity = first.severity.max(finding.severity);
    // What one host lives with still counts on the other.
    first.waived = match (first.waived.take(), finding.waived) {
        (Some(a), Some(b)) => Some(if a.until <= b.until { a } else { b }),
        _ => None,
    };
    first.since = match (first.since, finding.since) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    extend(&mut first.hosts, finding.hosts);
    extend(&mut first.files, finding.files);
    extend(&mut first.evidence, finding.evidence);
    extend(&mut first.breaks, finding.breaks);
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    fn on(host: &str) -> Document {
        let mut document = sample();
        document.host = host.to_owned();
        for finding in &mut document.findings {
            finding.hosts = vec![host.to_owned()];
        }
        document
    }

    #[test]
    fn one_certificate_on_two_hosts_is_one_finding_and_one_path_on_two_hosts_is_two() {
        let joined = join(vec![on("auth"), on("ca")]);
        let eku: Vec<&Finding> = joined.findings.iter().filter(|finding| finding.id == "eku.absent").collect();
        assert_eq!((eku.len(), eku[0].hosts.clone()), (1, vec!["auth".to_owned(), "ca".to_owned()]));
        assert_eq!(joined.findings.iter().filter(|finding| finding.id == "pem.crlf").count(), 2);
        assert_eq!((joined.host.as_str(), joined.chains.len()), ("auth,ca", 2));
        assert_eq!(join(vec![on("auth"), on("ca"), on("auth")]), joined);
    }

    #[test]
    fn what_one_host_waives_counts_where_another_does_not_and_when_its_time_is_over() {
        let waiving = |host: &str, until: &str| {
            let mut document = on(host);
            for finding in &mut document.findings {
                finding.waived = Some(Waived { reason: "known".to_owned(), until: Time::parse(until).unwrap() });
            }
            document
        };
        let shared = |documents: Vec<Document>| -> Option<Time> {
            let joined = join(documents);
            let finding = joined.findings.into_iter().find(|finding| finding.id == "eku.absent").unwrap();
            finding.waived.map(|waived| waived.until)
        };
        let (soon, late) = ("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
        assert_eq!(shared(vec![waiving("auth", soon), on("ca")]), None);
        assert_eq!(shared(vec![on("auth"), waiving("ca", soon)]), None);
        for documents in [vec![waiving("auth", soon), waiving("ca", late)], vec![waiving("auth", late), waiving("ca", soon)]] {
            assert_eq!(shared(documents), Time::parse(soon));
        }
        let mut later = on("ca");
        later.at = Time::parse(late).unwrap();
        later.findings.clear();
        assert_eq!(shared(vec![waiving("auth", soon), later]), None);
    }

    #[test]
    fn a_root_that_one_host_uses_and_another_does_not_pin_is_found() {
        let lacking = |mut documents: Vec<Document>, pins: [&[&str]; 2]| -> Vec<Vec<String>> {
            for (document, pins) in documents.iter_mut().zip(pins) {
                document.anchors = pins.iter().map(|pin| (*pin).to_owned()).collect();
            }
            join(documents).findings.into_iter().filter(|finding| finding.id == "anchor.unknown-elsewhere").map(|f| f.hosts).collect()
        };
        let root = sample().chains[0].links.last().unwrap().sha256.clone();
        type Pins<'a> = [&'a [&'a str]; 2];
        let rows: [(Pins<'_>, &[&[&str]]); 4] =
            [([&[&root], &["00"]], &[&["ca"]]), ([&[&root], &["00", &root]], &[]), ([&[&root], &[]], &[]), ([&["00"], &["11"]], &[])];
        for (pins, expected) in rows {
            assert_eq!(lacking(vec![on("auth"), on("ca")], pins), expected, "{pins:?}");
        }
    }

    #[test]
    fn what_only_shows_across_hosts_is_found() {
        let ids = |documents: Vec<Document>| -> Vec<String> {
            join(documents).findings.into_iter().map(|finding| finding.id).filter(|id| id.starts_with("across.")).collect()
        };
        assert_eq!(ids(vec![on("auth")]), Vec::<String>::new());
        assert_eq!(ids(vec![on("auth"), on("ca")]), ["across.same-certificate"]);
        let mut twin = on("ca");
        twin.chains[0].leaf_sha256 = "ef".repeat(32);
        twin.at = twin.at.plus(7200);
        assert_eq!(ids(vec![on("auth"), twin]), ["across.same-serial", "across.reports-apart"]);
    }
}
