//! Keys: the public half of a private key, computed from the private half, and what kind of key a certificate holds.
//! It must never sign, and what it reads of a private key is wiped.

mod kind;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ML_DSA_44,
    ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm, RsaKeyPair,
    VerificationAlgorithm,
};
use p256::pkcs8::der::{AnyRef, Decode as _, asn1::ObjectIdentifier};
use p256::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, PrivateKeyInfoRef};
use x509_parser::asn1_rs::{BitString, FromDer as _, Tag, oid};
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

pub use kind::{KeyKind, RsaForm};

use super::oid::dotted;
use crate::model::key::KeyAlgorithm;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ML_44: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17");
const ML_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// The smallest public exponent that is taken (FIPS 186-5 §A.1.1).
const MIN_EXPONENT: u64 = 65_537;
/// The shortest RSA modulus of an authority, in bits.
const MIN_RSA_BITS: usize = 2_048;

/// A public key as far as its kind goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The algorithm, where it is one a certificate of ours may have.
    pub algorithm: Option<KeyAlgorithm>,
    /// Of which kind it is.
    pub kind: KeyKind,
    /// The same in words: `ec-p256`, `rsa-1024`, `dsa` …
    pub text: String,
    /// Too weak to sign certificates with, or of a kind that nobody should trust.
    pub weak: bool,
}

impl PublicKey {
    fn new(kind: KeyKind, weak: bool) -> Self {
        Self { algorithm: kind.algorithm(), text: kind.to_string(), kind, weak }
    }
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Not a PKCS#8 private key.
    #[error("not a PKCS#8 private key")]
    NotPkcs8,
    /// Not the DER of a SubjectPublicKeyInfo.
    #[error("not the DER of a public key")]
    NotSpki,
    /// A kind of key that is not used here.
    #[error("a key of another kind than P-256, P-384, Ed25519, ML-DSA-44, ML-DSA-65 or RSA with 2048, 3072 or 4096 bits: {0}")]
    Kind(String),
    /// The parts of the private key do not belong together.
    #[error("a damaged private key: its parts do not belong together")]
    Damaged,
    /// The public key is none in fact.
    #[error("{0}")]
    Unsound(&'static str),
}

/// DER of the SubjectPublicKeyInfo of a PKCS#8 private key, computed from the private part: a public key that a damaged or forged file
/// carries beside it is compared, never believed.
///
/// # Errors
/// What is wrong with the key; never any part of it.
pub fn spki_of_pkcs8(pkcs8: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(|_| KeyFault::NotPkcs8)?;
    let curve = info.algorithm.parameters.and_then(|any: AnyRef<'_>| any.decode_as::<ObjectIdentifier>().ok());
    let spki = match (info.algorithm.oid, curve) {
        (EC, Some(P256)) => {
            let key = p256::SecretKey::from_pkcs8_der(pkcs8).map_err(|_| KeyFault::Damaged)?;
            key.public_key().to_public_key_der().map_err(|_| KeyFault::Damaged)?.into_vec()
        }
        (EC, Some(P384)) => {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8).map_err(|_| KeyFault::Damaged)?;
            let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyFault::Damaged)?;
            der.as_ref().to_vec()
        }
        (ED, _) => {
            let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| KeyFault::Damaged)?;
            let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyFault::Damaged)?;
            der.as_ref().to_vec()
        }
        (ML_44, _) => ml_dsa(&ML_DSA_44_SIGNING, pkcs8)?,
        (ML_65, _) => ml_dsa(&ML_DSA_65_SIGNING, pkcs8)?,
        (RSA, _) => {
            let key = rsa::PrivateKey::from_pkcs8_der(pkcs8).map_err(|_| KeyFault::Damaged)?;
            // `rsa` computes exponents and coefficient anew; TLS servers use the ones in the file, so these must be right as well.
            RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| KeyFault::Damaged)?;
            key.to_public_key().to_public_key_der().map_err(|_| KeyFault::Damaged)?.into_vec()
        }
        (other, _) => return Err(KeyFault::Kind(other.to_string())),
    };
    sound(&spki)?;
    Ok(spki)
}

fn ml_dsa(algorithm: &'static PqdsaSigningAlgorithm, pkcs8: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let key = PqdsaKeyPair::from_pkcs8(algorithm, pkcs8).map_err(|_| KeyFault::Damaged)?;
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyFault::Damaged)?;
    Ok(der.as_ref().to_vec())
}

