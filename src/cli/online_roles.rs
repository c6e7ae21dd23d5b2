//! `check-config --online`: what the roles that are to sign say about the certificates of the settings, as OpenBao's PKI engine reads their
//! fields. What it cannot tell without more it takes for allowed. Reads only.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::check::{Check, Severity};
use super::online_names;
use crate::config::settings::{Certificate, Settings};
use crate::io::openbao::{Grant, Server};
use crate::model::code::Code;
use crate::model::key::KeyAlgorithm;
use crate::model::request::{Request, SUBJECT_KEYS};
use crate::model::span;
use crate::model::text::one_line;

/// What the roles say about the certificates that they are to sign, where the login may read them; `known` are all that there are.
pub(super) async fn roles(settings: &Settings, server: &Server, grant: &Grant, known: Option<&[String]>) -> Vec<Check> {
    let mut by_role: BTreeMap<&str, Vec<&Certificate>> = BTreeMap::new();
    for certificate in &settings.certificates {
        by_role.entry(certificate.issuer.role()).or_default().push(certificate);
    }
    let mut unknown = known.map(|known| online_names::unknown_roles(settings, known)).unwrap_or_default();
    let mut checks = Vec::new();
    for (name, certificates) in by_role {
        if let Some(said) = unknown.remove(name) {
            checks.extend(said);
            continue;
        }
        let path = format!("{}/roles/{name}", settings.openbao.mount);
        match server.read(&path, Some(grant)).await {
            Ok(Some(role)) => checks.extend(certificates.into_iter().flat_map(|certificate| of_role(name, &role, certificate))),
            Ok(None) => {
                let text = format!("{path} is not there, or the login may not read it: names, key and ttl were not compared with it");
                checks.push(Check::new(Code::Role, Severity::Info, text));
            }
            Err(problem) => checks.push(Check::new(Code::Role, Severity::Warning, problem.failure.text)),
        }
    }
    checks
}

/// What a role refuses of one certificate.
fn of_role(name: &str, role: &Value, certificate: &Certificate) -> Vec<Check> {
    let request = &certificate.request;
    let mut refused = Refusals { intro: format!("certificate {}: the role {name}", request.name), checks: Vec::new() };
    Role(role).names(request, &mut refused);
    if let Some(wanted) = role.get("key_type").and_then(Value::as_str).filter(|kind| !fits_key(kind, role, request.algorithm)) {
        let bits = role.get("key_bits").and_then(Value::as_u64).unwrap_or_default();
        let hint = "write another `key` in the settings, or change key_type and key_bits of the role";
        refused.say(&format!("wants keys of type {wanted} with {bits} bits, the settings make {}", request.algorithm), hint);
    }
    let mut checks = refused.checks;
    let longest = role.get("max_ttl").and_then(Value::as_u64).filter(|seconds| *seconds > 0).map(Duration::from_secs);
    if let Some(longest) = longest.filter(|longest| *longest < request.ttl) {
        let text = format!("certificate {}: the role {name} shortens {} to {}", request.name, span::show(request.ttl), span::show(longest));
        checks.push(Check::new(Code::RoleRefused, Severity::Warning, text).hint("ask for a shorter ttl, or raise max_ttl of the role"));
    }
    if checks.is_empty() {
        let text = format!("certificate {}: the role {name} allows names, key and ttl", request.name);
        checks.push(Check::new(Code::Role, Severity::Info, text));
    }
    checks
}

/// What is said of one certificate at one role.
struct Refusals {
    intro: String,
    checks: Vec<Check>,
}

impl Refusals {
    fn say(&mut self, what: &str, hint: &str) {
        self.checks.push(Check::new(Code::RoleRefused, Severity::Error, format!("{} {what}", self.intro)).hint(hint));
    }
}

/// A role as OpenBao answers it.
#[derive(Clone, Copy)]
struct Role<'a>(&'a Value);

