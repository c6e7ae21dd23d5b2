//! The names of nginx's directives and of those that others' modules bring (directives.txt and others.txt), what a misspelled one may have
//! meant, and which version has which. It must never judge the values of what it only knows by name.

use super::versions;

/// Of `http` and `server` in the http, stream and mail modules.
const SERVER: &[&str] = &[
    "ssl",
    "ssl_alpn",
    "ssl_buffer_size",
    "ssl_certificate",
    "ssl_certificate_cache",
    "ssl_certificate_compression",
    "ssl_certificate_key",
    "ssl_ciphers",
    "ssl_client_certificate",
    "ssl_conf_command",
    "ssl_crl",
    "ssl_dhparam",
    "ssl_early_data",
    "ssl_ech_file",
    "ssl_ecdh_curve",
    "ssl_handshake_timeout",
    "ssl_key_log",
    "ssl_ocsp",
    "ssl_ocsp_cache",
    "ssl_ocsp_responder",
    "ssl_password_file",
    "ssl_prefer_server_ciphers",
    "ssl_preread",
    "ssl_protocols",
    "ssl_reject_handshake",
    "ssl_session_cache",
    "ssl_session_ticket_key",
    "ssl_session_tickets",
    "ssl_session_timeout",
    "ssl_stapling",
    "ssl_stapling_file",
    "ssl_stapling_responder",
    "ssl_stapling_verify",
    "ssl_trusted_certificate",
    "ssl_verify_client",
    "ssl_verify_depth",
];
/// Behind `proxy_`, `grpc_`, `uwsgi_` and `zone_sync_`.
const UPSTREAM: &[&str] = &[
    "ssl",
    "ssl_alpn",
    "ssl_certificate",
    "ssl_certificate_cache",
    "ssl_certificate_key",
    "ssl_ciphers",
    "ssl_conf_command",
    "ssl_crl",
    "ssl_key_log",
    "ssl_name",
    "ssl_password_file",
    "ssl_protocols",
    "ssl_server_name",
    "ssl_session_reuse",
    "ssl_trusted_certificate",
    "ssl_verify",
    "ssl_verify_depth",
];
const CALLERS: &[&str] = &["proxy_", "grpc_", "uwsgi_", "zone_sync_"];
/// What else is looked for; none of nginx's other directives is one letter away from one of them.
const CORE: &[&str] = &["listen", "server_name", "proxy_pass", "grpc_pass", "uwsgi_pass", "upstream", "location", "include"];
/// All of nginx's own.
const OWN: &str = include_str!("directives.txt");
/// Those of modules that others make: whole names, and beginnings with a `*`.
const OTHERS: &str = include_str!("others.txt");
/// Directives of other modules that have `ssl` in their names.
const FOREIGN: &[&str] =
    &["ssl_engine", "ssl_object_cache_inheritable", "ssl_ct", "ssl_ct_static_scts", "ssl_fingerprint", "ssl_target", "ssl_ja3"];
const FOREIGN_STARTS: &[&str] = &["ssl_dyn_rec_", "ssl_ja", "ssl_fingerprint_", "ssl_ct_"];

/// Those that are there once in a block, or nginx does not start.
const ONCE: &[&str] = &[
    "ssl_client_certificate",
    "ssl_crl",
    "ssl_dhparam",
    "ssl_password_file",
    "ssl_trusted_certificate",
    "ssl_verify_client",
    "ssl_verify_depth",
    "ssl_ciphers",
    "ssl_prefer_server_ciphers",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "proxy_ssl_trusted_certificate",
    "proxy_ssl_verify",
    "proxy_ssl_name",
    "proxy_ssl_server_name",
    "proxy_ssl_verify_depth",
    "proxy_ssl_crl",
    "proxy_ssl_password_file",
    "grpc_ssl_certificate",
    "grpc_ssl_certificate_key",
    "grpc_ssl_trusted_certificate",
    "grpc_ssl_verify",
    "uwsgi_ssl_certificate",
    "uwsgi_ssl_certificate_key",
    "uwsgi_ssl_trusted_certificate",
    "uwsgi_ssl_verify",
    "proxy_pass",
    "root",
    "ssl",
    "ssl_session_timeout",
    "ssl_session_tickets",
    "ssl_buffer_size",
    "ssl_ecdh_curve",
    "ssl_stapling",
    "ssl_stapling_verify",
    "ssl_reject_handshake",
    "ssl_early_data",
    "client_max_body_size",
    "sendfile",
    "gzip",
    "http2",
    "http",
    "stream",
    "mail",
    "events",
    "pid",
];
/// Those with one value, whatever it is.
const SINGLE: &[&str] = &[
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_crl",
    "ssl_dhparam",
    "ssl_password_file",
    "ssl_trusted_certificate",
    "ssl_verify_depth",
    "ssl_certificate",
    "ssl_name",
    "proxy_pass",
    "ssl_ciphers",
    "ssl_ecdh_curve",
];
/// Those that are on or off.
const SWITCHES: &[&str] = &[
    "ssl",
    "ssl_prefer_server_ciphers",
    "ssl_stapling",
    "ssl_stapling_verify",
    "ssl_reject_handshake",
    "ssl_session_tickets",
    "ssl_early_data",
    "ssl_verify",
    "ssl_server_name",
    "ssl_session_reuse",
];
const VERIFY_CLIENT: &[&str] = &["on", "off", "optional", "optional_no_ca"];
const PROTOCOLS: &[&str] = &["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// The words of a list, without its comments.
pub(super) fn entries(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace)
}

