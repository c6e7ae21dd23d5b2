//! What consumers are to trust, as the files of `trust` in the run directory: the pinned roots, and the intermediates of what is committed
//! ([Trust](crate::steps::swap#trust)). Only reads.

mod chains;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::generation::certificates;
use super::rename::Rename;
use crate::config::service::{ANCHORS, Rendering};
use crate::config::settings::{Certificate, Part, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::judge::pem;
use crate::model::anchor::{Anchor, Fingerprint};
use crate::model::layout;
use crate::model::meta::Meta;
use crate::model::name::CertName;
use crate::model::state::State;
use chains::live;
pub use chains::{Chains, Named};

/// What the files of `trust` are made of.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    roots: Vec<Anchor>,
    chains: Chains,
    /// The revocation lists, by the names of their files.
    lists: BTreeMap<String, String>,
}

impl Trusted {
    /// The roots of the settings and what is committed in this directory.
    #[must_use]
    pub fn of_settings(settings: &Settings, certs: Option<&Dir>) -> Self {
        let state = Dir::open(&settings.paths.state).ok().flatten();
        Self::seen(settings, kept_lists(settings, state.as_ref()), certs, Chains::default())
    }

    /// The same where some chains were seen already; only the others are read.
    #[must_use]
    pub fn seen(settings: &Settings, lists: BTreeMap<String, String>, certs: Option<&Dir>, seen: Chains) -> Self {
        let faults = &settings.faults;
        let faulty = faults.certificates.iter().map(|faulty| Named { name: &faulty.name, earlier: faulty.renamed_from.as_ref() });
        let of_settings = settings.certificates.iter().map(|one| Named { name: one.name(), earlier: one.renamed_from.as_ref() });
        // While names are hidden in a file that cannot be read, what is committed may be theirs.
        let hidden = certs.filter(|_| faults.hidden.is_some()).and_then(|certs| certs.names().ok()).unwrap_or_default();
        let hidden: Vec<CertName> = hidden.iter().filter_map(|name| CertName::parse(name).ok()).collect();
        let chains = seen.completed(certs, of_settings.chain(faulty).chain(hidden.iter().map(Named::plain)));
        Self { roots: settings.anchors().into_iter().cloned().collect(), chains, lists }
    }

    /// With all revocation lists of the state directory, whoever named them.
    #[must_use]
    pub fn with_every_list(self, state: &Dir) -> Self {
        let names = state.child(layout::CRL).ok().flatten().and_then(|dir| dir.names().ok()).unwrap_or_default();
        let names = names.into_iter().filter(|name| !name.starts_with('.'));
        let lists = names.filter_map(|name| kept_list(state, &name).map(|list| (name, list)));
        Self { lists: lists.collect(), ..self }
    }

    /// These roots, and what is committed of these certificates.
    pub fn new<'a>(roots: Vec<Anchor>, certs: Option<&Dir>, names: impl Iterator<Item = &'a CertName>) -> Self {
        Self { roots, chains: Chains::default().completed(certs, names.map(Named::plain)), lists: BTreeMap::new() }
    }

    /// Takes this chain in place of what is committed of a certificate.
    pub fn put(&mut self, name: CertName, chain: &str) {
        self.chains.put(name, Some(chain));
    }

    /// Takes these revocation lists.
    pub fn set_lists(&mut self, lists: BTreeMap<String, String>) {
        self.lists = lists;
    }

    /// Whether anything is committed that says who issues.
    #[must_use]
    pub fn has_chains(&self) -> bool {
        !self.chains.distinct().is_empty()
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> TrustFiles {
        let Some(first) = self.roots.first() else { return TrustFiles::default() };
        let write = |ders: &mut dyn Iterator<Item = &Vec<u8>>| ders.map(|der| pem::write(der)).collect::<String>();
        let anchors = write(&mut self.roots.iter().map(|anchor| &anchor.der));
        let ders = self.chains.distinct().into_iter().flat_map(|chain| certificates(chain.as_bytes()));
        let by_print: BTreeMap<Fingerprint, Vec<u8>> = ders.map(|der| (Fingerprint::of(&der), der)).collect();
        let is_root = |print: &Fingerprint| self.roots.iter().any(|anchor| anchor.sha256 == *print);
        // In the order of their fingerprints, so that the files change only where something comes or goes.
        let intermediates = write(&mut by_print.iter().filter(|(print, _)| !is_root(print)).map(|(_, der)| der));
        let files = [
            (layout::ANCHOR, pem::write(&first.der)),
            (layout::ANCHORS, anchors.clone()),
            (layout::BUNDLE, anchors + &intermediates),
            (layout::INTERMEDIATES, intermediates),
        ];
        TrustFiles {
            roots: self.roots.iter().map(|anchor| anchor.sha256.clone()).collect(),
            files: files.map(|(name, text)| (name.to_owned(), text)).into(),
            lists: self.lists.clone(),
        }
    }
}

