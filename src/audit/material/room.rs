//! What all checks of material share: the files, whom the host trusts, and whom a finding is about. It must never judge.

use std::path::{Path, PathBuf};

use super::blocks::Cert;
use super::shelf::{self, Shelf};
use super::{Ground, key};
use crate::audit::sheet::Draft;
use crate::audit::wiring::{Consumer, Pair, Service, Wiring};
use crate::judge::lint::Lint;
use crate::model::audit::{Object, Place};
use crate::model::clock::Time;

/// Where Debian, Fedora and Alpine keep their public roots in one file.
const BUNDLES: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The files of one host and what they are judged by.
pub(super) struct Room<'a> {
    pub(super) ground: Ground<'a>,
    pub(super) wiring: &'a Wiring,
    pub(super) shelf: Shelf,
    pub(super) at: Time,
    /// DER of what is trusted; our own first, then the distribution's.
    anchors: Vec<Vec<u8>>,
    public: Vec<Vec<u8>>,
}

impl<'a> Room<'a> {
    pub(super) fn new(ground: &Ground<'a>, wiring: &'a Wiring, at: Time) -> Self {
        let shelf = Shelf::gather(ground.view, wiring);
        let mut anchors = ground.anchors.to_vec();
        let mut public = Vec::new();
        if anchors.is_empty() {
            let roots = shelf.authorities().filter(|(cert, _)| cert.is_root());
            anchors = roots.map(|(cert, _)| cert.der.clone()).collect();
            anchors.sort();
            anchors.dedup();
            public = bundle(ground);
        }
        Self { ground: *ground, wiring, shelf, at, anchors, public }
    }

    /// What a path may end at, as far as it has to do with these certificates: a bundle of public roots holds hundreds that do not.
    pub(super) fn anchors(&self, chain: &[&Cert]) -> Vec<Vec<u8>> {
        let issuers: Vec<&[u8]> = chain.iter().map(|cert| cert.facts.issuer.der.as_slice()).collect();
        let public = self.public.iter().filter(|der| {
            let parsed = crate::judge::cert::Facts::parse(der);
            parsed.is_ok_and(|facts| issuers.contains(&facts.subject.der.as_slice()))
        });
        self.anchors.iter().chain(public).cloned().collect()
    }

    /// Whether anything is trusted at all.
    pub(super) fn has_anchor(&self) -> bool {
        !self.anchors.is_empty()
    }

    /// A file that a configuration names and that holds this key, other than at this path.
    pub(super) fn used_key(&self, public: &[u8], other_than: &Path) -> Option<PathBuf> {
        let named = self.wiring.pairs.iter().flat_map(|pair| pair.key.iter().chain([&pair.certificate]));
        let holds = |path: &&PathBuf| {
            let held = self.shelf.paper(path).map(|paper| paper.content.keys().any(|(key, _)| key.public() == Some(public)));
            path.as_path() != other_than && held.unwrap_or(false)
        };
        let by_key = named.clone().find(holds);
        by_key.cloned()
    }

    /// Whether a path lies where this copy of a host has nothing at all: then nothing is known about it.
    pub(super) fn is_left_out(&self, path: &Path) -> bool {
        let Some(top) = path.components().nth(1) else { return false };
        let top = Path::new("/").join(top);
        self.ground.view.is_elsewhere() && self.ground.view.list(&top).unwrap_or_default().is_empty()
    }

    /// The leaf that a pair's service uses: the certificate for its key, or else the first of the file.
    pub(super) fn leaf(&self, pair: &Pair) -> Option<&Cert> {
        let paper = self.shelf.paper(&pair.certificate)?;
        let first = paper.content.certificates().next().map(|(cert, _)| cert);
        let key = self.public_key(pair);
        let fits = |cert: &Cert| key.is_some_and(|key| key::bits(&cert.facts.spki).as_deref() == Some(key));
        let fitting = paper.content.certificates().map(|(cert, _)| cert).find(|cert| fits(cert));
        let no_ca = || paper.content.certificates().map(|(cert, _)| cert).find(|cert| !cert.is_ca());
        fitting.or_else(no_ca).or(first)
    }

    /// The public half of a pair's key, where it may be known.
    pub(super) fn public_key(&self, pair: &Pair) -> Option<&[u8]> {
        self.shelf.paper(pair.key.as_ref()?)?.content.keys().find_map(|(key, _)| key.public())
    }

    /// What a pair's service sends besides its leaf.
    pub(super) fn sent(&self, pair: &Pair, leaf: &Cert) -> Vec<&Cert> {
        if pair.leaf_only {
            return Vec::new();
        }
        let files = [&pair.certificate].into_iter().chain(&pair.intermediates);
        let papers = files.filter_map(|path| self.shelf.paper(path));
        let all = papers.flat_map(|paper| paper.content.certificates().map(|(cert, _)| cert));
        let mut own = false;
        // The leaf itself once; a second time it is something that is sent besides.
        all.filter(|cert| cert.der != leaf.der || std::mem::replace(&mut own, true)).collect()
    }
}

fn bundle(ground: &Ground<'_>) -> Vec<Vec<u8>> {
    let read = |path: &&str| shelf::read(ground.view, Path::new(path)).ok();
    let paper = BUNDLES.iter().find_map(read);
    paper.map(|paper| paper.content.certificates().map(|(cert, _)| cert.der.clone()).collect()).unwrap_or_default()
}

/// A finding about a file that a service uses.
pub(super) fn about(lint: &'static Lint, consumer: &Consumer, path: &Path) -> Draft {
    let target = consumer.target.clone().at_line(consumer.place.line);
    Draft::new(lint, target, Object::file(path)).file(Place::file(path)).file(consumer.place.clone())
}

/// Accounts that a service's keys may belong to besides root.
pub(super) const fn accounts(service: Service) -> &'static [&'static str] {
    match service {
        Service::Nginx => &["www-data", "nginx", "http"],
        Service::KeylimeVerifier | Service::KeylimeRegistrar | Service::KeylimeTenant | Service::KeylimeAgent => &["keylime"],
        Service::SpireServer => &["spire", "spire-server"],
        Service::SpireAgent => &["spire", "spire-agent"],
        Service::OpenBao => &["openbao", "vault", "bao"],
        Service::Omens | Service::Other => &[],
    }
}

/// Whether it judges its peers with OpenSSL, without partial chains.
pub(super) const fn is_openssl(service: Service) -> bool {
    matches!(
        service,
        Service::Nginx | Service::KeylimeVerifier | Service::KeylimeRegistrar | Service::KeylimeTenant | Service::KeylimeAgent
    )
}

/// Whether it is written in Go.
pub(super) const fn is_go(service: Service) -> bool {
    matches!(service, Service::SpireServer | Service::SpireAgent | Service::OpenBao)
}
