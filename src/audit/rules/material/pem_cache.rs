//! Every file that matters, read once: what configurations name, and what lies beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::blocks::{Cert, Content};
use super::leftover;
use crate::audit::facts::wiring::Wiring;
use crate::io::look::{Kind, LookError, Meta, View};

/// As many directories are looked through for what lies beside the named files.
const DIRECTORIES: usize = 200;
/// As many entries of one of them.
const ENTRIES: usize = 500;
/// What lies beside is only read up to this size.
const BESIDE: u64 = 1 << 20;
/// Bundles of the distribution: neither lint nor look beside them.
const SYSTEM: [&str; 5] =
    ["/etc/ssl/certs", "/etc/pki", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/ca-certificates"];
/// Where people put the roots of their own PKI, whether a configuration names them or not; one level below as well.
const ROOTS: [&str; 4] = ["/etc/ssl", "/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors", "/etc/omens"];
/// Where people and scripts leave copies, far from what is in use; one level below as well, and the same for each home directory.
const STRAYS: [&str; 6] = ["/root", "/tmp", "/var/tmp", "/var/backups", "/srv", "/opt"];
/// As many directories below one of them.
const BELOW: usize = 60;
/// Directories of copies beside what is in use.
const COPIES: [&str; 6] = ["backup", "backups", "old", "bak", "archive", "save"];
/// A list with more certificates than any PKI of one's own has: public roots.
const PUBLIC: usize = 20;
/// File names that may hold certificates or keys.
const ENDINGS: [&str; 9] = [".pem", ".crt", ".cer", ".cert", ".key", ".der", ".p8", ".chain", ".ca-bundle"];

/// A file that was read.
#[derive(Debug)]
pub(super) struct PemFile {
    /// The path by which it is known.
    pub(super) path: PathBuf,
    /// The path with its links followed.
    pub(super) real: PathBuf,
    /// Owner, mode and so on.
    pub(super) meta: Meta,
    /// What it holds.
    pub(super) content: Content,
}

impl PemFile {
    /// Whether it is a bundle of public roots, which is its distribution's business.
    pub(super) fn is_public(&self) -> bool {
        is_system(&self.real) && self.content.certificates().nth(PUBLIC).is_some()
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct PemCache {
    named: BTreeMap<PathBuf, Result<PemFile, LookError>>,
    beside: BTreeMap<PathBuf, PemFile>,
    strays: Vec<PemFile>,
}

/// Whether a path is the distribution's own bundle of public roots.
pub(super) fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|directory| path.starts_with(directory))
}

impl PemCache {
    /// Reads what is named and what lies beside it.
    pub(super) fn gather(view: &View, wiring: &Wiring) -> Self {
        let mut cache = Self::default();
        let pairs = wiring
            .pairs
            .iter()
            .flat_map(|pair| [Some(&pair.certificate), pair.key.as_ref()].into_iter().flatten().chain(&pair.intermediates));
        let trusts = wiring.trusts.iter().flat_map(|trust| trust.files.iter().chain(&trust.terms.crls));
        let authorities = wiring.authorities.iter().flat_map(|one| [&one.certificate, &one.key].into_iter().chain(&one.bundle));
        for path in pairs.chain(trusts).chain(authorities) {
            cache.name(view, path);
        }
        cache.look_beside(view);
        if wiring.pairs.iter().any(|pair| pair.key.is_some()) {
            cache.look_around(view);
        }
        cache
    }

    /// Private keys that lie where nobody keeps any. Nothing there is trusted, and certificates there are nobody's business.
    fn look_around(&mut self, view: &View) {
        let homes = view.list(Path::new("/home")).unwrap_or_default().into_iter().take(BELOW).map(|name| Path::new("/home").join(name));
        for top in STRAYS.map(PathBuf::from).into_iter().chain(homes) {
            let names = view.list(&top).unwrap_or_default();
            let visible = names.iter().filter(|name| !name.starts_with('.')).take(ENTRIES);
            let below = visible.map(|name| top.join(name)).filter(|path| view.link(path).is_none() && view.is_directory(path)).take(BELOW);
            for directory in std::iter::once(top.clone()).chain(below) {
                self.keys_in(view, &directory);
            }
        }
    }

    fn keys_in(&mut self, view: &View, directory: &Path) {
        for name in view.list(directory).unwrap_or_default().iter().take(ENTRIES) {
            let path = directory.join(name);
            let known = self.named.contains_key(&path) || self.beside.contains_key(&path);
            if known || !(leftover::is_one(name) || ENDINGS.iter().any(|ending| name.ends_with(ending))) {
                continue;
            }
            let small = view.meta(&path).is_ok_and(|meta| meta.kind == Kind::File && meta.size <= BESIDE);
            let file = small.then(|| read(view, &path).ok()).flatten();
            // What a configuration reaches by a link is no copy of itself.
            let own = |file: &PemFile| self.all().any(|known| known.real == file.real || known.meta.inode == file.meta.inode);
            if let Some(file) = file.filter(|file| file.content.has_plain_key() && !own(file)) {
                self.strays.push(file);
            }
        }
    }

    /// Files with private keys far from what is in use.
    pub(super) fn strays(&self) -> &[PemFile] {
        &self.strays
    }

    /// Reads one file, or each of a directory of trusted ones.
    fn name(&mut self, view: &View, path: &Path) {
        if self.named.contains_key(path) {
            return;
        }
        let file = read(view, path);
        if matches!(&file, Err(LookError::Kind { .. })) && view.is_directory(path) {
            for name in view.list(path).unwrap_or_default().iter().take(ENTRIES) {
                let inside = path.join(name);
                if view.is_file(&inside) {
                    self.named.entry(inside.clone()).or_insert_with(|| read(view, &inside));
                }
            }
        }
        self.named.insert(path.to_path_buf(), file);
    }

    fn look_beside(&mut self, view: &View) {
        let mut directories: BTreeSet<PathBuf> = BTreeSet::new();
        for (path, file) in &self.named {
            let real = file.as_ref().ok().map(|file| file.real.as_path());
            directories.extend([Some(path.as_path()), real].into_iter().flatten().filter_map(Path::parent).map(Path::to_path_buf));
        }
        directories.retain(|directory| !is_system(directory) && directory.components().count() > 2);
        let copies: Vec<PathBuf> = directories.iter().flat_map(|directory| COPIES.map(|name| directory.join(name))).collect();
        directories.extend(copies.into_iter().filter(|directory| view.is_directory(directory)));
        for top in ROOTS.map(PathBuf::from).into_iter().filter(|top| view.is_directory(top)) {
            let below = view.list(&top).unwrap_or_default().into_iter().take(ENTRIES).map(|name| top.join(name));
            directories.extend(below.filter(|path| path.as_path() != Path::new(SYSTEM[0]) && view.is_directory(path)));
            directories.insert(top);
        }
        let named = self.named.iter().flat_map(|(path, file)| [Some(path.clone()), file.as_ref().ok().map(|file| file.real.clone())]);
        let named: BTreeSet<PathBuf> = named.flatten().collect();
        for directory in directories.iter().take(DIRECTORIES) {
            self.directory(view, directory, &named);
        }
    }

    fn directory(&mut self, view: &View, directory: &Path, named: &BTreeSet<PathBuf>) {
        for name in view.list(directory).unwrap_or_default().iter().take(ENTRIES) {
            let path = directory.join(name);
            if named.contains(&path) || !(leftover::is_one(name) || ENDINGS.iter().any(|ending| name.ends_with(ending))) {
                continue;
            }
            let small = view.meta(&path).is_ok_and(|meta| meta.kind == Kind::File && meta.size <= BESIDE);
            if let Some(file) = small.then(|| read(view, &path).ok()).flatten() {
                self.beside.insert(path, file);
            }
        }
    }

    /// A file that a configuration names.
    pub(super) fn get(&self, path: &Path) -> Option<&Result<PemFile, LookError>> {
        self.named.get(path)
    }

    /// A file that a configuration names, where it could be read.
    pub(super) fn file(&self, path: &Path) -> Option<&PemFile> {
        self.named.get(path)?.as_ref().ok()
    }

    /// The files of a trust list; those of a directory where it names one.
    pub(super) fn files<'s>(&'s self, path: &'s Path) -> impl Iterator<Item = &'s PemFile> {
        let inside = self.named.range(path.to_path_buf()..).take_while(move |(inside, _)| inside.starts_with(path));
        inside.filter_map(|(_, file)| file.as_ref().ok())
    }

    /// What lies beside the named files.
    pub(super) fn beside(&self) -> impl Iterator<Item = &PemFile> {
        self.beside.values()
    }

    /// Everything that could be read.
    pub(super) fn all(&self) -> impl Iterator<Item = &PemFile> {
        self.named.values().filter_map(|file| file.as_ref().ok()).chain(self.beside.values())
    }

    /// Every certificate of an authority that lies here, outside of the distribution's bundles.
    pub(super) fn authorities(&self) -> impl Iterator<Item = (&Cert, &PemFile)> {
        let own = self.all().filter(|file| !file.is_public());
        own.flat_map(|file| file.content.certificates().map(move |(cert, _)| (cert, file))).filter(|(cert, _)| cert.is_ca())
    }
}

pub(super) fn read(view: &View, path: &Path) -> Result<PemFile, LookError> {
    let last = view.way(path)?.pop().ok_or_else(|| LookError::Absent(path.to_path_buf()))?;
    let content = Content::read(&view.bytes(path)?);
    Ok(PemFile { path: path.to_path_buf(), real: last.path, meta: last.meta, content })
}
