//! The values of single settings, each from its text: paths, names, addresses, lengths of time.

mod nearly;

use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::endpoint::ServerName;
use super::shape::{Wrong, quoted};
use crate::model::anchor::Fingerprint;
use crate::model::name::CertName;
use crate::model::request::is_host_name;
use crate::model::secret::SecretSource;
use crate::model::span;
use nearly::{in_ascii, without_zeros};

/// Upper bound of a common name (RFC 5280, Appendix A.1, ub-common-name).
const COMMON_NAME_MAX: usize = 64;

/// What systemd can reload or restart (systemd.unit(5)).
const UNIT_TYPES: [&str; 5] = [".service", ".socket", ".target", ".path", ".timer"];

/// An absolute path without `..`, written the shortest way.
///
/// # Errors
/// What is no such path.
pub fn path(text: &str) -> Result<PathBuf, Wrong> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(Wrong::value(format!("expected an absolute path, found {}", quoted(text))).suggest("write the whole path, from /"));
    }
    if text.chars().any(char::is_control) || path.components().any(|c| c == Component::ParentDir) {
        let wrong = Wrong::value(format!("expected a path without \"..\" and control characters, found {}", quoted(text)));
        return Err(wrong.suggest("write the path as it is shown by `realpath`"));
    }
    Ok(path.components().collect())
}

/// The name of a file in a directory given elsewhere.
///
/// # Errors
/// What is no plain name.
pub fn file_name(text: &str) -> Result<String, Wrong> {
    let plain = !matches!(text, "" | "." | "..") && text.len() <= 255 && !text.chars().any(|c| c == '/' || c.is_control());
    plain.then(|| text.to_owned()).ok_or_else(|| {
        Wrong::value(format!("expected a plain file name, found {}", quoted(text))).suggest("write the name alone, without a directory")
    })
}

/// A host name without the dot that ends a fully qualified one: certificates hold none (RFC 5280 §4.2.1.6), and OpenBao 2.7 refuses a CSR
/// with one.
fn without_root(text: &str) -> &str {
    text.strip_suffix('.').filter(|relative| is_host_name(relative)).unwrap_or(text)
}

/// A host's own name.
pub(crate) fn host_name(text: &str) -> Result<String, Wrong> {
    let relative = without_root(text);
    if is_host_name(relative) && !relative.starts_with("*.") {
        return Ok(relative.to_owned());
    }
    let wrong = Wrong::value(format!("expected a host name, found {}", quoted(text)));
    Err(wrong.suggest(in_ascii(text).unwrap_or_else(|| "write it like \"web1.example.net\"".to_owned())))
}

/// A DNS name as in a SAN; a wildcard is the profile's matter.
pub(crate) fn dns_name(text: &str) -> Result<String, Wrong> {
    if is_host_name(without_root(text)) {
        return Ok(without_root(text).to_owned());
    }
    let wrong = Wrong::value(format!("expected a DNS name, found {}", quoted(text)));
    if let Some(ascii) = in_ascii(text) {
        return Err(wrong.suggest(ascii));
    }
    Err(wrong.suggest(match text.parse::<IpAddr>() {
        Ok(_) => "put addresses into \"ip\"",
        Err(_) if text.contains("://") => "put URIs into \"uri\"",
        Err(_) if text.contains('@') => "put e-mail addresses into \"email\"",
        Err(_) => "letters, digits and '-' in labels of at most 63 characters; an underscore is in no host name",
    }))
}

/// An IP address as in a SAN.
pub(crate) fn ip(text: &str) -> Result<IpAddr, Wrong> {
    text.parse().map_err(|_| {
        let wrong = Wrong::value(format!("expected an IP address, found {}", quoted(text)));
        if let Some(plain) = without_zeros(text) {
            return wrong.suggest(format!("write it without leading zeros, \"{plain}\": some programs read 010 as 8"));
        }
        wrong.suggest(if is_host_name(text) {
            "put names into \"dns\""
        } else {
            "write it like \"10.0.0.1\" or \"2001:db8::1\", without a prefix length"
        })
    })
}

