//! `[trust]`: the roots that this host trusts, each pinned by its fingerprint.

use std::path::{Path, PathBuf};

use super::pem::certificates;
use super::shape::{Errors, Shape, Wrong, is_fill_in, list, parsed, placed};
use super::tables::trust::{ALSO, CRL, TRUST};
use super::tree::{Node, Place, Value};
use super::value;
use crate::io::read;
use crate::model::anchor::{Anchor, Fingerprint};
use crate::model::code::Code;
use crate::model::layout;

/// `[trust]`.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The file of the first root.
    pub file: PathBuf,
    /// The first root.
    pub anchor: Anchor,
    /// The roots beside it.
    pub also: Vec<Anchor>,
    /// Revocation lists for consumers.
    pub crls: Vec<CrlSource>,
    /// Where the roots beside the first are written, or would be.
    pub also_at: Place,
}

/// A revocation list that consumers are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlSource {
    /// Where it comes from.
    pub from: CrlFrom,
    /// Its name beside the other files of `trust`.
    pub file: String,
}

/// Where a revocation list comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrlFrom {
    /// A PKI mount of OpenBao.
    Mount(String),
    /// An HTTPS server whose certificate leads to a pinned root.
    Url {
        /// `https://HOST[:PORT]`.
        base: String,
        /// What is asked for there, without the leading slash.
        path: String,
    },
}

impl std::fmt::Display for CrlFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mount(mount) => write!(f, "mount {mount}"),
            Self::Url { base, path } => write!(f, "{base}/{path}"),
        }
    }
}

impl Trust {
    /// The DER of all roots, the first one first.
    #[must_use]
    pub fn ders(&self) -> Vec<Vec<u8>> {
        std::iter::once(&self.anchor).chain(&self.also).map(|anchor| anchor.der.clone()).collect()
    }
}

/// `[trust]`: the first root, and those beside it.
pub(super) fn trust(node: &Node, errors: &Errors) -> Option<Trust> {
    let shape = Shape::of(&TRUST, node, errors)?;
    let first = root(&shape, node);
    let also = shape.or("also", Vec::new(), list(placed(also)));
    let crls = shape.or("crl", Vec::new(), list(placed(crl)));
    shape.finish();
    let (Root { file, anchor }, also, crls) = (first?, also?, distinct(crls?, errors)?);
    let mut all = vec![anchor.sha256.clone()];
    for (place, root) in &also {
        if all.contains(&root.anchor.sha256) {
            let text = format!("the root {} is pinned already", root.anchor.sha256);
            errors.at(place, Wrong::new(Code::Duplicate, text).suggest("leave this entry out"));
            return None;
        }
        all.push(root.anchor.sha256.clone());
    }
    let also_at = written(node, "also");
    Some(Trust { file, anchor, also: also.into_iter().map(|(_, root)| root.anchor).collect(), crls, also_at })
}

/// Where a key of a table is set; the table itself where it is not.
fn written(node: &Node, key: &str) -> Place {
    let Value::Table(entries) = &node.value else { return node.place.clone() };
    entries.iter().find(|entry| entry.key == key).map_or(&node.place, |entry| &entry.node.place).clone()
}

/// `{ mount | url, file }` of `crl`.
fn crl(node: &Node, errors: &Errors) -> Option<CrlSource> {
    let shape = Shape::of(&CRL, node, errors)?;
    let mount = shape.optional("mount", parsed(value::mount));
    let url = shape.optional("url", parsed(url));
    let file = shape.required("file", placed(parsed(value::file_name)));
    shape.finish();
    let from = match (mount?, url?) {
        (Some(mount), None) => CrlFrom::Mount(mount),
        (None, Some(url)) => url,
        _ => {
            let wrong = Wrong::value("expected one of mount and url");
            errors.at(&node.place, wrong.suggest("write mount = \"pki_int\" for a list of OpenBao, or url = \"https://HOST/PATH\""));
            return None;
        }
    };
    let (place, file) = file?;
    let taken = [layout::ANCHOR, layout::ANCHORS, layout::BUNDLE, layout::INTERMEDIATES].contains(&file.as_str());
    if taken || file.starts_with('.') {
        errors.at(place, Wrong::value(format!("{file} cannot be the name of a list")).suggest("write one such as \"crl.pem\""));
        return None;
    }
    Some(CrlSource { from, file })
}

