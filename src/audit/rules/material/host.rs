//! What all checks of material share: the files, whom the host trusts, and whom a finding is about.

use std::path::{Path, PathBuf};

use super::blocks::Cert;
use super::pem_cache::{self, PemCache};
use super::{Basis, key};
use crate::audit::facts::findings::NewFinding;
use crate::audit::facts::given::Given;
use crate::audit::facts::wiring::{Consumer, Pair, Trust, Wiring};
use crate::judge::cert::Facts;
use crate::judge::lint::{self, Lint};
use crate::model::audit::{Location, Object, Target};
use crate::model::clock::Time;
use crate::model::finding::Finding;

/// Where Debian, Fedora and Alpine keep their public roots in one file.
const BUNDLES: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The files of one host and what they are judged by.
pub(super) struct HostMaterial<'a> {
    pub(super) basis: Basis<'a>,
    pub(super) wiring: &'a Wiring,
    pub(super) cache: PemCache,
    pub(super) at: Time,
    /// DER and subject of what is trusted.
    anchors: Vec<Root>,
    /// The distribution's public roots.
    public: Vec<Root>,
}

struct Root {
    der: Vec<u8>,
    subject: Vec<u8>,
}

impl Root {
    fn of(cert: &Cert) -> Self {
        Self { der: cert.der.clone(), subject: cert.facts.subject.der.clone() }
    }
}

impl<'a> HostMaterial<'a> {
    pub(super) fn new(basis: Basis<'a>, wiring: &'a Wiring, at: Time) -> Self {
        let cache = PemCache::gather(basis.view, wiring);
        let given =
            basis.given.anchors.iter().filter_map(|der| Some(Root { der: der.clone(), subject: Facts::parse(der).ok()?.subject.der }));
        let mut anchors: Vec<Root> = given.collect();
        if anchors.is_empty() {
            anchors = cache.authorities().filter(|(cert, _)| cert.is_root()).map(|(cert, _)| Root::of(cert)).collect();
            // One of version 1 does not say that it is an authority; a trust list says so.
            let listed = wiring.trusts.iter().flat_map(|trust| &trust.files).flat_map(|path| cache.files(path));
            let listed = listed.flat_map(|file| file.content.certificates()).map(|(cert, _)| cert);
            anchors.extend(listed.filter(|cert| cert.facts.version == 1 && cert.is_root()).map(Root::of));
            anchors.sort_by(|a, b| a.der.cmp(&b.der));
            anchors.dedup_by(|a, b| a.der == b.der);
        }
        Self { basis, wiring, cache, at, anchors, public: bundle(basis) }
    }

    /// What a path may end at, as far as it has to do with these certificates: a bundle of public roots holds hundreds that do not.
    pub(super) fn anchors(&self, chain: &[&Cert]) -> Vec<Vec<u8>> {
        let issued = |root: &&Root| chain.iter().any(|cert| cert.facts.issuer.der == root.subject);
        let public = self.public.iter().filter(|_| !self.basis.pinned).filter(issued);
        self.anchors.iter().chain(public).map(|root| root.der.clone()).collect()
    }

    /// Whether anything is trusted at all, besides public roots.
    pub(super) const fn has_anchor(&self) -> bool {
        !self.anchors.is_empty()
    }

    /// Whether something of this name is trusted.
    pub(super) fn is_anchor_name(&self, name: &[u8]) -> bool {
        self.anchors.iter().any(|root| root.subject == name)
    }

    /// Whether a public root has this name.
    pub(super) fn is_public_name(&self, name: &[u8]) -> bool {
        self.public.iter().any(|root| root.subject == name)
    }

    /// A file that a configuration names and that holds this key, other than at this path.
    pub(super) fn used_key(&self, public: &[u8], other_than: &Path) -> Option<PathBuf> {
        let named = self.wiring.pairs.iter().flat_map(|pair| pair.key.iter().chain([&pair.certificate]));
        let holds = |path: &&PathBuf| {
            let held = self.cache.file(path).map(|file| file.content.keys().any(|(key, _)| key.public() == Some(public)));
            path.as_path() != other_than && held.unwrap_or(false)
        };
        let by_key = named.clone().find(holds);
        by_key.cloned()
    }

