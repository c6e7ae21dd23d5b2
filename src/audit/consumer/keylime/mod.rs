//! Keylime configuration as its parts read it: files, drop-ins and environment of verifier, registrar, tenant and agent.

mod agent;
mod agent_tls;
mod check;
mod ini;
mod known;
mod layers;
pub mod lints;
pub mod programs;
mod python;
mod registrar;
mod settings;
mod table;
mod tenant;
mod tls;
mod verifier;

use std::path::{Path, PathBuf};

use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::program::Program;
use crate::audit::facts::service::{Operand, Service, Source, TargetKind};
use crate::audit::facts::unread;
use crate::audit::facts::variable::Variable;
use crate::audit::facts::wiring::Wiring;
use crate::io::look::View;
use crate::model::audit::{Location, Target};

/// Where its parts read, and where distributions put what they ship.
const DIRECTORIES: [&str; 2] = ["/etc/keylime", "/usr/etc/keylime"];

/// What the audit knows of Keylime.
pub static SERVICE: Service = Service {
    title: Some("Keylime"),
    targets: &[TargetKind { prefix: "keylime", operand: Operand::Path, value: "DIR", note: "", read: read_from }],
    usual,
    read: read_from,
    environment: Some("keylime"),
    unit_words: &["keylime"],
    programs: &[&programs::VERIFIER, &programs::REGISTRAR, &programs::TENANT, &programs::AGENT],
    ..Service::named("keylime", lints::ALL)
};

fn usual(view: &View) -> Vec<PathBuf> {
    DIRECTORIES.iter().map(PathBuf::from).find(|directory| view.is_directory(directory)).into_iter().collect()
}

fn read_from(source: Source<'_>, directory: &Path, findings: &mut HostFindings) -> Wiring {
    read_with(source.view, directory, source.variables, findings)
}

/// A part of Keylime with a configuration of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Verifier,
    Registrar,
    Tenant,
    Agent,
}

impl Part {
    const ALL: [Self; 4] = [Self::Verifier, Self::Registrar, Self::Tenant, Self::Agent];

    /// Its name, which is that of its file and of its section as well.
    const fn name(self) -> &'static str {
        match self {
            Self::Verifier => "verifier",
            Self::Registrar => "registrar",
            Self::Tenant => "tenant",
            Self::Agent => "agent",
        }
    }

    fn program(self) -> &'static Program {
        match self {
            Self::Verifier => &programs::VERIFIER,
            Self::Registrar => &programs::REGISTRAR,
            Self::Tenant => &programs::TENANT,
            Self::Agent => &programs::AGENT,
        }
    }

    fn target(self) -> Target {
        Target::new("keylime", self.name())
    }
}

/// Reads what all parts read from this directory on; a file is read as the part of its name. `environment` are the variables that the services'
/// units set (`KEYLIME_VERIFIER_PORT`, `KEYLIME_AGENT_CONFIG`, `KEYLIME_DIR` …).
#[must_use]
pub fn read_with(view: &View, directory: &Path, environment: &[Variable], findings: &mut HostFindings) -> Wiring {
    let (directory, only) = start(view, directory);
    let of = |part: Part| only.as_ref().is_none_or(|name| name == part.name());
    let mut reader = KeylimeReader { view, findings, wiring: Wiring::default() };
    let mut parts = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| of(*part)) {
        if let Some(settings) = layers::load(view, &directory, part, environment, reader.findings) {
            reader.wiring.files.extend(settings.files.iter().cloned());
            parts.push(settings);
        }
    }
    let find = |part: Part| parts.iter().find(|settings| settings.part == part);
    let base = Base::of(environment);
    for settings in &parts {
        match settings.part {
            Part::Verifier => verifier::read(&mut reader, settings, find(Part::Agent), &base),
            Part::Registrar => registrar::read(&mut reader, settings, &base),
            Part::Tenant => tenant::read(&mut reader, settings, find(Part::Verifier), &base),
            Part::Agent => agent::read(&mut reader, settings, find(Part::Registrar), environment),
        }
    }
    layers::ignored(view, &directory, &parts, reader.findings);
    if parts.is_empty()
        && let Err(error) = view.meta(&directory)
    {
        unread::unreadable(reader.findings, Target::new("keylime", directory.display().to_string()), Location::file(&directory), &error);
    }
    reader.wiring
}

/// What every part's reader works with.
struct KeylimeReader<'a> {
    view: &'a View,
    findings: &'a mut HostFindings,
    wiring: Wiring,
}

/// Keylime's working directory (`KEYLIME_DIR`), below which the Python parts look for their files by default.
struct Base(PathBuf);

impl Base {
    fn of(environment: &[Variable]) -> Self {
        let set = environment.iter().rev().find(|set| set.name == "KEYLIME_DIR" && !set.value.is_empty());
        Self(set.map_or_else(|| PathBuf::from("/var/lib/keylime"), |set| PathBuf::from(&set.value)))
    }
}

/// The directory to read, and the one part where a file was named.
fn start(view: &View, given: &Path) -> (PathBuf, Option<String>) {
    if view.is_file(given) {
        let stem = given.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let part = Part::ALL.iter().find(|part| part.name() == stem).map(|part| part.name().to_owned());
        return (given.parent().unwrap_or(Path::new("/")).to_path_buf(), part);
    }
    (given.to_path_buf(), None)
}

#[cfg(test)]
mod tests;
