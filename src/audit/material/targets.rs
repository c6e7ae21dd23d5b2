//! A file or directory that somebody names on the command line: every leaf in it is judged by what was asked. It must never guess what it is for.

use std::path::Path;

use super::Ground;
use super::blocks::{Body, Content};
use super::paths;
use crate::audit::input;
use crate::audit::sheet::{Draft, Sheet};
use crate::io::look::{Kind, LookError};
use crate::judge::assess::{Question, assess};
use crate::model::anchor::Fingerprint;
use crate::model::audit::{Object, Place, Target};
use crate::model::finding::{Finding, Severity};

/// As deep as directories are gone into.
const DEPTH: usize = 16;
/// As many files of a directory are judged.
const FILES: usize = 200_000;
/// Names that are read in a directory; a file that is named itself is read whatever its name is.
const ENDINGS: [&str; 6] = [".pem", ".crt", ".cer", ".cert", ".der", ".chain"];

/// Judges a file, or the certificate files of a directory and of what lies below it.
pub fn file(ground: &Ground<'_>, path: &Path, sheet: &mut Sheet) {
    let mut left = FILES;
    match ground.view.meta(path) {
        Ok(meta) if meta.kind == Kind::Directory => directory(ground, path, DEPTH, &mut left, sheet),
        Ok(_) => one(ground, path, sheet),
        Err(error) => unreadable(path, &error, sheet),
    }
}

fn directory(ground: &Ground<'_>, path: &Path, depth: usize, left: &mut usize, sheet: &mut Sheet) {
    let names = match ground.view.list(path) {
        Ok(names) => names,
        Err(error) => return unreadable(path, &error, sheet),
    };
    for name in names {
        let inside = path.join(&name);
        // A link may lead anywhere, also upwards.
        if *left == 0 || ground.view.link(&inside).is_some() {
            continue;
        }
        match ground.view.meta(&inside).map(|meta| meta.kind) {
            Ok(Kind::Directory) if depth > 0 => directory(ground, &inside, depth - 1, left, sheet),
            Ok(Kind::File) if ENDINGS.iter().any(|ending| name.ends_with(ending)) => {
                *left -= 1;
                one(ground, &inside, sheet);
            }
            _ => {}
        }
    }
}

fn unreadable(path: &Path, error: &LookError, sheet: &mut Sheet) {
    input::unreadable(sheet, target(path), Place::file(path), error);
}

fn target(path: &Path) -> Target {
    Target::new("file", path.display().to_string())
}

fn one(ground: &Ground<'_>, path: &Path, sheet: &mut Sheet) {
    let bytes = match ground.view.bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => return unreadable(path, &error, sheet),
    };
    let content = Content::read(&bytes);
    drop(bytes);
    for block in &content.blocks {
        if let Body::Broken(why) = &block.body {
            input::malformed(sheet, target(path), Place::line(path, block.line), "a certificate", why);
        }
    }
    if content.form.empty || content.blocks.is_empty() {
        input::malformed(sheet, target(path), Place::file(path), "a certificate", "none");
    }
    judge(ground, path, &content, sheet);
}

/// The first certificate is the leaf and the others are sent with it; in a bundle of authorities each one stands for itself and is no leaf.
fn judge(ground: &Ground<'_>, path: &Path, content: &Content, sheet: &mut Sheet) {
    let certs: Vec<_> = content.certificates().map(|(cert, _)| cert).collect();
    let Some(leaf) = certs.first() else { return };
    let mut candidates: Vec<Vec<u8>> = certs.iter().skip(1).map(|cert| cert.der.clone()).collect();
    candidates.extend(ground.intermediates.iter().cloned());
    let question = Question {
        leaf: &leaf.der,
        candidates: &candidates,
        anchors: ground.anchors,
        crls: ground.crls,
        spki: None,
        asked: ground.asked,
        at: sheet.at(),
    };
    let assessment = assess(&question);
    let object = Object::certificate(&Fingerprint::of(&leaf.der));
    let none = ground.anchors.is_empty() && !assessment.findings.iter().any(|finding| finding.id == "anchor.none");
    let missing = none.then(|| Finding::new("anchor.none", Severity::High, "a root to trust: --anchor", "none"));
    for finding in assessment.findings.iter().chain(&missing) {
        if let Some(draft) = Draft::of(finding, target(path), object.clone()) {
            sheet.add(draft.file(Place::file(path)));
        }
    }
    if let Some(chain) = paths::shown(&assessment, target(path), sheet.at()) {
        sheet.chain(chain);
    }
}
