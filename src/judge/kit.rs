//! Certificates for tests: a small PKI made by rcgen, and a certificate taken apart and signed anew for what rcgen cannot make.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType, SerialNumber, SigningKey as _,
};

use super::gate::{Gate, Verdict, gate};
use crate::model::anchor::Anchor;
use crate::model::clock::Time;
use crate::model::finding::Finding;
use crate::model::key::KeyAlgorithm;
use crate::model::name::CertName;
use crate::model::profile::{Profile, Purpose, Usage};
use crate::model::request::Request;

pub(crate) const ROOT: &str = "Eye of Thundera";
pub(crate) const INTERMEDIATE: &str = "Book of Omens";
pub(crate) const DAY: i64 = 86_400;

pub(crate) fn now() -> Time {
    Time::parse("2026-01-10T12:00:00Z").unwrap()
}

/// A key with the certificate of an authority.
pub(crate) struct Authority {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (ca(name), key());
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    pub(crate) fn below(&self, name: &str) -> Self {
        self.below_as(ca(name), key())
    }

    pub(crate) fn below_as(&self, params: CertificateParams, key: KeyPair) -> Self {
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().to_vec();
        Self { params, key, der }
    }

    pub(crate) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &self.issuer()).unwrap().der().to_vec()
    }

    pub(crate) fn anchor(&self) -> Anchor {
        Anchor::new(self.der.clone())
    }
}

/// Root, intermediate and a leaf's key.
pub(crate) struct Pki {
    pub(crate) root: Authority,
    pub(crate) middle: Authority,
    pub(crate) key: KeyPair,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let root = Authority::root(ROOT);
        let middle = root.below(INTERMEDIATE);
        Self { root, middle, key: key() }
    }

    pub(crate) fn leaf(&self) -> Vec<u8> {
        self.leaf_of(&leaf())
    }

    pub(crate) fn leaf_of(&self, params: &CertificateParams) -> Vec<u8> {
        self.middle.sign(params, &self.key)
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }

    /// The gate's verdict on this leaf with these certificates beside it, by the plain request.
    pub(crate) fn judge(&self, leaf: &[u8], candidates: &[Vec<u8>]) -> Verdict {
        self.judge_by(&request(), leaf, candidates)
    }

    pub(crate) fn judge_by(&self, request: &Request, leaf: &[u8], candidates: &[Vec<u8>]) -> Verdict {
        gate(&Gate { request, anchors: &[&self.root.anchor()], leaf, candidates, spki: &self.spki(), serves_until: None }, now())
    }
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

pub(crate) fn time(at: Time) -> ::time::OffsetDateTime {
    ::time::OffsetDateTime::from_unix_timestamp(at.unix()).unwrap()
}

pub(crate) fn ca(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = time(now().plus(-365 * DAY));
    params.not_after = time(now().plus(365 * DAY));
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&[0x2b; 16]));
    params.use_authority_key_identifier_extension = true;
    params
}

