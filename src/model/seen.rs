//! `seen.json` of the state directory: what a run found intact, and what the kernel noted of the files then, for the next run to know what did not
//! change. A cache: what is in it counts only where all of it holds, and nothing is lost with it.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN};
use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::canonical::Fields;
use super::clock::Time;
use super::key::Keep;
use super::name::{CertName, Generation};

/// The version of the file, and of how certificates are judged where that changes without the program's version.
pub const VERSION: u32 = 2;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    /// [`VERSION`].
    pub v: u32,
    /// Who issued, each once.
    pub issuers: Vec<Issuer>,
    /// By the certificate's name.
    pub certificates: BTreeMap<String, Intact>,
}

/// What certificates of one issuer share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// The intermediates' PEM.
    pub chain: String,
    /// The root that they were checked against.
    pub anchor_sha256: Fingerprint,
}

impl Issuer {
    /// Both in one.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut fields = Fields::new(b"omens/seen/issuer/v2");
        fields.add(self.anchor_sha256.as_str().as_bytes());
        fields.add(self.chain.as_bytes());
        Digest::of(&fields.0)
    }
}

/// A certificate that was found intact, published and equal. There may be thousands of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intact {
    /// When, by the kernel's clock, in seconds since 1970.
    pub at: i64,
    /// The committed generation.
    pub live: Generation,
    /// The complete ones.
    pub complete: Vec<Generation>,
    /// The largest number that was ever seen.
    pub largest: u64,
    /// How its key rests.
    pub keep: Keep,
    /// When it was staged.
    pub staged: Time,
    /// The place of its issuer in [`SeenFile::issuers`].
    pub issuer: usize,
    /// Over all of this, over what was expected of consumers' files, and over what the kernel noted of each file and directory.
    pub sha256: Digest,
}

/// A SHA-256 that takes no more room than it has; in base64 on disk.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; SHA256_OUTPUT_LEN]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = Self([0; SHA256_OUTPUT_LEN]);
        digest.0.copy_from_slice(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref());
        digest
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        Base64::encode_string(&digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        match Base64::decode(&text, &mut bytes) {
            Ok(found) if found.len() == SHA256_OUTPUT_LEN => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err("expected 32 bytes in base64"),
        }
    }
}

impl Intact {
    /// What [`Intact::sha256`] is over: everything that is said here, and these parts beside it.
    #[must_use]
    pub fn digested(&self, name: &CertName, parts: &[&[u8]]) -> Vec<u8> {
        let Self { at, live, complete, largest, keep, staged, issuer: _, sha256: _ } = self;
        let mut fields = Fields::new(b"omens/seen/v2");
        fields.add(name.as_str().as_bytes());
        fields.add(keep.as_str().as_bytes());
        fields.add(&at.to_be_bytes());
        fields.add(&staged.unix().to_be_bytes());
        fields.add(&largest.to_be_bytes());
        fields.add(&live.0.to_be_bytes());
        fields.add(&complete.iter().flat_map(|generation| generation.0.to_be_bytes()).collect::<Vec<u8>>());
        parts.iter().for_each(|part| fields.add(part));
        fields.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_said_is_digested() {
        let (sha256, staged) = (Digest::of(b""), Time::from_unix(5));
        let (live, complete) = (Generation(2), vec![Generation(1), Generation(2)]);
        let said = Intact { at: 7, live, complete, largest: 2, keep: Keep::File, staged, issuer: 0, sha256 };
        let name = |text: &str| CertName::parse(text).unwrap();
        let digested = |said: &Intact| said.digested(&name("web"), &[b"one", b"two"]);
        let others = [
            Intact { at: 8, ..said.clone() },
            Intact { live: Generation(1), ..said.clone() },
            Intact { complete: vec![Generation(2)], ..said.clone() },
            Intact { largest: 3, ..said.clone() },
            Intact { keep: Keep::Sealed, ..said.clone() },
            Intact { staged: Time::from_unix(6), ..said.clone() },
        ];
        for other in &others {
            assert_ne!(digested(&said), digested(other), "{other:?}");
        }
        assert_ne!(digested(&said), said.digested(&name("api"), &[b"one", b"two"]));
        assert_ne!(digested(&said), said.digested(&name("web"), &[b"onet", b"wo"]));
        // Which place its issuer has is nothing that is said of it: who that is, is one of the parts.
        assert_eq!(digested(&said), digested(&Intact { issuer: 1, ..said }));
        let issuer = |chain: &str, root: &[u8]| Issuer { chain: chain.to_owned(), anchor_sha256: Fingerprint::of(root) }.digest();
        assert!(issuer("chain", b"root") != issuer("chain", b"other") && issuer("chain", b"root") != issuer("", b"root"));
    }

    #[test]
    fn a_digest_has_one_form() {
        let digest = Digest::of(b"abc");
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(text, "\"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"");
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), digest);
        for wrong in ["\"\"", "\"ungW\"", "\"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=\"", "7"] {
            assert!(serde_json::from_str::<Digest>(wrong).is_err(), "{wrong}");
        }
    }
}
