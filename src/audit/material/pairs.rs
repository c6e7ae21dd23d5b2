//! A certificate with its key as a service is told to use them: whether both are there, belong together, and make a chain that its peers accept.

mod chain;
mod keys;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::blocks::Cert;
use super::form::{self, Meant};
use super::room::{Room, about};
use super::{key, lints, names};
use crate::audit::input;
use crate::audit::sheet::{Draft, Sheet};
use crate::audit::wiring::{Pair, Service};
use crate::io::look::LookError;
use crate::judge::lint::{self, Lint, audit};
use crate::judge::oid;
use crate::model::audit::Place;
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// Pairs that are the same to every check but that of names, and everybody who uses them.
struct Case<'a> {
    pair: &'a Pair,
    others: Vec<&'a Pair>,
}

impl Case<'_> {
    /// A finding about the certificate file.
    fn about(&self, lint: &'static Lint, path: &Path) -> Draft {
        self.everybody(about(lint, &self.pair.consumer, path))
    }

    fn everybody(&self, draft: Draft) -> Draft {
        self.others.iter().fold(draft, |draft, pair| draft.file(pair.consumer.place.clone()))
    }
}

/// Judges all pairs, and gives the roots that they lead to.
pub(super) fn judge(room: &Room<'_>, sheet: &mut Sheet) -> Vec<Vec<u8>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut known: BTreeMap<Same<'_>, usize> = BTreeMap::new();
    for pair in room.wiring.pairs.iter().filter(|pair| is_path(&pair.certificate)) {
        match known.get(&same(pair)).and_then(|index| cases.get_mut(*index)) {
            Some(case) => case.others.push(pair),
            None => {
                known.insert(same(pair), cases.len());
                cases.push(Case { pair, others: Vec::new() });
            }
        }
    }
    cases.iter().filter_map(|case| one(room, case, sheet)).collect()
}

/// nginx also takes variables and `data:` where a path may stand.
pub(super) fn is_path(path: &Path) -> bool {
    path.is_absolute() && !path.to_string_lossy().contains('$')
}

/// What makes two pairs the same: everything but their consumers' lines and names.
type Same<'a> = (Service, [bool; 4], &'a Path, Option<&'a Path>, &'a [PathBuf]);

fn same(pair: &Pair) -> Same<'_> {
    let habits = [pair.purpose.server(), pair.purpose.client(), pair.passphrase, pair.leaf_only];
    (pair.consumer.service, habits, &pair.certificate, pair.key.as_deref(), &pair.intermediates)
}

/// The root that the pair's chain leads to.
fn one(room: &Room<'_>, case: &Case<'_>, sheet: &mut Sheet) -> Option<Vec<u8>> {
    let pair = case.pair;
    keys::judge(room, case, sheet);
    for path in &pair.intermediates {
        if let Some(paper) = found(room, case, path, &lints::CERTIFICATE_ABSENT, sheet) {
            form::judge(paper, &pair.consumer, Meant::Chain, sheet);
        }
    }
    let paper = found(room, case, &pair.certificate, &lints::CERTIFICATE_ABSENT, sheet)?;
    if !form::judge(paper, &pair.consumer, Meant::Chain, sheet) {
        return None;
    }
    let leaf = room.leaf(pair)?;
    matches(room, case, leaf, sheet);
    leaf_first(room, case, leaf, sheet);
    for pair in [pair].into_iter().chain(case.others.iter().copied()) {
        wanted_names(pair, leaf, sheet);
    }
    agent(case, leaf, sheet);
    // One DER value holds no chain: that is said by its form.
    if paper.content.form.der { None } else { chain::judge(room, case, leaf, sheet) }
}