/// The algorithm of a SubjectPublicKeyInfo.
///
/// # Errors
/// Not a public key, or of a kind that is not used here.
pub fn algorithm_of_spki(spki: &[u8]) -> Result<KeyAlgorithm, KeyFault> {
    let key = public_key(&parse(spki)?);
    key.algorithm.ok_or(KeyFault::Kind(key.text))
}

/// The subjectPublicKey of a SubjectPublicKeyInfo (RFC 5280 §4.1), without its algorithm.
///
/// # Errors
/// Not a public key.
pub fn subject_public_key(spki: &[u8]) -> Result<Vec<u8>, KeyFault> {
    Ok(parse(spki)?.subject_public_key.data.into_owned())
}

/// Whether it is a public key in fact: the point is on its curve, modulus and exponent are odd, the exponent is no smaller than 65537.
///
/// # Errors
/// What it lacks.
pub fn sound(spki: &[u8]) -> Result<(), KeyFault> {
    match algorithm_of_spki(spki)? {
        KeyAlgorithm::EcP256 => p256::PublicKey::from_public_key_der(spki).map(drop).map_err(|_| KeyFault::Unsound(OFF_CURVE)),
        KeyAlgorithm::EcP384 => loads(&ECDSA_P384_SHA384_ASN1, spki, OFF_CURVE),
        KeyAlgorithm::Ed25519 => loads(&ED25519, spki, OFF_CURVE),
        KeyAlgorithm::MlDsa44 => loads(&ML_DSA_44, spki, BAD_ML_DSA),
        KeyAlgorithm::MlDsa65 => loads(&ML_DSA_65, spki, BAD_ML_DSA),
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            rsa::PublicKey::from_public_key_der(spki).map_err(|_| KeyFault::Unsound(BAD_RSA))?;
            let exponent = rsa_parts(&parse(spki)?.subject_public_key).and_then(|(_, exponent)| exponent);
            let good = exponent.is_some_and(|e| e >= MIN_EXPONENT);
            if good { Ok(()) } else { Err(KeyFault::Unsound(BAD_EXPONENT)) }
        }
    }
}

/// Whether the crypto library takes it as a key of this algorithm.
fn loads(algorithm: &'static dyn VerificationAlgorithm, spki: &[u8], lacks: &'static str) -> Result<(), KeyFault> {
    let key = parse(spki)?.subject_public_key.data.into_owned();
    ParsedPublicKey::new(algorithm, key).map(drop).map_err(|_| KeyFault::Unsound(lacks))
}

const BAD_ML_DSA: &str = "the ML-DSA public key has another length than its kind";
const OFF_CURVE: &str = "the point is not on its curve";
const BAD_RSA: &str = "the RSA modulus or exponent is not one a key can have";
const BAD_EXPONENT: &str = "the RSA exponent is below 65537 or beyond 64 bits";

fn parse(spki: &[u8]) -> Result<SubjectPublicKeyInfo<'_>, KeyFault> {
    match SubjectPublicKeyInfo::from_der(spki) {
        Ok(([], parsed)) => Ok(parsed),
        _ => Err(KeyFault::NotSpki),
    }
}

/// The kind of a key, by its identifiers and sizes alone.
pub(super) fn public_key(spki: &SubjectPublicKeyInfo<'_>) -> PublicKey {
    let id = &spki.algorithm.algorithm;
    if *id == oid!(1.2.840.113549.1.1.1) {
        let plain = spki.algorithm.parameters.as_ref().is_some_and(|any| any.tag() == Tag::Null);
        return rsa_key(&spki.subject_public_key, if plain { RsaForm::Plain } else { RsaForm::NoNull });
    }
    if *id == oid!(1.2.840.113549.1.1.10) {
        return rsa_key(&spki.subject_public_key, RsaForm::Pss);
    }
    let named = spki.algorithm.parameters.as_ref().filter(|any| any.tag() == Tag::Oid);
    let curve = named.and_then(|any| any.as_oid().ok()).map(|oid| dotted(&oid));
    let uncompressed = spki.subject_public_key.data.first() == Some(&4);
    let own = |algorithm| PublicKey::new(KeyKind::Own(algorithm), false);
    match (dotted(id).as_str(), curve.as_deref()) {
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) if uncompressed => own(KeyAlgorithm::EcP256),
        ("1.2.840.10045.2.1", Some("1.3.132.0.34")) if uncompressed => own(KeyAlgorithm::EcP384),
        ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => PublicKey::new(KeyKind::P521, false),
        ("1.2.840.10045.2.1", None) => PublicKey::new(KeyKind::UnnamedCurve, true),
        ("1.2.840.10045.2.1", Some(curve)) => PublicKey::new(KeyKind::OtherCurve(curve.to_owned()), true),
        ("1.3.101.113", _) => PublicKey::new(KeyKind::Ed448, false),
        ("1.3.101.112", _) => own(KeyAlgorithm::Ed25519),
        ("2.16.840.1.101.3.4.3.17", _) => own(KeyAlgorithm::MlDsa44),
        ("2.16.840.1.101.3.4.3.18", _) => own(KeyAlgorithm::MlDsa65),
        ("2.16.840.1.101.3.4.3.19", _) => PublicKey::new(KeyKind::MlDsa87, false),
        ("1.2.840.10040.4.1", _) => PublicKey::new(KeyKind::Dsa, true),
        (other, _) => PublicKey::new(KeyKind::Other(other.to_owned()), true),
    }
}

