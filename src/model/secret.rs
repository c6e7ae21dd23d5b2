//! Secrets as types: wiped when dropped, never cloned, compared, serialised or printed. `expose` is the one way to the bytes.

use std::fmt;

use zeroize::Zeroizing;

/// A private key as PKCS#8 DER (RFC 5958), with its public key beside it.
pub struct PlainKey {
    pkcs8: Zeroizing<Vec<u8>>,
    spki: Vec<u8>,
}

impl PlainKey {
    /// A key and the DER of its SubjectPublicKeyInfo; `judge::pair` proves that they belong together.
    #[must_use]
    pub fn new(pkcs8: Zeroizing<Vec<u8>>, spki: Vec<u8>) -> Self {
        Self { pkcs8, spki }
    }

    /// DER of the SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The PKCS#8 DER.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.pkcs8
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainKey").finish_non_exhaustive()
    }
}

/// What consumers are given of a private key.
pub enum Material {
    /// The key itself: PKCS#8 PEM (RFC 5958, RFC 7468 §10).
    Pem(Zeroizing<Vec<u8>>),
    /// Of a key that stays in its device: PEM by which a program uses it there. It is no secret; nothing, where no program could.
    Handle(Option<Vec<u8>>),
}

impl Material {
    /// The PEM that consumers find in `key.pem`, if there is any.
    pub(crate) fn pem(&self) -> Option<&[u8]> {
        match self {
            Self::Pem(pem) => Some(pem),
            Self::Handle(pem) => pem.as_deref(),
        }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Pem(_) => "Pem",
            Self::Handle(_) => "Handle",
        };
        f.debug_struct(name).finish_non_exhaustive()
    }
}

/// A sealing key of this host: what the TPM seals and every sealed private key is derived under.
pub struct SealingKey(Zeroizing<Vec<u8>>);

impl SealingKey {
    /// A key of these bytes; `None` where their number is wrong.
    #[must_use]
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (bytes.len() == super::sealed::KEY).then_some(Self(bytes))
    }

    /// The bytes.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").finish_non_exhaustive()
    }
}

/// A token, a `secret_id` or another value that authenticates.
pub struct Token(Zeroizing<String>);

impl Token {
    /// A secret of this text.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// Where a secret of the settings lies; its value is read only at use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// `credential:NAME`, a file of systemd's `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `file:PATH`.
    File(std::path::PathBuf),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}
