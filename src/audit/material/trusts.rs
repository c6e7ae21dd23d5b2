//! Trust lists: whether those who use them accept a good peer. It must never judge the peers themselves.

use std::path::Path;

use super::blocks::Cert;
use super::form::{self, Meant};
use super::room::{Room, about, is_openssl};
use super::shelf::{self, Paper};
use super::{lints, pairs};
use crate::audit::input;
use crate::audit::sheet::{Draft, Sheet};
use crate::audit::wiring::{Needs, Trust};
use crate::judge::lint::{self, Lint};
use crate::model::anchor::hex;
use crate::model::audit::Place;
use crate::model::finding::Severity;

/// A trust list as its user sees it.
struct List<'a> {
    trust: &'a Trust,
    papers: Vec<&'a Paper>,
    certs: Vec<(&'a Cert, &'a Paper, u32)>,
}

impl List<'_> {
    fn about(&self, lint: &'static Lint) -> Draft {
        let path = self.trust.files.first().map_or_else(|| Path::new("/"), |path| path.as_path());
        self.trust.files.iter().skip(1).fold(about(lint, &self.trust.consumer, path), |draft, path| draft.file(Place::file(path)))
    }

    fn roots(&self) -> impl Iterator<Item = &Cert> {
        self.certs.iter().map(|(cert, ..)| *cert).filter(|cert| cert.is_root() || cert.facts.self_issued())
    }

    fn subjects(&self) -> String {
        self.certs
            .iter()
            .take(6)
            .map(|(cert, ..)| format!("{} (issued by {})", cert.facts.subject, cert.facts.issuer))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Judges all trust lists.
pub(super) fn judge(room: &Room<'_>, sheet: &mut Sheet) {
    let mut done: Vec<&Trust> = Vec::new();
    for trust in &room.wiring.trusts {
        let same = |known: &&Trust| known.files == trust.files && known.needs == trust.needs && known.consumer == trust.consumer;
        if !done.iter().any(same) {
            done.push(trust);
            one(room, trust, sheet);
        }
    }
}

fn one(room: &Room<'_>, trust: &Trust, sheet: &mut Sheet) {
    let mut whole = !trust.files.is_empty();
    for path in trust.files.iter().filter(|path| pairs::is_path(path)) {
        whole &= present(room, trust, path, sheet);
    }
    // The distribution's bundle is its own business.
    if trust.files.iter().any(|path| is_public(room, path)) {
        return;
    }
    let papers: Vec<&Paper> = trust.files.iter().flat_map(|path| room.shelf.papers(path)).collect();
    let certs: Vec<_> =
        papers.iter().flat_map(|paper| paper.content.certificates().map(move |(cert, line)| (cert, *paper, line))).collect();
    let list = List { trust, papers, certs };
    for paper in &list.papers {
        form::judge(paper, &trust.consumer, Meant::Trust, sheet);
    }
    if list.certs.is_empty() {
        return;
    }
    if whole {
        complete(room, &list, sheet);
    }
    contents(room, &list, sheet);
    pinned(room, &list, sheet);
}

fn is_public(room: &Room<'_>, path: &Path) -> bool {
    shelf::is_system(path) && room.shelf.papers(path).flat_map(|paper| paper.content.certificates()).count() > 20
}

fn present(room: &Room<'_>, trust: &Trust, path: &Path, sheet: &mut Sheet) -> bool {
    let error = match room.shelf.get(path) {
        Some(Ok(_)) => return true,
        Some(Err(error)) => error,
        None => return false,
    };
    if room.ground.view.is_directory(path) {
        let hashed = |name: &String| {
            name.split_once('.')
                .is_some_and(|(hash, n)| hash.len() == 8 && u32::from_str_radix(hash, 16).is_ok() && n.parse::<u8>().is_ok())
        };
        let names = room.ground.view.list(path).unwrap_or_default();
        if is_openssl(trust.consumer.service) && !names.iter().any(hashed) {
            let found = if names.is_empty() { "an empty directory".to_owned() } else { format!("{} files without one", names.len()) };
            sheet.add(
                about(&lints::TRUST_HASH, &trust.consumer, path)
                    .expected("links named by the hash of the subject, such as 0a1b2c3d.0")
                    .found(found),
            );
        }
        return true;
    }
    if error.is_absent() {
        let draft = about(&lints::TRUST_ABSENT, &trust.consumer, path).expected("a file of root certificates").found(error.to_string());
        let nothing = room.is_left_out(path);
        sheet.add(if nothing {
            draft.severity(Severity::Info).evidence("this copy of the host has nothing of that directory")
        } else {
            draft
        });
    } else {
        sheet.add(about(&input::UNREADABLE, &trust.consumer, path).expected("a file that can be read").found(error.to_string()));
    }
    false
}

/// Whether it holds what its user needs.
fn complete(room: &Room<'_>, list: &List<'_>, sheet: &mut Sheet) {
    match list.trust.needs {
        Needs::Any => {}
        Needs::FirstIsRoot => {
            let Some((first, ..)) = list.certs.first().filter(|(cert, ..)| !cert.facts.self_issued()) else { return };
            let draft = list.about(&lints::TRUST_FIRST).expected(format!("the root {} first", first.facts.issuer)).found(first.words());
            sheet.add(elsewhere(room, first, draft));
        }
        Needs::Root | Needs::RootAndIntermediate if list.roots().next().is_none() => no_root(room, list, sheet),
        Needs::Root => {}
        Needs::RootAndIntermediate => no_intermediate(room, list, sheet),
    }
}

/// The three-hour failure: OpenSSL builds up to a self-signed certificate, and the list ends below it (facts/keylime §5).
fn no_root(room: &Room<'_>, list: &List<'_>, sheet: &mut Sheet) {
    let within = |cert: &Cert| list.certs.iter().any(|(other, ..)| other.facts.subject.der == cert.facts.issuer.der);
    let Some((top, ..)) = list.certs.iter().find(|(cert, ..)| !within(cert)).or(list.certs.first()) else { return };
    let id = top
        .facts
        .extensions
        .authority_key
        .as_ref()
        .and_then(|key| key.key_id.as_deref())
        .map_or_else(String::new, |id| format!(", key id {}", hex(id)));
    let (peers, logs) = if list.trust.of.client() {
        (
            "clients",
            "a Go client (SPIRE) logs \"remote error: tls: unknown certificate authority\", a Python one \"tlsv1 alert unknown ca\"",
        )
    } else {
        ("servers", "this service logs \"certificate verify failed: unable to get issuer certificate\"")
    };
    let draft = list
        .about(&lints::TRUST_NO_ROOT)
        .expected(format!("the self-signed root {}{id}", top.facts.issuer))
        .found(list.subjects())
        .evidence(format!("the path of its {peers} ends at {}, which is not self-signed", top.facts.subject))
        .evidence(logs);
    sheet.add(elsewhere(room, top, draft));
}

/// Names the file on this host that holds the issuer.
fn elsewhere(room: &Room<'_>, below: &Cert, draft: Draft) -> Draft {
    let mut roots = room.shelf.authorities().filter(|(cert, _)| cert.is_root() && cert.facts.subject.der == below.facts.issuer.der);
    match roots.next() {
        Some((root, paper)) => draft.evidence(format!("{} lies in {}", root.words(), paper.path.display())),
        None => draft.evidence("it lies in none of the files that were read on this host"),
    }
}

fn no_intermediate(room: &Room<'_>, list: &List<'_>, sheet: &mut Sheet) {
    if list.certs.iter().any(|(cert, ..)| cert.is_ca() && !cert.facts.self_issued()) {
        return;
    }
    let signed = |cert: &Cert| !cert.facts.self_issued() && list.roots().any(|root| root.facts.subject.der == cert.facts.issuer.der);
    let Some((cert, paper)) = room.shelf.authorities().find(|(cert, _)| signed(cert)) else { return };
    let draft = list.about(&lints::TRUST_NO_INTERMEDIATE).expected(format!("{} beside its root", cert.words())).found(list.subjects());
    sheet.add(draft.evidence(format!("it lies in {}", paper.path.display())));
}

/// What lies in it besides: expired ones, leaves, duplicates.
fn contents(room: &Room<'_>, list: &List<'_>, sheet: &mut Sheet) {
    let roots: Vec<&Cert> = list.roots().collect();
    let all_over = !roots.is_empty() && roots.iter().all(|root| !root.facts.valid_at(room.at));
    let words = |cert: &Cert| format!("{}, {} to {}", cert.facts.subject, cert.facts.not_before, cert.facts.not_after);
    if all_over {
        let found = roots.iter().map(|root| words(root)).collect::<Vec<_>>().join("; ");
        sheet.add(list.about(&lints::TRUST_EXPIRED).expected(format!("a root that is valid at {}", room.at)).found(found));
    }
    for (index, (cert, paper, line)) in list.certs.iter().enumerate() {
        let draft = |lint: &'static Lint| about(lint, &list.trust.consumer, &paper.path).file(Place::line(&paper.path, *line));
        let is_root = cert.facts.self_issued();
        let is_said = all_over && is_root;
        if !is_said && !cert.facts.valid_at(room.at) {
            let successor =
                list.certs.iter().any(|(other, ..)| other.facts.subject.der == cert.facts.subject.der && other.facts.valid_at(room.at));
            let severity = if is_root || successor { Severity::Low } else { Severity::Medium };
            sheet.add(
                draft(&lints::TRUST_STALE)
                    .severity(severity)
                    .expected(format!("certificates that are valid at {}", room.at))
                    .found(words(cert)),
            );
        }
        if !cert.is_ca() && !is_root && cert.facts.version == 3 {
            sheet.add(draft(&lints::TRUST_LEAF).expected("certificates of authorities").found(cert.words()));
        }
        if list.certs.iter().take(index).any(|(before, other, _)| before.der == cert.der && other.real == paper.real) {
            sheet.add(draft(&lints::TRUST_TWICE).expected("each certificate once").found(cert.words()));
        }
    }
}

/// Against the pinned root.
fn pinned(room: &Room<'_>, list: &List<'_>, sheet: &mut Sheet) {
    if !room.ground.pinned {
        return;
    }
    let parsed = room.ground.anchors.iter().filter_map(|der| crate::judge::cert::Facts::parse(der).ok());
    let pins: Vec<_> = parsed.collect();
    let has_pin = list.certs.iter().any(|(cert, ..)| pins.iter().any(|pin| pin.sha256 == cert.facts.sha256));
    for (cert, paper, line) in list.certs.iter().filter(|(cert, ..)| cert.facts.self_issued()) {
        if pins.iter().any(|pin| pin.spki == cert.facts.spki && pin.subject.der == cert.facts.subject.der) {
            continue;
        }
        let namesake = pins.iter().find(|pin| pin.subject.der == cert.facts.subject.der);
        let (lint, severity): (&'static Lint, _) = match namesake {
            Some(_) if !has_pin => (&lint::ANCHOR_OTHER_KEY, Severity::High),
            Some(_) => (&lints::TRUST_SURPLUS, Severity::Medium),
            None if has_pin => (&lints::TRUST_SURPLUS, Severity::Low),
            None => (&lints::TRUST_SURPLUS, Severity::Medium),
        };
        let expected = pins.iter().map(|pin| format!("{} (sha256 {})", pin.subject, pin.sha256)).collect::<Vec<_>>().join("; ");
        let draft = about(lint, &list.trust.consumer, &paper.path).file(Place::line(&paper.path, *line)).severity(severity);
        sheet.add(draft.expected(expected).found(cert.words()));
    }
}
