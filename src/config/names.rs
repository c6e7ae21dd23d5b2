//! The names that a certificate is to have: subject and subject alternative names, each in its own form, and together what the profile and
//! TLS clients can take.

use std::net::IpAddr;

use super::settings::ServerName;
use super::shape::{Errors, Shape, Wrong, list, parsed, placed, quoted};
use super::tables::certificate as tables;
use super::tree::Place;
use super::value;
use crate::model::code::Code;
use crate::model::profile::Profile;
use crate::model::request::{SUBJECT_KEYS, SubjectField, is_email, is_host_name};

/// What the names of one certificate may take. A chain beyond 64 KiB is refused by rustls, one beyond 100 KiB by OpenSSL
/// (SSL_CTX_set_max_cert_list(3)).
const NAMES_MAX: usize = 48 * 1024;
/// Tag and length of a name in DER.
const NAME_OVERHEAD: usize = 3;
/// An IPv6 address in DER.
const IP_SIZE: usize = 18;
/// The longest SPIFFE ID (SPIFFE-ID §2.3), and a bound for any URI.
const URI_MAX: usize = 2048;
/// The most characters that a subject field may have (RFC 5280, appendix A.1, the largest of its bounds that a role can set).
const FIELD_MAX: usize = 128;
const SPIFFE: &str = "spiffe://";

/// The names a certificate is to have.
#[derive(Debug)]
pub(super) struct Names<'a> {
    pub(super) common_name: (&'a Place, String),
    pub(super) dns: Vec<(&'a Place, String)>,
    pub(super) ip: Vec<IpAddr>,
    pub(super) uri: Vec<(&'a Place, String)>,
    pub(super) email: Vec<String>,
    pub(super) subject: Vec<SubjectField>,
}

impl<'a> Names<'a> {
    pub(super) fn read(shape: &Shape<'a>) -> Option<Self> {
        let common_name = shape.required("common_name", placed(parsed(value::common_name)));
        let dns = shape.or("dns", Vec::new(), list(placed(parsed(value::dns_name))));
        let ip = shape.or("ip", Vec::new(), list(parsed(value::ip)));
        let uri = shape.or("uri", Vec::new(), list(placed(parsed(uri))));
        let email = shape.or("email", Vec::new(), list(parsed(email)));
        let subject = shape.or("subject", Vec::new(), |node, errors| {
            let fields = Shape::of(&tables::SUBJECT, node, errors)?;
            let read = SUBJECT_KEYS.map(|key| {
                let values = fields.or(key.key, Vec::new(), list(parsed(|text| field(key.key, text))))?;
                Some(values.into_iter().map(move |value| SubjectField { attribute: key.attribute, value }))
            });
            fields.finish();
            Some(read.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
        });
        Some(Self { common_name: common_name?, dns: dns?, ip: ip?, uri: uri?, email: email?, subject: subject? })
    }

    pub(super) fn dns_names(&self) -> impl Iterator<Item = &(&'a Place, String)> {
        std::iter::once(&self.common_name).filter(|(_, name)| is_host_name(name)).chain(&self.dns)
    }

    /// Whether the profile allows these names.
    pub(super) fn suit(&self, profile: Option<&Profile>, certificate: &Place, errors: &Errors) -> bool {
        let Some(profile) = profile else { return true };
        let mut good = true;
        for (place, name) in self.dns_names().filter(|(_, name)| name.starts_with("*.") && !profile.wildcard) {
            let wrong = Wrong::value(format!("profile {} allows no wildcard, found {}", profile.name, quoted(name)));
            errors.at(place, wrong.suggest("name each host, or use a profile with wildcard = true"));
            good = false;
        }
        if profile.purpose.server() && self.ip.is_empty() && self.uri.is_empty() && self.dns_names().next().is_none() {
            let wrong = Wrong::new(Code::Missing, "a certificate for a TLS server has at least one DNS name, IP address or URI");
            errors.at(certificate, wrong.suggest("add \"dns\", \"ip\" or \"uri\", or make the common name a host name"));
            good = false;
        }
        good & self.is_one_identity(errors) & self.fit(certificate, errors)
    }

    /// X509-SVID §2: a certificate has exactly one URI, where that is a SPIFFE ID.
    fn is_one_identity(&self, errors: &Errors) -> bool {
        let [(_, first), (place, _), ..] = self.uri.as_slice() else { return true };
        if !self.uri.iter().any(|(_, uri)| uri.starts_with(SPIFFE)) {
            return true;
        }
        let wrong = Wrong::value(format!("a certificate with a SPIFFE ID has no other URI (X509-SVID §2), found {}", self.uri.len()));
        errors.at(place, wrong.suggest(format!("keep {} alone, and give each other one a certificate of its own", quoted(first))));
        false
    }

    /// Whether all of it together is no more than peers take.
    fn fit(&self, certificate: &Place, errors: &Errors) -> bool {
        let texts = || self.dns_names().chain(&self.uri).map(|(_, name)| name).chain(&self.email);
        let size = texts().map(|name| name.len() + NAME_OVERHEAD).sum::<usize>() + self.ip.len() * IP_SIZE;
        if size <= NAMES_MAX {
            return true;
        }
        let count = texts().count() + self.ip.len();
        let wrong = Wrong::value(format!(
            "expected names of at most {} KiB together, found {count} names of {} KiB: few TLS clients take such a certificate",
            NAMES_MAX / 1024,
            size.div_ceil(1024)
        ));
        let remedy = "spread the names over several certificates, or use a wildcard where the profile allows it";
        errors.at(certificate, wrong.suggest(remedy));
        false
    }

    /// Whether a client that asks for this name finds it in the certificate (RFC 9525 §6.3: a wildcard stands for one whole label).
    pub(super) fn cover(&self, name: &ServerName) -> bool {
        match name {
            ServerName::Ip(ip) => self.ip.contains(ip),
            ServerName::Dns(asked) => self.dns_names().any(|(_, own)| {
                let under = own.strip_prefix("*.").zip(asked.split_once('.'));
                own.eq_ignore_ascii_case(asked) || under.is_some_and(|(domain, (_, rest))| domain.eq_ignore_ascii_case(rest))
            }),
        }
    }
}

/// A URI as in a SAN (RFC 5280 §4.2.1.6): absolute, in its form of RFC 3986, and where it names a host with one and no user.
fn uri(text: &str) -> Result<String, Wrong> {
    if text.to_ascii_lowercase().starts_with(SPIFFE) {
        return spiffe_id(text);
    }
    let wrong = || Wrong::value(format!("expected a URI of at most {URI_MAX} characters, found {}", quoted(text)));
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c))
    };
    let Some((scheme, rest)) = text.split_once(':') else {
        let instead = if is_email(text) { "put e-mail addresses into \"email\"" } else { "put host names into \"dns\"" };
        return Err(wrong().suggest(if is_email(text) || is_host_name(text) { instead } else { EXAMPLE }));
    };
    let host = rest.strip_prefix("//").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let has_host = host.is_none_or(|host| !host.is_empty() && !host.starts_with(':') && !host.contains('@'));
    if is_scheme(scheme) && !rest.is_empty() && has_host && text.len() <= URI_MAX && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(wrong().suggest(EXAMPLE))
}

