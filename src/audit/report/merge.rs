//! Several hosts' documents as one: equal certificates and endpoints become one finding, and what only shows across hosts is found.
//! It must never join what lies at the same path on two hosts.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::keylime::lints::UUID;
use crate::audit::sheet::{Draft, Sheet};
use crate::judge::lint::{Lint, catalogue};
use crate::model::audit::{Chain, Document, Finding, Link, Object, Place, SCHEMA, Summary, Target};
use crate::model::clock::Time;
use crate::model::text::one_line;

catalogue! {
    SAME_LEAF = "across.same-certificate", High, open, "the same leaf certificate, and so the same private key, on several hosts", "issue one for each host: a key that lies on several is lost with the first of them, and cannot be revoked for one alone";
    SAME_KEY = "across.same-key", High, open, "one private key behind the certificates of several hosts", "make a key on each host: one that lies on several is lost with the first of them";
    SAME_UUID = "across.same-uuid", High, open, "several Keylime agents have one UUID: each registration takes the other's place", "give each agent a UUID of its own (uuid = \"hash_ek\" or its host name), and delete the old registration";
    OTHER_ROOT = "across.other-root", High, open, "roots of one name and different keys on several hosts: what one issued the others refuse", "find out which is the real one by its fingerprint, and replace the others with what they have issued";
    SAME_SERIAL = "across.same-serial", Medium, open, "two certificates of one issuer have the same serial number", "re-issue one of them: revocation lists tell certificates apart by issuer and serial";
    STALE_REPORT = "across.reports-apart", Low, open, "the reports were made at different times", "run omens chain-audit on all hosts within the hour, or with the same --at";
}

/// The largest report that is read.
pub const LIMIT: u64 = 256 << 20;
/// The longest text of a report.
const LONGEST: usize = 4_000;
/// Reports further apart than this describe different states of an estate of short-lived certificates.
const APART: i64 = 3600;

/// Joins documents. The host of the result names all of theirs.
#[must_use]
pub fn join(documents: Vec<Document>) -> Document {
    let documents: Vec<Document> = documents.into_iter().map(clean).collect();
    let at = documents.iter().map(|document| document.at).max().unwrap_or(Time::from_unix(0));
    let hosts: BTreeSet<&str> = documents.iter().map(|document| document.host.as_str()).collect();
    let host = hosts.iter().copied().collect::<Vec<_>>().join(",");
    let mut sheet = Sheet::new(at, &host);
    across(&documents, &mut sheet);
    let mut new = sheet.into_document().findings;
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
    all.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| (&a.id, &a.hosts, &a.files).cmp(&(&b.id, &b.hosts, &b.files))));
    Document { schema: SCHEMA.to_owned(), at, host, summary: Summary::of(&all), chains, findings: all }
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
        files: finding.files.iter().map(|file| Place { path: safe(&file.path), line: file.line }).collect(),
        expected: safe(&finding.expected),
        found: safe(&finding.found),
        evidence: all(&finding.evidence),
        remedy: safe(&finding.remedy),
        breaks: all(&finding.breaks),
        object: finding.object.clone().map(|object| object.map(|words| one_line(words, LONGEST))),
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

/// What one host alone cannot see.
fn across(documents: &[Document], sheet: &mut Sheet) {
    let mut leaves: BTreeMap<&str, BTreeMap<&str, &Chain>> = BTreeMap::new();
    let mut keys: BTreeMap<&str, BTreeMap<&str, &Chain>> = BTreeMap::new();
    let mut serials: BTreeMap<(&str, &str), BTreeMap<&str, &Chain>> = BTreeMap::new();
    for document in documents {
        // What was seen over the network lies on the host that serves it, not on the one that looked.
        for chain in document.chains.iter().filter(|chain| chain.target.kind != "endpoint") {
            leaves.entry(&chain.leaf_sha256).or_default().insert(&document.host, chain);
            if let Some(leaf) = chain.links.first() {
                keys.entry(&leaf.spki_sha256).or_default().insert(&document.host, chain);
            }
            if let [leaf, issuer, ..] = chain.links.as_slice() {
                serials.entry((&issuer.sha256, &leaf.serial)).or_default().insert(&chain.leaf_sha256, chain);
            }
        }
    }
    for (leaf, hosts) in leaves.iter().filter(|(leaf, hosts)| hosts.len() > 1 && !leaf.is_empty()) {
        shared(&SAME_LEAF, leaf, hosts, sheet);
    }
    for (key, hosts) in keys.iter().filter(|(key, hosts)| hosts.len() > 1 && !key.is_empty()) {
        // One certificate on several hosts has been said.
        let certificates: BTreeSet<&str> = hosts.values().map(|chain| chain.leaf_sha256.as_str()).collect();
        if certificates.len() > 1 {
            shared(&SAME_KEY, key, hosts, sheet);
        }
    }
    roots(documents, sheet);
    uuids(documents, sheet);
    for ((issuer, serial), twins) in serials.iter().filter(|(_, twins)| twins.len() > 1) {
        let target = Target::new("certificate", subject(twins.values().next().copied()));
        let draft = Draft::new(&SAME_SERIAL, target, Object::Certificate((*issuer).to_owned()))
            .found(format!("serial number {serial} {} times", twins.len()));
        sheet.add(twins.iter().fold(draft, |draft, (sha256, chain)| draft.evidence(format!("sha256 {sha256}: {}", chain.target))));
    }
    let times: Vec<Time> = documents.iter().map(|document| document.at).collect();
    if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max())
        && last.since(*first) > APART
    {
        let target = Target::new("report", sheet.host().to_owned());
        let object = Object::File(sheet.host().to_owned());
        sheet.add(Draft::new(&STALE_REPORT, target, object).expected("reports of the same hour").found(format!("from {first} to {last}")));
    }
}

