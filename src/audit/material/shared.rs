//! One private key in more places than one: copies, other certificates for it, the generation before, and an authority's own key.

use std::collections::BTreeMap;
use std::path::Path;

use super::blocks::Cert;
use super::room::{Room, about};
use super::shelf::Paper;
use super::{key, leftover, lints};
use crate::audit::sheet::{Draft, Sheet};
use crate::audit::wiring::Pair;
use crate::model::audit::{Object, Place, Target};

/// Judges where keys are used and kept.
pub(super) fn judge(room: &Room<'_>, sheet: &mut Sheet) {
    copies(room, sheet);
    twice(room, sheet);
    kept(room, sheet);
    authority(room, sheet);
}

fn copies(room: &Room<'_>, sheet: &mut Sheet) {
    let mut places: BTreeMap<&[u8], Vec<&Paper>> = BTreeMap::new();
    for paper in room.shelf.all().filter(|paper| !is_leftover(&paper.path)) {
        for public in paper.content.keys().filter_map(|(key, _)| key.public()) {
            let known = places.entry(public).or_default();
            if !known.iter().any(|known| known.real == paper.real || known.meta.inode == paper.meta.inode || belong(known, paper)) {
                known.push(paper);
            }
        }
    }
    for papers in places.values() {
        for copy in papers.iter().skip(1) {
            let Some(first) = papers.first() else { continue };
            let target = Target::new("file", copy.path.display().to_string());
            let draft =
                Draft::new(&lints::KEY_COPY, target, Object::file(&copy.path)).file(Place::file(&copy.path)).file(Place::file(&first.path));
            sheet.add(draft.expected("one file for a key").found(format!("the key of {}", first.path.display())));
        }
    }
}

/// Files that one writer makes of one key: key and combined PEM of a directory, and generations.
fn belong(a: &Paper, b: &Paper) -> bool {
    let combined = |paper: &Paper| paper.content.certificates().next().is_some();
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
fn twice(room: &Room<'_>, sheet: &mut Sheet) {
    let mut first: BTreeMap<&[u8], (&Pair, &Cert)> = BTreeMap::new();
    for pair in &room.wiring.pairs {
        let Some(leaf) = room.leaf(pair) else { continue };
        let (before, cert) = *first.entry(&leaf.facts.spki).or_insert((pair, leaf));
        if cert.der != leaf.der && before.consumer.service != pair.consumer.service {
            let draft = about(&lints::KEY_TWICE, &pair.consumer, &pair.certificate).file(Place::file(&before.certificate));
            sheet.add(draft.expected("a key for each service").found(format!("{} and {}", leaf.words(), cert.words())));
        }
    }
}

/// The generation before has the same key and another certificate.
fn kept(room: &Room<'_>, sheet: &mut Sheet) {
    for pair in &room.wiring.pairs {
        let (Some(leaf), Some(paper)) = (room.leaf(pair), room.shelf.paper(&pair.certificate)) else { continue };
        let Some((number, top)) = generation(&paper.real).zip(paper.real.parent().and_then(Path::parent)) else { continue };
        let Some(name) = paper.real.file_name().filter(|_| number > 1) else { continue };
        let before = top.join(format!("gen-{}", number - 1)).join(name);
        let Ok(older) = super::shelf::read(room.ground.view, &before) else { continue };
        let Some((cert, _)) = older.content.certificates().next() else { continue };
        if cert.der != leaf.der && key::bits(&cert.facts.spki) == key::bits(&leaf.facts.spki) {
            let draft = about(&lints::KEY_KEPT, &pair.consumer, &pair.certificate).file(Place::file(&before));
            sheet.add(draft.expected("a new key at each renewal").found(format!("the key of {}", cert.words())));
        }
    }
}

/// An authority's private key on the host that it signs for.
fn authority(room: &Room<'_>, sheet: &mut Sheet) {
    let authorities: BTreeMap<Vec<u8>, &Cert> =
        room.shelf.authorities().filter_map(|(cert, _)| Some((key::bits(&cert.facts.spki)?, cert))).collect();
    for paper in room.shelf.all() {
        for cert in paper.content.keys().filter_map(|(key, _)| authorities.get(key.public()?)) {
            let target = Target::new("file", paper.path.display().to_string());
            let draft = Draft::new(&lints::CA_KEY, target, Object::file(&paper.path)).file(Place::file(&paper.path));
            sheet.add(draft.expected("no authority's key on this host").found(format!("the key of {}", cert.words())));
        }
    }
}
