//! A root and an intermediate in memory, and leaves as good or as bad as a test wants them.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, RsaKeySize, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use time::{Duration, OffsetDateTime};

/// The trust anchor's name.
pub const ROOT: &str = "Eye of Thundera";
/// The issuing CA's name.
pub const INTERMEDIATE: &str = "Book of Omens";

/// Keys of the two CAs. RSA-4096 is what the estate runs with; the others save seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaKeys {
    Ec,
    Rsa2048,
    Rsa4096,
}

/// A CA: certificate and key.
pub struct Ca {
    pub pem: String,
    pub der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// A self-signed root.
    pub fn root(name: &str, keys: CaKeys) -> Self {
        let key = ca_key(keys);
        let params = ca_params(name, 36_500, None);
        let cert = params.self_signed(&key).expect("self-signed root");
        Self { pem: cert.pem(), der: cert.der().to_vec(), issuer: Issuer::new(params, key) }
    }

    /// An intermediate below this root.
    pub fn intermediate(&self, name: &str, keys: CaKeys) -> Self {
        let key = ca_key(keys);
        let params = ca_params(name, 3650, Some(0));
        let cert = params.signed_by(&key, &self.issuer).expect("intermediate");
        Self { pem: cert.pem(), der: cert.der().to_vec(), issuer: Issuer::new(params, key) }
    }

    /// Signs the public key of an intermediate's CSR, as `intermediate/set-signed` wants it back.
    pub fn sign_intermediate(&self, csr: &str, name: &str) -> Certificate {
        let key = csr_key(csr);
        let mut params = ca_params(name, 3650, Some(0));
        params.serial_number = Some(serial());
        params.signed_by(&key, &self.issuer).expect("signed intermediate")
    }

    /// A revocation list with nothing on it, in DER, that holds from then until then, counted from now.
    pub fn list(&self, from: Duration, until: Duration, number: u64) -> Vec<u8> {
        let now = OffsetDateTime::now_utc();
        let params = rcgen::CertificateRevocationListParams {
            this_update: now + from,
            next_update: now + until,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a list").der().to_vec()
    }

    /// Signs a leaf.
    pub fn leaf(&self, key: &impl PublicKeyData, leaf: &Leaf) -> Certificate {
        leaf.params().signed_by(key, &self.issuer).expect("signed leaf")
    }
}

fn ca_key(keys: CaKeys) -> KeyPair {
    match keys {
        CaKeys::Ec => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        CaKeys::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        CaKeys::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
    }
    .expect("a CA key")
}

fn ca_params(name: &str, days: i64, path_length: Option<u8>) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(days);
    params.serial_number = Some(serial());
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = path_length.is_some();
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut dn = DistinguishedName::new();
    dn.push(DnType::CommonName, name);
    dn
}

fn serial() -> SerialNumber {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    bytes[0] = 0x40 | (bytes[0] & 0x3f);
    SerialNumber::from_slice(&bytes)
}

/// What stands in a leaf.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub common_name: String,
    pub names: Vec<SanType>,
    pub eku: Vec<ExtendedKeyUsagePurpose>,
    pub key_usages: Vec<KeyUsagePurpose>,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
}

impl Leaf {
    /// A good TLS server's leaf for these names, backdated by 30 s as OpenBao does.
    pub fn server(common_name: &str, dns: &[&str], ip: &[IpAddr], ttl: Duration) -> Self {
        let now = OffsetDateTime::now_utc();
        let mut names: Vec<SanType> = dns.iter().map(|d| dns_name(d)).collect();
        names.extend(ip.iter().map(|ip| SanType::IpAddress(*ip)));
        Self {
            common_name: common_name.to_owned(),
            names,
            eku: vec![ExtendedKeyUsagePurpose::ServerAuth],
            key_usages: vec![KeyUsagePurpose::DigitalSignature],
            not_before: now - Duration::seconds(30),
            not_after: now + ttl,
        }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.not_before = self.not_before;
        params.not_after = self.not_after;
        params.serial_number = Some(serial());
        params.subject_alt_names.clone_from(&self.names);
        params.distinguished_name = common_name(&self.common_name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages.clone_from(&self.key_usages);
        params.extended_key_usages.clone_from(&self.eku);
        params.use_authority_key_identifier_extension = true;
        params
    }
}

/// A DNS name for a SAN.
pub fn dns_name(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("an IA5 name"))
}

/// The public key that a CSR asks for.
pub fn csr_key(csr: &str) -> SubjectPublicKeyInfo {
    use x509_parser::prelude::FromDer as _;
    let der = pem_blocks(csr).into_iter().next().expect("a PEM block");
    let (_, csr) = x509_parser::certification_request::X509CertificationRequest::from_der(&der).expect("a CSR");
    csr.verify_signature().expect("a CSR signed with its own key");
    SubjectPublicKeyInfo::from_der(csr.certification_request_info.subject_pki.raw).expect("a public key")
}

/// Common name and SANs of a CSR.
pub fn csr_names(csr: &str) -> (String, Vec<SanType>) {
    let params = rcgen::CertificateSigningRequestParams::from_pem(csr).expect("a CSR").params;
    let common_name = match params.distinguished_name.get(&DnType::CommonName) {
        Some(rcgen::DnValue::Utf8String(text)) => text.clone(),
        Some(rcgen::DnValue::PrintableString(text)) => text.as_str().to_owned(),
        _ => String::new(),
    };
    (common_name, params.subject_alt_names)
}

/// A fresh P-256 key.
pub fn ec_key() -> KeyPair {
    ca_key(CaKeys::Ec)
}

/// The DER of every PEM block.
pub fn pem_blocks(pem: &str) -> Vec<Vec<u8>> {
    x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).map(|block| block.expect("PEM").contents).collect()
}

/// Lower-case SHA-256 of a DER.
pub fn sha256(der: &[u8]) -> String {
    omens::model::anchor::Fingerprint::of(der).to_string()
}

/// A leaf's serial number as OpenBao writes it.
pub fn serial_of(der: &[u8]) -> String {
    let (_, cert) = x509_parser::parse_x509_certificate(der).expect("a certificate");
    cert.tbs_certificate.raw_serial_as_string()
}
