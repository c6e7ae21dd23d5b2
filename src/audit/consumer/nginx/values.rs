//! Words that directives take and no others (`ngx_conf_enum_t`, `ngx_conf_bitmask_t` and the modules' own parsers), and addresses, codes and
//! entries of maps. It must never judge a word with a variable in it, nor what a newer version may have added to an open list.

use super::module::Module;
use super::shapes::Place;
use super::syntax::Directive;
use super::{known, table, upstream};

/// The words of a directive, where each of them must be one of these.
const WORDS: &[(&str, &[&str])] = &[
    ("satisfy", &["all", "any"]),
    ("proxy_http_version", &["1.0", "1.1", "2"]),
    ("dav_methods", &["off", "PUT", "DELETE", "COPY", "MOVE", "MKCOL"]),
    ("proxy_next_upstream", NEXT),
    ("fastcgi_next_upstream", NEXT),
    ("uwsgi_next_upstream", NEXT),
    ("grpc_next_upstream", NEXT),
    ("client_body_in_file_only", &["off", "on", "clean"]),
    ("if_modified_since", &["off", "exact", "before"]),
    ("gzip_http_version", &["1.0", "1.1"]),
    ("gzip_proxied", &["off", "expired", "no-cache", "no-store", "private", "no_last_modified", "no_etag", "auth", "any"]),
    ("autoindex_format", &["html", "json", "jsonp", "xml"]),
    ("lingering_close", &["off", "on", "always"]),
    ("gzip_static", &["off", "on", "always"]),
    ("use", &["epoll", "poll", "select", "kqueue", "eventport", "/dev/poll"]),
    ("limit_conn_log_level", &["info", "notice", "warn", "error"]),
];
/// The same in `mail`.
const MAIL: &[(&str, &[&str])] = &[
    ("protocol", &["imap", "pop3", "smtp"]),
    ("starttls", &["off", "on", "only"]),
    ("imap_auth", &["plain", "login", "cram-md5", "external"]),
    ("pop3_auth", &["plain", "apop", "cram-md5", "external"]),
    ("smtp_auth", &["plain", "login", "cram-md5", "external", "none"]),
];
/// What `stream` and `mail` read as `http` does; others take other words there under the same names.
const SHARED: &[&str] =
    &["set", "map", "geo", "split_clients", "server", "zone", "allow", "deny", "error_log", "resolver", "limit_conn_zone"];
const NEXT: &[&str] = &[
    "error",
    "timeout",
    "denied",
    "invalid_header",
    "http_500",
    "http_502",
    "http_503",
    "http_504",
    "http_403",
    "http_404",
    "http_429",
    "non_idempotent",
    "updating",
    "off",
];
const LEVELS: &[&str] = &[
    "debug",
    "info",
    "notice",
    "warn",
    "error",
    "crit",
    "alert",
    "emerg",
    "debug_core",
    "debug_alloc",
    "debug_mutex",
    "debug_event",
    "debug_http",
    "debug_mail",
    "debug_stream",
];
/// What may stand behind the address of an upstream's server.
const SERVER: &[&str] = &["backup", "down", "drain", "resolve"];
const SERVER_VALUED: &[&str] = &["weight", "max_conns", "max_fails", "fail_timeout", "slow_start", "route", "service"];
/// Parameters behind the first so many words, each as it begins; one with a `=` at its end has a value.
const PARAMETERS: &[(&str, usize, &[&str])] = &[
    ("limit_conn_zone", 1, &["zone="]),
    ("limit_req_zone", 1, &["zone=", "rate=", "sync"]),
    ("limit_req", 0, &["zone=", "burst=", "delay=", "nodelay"]),
    ("open_file_cache", 0, &["max=", "inactive=", "off"]),
    ("proxy_cache_path", 1, CACHE),
    ("fastcgi_cache_path", 1, CACHE),
    ("uwsgi_cache_path", 1, CACHE),
    ("scgi_cache_path", 1, CACHE),
    ("access_log", 2, &["buffer=", "gzip", "gzip=", "flush=", "if="]),
    ("resolver", 1, &["valid=", "ipv4=", "ipv6=", "status_zone="]),
];
const CACHE: &[&str] = &[
    "levels=",
    "use_temp_path=",
    "keys_zone=",
    "inactive=",
    "max_size=",
    "min_free=",
    "manager_files=",
    "manager_sleep=",
    "manager_threshold=",
    "loader_files=",
    "loader_sleep=",
    "loader_threshold=",
    "purger=",
    "purger_files=",
    "purger_sleep=",
    "purger_threshold=",
];
const MODIFIERS: &[&str] = &["=", "~", "~*", "^~"];
/// What is passed to, and the schemes of it.
const PASS: &[(&str, &[&str])] = &[("proxy_pass", &["http://", "https://"])];

