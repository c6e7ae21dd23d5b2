//! A new private key and the CSR for it (RFC 2986). Nothing that holds the key may leave here but [`PlainKey`], which is wiped.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData as _, RsaKeySize, SanType};
use zeroize::Zeroizing;

use crate::model::failure::{Failure, Stage};
use crate::model::key::KeyAlgorithm;
use crate::model::request::Request;
use crate::model::secret::PlainKey;

/// A key of the request's algorithm, and a CSR (PEM) with exactly the request's names.
pub(super) async fn make(request: &Request) -> Result<(PlainKey, String), Failure> {
    let wanted = params(request)?;
    let algorithm = request.algorithm;
    if algorithm.is_ec() {
        return key_and_csr(algorithm, &wanted);
    }
    // An RSA key takes a tenth of a second and more (facts/crates §3): other certificates go on meanwhile.
    let made = tokio::task::spawn_blocking(move || key_and_csr(algorithm, &wanted)).await;
    made.unwrap_or_else(|why| Err(failed(algorithm, &why)))
}

fn key_and_csr(algorithm: KeyAlgorithm, wanted: &CertificateParams) -> Result<(PlainKey, String), Failure> {
    let made = match algorithm {
        KeyAlgorithm::EcP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyAlgorithm::EcP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyAlgorithm::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyAlgorithm::Rsa3072 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072),
        KeyAlgorithm::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
    };
    // rcgen keeps the PKCS#8 beside the key and wipes it only when told to; aws-lc wipes its own.
    let pair = Zeroizing::new(made.map_err(|why| failed(algorithm, &why))?);
    let pem = wanted.serialize_request(&*pair).and_then(|csr| csr.pem()).map_err(|why| failed(algorithm, &why))?;
    let key = PlainKey::new(Zeroizing::new(pair.serialized_der().to_vec()), pair.subject_public_key_info());
    Ok((key, pem))
}

/// Names only: EKU, key usage and lifetime are the role's, and what a CSR says about them is dropped (facts/openbao §4).
fn params(request: &Request) -> Result<CertificateParams, Failure> {
    let mut wanted = CertificateParams::default();
    wanted.distinguished_name = DistinguishedName::new();
    wanted.distinguished_name.push(DnType::CommonName, request.common_name.as_str());
    for name in request.dns_names() {
        let ascii = Ia5String::try_from(name.as_str()).map_err(|_| {
            let text = format!("DNS name {name:?} of {} holds characters that no certificate can carry", request.name);
            Failure::new(Stage::Issue, "role-refused", text).hint("write internationalised names in their xn-- form")
        })?;
        wanted.subject_alt_names.push(SanType::DnsName(ascii));
    }
    wanted.subject_alt_names.extend(request.ip.iter().copied().map(SanType::IpAddress));
    Ok(wanted)
}

fn failed(algorithm: KeyAlgorithm, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Stage::Issue, "not-available", format!("cannot make a key of type {algorithm} and its request: {why}"))
}
