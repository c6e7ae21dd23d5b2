//! Names of a leaf: every one that was asked for and no other, of whatever kind.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::cert::{Facts, Names};
use super::lint::{self, Findings};
use crate::model::request::{Request, is_host_name, plain_email, plain_uri};

/// Judges subject and subject alternative names of a leaf.
pub fn check(findings: &mut Findings<'_>, leaf: &Facts, request: &Request) {
    let none = Names::default();
    let san = leaf.extensions.san.as_ref().unwrap_or(&none);
    dns(findings, san, request);
    addresses(findings, san, request);
    others(findings, san, request);
    common_name(findings, leaf, request);
    subject(findings, &leaf.subject.others, request);
    match (&leaf.extensions.san, leaf.subject.is_empty()) {
        (Some(san), false) if san.critical => findings.add(&lint::SAN_CRITICAL, "not critical", "critical"),
        (Some(san), true) if !san.critical => findings.add(&lint::SAN_NOT_CRITICAL, "critical, as the subject is empty", "not critical"),
        _ => {}
    }
}

fn dns(findings: &mut Findings<'_>, san: &Names, request: &Request) {
    let expected = request.dns_names();
    let found: Vec<String> = san.dns.iter().map(|name| name.to_ascii_lowercase()).collect();
    let list = || if found.is_empty() { "no DNS names".to_owned() } else { found.join(", ") };
    for name in expected.iter().filter(|name| !found.contains(name)) {
        findings.add(&lint::NAME_MISSING, format!("dns:{name}"), list());
    }
    let mut seen = BTreeSet::new();
    for name in &found {
        if !seen.insert(name) {
            findings.add(&lint::NAME_TWICE, "each name once", format!("dns:{name}"));
            continue;
        }
        if !expected.contains(name) {
            let expected = if expected.is_empty() { "no DNS names".to_owned() } else { format!("only {}", expected.join(", ")) };
            findings.add(&lint::NAME_EXTRA, expected, format!("dns:{name}"));
        }
        if name.contains('*') && !request.profile.wildcard {
            findings.add(&lint::NAME_WILDCARD, "no wildcard", format!("dns:{name}"));
        }
        if !is_host_name(name) {
            findings.add(&lint::NAME_MALFORMED, "a host name", format!("dns:{name}"));
        }
    }
}

fn addresses(findings: &mut Findings<'_>, san: &Names, request: &Request) {
    let text = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let list = |ips: &[IpAddr], only: &str| if ips.is_empty() { "no addresses".to_owned() } else { format!("{only}{}", text(ips)) };
    for ip in request.ip.iter().filter(|ip| !san.ip.contains(ip)) {
        findings.add(&lint::NAME_MISSING, format!("ip:{ip}"), list(&san.ip, ""));
    }
    let mut seen = BTreeSet::new();
    for ip in &san.ip {
        if !seen.insert(ip) {
            findings.add(&lint::NAME_TWICE, "each name once", format!("ip:{ip}"));
        } else if !request.ip.contains(ip) {
            findings.add(&lint::NAME_EXTRA, list(&request.ip, "only "), format!("ip:{ip}"));
        }
    }
}

/// URIs and e-mail addresses; no settings ask for any other kind.
fn others(findings: &mut Findings<'_>, san: &Names, request: &Request) {
    let uris = request.uri.iter().map(|uri| format!("uri:{uri}"));
    let expected: Vec<String> = uris.chain(request.emails().into_iter().map(|email| format!("email:{email}"))).collect();
    let wanted: BTreeSet<String> = expected.iter().map(|name| plain(name)).collect();
    let found: Vec<String> = san.others.iter().map(|name| plain(name)).collect();
    let list = || if san.others.is_empty() { "no URI and no e-mail address".to_owned() } else { san.others.join(", ") };
    for name in expected.iter().filter(|name| !found.contains(&plain(name))) {
        findings.add(&lint::NAME_MISSING, name, list());
    }
    let only = || match expected.as_slice() {
        [] => "DNS names and IP addresses only".to_owned(),
        expected => format!("only {}", expected.join(", ")),
    };
    let mut seen = BTreeSet::new();
    for (name, plain) in san.others.iter().zip(&found) {
        if !seen.insert(plain) {
            findings.add(&lint::NAME_TWICE, "each name once", name);
        } else if !wanted.contains(plain) {
            findings.add(&lint::NAME_EXTRA, only(), name);
        }
        if name.starts_with("ip:#") {
            findings.add(&lint::NAME_MALFORMED, "an address of 4 or 16 octets", name);
        }
    }
}

