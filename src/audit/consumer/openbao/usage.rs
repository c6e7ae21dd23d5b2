//! Key usages and purposes as roles name them, in the words of RFC 5280.

use std::collections::BTreeSet;

use serde_json::Value;

/// Names of OpenBao and Go with their RFC 5280 spelling.
const PURPOSES: &[(&str, &str)] = &[
    ("any", "anyExtendedKeyUsage"),
    ("serverauth", "serverAuth"),
    ("clientauth", "clientAuth"),
    ("codesigning", "codeSigning"),
    ("emailprotection", "emailProtection"),
    ("timestamping", "timeStamping"),
    ("ocspsigning", "OCSPSigning"),
    ("2.5.29.37.0", "anyExtendedKeyUsage"),
    ("1.3.6.1.5.5.7.3.1", "serverAuth"),
    ("1.3.6.1.5.5.7.3.2", "clientAuth"),
    ("1.3.6.1.5.5.7.3.3", "codeSigning"),
    ("1.3.6.1.5.5.7.3.4", "emailProtection"),
    ("1.3.6.1.5.5.7.3.8", "timeStamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSPSigning"),
];
const FLAGS: &[(&str, &str)] = &[
    ("server_flag", "serverAuth"),
    ("client_flag", "clientAuth"),
    ("code_signing_flag", "codeSigning"),
    ("email_protection_flag", "emailProtection"),
];

/// The strings of a field: a list, or words joined by commas.
pub(super) fn strings(role: &Value, field: &str) -> Vec<String> {
    match role.get(field) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) => text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect(),
        _ => Vec::new(),
    }
}

/// The union of flags, names and OIDs ([Roles and policies](crate::io::openbao#roles-and-policies)).
pub(super) fn purposes(role: &Value) -> BTreeSet<String> {
    let flags =
        FLAGS.iter().filter(|(flag, _)| role.get(flag).and_then(Value::as_bool) == Some(true)).map(|(_, purpose)| (*purpose).to_owned());
    let named = strings(role, "ext_key_usage").into_iter().chain(strings(role, "ext_key_usage_oids"));
    flags.chain(named.map(|name| purpose(&name))).collect()
}

/// A purpose in one spelling.
pub(super) fn purpose(name: &str) -> String {
    let plain = name.to_ascii_lowercase();
    let plain = plain.trim_start_matches("extkeyusage");
    PURPOSES.iter().find(|(known, _)| *known == plain).map_or_else(|| name.to_owned(), |(_, rfc)| (*rfc).to_owned())
}

/// Key usages with the small first letter of RFC 5280.
pub(super) fn key_usages(role: &Value) -> BTreeSet<String> {
    strings(role, "key_usage").iter().map(|name| key_usage(name)).collect()
}

fn key_usage(name: &str) -> String {
    let plain = name.trim_start_matches("KeyUsage");
    match plain {
        "CRLSign" => "cRLSign".to_owned(),
        "CertSign" => "keyCertSign".to_owned(),
        "ContentCommitment" => "contentCommitment".to_owned(),
        other => other.chars().take(1).flat_map(char::to_lowercase).chain(other.chars().skip(1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_way_to_name_a_purpose_is_the_same_purpose() {
        let role = json!({"server_flag": true, "client_flag": false, "ext_key_usage": ["ExtKeyUsageClientAuth", "TimeStamping"], "ext_key_usage_oids": ["1.2.3", "2.5.29.37.0"]});
        let found: Vec<String> = purposes(&role).into_iter().collect();
        assert_eq!(found, ["1.2.3", "anyExtendedKeyUsage", "clientAuth", "serverAuth", "timeStamping"]);
        let usages: Vec<String> =
            key_usages(&json!({"key_usage": "DigitalSignature,KeyUsageKeyAgreement, CertSign"})).into_iter().collect();
        assert_eq!(usages, ["digitalSignature", "keyAgreement", "keyCertSign"]);
    }
}