    /// Whether a path lies where this copy of a host has nothing at all: then nothing is known about it.
    pub(super) fn is_left_out(&self, path: &Path) -> bool {
        let nothing = |directory: &Path| self.basis.view.list(directory).unwrap_or_default().is_empty();
        let mut parts = path.components().skip(1);
        let top = parts.next().map(|part| Path::new("/").join(part)).unwrap_or_default();
        // Of /var a copy often has the one directory that somebody was after.
        let below = parts.next().filter(|_| top == Path::new("/var")).map(|part| top.join(part));
        // What lies in memory is made anew with each boot, and a copy holds what somebody put there.
        let volatile = top == Path::new("/run") && self.lacks_directory(path);
        self.basis.view.is_elsewhere() && (volatile || nothing(&top) || below.is_some_and(|below| nothing(&below)))
    }

    /// Whether this copy of a host was made without the directory of a path.
    pub(super) fn lacks_directory(&self, path: &Path) -> bool {
        self.basis.view.is_elsewhere() && path.parent().is_some_and(|parent| !self.basis.view.is_directory(parent))
    }

    /// The leaf that a pair's service uses: the certificate for its key, or else the first of the file.
    pub(super) fn leaf(&self, pair: &Pair) -> Option<&Cert> {
        let file = self.cache.file(&pair.certificate)?;
        let first = file.content.certificates().next().map(|(cert, _)| cert);
        let key = self.public_key(pair);
        let fits = |cert: &Cert| key.is_some_and(|key| key::bits(&cert.facts.spki).as_deref() == Some(key));
        let fitting = file.content.certificates().map(|(cert, _)| cert).find(|cert| fits(cert));
        let no_ca = || file.content.certificates().map(|(cert, _)| cert).find(|cert| !cert.is_ca());
        fitting.or_else(no_ca).or(first)
    }

    /// The public half of a pair's key, where it may be known.
    pub(super) fn public_key(&self, pair: &Pair) -> Option<&[u8]> {
        self.cache.file(pair.key.as_ref()?)?.content.keys().find_map(|(key, _)| key.public())
    }

    /// The certificates of a trust list.
    pub(super) fn listed<'r>(&'r self, trust: &'r Trust) -> impl Iterator<Item = &'r Cert> {
        let files = trust.files.iter().flat_map(|path| self.cache.files(path));
        files.flat_map(|file| file.content.certificates()).map(|(cert, _)| cert)
    }

    /// What a pair's service sends besides its leaf.
    pub(super) fn sent(&self, pair: &Pair, leaf: &Cert) -> Vec<&Cert> {
        if pair.leaf_only {
            return Vec::new();
        }
        let files = [&pair.certificate].into_iter().chain(&pair.intermediates);
        let files = files.filter_map(|path| self.cache.file(path));
        let all = files.flat_map(|file| file.content.certificates().map(|(cert, _)| cert));
        let mut own = false;
        // The leaf itself once; a second time it is something that is sent besides.
        all.filter(|cert| cert.der != leaf.der || std::mem::replace(&mut own, true)).collect()
    }
}

fn bundle(basis: Basis<'_>) -> Vec<Root> {
    let file = BUNDLES.iter().find_map(|path| pem_cache::read(basis.view, Path::new(path)).ok());
    file.map(|file| file.content.certificates().map(|(cert, _)| Root::of(cert)).collect()).unwrap_or_default()
}

/// A finding about a file that a service uses.
pub(super) fn about(lint: &'static Lint, consumer: &Consumer, path: &Path) -> NewFinding {
    let target = consumer.target.clone().at_line(consumer.location.line);
    NewFinding::new(lint, target, Object::file(path)).file(Location::file(path)).file(consumer.location.clone())
}

/// What a check of a certificate found, as a finding of the audit. Lints that mean a certificate before it is stored have no remedy of their own;
/// here it lies in a file, so there is something to do: write the file anew, or have the certificate issued anew.
pub(super) fn judged(given: &Given, finding: &Finding, target: Target, object: Object) -> Option<NewFinding> {
    let draft = NewFinding::of(finding, target, object)?;
    let known = lint::find(&finding.id).is_some_and(|lint| !lint.remedy.is_empty());
    let draft = match finding.id.split_once('.') {
        _ if known => draft,
        Some(("chain", _)) => {
            draft.remedy("write the file anew: the leaf, then its intermediates in the order of their issuers, without the root")
        }
        _ => draft.remedy("have the certificate issued anew by a role that does not do this"),
    };
    Some(given.placed(finding, draft))
}