/// A name with its kind, without the case of what has none.
fn plain(name: &str) -> String {
    match name.split_once(':') {
        Some(("uri", uri)) => format!("uri:{}", plain_uri(uri)),
        Some(("email", email)) => format!("email:{}", plain_email(email)),
        _ => name.to_owned(),
    }
}

/// The subject beside its common name: what the settings name has to be there. What else the role sets names nobody and is told.
fn subject(findings: &mut Findings<'_>, found: &[String], request: &Request) {
    let expected: Vec<String> = request.subject.iter().map(ToString::to_string).collect();
    for field in expected.iter().filter(|field| !found.contains(field)) {
        let found = if found.is_empty() { "a common name alone".to_owned() } else { found.join(", ") };
        findings.add(&lint::NAME_SUBJECT_MISSING, field, found);
    }
    let extra: Vec<&str> = found.iter().filter(|field| !expected.contains(field)).map(String::as_str).collect();
    if !extra.is_empty() {
        let expected = if expected.is_empty() { "a common name alone".to_owned() } else { format!("only {}", expected.join(", ")) };
        findings.add(&lint::NAME_SUBJECT, expected, extra.join(", "));
    }
}

fn common_name(findings: &mut Findings<'_>, leaf: &Facts, request: &Request) {
    let asked = request.common_name.as_str();
    let names = &leaf.subject.common_names;
    // OpenBao keeps the case of the CSR and host names have none (io/openbao/facts.md, "Signing").
    if let Some(other) = names.iter().find(|name| !name.eq_ignore_ascii_case(asked)) {
        let expected = if asked.is_empty() { "none".to_owned() } else { format!("cn:{asked}") };
        findings.add(&lint::NAME_CN_OTHER, expected, format!("cn:{other}"));
    }
    // One that is another name, or is missing among the names, is said already.
    let said = |lint| findings.has(lint);
    if let Some(odd) = names.iter().find(|name| reads_as_name(name) && !is_spelled(name, leaf))
        && !said(&lint::NAME_CN_OTHER)
        && !said(&lint::NAME_MISSING)
    {
        findings.add(&lint::NAME_CN_SPELLING, "a common name spelled like one of the names", format!("cn:{odd}"));
    }
    if names.is_empty() && !asked.is_empty() {
        findings.add(&lint::NAME_CN_ABSENT, format!("cn:{asked}"), "no common name");
    }
    if names.len() > 1 {
        findings.add(&lint::NAME_TWICE, "one common name", format!("{} of them", names.len()));
    }
}

fn reads_as_name(common_name: &str) -> bool {
    is_host_name(common_name) || common_name.parse::<IpAddr>().is_ok() || (common_name.contains('.') && !common_name.contains(' '))
}