/// The file, or a finding that says why it is not to be had.
fn found<'r>(
    room: &'r Room<'_>,
    case: &Case<'_>,
    path: &Path,
    absent: &'static Lint,
    sheet: &mut Sheet,
) -> Option<&'r super::shelf::Paper> {
    if !is_path(path) {
        return None;
    }
    match room.shelf.get(path)? {
        Ok(paper) => return Some(paper),
        Err(error @ LookError::Denied(_)) => {
            sheet.add(case.about(&input::UNREADABLE, path).expected("a file that can be read").found(error.to_string()))
        }
        Err(error) => {
            let draft = case.about(absent, path).expected("a regular file").found(error.to_string());
            let draft = match room.ground.view.link(path) {
                Some(target) => draft.evidence(format!("it is a link to {}", target.display())),
                None => draft,
            };
            let nothing = error.is_absent() && room.is_left_out(path);
            sheet.add(if nothing {
                draft.severity(Severity::Info).evidence("this copy of the host has nothing of that directory")
            } else {
                draft
            });
        }
    }
    None
}

fn matches(room: &Room<'_>, case: &Case<'_>, leaf: &Cert, sheet: &mut Sheet) {
    let (pair, own) = (case.pair, key::bits(&leaf.facts.spki));
    let Some(key) = room.public_key(pair).filter(|key| own.as_deref() != Some(*key)) else { return };
    let path = pair.key.as_deref().unwrap_or(&pair.certificate);
    let mut draft = case
        .about(&lint::PAIR_MISMATCH, &pair.certificate)
        .file(Place::file(path))
        .expected(format!("a certificate for the key in {}", path.display()))
        .found(format!("{} for another key ({})", leaf.words(), leaf.facts.key.text))
        .breaks(service(pair.consumer.service))
        .remedy("put certificate and key of one issuance together: a script that fetches them in two calls gets two different pairs; the service refuses to start or to reload");
    let fits = |cert: &Cert| key::bits(&cert.facts.spki).as_deref() == Some(key);
    for paper in room.shelf.all() {
        if let Some((cert, _)) = paper.content.certificates().find(|(cert, _)| fits(cert)) {
            draft = draft.evidence(format!("the key belongs to {} in {}", cert.words(), paper.path.display()));
        }
        if paper.content.keys().any(|(key, _)| key.public().is_some() && key.public() == own.as_deref()) {
            draft = draft.evidence(format!("the certificate belongs to the key in {}", paper.path.display()));
        }
    }
    sheet.add(draft);
}

fn leaf_first(room: &Room<'_>, case: &Case<'_>, leaf: &Cert, sheet: &mut Sheet) {
    let path = &case.pair.certificate;
    let Some((first, _)) = room.shelf.paper(path).and_then(|paper| paper.content.certificates().next()) else { return };
    if first.der != leaf.der {
        let draft = case.about(&lints::LEAF_NOT_FIRST, path).breaks(service(case.pair.consumer.service));
        sheet.add(
            draft
                .expected(leaf.words())
                .found(format!("first {}", first.words()))
                .evidence("services take the first certificate as their own: the key does not fit it"),
        );
    }
}

/// Names that the configuration says clients ask for.
fn wanted_names(pair: &Pair, leaf: &Cert, sheet: &mut Sheet) {
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
    sheet.add(draft.expected(bare.join(", ")).found(names::list(&leaf.facts)).evidence(format!("certificate {}", leaf.words())));
}

/// A certificate of the Keylime agent must open no verifier ([Who is an administrator](crate::audit#who-is-an-administrator)).
fn agent(case: &Case<'_>, leaf: &Cert, sheet: &mut Sheet) {
    if case.pair.consumer.service != Service::KeylimeAgent {
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
        sheet.add(draft.expected("serverAuth alone").found(format!("{usages}; common name {}", names.join(", "))));
    }
}

fn service(service: Service) -> &'static str {
    match service {
        Service::Nginx => "nginx",
        Service::KeylimeVerifier => "keylime_verifier",
        Service::KeylimeRegistrar => "keylime_registrar",
        Service::KeylimeTenant => "keylime_tenant",
        Service::KeylimeAgent => "keylime_agent",
        Service::SpireServer => "spire-server",
        Service::SpireAgent => "spire-agent",
        Service::OpenBao => "openbao",
        Service::Omens => "omens",
        Service::Other => "the service",
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
