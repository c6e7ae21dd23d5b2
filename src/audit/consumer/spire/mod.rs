//! SPIRE server and agent configuration: SPIRE's own sections, plugin blocks with their data, and what the Keylime plugin, x509pop and the
//! upstream authorities make of them. It must never judge a certificate, or believe `spire-server validate`, which calls misspelled plugin
//! options valid ([Unknown options](crate::audit#unknown-options)).

mod agent;
mod attestors;
mod disk;
mod endpoint;
mod keylime;
mod known;
pub mod lints;
mod own;
mod plugin;
mod plugins;
pub mod programs;
mod reader;
mod server;
mod start;
mod store;
mod upstream;

use std::path::{Path, PathBuf};

use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::hcl::{self, Body};
use crate::audit::facts::service::{Operand, Service, Source, TargetKind};
use crate::audit::facts::started::Started;
use crate::audit::facts::unread;
use crate::audit::facts::wiring::Wiring;
use crate::io::look::View;
use crate::model::audit::{Location, Target};
use reader::{Side, SpireReader};

/// What the audit knows of SPIRE.
pub static SERVICE: Service = Service {
    title: Some("SPIRE"),
    targets: &[TargetKind { prefix: "spire", operand: Operand::Path, value: "FILE", note: "", read: read_from }],
    usual,
    read: read_from,
    started_as: &["spire-server", "spire-agent"],
    unit_words: &["spire"],
    programs: &[&programs::SERVER, &programs::AGENT],
    ..Service::named("spire", lints::ALL)
};

fn read_from(source: Source<'_>, start: &Path, findings: &mut HostFindings) -> Wiring {
    read_started(source.view, start, source.started, findings)
}

/// Where packages and the documentation put configurations.
const DIRECTORIES: [&str; 6] =
    ["/opt/spire/conf/server", "/opt/spire/conf/agent", "/opt/spire/conf", "/etc/spire", "/etc/spire/server", "/etc/spire/agent"];
/// Names that are SPIRE's own even where nothing in them can be read.
const NAMES: [&str; 4] = ["server.conf", "agent.conf", "server.hcl", "agent.hcl"];

/// Reads the configuration of a server or an agent, which its content tells apart; of a directory every one in it.
#[must_use]
pub fn read(view: &View, start: &Path, findings: &mut HostFindings) -> Wiring {
    read_started(view, start, &[], findings)
}

/// The same, with what units start SPIRE with.
#[must_use]
pub fn read_started(view: &View, start: &Path, started: &[Started], findings: &mut HostFindings) -> Wiring {
    if view.is_directory(start) {
        let mut wiring = Wiring::default();
        for file in within(view, start) {
            wiring.join(read_started(view, &file, started, findings));
        }
        return wiring;
    }
    let text = match view.text(start) {
        Ok(text) => text,
        Err(error) => {
            unread::unreadable(findings, Target::new("spire", start.display().to_string()), Location::file(start), &error);
            return Wiring::default();
        }
    };
    let (body, fault) = start::parse(&text, start, started);
    if let Some(fault) = &fault {
        let target = Target::new("spire", start.display().to_string());
        unread::malformed(findings, target, Location::line(start, fault.line), fault.expected, &fault.found);
    }
    let Some(side) = side(&body) else {
        if fault.is_none() {
            let target = Target::new("spire", start.display().to_string());
            unread::malformed(findings, target, Location::file(start), "a section server { } or agent { }", "neither");
        }
        return Wiring { files: vec![start.to_path_buf()], ..Wiring::default() };
    };
    let mut reader = SpireReader::new(view, start, side, findings);
    reader.started = started;
    let own = body.bodies(side.name()).last();
    reader.log = own.and_then(|(own, _)| own.text("log_file")).filter(|(log, _)| !log.trim().is_empty()).map(|(log, _)| reader.path(&log));
    own::keys(&mut reader, &body);
    match side {
        Side::Server => server::read(&mut reader, &body),
        Side::Agent => agent::read(&mut reader, &body),
    }
    plugins::read(&mut reader, &body);
    endpoint::read(&mut reader, &body);
    reader.wiring
}

/// Every configuration at the usual places; a file under two names counts once.
#[must_use]
pub fn usual(view: &View) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut seen = Vec::new();
    for file in DIRECTORIES.iter().flat_map(|directory| within(view, Path::new(directory))) {
        let real = view.real(&file).unwrap_or_else(|_| file.clone());
        if !seen.contains(&real) {
            seen.push(real);
            files.push(file);
        }
    }
    files
}

fn within(view: &View, directory: &Path) -> Vec<PathBuf> {
    let names = view.list(directory).unwrap_or_default();
    let named = |name: &String| [".conf", ".hcl", ".json"].iter().any(|ending| name.ends_with(ending));
    let is_one = |file: &PathBuf| {
        let own = file.file_name().and_then(|name| name.to_str()).is_some_and(|name| NAMES.contains(&name));
        view.is_file(file) && (own || view.text(file).is_ok_and(|text| side(&hcl::parse(&text).0).is_some()))
    };
    names.into_iter().filter(named).map(|name| directory.join(name)).filter(is_one).collect()
}

/// What a configuration is for.
fn side(body: &Body) -> Option<Side> {
    let has = |key: &str| body.bodies(key).next().is_some();
    match (has("server"), has("agent")) {
        (true, _) => Some(Side::Server),
        (false, true) => Some(Side::Agent),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests;
