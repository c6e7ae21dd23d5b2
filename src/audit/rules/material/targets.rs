//! A file or directory that somebody names on the command line: every leaf in it is judged by what was asked, and held against the key that
//! lies in the same file or beside it. It must never guess what a leaf is for.

use std::path::{Path, PathBuf};

use super::Basis;
use super::blocks::{Cert, Content, Known};
use super::{form, host, key, lints};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::{chains, unread};
use crate::io::look::{Kind, LookError};
use crate::judge::assess::{Judge, Requirements};
use crate::judge::lint;
use crate::model::audit::{Location, Object, Target, Verdict};
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
    basis: &'a Basis<'a>,
    judge: Judge,
    /// The file is what was asked about; else it was come across in a directory.
    named: bool,
    left: usize,
    known: Known,
}

/// Judges a file, or the certificate files of a directory and of what lies below it.
pub fn file(basis: &Basis<'_>, path: &Path, findings: &mut HostFindings) {
    let kind = match basis.view.meta(path) {
        Ok(meta) => meta.kind,
        Err(error) if error.is_absent() => return unreadable(path, &error, findings),
        Err(error) => return unread::asked_for(findings, target(path), Location::file(path), &error),
    };
    let named = kind != Kind::Directory;
    // A chain that was named itself is judged as strictly as it can be.
    let asked = Requirements { strict: named || basis.given.asked.strict, ..basis.given.asked.clone() };
    let mut run =
        Run { basis, judge: Judge::new(&asked, &basis.given.anchors, &basis.given.crls), named, left: FILES, known: Known::new() };
    if named {
        run.one(path, findings);
    } else {
        run.directory(path, DEPTH, findings);
    }
}

fn unreadable(path: &Path, error: &LookError, findings: &mut HostFindings) {
    unread::unreadable(findings, target(path), Location::file(path), error);
}

fn target(path: &Path) -> Target {
    Target::new("file", path.display().to_string())
}