/// What OpenBao signs for [`request`]: 30 s in the past to 24 h from now.
pub(crate) fn leaf() -> CertificateParams {
    let mut params = named("web.funlab.casa");
    params.subject_alt_names = vec![dns("web.funlab.casa"), dns("localhost"), SanType::IpAddress([127, 0, 0, 1].into())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = time(now().plus(-30));
    params.not_after = time(now().plus(DAY));
    params
}

pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

pub(crate) fn request() -> Request {
    Request {
        name: CertName::parse("web").unwrap(),
        profile: Arc::new(profile()),
        ttl: Duration::from_secs(86_400),
        common_name: "web.funlab.casa".to_owned(),
        dns: vec!["localhost".to_owned()],
        ip: vec![[127, 0, 0, 1].into()],
        uri: vec![],
        email: vec![],
        subject: vec![],
        algorithm: KeyAlgorithm::EcP256,
    }
}

pub(crate) fn request_with(change: impl FnOnce(&mut Profile)) -> Request {
    let mut profile = profile();
    change(&mut profile);
    Request { profile: Arc::new(profile), ..request() }
}

fn profile() -> Profile {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Profile {
        name: "tls-server".to_owned(),
        purpose: Purpose::Server,
        eku: Usage { required: list(&["serverAuth"]), allowed: vec![] },
        key_usage: Usage { required: list(&["digitalSignature"]), allowed: list(&["keyEncipherment", "keyAgreement"]) },
        keys: KeyAlgorithm::ALL.to_vec(),
        lifetime_min: Duration::from_secs(600),
        lifetime_max: Duration::from_secs(168 * 3600),
        wildcard: false,
        lints: BTreeMap::new(),
        renew_at: None,
    }
}

/// The ids, sorted, each as often as it was found.
pub(crate) fn ids(findings: &[Finding]) -> Vec<&str> {
    let mut ids: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

/// A certificate taken apart: every element as its own DER, to be changed and signed anew.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) unique_ids: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) outer: Vec<u8>,
}

impl Parts {
    pub(crate) fn of(der: &[u8]) -> Self {
        let outside = elements(content(der));
        let inside = elements(content(outside[0]));
        let of = |index: usize| inside[index].to_vec();
        let extensions = elements(content(content(inside[7]))).into_iter().map(<[u8]>::to_vec).collect();
        Self {
            version: of(0),
            serial: of(1),
            algorithm: of(2),
            issuer: of(3),
            validity: of(4),
            subject: of(5),
            spki: of(6),
            unique_ids: vec![],
            extensions,
            outer: outside[1].to_vec(),
        }
    }

    pub(crate) fn sign(&self, key: &KeyPair) -> Vec<u8> {
        let extensions = tlv(0xa3, &tlv(0x30, &self.extensions.concat()));
        let fields =
            [&self.version, &self.serial, &self.algorithm, &self.issuer, &self.validity, &self.subject, &self.spki, &self.unique_ids];
        let mut inside: Vec<u8> = fields.into_iter().flatten().copied().collect();
        if !self.extensions.is_empty() {
            inside.extend(extensions);
        }
        let tbs = tlv(0x30, &inside);
        let mut signature = vec![0];
        signature.extend(key.sign(&tbs).unwrap());
        tlv(0x30, &[tbs, self.outer.clone(), tlv(0x03, &signature)].concat())
    }

    /// Takes out the extension with this OID (its content octets) and gives its value.
    pub(crate) fn remove(&mut self, oid: &[u8]) -> Vec<u8> {
        let at = self.extensions.iter().position(|extension| content(elements(content(extension))[0]) == oid).unwrap();
        let gone = self.extensions.remove(at);
        content(elements(content(&gone)).last().unwrap()).to_vec()
    }
}

pub(crate) const SAN: &[u8] = &[0x55, 0x1d, 0x11];
pub(crate) const BASIC: &[u8] = &[0x55, 0x1d, 0x13];
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
pub(crate) const EKU: &[u8] = &[0x55, 0x1d, 0x25];
pub(crate) const AKI: &[u8] = &[0x55, 0x1d, 0x23];
pub(crate) const SKI: &[u8] = &[0x55, 0x1d, 0x0e];
pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
/// 1.3.6.1.4.1.99999.1, which nobody knows.
pub(crate) const UNKNOWN: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x86, 0x8d, 0x1f, 0x01];

pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut inside = tlv(0x06, oid);
    if critical {
        inside.extend(tlv(0x01, &[0xff]));
    }
    inside.extend(tlv(0x04, value));
    tlv(0x30, &inside)
}

/// A SubjectPublicKeyInfo with an odd modulus of that many bits, which is no key.
pub(crate) fn rsa_spki(bits: usize, exponent: u32) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    match bits % 8 {
        0 => modulus.insert(0, 0),
        rest => modulus[0] = 0xff >> (8 - rest),
    }
    let number: Vec<u8> = exponent.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
    let key = tlv(0x30, &[tlv(2, &modulus), tlv(2, &number)].concat());
    let algorithm = tlv(0x30, &[tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), vec![5, 0]].concat());
    tlv(0x30, &[algorithm, tlv(3, &[&[0][..], &key].concat())].concat())
}

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match content.len() {
        short @ 0..=127 => der.push(u8::try_from(short).unwrap()),
        long => {
            let octets: Vec<u8> = long.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
            der.push(0x80 | u8::try_from(octets.len()).unwrap());
            der.extend(octets);
        }
    }
    der.extend(content);
    der
}

pub(crate) fn content(der: &[u8]) -> &[u8] {
    let (header, length) = measure(der);
    &der[header..header + length]
}

pub(crate) fn elements(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut list = Vec::new();
    while !rest.is_empty() {
        let (header, length) = measure(rest);
        let (one, tail) = rest.split_at(header + length);
        list.push(one);
        rest = tail;
    }
    list
}

fn measure(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        long => {
            let octets = usize::from(long & 0x7f);
            (2 + octets, der[2..2 + octets].iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)))
        }
    }
}
