//! `listen`: addresses, ports and what is said behind them.

use super::module::Module;
use super::syntax::Directive;
use super::table;
use crate::audit::facts::package::Version;

/// One address that is listened on, as a `listen` line says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    /// `0.0.0.0` and `::` for all; empty for a Unix socket.
    pub(super) host: String,
    /// `None` for a Unix socket.
    pub(super) port: Option<u16>,
    /// `ssl`, or `quic`, which always is.
    pub(super) tls: bool,
    pub(super) quic: bool,
    /// Datagrams, of `stream`: another socket than that of connections.
    pub(super) udp: bool,
    pub(super) default: bool,
    /// `proxy_protocol`.
    pub(super) proxy_line: bool,
    /// Options of the socket itself, which may be said once for an address.
    pub(super) options: bool,
}

impl Listen {
    /// The key by which nginx takes two lines for the same address; QUIC is UDP.
    pub(super) fn address(&self) -> String {
        let kind = if self.quic || self.udp { "udp " } else { "" };
        match self.port {
            Some(port) => format!("{kind}{}:{port}", self.host),
            None => format!("{kind}{}", self.host),
        }
    }

    /// Whether only this host can reach it.
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "::1" || self.host.starts_with("127.")
    }
}

/// What stands where there is no `listen` line at all.
pub(super) fn unset() -> Listen {
    Listen {
        host: "0.0.0.0".to_owned(),
        port: Some(80),
        tls: false,
        quic: false,
        udp: false,
        default: false,
        proxy_line: false,
        options: false,
    }
}

/// What may stand behind an address, and in which modules (`ngx_*_core_listen`); with a `=` it has a value.
const PARAMETERS: &[Parameter] = &[
    within("ssl", EACH),
    within("quic", HTTP),
    since("default_server", IN_STREAM),
    within("default", HTTP),
    within("proxy_protocol", EACH),
    within("http2", HTTP),
    within("http3", HTTP),
    within("spdy", HTTP),
    within("udp", &[Module::Stream]),
    within("multipath", EACH),
    within("bind", EACH),
    since("deferred", IN_STREAM),
    within("reuseport", TWO),
    within("backlog=", EACH),
    within("rcvbuf=", EACH),
    within("sndbuf=", EACH),
    since("setfib=", IN_STREAM),
    within("fastopen=", TWO),
    within("so_keepalive=", EACH),
    within("ipv6only=", EACH),
    since("accept_filter=", IN_STREAM),
];
const EACH: &[Module] = &Module::ALL;
const TWO: &[Module] = &[Module::Http, Module::Stream];
const HTTP: &[Module] = &[Module::Http];
/// When `stream` took over parameters of `http` (nginx.org, CHANGES).
const IN_STREAM: Version = [1, 25, 5];

struct Parameter {
    name: &'static str,
    modules: &'static [Module],
    /// The first version whose `stream` takes it, where others have it for longer.
    since: Option<Version>,
}

const fn within(name: &'static str, modules: &'static [Module]) -> Parameter {
    Parameter { name, modules, since: None }
}

/// One that `stream` took over from `http`.
const fn since(name: &'static str, version: Version) -> Parameter {
    Parameter { name, modules: TWO, since: Some(version) }
}

/// Whether a module of this version takes a parameter.
fn is_taken(option: &str, module: Module, version: Option<Version>) -> bool {
    let fits =
        |parameter: &&Parameter| if parameter.name.ends_with('=') { option.starts_with(parameter.name) } else { option == parameter.name };
    let Some(parameter) = PARAMETERS.iter().find(fits) else { return false };
    let too_old = module == Module::Stream && parameter.since.zip(version).is_some_and(|(since, version)| version < since);
    parameter.modules.contains(&module) && !too_old
}

