//! OpenBao and Vault: listener, storage and seal as the server reads them, policies in files, and PKI roles and issuers as the API gives
//! them. It must never ask the server itself, or show a token.

mod blocks;
mod known;
pub mod lints;
mod listener;
mod policy;
pub mod program;
mod reader;
mod role;
mod seal;
mod server;
mod storage;
mod usage;

use std::path::{Path, PathBuf};

use crate::audit::consumer::agents;
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::hcl::{self, Body};
use crate::audit::facts::service::{Operand, Service, Source, TargetKind};
use crate::audit::facts::unread;
use crate::audit::facts::wiring::Wiring;
use crate::io::look::View;
use crate::model::audit::{Location, Target};
pub use policy::judge as policy;
use reader::OpenBaoReader;
pub use role::{issuer, judge as role};

/// What the audit knows of OpenBao and Vault.
pub static SERVICE: Service = Service {
    title: Some("OpenBao"),
    targets: &[TargetKind { prefix: "openbao", operand: Operand::Path, value: "FILE", note: "", read: read_from }],
    usual,
    read: read_from,
    started_as: program::EXECUTABLES,
    unit_words: &["openbao", "/bao", "bao ", "vault"],
    programs: &[&program::OPENBAO],
    ..Service::named("openbao", lints::ALL)
};

fn read_from(source: Source<'_>, start: &Path, findings: &mut HostFindings) -> Wiring {
    read(source.view, start, findings)
}

/// Where packages put configurations and policies.
const DIRECTORIES: [&str; 9] = [
    "/etc/openbao",
    "/etc/openbao/conf.d",
    "/etc/openbao/policies",
    "/etc/openbao.d",
    "/etc/bao",
    "/etc/bao.d",
    "/etc/vault.d",
    "/etc/vault",
    "/etc/vault.d/policies",
];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Server,
    Policy,
    /// `bao agent`, `bao proxy`: clients with a configuration of the same form.
    Client,
}

/// Reads a server's configuration, or a policy; of a directory every file that is one, as `-config=DIR` does.
#[must_use]
pub fn read(view: &View, start: &Path, findings: &mut HostFindings) -> Wiring {
    if view.is_directory(start) {
        let mut wiring = Wiring::default();
        for file in within(view, start) {
            wiring.join(read(view, &file, findings));
        }
        return wiring;
    }
    let target = Target::new("openbao", start.display().to_string());
    let mut wiring = Wiring { files: vec![start.to_path_buf()], ..Wiring::default() };
    let text = match view.text(start) {
        Ok(text) => text,
        Err(error) => {
            unread::unreadable(findings, target, Location::file(start), &error);
            return wiring;
        }
    };
    let (body, fault) = hcl::parse(&text);
    if let Some(fault) = &fault {
        unread::malformed(findings, target.clone(), Location::line(start, fault.line), fault.expected, &fault.found);
    }
    match sort(&body) {
        Some(Sort::Server) => {
            let mut reader = OpenBaoReader::new(view, start, findings, wiring);
            server::read(&mut reader, &body);
            wiring = reader.wiring;
        }
        Some(Sort::Policy) => policy::rules(&start.display().to_string(), start, &body, findings),
        Some(Sort::Client) => wiring = agents::of_body(view, start, &body, findings),
        None if fault.is_none() => {
            unread::malformed(findings, target, Location::file(start), "a listener, storage or seal", "none of them")
        }
        None => {}
    }
    wiring
}

/// Every configuration and policy at the usual places; a file under two names counts once.
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
    let named = |name: &String| name.ends_with(".hcl") || name.ends_with(".json");
    let own = |name: &str| matches!(name, "openbao.hcl" | "bao.hcl" | "vault.hcl" | "config.hcl");
    let is_one = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        view.is_file(file) && (own(name) || view.text(file).is_ok_and(|text| sort(&hcl::parse(&text).0).is_some()))
    };
    let names = view.list(directory).unwrap_or_default();
    names.into_iter().filter(named).map(|name| directory.join(name)).filter(is_one).collect()
}

fn sort(body: &Body) -> Option<Sort> {
    let has = |keys: &[&str]| keys.iter().any(|key| body.get(key).is_some());
    if has(&["auto_auth", "template", "vault", "api_proxy"]) {
        return Some(Sort::Client);
    }
    if has(&["listener", "storage", "backend", "ha_storage", "seal", "api_addr", "cluster_addr"]) {
        return Some(Sort::Server);
    }
    let policy = body
        .bodies("path")
        .flat_map(|(paths, _)| &paths.items)
        .any(|item| item.value.bodies().iter().any(|rule| rule.get("capabilities").is_some()));
    policy.then_some(Sort::Policy)
}

#[cfg(test)]
mod tests;