/// Whether it is a directive of nginx's own modules, of whatever version.
pub(super) fn is_own(name: &str) -> bool {
    entries(OWN).any(|known| known == name) || versions::is_gone(name)
}

fn is_listed(name: &str) -> bool {
    is_own(name)
        || entries(OTHERS).any(|known| known.strip_suffix('*').map_or(known == name, |start| name.starts_with(start)))
        // Modules that write their names like this are not nginx's.
        || name.starts_with(|c: char| c.is_ascii_uppercase())
}

/// What a directive that nginx does not know may have meant; `Some(None)` where nothing is near.
pub(super) fn unknown(name: &str) -> Option<Option<String>> {
    let listed = is_listed(name);
    let all = || {
        SERVER
            .iter()
            .map(|name| (*name).to_owned())
            .chain(CALLERS.iter().flat_map(|caller| UPSTREAM.iter().map(move |name| format!("{caller}{name}"))))
    };
    let core = CORE.iter().map(|name| (*name).to_owned());
    if listed || all().any(|known| known == name) || CORE.contains(&name) || is_foreign(name) {
        return None;
    }
    let near = |limit: usize, list: &mut dyn Iterator<Item = String>| {
        list.map(|known| (strsim::osa_distance(&known, name), known))
            .filter(|(distance, _)| *distance <= limit)
            .min()
            .map(|(_, known)| known)
    };
    if let Some(meant) = near(1, &mut core.chain(all().filter(|known| known.len() > 5))) {
        return Some(Some(meant));
    }
    let mut own = entries(OWN).filter(|known| known.len() > 4).map(str::to_owned);
    if let Some(meant) = near(if name.len() > 10 { 2 } else { 1 }, &mut own) {
        return Some(Some(meant));
    }
    // Other modules have names with `ssl` in them too, but not this near to those of nginx, nor with these beginnings.
    let looks = name.len() > 6
        && ["ssl_", "sll_", "ssl-", "tls_", "proxy_ssl", "proxy_sll", "grpc_ssl", "uwsgi_ssl"].iter().any(|start| name.starts_with(start));
    Some(if looks { near(4, &mut all()) } else { None })
}

fn is_foreign(name: &str) -> bool {
    FOREIGN.contains(&name) || name.contains("_by_lua") || FOREIGN_STARTS.iter().any(|start| name.starts_with(start))
}

/// Whether nginx refuses it twice in one block.
pub(super) fn is_once(name: &str) -> bool {
    ONCE.contains(&name)
}

/// Whether only `http` and `server` (or their like of stream and mail) may hold it.
pub(super) fn is_of_server(name: &str) -> bool {
    SERVER.contains(&name)
}

/// Whether it is about calls to other servers: `http`, `server` and `location` may hold it.
pub(super) fn is_of_call(name: &str) -> bool {
    CALLERS.iter().any(|caller| name.strip_prefix(caller).is_some_and(|rest| UPSTREAM.contains(&rest)))
}