/// What nginx expects of the words of a directive, where they are not that.
pub(super) fn expected(directive: &Directive, place: &Place<'_>, before: &[Directive]) -> Option<String> {
    let args: Vec<&str> = directive.args.iter().map(String::as_str).collect();
    let (name, context) = (directive.name.as_str(), place.context);
    let lists = match place.module {
        Module::Mail => MAIL,
        Module::Http => WORDS,
        Module::Stream if name == "limit_conn_log_level" => WORDS,
        Module::Stream => &[],
    };
    if let Some((_, known)) = lists.iter().find(|(known, _)| *known == name) {
        // In mail there are no variables.
        let open = |arg: &str| arg.contains('$') && place.module != Module::Mail;
        let strange = args.iter().any(|arg| !open(arg) && !known.iter().any(|known| known.eq_ignore_ascii_case(arg)));
        return strange.then(|| known.join(", "));
    }
    if place.module == Module::Mail && name == "auth_http" && args.first().is_some_and(|url| url.starts_with("https://")) {
        return Some("http:// and an address: it is asked without TLS".to_owned());
    }
    if place.module != Module::Http && !SHARED.contains(&name) {
        return None;
    }
    if let Some(strange) = parameter(name, &args) {
        return Some(format!("its parameters, not {strange:?}"));
    }
    match (name, args.as_slice()) {
        ("location", [modifier, _]) if !MODIFIERS.contains(modifier) => {
            Some(format!("{} or nothing before the path", MODIFIERS.join(", ")))
        }
        ("set", [variable, _]) | ("map", [_, variable]) | ("geo" | "split_clients", [.., variable]) if !variable.starts_with('$') => {
            Some("a name that begins with $".to_owned())
        }
        ("server", words) if context == place.module.block() && (directive.block.is_none() || !words.is_empty()) => {
            Some("a block right behind it".to_owned())
        }
        ("expires", [.., time]) if !is_expiry(time) => Some("a time such as 10d, epoch, max or off".to_owned()),
        ("access_log", ["off", _, ..]) => Some("off alone".to_owned()),
        ("zone", [_, size]) if context == "upstream" && !table::is_size(size) => Some("a size, such as 64k".to_owned()),
        ("add_header", [_, _, always]) if *always != "always" => Some("always, or nothing".to_owned()),
        ("allow" | "deny", [address]) if !is_network(address) => Some("an address, a network, unix: or all".to_owned()),
        ("error_log", [_, level]) if !LEVELS.contains(level) => Some(LEVELS.get(..8).unwrap_or(LEVELS).join(", ")),
        ("worker_processes", [count]) if *count != "auto" && !is_number(count) => Some("a number, or auto".to_owned()),
        ("return", [code, _]) if !is_code(code) => Some("a status code".to_owned()),
        ("return", [code]) if !is_code(code) && !is_url(code) => Some("a status code, or a URL".to_owned()),
        ("server", []) if context == "upstream" => Some("an address".to_owned()),
        ("server", [address, ..]) if context == "upstream" && place.module == Module::Stream && !upstream::has_port(address) => {
            Some("an address with its port".to_owned())
        }
        ("server", [_, rest @ ..]) if context == "upstream" => {
            let strange = rest.iter().find(|word| !is_of_server(word))?;
            Some(format!("parameters of an upstream's server, not {strange}"))
        }
        ("proxy_redirect", ["default"]) if !before.iter().any(|line| line.name == "proxy_pass") => {
            Some("proxy_pass before proxy_redirect default".to_owned())
        }
        (name, [target]) => {
            let (_, schemes) = PASS.iter().find(|(known, _)| *known == name)?;
            let lower = target.to_ascii_lowercase();
            let bad = !target.contains('$') && context != "server" && !schemes.iter().any(|scheme| lower.starts_with(scheme));
            bad.then(|| schemes.join(" or "))
        }
        _ => None,
    }
}

/// The first word behind a directive's own that is none of its parameters, or a zone without its size.
fn parameter<'a>(name: &str, args: &[&'a str]) -> Option<&'a str> {
    let (_, own, known) = PARAMETERS.iter().find(|(known, ..)| *known == name)?;
    let is_address = |word: &str| name == "resolver" && !word.contains('=');
    let is_known = |word: &str| known.iter().any(|known| if known.ends_with('=') { word.starts_with(known) } else { *known == word });
    let sized = name.ends_with("_zone") || name.ends_with("_path");
    let is_zone =
        |word: &str| word.split_once('=').filter(|(key, _)| sized && key.ends_with("zone")).is_none_or(|(_, zone)| known::is_zone(zone));
    args.iter().skip(*own).copied().find(|word| !(is_address(word) || (is_known(word) && is_zone(word))))
}

