//! The facts of one certificate, read once by x509-parser. It must never judge them, and nothing here has been checked: no signature, no date.

mod extensions;
mod form;
mod names;

use x509_parser::asn1_rs::{FromDer as _, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::{AlgorithmIdentifier, AttributeTypeAndValue, X509Name};

use super::der;
use super::oid::dotted;
use super::pair::{self, PublicKey};
use crate::model::anchor::{Fingerprint, hex};
use crate::model::clock::Time;
use form::Outline;
pub use form::issuer_of_list;
pub use names::{Name, Names};

/// Why bytes are no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not the DER of a certificate.
    #[error("not the DER of an X.509 certificate: {0}")]
    Der(String),
    /// A certificate, and something after it.
    #[error("{0} bytes after the certificate's end")]
    Trailing(usize),
}

/// What a certificate says (RFC 5280 §4.1). Texts are as in the certificate: they pass through `model::text` before they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// SHA-256 of the DER.
    pub sha256: Fingerprint,
    /// 1, 2 or 3.
    pub version: u32,
    /// In lower-case hexadecimal with colons, without sign padding, as OpenBao writes it.
    pub serial: String,
    /// The serial number's octets as encoded.
    pub serial_octets: Vec<u8>,
    /// Signature algorithms, inside and outside of what is signed.
    pub signature: Signature,
    /// Who signed it, by its own account.
    pub issuer: Name,
    /// Whom it is for.
    pub subject: Name,
    /// First second of its validity.
    pub not_before: Time,
    /// Last second of its validity.
    pub not_after: Time,
    /// Whether a date before 2050 is a GeneralizedTime (RFC 5280 §4.1.2.5).
    pub odd_dates: bool,
    /// Whether a date is without seconds or in another time zone than Z (RFC 5280 §4.1.2.5).
    pub unreadable_dates: bool,
    /// DER of the SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// What kind of key that is.
    pub key: PublicKey,
    /// Whether one of the unique identifiers is present (RFC 5280 §4.1.2.8).
    pub unique_ids: bool,
    /// The extensions.
    pub extensions: Extensions,
}

/// The algorithm identifiers of the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// `signature` of the TBSCertificate, dotted.
    pub inner: String,
    /// `signatureAlgorithm`, dotted.
    pub outer: String,
    /// Whether both are equal, parameters included.
    pub agree: bool,
}

/// What the extensions say; each `None` or empty where the extension is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Subject alternative names.
    pub san: Option<Names>,
    /// Extended key usages as dotted OIDs.
    pub eku: Option<Usages>,
    /// Key usages by their names in RFC 5280 §4.2.1.3.
    pub key_usage: Option<Usages>,
    /// Basic constraints.
    pub basic: Option<Basic>,
    /// Authority key identifier.
    pub authority_key: Option<AuthorityKey>,
    /// Subject key identifier.
    pub subject_key: Option<SubjectKey>,
    /// Name constraints.
    pub name_constraints: Option<NameConstraints>,
    /// Critical extensions that are none of the above (policy extensions of RFC 5280 are known), dotted.
    pub unknown_critical: Vec<String>,
    /// Whether it says where its revocation lists are.
    pub crl_points: bool,
    /// Constraints on policies that must be critical and are not, dotted.
    pub lax: Vec<String>,
    /// Extensions that are there more than once, dotted.
    pub duplicate: Vec<String>,
    /// Extensions whose value does not parse, dotted.
    pub malformed: Vec<String>,
    /// Extensions that list nothing where something has to be (`SIZE (1..MAX)`), and a key usage that allows nothing, dotted.
    pub empty: Vec<String>,
}

/// A set of usages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usages {
    /// Whether the extension is critical.
    pub critical: bool,
    /// What it allows.
    pub values: Vec<String>,
}

/// Basic constraints (RFC 5280 §4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basic {
    /// Whether the extension is critical.
    pub critical: bool,
    /// CA:TRUE.
    pub ca: bool,
    /// pathLenConstraint.
    pub path_length: Option<u32>,
}

