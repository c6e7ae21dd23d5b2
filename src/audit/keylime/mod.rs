//! Keylime configuration as its parts read it: files, drop-ins and environment of verifier, registrar, tenant and agent. It must never judge
//! a certificate, or believe a setting that the part ignores.

mod agent;
mod agent_tls;
mod check;
mod ini;
mod known;
mod layers;
pub mod lints;
mod python;
mod registrar;
mod settings;
mod table;
mod tenant;
mod tls;
mod verifier;

use std::path::{Path, PathBuf};

use super::input;
use super::sheet::Sheet;
use super::systemd::told::Variable;
use super::wiring::{Service, Wiring};
use crate::io::look::View;
use crate::model::audit::{Place, Target};

/// Where its parts read, and where distributions put what they ship.
const DIRECTORIES: [&str; 2] = ["/etc/keylime", "/usr/etc/keylime"];

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

    const fn service(self) -> Service {
        match self {
            Self::Verifier => Service::KeylimeVerifier,
            Self::Registrar => Service::KeylimeRegistrar,
            Self::Tenant => Service::KeylimeTenant,
            Self::Agent => Service::KeylimeAgent,
        }
    }

    fn target(self) -> Target {
        Target::new("keylime", self.name())
    }
}

/// Reads what all parts read from this directory on; a file is read as the part of its name.
#[must_use]
pub fn read(view: &View, directory: &Path, sheet: &mut Sheet) -> Wiring {
    read_with(view, directory, &[], sheet)
}

/// The same with the variables that the services' units set (`KEYLIME_VERIFIER_PORT`, `KEYLIME_AGENT_CONFIG`, `KEYLIME_DIR` …).
#[must_use]
pub fn read_with(view: &View, directory: &Path, environment: &[Variable], sheet: &mut Sheet) -> Wiring {
    let (directory, only) = start(view, directory);
    let of = |part: Part| only.as_ref().is_none_or(|name| name == part.name());
    let mut all = Whole { view, sheet, wiring: Wiring::default() };
    let mut parts = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| of(*part)) {
        if let Some(settings) = layers::load(view, &directory, part, environment, all.sheet) {
            all.wiring.files.extend(settings.files.iter().cloned());
            parts.push(settings);
        }
    }
    let find = |part: Part| parts.iter().find(|settings| settings.part == part);
    let base = Base::of(environment);
    for settings in &parts {
        match settings.part {
            Part::Verifier => verifier::read(&mut all, settings, find(Part::Agent), &base),
            Part::Registrar => registrar::read(&mut all, settings, &base),
            Part::Tenant => tenant::read(&mut all, settings, find(Part::Verifier), &base),
            Part::Agent => agent::read(&mut all, settings, find(Part::Registrar), environment),
        }
    }
    layers::ignored(view, &directory, &parts, all.sheet);
    if parts.is_empty()
        && let Err(error) = view.meta(&directory)
    {
        input::unreadable(all.sheet, Target::new("keylime", directory.display().to_string()), Place::file(&directory), &error);
    }
    all.wiring
}

/// What every part's reader works with.
struct Whole<'a> {
    view: &'a View,
    sheet: &'a mut Sheet,
    wiring: Wiring,
}

/// Keylime's working directory (`KEYLIME_DIR`), below which the Python parts look for their files by default.
struct Base(PathBuf);

impl Base {
    fn of(environment: &[Variable]) -> Self {
        let set = environment.iter().rev().find(|(name, value, _)| name == "KEYLIME_DIR" && !value.is_empty());
        Self(set.map_or_else(|| PathBuf::from("/var/lib/keylime"), |(_, value, _)| PathBuf::from(value)))
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