/// A revocation list that was fetched and found good.
#[must_use]
pub fn kept_list(state: &Dir, file: &str) -> Option<String> {
    let content = state.child(layout::CRL).ok().flatten()?.read(file).ok().flatten()?;
    String::from_utf8(content.bytes.to_vec()).ok()
}

/// The revocation lists of the settings, as far as they were fetched and found good.
#[must_use]
pub fn kept_lists(settings: &Settings, state: Option<&Dir>) -> BTreeMap<String, String> {
    settings.crls.iter().filter_map(|source| Some((source.file.clone(), kept_list(state?, &source.file)?))).collect()
}

/// Whether the settings name a revocation list so.
#[must_use]
pub fn names_list(settings: &Settings, file: &str) -> bool {
    settings.crls.iter().any(|source| source.file == file)
}

/// Whether the settings have a file of this name in the directory of `trust`, fetched or not.
#[must_use]
pub fn publishes(settings: &Settings, name: &str) -> bool {
    FILES.contains(&name) || names_list(settings, name)
}

/// Whether the directory of `trust` holds this file, where it holds these lists.
#[must_use]
pub fn is_ours(name: &str, lists: &BTreeMap<String, String>) -> bool {
    FILES.contains(&name) || lists.contains_key(name)
}

/// The names of the files that are made of roots and intermediates.
const FILES: [&str; 4] = [layout::ANCHOR, layout::ANCHORS, layout::BUNDLE, layout::INTERMEDIATES];

/// The files of `trust` as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustFiles {
    roots: Vec<Fingerprint>,
    files: BTreeMap<String, String>,
    lists: BTreeMap<String, String>,
}

impl TrustFiles {
    /// What lies in this directory of them, these lists included: as good as what should lie there once it is found equal to it.
    ///
    /// # Errors
    /// When one that is there cannot be read.
    pub fn found(settings: &Settings, trust: Option<&Dir>, lists: &BTreeMap<String, String>) -> Result<Self, DiskError> {
        let read = |names: &mut dyn Iterator<Item = &str>| -> Result<BTreeMap<String, String>, DiskError> {
            let mut found = BTreeMap::new();
            for name in names {
                let content = trust.map_or(Ok(None), |trust| trust.read(name))?;
                // What is no text is none of them.
                let text = content.and_then(|content| String::from_utf8(content.bytes.to_vec()).ok());
                found.extend(text.map(|text| (name.to_owned(), text)));
            }
            Ok(found)
        };
        let roots = settings.anchors().iter().map(|anchor| anchor.sha256.clone()).collect();
        Ok(Self { roots, files: read(&mut FILES.into_iter())?, lists: read(&mut lists.keys().map(String::as_str))? })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().chain(&self.lists).map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Whether this revocation list is one of them.
    #[must_use]
    pub fn has_list(&self, file: &str) -> bool {
        self.lists.contains_key(file)
    }

    /// What a part of `install` names.
    #[must_use]
    pub fn file(&self, part: Part) -> Option<&str> {
        self.files.get(part.trust_file()?).map(String::as_str)
    }

    /// Whether this root is one of the pinned ones.
    #[must_use]
    pub fn pins(&self, root: &Fingerprint) -> bool {
        self.roots.contains(root)
    }

    /// The files that consumers of this certificate read, with their SHA-256.
    #[must_use]
    pub fn read_by(&self, certificate: &Certificate) -> BTreeMap<String, Fingerprint> {
        let print = |name: &str| Some((name.to_owned(), Fingerprint::of(self.files.get(name)?.as_bytes())));
        let named: BTreeMap<String, Fingerprint> = read_by(certificate).into_iter().filter_map(print).collect();
        // Who reads one of them may read every list: those stand in its own configuration.
        let lists = self.lists.iter().filter(|_| !named.is_empty());
        let lists: Vec<_> = lists.map(|(name, text)| (name.clone(), Fingerprint::of(text.as_bytes()))).collect();
        named.into_iter().chain(lists).collect()
    }

    /// Which of the files that consumers of this certificate read are not the ones that they last took up, in words.
    #[must_use]
    pub fn changed(&self, certificate: &Certificate, state: &State) -> Option<String> {
        let wanted = self.read_by(certificate);
        let changed: Vec<&str> =
            wanted.iter().filter(|(name, print)| state.trust.get(*name) != Some(print)).map(|(name, _)| name.as_str()).collect();
        let (is, read) = if changed.len() == 1 { ("is", "it") } else { ("are", "them") };
        (!changed.is_empty()).then(|| format!("{} {is} not as its consumers last read {read}", changed.join(", ")))
    }
}

/// The files of `trust` that consumers of this certificate read: by `install`, and what a driver puts beside the certificate.
fn read_by(certificate: &Certificate) -> BTreeSet<&'static str> {
    let installed = certificate.install.iter().flat_map(|install| &install.files).filter_map(|(part, _)| part.trust_file());
    let rendering = Rendering { directory: Path::new("/"), anchors: &String::new };
    let renders = certificate.reload.iter().any(|service| service.files(&rendering).iter().any(|file| file.name == ANCHORS));
    installed.chain(renders.then_some(layout::ANCHORS)).collect()
}