const EXAMPLE: &str =
    "write it like \"spiffe://example.org/web\" or \"https://example.org/web\": the scheme in lower case, other characters as %XX";

/// A SPIFFE ID of a workload (SPIFFE-ID §2): a trust domain and a path.
pub(super) fn spiffe_id(text: &str) -> Result<String, Wrong> {
    let (domain, path) = text.strip_prefix(SPIFFE).unwrap_or_default().split_once('/').unwrap_or_default();
    let is_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    let is_segment = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && part.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    let good = !domain.is_empty() && domain.len() <= 255 && domain.chars().all(is_domain) && path.split('/').all(is_segment);
    if good && text.len() <= URI_MAX {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::value(format!("expected a SPIFFE ID, found {}", quoted(text)));
    Err(wrong.suggest("write it like \"spiffe://example.org/web\": the trust domain in lower case, then a path without a final slash"))
}

/// An e-mail address as in a SAN.
fn email(text: &str) -> Result<String, Wrong> {
    if is_email(text) {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::value(format!("expected an e-mail address, found {}", quoted(text)));
    Err(wrong.suggest("write it like \"ops@example.org\", the domain in its xn-- form"))
}

/// What a field of the subject says.
fn field(key: &str, text: &str) -> Result<String, Wrong> {
    if key == "country" {
        let is_code = text.len() == 2 && text.chars().all(|c| c.is_ascii_uppercase());
        let wrong = || Wrong::value(format!("expected a country's code, found {}", quoted(text)));
        return if is_code { Ok(text.to_owned()) } else { Err(wrong().suggest("write two capital letters (ISO 3166), such as \"CH\"")) };
    }
    let fits = !text.trim().is_empty() && text.chars().count() <= FIELD_MAX && !text.chars().any(char::is_control);
    let wrong = || Wrong::value(format!("expected 1 to {FIELD_MAX} characters, found {}", quoted(text)));
    if fits { Ok(text.to_owned()) } else { Err(wrong().suggest("write it as the role has it")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_absolute_and_name_their_host() {
        let long = format!("https://a.example/{}", "x".repeat(URI_MAX));
        for good in
            ["https://a.example/b?c#d", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "spiffe://example.org/web", "https://[::1]:8443/a"]
        {
            assert_eq!(uri(good).as_deref().ok(), Some(good), "{good}");
        }
        let bad = [
            "",
            "a.example",
            "//a.example/b",
            "HTTPS://a.example",
            "https:///b",
            "https://user@a.example",
            "https://a b.example",
            "urn:",
            &long,
        ];
        for bad in bad {
            assert!(uri(bad).is_err(), "{bad}");
        }
        let remedy = |text: &str| format!("{:?}", uri(text).unwrap_err());
        assert!(
            remedy("a.example").contains("into \\\"dns") && remedy("ops@a.example").contains("into \\\"email"),
            "{}",
            remedy("a.example")
        );
    }

    #[test]
    fn spiffe_ids_have_the_form_of_their_specification() {
        for good in ["spiffe://example.org/web", "spiffe://td_1.example/ns/Default/sa/a.b-c"] {
            assert!(uri(good).is_ok() && spiffe_id(good).is_ok(), "{good}");
        }
        for bad in [
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe:///web",
            "spiffe://Example.org/web",
            "SPIFFE://example.org/web",
            "spiffe://example.org/a//b",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/a%20b",
            "spiffe://example.org/a?b",
            "spiffe://example.org:8443/a",
        ] {
            assert!(uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subject_fields_are_described_as_they_are_read() {
        let mut read: Vec<&str> = SUBJECT_KEYS.iter().map(|key| key.key).collect();
        let mut described: Vec<&str> = tables::SUBJECT.keys.iter().map(|key| key.name).collect();
        read.sort_unstable();
        described.sort_unstable();
        assert_eq!(read, described);
        assert!(field("country", "CH").is_ok() && field("country", "Schweiz").is_err() && field("country", "ch").is_err());
        assert!(field("ou", "Lair").is_ok() && field("ou", " ").is_err() && field("ou", "a\nb").is_err());
    }
}
