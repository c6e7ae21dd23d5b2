//! Names of a leaf that nobody here asked a CA for: their form, and whether they cover what clients will look for. It must never look for a
//! name in the common name: rustls and Go do not either ([Peers](crate::judge#peers)).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::cert::{Facts, Names};
use super::lint::{self, Findings, audit};
use super::parsed::Parsed;
use crate::model::profile::Purpose;
use crate::model::request::{is_email, is_host_name};

/// A name that the leaf must be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A DNS name, matched as RFC 6125 does.
    Dns(String),
    /// An IP address.
    Ip(std::net::IpAddr),
    /// A URI, such as a SPIFFE ID, equal to one of the leaf's.
    Uri(String),
}

/// Judges the form of all names of a leaf.
pub(super) fn form(findings: &mut Findings<'_>, leaf: &Facts, purpose: Option<Purpose>, wildcard: bool) {
    let none = Names::default();
    let san = leaf.extensions.san.as_ref().unwrap_or(&none);
    if purpose.is_some_and(Purpose::server) && san.dns.is_empty() && san.ip.is_empty() && san.others.is_empty() {
        findings.add(&audit::NAME_ABSENT, "a subject alternative name", format!("only the subject {}", leaf.subject));
    }
    let mut seen = BTreeSet::new();
    for name in &san.dns {
        if !seen.insert(name.to_ascii_lowercase()) {
            findings.add(&lint::NAME_TWICE, "each name once", format!("dns:{name}"));
        } else {
            dns(findings, name, wildcard);
        }
    }
    for ip in &san.ip {
        if !seen.insert(ip.to_string()) {
            findings.add(&lint::NAME_TWICE, "each name once", format!("ip:{ip}"));
        }
    }
    for other in san.others.iter().filter(|other| other.starts_with("ip:#")) {
        findings.add(&lint::NAME_MALFORMED, "an address of 4 or 16 octets", other);
    }
    for other in san.others.iter().filter(|other| other.starts_with("invalid[")) {
        findings.add(&lint::NAME_MALFORMED, "a name in ASCII, as its kind asks", other);
    }
    for other in san.others.iter().filter(|other| !is_well_formed(other)) {
        findings.add(&audit::NAME_OTHER_MALFORMED, "a URI with a scheme, or an e-mail address", other);
    }
    if let Some(own) = loopback(san) {
        findings.add(&audit::NAME_LOCALHOST, "names of this host alone", own);
    }
    common_name(findings, leaf, san);
    match (&leaf.extensions.san, leaf.subject.is_empty()) {
        (Some(san), false) if san.critical => findings.add(&lint::SAN_CRITICAL, "not critical", "critical"),
        (Some(san), true) if !san.critical => findings.add(&lint::SAN_NOT_CRITICAL, "critical, as the subject is empty", "not critical"),
        _ => {}
    }
}

fn dns(findings: &mut Findings<'_>, name: &str, wildcard: bool) {
    let found = format!("dns:{name}");
    let rest = name.strip_prefix("*.").unwrap_or(name);
    if rest.contains('*') {
        findings.add(&audit::NAME_PARTIAL, "a wildcard as the whole first label, or none", found);
    } else if !is_host_name(name) {
        findings.add(&lint::NAME_MALFORMED, "a host name", found);
    } else if name.contains('*') && !wildcard {
        findings.add(&lint::NAME_WILDCARD, "no wildcard", found);
    }
}

/// Whether a name of another kind is what its kind says, as far as that is known: a URI with a scheme and something behind it (RFC 3986 §3),
/// an e-mail address.
fn is_well_formed(other: &str) -> bool {
    match other.split_once(':') {
        Some(("uri", uri)) => uri.split_once(':').is_some_and(|(scheme, rest)| {
            let letters = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
            uri.is_ascii()
                && !rest.trim_start_matches('/').is_empty()
                && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(letters)
        }),
        Some(("email", email)) => is_email(email),
        _ => true,
    }
}

