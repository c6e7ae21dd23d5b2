//! Calls of nginx to other services: whom it calls, what it shows, by what it judges, and for whom it does so.

use std::collections::BTreeSet;

use super::ciphers;
use super::guard::{self, Guard};
use super::module::Module;
use super::reader::{NginxReader, Side};
use super::scope::Scope;
use super::server::Server;
use super::source::at;
use super::syntax::Directive;
use super::upstream::{self, Groups, Pass};
use super::{lints, passing};
use crate::audit::facts::findings::NewFinding;
use crate::audit::facts::wiring::{CallTerms, Connection};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// What all servers of a module share.
#[derive(Debug)]
pub(super) struct Shared {
    module: Module,
    groups: Groups,
    /// Variables that depend on the client's certificate.
    client: BTreeSet<String>,
}

impl Shared {
    pub(super) fn new(scope: &Scope<'_>, module: Module) -> Self {
        Self { module, groups: Groups::new(scope), client: guard::variables(scope) }
    }
}

/// A call, and all around it that decides about it.
struct Call<'a> {
    line: &'a Directive,
    start: &'static str,
    pass: Pass,
    scope: &'a Scope<'a>,
    label: String,
}

/// Goes through a server block and its locations.
pub(super) fn walk(reader: &mut NginxReader<'_>, server: &Server<'_>, shared: &Shared, scope: &Scope<'_>, tls: &[bool]) {
    if shared.module == Module::Mail {
        return;
    }
    let guard = Guard::of_server(server, tls);
    block(reader, server, shared, scope, guard);
}

fn block(reader: &mut NginxReader<'_>, server: &Server<'_>, shared: &Shared, scope: &Scope<'_>, guard: Guard) {
    let guard = guard.within(scope, &shared.client);
    reader.must_exist(scope, &["proxy_ssl_password_file", "proxy_ssl_crl", "grpc_ssl_password_file", "uwsgi_ssl_password_file"]);
    for start in ["proxy_", "grpc_", "uwsgi_"] {
        for line in scope.own(&format!("{start}pass")) {
            if let Some(expected) = shared.groups.expected(line.arg()).filter(|_| shared.module == Module::Stream) {
                reader.findings.add(at(&lints::VALUE_INVALID, line).expected(expected).found(line.arg()));
                continue;
            }
            let bare = shared.module == Module::Stream && scope.is_on("proxy_ssl");
            let pass = upstream::pass(line.arg(), scope, &shared.groups, bare);
            let label = format!("{} to {}", server.label, shown(&pass, line));
            call(reader, &Call { line, start, pass, scope, label }, guard);
        }
    }
    for name in ["location", "if", "limit_except"] {
        for inner in scope.own(name) {
            block(reader, server, shared, &Scope::new(Some(scope), inner.inside()), guard);
        }
    }
}

fn shown(pass: &Pass, line: &Directive) -> String {
    match pass.ends.first() {
        Some((host, port)) => format!("{host}:{port}"),
        None => line.arg().to_owned(),
    }
}

fn call(reader: &mut NginxReader<'_>, call: &Call<'_>, guard: Guard) {
    scheme(reader, call);
    let (mut trust, mut pair, mut name) = (None, None, None);
    if call.pass.tls {
        let side = Side { start: call.start, purpose: Purpose::Client };
        pair = reader.pairs(call.scope, side, &call.label, &[]).first().copied();
        let shows = call.scope.get(&call.name("ssl_certificate")).filter(|line| !line.arg().is_empty());
        if let Some(shows) = shows {
            given_away(reader, call, shows, guard);
        }
        if call.scope.is_on(&call.name("ssl_verify")) {
            let lists = call.scope.all(&call.name("ssl_trusted_certificate"));
            if lists.is_empty() {
                let draft = at(&lints::UPSTREAM_TRUST_UNSET, call.line).expected(call.name("ssl_trusted_certificate"));
                reader.findings.add(draft.found(format!("none in force for {}", call.label)));
            }
            trust = reader.trust(lists, Purpose::Server, &call.label, reader.trust_terms(call.scope, call.start));
            name = Some(looked_for(reader, call));
        } else {
            unverified(reader, call, shows.is_some());
        }
    }
    let versions = call.pass.tls.then(|| passing::versions(call.scope, &call.name("ssl_protocols")));
    let suites = ciphers::of(call.scope, &call.name("ssl_ciphers")).filter(|_| call.pass.tls);
    for (host, port) in &call.pass.ends {
        let consumer = reader.consumer(&call.label, call.line);
        let (host, name, terms) = (host.clone(), name.clone(), CallTerms { versions, suites: suites.clone(), ..CallTerms::default() });
        let connection = Connection { consumer, host, port: *port, tls: call.pass.tls, name, trust, pair, terms };
        reader.wiring.connections.push(connection);
    }
}

