//! The path from a leaf to the one pinned anchor: webpki finds it, and where there is none, this says why.
//! It must never accept by itself: what webpki leaves out is judged in `chain`.

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::cert::{Facts, Malformed};
use super::chain;
use super::lint::{self, Findings, Lint};
use crate::model::anchor::hex;
use crate::model::clock::Time;
use crate::model::profile::Purpose;

/// A certificate's bytes with what they say.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The DER.
    pub der: &'a [u8],
    /// Read from it.
    pub facts: Facts,
}

impl<'a> Parsed<'a> {
    /// Reads the bytes.
    ///
    /// # Errors
    /// What keeps them from being a certificate.
    pub fn new(der: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { der, facts: Facts::parse(der)? })
    }
}

/// The question: which way leads from the leaf to the anchor?
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Where the path begins.
    pub leaf: &'a Parsed<'a>,
    /// What may lie on it, in any order.
    pub candidates: &'a [Parsed<'a>],
    /// Where it must end.
    pub anchor: &'a Parsed<'a>,
    /// What the leaf is to be used for.
    pub purpose: Purpose,
    /// When.
    pub now: Time,
}

impl<'a> Search<'a> {
    /// The intermediates of a path on which `good` agrees, leaf side first; other paths are tried as long as it does not.
    ///
    /// One path serves both purposes where both are asked: a peer gets the same chain in either role.
    ///
    /// # Errors
    /// webpki's most telling reason, when there is none.
    pub fn find(&self, good: &dyn Fn(&[&Facts]) -> bool) -> Result<Vec<&'a Parsed<'a>>, Error> {
        let leaf_der = CertificateDer::from(self.leaf.der);
        let leaf = EndEntityCert::try_from(&leaf_der)?;
        let anchor_der = CertificateDer::from(self.anchor.der);
        let anchors = [webpki::anchor_from_trusted_cert(&anchor_der)?];
        let candidates: Vec<CertificateDer<'_>> = self.candidates.iter().map(|c| CertificateDer::from(c.der)).collect();
        let time = unix_time(self.now);
        let verify = |usage: KeyUsage, among: &[CertificateDer<'_>]| {
            leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, among, time, usage, None, None).map(drop)
        };
        let accept = |path: &VerifiedPath<'_>| {
            let own = self.on_path(path);
            if !good(&own.iter().map(|parsed| &parsed.facts).collect::<Vec<_>>()) {
                return Err(Error::CertDistrusted);
            }
            if self.purpose == Purpose::Both {
                let among: Vec<CertificateDer<'_>> = own.iter().map(|parsed| CertificateDer::from(parsed.der)).collect();
                verify(KeyUsage::client_auth(), &among)?;
            }
            Ok(())
        };
        let first = if self.purpose.server() { KeyUsage::server_auth() } else { KeyUsage::client_auth() };
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        let path = leaf.verify_for_usage(algorithms, &anchors, &candidates, time, first, None, Some(&accept))?;
        Ok(self.on_path(&path))
    }

    fn on_path(&self, path: &VerifiedPath<'_>) -> Vec<&'a Parsed<'a>> {
        let of = |der: &[u8]| self.candidates.iter().find(|candidate| candidate.der == der);
        path.intermediate_certificates().filter_map(|certificate| of(certificate.der().as_ref())).collect()
    }

    /// Says why there is no path, after webpki gave this error: names by name what is missing, and repeats nothing that is said of the leaf already.
    pub fn explain(&self, findings: &mut Findings<'_>, error: &Error) {
        match self.walk() {
            Walk::Broken(lint, expected, found) => {
                if !findings.has(lint) {
                    findings.add(lint, expected, found);
                }
            }
            Walk::Complete(authorities) => chain::check(findings, &self.leaf.facts, &authorities, &self.anchor.facts, self.now),
        }
        if let Some(lint) = self.reason(findings, error) {
            findings.add(lint, format!("a path to the pinned root {}", self.anchor.facts.subject), format!("{error:?}"));
        }
    }

    /// The lint of webpki's error, unless something found before explains it.
    fn reason(&self, findings: &Findings<'_>, error: &Error) -> Option<&'static Lint> {
        let said = |lints: &[&Lint]| lints.iter().any(|lint| findings.has(lint));
        let (lint, explained) = match error {
            Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity => (
                &lint::PATH_CA_EXPIRED,
                said(&[&lint::EXPIRED, &lint::NOT_YET_VALID, &lint::INVERTED, &lint::PATH_CA_EXPIRED, &lint::ANCHOR_EXPIRED]),
            ),
            Error::CaUsedAsEndEntity => (&lint::PATH_NONE, said(&[&lint::CA_LEAF])),
            Error::EndEntityUsedAsCa => (&lint::PATH_NOT_CA, said(&[&lint::PATH_NOT_CA])),
            Error::NameConstraintViolation => (&lint::PATH_NAMES, false),
            Error::PathLenConstraintViolated => (&lint::PATH_LENGTH, said(&[&lint::PATH_LENGTH])),
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                (&lint::PATH_EKU, said(&[&lint::EKU_MISSING, &lint::EKU_ABSENT]))
            }
            Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | Error::SignatureAlgorithmMismatch => (
                &lint::PATH_SIGNATURE,
                said(&[&lint::PATH_SIGNATURE, &lint::SIGNATURE_WEAK, &lint::SIGNATURE_DIFFERS, &lint::ANCHOR_OTHER_KEY]),
            ),
            Error::UnsupportedCriticalExtension => (&lint::PATH_NONE, said(&[&lint::EXT_CRITICAL])),
            _ => (&lint::PATH_NONE, findings.blocks()),
        };
        (!explained).then_some(lint)
    }

    /// Goes from issuer to issuer by name and signature, to find the place where the way ends.
    fn walk(&self) -> Walk<'_> {
        let mut authorities: Vec<&Facts> = Vec::new();
        let mut here = self.leaf;
        loop {
            let issuer = &here.facts.issuer;
            if issuer.der == self.anchor.facts.subject.der {
                return if signed_by(here, &self.anchor.facts) { Walk::Complete(authorities) } else { self.other_root(here) };
            }
            let named: Vec<&Parsed<'_>> =
                self.candidates.iter().filter(|c| c.facts.subject.der == issuer.der && c.der != here.der).collect();
            if named.is_empty() {
                return self.dead_end(here);
            }
            let Some(next) = named.iter().find(|candidate| signed_by(here, &candidate.facts)) else {
                let found = format!("{} whose key did not sign {}", issuer, here.facts.subject);
                return Walk::Broken(&lint::PATH_SIGNATURE, format!("a certificate of {issuer} that signed it"), found);
            };
            if authorities.iter().any(|known| known.sha256 == next.facts.sha256) {
                return Walk::Broken(&lint::PATH_NONE, self.goal(), format!("a circle of issuers at {issuer}"));
            }
            authorities.push(&next.facts);
            here = next;
        }
    }

    fn goal(&self) -> String {
        format!("a path to the pinned root {} (sha256 {})", self.anchor.facts.subject, self.anchor.facts.sha256)
    }

    fn other_root(&self, here: &Parsed<'_>) -> Walk<'_> {
        let own = self.anchor.facts.extensions.subject_key.as_ref().map(|key| key.key_id.as_slice());
        let named = here.facts.extensions.authority_key.as_ref().and_then(|key| key.key_id.as_deref());
        let found = format!("{} signed by a {} with another key{}", here.facts.subject, here.facts.issuer, key_words(named));
        let lint = if named.is_some() && named == own { &lint::PATH_SIGNATURE } else { &lint::ANCHOR_OTHER_KEY };
        Walk::Broken(lint, format!("the pinned root (sha256 {}{})", self.anchor.facts.sha256, key_words(own)), found)
    }

    fn dead_end(&self, here: &Parsed<'_>) -> Walk<'_> {
        if here.facts.self_issued() {
            return Walk::Broken(&lint::PATH_NONE, self.goal(), format!("a path to another root, {}", here.facts.subject));
        }
        let key = here.facts.extensions.authority_key.as_ref().and_then(|key| key.key_id.as_deref());
        let missing = format!("a certificate of {}{}", here.facts.issuer, key_words(key));
        let there: Vec<String> = self.candidates.iter().map(|candidate| candidate.facts.subject.to_string()).collect();
        let found = if there.is_empty() { "no intermediates".to_owned() } else { there.join("; ") };
        Walk::Broken(&lint::PATH_MISSING, missing, found)
    }
}

enum Walk<'a> {
    Complete(Vec<&'a Facts>),
    Broken(&'static Lint, String, String),
}

fn key_words(key_id: Option<&[u8]>) -> String {
    key_id.map_or_else(String::new, |id| format!(", key id {}", hex(id)))
}

/// Whether this key signed it; used to explain, never to accept.
fn signed_by(certificate: &Parsed<'_>, issuer: &Facts) -> bool {
    let (Ok((_, certificate)), Ok((_, key))) = (X509Certificate::from_der(certificate.der), SubjectPublicKeyInfo::from_der(&issuer.spki))
    else {
        return false;
    };
    certificate.verify_signature(Some(&key)).is_ok()
}

/// webpki's time; what lies before 1970 is 1970, before which no certificate of ours is valid.
pub(super) fn unix_time(time: Time) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(time.unix()).unwrap_or(0)))
}
