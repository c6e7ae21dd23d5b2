//! What a pair's service sends, as its peers judge it.

use super::super::age::{self, ShortLife};
use super::super::blocks::Cert;
use super::super::host::{self, HostMaterial};
use super::super::lints;
use super::super::paths::{self, Judged, Unknown};
use super::{Case, role};
use crate::audit::facts::chains;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::judge::lint::{self, Lint, audit};
use crate::model::anchor::hex;
use crate::model::audit::{Location, Object, Target};
use crate::model::finding::{Finding, Severity};

/// What the audit says in its own words.
const OWN: [&str; 2] = [lint::PAIR_MISMATCH.id, audit::ANCHOR_NONE.id];
/// What makes no difference in a certificate that nobody issued.
const OF_ISSUED: [&str; 10] = ["eku.", "ku.", "name.", "bc.", "aki.", "ski.", "path.", "anchor.", "chain.", "serial."];

/// Judges the chain, and gives the root that it leads to.
pub(super) fn judge(host: &HostMaterial<'_>, case: &Case<'_>, leaf: &Cert, findings: &mut HostFindings) -> Option<Vec<u8>> {
    let pair = case.pair;
    // Where the leaf is sent alone its peers hold the intermediates themselves (audit/keylime.md, "TLS"): `host.sent` is empty then.
    let sent = host.sent(pair, leaf);
    let judged = paths::judge(host, leaf, &sent, pair);
    findings.chain(chains::chain(target(case), &judged.assessment, host.at));
    let end = way(host, &judged, leaf, sent.is_empty() && !pair.leaf_only);
    for finding in judged.assessment.findings.iter().filter(|finding| holds(host, case, &judged, finding, &end)) {
        if let Some(draft) = draft(host, case, leaf, &judged, finding) {
            findings.add(draft);
        }
    }
    match end {
        End::Judged => {}
        End::SelfSigned => alone(host, case, leaf, findings),
        End::Incomplete => incomplete(host, case, leaf, &judged, findings),
        End::Bare(unknown) => alone_without(case, leaf, &unknown.name, findings),
        End::Elsewhere(unknown) => {
            let severity = if unknown.public { Severity::Info } else { Severity::Low };
            let draft = case.about(&lints::ISSUER_UNKNOWN, &pair.certificate).severity(severity);
            findings
                .add(draft.expected("a root that this host trusts").found(&unknown.name).evidence(format!("certificate {}", leaf.words())));
        }
        End::Nowhere => nobody(case, leaf, findings),
    }
    authorities(host, case, &judged, leaf, findings);
    judged.complete.then(|| judged.assessment.path.last().cloned()).flatten()
}

