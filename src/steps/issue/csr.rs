//! The CSR (RFC 2986) for a key that its store holds: signed through the key's handle, so that it may lie in a device.

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, DnType, PublicKeyData, SanType, SignatureAlgorithm, SigningKey};

use crate::judge::pair;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::key::KeyAlgorithm;
use crate::model::request::Request;
use crate::steps::key::PrivateKey;

/// A CSR (PEM) with exactly the request's names, signed by this key.
///
/// # Errors
/// A name that no certificate can carry, or a key that cannot sign now.
pub(super) fn signed_by(key: &dyn PrivateKey, request: &Request) -> Result<String, Failure> {
    let wanted = params(request)?;
    let signer = Signer::new(key).map_err(|why| failed(key.algorithm(), &why))?;
    let csr = wanted.serialize_request(&signer);
    // What the key itself said tells more than that there is no signature.
    let csr = csr.map_err(|why| signer.refused.into_inner().unwrap_or_else(|| failed(key.algorithm(), &why)))?;
    csr.pem().map_err(|why| failed(key.algorithm(), &why))
}

/// A key as rcgen wants to see it.
struct Signer<'a> {
    key: &'a dyn PrivateKey,
    /// The subjectPublicKey of its SubjectPublicKeyInfo, without the algorithm.
    public: Vec<u8>,
    /// Why the key did not sign.
    refused: std::cell::RefCell<Option<Failure>>,
}

impl<'a> Signer<'a> {
    fn new(key: &'a dyn PrivateKey) -> Result<Self, pair::KeyFault> {
        Ok(Self { key, public: pair::subject_public_key(key.spki())?, refused: std::cell::RefCell::default() })
    }
}

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.key.algorithm() {
            KeyAlgorithm::EcP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyAlgorithm::EcP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
            KeyAlgorithm::MlDsa44 => &rcgen::PKCS_ML_DSA_44,
            KeyAlgorithm::MlDsa65 => &rcgen::PKCS_ML_DSA_65,
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign(message).map_err(|why| {
            self.refused.replace(Some(why));
            rcgen::Error::RemoteKeyError
        })
    }
}

/// Names only: EKU, key usage and lifetime are the role's, and what a CSR says about them is dropped
/// ([Signing](crate::io::openbao#signing)).
fn params(request: &Request) -> Result<CertificateParams, Failure> {
    let mut wanted = CertificateParams::default();
    wanted.distinguished_name = DistinguishedName::new();
    wanted.distinguished_name.push(DnType::CommonName, request.common_name.as_str());
    let names = &mut wanted.subject_alt_names;
    for name in request.dns_names() {
        let hint = "write internationalised names in their xn-- form";
        names.push(SanType::DnsName(ascii(request, "DNS name", &name, hint)?));
    }
    names.extend(request.ip.iter().copied().map(SanType::IpAddress));
    for uri in &request.uri {
        names.push(SanType::URI(ascii(request, "URI", uri, "write other characters as %XX (RFC 3986 §2.1)")?));
    }
    for email in request.emails() {
        names.push(SanType::Rfc822Name(ascii(request, "e-mail address", &email, "write the domain in its xn-- form")?));
    }
    Ok(wanted)
}

fn ascii(request: &Request, kind: &str, name: &str, hint: &str) -> Result<Ia5String, Failure> {
    Ia5String::try_from(name).map_err(|_| {
        let text = format!("{kind} {name:?} of {} holds characters that no certificate can carry", request.name);
        Failure::new(Stage::Issue, Code::RoleRefused, text).hint(hint)
    })
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
    use crate::steps::key::software::SoftwareKey;

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
            renew_at: None,
        };
        Request {
            name: CertName::parse("web").expect("a name"),
            profile: Arc::new(profile),
            ttl: Duration::from_secs(3600),
            common_name: common_name.to_owned(),
            dns: dns.iter().map(|name| (*name).to_owned()).collect(),
            ip: ip.iter().map(|ip| ip.parse::<IpAddr>().expect("an address")).collect(),
            uri: Vec::new(),
            email: Vec::new(),
            subject: Vec::new(),
            algorithm,
        }
    }

    fn key(algorithm: KeyAlgorithm) -> SoftwareKey {
        SoftwareKey::generate(algorithm).expect("a key")
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
            GeneralName::URI(uri) => format!("uri:{uri}"),
            GeneralName::RFC822Name(email) => format!("email:{email}"),
            other => panic!("{other:?}"),
        });
        let info = &csr.certification_request_info;
        (info.subject.to_string(), names.collect(), info.subject_pki.raw.to_vec())
    }

    #[test]
    fn a_csr_has_exactly_the_names_of_the_request() {
        for (common_name, dns, ip, expected) in [
            ("Web.Example", vec!["localhost", "web.example"], vec!["127.0.0.1"], vec!["web.example", "localhost", "[127, 0, 0, 1]"]),
            ("A Service", vec!["*.example"], vec!["::1"], vec!["*.example", "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]"]),
            ("A Service", vec![], vec![], vec![]),
        ] {
            let pem = signed_by(&key(KeyAlgorithm::EcP256), &request(KeyAlgorithm::EcP256, common_name, &dns, &ip)).expect("a CSR");
            let (subject, names, _) = read(&pem);
            assert_eq!((subject, names), (format!("CN={common_name}"), expected.into_iter().map(str::to_owned).collect()));
        }
    }

    #[test]
    fn uris_and_addresses_are_names_of_their_own_kind() {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let request = Request {
            uri: own(&["spiffe://example/web"]),
            email: own(&["ops@example", "web@example"]),
            ..request(KeyAlgorithm::EcP256, "web@example", &[], &[])
        };
        let (_, names, _) = read(&signed_by(&key(KeyAlgorithm::EcP256), &request).expect("a CSR"));
        assert_eq!(
            names,
            ["uri:spiffe://example/web", "email:web@example", "email:ops@example"],
            "a common name that is one is one of them"
        );
    }

    #[test]
    fn the_csr_is_for_the_key_that_signs_it() {
        for (algorithm, spki_length) in
            [(KeyAlgorithm::EcP256, 91), (KeyAlgorithm::EcP384, 120), (KeyAlgorithm::Rsa2048, 294), (KeyAlgorithm::Rsa3072, 422)]
        {
            let key = key(algorithm);
            let pem = signed_by(&key, &request(algorithm, "web.example", &[], &[])).expect("a CSR");
            let (_, _, spki) = read(&pem);
            assert_eq!((key.spki(), spki.len()), (spki.as_slice(), spki_length), "{algorithm}");
        }
    }

    #[test]
    fn a_name_that_no_certificate_carries_is_refused_before_anything_is_sent() {
        let wanted = request(KeyAlgorithm::EcP256, "web.example", &["bücher.example"], &[]);
        let why = signed_by(&key(KeyAlgorithm::EcP256), &wanted).expect_err("no such name");
        assert_eq!(why.code, "role-refused");
    }
}
