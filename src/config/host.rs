//! `[host]`, `[paths]` and `[openbao]`: what a host has once.

use std::cell::RefCell;
use std::path::PathBuf;

use super::login;
use super::pem::certificates;
use super::settings::Paths;
use super::shape::{Errors, Shape, Wrong, list, parsed, placed};
use super::tables::host as tables;
use super::tree::{Node, Value};
use super::value;
use crate::io::read;
use crate::model::openbao::{AuthMethod, OpenBao};

/// `[host]`.
pub(super) fn host(node: &Node, errors: &Errors) -> Option<String> {
    let shape = Shape::of(&tables::HOST, node, errors)?;
    let name = shape.required("name", parsed(value::host_name));
    shape.finish();
    name
}

/// `[metrics]`: the file that every run writes for a textfile collector.
pub(super) fn metrics(node: &Node, errors: &Errors) -> Option<Option<PathBuf>> {
    let shape = Shape::of(&tables::METRICS, node, errors)?;
    let textfile = shape.required("textfile", placed(parsed(value::path)));
    shape.finish();
    let (place, textfile) = textfile?;
    if textfile.extension().is_none_or(|extension| extension != "prom") {
        let wrong = Wrong::value(format!("expected a file that ends in .prom, found {}", textfile.display()));
        errors.at(place, wrong.suggest("the textfile collector of the node exporter reads no other files: write omens.prom"));
        return None;
    }
    Some(Some(textfile))
}

impl Default for Paths {
    fn default() -> Self {
        Self { state: "/var/lib/omens".into(), run: "/run/omens".into(), policies: "/etc/omens/policies".into() }
    }
}

/// `[paths]`.
pub(super) fn paths(node: &Node, errors: &Errors) -> Option<Paths> {
    let shape = Shape::of(&tables::PATHS, node, errors)?;
    let default = Paths::default();
    let state = shape.or("state", default.state, parsed(value::path));
    let run = shape.or("run", default.run, parsed(value::path));
    let policies = shape.or("policies", default.policies, parsed(value::path));
    shape.finish();
    let paths = Paths { state: state?, run: run?, policies: policies? };
    if paths.state.starts_with(&paths.run) || paths.run.starts_with(&paths.state) {
        let text = format!("\"state\" ({}) and \"run\" ({}) lie in each other", paths.state.display(), paths.run.display());
        errors.at(&node.place, Wrong::value(text).suggest("give each a directory of its own"));
        return None;
    }
    Some(paths)
}

/// Where things lie, from a `[paths]` in which something else is wrong; nothing is said about that again.
pub(super) fn places(node: &Node) -> Option<Paths> {
    let unsaid = Errors::default();
    let shape = Shape::of(&tables::PATHS, node, &unsaid)?;
    let default = Paths::default();
    let state = shape.or("state", default.state, parsed(value::path))?;
    let run = shape.or("run", default.run, parsed(value::path))?;
    let apart = !state.starts_with(&run) && !run.starts_with(&state);
    apart.then_some(Paths { state, run, policies: default.policies })
}

/// `[openbao]`; `ca` defaults to the pinned roots.
pub(super) fn openbao(node: &Node, errors: &Errors, roots: Option<&[Vec<u8>]>, check_secrets: bool) -> Option<OpenBao> {
    let shape = Shape::of(&tables::OPENBAO, node, errors)?;
    let more = shape.optional("addresses", list(parsed(value::https)));
    // One of the two is needed; where there is neither, it is the usual one that is missed.
    let address = match &more {
        Some(Some(_)) => shape.optional("address", parsed(value::https)),
        _ => shape.required("address", parsed(value::https)).map(Some),
    };
    let namespace = shape.optional("namespace", parsed(value::namespace));
    let ca = shape.optional("ca", |node, errors| {
        parsed(value::path)(node, errors).and_then(|file| certificates(&node.place, &file, errors, read::trusted))
    });
    let mount = shape.required("mount", parsed(value::mount));
    let login = shape.required("login", |node, errors| logins(node, errors, check_secrets));
    let revoke_login = shape.or("revoke_login", Vec::new(), |node, errors| match &node.value {
        Value::Array(none) if none.is_empty() => Some(Vec::new()),
        _ => logins(node, errors, check_secrets),
    });
    shape.finish();
    let ca = match ca? {
        Some(given) => given,
        None => roots?.to_vec(),
    };
    let mut addresses: Vec<String> = address?.into_iter().collect();
    for one in more?.unwrap_or_default() {
        if !addresses.contains(&one) {
            addresses.push(one);
        }
    }
    if addresses.is_empty() {
        errors
            .at(&node.place, Wrong::value("expected at least one address").suggest("write address = \"https://openbao.example.net:8200\""));
        return None;
    }
    Some(OpenBao { addresses, namespace: namespace?, ca, mount: mount?, login: login?, revoke_login: revoke_login? })
}

/// Auth methods, of which one is enough.
fn logins(node: &Node, errors: &Errors, check_secrets: bool) -> Option<Vec<AuthMethod>> {
    let absent = RefCell::new(Vec::new());
    let ways = list(|node, errors| login::method(node, errors, &absent, check_secrets))(node, errors)?;
    // Ways are tried in order: one without its secret is an error only where none of them has its own.
    if absent.borrow().iter().all(|errors: &Vec<_>| !errors.is_empty()) {
        errors.extend(absent.into_inner().into_iter().flatten());
    }
    if ways.is_empty() {
        errors.at(&node.place, Wrong::value("expected at least one way to log in").suggest("add an entry such as { approle = { … } }"));
        return None;
    }
    Some(ways)
}