fn loopback(san: &Names) -> Option<String> {
    let dns = san.dns.iter().find(|name| name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost"));
    dns.map(|name| format!("dns:{name}")).or_else(|| san.ip.iter().find(|ip| ip.is_loopback()).map(|ip| format!("ip:{ip}")))
}

/// A common name that is one of the names in another spelling, or, where it is the whole subject, reads as a name and is none of them
/// (CA/Browser Forum Baseline Requirements §7.1.4.3). Beside other attributes it describes rather than names.
fn common_name(findings: &mut Findings<'_>, leaf: &Facts, san: &Names) {
    if san.dns.is_empty() && san.ip.is_empty() {
        return;
    }
    let alone = leaf.subject.others.is_empty();
    let reads_as_name = |name: &str| name.contains(['.', ':']) && !name.contains([' ', '/']);
    let wild = |common: &str| san.dns.iter().any(|name| covers(name, common));
    let is_meant = |common: &str| {
        let ip = common.parse::<IpAddr>().ok().or_else(|| aton(common).map(IpAddr::V4));
        san.dns.iter().any(|name| name.eq_ignore_ascii_case(common)) || ip.is_some_and(|ip| san.ip.contains(&ip))
    };
    let odd = |name: &&String| !san.spells(name) && (is_meant(name) || (alone && reads_as_name(name) && !wild(name)));
    if let Some(beside) = leaf.subject.common_names.iter().find(|name| !san.spells(name) && !is_meant(name) && wild(name)) {
        findings.add(&lint::NAME_CN_WILDCARD, "a common name among the names", format!("cn:{beside}"));
    }
    if let Some(odd) = leaf.subject.common_names.iter().find(odd) {
        findings.add(&lint::NAME_CN_SPELLING, "a common name spelled like one of the names", format!("cn:{odd}"));
    }
}

/// Whether a wildcard is for a name: of one more label.
fn covers(wildcard: &str, name: &str) -> bool {
    let behind = wildcard.strip_prefix("*.").zip(name.split_once('.').map(|(_, behind)| behind));
    behind.is_some_and(|(own, behind)| own.eq_ignore_ascii_case(behind))
}

/// An IPv4 address as `inet_aton` reads it: one to four numbers, in decimal, octal (`0…`) or hexadecimal (`0x…`), the last of which fills
/// what is left.
fn aton(text: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8).ok().or_else(|| part.parse().ok()),
        None => part.parse().ok(),
    };
    let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let left = 8 * (4 - u32::try_from(first.len()).ok()?);
    if left < 32 && *last >> left != 0 {
        return None;
    }
    let high = first.iter().zip([24_u32, 16, 8]).fold(0_u32, |all, (part, shift)| all | part << shift);
    Some(Ipv4Addr::from(high | last))
}

/// Judges whether a leaf is for every one of these names.
pub(super) fn cover(findings: &mut Findings<'_>, leaf: &Parsed<'_>, wanted: &[Wanted]) {
    let none = Names::default();
    let san = leaf.facts.extensions.san.as_ref().unwrap_or(&none);
    for name in wanted.iter().filter(|name| !is_covered(leaf, san, name)) {
        let common = &leaf.facts.subject.common_names;
        let (words, only_common) = match name {
            Wanted::Dns(dns) => (format!("dns:{dns}"), san.dns.is_empty() && common.iter().any(|cn| cn.eq_ignore_ascii_case(dns))),
            Wanted::Ip(ip) => (format!("ip:{ip}"), false),
            Wanted::Uri(uri) => (format!("uri:{uri}"), false),
        };
        let lint = if only_common { &audit::NAME_ONLY_CN } else { &lint::NAME_MISSING };
        findings.add(lint, words, list(san));
    }
}

fn is_covered(leaf: &Parsed<'_>, san: &Names, wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Dns(name) if name.starts_with("*.") => san.dns.iter().any(|own| own.eq_ignore_ascii_case(name)),
        Wanted::Dns(name) => name.parse::<IpAddr>().is_err() && super::gate::named(&leaf.der, name.trim_end_matches('.')).is_ok(),
        Wanted::Ip(ip) => san.ip.contains(ip),
        Wanted::Uri(uri) => san.others.iter().any(|other| other.strip_prefix("uri:") == Some(uri)),
    }
}

fn list(san: &Names) -> String {
    let names: Vec<String> =
        san.dns.iter().cloned().chain(san.ip.iter().map(ToString::to_string)).chain(san.others.iter().cloned()).collect();
    if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_many_spellings() {
        for text in ["127.0.0.1", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "127.1", "127.0.1", "017700000001"] {
            assert_eq!(aton(text), Some(Ipv4Addr::LOCALHOST), "{text}");
        }
        for text in ["", "a", "256.0.0.1", "1.2.3.4.5", "127.0.0.256", "0x", "1..2", "127.16777216"] {
            assert_eq!(aton(text), None, "{text}");
        }
    }

    #[test]
    fn a_uri_has_a_scheme_and_an_address_no_brackets() {
        for good in ["uri:spiffe://funlab.casa/web", "uri:urn:uuid:5a1e", "email:web@funlab.casa", "directory:CN=web", "id:1.2.3"] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in [
            "uri:",
            "uri:web",
            "uri:/web",
            "uri:spiffe:",
            "uri:https://",
            "uri:https://k\u{f6}ln.example",
            "uri:1a:b",
            "uri:a b://c",
            "email:<web@funlab.casa>",
            "email:web",
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    #[test]
    fn a_wildcard_is_for_one_more_label() {
        for (name, covered) in [("a.example.com", true), ("A.EXAMPLE.com", true), ("a.b.example.com", false), ("example.com", false)] {
            assert_eq!(covers("*.example.com", name), covered, "{name}");
        }
    }
}
