//! Whether one end accepts what the other shows, by the list it trusts and by what its TLS library needs of it. It must never accept what
//! webpki does not.

use webpki::Error;

use super::super::blocks::Cert;
use super::super::host::HostMaterial;
use super::super::revocation;
use crate::audit::facts::wiring::{Needs, Trust};
use crate::judge::parsed::Parsed;
use crate::judge::path::{Anchors, Search, Way};
use crate::judge::{oid, usage};
use crate::model::profile::Purpose;

/// Why it does not.
pub(super) enum Refusal {
    /// It is for another purpose.
    Purpose,
    /// Nothing in the list is above it; in words.
    Untrusted(String),
    /// Its path has so many intermediates, and fewer are allowed.
    Deep(usize),
    /// It, or an authority above it, is revoked; in words.
    Revoked(String),
    /// Something that is said of the certificate or the list itself.
    Said,
}

/// What one end shows.
pub(super) struct Shown<'a> {
    /// Its own certificate.
    pub(super) leaf: &'a Cert,
    /// What it sends besides.
    pub(super) sent: Vec<&'a Cert>,
}

/// `None` where it is accepted.
pub(super) fn judge(host: &HostMaterial<'_>, shown: &Shown<'_>, trust: &Trust, purpose: Option<Purpose>) -> Option<Refusal> {
    let leaf = shown.leaf;
    let list: Vec<&Cert> = host.listed(trust).collect();
    let unread = trust.files.iter().any(|path| host.cache.files(path).next().is_none());
    if list.is_empty() || unread {
        return Some(Refusal::Said);
    }
    if list.iter().any(|cert| cert.der == leaf.der) {
        return None;
    }
    if let (Some(eku), Some(purpose)) = (&leaf.facts.extensions.eku, purpose) {
        let wanted = usage::purpose_oids(purpose);
        let has = |oid: &str| eku.values.iter().any(|value| value == oid || value == oid::ANY_EKU);
        if !wanted.iter().all(|oid| has(oid)) {
            return Some(Refusal::Purpose);
        }
    }
    if !leaf.facts.valid_at(host.at) {
        return Some(Refusal::Said);
    }
    path(host, shown, &list, trust, purpose)
}

fn path(host: &HostMaterial<'_>, shown: &Shown<'_>, list: &[&Cert], trust: &Trust, purpose: Option<Purpose>) -> Option<Refusal> {
    let Shown { leaf, sent } = shown;
    let is_anchor = |cert: &&&Cert| match trust.needs {
        Needs::Any => true,
        Needs::FirstIsRoot => cert.facts.self_issued() && list.first().is_some_and(|first| first.der == cert.der),
        Needs::Root | Needs::RootAndIntermediate => cert.facts.self_issued(),
    };
    // OpenSSL completes a path from the list as well; Go takes only what was sent, but each of the list as an anchor.
    let between = sent.iter().chain(list).filter(|cert| !cert.facts.self_issued());
    let candidates: Vec<Parsed<'_>> = between.filter_map(|cert| Parsed::new(&cert.der).ok()).collect();
    let candidates: Vec<&Parsed<'_>> = candidates.iter().collect();
    let Ok(start) = Parsed::new(&leaf.der) else { return Some(Refusal::Said) };
    let anchors = Anchors::new(list.iter().filter(is_anchor).filter_map(|cert| Parsed::new(&cert.der).ok()));
    if anchors.is_empty() {
        return Some(Refusal::Untrusted("the list holds no self-signed root, which its user needs at the end of a path".to_owned()));
    }
    let search = Search { leaf: &start, candidates: &candidates, anchors: &anchors, purpose, now: host.at };
    match search.best(&|_| 0) {
        Ok(way) => return over(host, leaf, &way, trust),
        Err(Error::InvalidSignatureForPublicKey) => {
            return Some(Refusal::Untrusted("the list holds an authority of the right name with another key".to_owned()));
        }
        Err(Error::UnknownIssuer) => {}
        Err(_) => return Some(Refusal::Said),
    }
    let above = sent.iter().map(|cert| cert.facts.subject.to_string()).collect::<Vec<_>>().join(", ");
    let above = if above.is_empty() { "nothing else is sent".to_owned() } else { format!("with it are sent: {above}") };
    Some(Refusal::Untrusted(format!("it was issued by {}; {above}", leaf.facts.issuer)))
}

/// What speaks against a path that leads to the list.
fn over(host: &HostMaterial<'_>, leaf: &Cert, way: &Way<'_>, trust: &Trust) -> Option<Refusal> {
    let count = way.authorities.len();
    if trust.terms.depth.as_ref().is_some_and(|depth| count > depth.most) {
        return Some(Refusal::Deep(count));
    }
    let all = std::iter::once(&leaf.facts).chain(way.facts());
    let revoked = all.into_iter().find(|facts| revocation::is_revoked(host, trust, facts))?;
    Some(Refusal::Revoked(format!("{} with serial number {}", revoked.subject, revoked.serial)))
}

/// Whom a list trusts, in words.
pub(super) fn roots(host: &HostMaterial<'_>, trust: &Trust) -> String {
    let names: Vec<String> = host.listed(trust).take(6).map(|cert| cert.facts.subject.to_string()).collect();
    names.join(" or ")
}
