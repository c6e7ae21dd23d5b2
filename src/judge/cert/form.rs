//! The form of what is signed, where x509-parser does not look at it or reads less than there is: names and dates.

use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::revocation_list::CertificateRevocationList;

/// Tags of the values a name may hold: BIT STRING, UTF8, Numeric, Printable, Teletex, IA5, Universal and BMP strings, GeneralizedTime.
const VALUES: [u8; 9] = [0x03, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x18, 0x1c, 0x1e];

/// Parts of a TBSCertificate as DER.
pub(super) struct Outline<'a> {
    pub(super) issuer: &'a [u8],
    pub(super) validity: &'a [u8],
    pub(super) subject: &'a [u8],
}

impl<'a> Outline<'a> {
    /// Finds them in the DER of a TBSCertificate (RFC 5280 §4.1): behind a version, where there is one, serial number and algorithm.
    pub(super) fn of(tbs: &'a [u8]) -> Option<Self> {
        let parts = contents(tbs, 0x30)?;
        let unversioned = if parts.first()?.first() == Some(&0xa0) { parts.get(1..)? } else { &parts };
        match *unversioned {
            [_, _, issuer, validity, subject, ..] => Some(Self { issuer, validity, subject }),
            _ => None,
        }
    }

    /// Whether both dates are in the form that RFC 5280 §4.1.2.5 asks for: with seconds, and in the time zone Z.
    pub(super) fn has_plain_dates(&self) -> bool {
        let is_plain = |date: &&[u8]| {
            let length = match date.first() {
                Some(0x17) => 2 + "YYMMDDHHMMSSZ".len(),
                _ => 2 + "YYYYMMDDHHMMSSZ".len(),
            };
            date.len() == length && date.last() == Some(&b'Z')
        };
        contents(self.validity, 0x30).is_some_and(|dates| dates.iter().all(is_plain))
    }
}

/// DER of the issuer of a revocation list, whole (RFC 5280 §5.1): behind a version, where there is one, and the algorithm.
#[must_use]
pub fn issuer_of_list(list: &CertificateRevocationList<'_>) -> Vec<u8> {
    let parts = contents(list.tbs_cert_list.as_ref(), 0x30).unwrap_or_default();
    let is_version = |part: &&&[u8]| part.first() == Some(&0x02);
    parts.iter().skip_while(is_version).nth(1).map(|issuer| issuer.to_vec()).unwrap_or_default()
}

/// What a distinguished name is made of.
#[derive(Default)]
pub(super) struct Parts<'a> {
    /// DER of every AttributeTypeAndValue.
    pub(super) attributes: Vec<&'a [u8]>,
    /// Whether one of its RelativeDistinguishedNames has none; x509-parser reads no further than there.
    pub(super) has_empty: bool,
}

/// Takes a name apart where it is a SEQUENCE of SETs of SEQUENCEs of OID and value, and nothing that only looks like it: x509-parser ignores
/// most of the tags.
pub(super) fn parts(name: &[u8]) -> Option<Parts<'_>> {
    let is_attribute = |attribute: &&[u8]| match contents(attribute, 0x30).as_deref() {
        Some([oid, value]) => oid.first() == Some(&0x06) && value.first().is_some_and(|tag| VALUES.contains(tag)),
        _ => false,
    };
    let mut all = Parts::default();
    for set in contents(name, 0x30)? {
        let attributes = contents(set, 0x31).filter(|attributes| attributes.iter().all(is_attribute))?;
        all.has_empty |= attributes.is_empty();
        all.attributes.extend(attributes);
    }
    Some(all)
}

/// The elements inside an element of this tag.
fn contents(der: &[u8], tag: u8) -> Option<Vec<&[u8]>> {
    der.first().filter(|first| **first == tag)?;
    let (_, outer) = Any::from_der(der).ok()?;
    let (mut rest, mut list) = (outer.data, Vec::new());
    while !rest.is_empty() {
        let (after, _) = Any::from_der(rest).ok()?;
        list.push(rest.get(..rest.len().checked_sub(after.len())?)?);
        rest = after;
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::super::Facts;
    use super::*;
    use crate::judge::kit::{self, *};

    #[test]
    fn the_issuer_of_a_list_is_read_to_its_end_too() {
        let pki = Pki::new();
        let params = rcgen::CertificateRevocationListParams {
            this_update: kit::time(now()),
            next_update: kit::time(now().plus(DAY)),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let der = params.signed_by(&pki.middle.issuer()).unwrap().der().to_vec();
        let parts = elements(content(&der));
        let mut tbs: Vec<Vec<u8>> = elements(content(parts[0])).into_iter().map(<[u8]>::to_vec).collect();
        tbs[2] = tlv(0x30, &[tlv(0x31, &[]), content(&tbs[2]).to_vec()].concat());
        let changed = tlv(0x30, &[&tlv(0x30, &tbs.concat())[..], parts[1], parts[2]].concat());
        let issuer = |der: &[u8]| issuer_of_list(&CertificateRevocationList::from_der(der).unwrap().1);
        assert_eq!(issuer(&changed), tbs[2]);
        assert_eq!(issuer(&der), Facts::parse(&pki.middle.der).unwrap().subject.der);
    }
}
