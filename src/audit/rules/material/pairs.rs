//! A certificate with its key as a service is told to use them: whether both are there, belong together, and make a chain that its peers accept.

mod chain;
mod keys;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::blocks::Cert;
use super::form::{self, Meant};
use super::host::{HostMaterial, about};
use super::{key, lints, names};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::program::Program;
use crate::audit::facts::unread;
use crate::audit::facts::wiring::Pair;
use crate::io::look::LookError;
use crate::judge::lint::{self, Lint, audit};
use crate::judge::oid;
use crate::model::audit::Location;
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// Pairs that are the same to every check but that of names, and everybody who uses them.
struct Case<'a> {
    pair: &'a Pair,
    others: Vec<&'a Pair>,
}

impl Case<'_> {
    /// A finding about the certificate file.
    fn about(&self, lint: &'static Lint, path: &Path) -> NewFinding {
        self.everybody(about(lint, &self.pair.consumer, path))
    }

    fn everybody(&self, draft: NewFinding) -> NewFinding {
        self.others.iter().fold(draft, |draft, pair| draft.file(pair.consumer.location.clone()))
    }
}

/// Judges all pairs, and gives the roots that they lead to.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) -> Vec<Vec<u8>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut known: BTreeMap<Same<'_>, usize> = BTreeMap::new();
    for pair in host.wiring.pairs.iter().filter(|pair| is_path(&pair.certificate)) {
        match known.get(&same(pair)).and_then(|index| cases.get_mut(*index)) {
            Some(case) => case.others.push(pair),
            None => {
                known.insert(same(pair), cases.len());
                cases.push(Case { pair, others: Vec::new() });
            }
        }
    }
    cases.iter().filter_map(|case| one(host, case, findings)).collect()
}

/// nginx also takes variables and `data:` where a path may stand.
pub(super) fn is_path(path: &Path) -> bool {
    path.is_absolute() && !path.to_string_lossy().contains('$')
}

/// What makes two pairs the same: everything but their consumers' lines and names.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Same<'a> {
    program: &'static Program,
    server: bool,
    client: bool,
    passphrase: bool,
    leaf_only: bool,
    placeholder: bool,
    certificate: &'a Path,
    key: Option<&'a Path>,
    intermediates: &'a [PathBuf],
}

fn same(pair: &Pair) -> Same<'_> {
    Same {
        program: pair.consumer.program,
        server: pair.purpose.server(),
        client: pair.purpose.client(),
        passphrase: pair.passphrase,
        leaf_only: pair.leaf_only,
        placeholder: pair.placeholder,
        certificate: &pair.certificate,
        key: pair.key.as_deref(),
        intermediates: &pair.intermediates,
    }
}

/// The root that the pair's chain leads to.
fn one(host: &HostMaterial<'_>, case: &Case<'_>, findings: &mut HostFindings) -> Option<Vec<u8>> {
    let pair = case.pair;
    keys::judge(host, case, findings);
    for path in &pair.intermediates {
        if let Some(file) = found(host, case, path, &lints::CERTIFICATE_ABSENT, findings) {
            form::judge(file, &pair.consumer, Meant::Chain, findings);
        }
    }
    let file = found(host, case, &pair.certificate, &lints::CERTIFICATE_ABSENT, findings)?;
    if !form::judge(file, &pair.consumer, Meant::Chain, findings) {
        return None;
    }
    let leaf = host.leaf(pair)?;
    matches(host, case, leaf, findings);
    unusable(case, leaf, findings);
    if pair.placeholder {
        return None;
    }
    leaf_first(host, case, leaf, findings);
    for pair in [pair].into_iter().chain(case.others.iter().copied()) {
        wanted_names(pair, leaf, findings);
    }
    administrator(case, leaf, findings);
    // One DER value holds no chain: that is said by its form.
    if file.content.form.der { None } else { chain::judge(host, case, leaf, findings) }
}

/// The file, or a finding that says why it is not to be had.
fn found<'r>(
    host: &'r HostMaterial<'_>,
    case: &Case<'_>,
    path: &Path,
    absent: &'static Lint,
    findings: &mut HostFindings,
) -> Option<&'r super::pem_cache::PemFile> {
    if !is_path(path) {
        return None;
    }
    match host.cache.get(path)? {
        Ok(file) => return Some(file),
        Err(error @ LookError::Denied(_)) => {
            findings.add(case.about(&unread::UNREADABLE, path).expected("a file that can be read").found(error.to_string()))
        }
        Err(error) => {
            let draft = case.about(absent, path).expected("a regular file").found(error.to_string());
            let draft = match host.basis.view.link(path) {
                Some(target) => draft.evidence(format!("it is a link to {}", target.display())),
                None => draft,
            };
            let nothing = error.is_absent() && host.is_left_out(path);
            findings.add(if nothing {
                draft.severity(Severity::Info).evidence("this copy of the host has nothing of that directory")
            } else {
                draft
            });
        }
    }
    None
}

