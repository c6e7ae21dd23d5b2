//! What a person or the settings gave beside the targets: whom to trust, what to ask of every certificate, and files at unusual places.

use std::path::PathBuf;

use super::findings::NewFinding;
use super::unread;
use crate::judge::assess::Requirements;
use crate::judge::cert::Facts;
use crate::judge::crl;
use crate::judge::lint::{self, Lint};
use crate::model::anchor::Fingerprint;
use crate::model::audit::{Location, Target};
use crate::model::finding::Finding;

/// A configuration file that the settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// [`super::service::Service::name`] of whose it is.
    pub service: &'static str,
    /// Where it lies.
    pub path: PathBuf,
}

/// What was given.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// DER of trusted roots.
    pub anchors: Vec<Vec<u8>>,
    /// DER of certificates that may lie on a path.
    pub intermediates: Vec<Vec<u8>>,
    /// DER of revocation lists.
    pub crls: Vec<Vec<u8>>,
    /// What of intermediates and lists cannot be used, and where it lies.
    pub broken: Vec<Broken>,
    /// What of the roots cannot be read, as it is said.
    pub untrusted: Vec<NewFinding>,
    /// Public keys that a certificate must be for one of, as `rules::material::public_keys` gives them.
    pub keys: Vec<Vec<u8>>,
    /// Files that are read besides those at the usual places.
    pub files: Vec<NamedFile>,
    /// What is asked of every chain.
    pub asked: Requirements,
    /// Whether a person asked for a verdict on a chain, and not for a look at files alone.
    pub verdict_is_asked: bool,
}

/// What a block of a file that was given is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// A certificate.
    Certificate,
    /// A revocation list.
    List,
}

impl Meant {
    /// The label of its PEM blocks.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::List => "X509 CRL",
        }
    }
}

/// A block that is not what it is meant to be. It is kept where it is: the judge refuses what depends on it, and this says where it lies.
#[derive(Clone, Debug)]
pub struct Broken {
    lint: &'static Lint,
    found: String,
    place: Location,
    input: Fingerprint,
}

impl Broken {
    /// What is wrong with these bytes, if anything.
    #[must_use]
    pub fn new(meant: Meant, der: &[u8], place: Location) -> Option<Self> {
        let (lint, found) = match meant {
            Meant::Certificate => (&lint::CHAIN_MALFORMED, Facts::parse(der).err()?.to_string()),
            Meant::List => crl::fault(der)?,
        };
        Some(Self { lint, found, place, input: Fingerprint::of(der) })
    }

    /// Of a root that was given: one that cannot be read is not trusted, and no path misses it by name.
    #[must_use]
    pub fn untrusted(self) -> NewFinding {
        let target = Target::new("file", self.place.path.clone());
        NewFinding::at(&unread::MALFORMED, target, self.place).expected("a certificate to trust").found(self.found)
    }
}

impl Given {
    /// Adds to a finding of the judge the files and lines that it speaks of, where it is about something that was given.
    #[must_use]
    pub fn placed(&self, finding: &Finding, draft: NewFinding) -> NewFinding {
        let mut places =
            self.broken.iter().filter(|broken| broken.lint.id == finding.id && finding.input.as_ref() == Some(&broken.input)).peekable();
        // A list has a remedy of its own: fetch it again. A certificate's speaks of what an issuer sends.
        let draft = match places.peek().filter(|broken| broken.lint.id == lint::CHAIN_MALFORMED.id) {
            Some(first) => {
                draft.remedy(format!("write the certificate at {} anew from its source, or take it out of the file", first.place))
            }
            None => draft,
        };
        places.fold(draft, |draft, broken| draft.file(broken.place.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::assess::{Question, assess};
    use crate::judge::kit;
    use crate::model::audit::Object;

    /// Two blocks that are wrong in the same words.
    #[test]
    fn a_place_is_named_for_the_bytes_that_lie_there() {
        let pki = kit::Pki::new();
        let (given, sent) = (vec![0x30, 3, 2, 1, 1], vec![0x30, 3, 2, 1, 2]);
        let broken = Broken::new(Meant::Certificate, &given, Location::line("/beside.pem", 7)).unwrap();
        let all = Given { broken: vec![broken], ..Given::default() };
        for (candidate, places) in [(given, vec![Location::line("/beside.pem", 7)]), (sent, Vec::new())] {
            let (leaf, candidates, asked) = (pki.leaf(), [candidate], Requirements::default());
            let question =
                Question { leaf: &leaf, candidates: &candidates, anchors: &[], crls: &[], spki: None, asked: &asked, at: kit::now() };
            let assessment = assess(&question);
            let finding = assessment.findings.iter().find(|finding| finding.id == lint::CHAIN_MALFORMED.id).unwrap();
            let draft = NewFinding::new(&lint::CHAIN_MALFORMED, Target::new("file", "/x"), Object::File("/x".to_owned()));
            let mut findings = crate::audit::facts::findings::HostFindings::new(kit::now(), "h");
            findings.add(all.placed(finding, draft));
            assert_eq!(findings.list()[0].files, places);
        }
    }
}