/// Reads a `listen` line; a range of ports gives its first. Without a port it is 80 in `http`.
pub(super) fn parse(directive: &Directive, module: Module, version: Option<Version>) -> Result<Listen, String> {
    let address = directive.arg();
    let default_port = if module == Module::Http { Some(80) } else { None };
    let (host, port) = split(address, default_port).ok_or_else(|| format!("{address:?} is no address and no port"))?;
    let mut listen = Listen { host, port, ..unset() };
    for option in directive.args.iter().skip(1) {
        if !is_taken(option, module, version) {
            return Err(format!("the parameter {option:?} is not known in {}", module.block()));
        }
        match option.as_str() {
            "ssl" => listen.tls = true,
            "quic" => (listen.tls, listen.quic) = (true, true),
            "default_server" | "default" => listen.default = true,
            "proxy_protocol" => listen.proxy_line = true,
            "udp" => listen.udp = true,
            "http2" | "http3" | "spdy" | "multipath" => {}
            "bind" | "deferred" | "reuseport" => listen.options = true,
            other => {
                let (name, value) = other.split_once('=').unwrap_or((other, ""));
                let sound = match name {
                    "backlog" => value.parse::<i32>().is_ok(),
                    "setfib" | "fastopen" => value.parse::<u32>().is_ok(),
                    "rcvbuf" | "sndbuf" => table::is_size(value),
                    "ipv6only" => matches!(value, "on" | "off"),
                    _ => true,
                };
                if !sound {
                    return Err(format!("the parameter {other:?} has no such value"));
                }
                listen.options = true;
            }
        }
    }
    let has = |word: &str| directive.args.iter().skip(1).any(|arg| arg == word);
    if has("udp") && has("ssl") {
        return Err("udp beside ssl: TLS of nginx is over TCP".to_owned());
    }
    Ok(listen)
}

fn split(address: &str, default_port: Option<u16>) -> Option<(String, Option<u16>)> {
    if let Some(path) = address.strip_prefix("unix:") {
        return (!path.is_empty()).then(|| (format!("unix:{path}"), None));
    }
    if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let port = match after.strip_prefix(':') {
            Some(port) => number(port)?,
            None => default_port.filter(|_| after.is_empty())?,
        };
        return Some((host.to_ascii_lowercase(), Some(port)));
    }
    if let Some(port) = number(address) {
        return Some(("0.0.0.0".to_owned(), Some(port)));
    }
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, number(port)?),
        None => (address, default_port?),
    };
    let host = match host {
        "" | "*" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        host => host,
    };
    if host.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let written = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '$' | '{' | '}');
    host.chars().all(written).then(|| (host.to_ascii_lowercase(), Some(port)))
}

fn number(text: &str) -> Option<u16> {
    let first = text.split_once('-').map_or(text, |(first, _)| first);
    first.parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Listen, String> {
        let (list, _) = super::super::syntax::parse(&format!("listen {text};"), &std::rc::Rc::from(std::path::Path::new("/n")));
        parse(&list[0], Module::Http, None)
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        for (text, address, tls) in [
            ("443 ssl", "0.0.0.0:443", true),
            ("80", "0.0.0.0:80", false),
            ("*:8443 ssl http2", "0.0.0.0:8443", true),
            ("10.0.0.1:9881", "10.0.0.1:9881", false),
            ("127.0.0.1", "127.0.0.1:80", false),
            ("localhost:8000", "127.0.0.1:8000", false),
            ("[::]:443 ssl ipv6only=on", ":::443", true),
            ("[::1]", "::1:80", false),
            ("unix:/run/x.sock ssl", "unix:/run/x.sock", true),
            ("443 quic reuseport", "udp 0.0.0.0:443", true),
            ("8000-8010", "0.0.0.0:8000", false),
        ] {
            let listen = read(text).unwrap();
            assert_eq!((listen.address().as_str(), listen.tls), (address, tls), "{text}");
        }
        assert!(read("443 default_server").unwrap().default && read("443 backlog=5").unwrap().options);
    }

    #[test]
    fn each_module_and_version_takes_parameters_of_its_own() {
        use Module::{Http, Mail, Stream};
        let rows = [
            ("1 udp", Stream, None, true),
            ("1 udp", Http, None, false),
            ("1 http2", Stream, None, false),
            ("1 ssl proxy_protocol backlog=5", Mail, None, true),
            ("1 reuseport", Mail, None, false),
            ("1 reuseport", Stream, Some([1, 22, 1]), true),
            ("1 default_server", Stream, Some([1, 22, 1]), false),
            ("1 default_server", Stream, Some([1, 25, 5]), true),
            ("10.0.0.1", Stream, None, false),
            ("1 udp ssl", Stream, None, false),
        ];
        for (text, module, version, taken) in rows {
            let (list, _) = super::super::syntax::parse(&format!("listen {text};"), &std::rc::Rc::from(std::path::Path::new("/n")));
            assert_eq!(parse(&list[0], module, version).is_ok(), taken, "{text} in {module:?} {version:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_said() {
        for text in [
            "443 sssl",
            "https",
            "[::1",
            "0",
            "70000",
            "unix:",
            "a b:1",
            "443 ssl on",
            "443 backlog=x",
            "443 rcvbuf=1q",
            "443 ipv6only=maybe",
        ] {
            assert!(read(text).is_err() || text == "https", "{text}");
        }
    }
}