impl Call<'_> {
    fn name(&self, end: &str) -> String {
        format!("{}{end}", self.start)
    }

    /// Whether a client certificate alone makes an administrator there ([Who is an administrator](crate::audit#who-is-an-administrator)),
    /// or lets in.
    fn is_administrative(&self, shows: &Directive) -> bool {
        const PORTS: &[u16] = &[8881, 8891, 8200, 8201];
        const WORDS: &[&str] = &["keylime", "verifier", "registrar", "openbao", "vault"];
        let ports = self.pass.ends.iter().any(|(_, port)| PORTS.contains(port));
        let text = format!("{} {} {}", self.pass.name, self.line.arg(), shows.arg()).to_ascii_lowercase();
        ports || WORDS.iter().any(|word| text.contains(word))
    }

    fn is_near(&self) -> bool {
        let near = |host: &str| host == "localhost" || host == "::1" || host.starts_with("127.");
        !self.pass.ends.is_empty() && self.pass.ends.iter().all(|(host, _)| near(host))
    }
}

/// Plain HTTP to a TLS port, or TLS to the port of plain HTTP.
fn scheme(reader: &mut NginxReader<'_>, call: &Call<'_>) {
    // 8443 is plain HTTP for many a container.
    const TLS: &[u16] = &[443, 8881, 8891];
    if call.start == "uwsgi_" || !call.line.arg().contains("://") {
        return;
    }
    for (host, port) in &call.pass.ends {
        let (expected, why) = match (call.pass.tls, *port) {
            (true, 80) if call.pass.group => {
                ("a port for each server of the group", "a server of a group without a port is called on port 80, over TLS as well")
            }
            (true, 80) => ("another port for https", "port 80 is plain HTTP"),
            (false, port) if TLS.contains(&port) => ("https", "the port is one for TLS: the service answers 400 or hangs up"),
            _ => continue,
        };
        let draft = at(&lints::UPSTREAM_SCHEME, call.line).expected(expected).found(format!("{} leads to {host}:{port}", call.line.arg()));
        reader.findings.add(draft.evidence(why));
    }
}

/// The name that nginx looks for, and whether it can be there at all.
fn looked_for(reader: &mut NginxReader<'_>, call: &Call<'_>) -> String {
    let said = call.scope.get(&call.name("ssl_name")).filter(|line| !line.arg().contains("$proxy_host"));
    let name = said.map_or(call.pass.name.as_str(), Directive::arg);
    let name = name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok() && said.is_some()).map_or(name, |(host, _)| host);
    let location = said.unwrap_or(call.line);
    let draft = |found: String| at(&lints::UPSTREAM_NAME, location).expected("a DNS name of the upstream's certificate").found(found);
    if name.parse::<std::net::IpAddr>().is_ok() {
        // X509_check_host() looks at DNS names only (steps/services.md, "nginx").
        let draft = draft(format!("the address {name}")).evidence("nginx never compares addresses: every call fails");
        reader.findings.add(draft.severity(Severity::High).breaks("nginx"));
    } else if call.pass.group && said.is_none() && !name.contains('.') {
        reader.findings.add(draft(format!("{name:?}, the name of the upstream group")));
    }
    let sni = call.scope.get(&call.name("ssl_server_name"));
    if name.contains('.') && name.parse::<std::net::IpAddr>().is_err() && sni.is_none() && !call.is_near() {
        let draft = at(&lints::UPSTREAM_SNI, call.line).expected(format!("{} on", call.name("ssl_server_name")));
        reader.findings.add(draft.found(format!("not set: {} sees no name and shows its default certificate", call.label)));
    }
    name.to_owned()
}

fn unverified(reader: &mut NginxReader<'_>, call: &Call<'_>, shows: bool) {
    let said = call.scope.get(&call.name("ssl_verify"));
    let found = format!("{} {}", call.name("ssl_verify"), if said.is_some() { "off" } else { "not set, which is off" });
    let mut draft = at(&lints::UPSTREAM_UNVERIFIED, said.unwrap_or(call.line)).file(call.line.location());
    draft = draft.expected(format!("{} on", call.name("ssl_verify"))).found(format!("{found}: {}", call.label));
    if let Some(list) = call.scope.get(&call.name("ssl_trusted_certificate")) {
        draft = draft.file(list.location()).evidence(format!("{} is set, and not used", list.name));
    }
    if shows {
        draft = draft.evidence("whoever answers in the upstream's place is given what nginx may do there");
    }
    reader.findings.add(draft);
}

/// A client certificate that is shown for whoever asks.
fn given_away(reader: &mut NginxReader<'_>, call: &Call<'_>, shows: &Directive, guard: Guard) {
    let Some(callers) = guard.open() else { return };
    let administrative = call.is_administrative(shows);
    let verifier = call.pass.ends.iter().any(|(_, port)| *port == 8881);
    let draft: NewFinding = at(&lints::IDENTITY, call.line).file(shows.location());
    let draft = draft
        .expected("a client certificate, or another proof, of every caller")
        .found(format!("{callers} may call {} with the identity of {}", call.label, shows.arg()))
        .evidence(format!("{} {} in {}", shows.name, shows.arg(), shows.location()));
    let draft = if verifier {
        draft.evidence("Keylime's verifier takes every client certificate with a common name for an administrator's")
    } else {
        draft
    };
    let severity = match (administrative, guard.by_address()) {
        (true, false) => Severity::High,
        (true, true) | (false, false) => Severity::Medium,
        (false, true) => Severity::Low,
    };
    reader.findings.add(draft.severity(severity));
}