/// A subject common name.
pub(crate) fn common_name(text: &str) -> Result<String, Wrong> {
    if text.chars().any(char::is_control) {
        let wrong = Wrong::value(format!("expected a common name without control characters, found {}", quoted(text)));
        return Err(wrong.suggest("leave them out; a line break may have come with a copied name"));
    }
    let fits = !text.trim().is_empty() && text.chars().count() <= COMMON_NAME_MAX;
    fits.then(|| without_root(text).to_owned()).ok_or_else(|| {
        let wrong = Wrong::value(format!("expected a common name of 1 to {COMMON_NAME_MAX} characters, found {}", quoted(text)));
        wrong.suggest("put longer names into \"dns\"")
    })
}

/// A name of a certificate in the settings.
pub(crate) fn cert_name(text: &str) -> Result<CertName, Wrong> {
    CertName::parse(text).map_err(|why| {
        let wrong = Wrong::value(format!("{why}, found {}", quoted(text)));
        let mut better: String =
            text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
        better.truncate(64);
        let better = better.trim_start_matches(['.', '_', '-']);
        wrong.suggest(match CertName::parse(better) {
            Ok(name) => format!("call it \"{name}\""),
            Err(_) => "call it after its service, such as \"nginx\"".to_owned(),
        })
    })
}

/// The name of a profile, which is a file's stem.
pub(crate) fn profile_name(text: &str) -> Result<String, Wrong> {
    cert_name(text).map(|name| name.as_str().to_owned())
}

/// A role of OpenBao (its GenericNameRegex).
pub(crate) fn role(text: &str) -> Result<String, Wrong> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = text.starts_with(word) && text.ends_with(word) && text.chars().all(|c| word(c) || c == '-' || c == '.');
    fits.then(|| text.to_owned()).ok_or_else(|| {
        let wrong = Wrong::value(format!("expected the name of a role, found {}", quoted(text)));
        wrong.suggest("letters, digits, '_', and '-' or '.' between them; the role alone, without a path")
    })
}

/// Where something is mounted at OpenBao.
pub(crate) fn mount(text: &str) -> Result<String, Wrong> {
    let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if text.split('/').all(segment) && !text.starts_with("auth/") {
        return Ok(text.to_owned());
    }
    let plain = text.trim_matches('/').trim_start_matches("auth/");
    let wrong = Wrong::value(format!("expected the path of a mount, found {}", quoted(text)));
    Err(wrong.suggest(if plain.split('/').all(segment) { format!("write \"{plain}\"") } else { "write it like \"pki_int\"".to_owned() }))
}

/// A namespace of OpenBao, below the root one.
pub(crate) fn namespace(text: &str) -> Result<String, Wrong> {
    let plain = text.trim_matches('/');
    let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if plain.split('/').all(segment) {
        return Ok(plain.to_owned());
    }
    let wrong = Wrong::value(format!("expected the path of a namespace, found {}", quoted(text)));
    Err(wrong.suggest("write it like \"team/web\"; leave it out for the root namespace"))
}

/// `https://HOST[:PORT]`.
pub(crate) fn https(text: &str) -> Result<String, Wrong> {
    let example = "write it like \"https://openbao.example.net:8200\"";
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Wrong::value(format!("expected https://HOST:PORT, found {}", quoted(text))).suggest(example));
    };
    if scheme.eq_ignore_ascii_case("http") {
        let wrong = Wrong::value("plain http is refused: the login and the certificate would cross the network unprotected and unproven");
        return Err(wrong.suggest(format!("write https://{} and give the listener a certificate", quoted(rest).trim_matches('"'))));
    }
    if !scheme.eq_ignore_ascii_case("https") {
        return Err(Wrong::value(format!("expected https://, found {}", quoted(scheme))).suggest(example));
    }
    if rest.contains('@') {
        // Not repeated: what stands before the @ may be a password.
        return Err(Wrong::value("an address must not hold a user or a password").suggest("use an entry of \"login\""));
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if let Some(at) = authority.find(['/', '?', '#']) {
        let wrong = Wrong::value(format!(
            "expected no path, query or fragment after the host, found {}",
            quoted(authority.get(at..).unwrap_or_default())
        ));
        return Err(wrong.suggest("write the host and port alone; the PKI's path is \"mount\""));
    }
    let valid =
        host_and_port(authority).is_some_and(|(host, port)| server_name(host).is_some() && port.is_none_or(|p| port_number(p).is_some()));
    if valid {
        Ok(format!("https://{authority}"))
    } else {
        Err(Wrong::value(format!("expected https://HOST:PORT, found {}", quoted(text))).suggest(example))
    }
}

