//! A file or directory that somebody names on the command line: every leaf in it is judged by what was asked, and held against the key that
//! lies in the same file or beside it. It must never guess what a leaf is for.

use std::path::{Path, PathBuf};

use super::Ground;
use super::blocks::{Body, Cert, Content, Known};
use super::{key, lints, room};
use crate::audit::sheet::{Draft, Sheet};
use crate::audit::{drawn, input};
use crate::io::look::{Kind, LookError};
use crate::judge::assess::{Asked, Judge};
use crate::judge::lint;
use crate::model::audit::{Object, Place, Target, Verdict};
use crate::model::finding::Severity;

/// As deep as directories are gone into.
const DEPTH: usize = 16;
/// As many files of a directory are judged.
const FILES: usize = 200_000;
/// Names that are read in a directory; a file that is named itself is read whatever its name is.
const ENDINGS: [&str; 8] = [".pem", ".crt", ".cer", ".cert", ".der", ".chain", ".key", ".p8"];
/// Names of the key that belongs to a certificate, beside `NAME.key` for `NAME.crt`.
const KEYS: [(&str, &str); 4] =
    [("cert.pem", "key.pem"), ("fullchain.pem", "key.pem"), ("fullchain.pem", "privkey.pem"), ("cert.pem", "privkey.pem")];

/// One run over files.
struct Run<'a> {
    ground: &'a Ground<'a>,
    judge: Judge,
    /// The file is what was asked about; else it was come across in a directory.
    named: bool,
    left: usize,
    known: Known,
}

/// Judges a file, or the certificate files of a directory and of what lies below it.
pub fn file(ground: &Ground<'_>, path: &Path, sheet: &mut Sheet) {
    let kind = match ground.view.meta(path) {
        Ok(meta) => meta.kind,
        Err(error) => return unreadable(path, &error, sheet),
    };
    let named = kind != Kind::Directory;
    // A chain that was named itself is judged as strictly as it can be.
    let asked = Asked { strict: named || ground.asked.strict, ..ground.asked.clone() };
    let mut run = Run { ground, judge: Judge::new(&asked, ground.anchors, ground.crls), named, left: FILES, known: Known::new() };
    if named {
        run.one(path, sheet);
    } else {
        run.directory(path, DEPTH, sheet);
    }
}

fn unreadable(path: &Path, error: &LookError, sheet: &mut Sheet) {
    input::unreadable(sheet, target(path), Place::file(path), error);
}

fn target(path: &Path) -> Target {
    Target::new("file", path.display().to_string())
}

