//! Key algorithms and where a private key is kept. Key material itself is in `secret`.

use serde::{Deserialize, Serialize};

use super::layout;

/// The algorithms a certificate may ask for; OpenBao's `key_type`/`key_bits` in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256.
    #[serde(rename = "ec-p256")]
    EcP256,
    /// ECDSA on NIST P-384.
    #[serde(rename = "ec-p384")]
    EcP384,
    /// Ed25519 (RFC 8410).
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ML-DSA-44 (FIPS 204, RFC 9881).
    #[serde(rename = "ml-dsa-44")]
    MlDsa44,
    /// ML-DSA-65 (FIPS 204, RFC 9881).
    #[serde(rename = "ml-dsa-65")]
    MlDsa65,
    /// RSA, 2048-bit modulus.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072-bit modulus.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096-bit modulus.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl KeyAlgorithm {
    /// All of them, in the order of the settings' documentation.
    pub const ALL: [Self; 8] =
        [Self::EcP256, Self::EcP384, Self::Ed25519, Self::MlDsa44, Self::MlDsa65, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// What a TPM keeps and signs with in good time; RSA for one that has no elliptic curves.
    pub const RESIDENT: [Self; 2] = [Self::EcP256, Self::Rsa2048];

    /// The word in settings and profiles.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcP256 => "ec-p256",
            Self::EcP384 => "ec-p384",
            Self::Ed25519 => "ed25519",
            Self::MlDsa44 => "ml-dsa-44",
            Self::MlDsa65 => "ml-dsa-65",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// The algorithm of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == word)
    }

    /// Whether the key signs with RSA.
    #[must_use]
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// Whether the key signs with ML-DSA, which not every TLS library loads.
    #[must_use]
    pub const fn is_ml_dsa(self) -> bool {
        matches!(self, Self::MlDsa44 | Self::MlDsa65)
    }

    /// Whether the key signs with ECDSA.
    #[must_use]
    pub const fn is_ec(self) -> bool {
        matches!(self, Self::EcP256 | Self::EcP384)
    }
}

impl std::fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a private key rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// A PKCS#8 file with mode 0600 in the state directory.
    File,
    /// In the TPM that made it, which alone can use it; nothing exports it.
    Resident,
    /// A file that only this host's TPM opens; in clear only in the run directory, which lies in memory.
    Sealed,
}

/// What is true of all keys that are kept in one way.
struct Kind {
    word: &'static str,
    file: &'static str,
    rests_in_clear: bool,
    needs_tpm: bool,
    is_only_in_memory: bool,
}

impl Keep {
    /// All of them, in the order in which a generation is searched for its key.
    pub const ALL: [Self; 3] = [Self::Resident, Self::Sealed, Self::File];

    const fn kind(self) -> Kind {
        match self {
            Self::File => Kind { word: "file", file: layout::KEY, rests_in_clear: true, needs_tpm: false, is_only_in_memory: false },
            Self::Resident => {
                Kind { word: "resident", file: layout::RESIDENT_KEY, rests_in_clear: false, needs_tpm: true, is_only_in_memory: false }
            }
            Self::Sealed => {
                Kind { word: "sealed", file: layout::SEALED_KEY, rests_in_clear: false, needs_tpm: true, is_only_in_memory: true }
            }
        }
    }

    /// The word in the settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.kind().word
    }

    /// The file of a generation in the state directory that the key rests in.
    #[must_use]
    pub const fn file(self) -> &'static str {
        self.kind().file
    }

    /// Whether whoever reads that file has the key.
    #[must_use]
    pub const fn rests_in_clear(self) -> bool {
        self.kind().rests_in_clear
    }

    /// Whether a TPM has to be asked before a key can be used.
    #[must_use]
    pub const fn needs_tpm(self) -> bool {
        self.kind().needs_tpm
    }

    /// Whether consumers are given the key itself, and only in memory ([Sealing](crate::steps::swap#sealing)).
    #[must_use]
    pub const fn is_only_in_memory(self) -> bool {
        self.kind().is_only_in_memory
    }
}