impl Run<'_> {
    fn directory(&mut self, path: &Path, depth: usize, findings: &mut HostFindings) {
        let names = match self.basis.view.list(path) {
            Ok(names) => names,
            Err(error) => return unreadable(path, &error, findings),
        };
        for name in names {
            let inside = path.join(&name);
            // A link may lead anywhere, also upwards.
            if self.left == 0 || self.basis.view.link(&inside).is_some() {
                continue;
            }
            // Asking what each thing is costs more than reading it.
            if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                self.left -= 1;
                self.one(&inside, findings);
            } else if depth > 0 && self.basis.view.is_directory(&inside) {
                self.directory(&inside, depth - 1, findings);
            }
        }
    }

    fn one(&mut self, path: &Path, findings: &mut HostFindings) {
        let content = match self.basis.view.bytes(path) {
            Ok(bytes) => Content::read_with(&bytes, &mut self.known),
            // A directory named like a file, a socket, a pipe: not what was asked about.
            Err(LookError::Kind { .. }) if !self.named => return,
            Err(error) if self.named => return unread::asked_for(findings, target(path), Location::file(path), &error),
            Err(error) => return unreadable(path, &error, findings),
        };
        for block in &content.blocks {
            if let Some((why, remedy)) = block.fault() {
                unread::malformed_with(findings, target(path), Location::line(path, block.line), "a certificate", why, remedy);
            }
        }
        self.without_certificate(path, &content, findings);
        let form = &content.form;
        let faults = [
            (form.glued, &lints::PEM_GLUED, "each boundary on its own line"),
            (form.indented, &lints::PEM_INDENTED, "boundaries that begin their line"),
            (form.gap, &lints::PEM_GAP, "base64 without empty lines"),
            (form.damaged, &lints::PEM_BOUNDARY, "five dashes at each end of BEGIN and END lines"),
        ];
        for (line, lint, expected) in faults {
            if let Some(line) = line {
                let draft = NewFinding::new(lint, target(path), Object::file(path)).file(Location::line(path, line));
                findings.add(draft.expected(expected).found(format!("line {line}")));
            }
        }
        if content.has_plain_key() {
            self.mode(path, &content, findings);
        }
        let certs: Vec<&Cert> = content.certificates().map(|(cert, _)| cert).collect();
        if let Some((leaf, sent)) = certs.split_first() {
            let fits = self.pair(path, &content, leaf, findings);
            self.judge(path, leaf, sent, fits, findings);
        }
    }

    /// Of a file that was named and holds none there is no answer, which is said. In a directory keys, requests and lists lie beside
    /// certificates.
    fn without_certificate(&self, path: &Path, content: &Content, findings: &mut HostFindings) {
        let is_said = content.blocks.iter().any(|block| block.fault().is_some());
        let is_beside = !self.named && (content.form.empty || !content.blocks.is_empty());
        if is_said || is_beside || content.certificates().next().is_some() {
            return;
        }
        let is_key_or_list = content.keys().next().is_some() || content.crls().next().is_some();
        let remedy = match content.form.container {
            Some(container) => container.conversion(),
            None if is_key_or_list => "name the certificate's file as TARGET; a key is given by --key, a revocation list by --crl",
            None => "name the file of the certificate, in PEM or DER, the leaf first",
        };
        let draft = NewFinding::at(&unread::MALFORMED, target(path), Location::file(path)).expected("a certificate").remedy(remedy);
        let draft = draft.found(form::instead(content));
        // Of a key who may read it was looked at, which may be all that was asked.
        let is_enough = is_key_or_list && !self.basis.given.verdict_is_asked;
        findings.add(if is_enough { draft.severity(Severity::Medium) } else { draft });
    }

    /// The first certificate is the leaf; the others are sent with it. One that is not for its key is rejected.
    fn judge(&self, path: &Path, leaf: &Cert, sent: &[&Cert], fits: bool, findings: &mut HostFindings) {
        let mut candidates: Vec<Vec<u8>> = sent.iter().map(|cert| cert.der.clone()).collect();
        candidates.extend(self.basis.given.intermediates.iter().cloned());
        let assessment = self.judge.assess(&leaf.der, &candidates, None, findings.at());
        for finding in &assessment.findings {
            if let Some(draft) = host::judged(self.basis.given, finding, target(path), Object::certificate(&leaf.facts.sha256)) {
                findings.add(draft.file(Location::file(path)));
            }
        }
        let mut chain = chains::chain(target(path), &assessment, findings.at());
        if !fits {
            chain.verdict = Verdict::Reject;
        }
        findings.chain(chain);
    }

    /// Against the keys that were given; without any, against that in the same file, or in the one whose name goes with it.
    fn pair(&self, path: &Path, content: &Content, leaf: &Cert, findings: &mut HostFindings) -> bool {
        let Some(bits) = key::bits(&leaf.facts.spki) else { return true };
        if !self.basis.given.keys.is_empty() {
            let fits = self.basis.given.keys.contains(&bits);
            if !fits {
                let draft = NewFinding::new(&lint::PAIR_MISMATCH, target(path), Object::file(path)).file(Location::file(path));
                findings.add(draft.expected("a certificate for the key of --key").found(format!("{} for another key", leaf.words())));
            }
            return fits;
        }
        let own = content.keys().find_map(|(key, _)| key.public().map(|public| (path.to_path_buf(), public.to_vec())));
        let Some((location, public)) = own.or_else(|| self.beside(path)) else { return true };
        let fits = bits == public;
        if !fits {
            let draft = NewFinding::new(&lint::PAIR_MISMATCH, target(path), Object::file(path))
                .file(Location::file(path))
                .file(Location::file(&location));
            let draft = draft
                .expected(format!("a certificate for the key in {}", location.display()))
                .found(format!("{} for another key", leaf.words()));
            findings.add(draft.remedy("put certificate and key of one issuance together: no service starts with these two"));
        }
        fits
    }

    fn beside(&self, path: &Path) -> Option<(PathBuf, Vec<u8>)> {
        let name = path.file_name()?.to_str()?;
        let by_name = KEYS.iter().filter(|(certificate, _)| *certificate == name).map(|(_, key)| path.with_file_name(key));
        let candidates = by_name.chain([path.with_extension("key")]).filter(|key| key != path);
        candidates.into_iter().find_map(|key| {
            let content = Content::read(&self.basis.view.bytes(&key).ok()?);
            let public = content.keys().find_map(|(key, _)| key.public().map(<[u8]>::to_vec))?;
            Some((key, public))
        })
    }

    fn mode(&self, path: &Path, content: &Content, findings: &mut HostFindings) {
        let Ok(meta) = self.basis.view.meta(path) else { return };
        if meta.mode & 0o004 != 0 {
            let lint = if content.certificates().next().is_some() { &lints::KEY_IN_CERTIFICATE } else { &lints::KEY_READABLE };
            let draft = NewFinding::new(lint, target(path), Object::file(path)).file(Location::file(path)).severity(Severity::High);
            findings.add(draft.expected("mode 0600").found(format!("mode {:04o}", meta.mode)));
        }
    }
}
