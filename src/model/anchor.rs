//! The pinned root and fingerprints.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Lower-case hexadecimal SHA-256, of the DER of a certificate unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        Self(hex(digest.as_ref()))
    }

    /// Reads 64 hexadecimal digits; colons between bytes and upper case are accepted, as `openssl x509 -fingerprint` prints them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
        (plain.len() == 64 && plain.bytes().all(|b| b.is_ascii_hexdigit())).then_some(Self(plain))
    }

    /// Whether it is the one of these bytes.
    #[must_use]
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let digit = |value: u8| char::from_digit(u32::from(value), 16);
        let digits = digest.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]);
        digits.eq(self.0.chars().map(Some))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0x0f));
    }
    text
}

/// The trust anchor (RFC 5280 §6.1.1 d): the root that every chain must end at, known by the SHA-256 of its DER, never by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The certificate's DER.
    pub der: Vec<u8>,
    /// SHA-256 of `der`.
    pub sha256: Fingerprint,
}

impl Anchor {
    /// An anchor of these DER bytes.
    #[must_use]
    pub fn new(der: Vec<u8>) -> Self {
        let sha256 = Fingerprint::of(&der);
        Self { der, sha256 }
    }
}
