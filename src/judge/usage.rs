//! Extended key usage and key usage of a leaf against its profile. webpki accepts a leaf without either ([webpki](crate::judge#webpki)),
//! so this is ours.

use super::cert::{Facts, Usages};
use super::lint::{self, Findings, audit};
use super::oid::{ANY_EKU, CLIENT_AUTH, SERVER_AUTH, eku_name, eku_oid};
use crate::model::profile::{Profile, Purpose};

/// The OIDs a leaf for this purpose needs.
#[must_use]
pub fn purpose_oids(purpose: Purpose) -> Vec<&'static str> {
    let server = purpose.server().then_some(SERVER_AUTH);
    server.into_iter().chain(purpose.client().then_some(CLIENT_AUTH)).collect()
}

/// Judges both usages of a leaf.
pub fn check(findings: &mut Findings<'_>, leaf: &Facts, profile: &Profile) {
    extended(findings, leaf.extensions.eku.as_ref(), profile);
    key_usage(findings, leaf, profile);
}

/// Judges both usages of a leaf without a profile: by what it is used for, where that is said. What was found by a profile is not said again.
pub fn plain(findings: &mut Findings<'_>, leaf: &Facts, purpose: Option<Purpose>) {
    if let Some(eku) = &leaf.extensions.eku {
        if eku.values.is_empty() {
            findings.add(&audit::EKU_EMPTY, "at least one purpose", "an empty extension");
        }
        if eku.critical && !findings.has(&lint::EKU_CRITICAL) {
            findings.add(&lint::EKU_CRITICAL, "not critical", "critical");
        }
    }
    if let Some(purpose) = purpose {
        for_purpose(findings, leaf, purpose);
    }
    let Some(usage) = &leaf.extensions.key_usage else { return };
    let found = words(usage.values.iter().map(String::as_str));
    let is = |word: &str| usage.values.iter().any(|value| value == word);
    if (is("keyCertSign") || is("cRLSign")) && !findings.has(&lint::KU_CA) {
        findings.add(&lint::KU_CA, "neither keyCertSign nor cRLSign", &found);
    }
    if purpose.is_some() && !is("digitalSignature") && !findings.has(&lint::KU_MISSING) {
        findings.add(&lint::KU_MISSING, "digitalSignature", &found);
    }
    if !findings.has(&lint::KU_RSA) && !findings.has(&lint::KU_EC) {
        unfit(findings, leaf, usage, &[]);
    }
    if !usage.critical && !findings.has(&lint::KU_NOT_CRITICAL) {
        findings.add(&lint::KU_NOT_CRITICAL, "critical", "not critical");
    }
}

fn for_purpose(findings: &mut Findings<'_>, leaf: &Facts, purpose: Purpose) {
    let required = purpose_oids(purpose);
    let wanted = words(required.iter().map(|oid| eku_name(oid)));
    let Some(eku) = &leaf.extensions.eku else {
        if !findings.has(&lint::EKU_ABSENT) {
            findings.add(&lint::EKU_ABSENT, wanted, "none");
        }
        return;
    };
    let found = words(eku.values.iter().map(|oid| eku_name(oid)));
    if required.iter().any(|oid| !eku.values.iter().any(|value| value == oid)) && !findings.has(&lint::EKU_MISSING) {
        findings.add(&lint::EKU_MISSING, &wanted, &found);
    }
    if eku.values.iter().any(|oid| oid == ANY_EKU) && !findings.has(&lint::EKU_ANY) {
        findings.add(&lint::EKU_ANY, wanted, found);
    }
}

