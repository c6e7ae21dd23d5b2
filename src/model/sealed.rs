//! The formats of sealed keys on disk ([Sealing](crate::steps::swap#sealing)), pinned by fixtures: each value has exactly one form in
//! bytes.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::anchor::hex;

    const KEY_FILE: &[u8] = include_bytes!("../../fixtures/sealed/key-05da99e4761663e4.json");
    const PIN: &[u8] = include_bytes!("../../fixtures/sealed/srk.json");
    const SEALED: &[u8] = include_bytes!("../../fixtures/sealed/key.sealed");

    /// The digest and the policy were computed by another program from the fixture alone.
    #[test]
    fn the_formats_on_disk_are_pinned() {
        let key = SealingKeyFile::parse(KEY_FILE).unwrap();
        assert_eq!(key.to_bytes(), KEY_FILE);
        assert_eq!(key.id.file(), "key-05da99e4761663e4.json");
        assert_eq!(hex(&key.digest()), "09d120e6c628d8abebe909f7ee6ba011d2626dc26404e5750919b4f5a3646245");
        assert_eq!(hex(&key.pcrs.policy()), "ea35d8c1e1082eba48c4fe1d71264782592d14f714cbca0ba80df7766f0bbd30");
        let pin = SrkPin::parse(PIN).unwrap();
        assert_eq!((pin.to_bytes().as_slice(), pin.name == key.srk), (PIN, true));
        let sealed = SealedKeyFile::parse(SEALED).unwrap();
        assert_eq!((sealed.to_bytes().as_slice(), sealed.srk == key.srk, sealed.seal == key.id), (SEALED, true, true));
        assert_eq!(sealed.info(), b"omens/seal/v1\0web\0\0\0\0\0\0\0\0\x03");
    }

    #[test]
    fn every_field_of_a_sealing_key_is_in_its_digest_but_the_object_that_holds_it() {
        let good = SealingKeyFile::parse(KEY_FILE).unwrap();
        let changes: [fn(&mut SealingKeyFile); 7] = [
            |key| key.v = 2,
            |key| key.id = SealId::parse("0000000000000000").unwrap(),
            |key| key.srk.0[5] ^= 1,
            |key| key.created = key.created.plus(1),
            |key| key.pcrs.bank.push('x'),
            |key| key.pcrs.list = crate::model::pcr::PcrList::new(&[4, 8]).unwrap(),
            |key| key.pcrs.values.swap(0, 1),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut key = good.clone();
            change(&mut key);
            assert_ne!(key.digest(), good.digest(), "change {number}");
        }
        let mut key = good.clone();
        key.public.0.clear();
        key.private.0.clear();
        assert_eq!(key.digest(), good.digest());
    }

    #[test]
    fn what_the_types_do_not_say_is_checked() {
        let sealed = |change: fn(&mut SealedKeyFile)| {
            let mut file = SealedKeyFile::parse(SEALED).unwrap();
            change(&mut file);
            SealedKeyFile::parse(&file.to_bytes()).unwrap_err().to_string()
        };
        assert!(sealed(|file| file.v = 2).contains("version"));
        assert!(sealed(|file| file.salt.0.truncate(31)).contains("salt"));
        assert!(sealed(|file| file.nonce.0.push(0)).contains("nonce"));
        assert!(sealed(|file| file.srk.0.clear()).contains("srk"));
        assert!(sealed(|file| file.name = "../web".to_owned()).contains("name"));
        assert!(sealed(|file| file.spki_sha256 = serde_json::from_str("\"E2\"").unwrap()).contains("spki_sha256"));
        let text = String::from_utf8(KEY_FILE.to_vec()).unwrap();
        let key = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            SealingKeyFile::parse(text.replace(from, to).as_bytes()).unwrap_err().to_string()
        };
        assert!(key("\"sha256\"", "\"sha1\"").contains("pcrs"));
        assert!(key("      7\n", "      3\n").contains("ascending"));
        assert!(key("05da99e4761663e4", "../../../etc/pass").contains("hexadecimal"));
        assert!(key("Z\"", "+00:00\"").contains("as omens writes it"));
    }

    #[test]
    fn only_its_own_files_are_sealing_keys() {
        assert_eq!(SealId::of_file("key-0123456789abcdef.json"), SealId::parse("0123456789abcdef"));
        for other in ["srk.json", "key-.json", "key-0123456789ABCDEF.json", ".key-0123456789abcdef.json.1", "key-0123456789abcdef.json~"] {
            assert_eq!(SealId::of_file(other), None, "{other}");
        }
    }
}
