//! Object identifiers of extended key usages and their names (RFC 5280 §4.2.1.12).

use x509_parser::asn1_rs::Oid;

/// id-kp-serverAuth.
pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
/// id-kp-clientAuth.
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
/// anyExtendedKeyUsage.
pub const ANY_EKU: &str = "2.5.29.37.0";

/// Extended key usages by their names in RFC 5280 §4.2.1.12.
const EKU_NAMES: [(&str, &str); 7] = [
    (SERVER_AUTH, "serverAuth"),
    (CLIENT_AUTH, "clientAuth"),
    ("1.3.6.1.5.5.7.3.3", "codeSigning"),
    ("1.3.6.1.5.5.7.3.4", "emailProtection"),
    ("1.3.6.1.5.5.7.3.8", "timeStamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSPSigning"),
    (ANY_EKU, "anyExtendedKeyUsage"),
];

/// The arcs with dots between them, in one allocation: each certificate that is looked at has about ten.
#[must_use]
pub fn dotted(oid: &Oid<'_>) -> String {
    // An arc of more than 64 bits, which nobody ever gave away.
    let Some(arcs) = oid.iter() else { return oid.to_id_string() };
    let mut text = String::with_capacity(32);
    for arc in arcs {
        if !text.is_empty() {
            text.push('.');
        }
        push_decimal(&mut text, arc);
    }
    text
}

fn push_decimal(text: &mut String, number: u64) {
    if number > 9 {
        push_decimal(text, number / 10);
    }
    text.extend(u32::try_from(number % 10).ok().and_then(|digit| char::from_digit(digit, 10)));
}

/// The name of an extended key usage, or its dotted OID where it has none.
#[must_use]
pub fn eku_name(oid: &str) -> &str {
    EKU_NAMES.iter().find(|(known, _)| *known == oid).map_or(oid, |(_, name)| name)
}

/// The dotted OID of a profile's word; a dotted OID is its own.
#[must_use]
pub fn eku_oid(word: &str) -> &str {
    EKU_NAMES.iter().find(|(_, name)| *name == word).map_or(word, |(oid, _)| oid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oid_is_written_as_the_library_writes_it() {
        let long = [0x2a, 0x83, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let rows: [(&[u8], &str); 5] = [
            (&[0x2b, 6, 1, 5, 5, 7, 3, 1], SERVER_AUTH),
            (&[0x55, 0x1d, 0x25, 0], ANY_EKU),
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b], "1.2.840.113549.1.1.11"),
            (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 0x19], "0.9.2342.19200300.100.1.25"),
            // Of an arc that is too large, its octets.
            (&long, "2a 83 ff ff ff ff ff ff ff ff 7f"),
        ];
        for (octets, text) in rows {
            let oid = Oid::new(octets.into());
            assert_eq!((dotted(&oid).as_str(), oid.to_id_string().as_str()), (text, text), "{octets:?}");
        }
    }
}
