//! The form of what is signed, where x509-parser does not look at it or reads less than there is: names and dates.

use x509_parser::asn1_rs::{Any, FromDer as _};

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
