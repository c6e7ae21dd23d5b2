//! One server block: what it shows, whom it asks for a certificate, and by what it judges them.

use super::ciphers;
use super::lints;
use super::listen::{self, Listen};
use super::module::Module;
use super::passing;
use super::reader::{NginxReader, Side};
use super::scope::Scope;
use super::source::at;
use super::syntax::Directive;
use crate::audit::facts::findings::NewFinding;
use crate::audit::facts::wiring::{ClientAuth, Listener, ListenerTerms};
use crate::model::finding::Severity;
use crate::model::idn;
use crate::model::profile::Purpose;

/// A server block with its addresses and names.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub(super) directive: &'a Directive,
    /// Each with the line that says it, where one does.
    pub(super) listens: Vec<(Listen, Option<&'a Directive>)>,
    pub(super) names: Vec<String>,
    pub(super) label: String,
    /// What it asks of its clients.
    pub(super) client_auth: ClientAuth,
}

impl<'a> Server<'a> {
    /// Reads addresses and names.
    pub(super) fn read(directive: &'a Directive, module: Module, reader: &mut NginxReader<'_>) -> Self {
        let inside = directive.inside();
        let mut listens = Vec::new();
        for line in inside.iter().filter(|line| line.name == "listen") {
            match listen::parse(line, module, reader.version) {
                Ok(listen) => listens.push((listen, Some(line))),
                Err(why) => reader.findings.add(at(&lints::VALUE_INVALID, line).expected("an address or port, then parameters").found(why)),
            }
        }
        let said = inside.iter().any(|line| line.name == "listen");
        if !said && module == Module::Http {
            listens.push((listen::unset(), None));
        }
        let lines = inside.iter().filter(|line| line.name == "server_name");
        let mut names: Vec<String> = Vec::new();
        for line in lines {
            for name in &line.args {
                let ascii = idn::ascii(name).filter(|_| !name.starts_with('~'));
                if let Some(ascii) = &ascii {
                    let draft = at(&lints::NAME_UNICODE, line).expected(ascii.clone()).found(name.clone());
                    reader.findings.add(draft.remedy(format!("write server_name {ascii}")));
                }
                names.push(ascii.unwrap_or_else(|| name.to_ascii_lowercase()));
            }
        }
        let label = names.iter().find(|name| is_name(name)).cloned();
        let address = || listens.first().map_or_else(|| "without an address".to_owned(), |(listen, _)| listen.address());
        let label = format!("server {}", label.unwrap_or_else(address));
        Self { directive, listens, names, label, client_auth: ClientAuth::No }
    }

    /// Names that a client may look for in its certificate.
    pub(super) fn host_names(&self) -> Vec<String> {
        self.names.iter().filter(|name| is_name(name)).cloned().collect()
    }
}

/// Not a placeholder, an expression, a wildcard or an address.
fn is_name(name: &str) -> bool {
    let odd = name.is_empty() || name == "_" || name == "localhost" || name.starts_with(['~', '.', '$']) || name.contains(['*', '$']);
    !odd && name.parse::<std::net::IpAddr>().is_err()
}

