//! All server blocks of a module together: which address speaks TLS, who answers by default, which names and lines exclude each other.

use std::collections::BTreeMap;

use super::lints;
use super::module::Module;
use super::must_have;
use super::passing;
use super::proxy;
use super::reader::NginxReader;
use super::scope::Scope;
use super::server::{self, Server};
use super::source::at;
use super::syntax::Directive;
use crate::audit::facts::package::Version;
use crate::model::finding::Severity;

/// What nginx knows of an address after all its lines.
#[derive(Debug, Default)]
struct Address<'a> {
    tls: bool,
    first: usize,
    default: Option<&'a Directive>,
    options: Option<&'a Directive>,
    names: BTreeMap<String, usize>,
}

type Addresses<'a> = BTreeMap<String, Address<'a>>;

/// Reads a whole `http`, `stream` or `mail` block.
pub(super) fn read(reader: &mut NginxReader<'_>, list: &[Directive], module: Module) {
    let scope = Scope::new(None, list);
    let mut servers: Vec<Server<'_>> = scope.own("server").iter().map(|line| Server::read(line, module, reader)).collect();
    let addresses = addresses(reader, &servers, module);
    unset(reader, &servers, &addresses, &scope);
    let shared = proxy::Shared::new(&scope, module);
    let first = reader.wiring.listeners.len();
    for (index, server) in servers.iter_mut().enumerate() {
        let inner = Scope::new(Some(&scope), server.directive.inside());
        let old = inner.is_on("ssl") || matches!(inner.get("starttls").map(Directive::arg), Some("on" | "only"));
        let speaks = |address: &str| old || addresses.get(address).is_some_and(|address| address.tls);
        let tls: Vec<bool> = server.listens.iter().map(|(listen, _)| speaks(&listen.address())).collect();
        if let Some(line) = inner.own("ssl").first().filter(|line| line.arg() == "on") {
            reader.findings.add(at(&lints::SSL_ON, line).expected("listen … ssl").found("ssl on"));
            if inner.all("ssl_certificate").is_empty() && !inner.is_on("ssl_reject_handshake") {
                let draft = at(&lints::CERTIFICATE_UNSET, line).expected("ssl_certificate and ssl_certificate_key");
                reader.findings.add(draft.found(format!("none in force for {}", server.label)));
            }
        }
        let (listeners, connections) = (reader.wiring.listeners.len(), reader.wiring.connections.len());
        let loads = tls.iter().any(|tls| *tls) || opens(module, reader.version);
        server::wire(reader, server, &inner, &tls, loads);
        must_have::judge(reader, server, &inner, module);
        if module == Module::Http {
            plain(reader, server, &inner, &tls);
        }
        defaults(reader, server, index, &inner, &addresses, &tls);
        // Without a certificate nginx reads none of these.
        if loads && !inner.all("ssl_certificate").is_empty() {
            reader.must_exist(&inner, FILES);
        }
        proxy::walk(reader, server, &shared, &inner, &tls);
        if module == Module::Stream && !inner.is_on("proxy_ssl") {
            passing::hands_on(&mut reader.wiring, listeners, connections);
        }
    }
    passing::one_address_one_set(&mut reader.wiring, first);
    let shown = module == Module::Http
        && servers.iter().any(|server| !Scope::new(Some(&scope), server.directive.inside()).all("ssl_certificate").is_empty());
    if shown {
        reader.must_exist(&scope, FILES);
    }
}

/// Whether a server that speaks no TLS opens its certificates all the same: in `stream` it does since there are names of servers
/// (ngx_stream_ssl_module.c, `ngx_stream_ssl_merge_srv_conf`), in `mail` it does not (ngx_mail_ssl_module.c, `ngx_mail_ssl_merge_conf`).
fn opens(module: Module, version: Option<Version>) -> bool {
    match module {
        Module::Http => true,
        Module::Stream => version.is_none_or(|version| version >= [1, 25, 5]),
        Module::Mail => false,
    }
}

/// Files that nginx opens at its start where a server has a certificate.
const FILES: &[&str] = &["ssl_password_file", "ssl_crl", "ssl_dhparam", "ssl_session_ticket_key", "ssl_trusted_certificate"];

