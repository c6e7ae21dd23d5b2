//! Where a `proxy_pass` leads: schemes, addresses, groups of upstream servers, and variables whose value is in the configuration.

use std::collections::BTreeMap;

use super::scope::Scope;
use super::syntax::Directive;

/// Where a call leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) tls: bool,
    /// Host of the value, without its port: what nginx looks for in the certificate by default.
    pub(super) name: String,
    /// Every server behind it; none where a variable decides.
    pub(super) ends: Vec<(String, u16)>,
    /// Whether it is a group of servers.
    pub(super) group: bool,
    /// A Unix socket, or a variable: nothing can be said about addresses.
    pub(super) unknown: bool,
}

/// The groups of servers of a module.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<String, Vec<(String, Option<u16>)>>);

impl Groups {
    pub(super) fn new(scope: &Scope<'_>) -> Self {
        let server = |line: &Directive| split(line.arg());
        // One that is marked down is never called.
        let called = |line: &&Directive| line.name == "server" && !line.args.iter().any(|arg| arg == "down");
        let servers = |group: &Directive| group.inside().iter().filter(called).filter_map(server).collect();
        Self(scope.own("upstream").iter().map(|group| (group.arg().to_ascii_lowercase(), servers(group))).collect())
    }
}

impl Groups {
    /// What `stream` expects of the value of its `proxy_pass`, where it is not that.
    pub(super) fn expected(&self, value: &str) -> Option<&'static str> {
        if value.contains('$') || self.0.contains_key(&value.to_ascii_lowercase()) {
            return None;
        }
        if value.contains("://") {
            return Some("an address without a scheme: what is passed on are bytes");
        }
        (!has_port(value)).then_some("an address with its port, or a group of servers")
    }
}

/// Reads the value of a `proxy_pass`, `grpc_pass` or `uwsgi_pass`. `bare_tls` says what a value without a scheme speaks.
pub(super) fn pass(value: &str, scope: &Scope<'_>, groups: &Groups, bare_tls: bool) -> Pass {
    let value = substituted(value, scope);
    let (tls, rest) = match value.split_once("://") {
        Some(("https" | "grpcs" | "suwsgi", rest)) => (true, rest),
        Some((_, rest)) => (bare_tls && value.starts_with('$'), rest),
        None => (bare_tls, value.as_str()),
    };
    let scheme = value.contains("://");
    let end = rest.find(['/', '?']).filter(|_| !rest.starts_with("unix:")).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let nothing = Pass { tls, name: authority.to_owned(), ends: Vec::new(), group: false, unknown: true };
    if authority.contains('$') || authority.starts_with("unix:") {
        return nothing;
    }
    if let Some(servers) = groups.0.get(&authority.to_ascii_lowercase()) {
        // The servers of a group speak on port 80 unless they say otherwise, over TLS as well.
        let ends = servers.iter().map(|(host, port)| (host.clone(), port.unwrap_or(80))).collect();
        return Pass { ends, group: true, unknown: false, ..nothing };
    }
    let Some((host, port)) = split(authority) else { return nothing };
    let default = if scheme && tls { 443 } else { 80 };
    Pass { name: host.clone(), ends: vec![(host, port.unwrap_or(default))], unknown: false, ..nothing }
}

/// Whether an address says its port, as `stream` wants it (ngx_stream_upstream.c); a socket of the file system has none.
pub(super) fn has_port(address: &str) -> bool {
    address.starts_with("unix:") || split(address).is_some_and(|(_, port)| port.is_some())
}

/// Host and port; IPv6 without its brackets. `None` for a Unix socket.
fn split(address: &str) -> Option<(String, Option<u16>)> {
    if address.starts_with("unix:") || address.is_empty() {
        return None;
    }
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, rest)| (host, rest.strip_prefix(':')))?,
        None => address.rsplit_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    Some((host.to_ascii_lowercase(), port.and_then(|port| port.parse().ok())))
}

/// A value with the variables of `set` lines in it; what the request decides stays.
fn substituted(value: &str, scope: &Scope<'_>) -> String {
    let mut value = value.to_owned();
    for _ in 0..4 {
        let Some(start) = value.find('$') else { break };
        let rest = value.get(start + 1..).unwrap_or_default();
        let (name, length) = match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').map_or((inner, rest.len()), |(name, _)| (name, name.len() + 2)),
            None => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                (rest.get(..end).unwrap_or_default(), end)
            }
        };
        let Some(with) = scope.variable(name) else { break };
        value = format!("{}{with}{}", value.get(..start).unwrap_or_default(), rest.get(length..).unwrap_or_default());
        if value.len() > 4096 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_where_a_call_leads_is_read() {
        let text = "upstream Back { server 10.0.0.1:8881 max_fails=3; server 10.0.0.2; server unix:/x; server 10.0.0.3 weight=2 down; } set $to https://v.example:8881; set $h v.example;";
        let (list, _) = super::super::syntax::parse(text, &std::rc::Rc::from(std::path::Path::new("/n")));
        let scope = Scope::new(None, &list);
        let groups = Groups::new(&scope);
        let read = |value: &str| pass(value, &scope, &groups, false);
        for (value, tls, ends) in [
            ("https://v.example/x", true, vec![("v.example", 443)]),
            ("http://v.example", false, vec![("v.example", 80)]),
            ("https://[::1]:8881", true, vec![("::1", 8881)]),
            ("https://back/", true, vec![("10.0.0.1", 8881), ("10.0.0.2", 80)]),
            ("grpcs://a:1", true, vec![("a", 1)]),
            ("suwsgi://a:1", true, vec![("a", 1)]),
            ("$to", true, vec![("v.example", 8881)]),
            ("https://${h}:8881/x", true, vec![("v.example", 8881)]),
            ("https://$request", true, vec![]),
            ("https://unix:/run/x.sock:/u", true, vec![]),
        ] {
            let pass = read(value);
            let found: Vec<(&str, u16)> = pass.ends.iter().map(|(host, port)| (host.as_str(), *port)).collect();
            assert_eq!((pass.tls, found), (tls, ends), "{value}");
        }
        assert!(read("https://back").group && read("https://$request").unknown);
    }

    #[test]
    fn variables_that_name_themselves_do_not_hang() {
        let (list, _) = super::super::syntax::parse("set $a $a$a; set $b é$b;", &std::rc::Rc::from(std::path::Path::new("/n")));
        let scope = Scope::new(None, &list);
        for value in ["https://$a", "$b", "$", "${", "${a", "é$"] {
            let _unjudged = pass(value, &scope, &Groups::default(), false);
        }
    }
}
