//! Why there is no path: what is missing or wrong, by name, where webpki only says that it found none. It must never accept.

use webpki::Error;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::super::cert::Facts;
use super::super::chain;
use super::super::lint::{self, Findings, Lint};
use super::super::parsed::Parsed;
use super::{Search, Way};
use crate::model::anchor::hex;

/// As many intermediates does webpki follow (`MAX_SUB_CA_COUNT`).
const RUSTLS_DEPTH: usize = 6;

impl<'a> Search<'a> {
    /// Says why there is no path, after webpki gave this error: names by name what is missing, and repeats nothing that is said of the leaf already.
    pub fn explain(&self, findings: &mut Findings<'_>, error: &Error) {
        match self.walk() {
            Walk::Broken(lint, expected, found) => {
                if !findings.has(lint) {
                    findings.add(lint, expected, found);
                }
            }
            Walk::Complete(way) => chain::check(findings, &self.leaf.facts, &way.facts(), &way.anchor.facts, self.now),
        }
        if let (Error::MaximumPathDepthExceeded, Walk::Complete(way)) = (error, self.walk()) {
            let found = format!("{} intermediates", way.authorities.len());
            findings.add(&lint::PATH_DEPTH_RUSTLS, format!("at most {} intermediates", RUSTLS_DEPTH), found);
        }
        if let Some(lint) = self.reason(findings, error) {
            findings.add(lint, self.anchors.goal(), words(error));
        }
    }

    /// How far the names and signatures lead, for a picture of a path that is broken: the leaf's authorities, leaf side first.
    #[must_use]
    pub fn reached(&self) -> Vec<&'a Parsed<'a>> {
        let mut reached: Vec<&'a Parsed<'a>> = Vec::new();
        let mut here = self.leaf;
        while let Some(next) = self.candidates.iter().copied().find(|c| {
            c.facts.subject.der == here.facts.issuer.der && !reached.iter().any(|known| known.der == c.der) && signed_by(here, &c.facts)
        }) {
            reached.push(next);
            here = next;
        }
        reached
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
                (&lint::PATH_EKU, said(&[&lint::EKU_MISSING, &lint::EKU_ABSENT, &lint::audit::EKU_EMPTY]))
            }
            Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | Error::SignatureAlgorithmMismatch => (
                &lint::PATH_SIGNATURE,
                said(&[
                    &lint::PATH_SIGNATURE,
                    &lint::SIGNATURE_WEAK,
                    &lint::SIGNATURE_DIFFERS,
                    &lint::ANCHOR_OTHER_KEY,
                    &lint::CA_WEAK_KEY,
                ]),
            ),
            Error::UnsupportedCriticalExtension => {
                (&lint::PATH_NONE, said(&[&lint::EXT_CRITICAL, &lint::AKI_CRITICAL, &lint::SKI_CRITICAL]))
            }
            _ => (&lint::PATH_NONE, findings.blocks()),
        };
        (!explained).then_some(lint)
    }

    /// Goes from issuer to issuer by name and signature, to find the place where the way ends.
    fn walk(&self) -> Walk<'a> {
        let mut authorities: Vec<&'a Parsed<'a>> = Vec::new();
        let mut here = self.leaf;
        loop {
            let issuer = &here.facts.issuer;
            let mut roots = self.anchors.of_name(&issuer.der).peekable();
            let other = roots.peek().copied();
            if let Some(anchor) = roots.find(|anchor| signed_by(here, &anchor.facts)) {
                return Walk::Complete(Way { authorities, anchor });
            }
            let named: Vec<&'a Parsed<'a>> =
                self.candidates.iter().copied().filter(|c| c.facts.subject.der == issuer.der && c.der != here.der).collect();
            match (named.iter().copied().find(|candidate| signed_by(here, &candidate.facts)), other) {
                (Some(next), _) if authorities.iter().any(|known| known.der == next.der) => {
                    return Walk::Broken(&lint::PATH_NONE, self.anchors.goal(), format!("a circle of issuers at {issuer}"));
                }
                (Some(next), _) => {
                    authorities.push(next);
                    here = next;
                }
                (None, Some(anchor)) => return other_root(here, &anchor.facts),
                (None, None) if named.is_empty() => return self.dead_end(here, !authorities.is_empty()),
                (None, None) => {
                    let found = format!("{issuer} whose key did not sign {}", here.facts.subject);
                    return Walk::Broken(&lint::PATH_SIGNATURE, format!("a certificate of {issuer} that signed it"), found);
                }
            }
        }
    }

    /// Nobody here has the issuer's name. Above the leaf's own authority that is a root as a rule, and another one than ours.
    fn dead_end(&self, here: &Parsed<'_>, is_above: bool) -> Walk<'a> {
        if here.facts.self_issued() {
            return Walk::Broken(&lint::PATH_OTHER_ROOT, self.anchors.goal(), format!("a path to another root, {}", here.facts.subject));
        }
        if is_above {
            let (subject, issuer) = (&here.facts.subject, &here.facts.issuer);
            let found =
                format!("a path to {subject}, signed by {issuer}: another root, or an authority below the trusted one that is not there");
            return Walk::Broken(&lint::PATH_OTHER_ROOT, self.anchors.goal(), found);
        }
        let key = here.facts.extensions.authority_key.as_ref().and_then(|key| key.key_id.as_deref());
        let missing = format!("a certificate of {}{}", here.facts.issuer, key_words(key));
        let there: Vec<String> = self.candidates.iter().map(|candidate| candidate.facts.subject.to_string()).collect();
        let found = if there.is_empty() { "no intermediates".to_owned() } else { there.join("; ") };
        Walk::Broken(&lint::PATH_MISSING, missing, found)
    }
}

enum Walk<'a> {
    Complete(Way<'a>),
    Broken(&'static Lint, String, String),
}

fn other_root<'a>(here: &Parsed<'_>, anchor: &Facts) -> Walk<'a> {
    let own = anchor.extensions.subject_key.as_ref().map(|key| key.key_id.as_slice());
    let named = here.facts.extensions.authority_key.as_ref().and_then(|key| key.key_id.as_deref());
    let found = format!("{} signed by a {} with another key{}", here.facts.subject, here.facts.issuer, key_words(named));
    let lint = if named.is_some() && named == own { &lint::PATH_SIGNATURE } else { &lint::ANCHOR_OTHER_KEY };
    Walk::Broken(lint, format!("the trusted root (sha256 {}{})", anchor.sha256, key_words(own)), found)
}

fn key_words(key_id: Option<&[u8]>) -> String {
    key_id.map_or_else(String::new, |id| format!(", key id {}", hex(id)))
}

/// webpki's name of an error without the octets that some carry.
pub(in super::super) fn words(error: &Error) -> String {
    let text = format!("{error:?}");
    format!("webpki says {}", text.split(['(', ' ', '{']).next().unwrap_or_default())
}

/// Whether this key signed it; used to explain, never to accept.
pub(in super::super) fn signed_by(certificate: &Parsed<'_>, issuer: &Facts) -> bool {
    let (Ok((_, certificate)), Ok((_, key))) = (X509Certificate::from_der(&certificate.der), SubjectPublicKeyInfo::from_der(&issuer.spki))
    else {
        return false;
    };
    // What cannot be verified, because of the algorithm or a key too short for it, proves nothing against the key.
    issuer.key.weak || matches!(certificate.verify_signature(Some(&key)), Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm))
}
