//! The names in a certificate, and how they are shown.

use std::net::IpAddr;

use super::Facts;
use crate::model::text;

/// A distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its common names, in their order; one that is no text as `#` and hexadecimal digits (RFC 4514 §2.4).
    pub common_names: Vec<String>,
    /// Every other attribute as `OID=value`.
    pub others: Vec<String>,
    /// Whether a RelativeDistinguishedName of it is empty (RFC 5280 §4.1.2.4 asks for one attribute and more).
    pub has_empty_part: bool,
    /// DER, for comparison.
    pub der: Vec<u8>,
}

impl Name {
    /// Whether it has no attribute at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.common_names.is_empty() && self.others.is_empty()
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("(empty name)");
        }
        let own = self.common_names.iter().map(|name| format!("CN={name}"));
        f.write_str(&own.chain(self.others.iter().cloned()).collect::<Vec<_>>().join(", "))
    }
}

/// Subject alternative names, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Whether the extension is critical.
    pub critical: bool,
    /// dNSName.
    pub dns: Vec<String>,
    /// iPAddress with 4 or 16 octets.
    pub ip: Vec<IpAddr>,
    /// Every other kind as `kind:value`; an iPAddress of another length as `ip:#HEX`.
    pub others: Vec<String>,
}

impl Names {
    /// Whether this is one of the names, character for character.
    #[must_use]
    pub fn spells(&self, name: &str) -> bool {
        let is_email = |other: &String| other.strip_prefix("email:") == Some(name);
        self.dns.iter().any(|dns| dns == name) || self.ip.iter().any(|ip| ip.to_string() == name) || self.others.iter().any(is_email)
    }
}

impl Facts {
    /// Its subject, fit to print.
    #[must_use]
    pub fn subject_words(&self) -> String {
        text::one_line(&self.subject.to_string(), text::SERVER_TEXT)
    }

    /// Its subject alternative names as `KIND:NAME`, fit to print.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let Some(san) = &self.extensions.san else { return Vec::new() };
        let dns = san.dns.iter().map(|name| format!("dns:{name}"));
        let all = dns.chain(san.ip.iter().map(|ip| format!("ip:{ip}"))).chain(san.others.iter().cloned());
        all.map(|name| text::one_line(&name, text::SERVER_TEXT)).collect()
    }
}
