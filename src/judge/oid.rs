//! Object identifiers of extended key usages and their names (RFC 5280 §4.2.1.12).

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