/// Where a way ends, as far as the audit has its own words for it.
enum End<'a> {
    /// The judge says it.
    Judged,
    /// At itself.
    SelfSigned,
    /// Below a certificate of this host that is not sent.
    Incomplete,
    /// At once: nothing is sent beside the leaf, and its issuer lies nowhere here.
    Bare(&'a Unknown),
    /// At somebody else's authority.
    Elsewhere(&'a Unknown),
    /// No root is known at all.
    Nowhere,
}

fn way<'j>(host: &HostMaterial<'_>, judged: &'j Judged, leaf: &Cert, bare: bool) -> End<'j> {
    match &judged.unknown {
        _ if judged.complete => End::Judged,
        _ if leaf.facts.self_issued() => End::SelfSigned,
        _ if !judged.missing.is_empty() => End::Incomplete,
        Some(unknown) if bare => End::Bare(unknown),
        Some(_) if !host.has_anchor() => End::Nowhere,
        // Without a pin nobody said that there is only one PKI; with it, public certificates are still no forgeries.
        Some(unknown) if !host.basis.pinned || unknown.public => End::Elsewhere(unknown),
        _ if !host.has_anchor() => End::Nowhere,
        _ => End::Judged,
    }
}

/// Which of the judge's findings hold for a pair that was found, not asked about.
fn holds(host: &HostMaterial<'_>, case: &Case<'_>, judged: &Judged, finding: &Finding, end: &End<'_>) -> bool {
    let id = finding.id.as_str();
    let of_path = (id.starts_with("path.") && id != lint::PATH_CA_EXPIRED.id) || id.starts_with("anchor.");
    // Roots of the host's own lists are no pin: two of one name may both be good in a rotation.
    let no_pin = !host.basis.pinned && judged.complete && (id == lint::ANCHOR_OTHER_KEY.id || id == lint::ANCHOR_OTHER_CERT.id);
    let by_peers = case.pair.leaf_only && id.starts_with("chain.");
    let said = match end {
        End::Judged => false,
        End::SelfSigned => OF_ISSUED.iter().any(|area| id.starts_with(area)),
        // What lies on the host was looked at as well, not only what is sent.
        End::Incomplete => of_path || id.starts_with("chain."),
        _ => of_path,
    };
    !(OWN.contains(&id) || said || no_pin || by_peers)
}

fn target(case: &Case<'_>) -> Target {
    let consumer = &case.pair.consumer;
    consumer.target.clone().at_line(consumer.location.line)
}

/// The judge's finding, with the file to change.
fn draft(host: &HostMaterial<'_>, case: &Case<'_>, leaf: &Cert, judged: &Judged, finding: &Finding) -> Option<NewFinding> {
    let path = &case.pair.certificate;
    let authority = judged.chain.iter().skip(1).find(|facts| finding.found.contains(&format!(" of {}", facts.subject)));
    let of_file = ["chain.", "pem.", "path."].iter().any(|area| finding.id.starts_with(area));
    let object = match authority {
        Some(facts) if !of_file => Object::certificate(&facts.sha256),
        _ if of_file => Object::file(path),
        _ => Object::certificate(&leaf.facts.sha256),
    };
    let draft = host::judged(host.basis.given, finding, target(case), object)?;
    let draft = match finding.id.as_str() {
        id if id == lint::EXPIRED.id => draft.since(leaf.facts.not_after).remedy("renew it now, then look at why its renewal did not run"),
        _ => draft,
    };
    let draft =
        draft.file(Location::file(path)).file(case.pair.consumer.location.clone()).evidence(format!("certificate {}", leaf.words()));
    Some(case.everybody(draft))
}

/// No root is known: the path cannot be judged.
fn nobody(case: &Case<'_>, leaf: &Cert, findings: &mut HostFindings) {
    let target = case.pair.consumer.target.clone().at_line(case.pair.consumer.location.line);
    let draft = NewFinding::new(&audit::ANCHOR_NONE, target, Object::certificate(&leaf.facts.sha256)).severity(Severity::Info);
    let draft = draft.expected("a root in a trust list of this host, or --anchor").found("none");
    findings.add(draft.file(Location::file(&case.pair.certificate)).file(case.pair.consumer.location.clone()));
}

/// A certificate that signs itself is good for those who hold it.
fn alone(host: &HostMaterial<'_>, case: &Case<'_>, leaf: &Cert, findings: &mut HostFindings) {
    let files = host.wiring.trusts.iter().flat_map(|trust| &trust.files);
    let trusted =
        files.flat_map(|path| host.cache.files(path)).any(|file| file.content.certificates().any(|(cert, _)| cert.der == leaf.der));
    if trusted || host.basis.given.anchors.contains(&leaf.der) {
        return;
    }
    let severity = if host.basis.pinned { Severity::High } else { Severity::Low };
    let draft = case.about(&lints::SELF_SIGNED, &case.pair.certificate).severity(severity);
    findings.add(draft.expected("a certificate that the PKI issued").found(leaf.words()));
}

/// The leaf alone, and its issuer lies nowhere on this host.
fn alone_without(case: &Case<'_>, leaf: &Cert, issuer: &str, findings: &mut HostFindings) {
    let pair = case.pair;
    let severity = if pair.purpose.server() { Severity::High } else { Severity::Medium };
    let id = leaf.facts.extensions.authority_key.as_ref().and_then(|key| key.key_id.as_deref());
    let id = id.map_or_else(String::new, |id| format!(", key id {}", hex(id)));
    let draft = case.about(&lint::PATH_MISSING, &pair.certificate).severity(severity);
    let draft = draft.expected(format!("a certificate of {issuer}{id}")).found(format!("{} alone", leaf.words()));
    let remedy = format!(
        "append the intermediate {issuer} to {}, behind the leaf (ca_chain of what OpenBao answered); then reload {}",
        pair.certificate.display(),
        pair.consumer.program.name
    );
    findings.add(draft.remedy(remedy).evidence("it lies in none of the files that were read on this host"));
}

fn incomplete(host: &HostMaterial<'_>, case: &Case<'_>, leaf: &Cert, judged: &Judged, findings: &mut HostFindings) {
    let pair = case.pair;
    let completed = pair.consumer.program.completes() && in_own_list(host, case, judged);
    let lint: &'static Lint = if completed { &lints::MISSING_TRUSTED } else { &lint::PATH_MISSING };
    let names: Vec<String> = judged.missing.iter().map(|(cert, _)| cert.words()).collect();
    let mut draft = case.about(lint, &pair.certificate).expected(names.join("; ")).found(format!("{} without it", leaf.words()));
    if !completed {
        // Who only shows it may meet a peer that has the intermediate.
        let severity = if pair.purpose.server() { Severity::High } else { Severity::Medium };
        let files: Vec<String> = judged.missing.iter().map(|(_, path)| path.display().to_string()).collect();
        draft = draft.severity(severity).breaks("rustls").breaks("openssl").breaks("python").breaks("go").remedy(format!(
            "append {} to {}, behind the leaf; then reload {}",
            files.join(" and "),
            pair.certificate.display(),
            pair.consumer.program.name
        ));
    }
    for (cert, path) in &judged.missing {
        draft = draft.evidence(format!("{} lies in {}", cert.words(), path.display()));
    }
    findings.add(draft.evidence(format!("{} that hold the root alone find no path", role(pair.purpose))));
}

/// Whether the service's own trust list holds what it does not send.
fn in_own_list(host: &HostMaterial<'_>, case: &Case<'_>, judged: &Judged) -> bool {
    let location = |pair: &usize| host.wiring.pairs.get(*pair).is_some_and(|pair| super::same(pair) == super::same(case.pair));
    let listeners = host.wiring.listeners.iter().filter(|listener| listener.pairs.iter().any(location));
    let lists = listeners.filter_map(|listener| host.wiring.trusts.get(listener.trust?));
    let mut files = lists.flat_map(|trust| trust.files.iter().flat_map(|path| host.cache.files(path)));
    files.any(|file| judged.missing.iter().all(|(cert, _)| file.content.certificates().any(|(own, _)| own.der == cert.der)))
}

/// Authorities that end before their leaves, or soon.
fn authorities(host: &HostMaterial<'_>, case: &Case<'_>, judged: &Judged, leaf: &Cert, findings: &mut HostFindings) {
    for facts in judged.chain.iter().skip(1) {
        let Some(ShortLife { lint, expected, found }) = age::authority(facts, &leaf.facts, host.at) else { continue };
        let target = case.pair.consumer.target.clone().at_line(case.pair.consumer.location.line);
        let draft = NewFinding::new(lint, target, Object::certificate(&facts.sha256)).expected(expected).found(found);
        findings.add(draft.file(Location::file(&case.pair.certificate)).file(case.pair.consumer.location.clone()));
    }
}