fn extended(findings: &mut Findings<'_>, eku: Option<&Usages>, profile: &Profile) {
    let mut required = purpose_oids(profile.purpose);
    for word in &profile.eku.required {
        if !required.contains(&eku_oid(word)) {
            required.push(eku_oid(word));
        }
    }
    let wanted = words(required.iter().map(|oid| eku_name(oid)));
    let Some(eku) = eku.filter(|eku| !eku.values.is_empty()) else {
        let found = if eku.is_some() { "an empty extension" } else { "none" };
        findings.add(&lint::EKU_ABSENT, wanted, found);
        return;
    };
    let found = words(eku.values.iter().map(|oid| eku_name(oid)));
    let missing: Vec<&str> = required.iter().copied().filter(|oid| !eku.values.iter().any(|value| value == oid)).collect();
    if !missing.is_empty() {
        findings.add(&lint::EKU_MISSING, words(missing.iter().map(|oid| eku_name(oid))), &found);
    }
    if eku.values.iter().any(|oid| oid == ANY_EKU) {
        findings.add(&lint::EKU_ANY, &wanted, &found);
    }
    let allowed = |oid: &str| required.contains(&oid) || profile.eku.allowed.iter().any(|word| eku_oid(word) == oid);
    let extra: Vec<&str> = eku.values.iter().map(String::as_str).filter(|oid| *oid != ANY_EKU && !allowed(oid)).collect();
    if !extra.is_empty() {
        let may = required.iter().copied().chain(profile.eku.allowed.iter().map(|word| eku_oid(word)));
        findings.add(&lint::EKU_EXTRA, format!("only {}", words(may.map(eku_name))), words(extra.iter().map(|oid| eku_name(oid))));
    }
    if eku.critical {
        findings.add(&lint::EKU_CRITICAL, "not critical", "critical");
    }
}

fn key_usage(findings: &mut Findings<'_>, leaf: &Facts, profile: &Profile) {
    let none = Usages { critical: true, values: Vec::new() };
    let usage = leaf.extensions.key_usage.as_ref().unwrap_or(&none);
    let has = |word: &str| usage.values.iter().any(|value| value == word);
    let found = if usage.values.is_empty() { "none".to_owned() } else { words(usage.values.iter().map(String::as_str)) };
    let Profile { key_usage: policy, .. } = profile;
    let missing: Vec<&str> = policy.required.iter().map(String::as_str).filter(|word| !has(word)).collect();
    if !missing.is_empty() {
        findings.add(&lint::KU_MISSING, words(missing.into_iter()), &found);
    }
    let of_ca = |word: &str| word == "keyCertSign" || word == "cRLSign";
    if usage.values.iter().any(|value| of_ca(value)) {
        findings.add(&lint::KU_CA, "neither keyCertSign nor cRLSign", &found);
    }
    let may: Vec<&str> = policy.required.iter().chain(&policy.allowed).map(String::as_str).collect();
    let extra: Vec<&str> = usage.values.iter().map(String::as_str).filter(|value| !of_ca(value) && !may.contains(value)).collect();
    if !extra.is_empty() {
        findings.add(&lint::KU_EXTRA, format!("only {}", words(may.iter().copied())), words(extra.iter().copied()));
    }
    unfit(findings, leaf, usage, &extra);
    if !usage.critical {
        findings.add(&lint::KU_NOT_CRITICAL, "critical", "not critical");
    }
}