/// `HOST:PORT` of something that listens; an IPv6 address stands in brackets.
///
/// # Errors
/// What is no such address.
pub fn address(text: &str) -> Result<String, Wrong> {
    let valid = host_and_port(text).is_some_and(|(host, port)| server_name(host).is_some() && port.and_then(port_number).is_some());
    if valid {
        return Ok(text.to_owned());
    }
    let example = "write it like \"127.0.0.1:443\" or \"[::1]:443\"";
    match host_and_port(text).filter(|(host, _)| server_name(host).is_some()).and_then(|(_, port)| port) {
        Some(port) if !port.is_empty() => {
            Err(Wrong::value(format!("expected a port of 1 to 65535, found {}", quoted(port))).suggest(example))
        }
        _ => Err(Wrong::value(format!("expected HOST:PORT, found {}", quoted(text))).suggest(example)),
    }
}

/// The host of an address that [`address`] has accepted.
pub(crate) fn host_of(address: &str) -> Option<ServerName> {
    host_and_port(address).and_then(|(host, _)| server_name(host))
}

fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return if rest.is_empty() { Some((host, None)) } else { rest.strip_prefix(':').map(|port| (host, Some(port))) };
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    Some((host, port))
}

fn port_number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten().filter(|port| *port != 0)
}

/// A DNS name without a wildcard, or an address.
pub(crate) fn server_name(text: &str) -> Option<ServerName> {
    match text.parse() {
        Ok(ip) => Some(ServerName::Ip(ip)),
        Err(_) => host_name(text).ok().map(ServerName::Dns),
    }
}

/// `file:PATH` or `credential:NAME`. The value is not repeated in errors: it may be the secret itself.
pub(crate) fn secret(text: &str) -> Result<SecretSource, Wrong> {
    if let Some(name) = text.strip_prefix("credential:") {
        return file_name(name).map(SecretSource::Credential);
    }
    if let Some(file) = text.strip_prefix("file:") {
        return path(file).map(SecretSource::File);
    }
    let wrong = Wrong::value("expected \"file:PATH\" or \"credential:NAME\", found something else; a secret never stands in the settings");
    Err(wrong.suggest(if text.starts_with('/') {
        "put \"file:\" before the path"
    } else {
        "write the secret to a file of mode 0600 and name that: \"file:/etc/omens/NAME\""
    }))
}

/// A length of time with its unit.
///
/// # Errors
/// What is none.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    span::parse(text).map_err(|why| {
        let number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        Wrong::value(why).suggest(if number {
            format!("write the unit, such as \"{text}s\" or \"{text}h\"")
        } else {
            "write it like \"24h\"".to_owned()
        })
    })
}

/// SHA-256 of a certificate, as digits.
pub(crate) fn fingerprint(text: &str) -> Result<Fingerprint, Wrong> {
    Fingerprint::parse(text).ok_or_else(|| {
        let wrong = Wrong::value(format!("expected the 64 hexadecimal digits of a SHA-256 fingerprint, found {}", quoted(text)));
        wrong.suggest("read it on a machine you trust: openssl x509 -noout -fingerprint -sha256 -in FILE")
    })
}