/// nginx speaks TLS on an address as soon as one line for it says so.
fn addresses<'a>(reader: &mut NginxReader<'_>, servers: &[Server<'a>], module: Module) -> Addresses<'a> {
    let mut addresses = Addresses::new();
    for (index, server) in servers.iter().enumerate() {
        let mut own: BTreeMap<String, u32> = BTreeMap::new();
        for (listen, line) in &server.listens {
            let key = listen.address();
            let known = addresses.contains_key(&key);
            let address = addresses.entry(key.clone()).or_insert_with(|| Address { first: index, ..Address::default() });
            address.tls |= listen.tls;
            let Some(line) = *line else { continue };
            let again = own.insert(key.clone(), line.line).map(|first| format!("{key} also in line {first} of the same server"));
            let mut conflict = again.map(|found| ("each address once in a server", found));
            if listen.default && address.default.is_none() {
                (address.first, address.default) = (index, Some(line));
            } else if let Some(first) = address.default.filter(|_| listen.default) {
                conflict = conflict.or_else(|| Some(("one default_server for an address", format!("{key} also in {}", first.location()))));
            }
            if listen.options && address.options.is_none() {
                address.options = Some(line);
            } else if let Some(first) = address.options.filter(|_| listen.options) {
                conflict = conflict.or_else(|| Some(("socket options once for an address", format!("{key} also in {}", first.location()))));
            }
            if module == Module::Stream && known && conflict.is_none() && server.names.is_empty() {
                conflict = Some(("one server for an address", format!("{key} is another server's")));
            }
            if let Some((expected, found)) = conflict {
                reader.findings.add(at(&lints::LISTEN_CONFLICT, line).expected(expected).found(found));
            }
        }
        if module == Module::Http {
            names(reader, servers, index, &mut addresses);
        }
    }
    addresses
}

/// The second server with a name on an address gets nothing.
fn names(reader: &mut NginxReader<'_>, servers: &[Server<'_>], index: usize, addresses: &mut Addresses<'_>) {
    let Some(server) = servers.get(index) else { return };
    let unnamed = [String::new()];
    let names = if server.names.is_empty() { unnamed.as_slice() } else { server.names.as_slice() };
    for (listen, _) in &server.listens {
        let Some(address) = addresses.get_mut(&listen.address()) else { continue };
        for name in names {
            let first = *address.names.entry(name.clone()).or_insert(index);
            let Some(other) = servers.get(first).filter(|_| first != index) else { continue };
            let draft = at(&lints::NAME_CONFLICT, server.directive).file(other.directive.location());
            let draft = draft.expected("one server block for a name on an address").found(format!("{name:?} on {}", listen.address()));
            let nobody = name.is_empty() || name == "_";
            reader.findings.add(if nobody { draft.severity(Severity::Low) } else { draft });
        }
    }
}

/// TLS addresses whose default server has nothing to show: nginx looks at the default server only, unless that refuses handshakes.
fn unset(reader: &mut NginxReader<'_>, servers: &[Server<'_>], addresses: &Addresses<'_>, scope: &Scope<'_>) {
    for (name, address) in addresses.iter().filter(|(_, address)| address.tls) {
        let Some(server) = servers.get(address.first) else { continue };
        let inner = Scope::new(Some(scope), server.directive.inside());
        if !inner.all("ssl_certificate").is_empty() || inner.is_on("ssl_reject_handshake") || inner.lacks_include() {
            continue;
        }
        let lines = server.listens.iter().filter(|(listen, _)| listen.address() == *name).find_map(|(_, line)| *line);
        let draft = at(&lints::CERTIFICATE_UNSET, lines.unwrap_or(server.directive)).expected("ssl_certificate and ssl_certificate_key");
        reader.findings.add(draft.found(format!("none in force for {}", server.label)));
    }
}

/// A server on a TLS address that has no certificate, and is not the one that nginx looks at.
fn defaults(reader: &mut NginxReader<'_>, server: &Server<'_>, index: usize, scope: &Scope<'_>, addresses: &Addresses<'_>, tls: &[bool]) {
    if !scope.all("ssl_certificate").is_empty() || scope.is_on("ssl_reject_handshake") || scope.lacks_include() {
        return;
    }
    for ((listen, line), _) in server.listens.iter().zip(tls).filter(|(_, tls)| **tls) {
        let Some(line) = line else { continue };
        if addresses.get(&listen.address()).is_some_and(|address| address.first != index) {
            let draft = at(&lints::CERTIFICATE_DEFAULT, line).expected("ssl_certificate and ssl_certificate_key");
            reader.findings.add(draft.found(format!("none in force for {}", server.label)));
        }
    }
}

/// HTTPS ports, or a certificate, where nothing speaks TLS.
fn plain(reader: &mut NginxReader<'_>, server: &Server<'_>, scope: &Scope<'_>, tls: &[bool]) {
    const HTTPS: &[u16] = &[443, 8443, 9443];
    let speaks = tls.iter().any(|tls| *tls);
    let own = scope.own("ssl_certificate").first();
    for ((listen, line), tls) in server.listens.iter().zip(tls) {
        let (Some(port), Some(line), false) = (listen.port, line, *tls) else { continue };
        let meant = HTTPS.contains(&port) || (own.is_some() && !speaks && port != 80);
        if !meant {
            continue;
        }
        let draft = at(&lints::PLAIN, line).expected(format!("listen {} ssl", line.arg())).found(format!("listen {}", line.args.join(" ")));
        let draft = match own {
            Some(own) => {
                draft.file(own.location()).evidence(format!("{} has a certificate of its own, which it never shows", server.label))
            }
            None if scope.all("ssl_certificate").is_empty() || port != 443 => draft.severity(Severity::Medium),
            None => draft,
        };
        reader.findings.add(draft.remedy(format!("write listen {} ssl; in line {}", line.args.join(" "), line.line)));
    }
    // Port 80 alone, with a certificate: nothing breaks here, but whoever wrote it meant something else.
    if let Some(own) = own.filter(|_| !speaks && server.listens.iter().all(|(listen, _)| listen.port == Some(80))) {
        let draft = at(&lints::PLAIN, own).severity(Severity::Medium).expected("a listen line with ssl");
        let draft = draft.found(format!("{} listens on port 80 alone and never shows its certificate", server.label));
        reader.findings.add(draft.remedy("add listen 443 ssl; to the server block, or remove the certificate"));
    }
}
