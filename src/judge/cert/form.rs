//! The form of distinguished names, where x509-parser does not look at it.

use x509_parser::asn1_rs::{Any, FromDer as _};

/// Tags of the values a name may hold: BIT STRING, UTF8, Numeric, Printable, Teletex, IA5, Universal and BMP strings, GeneralizedTime.
const VALUES: [u8; 9] = [0x03, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x18, 0x1c, 0x1e];

/// Whether it is a SEQUENCE of SETs of SEQUENCEs of OID and value, and nothing that only looks like it: x509-parser ignores most of the tags.
pub(super) fn is_name(der: &[u8]) -> bool {
    let is_attribute = |attribute: &&[u8]| match contents(attribute, 0x30).as_deref() {
        Some([oid, value]) => oid.first() == Some(&0x06) && value.first().is_some_and(|tag| VALUES.contains(tag)),
        _ => false,
    };
    let is_set = |set: &&[u8]| contents(set, 0x31).is_some_and(|attributes| attributes.iter().all(is_attribute));
    contents(der, 0x30).is_some_and(|sets| sets.iter().all(is_set))
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