impl<'a> Role<'a> {
    fn is(self, key: &str, default: bool) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    fn texts(self, key: &str) -> Vec<&'a str> {
        self.0.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn names(self, request: &Request, refused: &mut Refusals) {
        for (key, what) in [("use_csr_sans", "the names"), ("use_csr_common_name", "the common name")] {
            if !self.is(key, true) {
                refused.say(&format!("does not take {what} of a request ({key}=false)"), &format!("set {key}=true on the role"));
            }
        }
        for name in request.dns_names().iter().filter(|name| !self.allows_name(name)) {
            refused.say(&format!("does not allow the name {name}"), DOMAINS);
        }
        for email in request.emails().iter().filter(|email| !self.allows_email(email)) {
            refused.say(&format!("does not allow the e-mail address {email}"), DOMAINS);
        }
        for uri in request.uri.iter().filter(|uri| !self.allows_uri(uri)) {
            let allowed = one_line(&self.texts("allowed_uri_sans").join(", "), 200);
            let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed };
            let hint = "add it, or a pattern with *, to allowed_uri_sans of the role, or change `uri` in the settings";
            refused.say(&format!("does not allow the URI {uri} (allowed_uri_sans: {allowed})"), hint);
        }
        if !request.ip.is_empty() && !self.is("allow_ip_sans", true) {
            refused.say("allows no IP addresses (allow_ip_sans)", "set allow_ip_sans=true on the role, or take `ip` out of the settings");
        } else {
            for ip in request.ip.iter().filter(|ip| !self.allows_address(**ip)) {
                let hint = "add its network to allowed_ip_sans_cidr of the role, or change `ip` in the settings";
                refused.say(&format!("does not allow the address {ip} (allowed_ip_sans_cidr)"), hint);
            }
        }
        for key in SUBJECT_KEYS {
            let set = self.texts(key.key);
            let wanted = request.subject.iter().filter(|field| field.attribute == key.attribute);
            for field in wanted.filter(|field| !set.contains(&field.value.as_str())) {
                let hint = format!("add it to {} of the role, or change `subject` in the settings", key.key);
                refused.say(&format!("does not set {field} in the subject"), &hint);
            }
        }
    }

    /// Whether it leaves more than its fields say to OpenBao: patterns, or what depends on who asks.
    fn is_open(self) -> bool {
        self.is("allow_any_name", false) || self.is("allow_glob_domains", false) || self.is("allowed_domains_template", false)
    }

    fn allows_name(self, name: &str) -> bool {
        if self.is_open() || (self.is("allow_localhost", false) && matches!(name, "localhost" | "localdomain")) {
            return true;
        }
        let plain = name.strip_prefix("*.");
        if plain.is_some() && !self.is("allow_wildcard_certificates", true) {
            return false;
        }
        let fits = |domain: &&str| {
            let domain = domain.to_ascii_lowercase();
            let is_below = plain.unwrap_or(name).strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
            (plain.is_none() && self.is("allow_bare_domains", false) && name == domain)
                || (self.is("allow_subdomains", false) && (is_below || plain == Some(domain.as_str())))
        };
        self.texts("allowed_domains").iter().any(fits)
    }

    /// As a name, by its domain; or as it stands in the list.
    fn allows_email(self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
        let is_listed = || self.is("allow_bare_domains", false) && self.texts("allowed_domains").contains(&email);
        self.allows_name(&domain) || is_listed()
    }

    fn allows_uri(self, uri: &str) -> bool {
        self.is("allowed_uri_sans_template", false) || self.texts("allowed_uri_sans").iter().any(|pattern| matches_pattern(pattern, uri))
    }

    fn allows_address(self, ip: IpAddr) -> bool {
        let networks = self.texts("allowed_ip_sans_cidr");
        networks.is_empty() || networks.iter().any(|network| is_within(ip, network))
    }
}

const DOMAINS: &str = "add it to allowed_domains of the role (with allow_bare_domains), or change the certificate in the settings";

/// A pattern in which `*` stands for any characters, as the PKI engine reads allowed_uri_sans.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(last)
}

/// Whether an address lies in a network such as `10.0.0.0/8`; what is none that we can read is OpenBao's to judge.
fn is_within(ip: IpAddr, network: &str) -> bool {
    let Some((base, length)) = network.split_once('/') else { return true };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else { return true };
    let within = |own: u128, base: u128, size: u32| {
        let shift = size.saturating_sub(length);
        own.checked_shr(shift).unwrap_or_default() == base.checked_shr(shift).unwrap_or_default()
    };
    match (ip, base) {
        (IpAddr::V4(own), IpAddr::V4(base)) => within(own.to_bits().into(), base.to_bits().into(), u32::BITS),
        (IpAddr::V6(own), IpAddr::V6(base)) => within(own.to_bits(), base.to_bits(), u128::BITS),
        _ => false,
    }
}

