//! What one host alone cannot see: keys, certificates and names that several hosts share.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::consumer::keylime::lints::UUID;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::judge::lint::{Lint, catalogue};
use crate::model::audit::{Chain, Document, Finding, Object, Target};
use crate::model::clock::Time;

catalogue! {
    SAME_LEAF = "across.same-certificate", High, open, "the same leaf certificate, and so the same private key, on several hosts", "issue one for each host: a key that lies on several is lost with the first of them, and cannot be revoked for one alone";
    SAME_KEY = "across.same-key", High, open, "one private key behind the certificates of several hosts", "make a key on each host: one that lies on several is lost with the first of them";
    SAME_UUID = "across.same-uuid", High, open, "several Keylime agents have one UUID: each registration takes the other's place", "give each agent a UUID of its own (uuid = \"hash_ek\" or its host name), and delete the old registration";
    OTHER_ROOT = "across.other-root", High, open, "roots of one name and different keys on several hosts: what one issued the others refuse", "find out which is the real one by its fingerprint, and replace the others with what they have issued";
    SAME_SERIAL = "across.same-serial", Medium, open, "two certificates of one issuer have the same serial number", "re-issue one of them: revocation lists tell certificates apart by issuer and serial";
    UNKNOWN_ELSEWHERE = "anchor.unknown-elsewhere", Medium, open, "a root that other hosts use is not pinned on this one: it refuses what that root issued", "add it to trust.also of this host before more is issued from it, or finish the rotation on the other hosts";
    STALE_REPORT = "across.reports-apart", Low, open, "the reports were made at different times", "run omens chain-audit on all hosts within the hour, or with the same --at";
}

/// Reports further apart than this describe different states of an estate of short-lived certificates.
const APART: i64 = 3600;

/// What one host alone cannot see.
pub fn judge(documents: &[Document], findings: &mut HostFindings) {
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
        shared(&SAME_LEAF, leaf, hosts, findings);
    }
    for (key, hosts) in keys.iter().filter(|(key, hosts)| hosts.len() > 1 && !key.is_empty()) {
        // One certificate on several hosts has been said.
        let certificates: BTreeSet<&str> = hosts.values().map(|chain| chain.leaf_sha256.as_str()).collect();
        if certificates.len() > 1 {
            shared(&SAME_KEY, key, hosts, findings);
        }
    }
    roots(documents, findings);
    unknown(documents, findings);
    uuids(documents, findings);
    for ((issuer, serial), twins) in serials.iter().filter(|(_, twins)| twins.len() > 1) {
        let target = Target::new("certificate", subject(twins.values().next().copied()));
        let draft = NewFinding::new(&SAME_SERIAL, target, Object::Certificate((*issuer).to_owned()))
            .found(format!("serial number {serial} {} times", twins.len()));
        findings.add(twins.iter().fold(draft, |draft, (sha256, chain)| draft.evidence(format!("sha256 {sha256}: {}", chain.target))));
    }
    let times: Vec<Time> = documents.iter().map(|document| document.at).collect();
    if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max())
        && last.since(*first) > APART
    {
        let target = Target::new("report", findings.host().to_owned());
        let object = Object::File(findings.host().to_owned());
        findings.add(
            NewFinding::new(&STALE_REPORT, target, object).expected("reports of the same hour").found(format!("from {first} to {last}")),
        );
    }
}

/// Something of a leaf that several hosts have.
fn shared(lint: &'static Lint, object: &str, hosts: &BTreeMap<&str, &Chain>, findings: &mut HostFindings) {
    let target = Target::new("certificate", subject(hosts.values().next().copied()));
    let names: Vec<String> = hosts.keys().map(|host| (*host).to_owned()).collect();
    let draft = NewFinding::new(lint, target, Object::Certificate(object.to_owned())).found(names.join(", ")).hosts(names);
    findings.add(hosts.iter().fold(draft, |draft, (host, chain)| draft.evidence(format!("{host}: {}", chain.target))));
}

