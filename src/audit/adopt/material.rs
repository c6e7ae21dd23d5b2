//! The pairs in use as they lie on the host: leaf, what is sent with it, and the root above.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Group, Installed, PUBLISHED, Root, Skipped};
use crate::audit::facts::wiring::{Pair, Wiring};
use crate::io::look::View;
use crate::judge::cert::Facts;
use crate::judge::lint::Findings;
use crate::judge::{oid, pair, pem};
use crate::model::audit::Location;
use crate::model::request::{is_email, is_host_name};

/// As many certificates lie between a leaf and its root.
const DEPTH: usize = 8;

/// One pair in use.
#[derive(Clone, Debug)]
pub(super) struct Material {
    /// Every use of it: indexes into [`Wiring::pairs`].
    pub(super) indexes: Vec<usize>,
    /// Where it is named first.
    pub(super) location: Location,
    /// The leaf's file.
    pub(super) file: PathBuf,
    /// The paths by which it is known, each with the part that lies there.
    parts: Vec<NamedPart>,
    /// The leaf.
    pub(super) leaf: Facts,
    /// Its key's file.
    key: PathBuf,
    /// The root above it, where that lies on this host too.
    pub(super) root: Option<Root>,
}

#[derive(Clone, Debug)]
struct NamedPart {
    part: &'static str,
    path: PathBuf,
}

/// The names of a leaf, as settings say them.
#[derive(Debug)]
pub(super) struct LeafNames {
    pub(super) common_name: String,
    pub(super) dns: Vec<String>,
    pub(super) ip: Vec<String>,
    pub(super) uri: Vec<String>,
    pub(super) email: Vec<String>,
    pub(super) others: Vec<String>,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) pairs: Vec<Material>,
    pub(super) skipped: Vec<Skipped>,
}

/// Every pair of the wiring, those of the same two files as one.
pub(super) fn read(view: &View, wiring: &Wiring) -> Read {
    let authorities = authorities(view, wiring);
    let mut read = Read::default();
    let mut known: BTreeMap<(PathBuf, PathBuf), usize> = BTreeMap::new();
    for (index, pair) in wiring.pairs.iter().enumerate() {
        let real = |path: &Path| view.real(path).unwrap_or_else(|_| path.to_path_buf());
        let key = pair.key.clone().unwrap_or_else(|| pair.certificate.clone());
        let files = (real(&pair.certificate), real(&key));
        if let Some(same) = known.get(&files).and_then(|same| read.pairs.get_mut(*same)) {
            same.indexes.push(index);
            same.add(view, pair);
            continue;
        }
        match one(view, index, pair, &authorities) {
            Ok(material) => {
                known.insert(files, read.pairs.len());
                read.pairs.push(material);
            }
            Err(why) => read.skipped.push(Skipped::at(&pair.consumer.location, &pair.certificate, why)),
        }
    }
    read
}

/// The root of most of them.
pub(super) fn commonest_root(pairs: &[Material]) -> Option<Root> {
    let mut counts: Vec<(usize, &Root)> = Vec::new();
    for root in pairs.iter().filter_map(|pair| pair.root.as_ref()) {
        match counts.iter_mut().find(|(_, known)| known.sha256 == root.sha256) {
            Some((count, _)) => *count += 1,
            None => counts.push((1, root)),
        }
    }
    // Of as many, the one that was seen first.
    counts.into_iter().rev().max_by_key(|(count, _)| *count).map(|(_, root)| root.clone())
}

/// A certificate of an authority, and where it lies.
#[derive(Debug)]
struct Authority {
    facts: Facts,
    file: PathBuf,
    alone: bool,
}

/// What a PEM file holds.
pub(super) fn certificates(view: &View, path: &Path) -> Vec<Facts> {
    let Ok(bytes) = view.bytes(path) else { return Vec::new() };
    let none = BTreeMap::new();
    let ders = pem::read(&String::from_utf8_lossy(&bytes), &mut Findings::new(&none));
    ders.iter().filter_map(|der| Facts::parse(der).ok()).collect()
}

/// Every authority in what is trusted and what is sent.
fn authorities(view: &View, wiring: &Wiring) -> Vec<Authority> {
    let lists = wiring.trusts.iter().flat_map(|trust| &trust.files);
    let sent = wiring.pairs.iter().flat_map(|pair| std::iter::once(&pair.certificate).chain(&pair.intermediates));
    let mut seen: Vec<&PathBuf> = Vec::new();
    let mut all = Vec::new();
    for file in lists.chain(sent) {
        if seen.contains(&file) {
            continue;
        }
        seen.push(file);
        let found = certificates(view, file);
        let alone = found.len() == 1;
        let authorities = found.into_iter().filter(is_authority);
        all.extend(authorities.map(|facts| Authority { facts, file: file.clone(), alone }));
    }
    all
}

fn is_authority(facts: &Facts) -> bool {
    facts.extensions.basic.as_ref().is_some_and(|basic| basic.ca)
}

fn one(view: &View, index: usize, pair: &Pair, authorities: &[Authority]) -> Result<Material, String> {
    let key = pair.key.clone().ok_or("no key is named beside it")?;
    let published = |path: &Path| path.starts_with(PUBLISHED) || view.real(path).is_ok_and(|real| real.starts_with(PUBLISHED));
    if published(&pair.certificate) {
        return Err(format!("omens publishes it already, below {PUBLISHED}"));
    }
    view.meta(&pair.certificate).map_err(|error| error.to_string())?;
    view.meta(&key).map_err(|error| error.to_string())?;
    let mut sent = certificates(view, &pair.certificate).into_iter();
    let leaf = sent.next().ok_or("it holds no certificate in PEM")?;
    if is_authority(&leaf) {
        return Err("it is an authority's certificate, which no role of OpenBao's signs for a host".to_owned());
    }
    if leaf.subject.der == leaf.issuer.der {
        return Err("it is signed by its own key, so no root vouches for it".to_owned());
    }
    let root = root_of(&leaf, authorities);
    let mut material = Material {
        indexes: vec![index],
        location: pair.consumer.location.clone(),
        file: pair.certificate.clone(),
        parts: Vec::new(),
        leaf,
        key,
        root,
    };
    material.add(view, pair);
    Ok(material)
}

