//! The section `agent { }`: how it knows its server, and what it offers to workloads.

use super::reader::{Side, SpireReader};
use super::{disk, lints, own, start};
use crate::audit::facts::hcl::Body;
use crate::audit::facts::wiring::{Connection, Needs, Trust};
use crate::model::audit::Location;
use crate::model::profile::Purpose;

/// A longer one cannot be bound ([Limits](crate::audit#limits)).
const SOCKET: usize = 107;

/// Reads the section.
pub(super) fn read(reader: &mut SpireReader<'_>, body: &Body) {
    let Some((agent, line)) = body.bodies("agent").last() else { return };
    let domain = own::required(reader, agent, line, "trust_domain");
    let address = own::required(reader, agent, line, "server_address");
    own::required(reader, agent, line, "server_port");
    let port = own::port(reader, agent, "server_port", 8081);
    let trust = bootstrap(reader, agent, line);
    if let Some((host, at)) = address {
        let spot = reader.spot(agent.get("server_port").map_or(at, |item| item.line));
        let consumer = reader.consumer(&spot);
        beside(reader, &host, port, domain.as_ref(), agent);
        // It looks for a SPIFFE ID, not for a name.
        reader.wiring.connections.push(Connection {
            consumer,
            host,
            port,
            tls: true,
            name: None,
            trust,
            pair: None,
            terms: Default::default(),
        });
    }
    if let Some((_, at)) = agent.text("join_token").filter(|(token, _)| !token.is_empty()) {
        let spot = reader.spot(at);
        let draft = reader.draft(&lints::TOKEN_IN_FILE, &spot, "join_token").expected("join_token_file, or -joinToken once");
        reader.add(draft.found("join_token with a value"));
    }
    disk::socket(reader, agent, SOCKET);
    disk::directory(reader, agent);
}

/// What it knows its server by.
fn bootstrap(reader: &mut SpireReader<'_>, agent: &Body, line: u32) -> Option<usize> {
    let insecure = own::flag(agent, "insecure_bootstrap");
    if insecure {
        let spot = reader.spot(agent.get("insecure_bootstrap").map_or(line, |item| item.line));
        let draft =
            reader.draft(&lints::BOOTSTRAP, &spot, "insecure_bootstrap").expected("trust_bundle_path").found("insecure_bootstrap = true");
        reader.add(draft);
    }
    if let Some((url, at)) = agent.text("trust_bundle_url").filter(|(url, _)| url.to_ascii_lowercase().starts_with("http://")) {
        let socket = agent.text("trust_bundle_unix_socket").is_some();
        if !socket {
            let spot = reader.spot(at);
            let draft = reader.draft(&lints::BUNDLE_HTTP, &spot, "trust_bundle_url").expected("https://…").found(url);
            reader.add(draft);
        }
    }
    let set = |key: &str| agent.text(key).is_some_and(|(text, _)| !text.trim().is_empty());
    if !insecure && !["trust_bundle_path", "trust_bundle_url", "trust_bundle_unix_socket"].iter().any(|key| set(key)) {
        let spot = reader.spot(line);
        let draft = reader.draft(&lints::BOOTSTRAP_NONE, &spot, "trust_bundle_path").expected("trust_bundle_path");
        reader.add(draft.found("neither trust_bundle_path nor trust_bundle_url"));
    }
    let spiffe = agent.text("trust_bundle_format").is_some_and(|(format, _)| format == "spiffe");
    let (bundle, at) = agent.text("trust_bundle_path").filter(|(path, _)| !spiffe && !path.trim().is_empty())?;
    let spot = reader.spot(at);
    let trust = Trust {
        consumer: reader.consumer(&spot),
        files: vec![reader.path(&bundle)],
        of: Purpose::Server,
        needs: Needs::Any,
        terms: Default::default(),
    };
    Some(reader.wiring.trust(trust))
}

/// The server of the same host, where the agent is sent to it.
fn beside(reader: &mut SpireReader<'_>, host: &str, port: u16, domain: Option<&(String, u32)>, agent: &Body) {
    let own_name = reader.view.host_name().is_some_and(|name| name.eq_ignore_ascii_case(host));
    if !(own_name || host == "localhost" || host.starts_with("127.") || host == "::1") {
        return;
    }
    for file in super::usual(reader.view) {
        let Ok(text) = reader.view.text(&file) else { continue };
        let (body, _) = start::parse(&text, &file, reader.started);
        if super::side(&body) != Some(Side::Server) {
            continue;
        }
        let Some((server, line)) = body.bodies("server").last() else { continue };
        if let (Some((agents, at)), Some((servers, there))) = (domain, server.text("trust_domain"))
            && !agents.eq_ignore_ascii_case(&servers)
            && ![agents, &servers].into_iter().any(|domain| start::is_variable(domain))
        {
            let spot = reader.spot(*at);
            let draft = reader.draft(&lints::TRUST_DOMAIN, &spot, "trust_domain").file(Location::line(&file, there));
            reader.add(draft.expected(format!("trust_domain = \"{servers}\"")).found(format!("trust_domain = \"{agents}\"")));
        }
        let bound = server.text("bind_port").map_or(Some(8081), |(text, _)| text.trim().parse::<u16>().ok());
        if let Some(bound) = bound.filter(|bound| *bound != port) {
            let spot = reader.spot(agent.get("server_port").map_or(1, |item| item.line));
            let there = server.get("bind_port").map_or(line, |item| item.line);
            let severity = if is_proxied(port) { crate::model::finding::Severity::Info } else { crate::model::finding::Severity::High };
            let draft = reader.draft(&lints::SERVER_PORT, &spot, "server_port").severity(severity).file(Location::line(&file, there));
            reader.add(draft.expected(format!("server_port = \"{bound}\"")).found(format!("server_port = \"{port}\"")));
        }
    }
}

/// A proxy that passes TLS on may stand on these.
const fn is_proxied(port: u16) -> bool {
    matches!(port, 443 | 8443)
}
