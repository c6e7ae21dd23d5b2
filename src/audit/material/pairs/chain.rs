//! What a pair's service sends, as its peers judge it. It must never find a path by itself: that is the judge's.

use super::super::blocks::Cert;
use super::super::paths::{self, Judged};
use super::super::room::{Room, is_openssl};
use super::super::{age, lints};
use super::{Case, role, service};
use crate::audit::sheet::{Draft, Sheet};
use crate::audit::wiring::Service;
use crate::judge::lint::{self, Lint};
use crate::model::anchor::hex;
use crate::model::audit::{Object, Place, Target};
use crate::model::finding::{Finding, Severity};

/// What the audit says in its own words, or what is asked of new certificates only.
const OWN: [&str; 6] =
    ["validity.expired", "validity.not-yet-valid", "validity.inverted", "validity.little-left", "pair.mismatch", "anchor.none"];

pub(super) fn judge(room: &Room<'_>, case: &Case<'_>, leaf: &Cert, sheet: &mut Sheet) {
    let pair = case.pair;
    let mut sent = room.sent(pair, leaf);
    if pair.leaf_only {
        // Its peers hold the intermediates themselves (facts/keylime §6).
        sent = room.shelf.authorities().map(|(cert, _)| cert).filter(|cert| !cert.is_root()).collect();
        sent.sort_by(|a, b| a.der.cmp(&b.der));
        sent.dedup_by(|a, b| a.der == b.der);
    }
    let judged = paths::judge(room, leaf, &sent, pair.purpose);
    let target = pair.consumer.target.clone().at_line(pair.consumer.place.line);
    if let Some(chain) = paths::shown(&judged.assessment, target.clone(), room.at) {
        sheet.chain(chain);
    }
    let self_signed = leaf.facts.self_issued();
    let elsewhere = judged.unknown_issuer.as_ref().filter(|_| !room.ground.pinned && !sent.is_empty());
    let bare = judged.unknown_issuer.as_ref().filter(|_| sent.is_empty());
    let said = !room.has_anchor() || self_signed || !judged.missing.is_empty() || elsewhere.is_some() || bare.is_some();
    for finding in &judged.assessment.findings {
        if holds(room, case, &judged, finding, said) {
            add(case, leaf, &judged, finding, &target, sheet);
        }
    }
    if self_signed {
        alone(room, case, leaf, sheet);
    } else if !room.has_anchor() {
        nobody(case, leaf, sheet);
    } else if !judged.missing.is_empty() {
        incomplete(room, case, leaf, &judged, sheet);
    } else if let Some(issuer) = bare {
        alone_without(case, leaf, issuer, sheet);
    } else if let Some(issuer) = elsewhere {
        let draft = case.about(&lints::ISSUER_UNKNOWN, &pair.certificate);
        sheet.add(draft.expected("a root that this host trusts").found(issuer).evidence(format!("certificate {}", leaf.words())));
    }
    authorities(room, case, &judged, leaf, sheet);
}

/// Which of the judge's findings hold for a pair that was found, not asked about; `said` where the path is spoken of in other words.
fn holds(room: &Room<'_>, case: &Case<'_>, judged: &Judged, finding: &Finding, said: bool) -> bool {
    let id = finding.id.as_str();
    let of_path = (id.starts_with("path.") && id != lint::PATH_CA_EXPIRED.id) || id.starts_with("anchor.");
    // Roots of the host's own lists are no pin: two of one name may both be good in a rotation.
    let no_pin = !room.ground.pinned && judged.complete && (id == lint::ANCHOR_OTHER_KEY.id || id == lint::ANCHOR_OTHER_CERT.id);
    let by_peers = case.pair.leaf_only && id.starts_with("chain.");
    !(OWN.contains(&id) || (of_path && said) || no_pin || by_peers)
}

/// The judge's finding, with the file to change.
fn add(case: &Case<'_>, leaf: &Cert, judged: &Judged, finding: &Finding, target: &Target, sheet: &mut Sheet) {
    let path = &case.pair.certificate;
    let authority = judged.chain.iter().skip(1).find(|facts| finding.found.contains(&format!(" of {}", facts.subject)));
    let of_file = ["chain.", "pem.", "path."].iter().any(|area| finding.id.starts_with(area));
    let object = match authority {
        Some(facts) if !of_file => Object::certificate(&facts.sha256),
        _ if of_file => Object::file(path),
        _ => Object::certificate(&leaf.facts.sha256),
    };
    let Some(draft) = Draft::of(finding, target.clone(), object) else { return };
    let draft = draft.file(Place::file(path)).file(case.pair.consumer.place.clone()).evidence(format!("certificate {}", leaf.words()));
    sheet.add(case.everybody(draft));
}

