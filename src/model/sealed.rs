//! The formats of sealed keys on disk (README, "Sealing"), pinned by fixtures: each value has exactly one form in bytes.
//! It must never hold a key that is not sealed, and knows neither cipher nor TPM.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::canonical::{Bytes, Fields, Format};
use super::clock::Time;
use super::name::{CertName, Generation};
use super::pcr::PcrValues;

/// Version of all three formats.
const VERSION: u32 = 1;
/// Length of a sealing key.
pub const KEY: usize = 32;
/// What a TPM seals: the sealing key, then [`SealingKeyFile::digest`].
pub const PAYLOAD: usize = KEY + 32;
/// Length of the salt of one private key.
pub const SALT: usize = 32;
/// Length of a nonce of AES-GCM (NIST SP 800-38D §8.2.1).
pub const NONCE: usize = 12;
/// The longest Name of a TPM object: algorithm and SHA-512.
const NAME_MAX: usize = 66;

/// Names a sealing key: sixteen hexadecimal digits, also in a file's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealId(String);

impl SealId {
    /// Checks the text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
        (text.len() == 16 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// The sealing key that a file of this name keeps.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix("key-")?.strip_suffix(".json")?)
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> String {
        format!("key-{}.json", self.0)
    }
}

impl TryFrom<String> for SealId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected 16 hexadecimal digits")
    }
}

impl From<SealId> for String {
    fn from(id: SealId) -> Self {
        id.0
    }
}

impl std::fmt::Display for SealId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// `seal/key-ID.json`: a sealing key, sealed to the TPM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingKeyFile {
    v: u32,
    /// Its name.
    pub id: SealId,
    /// Name of the storage root key it is sealed under.
    pub srk: Bytes,
    /// When it was made.
    pub created: Time,
    /// What it is bound to.
    pub pcrs: PcrValues,
    /// TPMT_PUBLIC of the sealed object.
    pub public: Bytes,
    /// TPM2B_PRIVATE of the sealed object, without its length.
    pub private: Bytes,
}

impl SealingKeyFile {
    /// A sealing key that is not sealed yet: `public` and `private` are empty.
    #[must_use]
    pub fn unsealed(id: SealId, srk: Vec<u8>, created: Time, pcrs: PcrValues) -> Self {
        Self { v: VERSION, id, srk: Bytes(srk), created, pcrs, public: Bytes::default(), private: Bytes::default() }
    }

    /// SHA-256 over every field but the sealed object itself, which holds it: sealed beside the key, so that no field can be exchanged.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        let mut fields = Fields::new(b"omens/seal/key/v1");
        fields.add(&self.v.to_be_bytes());
        fields.add(self.id.0.as_bytes());
        fields.add(&self.srk.0);
        fields.add(&self.created.unix().to_be_bytes());
        fields.add(self.pcrs.bank.as_bytes());
        fields.add(&self.pcrs.list.numbers().iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>());
        fields.add(&self.pcrs.values.iter().flat_map(|value| value.0.iter().copied()).collect::<Vec<_>>());
        digest(&SHA256, &fields.0).as_ref().to_vec()
    }
}

impl Format for SealingKeyFile {
    fn check(&self) -> Result<(), &'static str> {
        check_version(self.v)?;
        check_srk(&self.srk)?;
        if !self.pcrs.is_whole() {
            return Err("pcrs: expected one value of bank sha256 for each PCR");
        }
        if self.public.0.is_empty() || self.private.0.is_empty() {
            return Err("the sealed object is empty");
        }
        Ok(())
    }
}

/// `seal/srk.json`: the storage root key that this host's keys are sealed under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SrkPin {
    v: u32,
    /// Its Name (TPM 2.0 Part 1, §16).
    pub name: Bytes,
    /// When it was pinned.
    pub pinned: Time,
}

impl SrkPin {
    /// A pin.
    #[must_use]
    pub const fn new(name: Vec<u8>, pinned: Time) -> Self {
        Self { v: VERSION, name: Bytes(name), pinned }
    }
}

impl Format for SrkPin {
    fn check(&self) -> Result<(), &'static str> {
        check_version(self.v).and_then(|()| check_srk(&self.name))
    }
}

/// `key.sealed`: the private key of one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedKeyFile {
    v: u32,
    /// The sealing key.
    pub seal: SealId,
    /// Name of the storage root key.
    pub srk: Bytes,
    /// The certificate.
    pub name: String,
    /// Its generation.
    pub generation: Generation,
    /// SHA-256 of the key's SubjectPublicKeyInfo.
    pub spki_sha256: Fingerprint,
    /// Salt of the derived key.
    pub salt: Bytes,
    /// Nonce of the cipher.
    pub nonce: Bytes,
    /// PKCS#8 DER under AES-256-GCM, then the tag.
    pub ciphertext: Bytes,
}

impl SealedKeyFile {
    /// A header to which the ciphertext is still to come.
    #[must_use]
    pub fn header(of: (&CertName, Generation), seal: SealId, srk: Vec<u8>, spki: &[u8], random: ([u8; SALT], [u8; NONCE])) -> Self {
        let (name, generation) = of;
        let (salt, nonce) = random;
        Self {
            v: VERSION,
            seal,
            srk: Bytes(srk),
            name: name.to_string(),
            generation,
            spki_sha256: Fingerprint::of(spki),
            salt: Bytes(salt.to_vec()),
            nonce: Bytes(nonce.to_vec()),
            ciphertext: Bytes::default(),
        }
    }

    /// `info` of the key derivation (RFC 5869 §2.3): the key of one generation opens nothing else.
    #[must_use]
    pub fn info(&self) -> Vec<u8> {
        let mut info = b"omens/seal/v1\0".to_vec();
        info.extend_from_slice(self.name.as_bytes());
        info.push(0);
        info.extend_from_slice(&self.generation.0.to_be_bytes());
        info
    }

    /// What the cipher authenticates beside the ciphertext: every field of the header with its length.
    #[must_use]
    pub fn aad(&self) -> Vec<u8> {
        let mut fields = Fields::default();
        fields.add(&self.v.to_be_bytes());
        fields.add(self.seal.0.as_bytes());
        fields.add(&self.srk.0);
        fields.add(self.name.as_bytes());
        fields.add(&self.generation.0.to_be_bytes());
        fields.add(self.spki_sha256.as_str().as_bytes());
        fields.add(&self.salt.0);
        fields.0
    }
}

impl Format for SealedKeyFile {
    fn check(&self) -> Result<(), &'static str> {
        check_version(self.v)?;
        check_srk(&self.srk)?;
        CertName::parse(&self.name).map_err(|_| "name: expected the name of a certificate")?;
        let fingerprint = Fingerprint::parse(self.spki_sha256.as_str());
        match () {
            () if fingerprint.as_ref() != Some(&self.spki_sha256) => Err("spki_sha256: expected 64 hexadecimal digits"),
            () if self.salt.0.len() != SALT => Err("salt: expected 32 bytes"),
            () if self.nonce.0.len() != NONCE => Err("nonce: expected 12 bytes"),
            () => Ok(()),
        }
    }
}

const fn check_version(v: u32) -> Result<(), &'static str> {
    if v == VERSION { Ok(()) } else { Err("v: expected version 1, the only one that this build knows") }
}

fn check_srk(name: &Bytes) -> Result<(), &'static str> {
    if matches!(name.0.len(), 1..=NAME_MAX) { Ok(()) } else { Err("srk: expected the Name of a TPM object") }
}