/// The name of a systemd unit.
///
/// # Errors
/// What is none, or a template without its instance.
pub fn unit(text: &str) -> Result<String, Wrong> {
    let suggestion = if text.contains('@') {
        "name an instance: \"NAME@INSTANCE.service\"".to_owned()
    } else {
        format!("write it like \"{}.service\"", if host_name(text).is_ok() && !text.contains('.') { text } else { "nginx" })
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
    let stem = UNIT_TYPES.iter().find_map(|kind| text.strip_suffix(kind));
    let fits = text.len() <= 255
        && text.chars().all(allowed)
        && stem.is_some_and(|s| !s.is_empty() && !s.starts_with('-') && !s.starts_with('@') && !s.ends_with('@'));
    fits.then(|| text.to_owned())
        .ok_or_else(|| Wrong::value(format!("expected the name of a systemd unit, found {}", quoted(text))).suggest(suggestion))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_addresses_without_extras_are_taken() {
        let cases = [
            ("https://10.0.0.1", true),
            ("https://[::1]:8200", true),
            ("https://bao.example:8200/", true),
            ("http://bao.example", false),
            ("bao.example:8200", false),
            ("https://user:pw@bao.example", false),
            ("https://bao.example/v1", false),
            ("https://bao.example?x", false),
            ("https://bao.example:0", false),
            ("https://bao.example:65536", false),
            ("https://::1", false),
            ("https://", false),
            ("https://bao_x", false),
        ];
        for (address, good) in cases {
            let result = https(address);
            assert_eq!(result.is_ok(), good, "{address}: {result:?}");
            assert!(!format!("{result:?}").contains("pw"), "a password is not repeated");
        }
        assert_eq!(https("https://bao.example:8200/").ok().as_deref(), Some("https://bao.example:8200"));
    }

    #[test]
    fn what_was_meant_is_said_where_it_can_be_known() {
        let said = |wrong: Wrong| format!("{wrong:?}");
        for (why, words) in [
            (said(ip("010.0.0.1").unwrap_err()), "10.0.0.1"),
            (said(ip("10.0.00.1").unwrap_err()), "10.0.0.1"),
            (said(ip("web.example").unwrap_err()), "put names into"),
            (said(dns_name("b\u{fc}cher.example").unwrap_err()), "xn--bcher-kva.example"),
            (said(host_name("b\u{fc}cher.example").unwrap_err()), "xn--bcher-kva.example"),
            (said(dns_name("a_b.example").unwrap_err()), "an underscore"),
            (said(file_name("a/crl.pem").unwrap_err()), "without a directory"),
            (said(secret("credential:../x").unwrap_err()), "without a directory"),
        ] {
            assert!(why.contains(words), "{words}: {why}");
        }
    }

    #[test]
    fn a_path_is_absolute_and_goes_straight() {
        assert_eq!(path("/etc//omens/./x/").ok(), Some(PathBuf::from("/etc/omens/x")));
        for bad in ["", "x", "./x", "~/x", "/a/../b", "/a\nb"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn units_roles_and_mounts_are_names_and_nothing_else() {
        for (read, good, bad) in [
            (
                (|t: &str| unit(t).is_ok()) as fn(&str) -> bool,
                &["nginx.service", "a@b.service", "x-y.socket"][..],
                &["nginx", "-x.service", "a@.service", ".service", "a b.service", "a/b.service", "@x.service"][..],
            ),
            (|t| role(t).is_ok(), &["a", "keylime-services", "v1.2"], &["", "-a", "a-", "a/b", "a b", "../x"]),
            (|t| mount(t).is_ok(), &["pki_int", "team/pki"], &["", "/pki", "pki/", "auth/approle", "a//b", "a/../b", "a?b"]),
        ] {
            assert_eq!(good.iter().filter(|t| !read(t)).count(), 0, "{good:?}");
            assert_eq!(bad.iter().filter(|t| read(t)).count(), 0, "{bad:?}");
        }
    }

    #[test]
    fn a_secret_given_as_itself_is_not_repeated() {
        let error = format!("{:?}", secret("hvs.CAESIJ").unwrap_err());
        assert!(!error.contains("hvs"), "{error}");
        assert!(secret("file:role-id").is_err() && secret("credential:../x").is_err() && secret("credential:").is_err());
        assert_eq!(secret("credential:secret-id").ok(), Some(SecretSource::Credential("secret-id".to_owned())));
    }

    #[test]
    fn an_address_names_its_host() {
        assert_eq!(host_of("[::1]:443"), Some(ServerName::Ip("::1".parse().unwrap())));
        assert_eq!(host_of("web.example:443"), Some(ServerName::Dns("web.example".to_owned())));
        for bad in ["web.example", ":443", "web.example:", "web.example:0", "::1:443", "[::1]443", "a b:1", "web.example:+1"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
