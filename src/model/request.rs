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
    /// URIs, such as a SPIFFE ID.
    pub uri: Vec<String>,
    /// E-mail addresses besides a common name that is one.
    pub email: Vec<String>,
    /// Fields of the subject besides the common name, which the role has to set: a request cannot.
    pub subject: Vec<SubjectField>,
    /// The key to make.
    pub algorithm: KeyAlgorithm,
}

/// A field of the subject besides the common name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectField {
    /// Its attribute, by its short name (RFC 4514 §3).
    pub attribute: &'static str,
    /// What it says.
    pub value: String,
}

impl std::fmt::Display for SubjectField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.attribute, self.value)
    }
}

/// A kind of subject field: its key in the settings, by which a role of OpenBao calls it too, and its attribute.
#[derive(Clone, Copy, Debug)]
pub struct SubjectKey {
    /// The key.
    pub key: &'static str,
    /// The short name of the attribute.
    pub attribute: &'static str,
}

/// Those that a role of OpenBao can set.
pub const SUBJECT_KEYS: [SubjectKey; 7] = [
    SubjectKey { key: "country", attribute: "C" },
    SubjectKey { key: "province", attribute: "ST" },
    SubjectKey { key: "locality", attribute: "L" },
    SubjectKey { key: "street_address", attribute: "STREET" },
    SubjectKey { key: "postal_code", attribute: "postalCode" },
    SubjectKey { key: "organization", attribute: "O" },
    SubjectKey { key: "ou", attribute: "OU" },
];

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

    /// The e-mail addresses that must be in the certificate and no others: {common name if it is one} ∪ email, each once. OpenBao adds a
    /// common name that is one to the SANs ([Signing](crate::io::openbao#signing)).
    #[must_use]
    pub fn emails(&self) -> Vec<String> {
        let own = is_email(&self.common_name).then_some(&self.common_name);
        let mut names: Vec<String> = own.into_iter().chain(&self.email).cloned().collect();
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(plain_email(name)));
        names
    }
}

/// Whether the text is an e-mail address as a certificate can carry it (RFC 5280 §4.2.1.6): a local part without quotes, and a host name.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b));
    local.len() <= 64 && local.split('.').all(is_atom) && !domain.starts_with('*') && is_host_name(domain)
}

/// An e-mail address as it is compared: its domain has no case (RFC 5280 §7.5).
#[must_use]
pub fn plain_email(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(local, domain)| format!("{local}@{}", domain.to_ascii_lowercase()))
}

/// A URI as it is compared: scheme and host have no case (RFC 5280 §7.4).
#[must_use]
pub fn plain_uri(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once(':') else { return text.to_owned() };
    let Some(rest) = rest.strip_prefix("//") else { return format!("{}:{rest}", scheme.to_ascii_lowercase()) };
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(host).unwrap_or((rest, ""));
    format!("{}://{}{path}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
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

    #[test]
    fn addresses_are_told_from_other_texts_and_compared_by_what_has_case() {
        for good in ["ops@funlab.casa", "first.last+tls@mail.funlab.casa"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["ops", "@funlab.casa", "ops@", "a b@funlab.casa", "a..b@funlab.casa", "ops@10.0.0.1", "ops@*.funlab.casa", "\"a\"@b.c"]
        {
            assert!(!is_email(bad), "{bad}");
        }
        assert_eq!(plain_email("Ops@FunLab.casa"), "Ops@funlab.casa");
        for (uri, plain) in [
            ("SPIFFE://FunLab.casa/Web", "spiffe://funlab.casa/Web"),
            ("https://A.example?Q", "https://a.example?Q"),
            ("URN:uuid:AB", "urn:uuid:AB"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(plain_uri(uri), plain);
        }
    }
}
