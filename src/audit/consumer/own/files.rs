//! The files of settings of a host that is looked at from outside. It must never leave one out in silence.

use std::path::{Path, PathBuf};

use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::unread;
use crate::config::form::Written;
use crate::io::look::{LookError, View};
use crate::model::audit::{Location, Target};

/// As many files of `omens.d` are read.
const FILES: usize = 1_000;

/// The files of `omens.d`. That there is no such directory is usual.
pub(super) fn drop_ins(view: &View, directory: &Path, findings: &mut HostFindings) -> Vec<String> {
    let listed = if view.is_file(directory) {
        Err(LookError::Kind { path: directory.to_path_buf(), expected: "a directory", found: "a regular file" })
    } else {
        view.list(directory)
    };
    let names = listed.unwrap_or_else(|error| {
        if !error.is_absent() {
            unread::unreadable(findings, settings(directory), Location::file(directory), &error);
        }
        Vec::new()
    });
    let mut names: Vec<String> = names.into_iter().filter(|name| name.ends_with(".toml") && !name.starts_with('.')).collect();
    if let Some(first) = names.get(FILES) {
        let found = format!("{} files; {first} and those behind it were not read", names.len());
        let expected = format!("at most {FILES} files of settings in {}", directory.display());
        unread::too_many(findings, settings(directory), Location::file(directory), expected, found);
        names.truncate(FILES);
    }
    names
}

/// A file of settings; that it cannot be read is said, as nobody knows what it asks for.
pub(super) fn written(view: &View, file: PathBuf, findings: &mut HostFindings) -> Option<Written> {
    match view.bytes(&file) {
        Ok(bytes) => Some(Written { bytes: bytes.to_vec(), file }),
        Err(error) => {
            unread::unreadable(findings, settings(&file), Location::file(&file), &error);
            None
        }
    }
}

fn settings(path: &Path) -> Target {
    Target::new("settings", path.display().to_string())
}
