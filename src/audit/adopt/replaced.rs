//! What renews certificates today: timers, cron, agents and ACME clients, each with the words that switch it off.

use std::path::Path;

use serde::Serialize;

use super::Adopted;
use crate::audit::facts::timer::{Timer, is_public};
use crate::audit::run::Told;
use crate::io::look::View;
use crate::model::audit::Location;

/// One mechanism.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// What it is, in words.
    pub what: String,
    /// The file that says so.
    pub file: String,
    /// The line.
    pub line: Option<u32>,
    /// How it is switched off.
    pub switch_off: String,
}

/// Programs that keep certificates up to date while they run, by a word of their command line.
const AGENTS: [(&[&str], &str); 7] = [
    (&["consul-template"], "consul-template, which writes what its templates ask for"),
    (&["bao agent", "openbao agent"], "OpenBao's agent, which writes what its templates ask for"),
    (&["vault agent"], "Vault's agent, which writes what its templates ask for"),
    (&["step ca renew", "step-ca renew"], "step's renewal"),
    (&["certmonger"], "certmonger"),
    (&["cert-manager"], "cert-manager"),
    (&["spiffe-helper"], "spiffe-helper, which writes SVIDs to files"),
];

/// Where certbot says what it renews.
const CERTBOT: &str = "/etc/letsencrypt/renewal";
/// Where certmonger does.
const CERTMONGER: [&str; 2] = ["/var/lib/certmonger/requests", "/var/lib/certmonger/local"];

/// All that is there, with regard to these certificates.
pub(super) fn find(view: &View, told: &Told, certificates: &[Adopted]) -> Vec<Replaced> {
    let mut all: Vec<Replaced> = Vec::new();
    all.extend(told.timers.iter().filter(|timer| timer.enabled && timer.renews && !is_own(timer)).map(by_timer));
    all.extend(units(told));
    all.extend(certbot(view, certificates));
    all.extend(certmonger(view, certificates));
    let mut once: Vec<Replaced> = Vec::new();
    for one in all {
        if !once.iter().any(|known| known.what == one.what && known.file == one.file) {
            once.push(one);
        }
    }
    once
}

fn is_own(timer: &Timer) -> bool {
    timer.target.name.starts_with("omens") || timer.runs.starts_with("omens") || is_public(&timer.runs)
}

fn by_timer(timer: &Timer) -> Replaced {
    let Location { path: file, line } = timer.location.clone();
    if timer.target.kind == "cron" {
        let switch_off = match line {
            Some(line) => format!("take line {line} out of {file}"),
            None => format!("move {file} away"),
        };
        return Replaced { what: format!("cron runs {}", timer.runs), file, line, switch_off };
    }
    let unit = timer.target.name.clone();
    Replaced { what: format!("{unit} starts {}", timer.runs), file, line, switch_off: format!("systemctl disable --now {unit}") }
}

fn units(told: &Told) -> Vec<Replaced> {
    let mut all = Vec::new();
    for unit in told.units.iter().filter(|unit| unit.name.ends_with(".service") && !unit.masked) {
        let starts = unit.all("Service", "ExecStart");
        for start in starts {
            let line = start.value.to_ascii_lowercase();
            // Paths before a program's name do not matter: /usr/bin/bao agent.
            let found = AGENTS.iter().find(|(words, _)| words.iter().any(|word| line.contains(word)));
            if let Some((_, what)) = found {
                let Location { path: file, line } = start.location();
                let template = unit.name.contains("@.");
                let switch_off = if template {
                    format!("systemctl disable --now '{}' (each instance of it)", unit.name.replace("@.", "@*."))
                } else {
                    format!("systemctl disable --now {}, or take the templates of these certificates out of its configuration", unit.name)
                };
                all.push(Replaced { what: format!("{}: {what}", unit.name), file, line, switch_off });
            }
        }
    }
    all
}

/// Lineages whose files are in use here.
fn certbot(view: &View, certificates: &[Adopted]) -> Vec<Replaced> {
    let names = view.list(Path::new(CERTBOT)).unwrap_or_default();
    let lineages = names.iter().filter_map(|name| name.strip_suffix(".conf"));
    let used = |lineage: &&str| {
        let live = Path::new("/etc/letsencrypt/live").join(lineage);
        certificates.iter().any(|certificate| certificate.install.iter().any(|entry| entry.dir == live))
    };
    let found = lineages.filter(used).map(|lineage| Replaced {
        what: format!("certbot renews {lineage}"),
        file: format!("{CERTBOT}/{lineage}.conf"),
        line: None,
        switch_off: format!("move {CERTBOT}/{lineage}.conf away (certbot delete would take the files that are in use with it)"),
    });
    found.collect()
}

/// Requests that name a file which is in use here.
fn certmonger(view: &View, certificates: &[Adopted]) -> Vec<Replaced> {
    let mut all = Vec::new();
    for directory in CERTMONGER.map(Path::new) {
        for name in view.list(directory).unwrap_or_default() {
            let path = directory.join(&name);
            let Ok(text) = view.text(&path) else { continue };
            let files: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("cert_file=")).map(str::trim).collect();
            let used = certificates.iter().any(|certificate| files.iter().any(|file| certificate.file == Path::new(file)));
            if used {
                let id = text.lines().find_map(|line| line.strip_prefix("id=")).unwrap_or(&name).trim().to_owned();
                all.push(Replaced {
                    what: format!("certmonger renews {}", files.join(", ")),
                    file: path.display().to_string(),
                    line: None,
                    switch_off: format!("getcert stop-tracking -i {id}"),
                });
            }
        }
    }
    all
}
