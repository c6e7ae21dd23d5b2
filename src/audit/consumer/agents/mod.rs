//! Agents that render certificates from OpenBao or Vault: `bao agent`, `vault agent`, `bao proxy` and consul-template. What they fetch, from
//! whom, where they write it, and who is told. It must never render a template, or take a template for more than the secrets that it names.

pub mod lints;
mod login;
mod template;

use std::path::{Path, PathBuf};

use crate::audit::facts::address;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::hcl::{self, Body};
use crate::audit::facts::program::{Program, TlsStack};
use crate::audit::facts::service::{Operand, Service, Source, TargetKind};
use crate::audit::facts::unread;
use crate::audit::facts::wiring::{CallTerms, Connection, Consumer, Needs, Pair, Renewal, Trust, Wiring};
use crate::io::look::View;
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Object, Target};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;
use login::{Known, Method};
use template::{Half, Template};

/// What the audit knows of agents.
pub static SERVICE: Service = Service {
    targets: &[TargetKind { prefix: "agent", operand: Operand::Path, value: "FILE", note: "", read: read_from }],
    usual,
    read: read_from,
    started_as: &["consul-template"],
    unit_words: &["consul-template"],
    programs: &[&AGENT],
    ..Service::named("agents", lints::ALL)
};

/// All of them are written in Go.
static AGENT: Program = Program { tls: TlsStack::Go, ..Program::named("agent") };

/// Where packages put configurations of consul-template; those of `bao agent` lie with OpenBao's own.
const PLACES: [&str; 3] = ["/etc/consul-template.d", "/etc/consul-template", "/etc/consul-template.hcl"];
/// As many templates of one file are read.
const TEMPLATES: usize = 200;

fn usual(view: &View) -> Vec<PathBuf> {
    PLACES.iter().map(PathBuf::from).filter(|path| view.meta(path).is_ok()).collect()
}

fn read_from(source: Source<'_>, start: &Path, findings: &mut HostFindings) -> Wiring {
    let view = source.view;
    if view.is_directory(start) {
        let names = view.list(start).unwrap_or_default();
        let own = |name: &String| name.ends_with(".hcl") || name.ends_with(".json") || name.ends_with(".conf");
        // One agent reads all of them as one.
        let files: Vec<PathBuf> = names.into_iter().filter(own).map(|name| start.join(name)).collect();
        return whole(view, &files, findings);
    }
    whole(view, &[start.to_path_buf()], findings)
}

fn whole(view: &View, files: &[PathBuf], findings: &mut HostFindings) -> Wiring {
    let mut agent = Agent { view, findings, wiring: Wiring::default(), templates: Vec::new() };
    for file in files {
        match view.text(file) {
            Ok(text) => {
                let (body, fault) = hcl::parse(&text);
                if let Some(fault) = fault {
                    let target = Target::new("agent", file.display().to_string());
                    unread::malformed(agent.findings, target, Location::line(file, fault.line), fault.expected, &fault.found);
                }
                agent.body(file, &body);
            }
            Err(error) => {
                let target = Target::new("agent", file.display().to_string());
                unread::unreadable(agent.findings, target, Location::file(file), &error);
            }
        }
    }
    agent.end();
    agent.wiring
}

/// Reads the configuration of an agent that another reader came across.
pub(in crate::audit) fn of_body(view: &View, file: &Path, body: &Body, findings: &mut HostFindings) -> Wiring {
    let mut agent = Agent { view, findings, wiring: Wiring::default(), templates: Vec::new() };
    agent.body(file, body);
    agent.end();
    agent.wiring
}

struct Agent<'a> {
    view: &'a View,
    findings: &'a mut HostFindings,
    wiring: Wiring,
    templates: Vec<Template>,
}

