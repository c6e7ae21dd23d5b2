//! Files that older scripts, editors and package managers leave beside keys and certificates.

use std::path::Path;

use super::{HostMaterial, lints};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::model::audit::{Location, Object, Target};
use crate::model::finding::Severity;

/// Endings that editors, package managers and scripts give to the copy that they keep beside a file. No configuration names such a copy on
/// purpose.
const ENDINGS: [&str; 17] = [
    ".bak",
    ".old",
    ".orig",
    ".save",
    ".backup",
    ".new",
    ".tmp",
    ".swp",
    ".swo",
    "~",
    ".rpmsave",
    ".rpmnew",
    ".rpmorig",
    ".dpkg-old",
    ".dpkg-dist",
    ".dpkg-new",
    ".before-omens",
];

/// Whether a file's name is that of a leftover: `key.pem.bak`, `cert.pem~`, `key.pem.20250101`, `key.bak.pem`.
pub(super) fn is_one(name: &str) -> bool {
    let stem = [".pem", ".crt", ".key", ".cer"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let dated = name.rsplit_once(['.', '-', '_']).is_some_and(|(rest, date)| {
        let digits = date.bytes().all(|byte| byte.is_ascii_digit());
        digits && (8..=14).contains(&date.len()) && [".pem", ".crt", ".key", ".cer"].iter().any(|ending| rest.contains(ending))
    });
    dated || ENDINGS.iter().any(|ending| name.ends_with(ending) || stem.ends_with(ending))
}

/// Judges what lies beside the named files.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    for file in host.cache.beside() {
        let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !is_one(name) {
            continue;
        }
        let used = file.content.keys().filter_map(|(key, _)| key.public()).find_map(|public| host.used_key(public, &file.path));
        let target = Target::new("file", file.path.display().to_string());
        let draft = |lint| NewFinding::new(lint, target.clone(), Object::file(&file.path)).file(Location::file(&file.path));
        if let Some(path) = used {
            findings.add(
                draft(&lints::KEY_BACKUP)
                    .expected("one file for a key")
                    .found("the private key of a file in use")
                    .evidence(format!("the same key is in {}", path.display())),
            );
        } else if file.content.has_plain_key() {
            findings.add(draft(&lints::LEFTOVER_FILE).expected("no leftovers").found("a private key that nothing here uses"));
        } else {
            let severity = if name.ends_with(".before-omens") { Severity::Info } else { Severity::Low };
            findings.add(draft(&lints::LEFTOVER_FILE).severity(severity).expected("no leftovers").found(what(&file.path)));
        }
    }
}

/// Copies of keys in use in home directories, in /tmp and the like.
pub(super) fn strays(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    for file in host.cache.strays() {
        let used = file.content.keys().filter_map(|(key, _)| key.public()).find_map(|public| host.used_key(public, &file.path));
        let Some(path) = used else { continue };
        let public = file.meta.mode & 0o004 != 0;
        let draft = NewFinding::new(&lints::KEY_BACKUP, Target::new("file", file.path.display().to_string()), Object::file(&file.path));
        let draft = draft.file(Location::file(&file.path)).severity(if public { Severity::High } else { Severity::Medium });
        let found = format!("the private key of a file in use, mode {:04o}", file.meta.mode & 0o7777);
        findings.add(draft.expected("one file for a key").found(found).evidence(format!("the same key is in {}", path.display())));
    }
}

fn what(path: &Path) -> String {
    format!("a file named {}", path.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_known_by_their_names_and_ordinary_files_are_none() {
        for name in [
            "key.pem.bak",
            "key.pem~",
            "key.bak.pem",
            "server.key.old",
            "tls.crt.new",
            "a.tmp",
            "key.pem.rpmsave",
            "key.pem.20250131",
            "key.pem-20250131120000",
            "x.before-omens",
        ] {
            assert!(is_one(name), "{name}");
        }
        for name in ["key.pem", "old.pem", "newkey.pem", "ca-2025.pem", "gen-12", "root-20250101.pem", "backup.pem", "bak", "cert.pem"] {
            assert!(!is_one(name), "{name}");
        }
    }
}
