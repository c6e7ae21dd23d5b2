//! Which kinds of public keys there are, and what they are called. It must never be told from what they are called of which kind they are.

use std::fmt;

use crate::model::key::KeyAlgorithm;

/// The kind of a public key, by its identifiers and sizes alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// One that a certificate of ours may have.
    Own(KeyAlgorithm),
    /// ECDSA on NIST P-521.
    P521,
    /// On another curve: its object identifier.
    OtherCurve(String),
    /// On a curve that is written out and has no name.
    UnnamedCurve,
    /// Ed448 (RFC 8410).
    Ed448,
    /// ML-DSA-87 (FIPS 204, RFC 9881).
    MlDsa87,
    /// RSA of another size or form than ours.
    Rsa {
        /// The length of the modulus; `None` where the key cannot be read.
        bits: Option<usize>,
        /// What stands beside it.
        form: RsaForm,
    },
    /// DSA.
    Dsa,
    /// Any other: its object identifier.
    Other(String),
}

/// What the algorithm of an RSA key says of it (RFC 4055 §1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaForm {
    /// rsaEncryption with NULL as parameters, which rustls and Go compare.
    Plain,
    /// rsaEncryption with other parameters, or none.
    NoNull,
    /// The same key, restricted to one way to sign.
    Pss,
}

impl KeyKind {
    /// The algorithm, where it is one that a certificate of ours may have.
    #[must_use]
    pub const fn algorithm(&self) -> Option<KeyAlgorithm> {
        match self {
            Self::Own(algorithm) => Some(*algorithm),
            _ => None,
        }
    }

    /// Sound, and of a kind that rustls and Go have no handshake for: RSA for PSS alone or without NULL as parameters, Ed448.
    #[must_use]
    pub const fn is_rare(&self) -> bool {
        matches!(self, Self::Rsa { bits: Some(_), form: RsaForm::Pss } | Self::Rsa { form: RsaForm::NoNull, .. } | Self::Ed448)
    }

    /// RSA of any size and form.
    #[must_use]
    pub const fn is_rsa(&self) -> bool {
        match self {
            Self::Own(algorithm) => algorithm.is_rsa(),
            Self::Rsa { .. } => true,
            _ => false,
        }
    }

    /// ECDSA on any curve.
    #[must_use]
    pub const fn is_ec(&self) -> bool {
        match self {
            Self::Own(algorithm) => algorithm.is_ec(),
            _ => matches!(self, Self::P521) || self.is_of_other_curve(),
        }
    }

    /// ECDSA on a curve that is none of NIST's P-256, P-384 and P-521.
    #[must_use]
    pub const fn is_of_other_curve(&self) -> bool {
        matches!(self, Self::OtherCurve(_) | Self::UnnamedCurve)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(algorithm) => f.write_str(algorithm.as_str()),
            Self::P521 => f.write_str("ec-p521"),
            Self::OtherCurve(oid) => write!(f, "ec on curve {oid}"),
            Self::UnnamedCurve => f.write_str("ec with explicit parameters instead of a named curve"),
            Self::Ed448 => f.write_str("ed448"),
            Self::MlDsa87 => f.write_str("ml-dsa-87"),
            Self::Rsa { bits, form } => {
                match (bits, form) {
                    (None, _) => f.write_str("rsa, unreadable"),
                    (Some(bits), RsaForm::Pss) => write!(f, "rsa-pss-{bits}"),
                    (Some(bits), RsaForm::Plain | RsaForm::NoNull) => write!(f, "rsa-{bits}"),
                }?;
                if *form == RsaForm::NoNull { f.write_str(" without NULL as parameters") } else { Ok(()) }
            }
            Self::Dsa => f.write_str("dsa"),
            Self::Other(oid) => f.write_str(oid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_words_and_its_family() {
        let rsa = |bits, form| KeyKind::Rsa { bits, form };
        for (kind, text, family) in [
            (KeyKind::Own(KeyAlgorithm::EcP256), "ec-p256", "ec"),
            (KeyKind::Own(KeyAlgorithm::Rsa2048), "rsa-2048", "rsa"),
            (KeyKind::Own(KeyAlgorithm::Ed25519), "ed25519", ""),
            (KeyKind::P521, "ec-p521", "ec"),
            (KeyKind::OtherCurve("1.3.132.0.33".to_owned()), "ec on curve 1.3.132.0.33", "ec, of another curve"),
            (KeyKind::UnnamedCurve, "ec with explicit parameters instead of a named curve", "ec, of another curve"),
            (KeyKind::Ed448, "ed448", "rare"),
            (KeyKind::MlDsa87, "ml-dsa-87", ""),
            (rsa(Some(1024), RsaForm::Plain), "rsa-1024", "rsa"),
            (rsa(Some(2048), RsaForm::Pss), "rsa-pss-2048", "rare rsa"),
            (rsa(Some(2048), RsaForm::NoNull), "rsa-2048 without NULL as parameters", "rare rsa"),
            (rsa(None, RsaForm::Plain), "rsa, unreadable", "rsa"),
            (KeyKind::Dsa, "dsa", ""),
            (KeyKind::Other("1.2.3".to_owned()), "1.2.3", ""),
        ] {
            let said = (kind.to_string(), kind.is_rare(), kind.is_rsa(), kind.is_ec(), kind.is_of_other_curve());
            let has = |word| family.contains(word);
            assert_eq!(said, (text.to_owned(), has("rare"), has("rsa"), has("ec"), has("another")), "{kind:?}");
        }
    }
}
