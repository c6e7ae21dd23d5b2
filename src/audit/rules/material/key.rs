//! A private key that lies in a file: its public half in the form in which certificates hold it, or why there is none. It must never keep,
//! show or use the private half.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair, RsaKeyPair,
};
use p256::pkcs8::PrivateKeyInfoRef;
use p256::pkcs8::der::{Decode as _, Encode as _};
use rsa::pkcs1::RsaPrivateKeyRef;
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// id-ecPublicKey, rsaEncryption, id-Ed25519 and the three of ML-DSA (RFC 9881): the kinds that are opened here.
const KNOWN: [&str; 6] = [
    "1.2.840.10045.2.1",
    "1.2.840.113549.1.1.1",
    "1.3.101.112",
    "2.16.840.1.101.3.4.3.17",
    "2.16.840.1.101.3.4.3.18",
    "2.16.840.1.101.3.4.3.19",
];
/// id-RSASSA-PSS and id-Ed448.
const RSA_PSS: &str = "1.2.840.113549.1.1.10";
const ED448: &str = "1.3.101.113";
/// Lengths of an RSA modulus that the crypto library judges.
const JUDGED: [usize; 3] = [256, 384, 512];

/// A private key as far as it may be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The content of `subjectPublicKey` that a certificate for it has.
    Public(Vec<u8>),
    /// Opens with a pass phrase only.
    Encrypted,
    /// Opens in this host's TPM only.
    Sealed,
    /// No private key of TLS at all, such as one of SSH, in words.
    Foreign(String),
    /// In the form that services read (PKCS#8), of a kind that is not opened here, in words.
    Unknown(String),
    /// Its parts do not belong together, or it does not parse.
    Damaged,
}

impl Key {
    /// Opens the DER of a block with this label.
    pub(super) fn open(label: &str, der: &[u8]) -> Self {
        let public = match label {
            "RSA PRIVATE KEY" => of_rsa(der),
            "EC PRIVATE KEY" => of_ec(der),
            "PRIVATE KEY" => return of_pkcs8(der),
            other => return Self::Foreign(other.to_owned()),
        };
        public.map_or(Self::Damaged, Self::Public)
    }

    /// Whether who reads the file has the key.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Public(_) | Self::Foreign(_) | Self::Unknown(_) | Self::Damaged)
    }

    /// The public half.
    pub(super) fn public(&self) -> Option<&[u8]> {
        match self {
            Self::Public(bits) => Some(bits),
            _ => None,
        }
    }
}

/// The content of `subjectPublicKey` of a certificate's SubjectPublicKeyInfo: the same for the same key, however its algorithm is written.
pub(super) fn bits(spki: &[u8]) -> Option<Vec<u8>> {
    SubjectPublicKeyInfo::from_der(spki).ok().map(|(_, info)| info.subject_public_key.data.into_owned())
}

/// Whether it is the text of our own sealed key file ([Sealing](crate::steps::swap#sealing)).
pub(super) fn is_sealed_json(text: &str) -> bool {
    text.trim_start().starts_with('{') && ["\"seal\"", "\"ciphertext\"", "\"spki_sha256\""].iter().all(|member| text.contains(member))
}

fn of_pkcs8(der: &[u8]) -> Key {
    let Ok(info) = PrivateKeyInfoRef::from_der(der) else { return Key::Damaged };
    let kind = info.algorithm.oid.to_string();
    // RFC 4055 §1.2: the same key, for one way to sign only.
    if kind == RSA_PSS {
        return of_rsa(info.private_key.as_bytes()).map_or(Key::Damaged, Key::Public);
    }
    if !KNOWN.contains(&kind.as_str()) {
        return Key::Unknown(format!("a key of kind {}", if kind == ED448 { "ed448" } else { kind.as_str() }));
    }
    let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(|pair| pair.public_key().as_ref().to_vec());
    of_ec(der).or_else(|| of_rsa(info.private_key.as_bytes())).or_else(ed25519).or_else(|| of_ml_dsa(der)).map_or(Key::Damaged, Key::Public)
}

/// ML-DSA (RFC 9881).
fn of_ml_dsa(der: &[u8]) -> Option<Vec<u8>> {
    [&ML_DSA_44_SIGNING, &ML_DSA_65_SIGNING, &ML_DSA_87_SIGNING]
        .into_iter()
        .find_map(|kind| PqdsaKeyPair::from_pkcs8(kind, der).ok())
        .map(|pair| pair.public_key().as_ref().to_vec())
}

/// SEC 1 (RFC 5915) or PKCS#8.
fn of_ec(der: &[u8]) -> Option<Vec<u8>> {
    [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING]
        .into_iter()
        .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())
        .map(|pair| pair.public_key().as_ref().to_vec())
}

/// PKCS#1 (RFC 8017 A.1.2). Lengths that the crypto library does not take are believed: they are weak keys, not damaged ones.
fn of_rsa(der: &[u8]) -> Option<Vec<u8>> {
    let key = RsaPrivateKeyRef::from_der(der).ok()?;
    if JUDGED.contains(&key.modulus.as_bytes().len()) && RsaKeyPair::from_der(der).is_err() {
        return None;
    }
    key.public_key().to_der().ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PublicKeyData as _};

    use super::super::blocks::Content;
    use super::*;

    /// Made by OpenSSL 3.0: the same key in every encoding that services read.
    const ENCODINGS: &str = include_str!("../../../../fixtures/keys/encodings.pem");

    #[test]
    fn every_encoding_of_a_key_gives_the_same_public_half() {
        let content = Content::read(ENCODINGS.as_bytes());
        let keys: Vec<&Key> = content.keys().map(|(key, _)| key).collect();
        let kinds = keys.chunks(2).map(|pair| pair[0].public().unwrap().len()).collect::<Vec<_>>();
        assert!(keys.chunks(2).all(|pair| pair[0] == pair[1] && pair[0].public().is_some()), "{keys:?}");
        // Uncompressed points of P-256, P-384 and P-521, then RSA of 1024 and 2048 bits.
        assert_eq!(kinds, [65, 97, 133, 140, 270]);
    }

    #[test]
    fn a_key_agrees_with_the_certificate_that_was_made_for_it() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            assert_eq!(Key::open("PRIVATE KEY", pair.serialized_der()).public(), bits(&pair.subject_public_key_info()).as_deref());
        }
    }

    #[test]
    fn what_cannot_be_opened_says_why() {
        let rows: [(&str, Key); 5] = [
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", Key::Encrypted),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                Key::Encrypted,
            ),
            ("-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n", Key::Sealed),
            ("{\"v\":1,\"seal\":\"a\",\"spki_sha256\":\"b\",\"ciphertext\":\"c\"}", Key::Sealed),
            ("-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n", Key::Damaged),
        ];
        for (text, expected) in rows {
            assert_eq!(Content::read(text.as_bytes()).keys().next().map(|(key, _)| key.clone()), Some(expected), "{text}");
        }
        let other = Content::read(b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n");
        assert_eq!(other.keys().next().unwrap().0, &Key::Foreign("OPENSSH PRIVATE KEY".to_owned()));
    }
}