/// By the names of issuers alone: nothing is judged or trusted by it.
fn root_of(leaf: &Facts, authorities: &[Authority]) -> Option<Root> {
    let mut issuer = &leaf.issuer.der;
    for _ in 0..DEPTH {
        let found: Vec<&Authority> = authorities.iter().filter(|authority| authority.facts.subject.der == *issuer).collect();
        let root = found.iter().find(|authority| authority.facts.self_issued());
        if let Some(root) = root {
            let same = |other: &&&Authority| other.facts.sha256 == root.facts.sha256;
            let alone = found.iter().filter(same).find(|authority| authority.alone).map(|authority| authority.file.clone());
            let subject = root.facts.subject.to_string();
            return Some(Root { subject, sha256: root.facts.sha256.to_string(), alone, file: root.file.clone() });
        }
        issuer = &found.first()?.facts.issuer.der;
    }
    None
}

impl Material {
    /// Notes the paths by which a consumer knows it.
    fn add(&mut self, view: &View, pair: &Pair) {
        let several = certificates(view, &pair.certificate).len() > 1;
        let whole = if several { "fullchain" } else { "cert" };
        let mut parts = vec![];
        match &pair.key {
            Some(key) if *key == pair.certificate => parts.push(("combined", key)),
            key => {
                parts.push((whole, &pair.certificate));
                parts.extend(key.iter().map(|key| ("key", key)));
            }
        }
        parts.extend(pair.intermediates.iter().filter(|file| **file != pair.certificate).map(|file| ("chain", file)));
        for (part, path) in parts {
            if !self.parts.iter().any(|known| known.path == *path) {
                self.parts.push(NamedPart { part, path: path.clone() });
            }
        }
    }

    /// The paths that would become links.
    pub(super) fn targets(&self) -> impl Iterator<Item = PathBuf> {
        self.parts.iter().map(|part| part.path.clone())
    }

    /// The same as entries of `install`: of each directory one, and one more where two files of it are the same part.
    pub(super) fn install(&self) -> Vec<Installed> {
        let mut all: Vec<Installed> = Vec::new();
        for NamedPart { part, path } in &self.parts {
            let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { continue };
            let name = name.to_string_lossy().into_owned();
            match all.iter_mut().find(|entry| entry.dir == dir && !entry.files.contains_key(part)) {
                Some(entry) => drop(entry.files.insert(part, name)),
                None => all.push(Installed { dir: dir.to_path_buf(), files: BTreeMap::from([(*part, name)]) }),
            }
        }
        all
    }

    pub(super) fn lifetime(&self) -> u64 {
        u64::try_from(self.leaf.lifetime()).unwrap_or_default()
    }

    pub(super) fn algorithm(&self) -> Option<&'static str> {
        pair::algorithm_of_spki(&self.leaf.spki).ok().map(|algorithm| algorithm.as_str())
    }

    /// Whether it may be used as this end of a connection, by its extended key usage (RFC 5280 §4.2.1.12).
    pub(super) fn is_for(&self, usage: &str) -> bool {
        self.leaf.extensions.eku.as_ref().is_some_and(|usages| usages.values.iter().any(|one| one == usage))
    }

    /// Its names; a subject that is none of them goes first, as the settings have it.
    pub(super) fn names(&self) -> LeafNames {
        let san = self.leaf.extensions.san.clone().unwrap_or_default();
        let (mut dns, odd): (Vec<String>, Vec<String>) = san.dns.into_iter().partition(|name| is_host_name(name));
        let ip: Vec<String> = san.ip.iter().map(ToString::to_string).collect();
        let subject = self.leaf.subject.common_names.first().filter(|name| name.chars().count() <= 64 && !name.contains(char::is_control));
        let common_name = subject.or(dns.first()).or(ip.first()).cloned().unwrap_or_default();
        dns.retain(|name| !name.eq_ignore_ascii_case(&common_name));
        let (mut uri, mut email, mut others) = (Vec::new(), Vec::new(), odd);
        for name in san.others {
            match name.split_once(':') {
                Some(("uri", own)) => uri.push(own.to_owned()),
                Some(("email", own)) if is_email(own) => email.push(own.to_owned()),
                _ => others.push(name),
            }
        }
        email.retain(|own| *own != common_name);
        LeafNames { common_name, dns, ip, uri, email, others }
    }

    /// The group by which a service reads the key.
    pub(super) fn group(&self, view: &View, wiring: &Wiring) -> Option<Group> {
        let meta = view.meta(&self.key).ok()?;
        if meta.mode & 0o040 != 0 && meta.gid != 0 {
            return Some(Group { name: view.accounts().group(meta.gid), gid: meta.gid });
        }
        // Its owner reads it, or the account of the unit: a group of the same name is what packages make.
        let account = self.indexes.iter().find_map(|index| wiring.pairs.get(*index)?.account.clone());
        let owner = account.or_else(|| (meta.uid != 0).then(|| view.accounts().user(meta.uid)))?;
        view.accounts().gid(&owner).map(|gid| Group { name: owner, gid })
    }
}

/// The usages that decide about a profile, as certificates have them.
pub(super) const SERVER: &str = oid::SERVER_AUTH;
/// Ditto.
pub(super) const CLIENT: &str = oid::CLIENT_AUTH;
