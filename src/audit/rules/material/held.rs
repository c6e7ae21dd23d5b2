//! A certificate that lies in a file, with what it says.

use crate::judge::cert::Facts;

/// A certificate with its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cert {
    /// The DER.
    pub(super) der: Vec<u8>,
    /// What it says.
    pub(super) facts: Facts,
}

impl Cert {
    /// Whether it is a certificate authority.
    pub(super) fn is_ca(&self) -> bool {
        self.facts.extensions.basic.is_some_and(|basic| basic.ca)
    }

    /// Whether it looks like a root: an authority that names itself and no other key as its issuer. The signature is judged elsewhere.
    pub(super) fn is_root(&self) -> bool {
        let extensions = &self.facts.extensions;
        let own = extensions.subject_key.as_ref().map(|key| &key.key_id);
        let named = extensions.authority_key.as_ref().and_then(|key| key.key_id.as_ref());
        self.facts.self_issued() && (self.is_ca() || self.facts.version == 1) && (named.is_none() || own.is_none() || named == own)
    }

    /// Subject and fingerprint, as they are shown.
    pub(super) fn words(&self) -> String {
        format!("{} (sha256 {})", self.facts.subject, self.facts.sha256)
    }
}
