//! `seen.json` of the state directory: what a run found intact, and what the kernel noted of the files then, for the next run to know what did not
//! change. A cache: what is in it counts only where all of it holds, and nothing is lost with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::canonical::Fields;
use super::clock::Time;
use super::key::Keep;
use super::name::{CertName, Generation};

/// The version of the file, and of how certificates are judged where that changes without the program's version.
pub const VERSION: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    /// [`VERSION`].
    pub v: u32,
    /// The intermediates, each text once.
    pub chains: Vec<String>,
    /// By the certificate's name.
    pub certificates: BTreeMap<String, Intact>,
}

/// A certificate that was found intact, published and equal.
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
    /// What was noted when it was staged.
    pub staged: Noted,
    /// The place of its intermediates in [`SeenFile::chains`].
    pub chain: usize,
    /// Over all of this, over what was expected of consumers' files, and over what the kernel noted of each file and directory.
    pub sha256: Fingerprint,
}

/// What is asked of a generation's `meta.json` while nothing is done to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// When it was staged.
    pub at: Time,
    /// The root that it was checked against.
    pub anchor_sha256: Fingerprint,
}

impl Intact {
    /// What [`Intact::sha256`] is over: everything that is said here, and these parts beside it.
    #[must_use]
    pub fn digested(&self, name: &CertName, parts: &[&[u8]]) -> Vec<u8> {
        let Self { at, live, complete, largest, keep, staged, chain: _, sha256: _ } = self;
        let mut fields = Fields::new(b"omens/seen/v1");
        fields.add(name.as_str().as_bytes());
        fields.add(keep.as_str().as_bytes());
        fields.add(&at.to_be_bytes());
        fields.add(&staged.at.unix().to_be_bytes());
        fields.add(staged.anchor_sha256.as_str().as_bytes());
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
        let sha256 = Fingerprint::of(b"");
        let staged = Noted { at: Time::from_unix(5), anchor_sha256: Fingerprint::of(b"root") };
        let (live, complete) = (Generation(2), vec![Generation(1), Generation(2)]);
        let said = Intact { at: 7, live, complete, largest: 2, keep: Keep::File, staged: staged.clone(), chain: 0, sha256 };
        let name = |text: &str| CertName::parse(text).unwrap();
        let digested = |said: &Intact| said.digested(&name("web"), &[b"one", b"two"]);
        let others = [
            Intact { at: 8, ..said.clone() },
            Intact { live: Generation(1), ..said.clone() },
            Intact { complete: vec![Generation(2)], ..said.clone() },
            Intact { largest: 3, ..said.clone() },
            Intact { keep: Keep::Sealed, ..said.clone() },
            Intact { staged: Noted { at: Time::from_unix(6), ..staged.clone() }, ..said.clone() },
            Intact { staged: Noted { anchor_sha256: Fingerprint::of(b"other"), ..staged }, ..said.clone() },
        ];
        for other in &others {
            assert_ne!(digested(&said), digested(other), "{other:?}");
        }
        assert_ne!(digested(&said), said.digested(&name("api"), &[b"one", b"two"]));
        assert_ne!(digested(&said), said.digested(&name("web"), &[b"onet", b"wo"]));
        // Which place its intermediates have is nothing that is said of it: what they are is one of the parts.
        assert_eq!(digested(&said), digested(&Intact { chain: 1, ..said }));
    }
}
