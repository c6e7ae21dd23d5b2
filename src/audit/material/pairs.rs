//! A certificate with its key as a service is told to use them: whether both are there, belong together, and make a chain that its peers accept.

mod chain;
mod keys;

use super::blocks::Cert;
use super::form::{self, Meant};
use super::room::{Room, about};
use super::{age, key, lints, names};
use crate::audit::input;
use crate::audit::sheet::{Draft, Sheet};
use crate::audit::wiring::{Consumer, Pair, Service};
use crate::io::look::LookError;
use crate::judge::lint::{self, Lint};
use crate::judge::usage;
use crate::model::audit::{Object, Place};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// Pairs that are the same to every check, and everybody who uses them.
struct Case<'a> {
    pair: &'a Pair,
    others: Vec<&'a Consumer>,
}

impl Case<'_> {
    /// A finding about the certificate file.
    fn about(&self, lint: &'static Lint, path: &std::path::Path) -> Draft {
        self.everybody(about(lint, &self.pair.consumer, path))
    }

    fn everybody(&self, draft: Draft) -> Draft {
        self.others.iter().fold(draft, |draft, consumer| draft.file(consumer.place.clone()))
    }
}

/// Judges all pairs.
pub(super) fn judge(room: &Room<'_>, sheet: &mut Sheet) {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for pair in room.wiring.pairs.iter().filter(|pair| is_path(&pair.certificate)) {
        match cases.iter_mut().find(|case| same(case.pair, pair)) {
            Some(case) => case.others.push(&pair.consumer),
            None => cases.push(Case { pair, others: Vec::new() }),
        }
    }
    for case in &cases {
        one(room, case, sheet);
    }
}

/// nginx also takes variables and `data:` where a path may stand.
pub(super) fn is_path(path: &std::path::Path) -> bool {
    path.is_absolute() && !path.to_string_lossy().contains('$')
}

fn same(a: &Pair, b: &Pair) -> bool {
    let of = |pair: &Pair| (pair.certificate.clone(), pair.key.clone(), pair.intermediates.clone(), pair.passphrase, pair.leaf_only);
    a.consumer.service == b.consumer.service && a.purpose == b.purpose && a.names == b.names && of(a) == of(b)
}

fn one(room: &Room<'_>, case: &Case<'_>, sheet: &mut Sheet) {
    let pair = case.pair;
    keys::judge(room, case, sheet);
    for path in &pair.intermediates {
        if let Some(paper) = found(room, case, path, &lints::CERTIFICATE_ABSENT, sheet) {
            form::judge(paper, &pair.consumer, Meant::Chain, sheet);
        }
    }
    let Some(paper) = found(room, case, &pair.certificate, &lints::CERTIFICATE_ABSENT, sheet) else { return };
    if !form::judge(paper, &pair.consumer, Meant::Chain, sheet) {
        return;
    }
    let Some(leaf) = room.leaf(pair) else { return };
    matches(room, case, leaf, sheet);
    leaf_first(room, case, leaf, sheet);
    life(room, case, leaf, sheet);
    wanted_names(case, leaf, sheet);
    agent(case, leaf, sheet);
    // One DER value holds no chain: that is said by its form.
    if !paper.content.form.der {
        chain::judge(room, case, leaf, sheet);
    }
}

/// The file, or a finding that says why it is not to be had.
fn found<'r>(
    room: &'r Room<'_>,
    case: &Case<'_>,
    path: &std::path::Path,
    absent: &'static Lint,
    sheet: &mut Sheet,
) -> Option<&'r super::shelf::Paper> {
    if !is_path(path) {
        return None;
    }
    match room.shelf.get(path)? {
        Ok(paper) => return Some(paper),
        Err(error) if error.is_absent() => {
            let draft = case.about(absent, path).expected("a file").found(error.to_string());
            let nothing = room.is_left_out(path);
            sheet.add(if nothing {
                draft.severity(Severity::Info).evidence("this copy of the host has nothing of that directory")
            } else {
                draft
            });
        }
        Err(error @ LookError::Kind { .. }) => sheet.add(case.about(absent, path).expected("a regular file").found(error.to_string())),
        Err(error) => sheet.add(case.about(&input::UNREADABLE, path).expected("a file that can be read").found(error.to_string())),
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

fn life(room: &Room<'_>, case: &Case<'_>, leaf: &Cert, sheet: &mut Sheet) {
    if let Some((lint, expected, found)) = age::leaf(&leaf.facts, room.at) {
        let draft = Draft::new(
            lint,
            case.pair.consumer.target.clone().at_line(case.pair.consumer.place.line),
            Object::certificate(&leaf.facts.sha256),
        );
        let draft = draft.file(Place::file(&case.pair.certificate)).file(case.pair.consumer.place.clone()).expected(expected).found(found);
        let draft = if lint.id == lint::EXPIRED.id {
            draft.since(leaf.facts.not_after).remedy("renew it now, then look at why its renewal did not run")
        } else {
            draft
        };
        sheet.add(case.everybody(draft));
    }
}

/// Names that the configuration says clients ask for.
fn wanted_names(case: &Case<'_>, leaf: &Cert, sheet: &mut Sheet) {
    let pair = case.pair;
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
    let severity = if all { Severity::High } else { Severity::Medium };
    let draft = case.about(&lints::NAME_UNCOVERED, &pair.certificate).severity(severity);
    sheet.add(draft.expected(bare.join(", ")).found(names::list(&leaf.facts)).evidence(format!("certificate {}", leaf.words())));
}

/// facts/keylime §4, trap 8.
fn agent(case: &Case<'_>, leaf: &Cert, sheet: &mut Sheet) {
    if case.pair.consumer.service != Service::KeylimeAgent {
        return;
    }
    let eku = leaf.facts.extensions.eku.as_ref();
    let is_client = eku.is_none_or(|eku| eku.values.iter().any(|oid| oid == usage::CLIENT_AUTH || oid == usage::ANY_EKU));
    let names = &leaf.facts.subject.common_names;
    if is_client && !names.is_empty() && !leaf.facts.self_issued() {
        let usages = eku.map_or_else(
            || "no extended key usage".to_owned(),
            |eku| eku.values.iter().map(|oid| usage::eku_name(oid)).collect::<Vec<_>>().join(", "),
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
