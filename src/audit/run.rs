//! One audit: which places are looked at for which targets, in which order. It must never judge anything itself.

use std::path::{Path, PathBuf};

use super::material::{self, Ground};
use super::sheet::Sheet;
use super::systemd::told;
use super::systemd::{self, Systemd};
use super::target::Where;
use super::wiring::{Service, Wiring};
use super::{input, keylime, nginx, openbao, scripts, spire};
use crate::io::look::View;
use crate::judge::assess::Asked;
use crate::model::audit::{Place, Target};

/// Where Keylime's parts read.
const KEYLIME: [&str; 2] = ["/etc/keylime", "/usr/etc/keylime"];

/// What a person gave beside the targets.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// DER of trusted roots.
    pub anchors: Vec<Vec<u8>>,
    /// DER of certificates that may lie on a path.
    pub intermediates: Vec<Vec<u8>>,
    /// DER of revocation lists.
    pub crls: Vec<Vec<u8>>,
    /// Public keys that a certificate must be for one of, as [`material::public_keys`] gives them.
    pub keys: Vec<Vec<u8>>,
    /// Main files of nginx that the settings name, besides those at the usual places.
    pub nginx: Vec<PathBuf>,
    /// The rest.
    pub asked: Asked,
}

/// Looks at files: the targets, or the usual places where there are none. What listens and what calls is given back for the network's part.
pub fn files(view: &View, targets: &[Where], given: &Given, sheet: &mut Sheet) -> Wiring {
    let ground = Ground {
        view,
        anchors: &given.anchors,
        intermediates: &given.intermediates,
        crls: &given.crls,
        keys: &given.keys,
        asked: &given.asked,
        pinned: !given.anchors.is_empty(),
    };
    let mut wiring = Wiring::default();
    let mut timers = Vec::new();
    if targets.is_empty() {
        let units = systemd::read(view, sheet);
        let scripts = scripts::read(view, &units, sheet);
        wiring.files.extend(units.files.iter().chain(&scripts.files).cloned());
        services(view, &units, &given.nginx, &mut wiring, sheet);
        timers = [units.timers, scripts.timers].concat();
    }
    for target in targets {
        wiring.join(one(&ground, target, sheet));
    }
    let shortest = material::judge(&ground, &wiring, sheet);
    if let Some(life) = shortest {
        scripts::timer::judge(&timers, life, sheet);
    }
    wiring
}

fn one(ground: &Ground<'_>, target: &Where, sheet: &mut Sheet) -> Wiring {
    let view = ground.view;
    if let Some(path) = target.path()
        && let Err(error) = view.meta(path)
    {
        input::asked_for(sheet, Target::new("file", path.display().to_string()), Place::file(path), &error);
        return Wiring::default();
    }
    match target {
        Where::Path(path) => material::file(ground, path, sheet),
        // It is asked over the network, after the files.
        Where::Endpoint(_) => {}
        Where::Unit(name) => return unit(view, name, sheet),
        Where::Nginx(file) => return nginx::read(view, file, sheet),
        Where::NginxDump(file) => match view.text(file) {
            Ok(text) => return nginx::read_dump(&text, view, sheet),
            Err(error) => input::unreadable(sheet, Target::new("nginx", file.display().to_string()), Place::file(file), &error),
        },
        Where::Keylime(directory) => return keylime::read(view, directory, sheet),
        Where::Spire(file) => return spire::read(view, file, sheet),
        Where::OpenBao(file) => return openbao::read(view, file, sheet),
    }
    Wiring::default()
}

fn unit(view: &View, name: &str, sheet: &mut Sheet) -> Wiring {
    let mut wiring = Wiring::default();
    if let Some(units) = systemd::unit(view, name, sheet) {
        let scripts = scripts::of_units(view, &units, sheet);
        wiring.files.extend(units.files.into_iter().chain(scripts.files));
    }
    wiring
}

/// What the usual places of the services say.
#[must_use]
pub fn wiring(view: &View, sheet: &mut Sheet) -> Wiring {
    let mut wiring = Wiring::default();
    let units = systemd::read(view, sheet);
    services(view, &units, &[], &mut wiring, sheet);
    wiring
}

/// Services at their usual places, and where units say that they are.
fn services(view: &View, units: &Systemd, nginx: &[PathBuf], wiring: &mut Wiring, sheet: &mut Sheet) {
    let told = |programs: &[&str]| told::configurations(&units.units, programs);
    for file in each_once(view, [nginx, &told(&["nginx"])].concat(), nginx::mains(view)) {
        wiring.join(nginx::read(view, &file, sheet));
    }
    let variables = told::environment(view, &units.units, "keylime");
    if let Some(directory) = KEYLIME.iter().map(Path::new).find(|directory| view.is_directory(directory)) {
        wiring.join(keylime::read_with(view, directory, &variables, sheet));
    }
    for file in each_once(view, told(&["spire-server", "spire-agent"]), spire::usual(view)) {
        wiring.join(spire::read(view, &file, sheet));
    }
    for file in each_once(view, told(&["bao", "openbao", "vault"]), openbao::usual(view)) {
        wiring.join(openbao::read(view, &file, sheet));
    }
    accounts(units, wiring);
}

/// Programs that read their pairs themselves, without being root before.
const READERS: [(Service, &[&str]); 7] = [
    (Service::KeylimeVerifier, &["keylime_verifier"]),
    (Service::KeylimeRegistrar, &["keylime_registrar"]),
    (Service::KeylimeTenant, &["keylime_tenant"]),
    (Service::KeylimeAgent, &["keylime_agent"]),
    (Service::SpireServer, &["spire-server"]),
    (Service::SpireAgent, &["spire-agent"]),
    (Service::OpenBao, &["bao", "openbao", "vault"]),
];

/// Who reads the keys, by the units.
fn accounts(units: &Systemd, wiring: &mut Wiring) {
    for (service, programs) in READERS {
        let Some(account) = told::account(&units.units, programs) else { continue };
        for pair in wiring.pairs.iter_mut().filter(|pair| pair.consumer.service == service && pair.account.is_none()) {
            pair.account = Some(account.clone());
        }
    }
}

/// A file under two names is read once; one that a unit names and that is not there is what the unit's own findings speak of.
fn each_once(view: &View, told: Vec<PathBuf>, usual: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut files = Vec::new();
    for file in told.into_iter().filter(|file| view.meta(file).is_ok()).chain(usual) {
        let real = view.real(&file).unwrap_or_else(|_| file.clone());
        // A directory of configurations was read as a whole.
        if !seen.iter().any(|before| real.starts_with(before)) {
            seen.push(real);
            files.push(file);
        }
    }
    files
}