/// Authority key identifier (RFC 5280 §4.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityKey {
    /// Whether the extension is critical.
    pub critical: bool,
    /// keyIdentifier.
    pub key_id: Option<Vec<u8>>,
    /// Whether authorityCertIssuer is there.
    pub names_issuer: bool,
    /// authorityCertSerialNumber, its octets as encoded.
    pub serial_octets: Option<Vec<u8>>,
}

/// Subject key identifier (RFC 5280 §4.2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectKey {
    /// Whether the extension is critical.
    pub critical: bool,
    /// keyIdentifier.
    pub key_id: Vec<u8>,
}

/// The shape of name constraints (RFC 5280 §4.2.1.10); webpki applies them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameConstraints {
    /// Whether the extension is critical.
    pub critical: bool,
    /// Whether both subtrees are empty.
    pub empty: bool,
    /// Whether a dNSName begins with a dot.
    pub leading_dot: bool,
}

impl Facts {
    /// Reads one certificate and nothing after it.
    ///
    /// # Errors
    /// What keeps the bytes from being a certificate.
    pub fn parse(der: &[u8]) -> Result<Self, Malformed> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| Malformed::Der(der::instead(der)))?;
        if !rest.is_empty() {
            return Err(Malformed::Trailing(rest.len()));
        }
        let tbs = &certificate.tbs_certificate;
        let validity = tbs.validity();
        let outline = Outline::of(tbs.as_ref()).ok_or_else(|| Malformed::Der(der::instead(der)))?;
        let (Some(issuer), Some(subject)) = (name(outline.issuer), name(outline.subject)) else {
            return Err(Malformed::Der("a distinguished name with other tags than X.501 has".to_owned()));
        };
        Ok(Self {
            sha256: Fingerprint::of(der),
            version: tbs.version.0.saturating_add(1),
            serial: serial_text(tbs.raw_serial()),
            serial_octets: tbs.raw_serial().to_vec(),
            signature: signature(&tbs.signature, &certificate.signature_algorithm),
            issuer,
            subject,
            not_before: Time::from_unix(validity.not_before.timestamp()),
            not_after: Time::from_unix(validity.not_after.timestamp()),
            odd_dates: [validity.not_before, validity.not_after]
                .iter()
                .any(|date| date.is_generalizedtime() && date.to_datetime().year() < 2050),
            unreadable_dates: !outline.has_plain_dates(),
            spki: tbs.subject_pki.raw.to_vec(),
            key: pair::public_key(&tbs.subject_pki),
            unique_ids: tbs.issuer_uid.is_some() || tbs.subject_uid.is_some(),
            extensions: extensions::read(tbs.extensions()),
        })
    }

    /// Seconds from notBefore to notAfter.
    #[must_use]
    pub fn lifetime(&self) -> i64 {
        self.not_after.since(self.not_before)
    }

    /// Whether issuer and subject are the same name.
    #[must_use]
    pub fn self_issued(&self) -> bool {
        self.issuer.der == self.subject.der
    }

    /// Whether `time` lies within the validity. At notAfter itself OpenSSL says expired and webpki says valid: it is over
    /// ([Peers](crate::judge#peers)).
    #[must_use]
    pub fn valid_at(&self, time: Time) -> bool {
        self.not_before <= time && time < self.not_after
    }
}

/// A distinguished name in words, from its DER, such as a TLS server names its clients' issuers by.
#[must_use]
pub fn distinguished_name(der: &[u8]) -> String {
    name(der).map_or_else(|| format!("#{}", hex(der)), |name| name.to_string())
}

fn signature(inner: &AlgorithmIdentifier<'_>, outer: &AlgorithmIdentifier<'_>) -> Signature {
    Signature { inner: dotted(&inner.algorithm), outer: dotted(&outer.algorithm), agree: inner == outer }
}