impl Run<'_> {
    fn directory(&mut self, path: &Path, depth: usize, sheet: &mut Sheet) {
        let names = match self.ground.view.list(path) {
            Ok(names) => names,
            Err(error) => return unreadable(path, &error, sheet),
        };
        for name in names {
            let inside = path.join(&name);
            // A link may lead anywhere, also upwards.
            if self.left == 0 || self.ground.view.link(&inside).is_some() {
                continue;
            }
            // Asking what each thing is costs more than reading it.
            if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                self.left -= 1;
                self.one(&inside, sheet);
            } else if depth > 0 && self.ground.view.is_directory(&inside) {
                self.directory(&inside, depth - 1, sheet);
            }
        }
    }

    fn one(&mut self, path: &Path, sheet: &mut Sheet) {
        let content = match self.ground.view.bytes(path) {
            Ok(bytes) => Content::read_with(&bytes, &mut self.known),
            // A directory named like a file, a socket, a pipe: not what was asked about.
            Err(LookError::Kind { .. }) if !self.named => return,
            Err(error) => return unreadable(path, &error, sheet),
        };
        for block in &content.blocks {
            if let Body::Broken(why) = &block.body {
                input::malformed(sheet, target(path), Place::line(path, block.line), "a certificate", why);
            }
        }
        if content.blocks.is_empty() && (self.named || !content.form.empty) {
            input::malformed(sheet, target(path), Place::file(path), "a certificate", "none");
        }
        if content.has_plain_key() {
            self.mode(path, &content, sheet);
        }
        let certs: Vec<&Cert> = content.certificates().map(|(cert, _)| cert).collect();
        // In a directory authorities lie beside the leaves; each would be no good as one.
        if let Some((leaf, sent)) = certs.split_first().filter(|_| self.named || !certs.iter().all(|cert| cert.is_ca())) {
            let fits = self.pair(path, &content, leaf, sheet);
            self.judge(path, (leaf, sent), fits, sheet);
        }
    }

    /// The first certificate is the leaf; the others are sent with it. One that is not for its key is rejected.
    fn judge(&self, path: &Path, (leaf, sent): (&Cert, &[&Cert]), fits: bool, sheet: &mut Sheet) {
        let mut candidates: Vec<Vec<u8>> = sent.iter().map(|cert| cert.der.clone()).collect();
        candidates.extend(self.ground.intermediates.iter().cloned());
        let assessment = self.judge.assess(&leaf.der, &candidates, None, sheet.at());
        for finding in &assessment.findings {
            if let Some(draft) = room::judged(finding, target(path), Object::certificate(&leaf.facts.sha256)) {
                sheet.add(draft.file(Place::file(path)));
            }
        }
        let mut chain = drawn::chain(target(path), &assessment, sheet.at());
        if !fits {
            chain.verdict = Verdict::Reject;
        }
        sheet.chain(chain);
    }

    /// Against the keys that were given; without any, against that in the same file, or in the one whose name goes with it.
    fn pair(&self, path: &Path, content: &Content, leaf: &Cert, sheet: &mut Sheet) -> bool {
        let Some(bits) = key::bits(&leaf.facts.spki) else { return true };
        if !self.ground.keys.is_empty() {
            let fits = self.ground.keys.contains(&bits);
            if !fits {
                let draft = Draft::new(&lint::PAIR_MISMATCH, target(path), Object::file(path)).file(Place::file(path));
                sheet.add(draft.expected("a certificate for the key of --key").found(format!("{} for another key", leaf.words())));
            }
            return fits;
        }
        let own = content.keys().find_map(|(key, _)| key.public().map(|public| (path.to_path_buf(), public.to_vec())));
        let Some((place, public)) = own.or_else(|| self.beside(path)) else { return true };
        let fits = bits == public;
        if !fits {
            let draft =
                Draft::new(&lint::PAIR_MISMATCH, target(path), Object::file(path)).file(Place::file(path)).file(Place::file(&place));
            let draft = draft
                .expected(format!("a certificate for the key in {}", place.display()))
                .found(format!("{} for another key", leaf.words()));
            sheet.add(draft.remedy("put certificate and key of one issuance together: no service starts with these two"));
        }
        fits
    }

    fn beside(&self, path: &Path) -> Option<(PathBuf, Vec<u8>)> {
        let name = path.file_name()?.to_str()?;
        let by_name = KEYS.iter().filter(|(certificate, _)| *certificate == name).map(|(_, key)| path.with_file_name(key));
        let candidates = by_name.chain([path.with_extension("key")]).filter(|key| key != path);
        candidates.into_iter().find_map(|key| {
            let content = Content::read(&self.ground.view.bytes(&key).ok()?);
            let public = content.keys().find_map(|(key, _)| key.public().map(<[u8]>::to_vec))?;
            Some((key, public))
        })
    }

    fn mode(&self, path: &Path, content: &Content, sheet: &mut Sheet) {
        let Ok(meta) = self.ground.view.meta(path) else { return };
        if meta.mode & 0o004 != 0 {
            let lint = if content.certificates().next().is_some() { &lints::KEY_IN_CERTIFICATE } else { &lints::KEY_READABLE };
            let draft = Draft::new(lint, target(path), Object::file(path)).file(Place::file(path)).severity(Severity::High);
            sheet.add(draft.expected("mode 0600").found(format!("mode {:04o}", meta.mode)));
        }
    }
}
