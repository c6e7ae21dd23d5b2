//! The path from a leaf to a trusted anchor: webpki finds it, and where there is none, this says why.
//! It must never accept by itself: what webpki leaves out is judged in `chain`.

mod explain;
mod usages;

use std::cell::{Cell, RefCell};

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, RevocationOptions, VerifiedPath};

use super::cert::Facts;
use super::parsed::Parsed;
use super::signature;
use crate::model::clock::Time;
use crate::model::profile::Purpose;

pub(super) use explain::{signed_by, words};
use usages::Usages;

/// Certificates that are trusted, read once. They need not be self-signed.
#[derive(Debug, Default)]
pub struct Anchors<'a> {
    known: Vec<Parsed<'a>>,
    trust: Vec<TrustAnchor<'static>>,
}

impl<'a> Anchors<'a> {
    /// The anchors among these certificates, in their order, each once; webpki must be able to read one as well.
    #[must_use]
    pub fn new(certificates: impl IntoIterator<Item = Parsed<'a>>) -> Self {
        let mut all = Self::default();
        for parsed in certificates {
            let der = CertificateDer::from(&*parsed.der);
            let Ok(trust) = webpki::anchor_from_trusted_cert(&der).map(|anchor| anchor.to_owned()) else { continue };
            if !all.known.iter().any(|known| known.der == parsed.der) {
                all.trust.push(trust);
                all.known.push(parsed);
            }
        }
        all
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Parsed<'a>> {
        self.known.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Those of this name, in its DER.
    fn of_name<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'s Parsed<'a>> {
        self.known.iter().filter(move |anchor| anchor.facts.subject.der == name)
    }

    /// What a path should lead to, in words.
    fn goal(&self) -> String {
        match self.known.as_slice() {
            [one] => format!("a path to the trusted {} (sha256 {})", one.facts.subject, one.facts.sha256),
            several => format!("a path to one of {} trusted certificates", several.len()),
        }
    }
}

/// A way that webpki has verified.
#[derive(Clone, Debug)]
pub struct Way<'a> {
    /// The intermediates, leaf side first.
    pub authorities: Vec<&'a Parsed<'a>>,
    /// Where it ends.
    pub anchor: &'a Parsed<'a>,
}

impl<'a> Way<'a> {
    /// What the intermediates say.
    #[must_use]
    pub fn facts(&self) -> Vec<&'a Facts> {
        self.authorities.iter().map(|parsed| &parsed.facts).collect()
    }
}

impl Way<'_> {
    /// Asks webpki for this way once more, with revocation.
    pub(super) fn confirm(&self, leaf: &Parsed<'_>, now: Time, revocation: RevocationOptions<'_>) -> Result<(), Error> {
        let (leaf_der, anchor_der) = (CertificateDer::from(&*leaf.der), CertificateDer::from(&*self.anchor.der));
        let leaf = EndEntityCert::try_from(&leaf_der)?;
        let anchors = [webpki::anchor_from_trusted_cert(&anchor_der)?];
        let between: Vec<CertificateDer<'_>> = self.authorities.iter().map(|c| CertificateDer::from(&*c.der)).collect();
        let usages = Usages { purpose: None, steps: Cell::new(0) };
        leaf.verify_for_usage(signature::algorithms(), &anchors, &between, unix_time(now), &usages, Some(revocation), None).map(drop)
    }
}

/// The question: which way leads from the leaf to an anchor?
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Where the path begins.
    pub leaf: &'a Parsed<'a>,
    /// What may lie on it, in any order.
    pub candidates: &'a [&'a Parsed<'a>],
    /// Where it may end.
    pub anchors: &'a Anchors<'a>,
    /// What the leaf is to be used for; `None` asks nothing of any extended key usage.
    pub purpose: Option<Purpose>,
    /// When.
    pub now: Time,
}

impl<'a> Search<'a> {
    /// The way that costs least by `cost`; one that costs nothing ends the search.
    ///
    /// One path serves both purposes where both are asked: a peer gets the same chain in either role.
    ///
    /// # Errors
    /// webpki's most telling reason, when there is none.
    pub fn best(&self, cost: &dyn Fn(&Way<'a>) -> usize) -> Result<Way<'a>, Error> {
        let leaf_der = CertificateDer::from(&*self.leaf.der);
        let leaf = EndEntityCert::try_from(&leaf_der)?;
        let candidates: Vec<CertificateDer<'_>> = self.candidates.iter().map(|c| CertificateDer::from(&*c.der)).collect();
        let best: RefCell<Option<(usize, Way<'a>)>> = RefCell::new(None);
        let consider = |path: &VerifiedPath<'_>| {
            let way = self.way(path).ok_or(Error::UnknownIssuer)?;
            let costs = cost(&way);
            let mut best = best.borrow_mut();
            if best.as_ref().is_none_or(|(least, _)| costs < *least) {
                *best = Some((costs, way));
            }
            if costs == 0 { Ok(()) } else { Err(Error::CertDistrusted) }
        };
        let usages = Usages { purpose: self.purpose, steps: Cell::new(0) };
        let algorithms = signature::algorithms();
        let found = leaf
            .verify_for_usage(algorithms, &self.anchors.trust, &candidates, unix_time(self.now), &usages, None, Some(&consider))
            .map(drop);
        match (best.into_inner(), found) {
            (Some((_, way)), _) => Ok(way),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(Error::UnknownIssuer),
        }
    }

    /// webpki's path in our terms.
    fn way(&self, path: &VerifiedPath<'_>) -> Option<Way<'a>> {
        let of = |der: &[u8]| self.candidates.iter().copied().find(|candidate| *candidate.der == *der);
        let authorities = path.intermediate_certificates().map(|certificate| of(certificate.der().as_ref())).collect::<Option<Vec<_>>>()?;
        let at = self.anchors.trust.iter().position(|trust| std::ptr::eq(trust, path.anchor()))?;
        Some(Way { authorities, anchor: self.anchors.known.get(at)? })
    }
}

/// Whether this authority's key signed a certificate; used to say where an authority leads, never to accept a leaf.
#[must_use]
pub fn signs(issuer: &Facts, certificate: &Parsed<'_>) -> bool {
    certificate.facts.issuer.der == issuer.subject.der && signed_by(certificate, issuer)
}

/// webpki's time; what lies before 1970 is 1970, before which no certificate of ours is valid.
pub(super) fn unix_time(time: Time) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(time.unix()).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