/// What a server shows and asks: its pairs and listeners go into the wiring. `tls` says which of its addresses speak TLS, `loads` whether
/// nginx opens its certificates and lists at all.
pub(super) fn wire(reader: &mut NginxReader<'_>, server: &mut Server<'_>, scope: &Scope<'_>, tls: &[bool], loads: bool) {
    let speaks = tls.iter().any(|tls| *tls);
    let names = if speaks { server.host_names() } else { Vec::new() };
    let side = Side { start: "", purpose: Purpose::Server };
    let pairs = if loads { reader.pairs(scope, side, &server.label, &names) } else { Vec::new() };
    let shown = loads && !scope.all("ssl_certificate").is_empty();
    // nginx asks for the list wherever there is a certificate, on plain addresses too.
    let trust = if speaks || shown { asks(reader, server, scope, shown) } else { None };
    if speaks {
        strength(reader, scope);
        quic(reader, server, scope);
    }
    for ((listen, line), tls) in server.listens.iter().zip(tls) {
        let Some(port) = listen.port.filter(|_| !listen.quic && !listen.udp) else { continue };
        let consumer = reader.consumer(&server.label, line.unwrap_or(server.directive));
        let (names, pairs) =
            (server.names.iter().filter(|name| is_name(name)).cloned().collect(), if *tls { pairs.clone() } else { Vec::new() });
        let client_auth = if *tls { server.client_auth } else { ClientAuth::No };
        let trust = trust.filter(|_| *tls);
        let terms = ListenerTerms {
            versions: tls.then(|| passing::versions(scope, "ssl_protocols")),
            suites: ciphers::of(scope, "ssl_ciphers"),
            proxy_line: listen.proxy_line,
            passes: None,
        };
        let host = listen.host.clone();
        reader.wiring.listeners.push(Listener { consumer, host, port, tls: *tls, names, pairs, client_auth, trust, terms });
    }
}

/// `ssl_verify_client`, and the list it needs.
fn asks(reader: &mut NginxReader<'_>, server: &mut Server<'_>, scope: &Scope<'_>, shown: bool) -> Option<usize> {
    let verify = scope.get("ssl_verify_client");
    let value = verify.map_or("off", Directive::arg).to_ascii_lowercase();
    server.client_auth = match value.as_str() {
        "on" => ClientAuth::Required,
        "optional" | "optional_no_ca" => ClientAuth::Optional,
        _ => ClientAuth::No,
    };
    let client = scope.get("ssl_client_certificate").filter(|line| !line.arg().is_empty());
    let trusted = scope.get("ssl_trusted_certificate").filter(|line| !line.arg().is_empty());
    let lists: Vec<&Directive> = client.into_iter().chain(trusted).collect();
    let verify = verify.filter(|_| server.client_auth != ClientAuth::No)?;
    if value == "optional_no_ca" || (value == "optional" && !uses_client(server.directive, scope)) {
        let named = value == "optional_no_ca"
            && says_of_client(server.directive, scope, NAMED)
            && !says_of_client(server.directive, scope, CHECKED);
        if named {
            let draft = at(&lints::CLIENT_UNCHECKED, verify)
                .severity(Severity::High)
                .expected("a use of $ssl_client_verify, or ssl_verify_client on");
            let found = format!("optional_no_ca in {}: names of certificates that nobody checked are taken or passed on", server.label);
            reader.findings.add(draft.found(found));
        }
        if !uses_client(server.directive, scope) {
            let draft = at(&lints::CLIENT_UNCHECKED, verify)
                .expected("on, or a use of $ssl_client_verify")
                .found(format!("{value} in {}", server.label));
            reader.findings.add(if value == "optional" { draft.severity(Severity::Low) } else { draft });
        }
        if value == "optional_no_ca" {
            return None;
        }
    }
    if client.is_none() && shown && !scope.lacks_include() {
        let draft =
            at(&lints::CLIENT_CA_UNSET, verify).expected("ssl_client_certificate").found(format!("none in force for {}", server.label));
        // Newer versions take ssl_trusted_certificate for it: some of 1.27 and all later ones.
        let newer = trusted.is_some() && reader.version.is_none_or(|version| version >= [1, 27, 0]);
        reader.findings.add(if newer {
            draft.severity(Severity::Medium).evidence("ssl_trusted_certificate is enough for newer versions only")
        } else {
            draft
        });
    }
    reader.trust(&lists, Purpose::Client, &server.label, reader.trust_terms(scope, ""))
}

/// What a certificate says of its holder; anybody may write it into one.
const NAMED: &[&str] = &["ssl_client_s_dn", "ssl_client_i_dn", "ssl_client_serial"];
/// What shows that it was judged: here, or by whoever gets the whole of it.
const CHECKED: &[&str] =
    &["ssl_client_verify", "ssl_client_cert", "ssl_client_raw_cert", "ssl_client_escaped_cert", "ssl_client_fingerprint"];

