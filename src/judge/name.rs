//! Names of a leaf: every one that was asked for and no other, of whatever kind.

use std::collections::BTreeSet;

use super::cert::{Facts, Names};
use super::lint::{self, Findings};
use crate::model::request::{Request, is_host_name};

/// Judges subject and subject alternative names of a leaf.
pub fn check(findings: &mut Findings<'_>, leaf: &Facts, request: &Request) {
    let none = Names::default();
    let san = leaf.extensions.san.as_ref().unwrap_or(&none);
    dns(findings, san, request);
    addresses(findings, san, request);
    for other in &san.others {
        findings.add(&lint::NAME_EXTRA, "DNS names and IP addresses only", other);
        if other.starts_with("ip:#") {
            findings.add(&lint::NAME_MALFORMED, "an address of 4 or 16 octets", other);
        }
    }
    common_name(findings, leaf, request);
    if !leaf.subject.others.is_empty() {
        findings.add(&lint::NAME_SUBJECT, "a common name alone", leaf.subject.others.join(", "));
    }
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
    let text = |ips: &[std::net::IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let list =
        |ips: &[std::net::IpAddr], only: &str| if ips.is_empty() { "no addresses".to_owned() } else { format!("{only}{}", text(ips)) };
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

fn common_name(findings: &mut Findings<'_>, leaf: &Facts, request: &Request) {
    let asked = request.common_name.as_str();
    let names = &leaf.subject.common_names;
    // OpenBao keeps the case of the CSR and host names have none (facts/openbao §4).
    if let Some(other) = names.iter().find(|name| !name.eq_ignore_ascii_case(asked)) {
        let expected = if asked.is_empty() { "none".to_owned() } else { format!("cn:{asked}") };
        findings.add(&lint::NAME_CN_OTHER, expected, format!("cn:{other}"));
    }
    if names.is_empty() && !asked.is_empty() {
        findings.add(&lint::NAME_CN_ABSENT, format!("cn:{asked}"), "no common name");
    }
    if names.len() > 1 {
        findings.add(&lint::NAME_TWICE, "one common name", format!("{} of them", names.len()));
    }
}
