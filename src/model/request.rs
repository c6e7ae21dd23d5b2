//! What is asked of the CA for one certificate, what the answer is judged by, and the answer itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Warning;
use super::key::KeyAlgorithm;
use super::name::CertName;
use super::profile::Profile;

/// One `[[certificate]]` as far as issuing and judging care.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its name in the settings.
    pub name: CertName,
    /// The profile it is judged by.
    pub profile: Arc<Profile>,
    /// The lifetime asked for.
    pub ttl: Duration,
    /// Subject common name.
    pub common_name: String,
    /// DNS names besides the common name.
    pub dns: Vec<String>,
    /// IP addresses.
    pub ip: Vec<IpAddr>,
    /// The key to make.
    pub algorithm: KeyAlgorithm,
}

/// What a certification authority signed. Nothing in it has been judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The leaf as sent, PEM.
    pub leaf_pem: String,
    /// Everything else that was sent, PEM, in any order; may hold the root ([Signing](crate::io::openbao#signing)).
    pub others: Vec<String>,
    /// What the authority warns of, and what we do.
    pub warnings: Vec<Warning>,
}

impl Request {
    /// The DNS names that must be in the certificate and no others: {common name if it is a host name} ∪ dns, lower case, each once.
    ///
    /// OpenBao adds a common name that is a host name to the SANs and keeps its case ([Signing](crate::io::openbao#signing)), so names are
    /// compared without case.
    #[must_use]
    pub fn dns_names(&self) -> Vec<String> {
        let own = is_host_name(&self.common_name).then_some(&self.common_name);
        let mut names: Vec<String> = own.into_iter().chain(&self.dns).map(|n| n.to_ascii_lowercase()).collect();
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|n| seen.insert(n.clone()));
        names
    }
}

/// Whether the text is a DNS host name in preferred syntax (RFC 1034 §3.5), possibly with a leading wildcard label; an IP address is none.
#[must_use]
pub fn is_host_name(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let label_is_good = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    !name.is_empty() && name.len() <= 253 && name.parse::<IpAddr>().is_err() && name.split('.').all(label_is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_told_from_other_common_names() {
        for good in ["localhost", "verifier.keylime.funlab.casa", "*.funlab.casa", "1.example", "X.Example"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", "Keylime Verifier", "10.0.0.1", "a_b.example", "-a.example", "a..b", "*", "a.*.b", &"a".repeat(64)] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