/// No root is known: the path cannot be judged.
fn nobody(case: &Case<'_>, leaf: &Cert, sheet: &mut Sheet) {
    let finding = Finding::new("anchor.none", Severity::Info, "a root in a trust list of this host, or --anchor", "none");
    let target = case.pair.consumer.target.clone().at_line(case.pair.consumer.place.line);
    if let Some(draft) = Draft::of(&finding, target, Object::certificate(&leaf.facts.sha256)) {
        sheet.add(draft.file(Place::file(&case.pair.certificate)).file(case.pair.consumer.place.clone()));
    }
}

/// A certificate that signs itself is good for those who hold it.
fn alone(room: &Room<'_>, case: &Case<'_>, leaf: &Cert, sheet: &mut Sheet) {
    let files = room.wiring.trusts.iter().flat_map(|trust| &trust.files);
    let trusted =
        files.flat_map(|path| room.shelf.papers(path)).any(|paper| paper.content.certificates().any(|(cert, _)| cert.der == leaf.der));
    if trusted || room.ground.anchors.contains(&leaf.der) {
        return;
    }
    let severity = if room.ground.pinned { Severity::High } else { Severity::Low };
    let draft = case.about(&lints::SELF_SIGNED, &case.pair.certificate).severity(severity);
    sheet.add(draft.expected("a certificate that the PKI issued").found(leaf.words()));
}

/// The leaf alone, and its issuer lies nowhere on this host.
fn alone_without(case: &Case<'_>, leaf: &Cert, issuer: &str, sheet: &mut Sheet) {
    let pair = case.pair;
    let severity = if pair.purpose.server() { Severity::High } else { Severity::Medium };
    let id = leaf.facts.extensions.authority_key.as_ref().and_then(|key| key.key_id.as_deref());
    let id = id.map_or_else(String::new, |id| format!(", key id {}", hex(id)));
    let draft = case.about(&lint::PATH_MISSING, &pair.certificate).severity(severity);
    let draft = draft.expected(format!("a certificate of {issuer}{id}")).found(format!("{} alone", leaf.words()));
    let remedy = format!(
        "append the intermediate {issuer} to {}, behind the leaf (ca_chain of what OpenBao answered); then reload {}",
        pair.certificate.display(),
        service(pair.consumer.service)
    );
    sheet.add(draft.remedy(remedy).evidence("it lies in none of the files that were read on this host"));
}

fn incomplete(room: &Room<'_>, case: &Case<'_>, leaf: &Cert, judged: &Judged, sheet: &mut Sheet) {
    let pair = case.pair;
    let completed = is_openssl(pair.consumer.service) && pair.consumer.service != Service::KeylimeAgent && in_own_list(room, case, judged);
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
            service(pair.consumer.service)
        ));
    }
    for (cert, path) in &judged.missing {
        draft = draft.evidence(format!("{} lies in {}", cert.words(), path.display()));
    }
    sheet.add(draft.evidence(format!("{} that hold the root alone find no path", role(pair.purpose))));
}

/// OpenSSL completes what it sends from its own trust store, where no chain is configured (`SSL_MODE_NO_AUTO_CHAIN` is not set).
fn in_own_list(room: &Room<'_>, case: &Case<'_>, judged: &Judged) -> bool {
    let place = |pair: &usize| room.wiring.pairs.get(*pair).is_some_and(|pair| super::same(pair, case.pair));
    let listeners = room.wiring.listeners.iter().filter(|listener| listener.pairs.iter().any(place));
    let lists = listeners.filter_map(|listener| room.wiring.trusts.get(listener.trust?));
    let mut papers = lists.flat_map(|trust| trust.files.iter().flat_map(|path| room.shelf.papers(path)));
    papers.any(|paper| judged.missing.iter().all(|(cert, _)| paper.content.certificates().any(|(own, _)| own.der == cert.der)))
}

/// Authorities that end before their leaves, or soon.
fn authorities(room: &Room<'_>, case: &Case<'_>, judged: &Judged, leaf: &Cert, sheet: &mut Sheet) {
    for facts in judged.chain.iter().skip(1) {
        let Some((lint, expected, found)) = age::authority(facts, &leaf.facts, room.at) else { continue };
        let target = case.pair.consumer.target.clone().at_line(case.pair.consumer.place.line);
        let draft = Draft::new(lint, target, Object::certificate(&facts.sha256)).expected(expected).found(found);
        sheet.add(draft.file(Place::file(&case.pair.certificate)).file(case.pair.consumer.place.clone()));
    }
}