/// Something of a leaf that several hosts have.
fn shared(lint: &'static Lint, object: &str, hosts: &BTreeMap<&str, &Chain>, sheet: &mut Sheet) {
    let target = Target::new("certificate", subject(hosts.values().next().copied()));
    let names: Vec<String> = hosts.keys().map(|host| (*host).to_owned()).collect();
    let draft = Draft::new(lint, target, Object::Certificate(object.to_owned())).found(names.join(", ")).hosts(names);
    sheet.add(hosts.iter().fold(draft, |draft, (host, chain)| draft.evidence(format!("{host}: {}", chain.target))));
}

/// Roots that chains end at, by their names.
fn roots(documents: &[Document], sheet: &mut Sheet) {
    let mut names: BTreeMap<&str, BTreeMap<&str, (BTreeSet<&str>, &str)>> = BTreeMap::new();
    for document in documents {
        for chain in document.chains.iter().filter(|chain| chain.target.kind != "endpoint" && chain.links.len() > 1) {
            let Some(root) = chain.links.last().filter(|root| !root.spki_sha256.is_empty()) else { continue };
            let keys = names.entry(&root.subject).or_default();
            keys.entry(&root.spki_sha256).or_insert((BTreeSet::new(), &root.sha256)).0.insert(&document.host);
        }
    }
    for (name, keys) in names.iter().filter(|(_, keys)| keys.len() > 1) {
        let hosts: BTreeSet<&str> = keys.values().flat_map(|(hosts, _)| hosts.iter().copied()).collect();
        // An intermediate that a rotation made anew looks like this on one host; two hosts that differ are another matter.
        if hosts.len() < 2 || keys.values().any(|(on, _)| *on == hosts) {
            continue;
        }
        let target = Target::new("certificate", (*name).to_owned());
        let object = Object::Certificate(keys.keys().copied().collect::<Vec<_>>().join(" "));
        let draft = Draft::new(&OTHER_ROOT, target, object).expected(format!("one {name}")).found(format!("{} of them", keys.len()));
        let draft = draft.hosts(hosts.iter().map(|host| (*host).to_owned()).collect());
        sheet.add(keys.values().fold(draft, |draft, (on, sha256)| {
            let on: Vec<&str> = on.iter().copied().collect();
            draft.evidence(format!("sha256 {sha256} on {}", on.join(", ")))
        }));
    }
}

/// UUIDs of Keylime agents, as their configurations say.
fn uuids(documents: &[Document], sheet: &mut Sheet) {
    let mut agents: BTreeMap<&str, BTreeMap<&str, &Finding>> = BTreeMap::new();
    for document in documents {
        for finding in document.findings.iter().filter(|finding| finding.id == UUID.id) {
            agents.entry(&finding.found).or_default().insert(&document.host, finding);
        }
    }
    for (uuid, hosts) in agents.iter().filter(|(_, hosts)| hosts.len() > 1) {
        let names: Vec<String> = hosts.keys().map(|host| (*host).to_owned()).collect();
        let draft = Draft::new(&SAME_UUID, Target::new("keylime", "agent"), Object::Endpoint(format!("uuid {uuid}")));
        let draft = draft.expected("one UUID for each agent").found((*uuid).to_owned()).hosts(names);
        let places = hosts.iter().flat_map(|(host, finding)| finding.files.iter().map(move |file| format!("{host}: {file}")));
        sheet.add(places.fold(draft, Draft::evidence));
    }
}

fn subject(chain: Option<&Chain>) -> String {
    chain.and_then(|chain| chain.links.first()).map_or_else(|| "(unreadable)".to_owned(), |leaf| leaf.subject.clone())
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