/// Whether consumers of this certificate read any of the files of `trust`.
#[must_use]
pub fn reads_any(certificate: &Certificate) -> bool {
    !read_by(certificate).is_empty()
}

/// Whether consumers of this certificate read a file that holds intermediates.
#[must_use]
pub fn reads_intermediates(certificate: &Certificate) -> bool {
    read_by(certificate).contains(layout::BUNDLE)
}

/// A committed certificate whose root the settings pin no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name.
    pub name: CertName,
    /// The generation.
    pub generation: String,
    /// The root that it was validated against.
    pub root: Fingerprint,
}

/// The committed certificates of these settings that end at a root which is not pinned any more. What cannot be read is passed over.
#[must_use]
pub fn dropped(settings: &Settings) -> Vec<Dropped> {
    let state = Dir::open(&settings.paths.state).ok().flatten();
    let Some(certs) = state.and_then(|state| state.child(layout::CERTS).ok().flatten()) else { return Vec::new() };
    let pinned = settings.anchors();
    let one = |certificate: &Certificate| {
        let rename = Rename::of(certificate.name(), certificate.renamed_from.as_ref(), Some(&certs)).ok()?;
        let live = live(&certs, rename.name_on_disk(certificate.name())).ok().flatten()?;
        let meta: Meta = serde_json::from_slice(&live.read(layout::META).ok().flatten()?.bytes).ok()?;
        let root = meta.anchor_sha256;
        let (name, generation) = (certificate.name().clone(), meta.generation.to_string());
        pinned.iter().all(|anchor| anchor.sha256 != root).then_some(Dropped { name, generation, root })
    };
    settings.certificates.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::kit::{Authority, Pki, ROOT};

    fn name(text: &str) -> CertName {
        CertName::parse(text).unwrap()
    }

    #[test]
    fn roots_come_first_then_each_intermediate_once() {
        let (old, new) = (Pki::new(), Authority::root(ROOT));
        let of = |ders: &[&Vec<u8>]| ders.iter().map(|der| pem::write(der)).collect::<String>();
        let mut trusted = Trusted { roots: vec![new.anchor(), old.root.anchor()], ..Trusted::default() };
        let bare = trusted.files();
        assert_eq!(bare.file(Part::Bundle), bare.file(Part::Anchors), "no intermediates yet");
        let middle = old.middle.der.clone();
        for certificate in ["api", "web"] {
            trusted.put(name(certificate), &of(&[&middle]));
        }
        // A root in a chain is none of its intermediates.
        trusted.put(name("odd"), &of(&[&middle, &new.der]));
        let files = trusted.files();
        assert_eq!(files.file(Part::Ca), Some(of(&[&new.der]).as_str()));
        assert_eq!(files.file(Part::Anchors), Some(of(&[&new.der, &old.root.der]).as_str()));
        assert_eq!(files.file(Part::Bundle), Some(of(&[&new.der, &old.root.der, &middle]).as_str()));
        assert_eq!(files.files[layout::INTERMEDIATES], of(&[&middle]));
        assert!(files.pins(&old.root.anchor().sha256) && !files.pins(&Fingerprint::of(&middle)));
        assert_eq!(files.file(Part::Cert), None);
        assert_eq!(Trusted::default().files().iter().count(), 0, "without a root there is nothing to trust");
    }
}
