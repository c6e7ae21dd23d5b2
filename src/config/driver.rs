//! The shapes of `reload`, `verify` and `install`. What a driver of `reload` is told is in the driver's own file.

use crate::model::code::Code;
use crate::model::program::Program;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::install::ORDERS;
use super::program::program;
use super::service::{Drivers, Service};
use super::settings::{Check, ClientPair, Endpoint, Install, InstallKind, Part};
use super::shape::{Errors, Shape, Wrong, list, one_of, parsed, placed, tagged};
use super::tables::certificate::{BEFORE_EXEC, CLIENT, INSTALL, VERIFY_EXEC, VERIFY_TLS};
use super::tree::{Node, Place};
use super::value;
use crate::model::secret::SecretSource;
use crate::model::starttls::StartTls;

/// How long a new certificate may take to appear on the wire ([Proof on the wire](crate::cli#proof-on-the-wire)).
const DEADLINE: Duration = Duration::from_secs(15);

/// Beyond this nobody waits: a run would hold its lock until then.
const DEADLINE_MAX: Duration = Duration::from_secs(600);

/// `reload`.
pub(super) fn reload(node: &Node, errors: &Errors, drivers: Drivers) -> Option<Vec<Arc<dyn Service>>> {
    let known: Vec<&'static str> = drivers.iter().map(|kind| kind.name).collect();
    list(|node, errors| {
        let (name, node) = tagged("reload driver", &known, &[], node, errors)?;
        drivers.iter().find(|kind| kind.name == name).and_then(|kind| (kind.parse)(node, errors))
    })(node, errors)
}

/// `before`: what is asked before a generation is published.
pub(super) fn before(node: &Node, errors: &Errors) -> Option<Program> {
    let (_, node) = tagged("kind of before", &["exec"], &[], node, errors)?;
    let shape = Shape::of(&BEFORE_EXEC, node, errors)?;
    let program = program(&shape);
    shape.finish();
    program
}

/// One entry of `verify` before it is known which names the certificate has.
#[derive(Debug)]
pub(super) struct DraftEndpoint<'a> {
    pub(super) endpoint: Endpoint,
    /// Where its name stands.
    pub(super) place: &'a Place,
}

/// What `verify` says.
#[derive(Debug, Default)]
pub(super) struct DraftVerify<'a> {
    pub(super) endpoints: Vec<DraftEndpoint<'a>>,
    pub(super) checks: Vec<Check>,
}

/// `verify`.
pub(super) fn verify<'a>(node: &'a Node, errors: &'a Errors) -> Option<DraftVerify<'a>> {
    let mut draft = DraftVerify::default();
    for kind in list(verify_entry)(node, errors)? {
        match kind {
            DraftEntry::Endpoint(endpoint) => draft.endpoints.push(endpoint),
            DraftEntry::Check(check) => draft.checks.push(check),
        }
    }
    Some(draft)
}

/// One entry of `verify`.
enum DraftEntry<'a> {
    Endpoint(DraftEndpoint<'a>),
    Check(Check),
}

fn verify_entry<'a>(node: &'a Node, errors: &'a Errors) -> Option<DraftEntry<'a>> {
    match tagged("kind of verify", &["tls", "exec"], &[], node, errors)? {
        ("exec", node) => check(node, errors).map(DraftEntry::Check),
        (_, node) => endpoint(node, errors).map(DraftEntry::Endpoint),
    }
}

fn check(node: &Node, errors: &Errors) -> Option<Check> {
    let shape = Shape::of(&VERIFY_EXEC, node, errors)?;
    let program = program(&shape);
    let deadline = shape.or("deadline", DEADLINE, parsed(deadline));
    shape.finish();
    Some(Check { program: program?, deadline: deadline? })
}

fn endpoint<'a>(node: &'a Node, errors: &'a Errors) -> Option<DraftEndpoint<'a>> {
    let shape = Shape::of(&VERIFY_TLS, node, errors)?;
    let address = shape.required("address", placed(parsed(value::address)));
    let server_name = shape.optional(
        "server_name",
        placed(parsed(|text| {
            value::server_name(text)
                .ok_or_else(|| value::host_name(text).err().unwrap_or_else(|| Wrong::value("expected a host name or an address")))
        })),
    );
    let deadline = shape.or("deadline", DEADLINE, parsed(deadline));
    let starttls = shape.optional("starttls", one_of(&StartTls::ALL.map(|protocol| (protocol.as_str(), protocol))));
    let client = shape.optional("client", client);
    shape.finish();
    let (address_place, address) = address?;
    let (place, server_name) = match server_name? {
        Some(given) => given,
        None => (address_place, value::host_of(&address)?),
    };
    let endpoint = Endpoint { address, server_name, deadline: deadline?, starttls: starttls?, client: client? };
    Some(DraftEndpoint { endpoint, place })
}

