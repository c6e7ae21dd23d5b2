//! Whether one end accepts what the other shows, by the list it trusts and by what its TLS library needs of it. It must never accept what
//! webpki does not.

use webpki::Error;

use super::super::blocks::Cert;
use super::super::room::Room;
use crate::audit::wiring::{Needs, Pair, Trust};
use crate::judge::path::{Parsed, Search};
use crate::judge::usage;
use crate::model::profile::Purpose;

/// Why it does not.
pub(super) enum Refusal {
    /// It is for another purpose.
    Purpose,
    /// Nothing in the list is above it; in words.
    Untrusted(String),
    /// Something that is said of the certificate or the list itself.
    Said,
}

/// `None` where it is accepted.
pub(super) fn judge(room: &Room<'_>, leaf: &Cert, pair: &Pair, trust: &Trust, purpose: Purpose) -> Option<Refusal> {
    let list: Vec<&Cert> = trust
        .files
        .iter()
        .flat_map(|path| room.shelf.papers(path))
        .flat_map(|paper| paper.content.certificates())
        .map(|(cert, _)| cert)
        .collect();
    let unread = trust.files.iter().any(|path| room.shelf.papers(path).next().is_none());
    if list.is_empty() || unread {
        return Some(Refusal::Said);
    }
    if list.iter().any(|cert| cert.der == leaf.der) {
        return None;
    }
    if let Some(eku) = &leaf.facts.extensions.eku {
        let wanted = usage::purpose_oids(purpose);
        let has = |oid: &str| eku.values.iter().any(|value| value == oid || value == usage::ANY_EKU);
        if !wanted.iter().all(|oid| has(oid)) {
            return Some(Refusal::Purpose);
        }
    }
    if !leaf.facts.valid_at(room.at) {
        return Some(Refusal::Said);
    }
    path(room, leaf, pair, &list, trust.needs, purpose)
}

fn path(room: &Room<'_>, leaf: &Cert, pair: &Pair, list: &[&Cert], needs: Needs, purpose: Purpose) -> Option<Refusal> {
    let is_anchor = |cert: &&&Cert| match needs {
        Needs::Any => true,
        Needs::FirstIsRoot => cert.facts.self_issued() && list.first().is_some_and(|first| first.der == cert.der),
        Needs::Root | Needs::RootAndIntermediate => cert.facts.self_issued(),
    };
    let sent = room.sent(pair, leaf);
    // OpenSSL completes a path from the list as well; Go takes only what was sent, but each of the list as an anchor.
    let between = sent.iter().chain(list).filter(|cert| !cert.facts.self_issued());
    let candidates: Vec<Parsed<'_>> = between.filter_map(|cert| Parsed::new(&cert.der).ok()).collect();
    let Ok(start) = Parsed::new(&leaf.der) else { return Some(Refusal::Said) };
    let mut errors = Vec::new();
    for anchor in list.iter().filter(is_anchor) {
        let Ok(anchor) = Parsed::new(&anchor.der) else { continue };
        match (Search { leaf: &start, candidates: &candidates, anchor: &anchor, purpose, now: room.at }).find(&|_| true) {
            Ok(_) => return None,
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        return Some(Refusal::Untrusted("the list holds no self-signed root, which its user needs at the end of a path".to_owned()));
    }
    if errors.iter().any(|error| !matches!(error, Error::UnknownIssuer)) && !errors.contains(&Error::UnknownIssuer) {
        let forged = errors.iter().any(|error| matches!(error, Error::InvalidSignatureForPublicKey));
        return Some(if forged {
            Refusal::Untrusted("the list holds an authority of the right name with another key".to_owned())
        } else {
            Refusal::Said
        });
    }
    let above = sent.iter().map(|cert| cert.facts.subject.to_string()).collect::<Vec<_>>().join(", ");
    let above = if above.is_empty() { "nothing else is sent".to_owned() } else { format!("with it are sent: {above}") };
    Some(Refusal::Untrusted(format!("it was issued by {}; {above}", leaf.facts.issuer)))
}

/// Whom a list trusts, in words.
pub(super) fn roots(room: &Room<'_>, trust: &Trust) -> String {
    let certs = trust.files.iter().flat_map(|path| room.shelf.papers(path)).flat_map(|paper| paper.content.certificates());
    let names: Vec<String> = certs.take(6).map(|(cert, _)| cert.facts.subject.to_string()).collect();
    names.join(" or ")
}
