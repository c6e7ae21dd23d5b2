//! Whether a certificate is for a name (RFC 6125 §6.4): DNS names without case and with one leading wildcard label, addresses as addresses.
//! The common name never counts.

use std::net::IpAddr;

use crate::judge::cert::Facts;

/// Whether it is for this name or address.
pub(super) fn covers(facts: &Facts, name: &str) -> bool {
    let Some(san) = &facts.extensions.san else { return false };
    let plain = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = plain.parse::<IpAddr>() {
        return san.ip.contains(&ip);
    }
    let wanted = name.trim_end_matches('.').to_ascii_lowercase();
    san.dns.iter().any(|own| {
        let own = own.to_ascii_lowercase();
        let under = |suffix: &str| wanted.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix);
        own == wanted || own.strip_prefix("*.").is_some_and(under)
    })
}

/// Whether it has DNS names at all.
pub(super) fn has_dns(facts: &Facts) -> bool {
    facts.extensions.san.as_ref().is_some_and(|san| !san.dns.is_empty())
}

/// A name of a configuration as something a client may ask for; `None` for patterns, variables and the names of nobody.
pub(super) fn asked_for(name: &str) -> Option<&str> {
    let name = name.strip_prefix('.').unwrap_or(name);
    let nobody = name.is_empty() || name == "_" || name.starts_with('~') || name.contains(['$', '{']) || name.ends_with(".*");
    // Reserved never to exist (RFC 2606): configurations use them for "no name at all".
    (!nobody && !name.ends_with(".invalid")).then_some(name)
}

/// All names of a certificate, for evidence.
pub(super) fn list(facts: &Facts) -> String {
    let Some(san) = &facts.extensions.san else { return "no names at all".to_owned() };
    let names: Vec<String> = san
        .dns
        .iter()
        .map(|name| format!("dns:{name}"))
        .chain(san.ip.iter().map(|ip| format!("ip:{ip}")))
        .chain(san.others.iter().cloned())
        .collect();
    if names.is_empty() { "no names at all".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::kit::{self, Pki};

    #[test]
    fn names_are_matched_as_clients_do() {
        let mut params = kit::leaf();
        params.subject_alt_names.push(kit::dns("*.mesh.funlab.casa"));
        let facts = Facts::parse(&Pki::new().leaf_of(&params)).unwrap();
        for good in ["web.funlab.casa", "WEB.funlab.casa.", "127.0.0.1", "[127.0.0.1]", "a.mesh.funlab.casa", "*.mesh.funlab.casa"] {
            assert!(covers(&facts, good), "{good}");
        }
        for bad in ["funlab.casa", "127.0.0.2", "a.b.mesh.funlab.casa", "mesh.funlab.casa", ".mesh.funlab.casa", ""] {
            assert!(!covers(&facts, bad), "{bad}");
        }
        assert_eq!(
            ["_", "", "~^x$", "$host", "a.*", ".a.b", "localhost"].map(asked_for),
            [None, None, None, None, None, Some("a.b"), Some("localhost")]
        );
    }
}
