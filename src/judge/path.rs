//! The path from a leaf to a trusted anchor: webpki finds it, and where there is none, this says why.
//! It must never accept by itself: what webpki leaves out is judged in `chain`.

mod explain;

use std::cell::{Cell, RefCell};

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
    RevocationOptions, VerifiedPath,
};

use super::cert::Facts;
use super::parsed::Parsed;
use super::signature;
use crate::model::clock::Time;
use crate::model::profile::Purpose;

pub(super) use explain::{signed_by, words};

/// webpki looks at as many certificates in one search. Its own limit of 200,000 is seconds of work for a hostile bundle.
const MAX_STEPS: usize = 5_000;

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

/// Extended key usage of every certificate of a path, where it has one ([webpki](crate::judge#webpki)), as webpki's own `server_auth` and
/// `client_auth` do;
/// and a limit to how many certificates are tried.
struct Usages {
    purpose: Option<Purpose>,
    steps: Cell<usize>,
}

impl ExtendedKeyUsageValidator for Usages {
    fn validate(&self, iter: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        self.steps.set(self.steps.get().saturating_add(1));
        if self.steps.get() > MAX_STEPS {
            return Err(Error::MaximumPathBuildCallsExceeded);
        }
        let present = iter.collect::<Result<Vec<KeyPurposeId<'_>>, Error>>()?;
        let Some(purpose) = self.purpose.filter(|_| !present.is_empty()) else { return Ok(()) };
        let asked = [(purpose.server(), KeyUsage::server_auth(), SERVER_AUTH), (purpose.client(), KeyUsage::client_auth(), CLIENT_AUTH)];
        for (_, required, oid) in asked.into_iter().filter(|(asked, ..)| *asked) {
            if !present.contains(&KeyPurposeId::new(oid)) {
                let present = present.iter().map(KeyPurposeId::to_decoded_oid).collect();
                return Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }));
            }
        }
        Ok(())
    }
}