fn fits_key(kind: &str, role: &Value, algorithm: KeyAlgorithm) -> bool {
    let word = algorithm.as_str();
    let bits = role.get("key_bits").and_then(Value::as_u64).filter(|bits| *bits > 0);
    let has_bits = bits.is_none_or(|bits| word.ends_with(&bits.to_string()));
    match kind {
        "any" => true,
        // A role's bits are the fewest for RSA, and the curve for EC.
        "rsa" => word.strip_prefix("rsa-").and_then(|own| own.parse::<u64>().ok()).is_some_and(|own| bits.is_none_or(|bits| own >= bits)),
        "ec" => word.starts_with("ec-p") && has_bits,
        other => word.starts_with(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_read_as_the_pki_engine_reads_them() {
        let role = json!({"allowed_domains": ["funlab.casa"], "allow_subdomains": true, "allow_bare_domains": false});
        for (name, allowed) in [
            ("web.funlab.casa", true),
            ("a.b.funlab.casa", true),
            ("funlab.casa", false),
            ("xfunlab.casa", false),
            ("other.example", false),
            ("*.funlab.casa", true),
            ("localhost", false),
        ] {
            assert_eq!(Role(&role).allows_name(name), allowed, "{name}");
        }
        let bare = json!({"allowed_domains": ["funlab.casa"], "allow_bare_domains": true, "allow_localhost": true});
        for (name, allowed) in [("funlab.casa", true), ("web.funlab.casa", false), ("localhost", true)] {
            assert_eq!(Role(&bare).allows_name(name), allowed, "{name}");
        }
        let strict = json!({"allowed_domains": ["funlab.casa"], "allow_subdomains": true, "allow_wildcard_certificates": false});
        assert!(!Role(&strict).allows_name("*.funlab.casa") && Role(&json!({"allow_any_name": true})).allows_name("any.example"));
    }

    #[test]
    fn keys_are_held_against_type_and_bits() {
        for (role, algorithm, fits) in [
            (json!({"key_type": "ec", "key_bits": 256}), KeyAlgorithm::EcP256, true),
            (json!({"key_type": "ec", "key_bits": 256}), KeyAlgorithm::EcP384, false),
            (json!({"key_type": "rsa", "key_bits": 2048}), KeyAlgorithm::Rsa3072, true),
            (json!({"key_type": "rsa", "key_bits": 4096}), KeyAlgorithm::Rsa3072, false),
            (json!({"key_type": "rsa", "key_bits": 0}), KeyAlgorithm::EcP256, false),
            (json!({"key_type": "any"}), KeyAlgorithm::EcP256, true),
        ] {
            assert_eq!(fits_key(role["key_type"].as_str().unwrap(), &role, algorithm), fits, "{role} {algorithm:?}");
        }
    }
    #[test]
    fn addresses_uris_and_networks_are_held_against_their_own_lists() {
        let role = json!({"allowed_domains": ["funlab.casa", "ops@other.example"], "allow_bare_domains": true,
            "allowed_uri_sans": ["spiffe://funlab.casa/*/web", "urn:a"], "allowed_ip_sans_cidr": ["10.10.2.0/24", "2001:db8::/32"]});
        let role = Role(&role);
        for (email, allowed) in
            [("ops@funlab.casa", true), ("ops@web.funlab.casa", false), ("ops@other.example", true), ("me@other.example", false)]
        {
            assert_eq!(role.allows_email(email), allowed, "{email}");
        }
        for (uri, allowed) in [
            ("spiffe://funlab.casa/ns/web", true),
            ("spiffe://funlab.casa/a/b/web", true),
            ("spiffe://funlab.casa/ns/web2", false),
            ("spiffe://funlab.casa/web", false),
            ("urn:a", true),
            ("urn:ab", false),
        ] {
            assert_eq!(role.allows_uri(uri), allowed, "{uri}");
        }
        for (ip, allowed) in [("10.10.2.7", true), ("10.10.3.7", false), ("2001:db8:1::1", true), ("2001:db9::1", false)] {
            assert_eq!(role.allows_address(ip.parse().unwrap()), allowed, "{ip}");
        }
        let none = json!({});
        assert!(!Role(&none).allows_uri("urn:a") && Role(&none).allows_address([192, 0, 2, 1].into()));
        assert!(is_within([192, 0, 2, 1].into(), "0.0.0.0/0") && matches_pattern("*", "urn:a") && !matches_pattern("a*bc*", "ab"));
    }
}
