//! One private key in more places than one: copies, other certificates for it, the generation before, and an authority's own key.

use std::collections::BTreeMap;
use std::path::Path;

use super::blocks::Cert;
use super::host::{HostMaterial, about};
use super::pem_cache::PemFile;
use super::{key, leftover, lints};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::wiring::Pair;
use crate::model::audit::{Location, Object, Target};

/// Judges where keys are used and kept.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    copies(host, findings);
    twice(host, findings);
    kept(host, findings);
    authority(host, findings);
}

fn copies(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    let mut places: BTreeMap<&[u8], Vec<&PemFile>> = BTreeMap::new();
    for file in host.cache.all().filter(|file| !is_leftover(&file.path)) {
        for public in file.content.keys().filter_map(|(key, _)| key.public()) {
            let known = places.entry(public).or_default();
            if !known.iter().any(|known| known.real == file.real || known.meta.inode == file.meta.inode || belong(known, file)) {
                known.push(file);
            }
        }
    }
    for files in places.values() {
        for copy in files.iter().skip(1) {
            let Some(first) = files.first() else { continue };
            let target = Target::new("file", copy.path.display().to_string());
            let draft = NewFinding::new(&lints::KEY_COPY, target, Object::file(&copy.path))
                .file(Location::file(&copy.path))
                .file(Location::file(&first.path));
            findings.add(draft.expected("one file for a key").found(format!("the key of {}", first.path.display())));
        }
    }
}

/// Files that one writer makes of one key: key and combined PEM of a directory, and generations.
fn belong(a: &PemFile, b: &PemFile) -> bool {
    let combined = |file: &PemFile| file.content.certificates().next().is_some();
    let beside = a.real.parent() == b.real.parent() && combined(a) != combined(b);
    beside || (generation(&a.real).is_some() && generation(&b.real).is_some())
}

/// The number of the generation that a file lies in ([What lies where](crate::steps::swap#what-lies-where)).
fn generation(path: &Path) -> Option<u64> {
    path.parent()?.file_name()?.to_str()?.strip_prefix("gen-")?.parse().ok()
}

fn is_leftover(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(leftover::is_one)
}

/// Two services with a certificate each, and one key.
fn twice(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    let mut first: BTreeMap<&[u8], (&Pair, &Cert)> = BTreeMap::new();
    for pair in &host.wiring.pairs {
        let Some(leaf) = host.leaf(pair) else { continue };
        let (before, cert) = *first.entry(&leaf.facts.spki).or_insert((pair, leaf));
        if cert.der != leaf.der && before.consumer.program != pair.consumer.program {
            let draft = about(&lints::KEY_TWICE, &pair.consumer, &pair.certificate).file(Location::file(&before.certificate));
            findings.add(draft.expected("a key for each service").found(format!("{} and {}", leaf.words(), cert.words())));
        }
    }
}

/// The generation before has the same key and another certificate.
fn kept(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    for pair in &host.wiring.pairs {
        let (Some(leaf), Some(file)) = (host.leaf(pair), host.cache.file(&pair.certificate)) else { continue };
        let Some((number, top)) = generation(&file.real).zip(file.real.parent().and_then(Path::parent)) else { continue };
        let Some(name) = file.real.file_name().filter(|_| number > 1) else { continue };
        let before = top.join(format!("gen-{}", number - 1)).join(name);
        let Ok(older) = super::pem_cache::read(host.basis.view, &before) else { continue };
        let Some((cert, _)) = older.content.certificates().next() else { continue };
        if cert.der != leaf.der && key::bits(&cert.facts.spki) == key::bits(&leaf.facts.spki) {
            let draft = about(&lints::KEY_KEPT, &pair.consumer, &pair.certificate).file(Location::file(&before));
            findings.add(draft.expected("a new key at each renewal").found(format!("the key of {}", cert.words())));
        }
    }
}

/// An authority's private key on the host that it signs for.
fn authority(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    let authorities: BTreeMap<Vec<u8>, &Cert> =
        host.cache.authorities().filter_map(|(cert, _)| Some((key::bits(&cert.facts.spki)?, cert))).collect();
    for file in host.cache.all() {
        for cert in file.content.keys().filter_map(|(key, _)| authorities.get(key.public()?)) {
            let target = Target::new("file", file.path.display().to_string());
            let draft = NewFinding::new(&lints::CA_KEY, target, Object::file(&file.path)).file(Location::file(&file.path));
            findings.add(draft.expected("no authority's key on this host").found(format!("the key of {}", cert.words())));
        }
    }
}