/// Usages that the kind of key has no use for; OpenBao's default role sets both ([OpenBao's roles](crate::judge#openbaos-roles)). Those
/// outside the profile are said already.
fn unfit(findings: &mut Findings<'_>, leaf: &Facts, usage: &Usages, said: &[&str]) {
    let present = |words: &[&str]| -> Vec<String> {
        usage.values.iter().filter(|value| words.contains(&value.as_str()) && !said.contains(&value.as_str())).cloned().collect()
    };
    if leaf.key.kind.is_rsa() && !present(&["keyAgreement"]).is_empty() {
        findings.add(
            &lint::KU_RSA,
            "no keyAgreement with an RSA key: key_usage=DigitalSignature,KeyEncipherment on the role",
            "keyAgreement",
        );
    }
    let enciphering = present(&["keyEncipherment", "dataEncipherment"]);
    if leaf.key.kind.is_ec() && !enciphering.is_empty() {
        findings.add(&lint::KU_EC, "no encipherment with an EC key: key_usage=DigitalSignature on the role", enciphering.join(", "));
    }
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::kit::{self, *};
    use super::*;
    use crate::model::finding::Finding;
    use crate::model::profile::Usage;

    fn judge(leaf: &[u8], change: impl FnOnce(&mut Profile)) -> Vec<Finding> {
        let none = BTreeMap::new();
        let mut findings = Findings::new(&none);
        check(&mut findings, &Facts::parse(leaf).unwrap(), &request_with(change).profile);
        findings.into_vec()
    }

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    fn leaf_with_usage(key: &rcgen::KeyPair, bits: &[u8]) -> Vec<u8> {
        let pki = Pki::new();
        let mut parts = Parts::of(&pki.middle.sign(&kit::leaf(), key));
        parts.remove(KEY_USAGE);
        parts.extensions.push(extension(KEY_USAGE, true, &tlv(3, bits)));
        parts.sign(&pki.middle.key)
    }

    /// OpenBao's default role sets digitalSignature, keyEncipherment and keyAgreement for every key
    /// ([OpenBao's roles](crate::judge#openbaos-roles)).
    #[test]
    fn the_default_role_is_allowed_and_named_for_both_kinds_of_key() {
        let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        for (key, id, setting) in [
            (kit::key(), "ku.ec-encipherment", "key_usage=DigitalSignature"),
            (rsa, "ku.rsa-key-agreement", "DigitalSignature,KeyEncipherment"),
        ] {
            let findings = judge(&leaf_with_usage(&key, &[3, 0xa8]), |_| {});
            assert_eq!(ids(&findings), [id]);
            assert!(!findings[0].blocks() && findings[0].expected.contains(setting), "{findings:?}");
            assert!(lint::find(id).unwrap().remedy_for("pki", "web-servers").unwrap().contains("on role web-servers"));
        }
    }

    #[test]
    fn a_profile_that_does_not_allow_them_refuses_them() {
        let leaf = leaf_with_usage(&kit::key(), &[3, 0xa8]);
        let findings = judge(&leaf, |profile| profile.key_usage.allowed.clear());
        assert_eq!(ids(&findings), ["ku.extra"]);
        assert_eq!((findings[0].expected.as_str(), findings[0].found.as_str()), ("only digitalSignature", "keyEncipherment, keyAgreement"));
        let findings = judge(&leaf, |profile| profile.key_usage.allowed = words(&["keyAgreement"]));
        assert_eq!(ids(&findings), ["ku.extra"]);
    }

    #[test]
    fn usages_of_an_authority_are_refused_even_where_a_profile_allows_them() {
        let leaf = leaf_with_usage(&kit::key(), &[1, 0x86]);
        let findings = judge(&leaf, |profile| profile.key_usage.allowed = words(&["keyCertSign", "cRLSign"]));
        assert_eq!(ids(&findings), ["ku.ca-on-leaf"]);
        let findings = judge(&leaf, |profile| profile.key_usage.required = words(&["digitalSignature", "keyCertSign"]));
        assert_eq!(ids(&findings), ["ku.ca-on-leaf"]);
    }

    #[test]
    fn dotted_oids_and_names_mean_the_same() {
        let pki = Pki::new();
        let mut params = kit::leaf();
        params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 99999, 1]));
        let leaf = pki.leaf_of(&params);
        assert_eq!(ids(&judge(&leaf, |_| {})), ["eku.extra"]);
        let own = "1.3.6.1.4.1.99999.1";
        assert_eq!(judge(&leaf, |profile| profile.eku = Usage { required: words(&[SERVER_AUTH, own]), allowed: vec![] }), []);
        assert_eq!(judge(&leaf, |profile| profile.eku.allowed = words(&[own])), []);
        let findings = judge(&pki.leaf(), |profile| profile.eku.required = words(&["clientAuth", own]));
        assert_eq!(ids(&findings), ["eku.missing"]);
        assert_eq!((findings[0].expected.as_str(), findings[0].found.as_str()), ("clientAuth, 1.3.6.1.4.1.99999.1", "serverAuth"));
    }

    #[test]
    fn any_usage_is_refused_even_where_a_profile_allows_it() {
        let pki = Pki::new();
        let mut params = kit::leaf();
        params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::Any);
        let findings = judge(&pki.leaf_of(&params), |profile| profile.eku.allowed = words(&["anyExtendedKeyUsage"]));
        assert_eq!(ids(&findings), ["eku.any"]);
    }
}
