//! The format of a key that never leaves its TPM, as it rests in a generation (`key.resident`): nothing in it is a secret, and nothing in it is
//! of use without that TPM.

use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::canonical::{Bytes, Format};
use super::clock::Time;
use super::pcr::PcrValues;

const VERSION: u32 = 1;
/// The longest Name of a TPM object: algorithm and SHA-512.
const NAME_MAX: usize = 66;

/// `key.resident`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidentKeyFile {
    v: u32,
    /// Name of the storage root key that it was made under.
    pub srk: Bytes,
    /// When it was made.
    pub created: Time,
    /// What it is bound to beside the TPM.
    pub pcrs: PcrValues,
    /// TPMT_PUBLIC.
    pub public: Bytes,
    /// TPM2B_PRIVATE, without its length.
    pub private: Bytes,
    /// SHA-256 of the DER of its SubjectPublicKeyInfo.
    pub spki_sha256: Fingerprint,
}

impl ResidentKeyFile {
    /// A key of these parts.
    #[must_use]
    pub fn new(srk: Vec<u8>, created: Time, pcrs: PcrValues, public: Vec<u8>, private: Vec<u8>, spki: &[u8]) -> Self {
        let spki_sha256 = Fingerprint::of(spki);
        Self { v: VERSION, srk: Bytes(srk), created, pcrs, public: Bytes(public), private: Bytes(private), spki_sha256 }
    }
}

impl Format for ResidentKeyFile {
    fn check(&self) -> Result<(), &'static str> {
        if self.v != VERSION {
            return Err("v: expected version 1");
        }
        if !(1..=NAME_MAX).contains(&self.srk.0.len()) {
            return Err("srk: expected the Name of a storage root key");
        }
        if !self.pcrs.is_whole() {
            return Err("pcrs: expected one value of bank sha256 for each PCR");
        }
        if self.public.0.is_empty() || self.private.0.is_empty() { Err("the key is empty") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pcr::PcrList;

    #[test]
    fn a_key_file_has_one_form_and_names_what_it_is_bound_to() {
        let pcrs = PcrValues::new(PcrList::new(&[7]).unwrap(), vec![vec![1; 32]]).unwrap();
        let file = ResidentKeyFile::new(vec![1; 34], Time::from_unix(0), pcrs, vec![2], vec![3], b"spki");
        assert_eq!(ResidentKeyFile::parse(&file.written().unwrap()).unwrap(), file);
        let text = String::from_utf8(file.written().unwrap()).unwrap();
        for (from, to) in
            [("\"v\": 1", "\"v\": 2"), ("\"v\": 1", "\"v\": 1,\n  \"w\": 1"), ("sha256\",\n    \"list\"", "sha1\",\n    \"list\"")]
        {
            assert!(text.contains(from) && ResidentKeyFile::parse(text.replace(from, to).as_bytes()).is_err(), "{from}");
        }
    }
}