impl Agent<'_> {
    fn draft(&self, lint: &'static Lint, file: &Path, line: u32, key: &str) -> NewFinding {
        let object = Object::File(format!("{}#{key}{line}", file.display()));
        let target = Target::new("agent", file.display().to_string()).at_line(Some(line));
        NewFinding::new(lint, target, object).file(Location::line(file, line))
    }

    fn body(&mut self, file: &Path, body: &Body) {
        self.wiring.files.push(file.to_path_buf());
        for (vault, line) in body.bodies("vault") {
            self.server(file, vault, line, body);
        }
        self.methods(file, body);
        for (block, line) in body.bodies("template").take(TEMPLATES) {
            let read = Template::read(self.view, file, block, line);
            if let Some(source) = &read.absent {
                let draft = self.draft(&lints::SOURCE, file, line, "source").file(Location::file(source));
                let draft = draft.expected(source.display().to_string()).found("no such file");
                let left_out = self.view.is_elsewhere() && source.parent().is_some_and(|parent| !self.view.is_directory(parent));
                self.findings.add(if left_out { draft.severity(Severity::Low) } else { draft });
            }
            self.templates.push(read);
        }
    }

    /// Ways to log in that nobody knows, or Vault's agent alone.
    fn methods(&mut self, file: &Path, body: &Body) {
        for method in Method::all(body) {
            let (severity, evidence) = match method.known() {
                Known::Here => continue,
                Known::ByVault => (Severity::Low, "the agent of Vault knows it, that of OpenBao does not start with it"),
                Known::Nowhere => (Severity::Medium, "unknown auth method: the agent does not start, but where a newer version has it"),
                Known::Unnamed => (Severity::High, "method type must be specified: the agent does not start"),
            };
            let draft = self.draft(&lints::METHOD, file, method.line, "method").severity(severity);
            self.findings.add(
                draft
                    .expected("approle, cert, jwt, kubernetes or token_file")
                    .found(if method.name.is_empty() { "no type".to_owned() } else { method.name })
                    .evidence(evidence),
            );
        }
    }

    /// Whom it fetches from, and what it shows there.
    fn server(&mut self, file: &Path, vault: &Body, line: u32, body: &Body) {
        let ssl = vault.bodies("ssl").last().map(|(ssl, _)| ssl);
        let text = |key: &str| vault.text(key).or_else(|| ssl.and_then(|ssl| ssl.text(key))).filter(|(text, _)| !text.trim().is_empty());
        let is = |body: &Body, key: &str, value: &str| body.text(key).filter(|(text, _)| text == value).map(|(_, line)| line);
        let off = is(vault, "tls_skip_verify", "true").or_else(|| ssl.and_then(|ssl| is(ssl, "verify", "false")));
        if let Some(line) = off {
            let draft = self.draft(&lints::TLS_OFF, file, line, "verify").expected("certificates are checked");
            self.findings.add(draft.found(if ssl.is_some() { "verify = false" } else { "tls_skip_verify = true" }));
        }
        if let Some((token, line)) = text("token").filter(|(token, _)| !token.contains(['$', '{'])) {
            let draft = self.draft(&lints::TOKEN, file, line, "token").expected("a login");
            self.findings.add(draft.found(format!("a token of {} characters", token.chars().count())));
        }
        let Some((url, at)) = text("address") else { return };
        let tls = !url.to_ascii_lowercase().starts_with("http://");
        let near = ["http://127.", "http://localhost", "http://[::1]"].iter().any(|start| url.starts_with(start));
        if !tls && !near {
            let draft = self.draft(&lints::PLAIN, file, at, "address").expected("https://…");
            self.findings.add(draft.found(url.clone()));
        }
        let Some((host, port)) = address::of_url(&url).filter(|(host, _)| !host.contains(['$', '{'])) else { return };
        let consumer = self.consumer(file, at);
        let ca = text("ca_cert").filter(|(ca, _)| tls && off.is_none() && ca.starts_with('/'));
        let trust = ca.map(|(ca, at)| {
            let (consumer, files) = (self.consumer(file, at), vec![PathBuf::from(ca)]);
            self.wiring.trust(Trust { consumer, files, of: Purpose::Server, needs: Needs::Any, terms: Default::default() })
        });
        let pair = self.login(file, body).or_else(|| {
            let (certificate, at) = text("client_cert").or_else(|| text("cert"))?;
            let key = text("client_key").or_else(|| text("key"));
            Some(self.pair(file, &certificate, key.map(|(key, _)| key), at))
        });
        let name = text("tls_server_name").or_else(|| text("server_name")).map_or_else(|| host.clone(), |(name, _)| name);
        let login = Method::certificate(body).is_some();
        let terms = CallTerms { login, ..CallTerms::default() };
        let name = Some(name).filter(|_| tls && off.is_none());
        self.wiring.connections.push(Connection { consumer, host, port, tls, name, trust, pair, terms });
        let _ = line;
    }

    /// What `auto_auth` with `method "cert"` shows.
    fn login(&mut self, file: &Path, body: &Body) -> Option<usize> {
        let config = Method::certificate(body)?.config();
        let (certificate, line) = config.text("client_cert")?;
        let key = config.text("client_key").map(|(key, _)| key);
        Some(self.pair(file, &certificate, key, line))
    }

    fn pair(&mut self, file: &Path, certificate: &str, key: Option<String>, line: u32) -> usize {
        let consumer = self.consumer(file, line);
        self.wiring.pair(Pair::new(consumer, PathBuf::from(certificate), key.map(PathBuf::from), Purpose::Client))
    }

    fn consumer(&self, file: &Path, line: u32) -> Consumer {
        let target = Target::new("agent", file.display().to_string()).at_line(Some(line));
        Consumer { program: &AGENT, target, location: Location::line(file, line) }
    }

    /// What shows when all templates are known.
    fn end(&mut self) {
        let templates = std::mem::take(&mut self.templates);
        self.halves(&templates);
        let told = templates.iter().any(|template| template.halves().next().is_some() && template.tells).then_some(());
        for template in &templates {
            let has = |half: Half| template.halves().any(|found| found == half);
            if has(Half::Key) && template.opens() && !template.writes_key_itself {
                let draft = self.draft(&lints::KEY_MODE, &template.file, template.line, "perms").expected("perms = \"0600\"");
                self.findings.add(draft.found(template.perms.clone().unwrap_or_else(|| "no perms".to_owned())));
            }
            if (has(Half::Certificate) || has(Half::Key)) && !template.destinations.is_empty() {
                let renewal = Renewal {
                    consumer: self.consumer(&template.file, template.line),
                    files: template.destinations.clone(),
                    told: told.iter().map(|()| "*".to_owned()).collect(),
                    what: "the template",
                };
                self.wiring.renewals.push(renewal);
            }
        }
    }

    /// Certificate and key of one path out of two templates.
    fn halves(&mut self, templates: &[Template]) {
        for (index, one) in templates.iter().enumerate() {
            for secret in one.secrets.iter().filter(|secret| secret.half == Half::Certificate) {
                let others = templates.iter().enumerate().filter(|(other, _)| *other != index);
                let keys = others.flat_map(|(_, other)| other.secrets.iter().map(move |key| (other, key)));
                let Some((other, key)) = keys.into_iter().find(|(_, key)| key.half == Half::Key && key.path == secret.path) else {
                    continue;
                };
                // An answer that is asked for in the same words is shared; pkiCert keeps one for each file that it writes.
                let shared = secret.call == key.call && !secret.own_answer;
                let lint = if shared { &lints::TOGETHER } else { &lints::TWO_CALLS };
                let draft = self.draft(lint, &one.file, one.line, &secret.path).file(Location::line(&other.file, other.line));
                let draft = draft.expected("certificate and key from one answer");
                let found = format!("{}: the certificate in line {}, the key in line {}", secret.path, one.line, other.line);
                self.findings.add(draft.found(if shared { found } else { format!("two calls of {found}") }));
            }
        }
    }
}
