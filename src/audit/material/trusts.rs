//! Trust lists: whether those who use them accept a good peer. It must never judge the peers themselves.

mod pins;

use std::collections::BTreeMap;
use std::path::Path;

use super::blocks::Cert;
use super::form::{self, Meant};
use super::room::{Room, about, is_openssl};
use super::shelf::Paper;
use super::{lints, pairs};
use crate::audit::input;
use crate::audit::sheet::{Draft, Sheet};
use crate::audit::wiring::{Needs, Trust};
use crate::judge::lint::{Lint, audit};
use crate::model::anchor::hex;
use crate::model::audit::{Object, Place};
use crate::model::finding::Severity;
use crate::model::span;

/// A trust list as its user sees it.
struct List<'a> {
    trust: &'a Trust,
    others: &'a [&'a Trust],
    papers: Vec<&'a Paper>,
    certs: Vec<(&'a Cert, &'a Paper, u32)>,
}

impl List<'_> {
    fn about(&self, lint: &'static Lint) -> Draft {
        let path = self.trust.files.first().map_or_else(|| Path::new("/"), |path| path.as_path());
        self.everybody(
            self.trust.files.iter().skip(1).fold(about(lint, &self.trust.consumer, path), |draft, path| draft.file(Place::file(path))),
        )
    }

    fn everybody(&self, draft: Draft) -> Draft {
        self.others.iter().fold(draft, |draft, trust| draft.file(trust.consumer.place.clone()))
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

/// Judges all trust lists; `proven` are the roots that the host's own certificates lead to.
pub(super) fn judge(room: &Room<'_>, proven: &[Vec<u8>], sheet: &mut Sheet) {
    let mut cases: Vec<(&Trust, Vec<&Trust>)> = Vec::new();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for trust in &room.wiring.trusts {
        let habits = (trust.consumer.service, trust.needs as u8, trust.of.server(), trust.of.client());
        match known.get(&(habits, &trust.files)).and_then(|index| cases.get_mut(*index)) {
            Some((_, others)) => others.push(trust),
            None => {
                known.insert((habits, &trust.files), cases.len());
                cases.push((trust, Vec::new()));
            }
        }
    }
    for (trust, others) in &cases {
        one(room, trust, others, proven, sheet);
    }
}

fn one(room: &Room<'_>, trust: &Trust, others: &[&Trust], proven: &[Vec<u8>], sheet: &mut Sheet) {
    let mut whole = !trust.files.is_empty();
    for path in trust.files.iter().filter(|path| pairs::is_path(path)) {
        whole &= present(room, trust, path, sheet);
    }
    // The distribution's bundle is its own business.
    if trust.files.iter().flat_map(|path| room.shelf.papers(path)).any(Paper::is_public) {
        return;
    }
    let papers: Vec<&Paper> = trust.files.iter().flat_map(|path| room.shelf.papers(path)).collect();
    let certs: Vec<_> =
        papers.iter().flat_map(|paper| paper.content.certificates().map(move |(cert, line)| (cert, *paper, line))).collect();
    let list = List { trust, others, papers, certs };
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
    pins::judge(room, &list, proven, sheet);
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

/// OpenSSL builds up to a self-signed certificate, and the list ends below it
/// ([Options that go wrong](crate::audit#options-that-go-wrong)).
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
        let left = cert.facts.not_after.since(room.at);
        if is_root && cert.facts.valid_at(room.at) && left.saturating_mul(10) < cert.facts.lifetime() {
            let target = list.trust.consumer.target.clone().at_line(list.trust.consumer.place.line);
            let old = Draft::new(&audit::ANCHOR_EXPIRES_SOON, target, Object::certificate(&cert.facts.sha256))
                .file(Place::line(&paper.path, *line));
            sheet.add(old.file(list.trust.consumer.place.clone()).expected("at least a tenth of the lifetime").found(format!(
                "{} left of {}",
                span::about(left),
                cert.facts.subject
            )));
        }
        if !cert.is_ca() && !is_root && cert.facts.version == 3 {
            sheet.add(draft(&lints::TRUST_LEAF).expected("certificates of authorities").found(cert.words()));
        }
        if list.certs.iter().take(index).any(|(before, other, _)| before.der == cert.der && other.real == paper.real) {
            sheet.add(draft(&lints::TRUST_TWICE).expected("each certificate once").found(cert.words()));
        }
    }
}