/// `None` where it is no name.
fn name(der: &[u8]) -> Option<Name> {
    let (mut common_names, mut others) = (Vec::new(), Vec::new());
    let parts = form::parts(der)?;
    for attribute in parts.attributes {
        let (_, attribute) = AttributeTypeAndValue::from_der(attribute).ok()?;
        let value = attribute.as_str().map_or_else(|_| format!("#{}", hex(attribute.as_slice())), str::to_owned);
        if *attribute.attr_type() == oid!(2.5.4.3) {
            common_names.push(value);
        } else {
            let oid = dotted(attribute.attr_type());
            let known = ATTRIBUTES.iter().find(|(known, _)| *known == oid).map(|(_, short)| *short);
            others.push(format!("{}={value}", known.unwrap_or(&oid)));
        }
    }
    Some(Name { common_names, others, has_empty_part: parts.has_empty, der: der.to_vec() })
}

/// Short names of RFC 4514 §3 and of what is common besides.
const ATTRIBUTES: [(&str, &str); 10] = [
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.17", "postalCode"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// A name in words, as [`Name`] shows it.
fn name_words(parsed: &X509Name<'_>) -> String {
    distinguished_name(parsed.as_raw())
}

/// As Go prints one: the absolute value without padding. A negative one looks like any other; `serial_octets` tell them apart.
pub fn serial_text(octets: &[u8]) -> String {
    let padding = octets.iter().take_while(|octet| **octet == 0).count().min(octets.len().saturating_sub(1));
    let digits = hex(octets.get(padding..).unwrap_or_default());
    let colon = |at: usize| (at > 0 && at.is_multiple_of(2)).then_some(':');
    digits.chars().enumerate().flat_map(|(at, digit)| colon(at).into_iter().chain([digit])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::kit::{self, *};
    use super::*;

    #[test]
    fn the_facts_are_those_of_the_certificate() {
        let pki = Pki::new();
        let der = pki.leaf();
        let facts = Facts::parse(&der).unwrap();
        assert_eq!(facts.sha256, Fingerprint::of(&der));
        assert_eq!((facts.version, facts.serial.as_str()), (3, ["2b"; 16].join(":").as_str()));
        assert_eq!((facts.issuer.to_string(), facts.subject.to_string()), ("CN=Book of Omens".to_owned(), "CN=web.funlab.casa".to_owned()));
        assert_eq!((facts.not_before, facts.not_after), (now().plus(-30), now().plus(DAY)));
        assert_eq!((facts.spki.clone(), facts.key.text.as_str()), (pki.spki(), "ec-p256"));
        let san = facts.extensions.san.clone().unwrap();
        assert_eq!((san.dns, san.ip), (vec!["web.funlab.casa".to_owned(), "localhost".to_owned()], vec![[127, 0, 0, 1].into()]));
        assert_eq!(facts.extensions.eku.unwrap().values, [super::super::oid::SERVER_AUTH]);
        assert_eq!(facts.extensions.key_usage.unwrap().values, ["digitalSignature"]);
        let middle = Facts::parse(&pki.middle.der).unwrap();
        assert_eq!(facts.extensions.authority_key.unwrap().key_id, middle.extensions.subject_key.map(|key| key.key_id));
        assert_eq!(middle.extensions.basic, Some(Basic { critical: true, ca: true, path_length: None }));
        assert_eq!(middle.extensions.key_usage.unwrap().values, ["keyCertSign", "cRLSign"]);
    }

    #[test]
    fn serial_numbers_are_written_as_openbao_writes_them() {
        let rows: [(&[u8], &str); 5] = [(&[0], "00"), (&[0, 0xff, 1], "ff:01"), (&[0x0a], "0a"), (&[0xff, 0], "ff:00"), (&[], "")];
        for (octets, text) in rows {
            assert_eq!(serial_text(octets), text);
        }
    }

    #[test]
    fn a_certificate_ends_where_it_ends() {
        let der = Pki::new().leaf();
        assert_eq!(Facts::parse(&[der.clone(), vec![0, 0]].concat()), Err(Malformed::Trailing(2)));
        for cut in 0..der.len() {
            assert!(matches!(Facts::parse(&der[..cut]), Err(Malformed::Der(_))), "{cut}");
        }
    }

    #[test]
    fn every_key_usage_has_its_name() {
        let pki = Pki::new();
        let usages = |value: &[u8]| {
            let mut parts = Parts::of(&pki.leaf());
            parts.remove(KEY_USAGE);
            parts.extensions.push(extension(KEY_USAGE, true, value));
            Facts::parse(&parts.sign(&pki.middle.key)).unwrap().extensions.key_usage.unwrap().values
        };
        let all = ["digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign", "cRLSign"];
        assert_eq!(usages(&[3, 3, 7, 0xff, 0x80]), [&all[..], &["encipherOnly", "decipherOnly"]].concat());
        assert_eq!(usages(&[3, 2, 7, 0x80]), ["digitalSignature"]);
        assert_eq!(usages(&[3, 3, 7, 0, 0x80]), ["decipherOnly"]);
        assert_eq!(usages(&[3, 1, 0]), [""; 0]);
    }

    #[test]
    fn a_second_extension_cannot_hide_behind_the_first() {
        let pki = Pki::new();
        let mut parts = Parts::of(&pki.leaf());
        parts.extensions.push(extension(SAN, false, &tlv(0x30, &tlv(0x82, b"evil.example"))));
        parts.extensions.push(extension(BASIC, true, &[0x30, 3, 1, 1, 0xff]));
        parts.extensions.push(extension(BASIC, true, &[0x30, 0]));
        let extensions = Facts::parse(&parts.sign(&pki.middle.key)).unwrap().extensions;
        assert_eq!(extensions.duplicate, ["2.5.29.17", "2.5.29.19"]);
        assert!(extensions.san.unwrap().dns.contains(&"evil.example".to_owned()) && extensions.basic.unwrap().ca);
    }

    #[test]
    fn bytes_after_an_extension_s_value_are_malformed() {
        let pki = Pki::new();
        for oid in [SAN, EKU, KEY_USAGE, AKI] {
            let mut parts = Parts::of(&pki.leaf());
            let value = parts.remove(oid);
            parts.extensions.push(extension(oid, false, &[value, vec![5, 0]].concat()));
            let facts = Facts::parse(&parts.sign(&pki.middle.key)).unwrap();
            assert_eq!(facts.extensions.malformed.len(), 1, "{oid:?}");
        }
    }

    #[test]
    fn a_name_goes_on_behind_an_empty_part() {
        let pki = Pki::new();
        let mut parts = Parts::of(&pki.leaf());
        parts.subject = tlv(0x30, &[tlv(0x31, &[]), content(&parts.subject).to_vec()].concat());
        let facts = Facts::parse(&parts.sign(&pki.middle.key)).unwrap();
        assert_eq!((facts.subject.to_string(), facts.subject.has_empty_part), ("CN=web.funlab.casa".to_owned(), true));
        assert_eq!(facts.subject.der, parts.subject);
    }

    #[test]
    fn names_that_are_no_text_are_shown_as_hexadecimal() {
        let pki = Pki::new();
        let mut parts = Parts::of(&pki.leaf());
        let attribute = tlv(0x30, &[tlv(6, &[0x55, 4, 3]), tlv(0x1e, b"\0w")].concat());
        parts.subject = tlv(0x30, &tlv(0x31, &attribute));
        let facts = Facts::parse(&parts.sign(&pki.middle.key)).unwrap();
        assert_eq!(facts.subject.common_names, ["#0077"]);
        assert_eq!(Facts::parse(&kit::Authority::root("A").der).unwrap().subject.common_names, ["A"]);
    }
}