fn matches(host: &HostMaterial<'_>, case: &Case<'_>, leaf: &Cert, findings: &mut HostFindings) {
    let (pair, own) = (case.pair, key::bits(&leaf.facts.spki));
    let Some(key) = host.public_key(pair).filter(|key| own.as_deref() != Some(*key)) else { return };
    let path = pair.key.as_deref().unwrap_or(&pair.certificate);
    let mut draft = case
        .about(&lint::PAIR_MISMATCH, &pair.certificate)
        .file(Location::file(path))
        .expected(format!("a certificate for the key in {}", path.display()))
        .found(format!("{} for another key ({})", leaf.words(), leaf.facts.key.text))
        .breaks(pair.consumer.program.name)
        .remedy("put certificate and key of one issuance together: a script that fetches them in two calls gets two different pairs; the service refuses to start or to reload");
    let fits = |cert: &Cert| key::bits(&cert.facts.spki).as_deref() == Some(key);
    for file in host.cache.all() {
        if let Some((cert, _)) = file.content.certificates().find(|(cert, _)| fits(cert)) {
            draft = draft.evidence(format!("the key belongs to {} in {}", cert.words(), file.path.display()));
        }
        if file.content.keys().any(|(key, _)| key.public().is_some() && key.public() == own.as_deref()) {
            draft = draft.evidence(format!("the certificate belongs to the key in {}", file.path.display()));
        }
    }
    findings.add(draft);
}

/// Kinds of key that Go has no handshake for (golang/go#48314).
fn unusable(case: &Case<'_>, leaf: &Cert, findings: &mut HostFindings) {
    let program = case.pair.consumer.program;
    if program.is_go() && leaf.facts.key.kind.is_rare() {
        let draft = case.about(&lints::KEY_GO, &case.pair.certificate).expected("a key of P-256, P-384, Ed25519 or RSA");
        findings.add(draft.found(leaf.facts.key.text.clone()).breaks(program.name));
    }
}

fn leaf_first(host: &HostMaterial<'_>, case: &Case<'_>, leaf: &Cert, findings: &mut HostFindings) {
    let path = &case.pair.certificate;
    let Some((first, _)) = host.cache.file(path).and_then(|file| file.content.certificates().next()) else { return };
    if first.der != leaf.der {
        let draft = case.about(&lints::LEAF_NOT_FIRST, path).breaks(case.pair.consumer.program.name);
        findings.add(
            draft
                .expected(leaf.words())
                .found(format!("first {}", first.words()))
                .evidence("services take the first certificate as their own: the key does not fit it"),
        );
    }
}

/// Names that the configuration says clients ask for.
fn wanted_names(pair: &Pair, leaf: &Cert, findings: &mut HostFindings) {
    if !pair.purpose.server() {
        return;
    }
    let wanted: Vec<&str> = pair.names.iter().filter_map(|name| names::asked_for(name)).collect();
    let bare: Vec<&str> = wanted.iter().copied().filter(|name| !names::covers(&leaf.facts, name)).collect();
    if bare.is_empty() {
        return;
    }
    // Where only some are missing, or the name is one that nobody has to use, the others still work.
    let all = bare.len() == wanted.len() && bare.iter().any(|name| *name != "localhost");
    let common = |name: &&str| leaf.facts.subject.common_names.iter().any(|common| common.eq_ignore_ascii_case(name));
    let in_common = !names::has_dns(&leaf.facts) && bare.iter().all(common);
    let lint: &'static Lint = if in_common { &audit::NAME_ONLY_CN } else { &lints::NAME_UNCOVERED };
    let draft = about(lint, &pair.consumer, &pair.certificate).severity(if all { Severity::High } else { Severity::Medium });
    let draft = if in_common { draft.breaks("rustls").breaks("go") } else { draft };
    findings.add(draft.expected(bare.join(", ")).found(names::list(&leaf.facts)).evidence(format!("certificate {}", leaf.words())));
}

/// A program whose certificate is good for ruling over the service: for being a client with a common name
/// ([Who is an administrator](crate::audit#who-is-an-administrator)).
fn administrator(case: &Case<'_>, leaf: &Cert, findings: &mut HostFindings) {
    if !case.pair.consumer.program.client_is_administrator {
        return;
    }
    let eku = leaf.facts.extensions.eku.as_ref();
    let is_client = eku.is_none_or(|eku| eku.values.iter().any(|oid| oid == oid::CLIENT_AUTH || oid == oid::ANY_EKU));
    let names = &leaf.facts.subject.common_names;
    if is_client && !names.is_empty() && !leaf.facts.self_issued() {
        let usages = eku.map_or_else(
            || "no extended key usage".to_owned(),
            |eku| eku.values.iter().map(|oid| oid::eku_name(oid)).collect::<Vec<_>>().join(", "),
        );
        let draft = case.about(&lints::AGENT_ADMIN, &case.pair.certificate);
        findings.add(draft.expected("serverAuth alone").found(format!("{usages}; common name {}", names.join(", "))));
    }
}

/// In which role a pair is used, in words.
const fn role(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Server => "clients",
        Purpose::Client => "servers",
        Purpose::Both => "peers",
    }
}