/// Roots that chains end at, by their names.
fn roots(documents: &[Document], findings: &mut HostFindings) {
    let mut names: BTreeMap<&str, BTreeMap<&str, (BTreeSet<&str>, &str)>> = BTreeMap::new();
    for document in documents {
        for chain in document.chains.iter().filter(|chain| chain.target.kind != "endpoint" && chain.links.len() > 1) {
            let Some(root) = chain.links.last().filter(|root| !root.spki_sha256.is_empty()) else { continue };
            let keys = names.entry(&root.subject).or_default();
            keys.entry(&root.spki_sha256).or_insert((BTreeSet::new(), &root.sha256)).0.insert(&document.host);
        }
    }
    let all_know = |hosts: &BTreeSet<&str>, roots: &BTreeMap<&str, (BTreeSet<&str>, &str)>| {
        let mut known = documents.iter().filter(|document| hosts.contains(document.host.as_str())).map(|document| &document.anchors);
        known.all(|anchors| roots.values().all(|(_, sha256)| anchors.iter().any(|anchor| anchor == sha256)))
    };
    for (name, keys) in names.iter().filter(|(_, keys)| keys.len() > 1) {
        let hosts: BTreeSet<&str> = keys.values().flat_map(|(hosts, _)| hosts.iter().copied()).collect();
        // An intermediate that a rotation made anew looks like this on one host; two hosts that differ are another matter.
        // Where all of them are pinned by all, one takes the place of the other.
        if hosts.len() < 2 || keys.values().any(|(on, _)| *on == hosts) || all_know(&hosts, keys) {
            continue;
        }
        let target = Target::new("certificate", (*name).to_owned());
        let object = Object::Certificate(keys.keys().copied().collect::<Vec<_>>().join(" "));
        let draft = NewFinding::new(&OTHER_ROOT, target, object).expected(format!("one {name}")).found(format!("{} of them", keys.len()));
        let draft = draft.hosts(hosts.iter().map(|host| (*host).to_owned()).collect());
        findings.add(keys.values().fold(draft, |draft, (on, sha256)| {
            let on: Vec<&str> = on.iter().copied().collect();
            draft.evidence(format!("sha256 {sha256} on {}", on.join(", ")))
        }));
    }
}

/// Roots that one host pins and uses, and another host does not pin.
fn unknown(documents: &[Document], findings: &mut HostFindings) {
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut subjects: BTreeMap<&str, &str> = BTreeMap::new();
    for document in documents {
        let own = document.chains.iter().filter(|chain| chain.target.kind != "endpoint").filter_map(|chain| chain.links.last());
        for root in own.filter(|root| document.anchors.contains(&root.sha256)) {
            used.entry(&root.sha256).or_default().insert(&document.host);
            subjects.insert(&root.sha256, &root.subject);
        }
    }
    for (root, users) in used {
        // Without settings nobody knows what a host pins.
        let lacking =
            documents.iter().filter(|document| !document.anchors.is_empty() && document.anchors.iter().all(|anchor| anchor != root));
        let lacking: BTreeSet<&str> = lacking.map(|document| document.host.as_str()).filter(|host| !users.contains(host)).collect();
        if lacking.is_empty() {
            continue;
        }
        let join = |hosts: &BTreeSet<&str>| hosts.iter().copied().collect::<Vec<_>>().join(", ");
        let subject = subjects.get(root).copied().unwrap_or_default();
        let draft = NewFinding::new(&UNKNOWN_ELSEWHERE, Target::new("certificate", subject), Object::Certificate(root.to_owned()));
        let draft = draft.expected(format!("{root} pinned on every host, as it is used on {}", join(&users)));
        findings
            .add(draft.found(format!("not pinned on {}", join(&lacking))).hosts(lacking.iter().map(|host| (*host).to_owned()).collect()));
    }
}

/// UUIDs of Keylime agents, as their configurations say.
fn uuids(documents: &[Document], findings: &mut HostFindings) {
    let mut agents: BTreeMap<&str, BTreeMap<&str, &Finding>> = BTreeMap::new();
    for document in documents {
        for finding in document.findings.iter().filter(|finding| finding.id == UUID.id) {
            agents.entry(&finding.found).or_default().insert(&document.host, finding);
        }
    }
    for (uuid, hosts) in agents.iter().filter(|(_, hosts)| hosts.len() > 1) {
        let names: Vec<String> = hosts.keys().map(|host| (*host).to_owned()).collect();
        let draft = NewFinding::new(&SAME_UUID, Target::new("keylime", "agent"), Object::Endpoint(format!("uuid {uuid}")));
        let draft = draft.expected("one UUID for each agent").found((*uuid).to_owned()).hosts(names);
        let places = hosts.iter().flat_map(|(host, finding)| finding.files.iter().map(move |file| format!("{host}: {file}")));
        findings.add(places.fold(draft, NewFinding::evidence));
    }
}

fn subject(chain: Option<&Chain>) -> String {
    chain.and_then(|chain| chain.links.first()).map_or_else(|| "(unreadable)".to_owned(), |leaf| leaf.subject.clone())
}
