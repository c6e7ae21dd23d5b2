//! Trust lists: whether those who use them accept a good peer.

mod namesakes;
mod pins;

use std::collections::BTreeMap;
use std::path::Path;

use super::blocks::Cert;
use super::form::{self, Meant};
use super::host::{HostMaterial, about};
use super::pem_cache::PemFile;
use super::{lints, pairs};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::unread;
use crate::audit::facts::wiring::{Needs, Trust};
use crate::judge::lint::{Lint, audit};
use crate::model::anchor::hex;
use crate::model::audit::{Location, Object};
use crate::model::finding::Severity;
use crate::model::span;

/// A trust list as its user sees it.
struct List<'a> {
    trust: &'a Trust,
    others: &'a [&'a Trust],
    files: Vec<&'a PemFile>,
    certs: Vec<(&'a Cert, &'a PemFile, u32)>,
}

impl List<'_> {
    fn about(&self, lint: &'static Lint) -> NewFinding {
        let path = self.trust.files.first().map_or_else(|| Path::new("/"), |path| path.as_path());
        self.everybody(
            self.trust.files.iter().skip(1).fold(about(lint, &self.trust.consumer, path), |draft, path| draft.file(Location::file(path))),
        )
    }

    fn everybody(&self, draft: NewFinding) -> NewFinding {
        self.others.iter().fold(draft, |draft, trust| draft.file(trust.consumer.location.clone()))
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
pub(super) fn judge(host: &HostMaterial<'_>, proven: &[Vec<u8>], findings: &mut HostFindings) {
    let mut cases: Vec<(&Trust, Vec<&Trust>)> = Vec::new();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for trust in &host.wiring.trusts {
        let habits = (trust.consumer.program, trust.needs as u8, trust.of.server(), trust.of.client());
        match known.get(&(habits, &trust.files)).and_then(|index| cases.get_mut(*index)) {
            Some((_, others)) => others.push(trust),
            None => {
                known.insert((habits, &trust.files), cases.len());
                cases.push((trust, Vec::new()));
            }
        }
    }
    for (trust, others) in &cases {
        one(host, trust, others, proven, findings);
    }
}

fn one(host: &HostMaterial<'_>, trust: &Trust, others: &[&Trust], proven: &[Vec<u8>], findings: &mut HostFindings) {
    let mut whole = !trust.files.is_empty();
    for path in trust.files.iter().filter(|path| pairs::is_path(path)) {
        whole &= present(host, trust, path, findings);
    }
    // The distribution's bundle is its own business.
    if trust.files.iter().flat_map(|path| host.cache.files(path)).any(PemFile::is_public) {
        return;
    }
    let files: Vec<&PemFile> = trust.files.iter().flat_map(|path| host.cache.files(path)).collect();
    let certs: Vec<_> = files.iter().flat_map(|file| file.content.certificates().map(move |(cert, line)| (cert, *file, line))).collect();
    let list = List { trust, others, files, certs };
    for file in &list.files {
        form::judge(file, &trust.consumer, Meant::Trust, findings);
    }
    if list.certs.is_empty() {
        return;
    }
    if whole {
        complete(host, &list, findings);
    }
    contents(host, &list, findings);
    namesakes::judge(host, &list, findings);
    pins::judge(host, &list, proven, findings);
}

fn present(host: &HostMaterial<'_>, trust: &Trust, path: &Path, findings: &mut HostFindings) -> bool {
    let error = match host.cache.get(path) {
        Some(Ok(_)) => return true,
        Some(Err(error)) => error,
        None => return false,
    };
    if host.basis.view.is_directory(path) {
        let hashed = |name: &String| {
            name.split_once('.')
                .is_some_and(|(hash, n)| hash.len() == 8 && u32::from_str_radix(hash, 16).is_ok() && n.parse::<u8>().is_ok())
        };
        let names = host.basis.view.list(path).unwrap_or_default();
        if trust.consumer.program.is_openssl() && !names.iter().any(hashed) {
            let found = if names.is_empty() { "an empty directory".to_owned() } else { format!("{} files without one", names.len()) };
            findings.add(
                about(&lints::TRUST_HASH, &trust.consumer, path)
                    .expected("links named by the hash of the subject, such as 0a1b2c3d.0")
                    .found(found),
            );
        }
        return true;
    }
    if error.is_absent() {
        let draft = about(&lints::TRUST_ABSENT, &trust.consumer, path).expected("a file of root certificates").found(error.to_string());
        let nothing = host.is_left_out(path) || (trust.consumer.target.kind == "script" && host.lacks_directory(path));
        findings.add(if nothing {
            draft.severity(Severity::Info).evidence("this copy of the host has nothing of that directory")
        } else {
            draft
        });
    } else {
        findings.add(about(&unread::UNREADABLE, &trust.consumer, path).expected("a file that can be read").found(error.to_string()));
    }
    false
}

/// Whether it holds what its user needs.
fn complete(host: &HostMaterial<'_>, list: &List<'_>, findings: &mut HostFindings) {
    match list.trust.needs {
        Needs::Any => {}
        Needs::FirstIsRoot => {
            let Some((first, ..)) = list.certs.first().filter(|(cert, ..)| !cert.facts.self_issued()) else { return };
            let draft = list.about(&lints::TRUST_FIRST).expected(format!("the root {} first", first.facts.issuer)).found(first.words());
            findings.add(elsewhere(host, first, draft));
        }
        Needs::Root | Needs::RootAndIntermediate if list.roots().next().is_none() => no_root(host, list, findings),
        Needs::Root => {}
        Needs::RootAndIntermediate => no_intermediate(host, list, findings),
    }
}

/// The three-hour failure: OpenSSL builds up to a self-signed certificate, and the list ends below it
/// ([Options that go wrong](crate::audit#options-that-go-wrong)).
fn no_root(host: &HostMaterial<'_>, list: &List<'_>, findings: &mut HostFindings) {
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
    findings.add(elsewhere(host, top, draft));
}

/// Names the file on this host that holds the issuer.
fn elsewhere(host: &HostMaterial<'_>, below: &Cert, draft: NewFinding) -> NewFinding {
    let mut roots = host.cache.authorities().filter(|(cert, _)| cert.is_root() && cert.facts.subject.der == below.facts.issuer.der);
    match roots.next() {
        Some((root, file)) => draft.evidence(format!("{} lies in {}", root.words(), file.path.display())),
        None => draft.evidence("it lies in none of the files that were read on this host"),
    }
}

fn no_intermediate(host: &HostMaterial<'_>, list: &List<'_>, findings: &mut HostFindings) {
    if list.certs.iter().any(|(cert, ..)| cert.is_ca() && !cert.facts.self_issued()) {
        return;
    }
    let signed = |cert: &Cert| !cert.facts.self_issued() && list.roots().any(|root| root.facts.subject.der == cert.facts.issuer.der);
    let Some((cert, file)) = host.cache.authorities().find(|(cert, _)| signed(cert)) else { return };
    let draft = list.about(&lints::TRUST_NO_INTERMEDIATE).expected(format!("{} beside its root", cert.words())).found(list.subjects());
    findings.add(draft.evidence(format!("it lies in {}", file.path.display())));
}

/// What lies in it besides: expired ones, leaves, duplicates.
fn contents(host: &HostMaterial<'_>, list: &List<'_>, findings: &mut HostFindings) {
    let roots: Vec<&Cert> = list.roots().collect();
    let all_over = !roots.is_empty() && roots.iter().all(|root| !root.facts.valid_at(host.at));
    let words = |cert: &Cert| format!("{}, {} to {}", cert.facts.subject, cert.facts.not_before, cert.facts.not_after);
    if all_over {
        let found = roots.iter().map(|root| words(root)).collect::<Vec<_>>().join("; ");
        findings.add(list.about(&lints::TRUST_EXPIRED).expected(format!("a root that is valid at {}", host.at)).found(found));
    }
    for (index, (cert, file, line)) in list.certs.iter().enumerate() {
        let draft = |lint: &'static Lint| about(lint, &list.trust.consumer, &file.path).file(Location::line(&file.path, *line));
        let is_root = cert.facts.self_issued();
        let is_said = all_over && is_root;
        if !is_said && !cert.facts.valid_at(host.at) {
            let successor =
                list.certs.iter().any(|(other, ..)| other.facts.subject.der == cert.facts.subject.der && other.facts.valid_at(host.at));
            let severity = if is_root || successor { Severity::Low } else { Severity::Medium };
            findings.add(
                draft(&lints::TRUST_STALE)
                    .severity(severity)
                    .expected(format!("certificates that are valid at {}", host.at))
                    .found(words(cert)),
            );
        }
        let left = cert.facts.not_after.since(host.at);
        if is_root && cert.facts.valid_at(host.at) && left.saturating_mul(10) < cert.facts.lifetime() {
            let target = list.trust.consumer.target.clone().at_line(list.trust.consumer.location.line);
            let old = NewFinding::new(&audit::ANCHOR_EXPIRES_SOON, target, Object::certificate(&cert.facts.sha256))
                .file(Location::line(&file.path, *line));
            findings.add(old.file(list.trust.consumer.location.clone()).expected("at least a tenth of the lifetime").found(format!(
                "{} left of {}",
                span::about(left),
                cert.facts.subject
            )));
        }
        if !cert.is_ca() && !is_root && cert.facts.version == 3 {
            findings.add(draft(&lints::TRUST_LEAF).expected("certificates of authorities").found(cert.words()));
        }
        if list.certs.iter().take(index).any(|(before, other, _)| before.der == cert.der && other.real == file.real) {
            findings.add(draft(&lints::TRUST_TWICE).expected("each certificate once").found(cert.words()));
        }
    }
}