/// The files may be those of the certificate itself, which are not there before its first issue: they are judged when they are shown.
fn client(node: &Node, errors: &Errors) -> Option<ClientPair> {
    let shape = Shape::of(&CLIENT, node, errors)?;
    let (cert, key) = (shape.required("cert", parsed(value::path)), shape.required("key", parsed(value::secret)));
    shape.finish();
    Some(ClientPair { cert: cert?, key: key? })
}

fn deadline(text: &str) -> Result<Duration, Wrong> {
    let length = value::duration(text)?;
    if length.is_zero() || length > DEADLINE_MAX {
        return Err(Wrong::value(format!("expected a deadline of at most 10m and more than nothing, found \"{text}\""))
            .suggest("leave it out for 15s"));
    }
    Ok(length)
}

/// One entry of `install` and where each of its targets is written.
#[derive(Debug)]
pub(super) struct DraftInstall<'a> {
    pub(super) dir: &'a Place,
    pub(super) targets: Vec<(PathBuf, &'a Place)>,
    pub(super) install: Install,
}

/// `install`.
pub(super) fn install<'a>(node: &'a Node, errors: &'a Errors) -> Option<Vec<DraftInstall<'a>>> {
    list(install_entry)(node, errors)
}

fn install_entry<'a>(node: &'a Node, errors: &'a Errors) -> Option<DraftInstall<'a>> {
    let shape = Shape::of(&INSTALL, node, errors)?;
    let dir = shape.required("dir", placed(parsed(value::path)));
    let kind = shape.or("as", InstallKind::Link, one_of(&InstallKind::ALL.map(|kind| (kind.as_str(), kind))));
    let order = shape.or("order", Part::Combined, one_of(&ORDERS));
    let password = shape.optional("password", placed(parsed(password)));
    let part = |part: Part| shape.optional(part.as_str(), placed(parsed(installed))).map(|file| file.map(|f| (part, f)));
    let files: Vec<Option<Option<_>>> = Part::KEYS.into_iter().map(part).collect();
    shape.finish();
    let (files, order) = (files.into_iter().collect::<Option<Vec<_>>>()?, order?);
    let in_order = |part| if part == Part::Combined { order } else { part };
    let files: Vec<_> = files.into_iter().flatten().map(|(part, file)| (in_order(part), file)).collect();
    if files.is_empty() {
        errors.at(
            &node.place,
            Wrong::new(Code::Missing, "install entry names no file")
                .suggest("add at least one of cert, key, chain, fullchain, combined, pkcs12, jks, ca"),
        );
        return None;
    }
    let password = password?.map(|(place, password)| Placed { place, password });
    if !password_fits(password.as_ref(), &files, node, errors) {
        return None;
    }
    let (place, dir) = dir?;
    let targets = files.iter().map(|(_, (place, file))| (dir.join(file), *place)).collect();
    let files = files.into_iter().map(|(part, (_, file))| (part, file)).collect();
    let password = password.map(|found| found.password);
    Some(DraftInstall { dir: place, targets, install: Install { dir, kind: kind?, files, password } })
}

/// A password and where it is named.
struct Placed<'a> {
    place: &'a Place,
    password: PathBuf,
}

/// What needs a password has one, and what has one needs it.
fn password_fits(password: Option<&Placed<'_>>, files: &[(Part, (&Place, String))], node: &Node, errors: &Errors) -> bool {
    let needs = files.iter().find(|(part, _)| part.needs_password()).map(|(part, _)| part.as_str());
    match (password, needs) {
        (None, Some(part)) => {
            let wrong = Wrong::new(Code::Missing, format!("{part} is written under a password, and there is no \"password\""));
            errors.at(&node.place, wrong.suggest("add password = \"file:PATH\", a file that others cannot read"));
            false
        }
        (Some(password), None) => {
            let wrong = Wrong::value("nothing of this entry is written under a password");
            errors.at(password.place, wrong.suggest("leave \"password\" out, or ask for pkcs12 or jks"));
            false
        }
        _ => true,
    }
}

/// The file of a password. A credential is there for one unit alone, and everything that looks at the file has to open it.
fn password(text: &str) -> Result<PathBuf, Wrong> {
    match value::secret(text)? {
        SecretSource::File(path) => Ok(path),
        SecretSource::Credential(_) => Err(Wrong::value("the password of a file is needed by every command that looks at it")
            .suggest("put it into a file and write \"file:PATH\"")),
    }
}

/// The name of a file that `install` makes.
fn installed(text: &str) -> Result<String, Wrong> {
    value::file_name(text).map_err(|wrong| wrong.suggest("put the directory into \"dir\" and the name alone here"))
}