/// What nginx expects of the values, where they are not that.
pub(super) fn expected(name: &str, args: &[String]) -> Option<String> {
    let bare = CALLERS.iter().find_map(|caller| name.strip_prefix(caller)).filter(|rest| UPSTREAM.contains(rest)).unwrap_or(name);
    let ours = SERVER.contains(&bare) || UPSTREAM.contains(&bare) || bare == "proxy_pass";
    let value = args.first().map(String::as_str).unwrap_or_default();
    let single = SINGLE.contains(&bare) || SWITCHES.contains(&bare) || bare == "ssl_verify_client";
    if name == "server_name" {
        // Any word is a name for nginx: a forgotten ; makes the next directive one.
        let next = args.iter().find(|arg| SERVER.contains(&arg.as_str()) && arg.contains('_'))?;
        return Some(format!("a ; before {next}"));
    }
    if name == "add_header" && !matches!(args.len(), 2 | 3) {
        return Some("a name, a value, and at most always".to_owned());
    }
    if !ours {
        return None;
    }
    if bare == "ssl_verify_depth" && (value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some("a number".to_owned());
    }
    if bare == "ssl_session_cache" && args.iter().any(|arg| arg.strip_prefix("shared:").is_some_and(|rest| !is_zone(rest))) {
        return Some("shared:NAME:SIZE".to_owned());
    }
    if single && args.len() != 1 {
        let swallowed = args.iter().find(|arg| SERVER.contains(&arg.as_str()) || UPSTREAM.contains(&arg.trim_start_matches("proxy_")));
        return Some(match swallowed {
            Some(next) => format!("one value and a ; at its end, before {next}"),
            None => "one value".to_owned(),
        });
    }
    if SWITCHES.contains(&bare) && !(value.eq_ignore_ascii_case("on") || value.eq_ignore_ascii_case("off")) {
        return Some("on or off".to_owned());
    }
    if bare == "ssl_verify_client" && !VERIFY_CLIENT.iter().any(|known| known.eq_ignore_ascii_case(value)) {
        return Some(VERIFY_CLIENT.join(", "));
    }
    let protocols = bare == "ssl_protocols"
        && (args.is_empty() || args.iter().any(|arg| !PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(arg))));
    protocols.then(|| PROTOCOLS.join(", "))
}

/// `NAME:SIZE`.
pub(super) fn is_zone(rest: &str) -> bool {
    let size = rest.rsplit_once(':').filter(|(name, _)| !name.is_empty()).map_or("", |(_, size)| size);
    size.starts_with(|c: char| c.is_ascii_digit()) && size.chars().all(|c| c.is_ascii_digit() || "kKmM".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_directive_is_told_with_the_one_that_was_meant() {
        for (name, meant) in [
            ("ssl_certficate", "ssl_certificate"),
            ("ssl_certificate_keys", "ssl_certificate_key"),
            ("ssl_verify_clients", "ssl_verify_client"),
            ("ssl_client_cert", "ssl_client_certificate"),
            ("proxy_ssl_verfy", "proxy_ssl_verify"),
            ("proxy_ssl_trusted_certifcate", "proxy_ssl_trusted_certificate"),
            ("sll_certificate", "ssl_certificate"),
            ("servername", "server_name"),
            ("lisen", "listen"),
            ("proxy_pas", "proxy_pass"),
            ("grpc_ssl_certifcate", "grpc_ssl_certificate"),
        ] {
            let found = unknown(name).flatten();
            // ssl_client_cert is as near to others; what counts is that it is told.
            assert!(found.as_deref() == Some(meant) || (name == "ssl_client_cert" && unknown(name).is_some()), "{name}: {found:?}");
        }
        for name in [
            "ssl_certificate",
            "proxy_ssl_verify",
            "ssl_certificate_by_lua_block",
            "lua_ssl_trusted_certificate",
            "js_fetch_verify",
            "ssl_ct",
            "more_set_headers",
            "server",
            "root",
            "alias",
            "proxy_set_header",
            "zone_sync_ssl_verify",
            "ssl_stapling_verify",
            "auth_http",
            "proxy_hide_header",
        ] {
            assert_eq!(unknown(name), None, "{name}");
        }
    }

    #[test]
    fn values_are_judged_where_nginx_judges_them() {
        let list = |words: &str| words.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (name, args, bad) in [
            ("ssl_verify_client", "yes", true),
            ("ssl_verify_client", "optional_no_ca", false),
            ("proxy_ssl_verify", "true", true),
            ("proxy_ssl_verify", "ON", false),
            ("ssl_protocols", "TLSv1.2 TLS1.3", true),
            ("ssl_protocols", "TLSv1.2 TLSv1.3", false),
            ("ssl_certificate", "/a ssl_certificate_key /b", true),
            ("ssl_certificate", "/a", false),
            ("ssl_session_cache", "shared:a:1m builtin", false),
            ("add_header", "a b c", false),
            ("server_name", "a.example ssl_certificate /c.pem", true),
            ("server_name", "a.example ssl.example", false),
            ("proxy_ssl_certificate", "", true),
        ] {
            assert_eq!(expected(name, &list(args)).is_some(), bad, "{name} {args}");
        }
    }
}
