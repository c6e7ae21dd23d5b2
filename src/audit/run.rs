//! One audit: which places are looked at for which targets, in which order. It must never judge anything itself.

use std::path::{Path, PathBuf};

use super::material::{self, Ground};
use super::sheet::Sheet;
use super::target::Where;
use super::wiring::Wiring;
use super::{input, keylime, nginx, openbao, spire, systemd};
use crate::io::look::View;
use crate::judge::assess::Asked;
use crate::model::audit::{Place, Target};

/// Where nginx begins to read.
const NGINX: &str = "/etc/nginx/nginx.conf";
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
    /// DER of public keys that the certificate must be for.
    pub spki: Vec<Vec<u8>>,
    /// The rest.
    pub asked: Asked,
}

/// Looks at files: the targets, or the usual places where there are none. What listens and what calls is given back for the network's part.
pub fn files(view: &View, targets: &[Where], given: &Given, own: Wiring, sheet: &mut Sheet) -> Wiring {
    let ground = Ground {
        view,
        anchors: &given.anchors,
        intermediates: &given.intermediates,
        crls: &given.crls,
        asked: &given.asked,
        pinned: !given.anchors.is_empty(),
    };
    let mut wiring = own;
    if targets.is_empty() {
        usual(view, sheet, &mut wiring);
    }
    for target in targets {
        match target {
            Where::Path(path) => material::file(&ground, path, sheet),
            Where::Endpoint(_) => {}
            Where::Unit(name) => wiring.join(systemd::unit(view, name, sheet)),
            Where::Nginx(file) => wiring.join(nginx::read(view, file, sheet)),
            Where::NginxDump(file) => match view.text(file) {
                Ok(text) => wiring.join(nginx::read_dump(&text, view, sheet)),
                Err(error) => input::unreadable(sheet, Target::new("nginx", file.display().to_string()), Place::file(file), &error),
            },
            Where::Keylime(directory) => wiring.join(keylime::read(view, directory, sheet)),
            Where::Spire(file) => wiring.join(spire::read(view, file, sheet)),
            Where::OpenBao(file) => wiring.join(openbao::read(view, file, sheet)),
        }
    }
    material::judge(&ground, &wiring, sheet);
    wiring
}

/// What the usual places of the services say.
#[must_use]
pub fn wiring(view: &View, sheet: &mut Sheet) -> Wiring {
    let mut wiring = Wiring::default();
    usual(view, sheet, &mut wiring);
    wiring
}

fn usual(view: &View, sheet: &mut Sheet, wiring: &mut Wiring) {
    if view.is_file(Path::new(NGINX)) {
        wiring.join(nginx::read(view, Path::new(NGINX), sheet));
    }
    if let Some(directory) = KEYLIME.iter().map(Path::new).find(|directory| view.is_directory(directory)) {
        wiring.join(keylime::read(view, directory, sheet));
    }
    let spire: Vec<PathBuf> = spire::usual(view);
    for file in spire {
        wiring.join(spire::read(view, &file, sheet));
    }
    for file in openbao::usual(view) {
        wiring.join(openbao::read(view, &file, sheet));
    }
    wiring.join(systemd::read(view, sheet));
}
