//! What every certificate must keep to, whoever it is for: version, serial number, signature algorithm, extensions; and what a leaf must not be.

use super::cert::Facts;
use super::lint::{self, Findings, audit};

/// Octets of the longest serial number (RFC 5280 §4.1.2.2).
const MAX_SERIAL: usize = 20;
/// Octets of the shortest serial number that can hold 64 bits from a random source.
const MIN_SERIAL: usize = 8;

/// Signature algorithms with a digest that can be forged, and their names.
const WEAK_SIGNATURES: [(&str, &str); 7] = [
    ("1.2.840.113549.1.1.2", "md2WithRSAEncryption"),
    ("1.2.840.113549.1.1.3", "md4WithRSAEncryption"),
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.3.14.3.2.29", "sha1WithRSA"),
    ("1.2.840.10040.4.3", "dsa-with-sha1"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
];

/// Judges the form of a certificate; `of` names it where it is not the leaf, such as ` of CN=Book of Omens`.
pub fn check(findings: &mut Findings<'_>, facts: &Facts, of: &str) {
    if facts.version != 3 {
        findings.add(&lint::VERSION, "version 3", format!("version {}{of}", facts.version));
    }
    serial(findings, facts, of);
    signature(findings, facts, of);
    extensions(findings, facts, of);
    if facts.odd_dates {
        findings.add(&audit::DATE_ENCODING, "UTCTime", format!("GeneralizedTime{of}"));
    }
    if facts.unreadable_dates {
        findings.add(&audit::DATE_UNREADABLE, "dates that end in seconds and Z", format!("another form{of}"));
    }
    for (name, whose) in [(&facts.subject, "subject"), (&facts.issuer, "issuer")] {
        if name.has_empty_part {
            findings.add(
                &audit::NAME_EMPTY_PART,
                "an attribute in every RelativeDistinguishedName",
                format!("an empty one in the {whose}{of}"),
            );
        }
    }
    if facts.unique_ids {
        findings.add(&lint::UNIQUE_ID, "none", format!("a unique identifier{of}"));
    }
}

/// Extensions that are unknown and critical, there twice, or broken.
pub fn extensions(findings: &mut Findings<'_>, facts: &Facts, of: &str) {
    for oid in &facts.extensions.unknown_critical {
        findings.add(&lint::EXT_CRITICAL, "only critical extensions that are understood", format!("{oid}{of}"));
    }
    for oid in &facts.extensions.duplicate {
        findings.add(&lint::EXT_DUPLICATE, "each extension once", format!("{oid}{of}"));
    }
    for oid in &facts.extensions.malformed {
        findings.add(&lint::EXT_MALFORMED, "extensions that parse", format!("{oid}{of}"));
    }
    for oid in &facts.extensions.empty {
        findings.add(&audit::EXT_EMPTY, "at least one entry", format!("none in {oid}{of}"));
    }
    if facts.extensions.authority_key.as_ref().is_some_and(|key| key.critical) {
        findings.add(&lint::AKI_CRITICAL, "not critical", format!("critical{of}"));
    }
    if facts.extensions.subject_key.as_ref().is_some_and(|key| key.critical) {
        findings.add(&lint::SKI_CRITICAL, "not critical", format!("critical{of}"));
    }
}

/// Judges what only a leaf must not be.
pub fn leaf(findings: &mut Findings<'_>, facts: &Facts) {
    let extensions = &facts.extensions;
    if let Some(basic) = extensions.basic {
        if basic.ca {
            findings.add(&lint::CA_LEAF, "CA:FALSE", "CA:TRUE");
        } else if let Some(length) = basic.path_length {
            findings.add(&lint::LEAF_PATH_LENGTH, "no pathLenConstraint", length.to_string());
        }
    }
    if extensions.name_constraints.is_some() {
        findings.add(&lint::NC_LEAF, "none", "name constraints");
    }
}

fn serial(findings: &mut Findings<'_>, facts: &Facts, of: &str) {
    let octets = &facts.serial_octets;
    let found = format!("{}{of}", facts.serial);
    if octets.iter().all(|octet| *octet == 0) {
        findings.add(&lint::SERIAL_ZERO, "a positive number", found);
    } else if octets.first().is_some_and(|octet| octet & 0x80 != 0) {
        findings.add(&lint::SERIAL_NEGATIVE, "a positive number", found);
    } else if octets.len() > MAX_SERIAL {
        findings.add(&lint::SERIAL_LONG, "at most 20 octets", format!("{} octets{of}", octets.len()));
    } else if octets.len() < MIN_SERIAL {
        findings.add(&lint::SERIAL_SHORT, "at least 64 random bits", found);
    }
}

fn signature(findings: &mut Findings<'_>, facts: &Facts, of: &str) {
    let signature = &facts.signature;
    if let Some((_, name)) = WEAK_SIGNATURES.iter().find(|(oid, _)| [&signature.inner, &signature.outer].contains(&&(*oid).to_owned())) {
        findings.add(&lint::SIGNATURE_WEAK, "SHA-256 or stronger", format!("{name}{of}"));
    }
    if !signature.agree {
        findings.add(
            &lint::SIGNATURE_DIFFERS,
            format!("{} inside and outside", signature.inner),
            format!("{} outside{of}", signature.outer),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::kit::*;
    use super::*;

    const AIA: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];

    /// Another validity, both dates in this form.
    fn dates(tag: u8, from: &str, to: &str) -> Vec<u8> {
        tlv(0x30, &[tlv(tag, from.as_bytes()), tlv(tag, to.as_bytes())].concat())
    }

    fn put(parts: &mut Parts, oid: &[u8], value: &[u8]) {
        parts.remove(oid);
        parts.extensions.push(extension(oid, true, value));
    }

    #[test]
    fn forms_that_few_readers_agree_on_are_said() {
        type Change = fn(&mut Parts);
        let rows: [(&str, Change, &[&str]); 11] = [
            ("as it should be", |_| {}, &[]),
            ("an empty part", |p| p.subject = tlv(0x30, &[tlv(0x31, &[]), content(&p.subject).to_vec()].concat()), &["name.empty-part"]),
            ("one in the issuer", |p| p.issuer = tlv(0x30, &tlv(0x31, &[])), &["name.empty-part"]),
            ("no seconds", |p| p.validity = dates(0x17, "2601010000Z", "2701010000Z"), &["validity.unreadable"]),
            ("another zone", |p| p.validity = dates(0x17, "260101000000+0100", "270101000000Z"), &["validity.unreadable"]),
            ("GeneralizedTime", |p| p.validity = dates(0x18, "20260101000000Z", "20270101000000Z"), &["validity.encoding"]),
            ("of 2051", |p| p.validity = dates(0x18, "20510101000000Z", "20520101000000Z"), &[]),
            ("no names in the extension", |p| put(p, SAN, &[0x30, 0]), &["ext.empty"]),
            ("no usage", |p| put(p, KEY_USAGE, &[3, 1, 0]), &["ext.empty"]),
            ("information of nothing", |p| p.extensions.push(extension(AIA, false, &[0x30, 0])), &["ext.empty"]),
            ("no purpose", |p| put(p, EKU, &[0x30, 0]), &[]),
        ];
        let (pki, none) = (Pki::new(), BTreeMap::new());
        for (what, change, expected) in rows {
            let mut parts = Parts::of(&pki.leaf());
            change(&mut parts);
            let mut findings = Findings::new(&none);
            check(&mut findings, &Facts::parse(&parts.sign(&pki.middle.key)).unwrap(), "");
            assert_eq!(ids(&findings.into_vec()), expected, "{what}");
        }
    }
}