/// Whether what is known of the client's certificate decides anything or is passed on.
fn uses_client(directive: &Directive, scope: &Scope<'_>) -> bool {
    says_of_client(directive, scope, &["ssl_client_"])
}

fn says_of_client(directive: &Directive, scope: &Scope<'_>, variables: &[&str]) -> bool {
    let named = |arg: &str| variables.iter().any(|name| arg.contains(&format!("${name}")) || arg.contains(&format!("${{{name}")));
    let says = |line: &Directive| line.args.iter().any(|arg| named(arg));
    let inherited = ["proxy_set_header", "grpc_set_header", "uwsgi_param", "fastcgi_param"];
    inherited.iter().flat_map(|name| scope.all(name)).any(|line| says(line)) || any(directive.inside(), &says)
}

fn any(list: &[Directive], says: &impl Fn(&Directive) -> bool) -> bool {
    list.iter().any(|line| says(line) || any(line.inside(), says))
}

/// QUIC has TLS 1.3 alone, and nginx does not start without it (`ngx_http_ssl_module`).
fn quic(reader: &mut NginxReader<'_>, server: &Server<'_>, scope: &Scope<'_>) {
    let Some((_, Some(line))) = server.listens.iter().find(|(listen, _)| listen.quic) else { return };
    if !passing::versions(scope, "ssl_protocols").tls13 {
        let said = scope.get("ssl_protocols").unwrap_or(line);
        let draft = at(&lints::VALUE_INVALID, said).file(line.location()).expected("TLSv1.3 beside listen … quic");
        reader.findings.add(draft.found(format!("ssl_protocols {}", said.args.join(" "))));
    }
}

/// TLS versions and ciphers.
fn strength(reader: &mut NginxReader<'_>, scope: &Scope<'_>) {
    const OLD: &[&str] = &["sslv2", "sslv3", "tlsv1", "tlsv1.1"];
    const WEAK: &[&str] = &[
        "NULL",
        "ENULL",
        "ANULL",
        "ADH",
        "AECDH",
        "EXP",
        "EXPORT",
        "LOW",
        "DES",
        "RC4",
        "MD5",
        "3DES",
        "RC4-SHA",
        "DES-CBC3-SHA",
        "COMPLEMENTOFDEFAULT",
        "ALL",
    ];
    let protocols = scope.all("ssl_protocols");
    let all: Vec<String> = protocols.iter().flat_map(|line| &line.args).map(|name| name.to_ascii_lowercase()).collect();
    let old: Vec<&str> = all.iter().map(String::as_str).filter(|name| OLD.contains(name)).collect();
    if let Some(line) = protocols.iter().find(|line| line.args.iter().any(|arg| OLD.contains(&arg.to_ascii_lowercase().as_str()))) {
        let draft = at(&lints::PROTOCOLS_OLD, line).expected("TLSv1.2 TLSv1.3").found(line.args.join(" "));
        let nothing_else = old.len() == all.len();
        let alone = |draft: NewFinding| {
            let draft = draft.evidence("no other version is allowed: present-day peers refuse it");
            ["rustls", "openssl", "python", "go"].iter().fold(draft, |draft, peer| draft.breaks(peer))
        };
        reader.findings.add(if nothing_else { alone(draft) } else { draft });
    }
    let Some(line) = scope.get("ssl_ciphers") else { return };
    let words: Vec<&str> = line.arg().split([':', ',', ' ']).collect();
    let excluded = |word: &str| words.iter().any(|other| other.strip_prefix('!').is_some_and(|other| other.eq_ignore_ascii_case(word)));
    let weak: Vec<&str> = words.iter().copied().filter(|word| WEAK.contains(&word.to_ascii_uppercase().as_str())).collect();
    let all_but = weak.iter().all(|word| word.eq_ignore_ascii_case("ALL")) && excluded("aNULL");
    if !weak.is_empty() && !all_but {
        reader.findings.add(at(&lints::CIPHERS_WEAK, line).expected("none of them").found(weak.join(" ")));
    }
}