/// What is expected of the entries of a block that holds no directives, where one is not that.
pub(super) fn entry(block: &Directive) -> Option<(&Directive, &'static str)> {
    let alone: &[&str] = match block.name.as_str() {
        "map" => &["hostnames", "volatile"],
        "geo" => &["ranges", "proxy_recursive", "volatile"],
        _ => return None,
    };
    let strange = |line: &&Directive| match line.args.len() {
        0 => !alone.contains(&line.name.as_str()),
        count => count > 1,
    };
    block.inside().iter().find(strange).map(|line| (line, "a key and a value in each line"))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_code(word: &str) -> bool {
    is_number(word) && word.len() <= 3
}

fn is_url(word: &str) -> bool {
    ["http://", "https://", "$scheme", "$"].iter().any(|start| word.starts_with(start))
}

fn is_expiry(word: &str) -> bool {
    matches!(word, "epoch" | "max" | "off") || word.starts_with('$') || table::is_time(word.trim_start_matches(['+', '-', '@']))
}

fn is_of_server(word: &str) -> bool {
    let Some((name, value)) = word.split_once('=') else { return SERVER.contains(&word) };
    let numeric = matches!(name, "weight" | "max_conns" | "max_fails");
    SERVER_VALUED.contains(&name) && (!numeric || is_number(value))
}

/// `all`, `unix:`, an address, or a network of it.
fn is_network(word: &str) -> bool {
    if matches!(word, "all" | "unix:") || word.contains('$') {
        return true;
    }
    let (address, bits) = word.split_once('/').map_or((word, None), |(address, bits)| (address, Some(bits)));
    let Ok(address) = address.parse::<std::net::IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    // A mask may be written as an address too.
    bits.is_none_or(|bits| bits.parse().is_ok_and(|bits: u8| bits <= most) || bits.parse::<std::net::Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_nginx_takes() {
        for (text, context, bad) in [
            ("satisfy some;", "location", true),
            ("satisfy Any;", "location", false),
            ("add_header X y never;", "http", true),
            ("allow 10.0.0.0/33;", "server", true),
            ("deny 2001:db8::/32;", "server", false),
            ("allow 10.0.0.0/255.0.0.0;", "server", false),
            ("error_log /x two.crt;", "main", true),
            ("return 99999;", "location", true),
            ("return 301 /x;", "location", false),
            ("return https://$host/;", "location", false),
            ("server 10.0.0.1 weight=x;", "http/upstream", true),
            ("server 10.0.0.1 weight=5 backup;", "http/upstream", false),
            ("proxy_pass 10.0.0.1:80;", "location", true),
            ("proxy_pass $back;", "location", false),
            ("proxy_pass 10.0.0.1:80;", "stream/server", false),
            ("proxy_next_upstream on;", "stream/server", false),
            ("server 10.0.0.1:80 weight=x;", "stream/upstream", true),
            ("server 10.0.0.1:80;", "stream", true),
            ("server 10.0.0.1;", "stream/upstream", true),
            ("server [::1]:1;", "stream/upstream", false),
            ("server unix:/x;", "stream/upstream", false),
            ("server 10.0.0.1;", "http/upstream", false),
            ("starttls required;", "mail/server", true),
            ("starttls ONLY;", "mail/server", false),
            ("smtp_auth login none;", "mail", false),
            ("imap_auth login none;", "mail", true),
            ("protocol imaps;", "mail/server", true),
            ("protocol $what;", "mail/server", true),
            ("auth_http https://10.0.0.1/x;", "mail", true),
            ("server;", "http/upstream", true),
            ("proxy_redirect default;", "location", true),
            ("limit_req_zone $host zone=z rate=1r/s;", "http", true),
            ("limit_req_zone $host zone=z:1m rate=1r/s;", "http", false),
            ("proxy_cache_path /x levels=1:2 keys_zone=z:10m max_size=1g;", "http", false),
            ("access_log /x main buffer=4k;", "http", false),
            ("access_log /x main flash=4k;", "http", true),
            ("zone back one.key;", "upstream", true),
            ("location /a /b { }", "server", true),
            ("location ^~ /b { }", "server", false),
            ("set x 1;", "server", true),
            ("geo $a $b { }", "http", false),
            ("expires 10q;", "http", true),
            ("expires @15h30m;", "http", false),
            ("expires modified -1h;", "http", false),
            ("error_log /x debug_stream;", "main", false),
            ("proxy_cache_path /x keys_zone=z:10m purger=on purger_files=10 loader_sleep=50ms;", "http", false),
            ("proxy_cache_path /x keys_zone=z:10m loader_nap=50ms;", "http", true),
            ("limit_req_zone $host zone=z:1m rate=1r/s sync;", "http", false),
        ] {
            let (list, _) = super::super::syntax::parse(text, &std::rc::Rc::from(std::path::Path::new("/n")));
            let place = context.split('/').fold(Place::outermost(""), Place::inside);
            assert_eq!(expected(&list[0], &place, &[]).is_some(), bad, "{text}");
        }
    }

    #[test]
    fn entries_of_a_map_have_a_key_and_a_value() {
        for (text, bad) in [
            ("map a $b { hostnames; x y; }", false),
            ("map a $b { x; }", true),
            ("map a $b { x y z; }", true),
            ("types { a b c; }", false),
            ("geo $x { default 0; proxy 10.0.0.1; proxy_recursive; }", false),
            ("geo $x { proxies; }", true),
        ] {
            let (list, _) = super::super::syntax::parse(text, &std::rc::Rc::from(std::path::Path::new("/n")));
            assert_eq!(entry(&list[0]).is_some(), bad, "{text}");
        }
    }
}