/// id-kp-serverAuth and id-kp-clientAuth, the content of their DER.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// webpki's time; what lies before 1970 is 1970, before which no certificate of ours is valid.
pub(super) fn unix_time(time: Time) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(time.unix()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose as Eku, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose as Ku, NameConstraints};

    use super::super::gate::Verdict;
    use super::super::kit::{self, *};
    use crate::model::profile::Purpose;
    use crate::model::request::Request;

    fn path_is(verdict: &Verdict, expected: &[&[u8]]) {
        let path = verdict.path.as_ref().unwrap_or_else(|| panic!("{:?}", verdict.findings));
        assert_eq!(path.iter().map(Vec::as_slice).collect::<Vec<_>>(), expected);
    }

    /// root → upper → lower → leaf.
    struct Deep {
        pki: Pki,
        lower: Authority,
        leaf: Vec<u8>,
    }

    fn deep() -> Deep {
        let pki = Pki::new();
        let lower = pki.middle.below("Page of Omens");
        let leaf = lower.sign(&kit::leaf(), &pki.key);
        Deep { pki, lower, leaf }
    }

    #[test]
    fn intermediates_come_out_in_order_whatever_order_they_came_in() {
        let Deep { pki, lower, leaf } = deep();
        let stranger = Authority::root("Somebody else");
        let (up, low, root) = (&pki.middle.der, &lower.der, &pki.root.der);
        type Row<'a> = (&'a str, Vec<Vec<u8>>, &'a [&'a str]);
        let rows: [Row<'_>; 8] = [
            ("in order", vec![low.clone(), up.clone()], &[]),
            ("reordered", vec![up.clone(), low.clone()], &["chain.order"]),
            ("twice", vec![low.clone(), up.clone(), low.clone()], &["chain.duplicate"]),
            ("with the root", vec![low.clone(), up.clone(), root.clone()], &["chain.root-included"]),
            ("with the leaf", vec![leaf.clone(), low.clone(), up.clone()], &["chain.leaf-included"]),
            ("with a stranger", vec![low.clone(), stranger.der, up.clone()], &["chain.surplus"]),
            ("with junk", vec![b"junk".to_vec(), low.clone(), up.clone()], &["chain.malformed"]),
            ("with a namesake", vec![low.clone(), pki.root.below(INTERMEDIATE).der, up.clone()], &["chain.same-name"]),
        ];
        for (what, candidates, expected) in rows {
            let verdict = pki.judge(&leaf, &candidates);
            assert_eq!(ids(&verdict.findings), expected, "{what}");
            assert!(!verdict.refused(), "{what}");
            path_is(&verdict, &[low, up]);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let Deep { pki, lower, leaf } = deep();
        let verdict = pki.judge(&leaf, &[lower.der]);
        assert_eq!(ids(&verdict.findings), ["path.other-root"]);
        let found = &verdict.findings[0].found;
        assert!(
            found.starts_with("a path to CN=Page of Omens, signed by CN=Book of Omens: another root, or an authority below"),
            "{found}"
        );
        let verdict = pki.judge(&leaf, &[]);
        assert_eq!((ids(&verdict.findings), verdict.findings[0].found.as_str()), (vec!["path.missing-intermediate"], "no intermediates"));
        assert!(verdict.refused() && verdict.path.is_none());
    }

    #[test]
    fn another_root_of_the_same_name_is_refused_loudly() {
        let (ours, theirs) = (Pki::new(), Pki::new());
        let leaf = theirs.middle.sign(&kit::leaf(), &ours.key);
        let bare = ours.judge(&leaf, from_ref(&theirs.middle.der));
        assert_eq!(ids(&bare.findings), ["anchor.other-key"]);
        let with_root = ours.judge(&leaf, &[theirs.middle.der.clone(), theirs.root.der.clone()]);
        assert_eq!(ids(&with_root.findings), ["anchor.other-key"]);
        // Even beside a path that is good: somebody shows us a false root.
        let beside = ours.judge(&ours.leaf(), &[ours.middle.der.clone(), theirs.root.der.clone()]);
        assert_eq!(ids(&beside.findings), ["anchor.other-key"]);
        assert!(bare.refused() && with_root.refused() && beside.refused());
    }

    #[test]
    fn a_root_of_another_name_is_refused() {
        let pki = Pki::new();
        let other = Authority::root("Plun-Darr");
        let middle = other.below(INTERMEDIATE);
        let leaf = middle.sign(&kit::leaf(), &pki.key);
        let middle = middle.der;
        let verdict = pki.judge(&leaf, &[middle.clone(), other.der]);
        assert_eq!(ids(&verdict.findings), ["path.other-root"]);
        assert_eq!(verdict.findings[0].found, "a path to another root, CN=Plun-Darr");
        // As servers send it: without the root.
        let verdict = pki.judge(&leaf, &[middle]);
        assert_eq!(ids(&verdict.findings), ["path.other-root"]);
    }

    #[test]
    fn a_signature_that_is_not_its_issuers_is_refused() {
        let pki = Pki::new();
        let mut forged = pki.leaf();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        let verdict = pki.judge(&forged, from_ref(&pki.middle.der));
        assert_eq!(ids(&verdict.findings), ["path.signature"]);
        let imposter = pki.root.below(INTERMEDIATE);
        let verdict = pki.judge(&imposter.sign(&kit::leaf(), &pki.key), from_ref(&pki.middle.der));
        assert_eq!(ids(&verdict.findings), ["path.signature"]);
    }

    #[test]
    fn a_cross_signed_intermediate_is_no_obstacle() {
        let pki = Pki::new();
        let other = Authority::root("Plun-Darr");
        let cross = pki.middle.params.signed_by(&pki.middle.key, &other.issuer()).unwrap().der().to_vec();
        for candidates in [vec![cross.clone(), pki.middle.der.clone()], vec![pki.middle.der.clone(), cross.clone()]] {
            let verdict = pki.judge(&pki.leaf(), &candidates);
            assert_eq!(ids(&verdict.findings), ["chain.same-name"]);
            path_is(&verdict, &[&pki.middle.der]);
        }
        assert!(pki.judge(&pki.leaf(), &[cross, other.der]).refused());
    }

    /// An expired and an unfit certificate of the same key stand before the good one.
    #[test]
    fn a_better_path_is_looked_for_behind_a_bad_one() {
        let pki = Pki::new();
        let signed = |change: fn(&mut rcgen::CertificateParams)| {
            let mut params = kit::ca(INTERMEDIATE);
            change(&mut params);
            params.signed_by(&pki.middle.key, &pki.root.issuer()).unwrap().der().to_vec()
        };
        let expired = signed(|p| p.not_after = kit::time(now().plus(-DAY)));
        let unfit = signed(|p| p.key_usages = vec![Ku::CrlSign]);
        let verdict = pki.judge(&pki.leaf(), &[expired.clone(), unfit.clone(), pki.middle.der.clone()]);
        path_is(&verdict, &[&pki.middle.der]);
        assert_eq!(ids(&verdict.findings), ["chain.same-name", "chain.same-name"]);
        let alone = |der: Vec<u8>| pki.judge(&pki.leaf(), &[der]);
        assert_eq!(ids(&alone(unfit).findings), ["ca.no-cert-sign"]);
        assert_eq!(ids(&alone(expired).findings), ["path.ca-not-valid-now", "validity.outlives-issuer"]);
    }

    #[test]
    fn limits_of_an_authority_hold() {
        type Change = fn(&mut rcgen::CertificateParams);
        let within =
            |name: &str| NameConstraints { permitted_subtrees: vec![GeneralSubtree::DnsName(name.into())], excluded_subtrees: vec![] };
        let rows: [(&str, Change, &[&str]); 4] = [
            ("path length", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), &["path.too-long"]),
            ("no authority", |p| p.is_ca = IsCa::ExplicitNoCa, &["path.not-a-ca"]),
            ("clients only", |p| p.extended_key_usages = vec![Eku::ClientAuth], &["path.ca-eku"]),
            ("from tomorrow", |p| p.not_before = kit::time(now().plus(DAY)), &["path.ca-not-valid-now"]),
        ];
        for (what, change, expected) in rows {
            let pki = Pki::new();
            let mut params = kit::ca(INTERMEDIATE);
            change(&mut params);
            let upper = pki.root.below_as(params, kit::key());
            let lower = upper.below("Page of Omens");
            let verdict = pki.judge(&lower.sign(&kit::leaf(), &pki.key), &[lower.der, upper.der]);
            assert_eq!(ids(&verdict.findings), expected, "{what}: {:?}", verdict.findings);
            assert!(verdict.refused(), "{what}");
        }
        let pki = Pki::new();
        let mut params = kit::ca(INTERMEDIATE);
        params.name_constraints = Some(within("example.org"));
        let upper = pki.root.below_as(params, kit::key());
        let verdict = pki.judge(&upper.sign(&kit::leaf(), &pki.key), &[upper.der]);
        assert_eq!(ids(&verdict.findings), ["path.name-constraints"]);
    }

    /// [webpki](crate::judge#webpki): webpki alone takes a leaf without EKU for every purpose.
    #[test]
    fn extended_key_usage_is_judged_for_every_purpose() {
        let both: &[Eku] = &[Eku::ServerAuth, Eku::ClientAuth];
        type Row<'a> = (&'a str, &'a [Eku], [&'a [&'a str]; 3]);
        let rows: [Row<'_>; 5] = [
            ("both", both, [&["eku.extra"], &["eku.extra"], &[]]),
            ("none", &[], [&["eku.absent"], &["eku.absent"], &["eku.absent"]]),
            ("server", &[Eku::ServerAuth], [&[], &["eku.extra", "eku.missing"], &["eku.missing"]]),
            ("client", &[Eku::ClientAuth], [&["eku.extra", "eku.missing"], &[], &["eku.missing"]]),
            ("code", &[Eku::CodeSigning], [&["eku.extra", "eku.missing"], &["eku.extra", "eku.missing"], &["eku.extra", "eku.missing"]]),
        ];
        let pki = Pki::new();
        for (what, eku, expected) in rows {
            let mut params = kit::leaf();
            params.extended_key_usages = eku.to_vec();
            let leaf = pki.leaf_of(&params);
            for (purpose, expected) in [Purpose::Server, Purpose::Client, Purpose::Both].into_iter().zip(expected) {
                let verdict = pki.judge_by(&for_purpose(purpose), &leaf, from_ref(&pki.middle.der));
                assert_eq!(ids(&verdict.findings), expected, "{what} for {purpose:?}");
                assert_eq!(verdict.refused(), !expected.is_empty(), "{what} for {purpose:?}");
            }
        }
    }

    fn for_purpose(purpose: Purpose) -> Request {
        request_with(|profile| {
            profile.purpose = purpose;
            profile.eku.required.clear();
        })
    }

    /// Two certificates of one intermediate, one per purpose: no single chain serves both.
    #[test]
    fn one_path_must_serve_both_purposes() {
        let pki = Pki::new();
        let with_eku = |eku: &[Eku]| {
            let mut params = kit::ca(INTERMEDIATE);
            params.extended_key_usages = eku.to_vec();
            params.signed_by(&pki.middle.key, &pki.root.issuer()).unwrap().der().to_vec()
        };
        let (server, client) = (with_eku(&[Eku::ServerAuth]), with_eku(&[Eku::ClientAuth]));
        let mut params = kit::leaf();
        params.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
        let leaf = pki.leaf_of(&params);
        let request = for_purpose(Purpose::Both);
        assert_eq!(ids(&pki.judge_by(&request, &leaf, &[server.clone(), client.clone()]).findings), ["path.ca-eku"]);
        let verdict = pki.judge_by(&request, &leaf, &[server, client, pki.middle.der.clone()]);
        path_is(&verdict, &[&pki.middle.der]);
    }

    #[test]
    fn rsa_signs_as_well() {
        let rsa = || KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let (params, key) = (kit::ca(ROOT), rsa());
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let root = Authority { params, key, der };
        let middle = root.below_as(kit::ca(INTERMEDIATE), rsa());
        let pki = Pki { root, middle, key: kit::key() };
        let verdict = pki.judge(&pki.leaf(), from_ref(&pki.middle.der));
        assert_eq!((verdict.refused(), verdict.findings), (false, vec![]));
    }

    #[test]
    fn a_flood_of_certificates_is_refused_and_does_not_cost_time() {
        let pki = Pki::new();
        let flood = vec![pki.middle.der.clone(); 33];
        assert_eq!(ids(&pki.judge(&pki.leaf(), &flood).findings), ["chain.too-many"]);
    }
}