/// Character for character, as some peers compare it (CA/Browser Forum Baseline Requirements §7.1.4.3).
fn is_spelled(common_name: &str, leaf: &Facts) -> bool {
    leaf.extensions.san.as_ref().is_some_and(|san| san.spells(common_name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::slice::from_ref;

    use rcgen::{DnType, SanType};

    use super::super::kit::{self, *};
    use super::*;
    use crate::model::finding::Finding;
    use crate::model::request::SubjectField;

    fn judge(params: &rcgen::CertificateParams, request: &Request) -> Vec<Finding> {
        let none = BTreeMap::new();
        let mut findings = Findings::new(&none);
        check(&mut findings, &Facts::parse(&Pki::new().leaf_of(params)).unwrap(), request);
        findings.into_vec()
    }

    /// OpenBao keeps the case of the CSR ([Signing](crate::io::openbao#signing)).
    #[test]
    fn names_have_no_case() {
        let mut params = kit::leaf();
        params.subject_alt_names[0] = kit::dns("Web.Funlab.Casa");
        params.distinguished_name.push(DnType::CommonName, "Web.Funlab.Casa");
        assert_eq!(judge(&params, &request()), []);
        params.distinguished_name.push(DnType::CommonName, "WEB.funlab.casa");
        assert_eq!(ids(&judge(&params, &request())), ["name.cn-spelling"]);
    }

    #[test]
    fn what_is_missing_and_what_is_there_instead_are_both_said() {
        let mut params = kit::leaf();
        params.subject_alt_names[1] = kit::dns("localhost.evil.example");
        let findings = judge(&params, &request());
        let said: Vec<(&str, &str, &str)> = findings.iter().map(|f| (f.id.as_str(), f.expected.as_str(), f.found.as_str())).collect();
        assert_eq!(
            said,
            [
                ("name.missing", "dns:localhost", "web.funlab.casa, localhost.evil.example"),
                ("name.extra", "only web.funlab.casa, localhost", "dns:localhost.evil.example"),
            ]
        );
    }

    #[test]
    fn a_common_name_that_is_no_host_name_is_expected_in_the_subject_alone() {
        let request = Request { common_name: "Keylime Agent 7".to_owned(), dns: vec![], ip: vec![], ..request() };
        let mut params = kit::leaf();
        params.subject_alt_names.clear();
        params.distinguished_name.push(DnType::CommonName, "Keylime Agent 7");
        assert_eq!(judge(&params, &request), []);
        params.subject_alt_names.push(kit::dns("keylime"));
        assert_eq!(ids(&judge(&params, &request)), ["name.extra"]);
    }

    #[test]
    fn an_address_in_a_dns_name_is_not_an_address() {
        let mut params = kit::leaf();
        params.subject_alt_names[2] = kit::dns("127.0.0.1");
        assert_eq!(ids(&judge(&params, &request())), ["name.extra", "name.malformed", "name.missing"]);
    }

    #[test]
    fn a_wildcard_needs_to_be_asked_for_and_allowed() {
        let mut params = kit::leaf();
        params.subject_alt_names.push(kit::dns("*.funlab.casa"));
        let asked = |request: Request| Request { dns: vec!["localhost".to_owned(), "*.funlab.casa".to_owned()], ..request };
        assert_eq!(judge(&params, &asked(request_with(|profile| profile.wildcard = true))), []);
        assert_eq!(ids(&judge(&params, &asked(request()))), ["name.wildcard"]);
        // It stands for no other name, and no other name stands for it.
        assert_eq!(ids(&judge(&params, &request_with(|profile| profile.wildcard = true))), ["name.extra"]);
        let mut part = kit::leaf();
        part.subject_alt_names.push(kit::dns("w*.funlab.casa"));
        assert_eq!(ids(&judge(&part, &request_with(|profile| profile.wildcard = true))), ["name.extra", "name.malformed"]);
    }

    #[test]
    fn names_of_an_empty_subject_are_critical() {
        let pki = Pki::new();
        let nameless = Request { common_name: String::new(), dns: vec!["web.funlab.casa".to_owned(), "localhost".to_owned()], ..request() };
        let mut parts = Parts::of(&pki.leaf());
        parts.subject = tlv(0x30, &[]);
        let judge = |parts: &Parts| pki.judge_by(&nameless, &parts.sign(&pki.middle.key), from_ref(&pki.middle.der)).findings;
        assert_eq!(ids(&judge(&parts)), ["name.san-not-critical"]);
        let names = parts.remove(SAN);
        parts.extensions.push(extension(SAN, true, &names));
        assert_eq!(judge(&parts), []);
    }

    #[test]
    fn surplus_subject_attributes_are_said_and_names_in_them_are_sanitised() {
        let mut params = kit::leaf();
        params.distinguished_name.push(DnType::OrganizationName, "Third\x1b[2J Earth");
        let findings = judge(&params, &request());
        assert_eq!((ids(&findings), findings[0].found.as_str()), (vec!["name.subject-extra"], "O=Third\\u{1b}[2J Earth"));
    }

    #[test]
    fn uris_and_addresses_are_held_against_those_that_were_asked_for() {
        let asked = |uri: &[&str], email: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            Request { uri: owned(uri), email: owned(email), ..request() }
        };
        let mut params = kit::leaf();
        params.subject_alt_names.push(SanType::URI("SPIFFE://funlab.casa/Web".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("Ops@FunLab.casa".try_into().unwrap()));
        // Scheme, host and domain have no case, all else has.
        assert_eq!(judge(&params, &asked(&["spiffe://funlab.casa/Web"], &["Ops@funlab.casa"])), []);
        let rows: [(&[&str], &[&str], &[&str]); 4] = [
            (&[], &[], &["name.extra", "name.extra"]),
            (&["spiffe://funlab.casa/web"], &["Ops@funlab.casa"], &["name.extra", "name.missing"]),
            (&["spiffe://funlab.casa/Web"], &["ops@funlab.casa"], &["name.extra", "name.missing"]),
            (&["spiffe://funlab.casa/Web", "https://funlab.casa"], &["Ops@funlab.casa"], &["name.missing"]),
        ];
        for (uri, email, expected) in rows {
            assert_eq!(ids(&judge(&params, &asked(uri, email))), expected, "{uri:?} {email:?}");
        }
        params.subject_alt_names.push(SanType::URI("spiffe://funlab.casa/Web".try_into().unwrap()));
        assert_eq!(ids(&judge(&params, &asked(&["spiffe://funlab.casa/Web"], &["Ops@funlab.casa"]))), ["name.twice"]);
        // A name of another kind is none of them, however it reads.
        let mut params = kit::leaf();
        params.subject_alt_names.push(SanType::Rfc822Name("spiffe://funlab.casa/Web".try_into().unwrap()));
        assert_eq!(ids(&judge(&params, &asked(&["spiffe://funlab.casa/Web"], &[]))), ["name.extra", "name.missing"]);
    }

    #[test]
    fn subject_fields_that_the_settings_name_are_there_and_others_are_told() {
        let field = |attribute, value: &str| SubjectField { attribute, value: value.to_owned() };
        let mut params = kit::leaf();
        params.distinguished_name.push(DnType::OrganizationName, "Third Earth");
        params.distinguished_name.push(DnType::CountryName, "CH");
        let rows = [
            (vec![], vec![("name.subject-extra", "a common name alone", "O=Third Earth, C=CH")]),
            (vec![field("O", "Third Earth")], vec![("name.subject-extra", "only O=Third Earth", "C=CH")]),
            (vec![field("O", "Third Earth"), field("C", "CH")], vec![]),
            (
                vec![field("O", "Third Earth"), field("C", "CH"), field("OU", "Lair")],
                vec![("name.subject-missing", "OU=Lair", "O=Third Earth, C=CH")],
            ),
        ];
        for (subject, expected) in rows {
            let findings = judge(&params, &Request { subject, ..request() });
            let said: Vec<_> = findings.iter().map(|f| (f.id.as_str(), f.expected.as_str(), f.found.as_str())).collect();
            assert_eq!(said, expected);
            assert!(findings.iter().all(|finding| finding.blocks() == (finding.id == "name.subject-missing")));
        }
    }

    #[test]
    fn every_common_name_counts() {
        let pki = Pki::new();
        let mut parts = Parts::of(&pki.leaf());
        let cn = |name: &[u8]| tlv(0x31, &tlv(0x30, &[tlv(6, &[0x55, 4, 3]), tlv(12, name)].concat()));
        for (second, expected) in [(&b"evil.example"[..], &["name.cn-other", "name.twice"][..]), (b"web.funlab.casa", &["name.twice"])] {
            parts.subject = tlv(0x30, &[cn(b"web.funlab.casa"), cn(second)].concat());
            let verdict = pki.judge(&parts.sign(&pki.middle.key), from_ref(&pki.middle.der));
            assert_eq!(ids(&verdict.findings), expected);
        }
    }
}
