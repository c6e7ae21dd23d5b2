//! A new private key and the CSR for it (RFC 2986). Nothing that holds the key may leave here but [`PlainKey`], which is wiped.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData as _, RsaKeySize, SanType};
use zeroize::Zeroizing;

use crate::model::code::Code;
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
            Failure::new(Stage::Issue, Code::RoleRefused, text).hint("write internationalised names in their xn-- form")
        })?;
        wanted.subject_alt_names.push(SanType::DnsName(ascii));
    }
    wanted.subject_alt_names.extend(request.ip.iter().copied().map(SanType::IpAddress));
    Ok(wanted)
}

fn failed(algorithm: KeyAlgorithm, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Stage::Issue, Code::NotAvailable, format!("cannot make a key of type {algorithm} and its request: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509CertificationRequest};

    use crate::model::name::CertName;
    use crate::model::profile::{Profile, Purpose, Usage};

    fn request(algorithm: KeyAlgorithm, common_name: &str, dns: &[&str], ip: &[&str]) -> Request {
        let profile = Profile {
            name: "tls-server".to_owned(),
            purpose: Purpose::Server,
            eku: Usage::default(),
            key_usage: Usage::default(),
            keys: vec![algorithm],
            lifetime_min: Duration::ZERO,
            lifetime_max: Duration::MAX,
            wildcard: true,
            lints: std::collections::BTreeMap::new(),
        };
        Request {
            name: CertName::parse("web").expect("a name"),
            profile: Arc::new(profile),
            ttl: Duration::from_secs(3600),
            common_name: common_name.to_owned(),
            dns: dns.iter().map(|name| (*name).to_owned()).collect(),
            ip: ip.iter().map(|ip| ip.parse::<IpAddr>().expect("an address")).collect(),
            algorithm,
        }
    }

    /// Subject and SANs of a CSR whose signature fits; and the DER of its public key.
    fn read(pem: &str) -> (String, Vec<String>, Vec<u8>) {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM");
        let (_, csr) = X509CertificationRequest::from_der(&pem.contents).expect("a CSR");
        csr.verify_signature().expect("a CSR signed by its own key");
        let extensions: Vec<_> = csr.requested_extensions().into_iter().flatten().collect();
        let names = extensions.iter().flat_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(san) => san.general_names.clone(),
            other => panic!("the CSR asks for more than names: {other:?}"),
        });
        let names = names.map(|name| match name {
            GeneralName::DNSName(name) => name.to_owned(),
            GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
            other => panic!("{other:?}"),
        });
        let info = &csr.certification_request_info;
        (info.subject.to_string(), names.collect(), info.subject_pki.raw.to_vec())
    }

    #[tokio::test]
    async fn a_csr_has_exactly_the_names_of_the_request() {
        for (common_name, dns, ip, expected) in [
            ("Web.Example", vec!["localhost", "web.example"], vec!["127.0.0.1"], vec!["web.example", "localhost", "[127, 0, 0, 1]"]),
            ("A Service", vec!["*.example"], vec!["::1"], vec!["*.example", "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]"]),
            ("A Service", vec![], vec![], vec![]),
        ] {
            let (_, pem) = make(&request(KeyAlgorithm::EcP256, common_name, &dns, &ip)).await.expect("a CSR");
            let (subject, names, _) = read(&pem);
            assert_eq!((subject, names), (format!("CN={common_name}"), expected.into_iter().map(str::to_owned).collect()));
        }
    }

    #[tokio::test]
    async fn the_key_kept_is_the_key_of_the_csr_and_of_the_algorithm_asked() {
        for (algorithm, spki_length) in
            [(KeyAlgorithm::EcP256, 91), (KeyAlgorithm::EcP384, 120), (KeyAlgorithm::Rsa2048, 294), (KeyAlgorithm::Rsa3072, 422)]
        {
            let (key, pem) = make(&request(algorithm, "web.example", &[], &[])).await.expect("a CSR");
            let (_, _, spki) = read(&pem);
            assert_eq!((key.spki(), spki.len()), (spki.as_slice(), spki_length), "{algorithm}");
            let reloaded = Zeroizing::new(KeyPair::try_from(key.expose()).expect("PKCS#8"));
            assert_eq!(reloaded.subject_public_key_info(), spki, "{algorithm}");
        }
    }

    #[tokio::test]
    async fn a_name_that_no_certificate_carries_is_refused_before_anything_is_sent() {
        let why = make(&request(KeyAlgorithm::EcP256, "web.example", &["bücher.example"], &[])).await.expect_err("no such name");
        assert_eq!(why.code, "role-refused");
    }
}