/// `https://HOST[:PORT]/PATH`.
fn url(text: &str) -> Result<CrlFrom, Wrong> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let rest = text.get(start..).unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let base = value::https(&format!("{}{host}", text.get(..start).unwrap_or_default()))?;
    if path.is_empty() || path.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Wrong::value("expected https://HOST/PATH").suggest("name the list behind the host"));
    }
    Ok(CrlFrom::Url { base, path: path.to_owned() })
}

/// Lists that have names of their own.
fn distinct(all: Vec<(&Place, CrlSource)>, errors: &Errors) -> Option<Vec<CrlSource>> {
    let mut known: Vec<CrlSource> = Vec::new();
    for (place, source) in all {
        if known.iter().any(|other| other.file == source.file) {
            errors.at(
                place,
                Wrong::new(Code::Duplicate, format!("{} is the name of another list", source.file)).suggest("give each its own"),
            );
            return None;
        }
        known.push(source);
    }
    Some(known)
}

/// A root and the file it was read from.
struct Root {
    file: PathBuf,
    anchor: Anchor,
}

/// `{ anchor = FILE, anchor_sha256 = "…" }` of `also`.
fn also(node: &Node, errors: &Errors) -> Option<Root> {
    let shape = Shape::of(&ALSO, node, errors)?;
    let root = root(&shape, node);
    shape.finish();
    root
}

fn root(shape: &Shape<'_>, node: &Node) -> Option<Root> {
    let errors = shape.errors();
    let file = shape.required("anchor", placed(parsed(value::path)));
    let pin = shape.required("anchor_sha256", placed(parsed(value::fingerprint)));
    // What `init` printed for another host names files of that host.
    let anchor = file.as_ref().filter(|_| !pin_is_open(node)).and_then(|(place, file)| anchor(place, file, errors));
    let ((_, file), anchor, (pin_place, pin)) = (file?, anchor?, pin?);
    pinned(&file, &anchor, pin_place, &pin, errors).then_some(Root { file, anchor })
}

/// Whether the pin is still to be filled in.
fn pin_is_open(node: &Node) -> bool {
    let Value::Table(entries) = &node.value else { return false };
    entries.iter().any(|entry| entry.key == "anchor_sha256" && is_fill_in(&entry.node))
}

fn anchor(place: &Place, file: &Path, errors: &Errors) -> Option<Anchor> {
    let mut certificates = certificates(place, file, errors, whoever_wrote_it)?;
    let count = certificates.len();
    match (certificates.pop(), count) {
        (Some(der), 1) => Some(Anchor::new(der)),
        _ => {
            let wrong = Wrong::value(format!("expected exactly one certificate in {}, found {count}", file.display()));
            errors.at(place, wrong.suggest("keep the root alone in that file; intermediates come with each answer of the CA"));
            None
        }
    }
}

fn pinned(file: &Path, anchor: &Anchor, place: &Place, pin: &Fingerprint, errors: &Errors) -> bool {
    let same = anchor.sha256 == *pin;
    if !same {
        let file = file.display();
        let wrong = Wrong::new(Code::AnchorPin, format!("the certificate in {file} has the SHA-256 {}, expected {pin}", anchor.sha256));
        errors.at(place, wrong.suggest(format!(
            "find out which is right where the root was made (openssl x509 -noout -fingerprint -sha256 -in {file}): put the right root into that file, or its fingerprint here"
        )));
    }
    same
}

fn whoever_wrote_it(file: &Path) -> Result<Vec<u8>, read::ReadError> {
    read::file(file, read::LIMIT)
}