fn rsa_key(key: &BitString<'_>, form: RsaForm) -> PublicKey {
    let Some((bits, exponent)) = rsa_parts(key) else { return PublicKey::new(KeyKind::Rsa { bits: None, form }, true) };
    let kind = match (form, bits) {
        (RsaForm::Plain, 2048) => KeyKind::Own(KeyAlgorithm::Rsa2048),
        (RsaForm::Plain, 3072) => KeyKind::Own(KeyAlgorithm::Rsa3072),
        (RsaForm::Plain, 4096) => KeyKind::Own(KeyAlgorithm::Rsa4096),
        _ => KeyKind::Rsa { bits: Some(bits), form },
    };
    // An authority may keep the exponent 3 of its day; 1 and even ones are no keys.
    let exponent_is_bad = exponent.is_some_and(|e| e < 3 || e % 2 == 0);
    PublicKey::new(kind, bits < MIN_RSA_BITS || bits % 8 != 0 || exponent_is_bad)
}

/// Modulus length in bits, and the exponent where it fits.
fn rsa_parts(key: &BitString<'_>) -> Option<(usize, Option<u64>)> {
    let (rest, rsa) = RSAPublicKey::from_der(&key.data).ok()?;
    if !rest.is_empty() || rsa.modulus.first()? & 0x80 != 0 {
        return None;
    }
    let digits = rsa.modulus.iter().skip_while(|octet| **octet == 0);
    let first = *digits.clone().next()?;
    let bits = digits.count().checked_mul(8)?.checked_sub(usize::try_from(first.leading_zeros()).ok()?)?;
    Some((bits, rsa.try_exponent().ok()))
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PublicKeyData as _, RsaKeySize};

    use super::super::kit::{content, elements, rsa_spki, tlv};
    use super::*;

    fn keys() -> Vec<(KeyAlgorithm, KeyPair)> {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
        vec![
            (KeyAlgorithm::EcP256, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()),
            (KeyAlgorithm::EcP384, KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()),
            (KeyAlgorithm::Ed25519, KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()),
            (KeyAlgorithm::MlDsa44, KeyPair::generate_for(&rcgen::PKCS_ML_DSA_44).unwrap()),
            (KeyAlgorithm::MlDsa65, KeyPair::generate_for(&rcgen::PKCS_ML_DSA_65).unwrap()),
            (KeyAlgorithm::Rsa2048, rsa(RsaKeySize::_2048)),
            (KeyAlgorithm::Rsa3072, rsa(RsaKeySize::_3072)),
        ]
    }

    #[test]
    fn the_public_half_is_computed_and_agrees_with_the_maker_of_the_key() {
        for (algorithm, key) in keys() {
            let spki = spki_of_pkcs8(key.serialized_der()).unwrap();
            assert_eq!(spki, key.subject_public_key_info(), "{algorithm}");
            assert_eq!(algorithm_of_spki(&spki), Ok(algorithm));
            assert_eq!(sound(&spki), Ok(()), "{algorithm}");
        }
    }

    /// The last octets of a PKCS#8 EC key are its public key.
    #[test]
    fn a_public_key_beside_the_private_one_is_not_believed() {
        // The kinds that carry parts which can disagree: of Ed25519 and ML-DSA there is a seed alone.
        for (algorithm, key) in keys().into_iter().filter(|(algorithm, _)| algorithm.is_ec() || algorithm.is_rsa()) {
            // Of an RSA key the octets are part of the coefficient or, at 100, of the modulus.
            for from_end in [1, key.serialized_der().len() - 100] {
                let mut pkcs8 = key.serialize_der();
                let at = pkcs8.len() - from_end;
                pkcs8[at] ^= 4;
                assert_eq!(spki_of_pkcs8(&pkcs8), Err(KeyFault::Damaged), "{algorithm} {at}");
            }
        }
        let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut mixed = one.serialize_der();
        let (at, point) = (mixed.len() - 65, other.serialize_der());
        mixed[at..].copy_from_slice(&point[point.len() - 65..]);
        assert_eq!(spki_of_pkcs8(&mixed), Err(KeyFault::Damaged));
    }

    #[test]
    fn what_is_no_private_key_of_ours_is_named_without_showing_it() {
        let large = KeyPair::generate_for(&rcgen::PKCS_ML_DSA_87).unwrap();
        assert_eq!(spki_of_pkcs8(large.serialized_der()), Err(KeyFault::Kind("2.16.840.1.101.3.4.3.19".to_owned())));
        let good = KeyPair::generate().unwrap().serialize_der();
        for bad in [&[][..], b"-----BEGIN PRIVATE KEY-----", &good[..good.len() - 1], &[good.as_slice(), &[0]].concat()] {
            assert_eq!(spki_of_pkcs8(bad), Err(KeyFault::NotPkcs8));
        }
    }

    #[test]
    fn kinds_and_sizes_are_told_apart() {
        for (bits, algorithm) in
            [(2048, Some(KeyAlgorithm::Rsa2048)), (3072, Some(KeyAlgorithm::Rsa3072)), (4096, Some(KeyAlgorithm::Rsa4096))]
        {
            assert_eq!(algorithm_of_spki(&rsa_spki(bits, 65_537)).ok(), algorithm, "{bits}");
        }
        for bits in [1024, 2047, 2049, 8192] {
            let words = format!("rsa-{bits}");
            assert_eq!(algorithm_of_spki(&rsa_spki(bits, 65_537)), Err(KeyFault::Kind(words)));
        }
        assert_eq!(algorithm_of_spki(b"nothing"), Err(KeyFault::NotSpki));
        let trailing = [rsa_spki(2048, 65_537), vec![0]].concat();
        assert_eq!(algorithm_of_spki(&trailing), Err(KeyFault::NotSpki));
    }

    #[test]
    fn a_point_beside_its_curve_is_no_key() {
        for (algorithm, key) in keys().into_iter().filter(|(algorithm, _)| algorithm.is_ec()) {
            let mut spki = key.subject_public_key_info();
            let last = spki.len() - 1;
            spki[last] ^= 1;
            assert_eq!(algorithm_of_spki(&spki), Ok(algorithm));
            assert_eq!(sound(&spki), Err(KeyFault::Unsound(OFF_CURVE)), "{algorithm}");
        }
    }

    #[test]
    fn a_small_or_even_exponent_is_no_key_of_ours() {
        for exponent in [1, 3, 17, 65_536, 65_538] {
            assert!(matches!(sound(&rsa_spki(2048, exponent)), Err(KeyFault::Unsound(_))), "{exponent}");
        }
        assert_eq!(sound(&rsa_spki(2048, 65_539)), Ok(()));
    }

    /// RFC 4055 §1.2.
    #[test]
    fn an_rsa_key_without_null_as_parameters_is_rare() {
        let bits = elements(content(&rsa_spki(2048, 65_537)))[1].to_vec();
        for parameters in [&[][..], &[0x30, 0]] {
            let algorithm = tlv(0x30, &[tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), parameters.to_vec()].concat());
            let key = public_key(&parse(&tlv(0x30, &[algorithm, bits.clone()].concat())).unwrap());
            assert_eq!((key.algorithm, key.kind.is_rare(), key.weak), (None, true, false));
            assert_eq!(key.text, "rsa-2048 without NULL as parameters");
        }
    }

    #[test]
    fn an_unnamed_curve_is_weak() {
        let algorithm =
            tlv(0x30, &[tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1])].concat());
        let der = tlv(0x30, &[algorithm, tlv(3, &[&[0, 4][..], &[7; 48]].concat())].concat());
        let key = public_key(&parse(&der).unwrap());
        assert_eq!((key.algorithm, key.text.as_str(), key.weak), (None, "ec on curve 1.2.840.10045.3.1.1", true));
    }
}
