//! The file of `--config` and `omens.d/*.toml` beside it as one tree. Later files only add; what is set twice is an error, never a choice.

use std::path::{Path, PathBuf};

use super::shape::{Errors, Wrong, quoted};
use super::tree::{self, Document, Entry, Node, Place, Value};
use crate::io::read::{self, ReadError};
use crate::model::code::Code;
use crate::model::report::SettingsError;

/// The key whose entries are collected from all files.
pub(super) const CERTIFICATE: &str = "certificate";

/// What to do at a first run.
const NO_SETTINGS: &str = "`omens init` prints settings for what this host uses, and /usr/share/doc/omens/examples/omens.toml is an example; \
                           name settings elsewhere with --config FILE";

/// All files together.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) start: Place,
    pub(super) entries: Vec<Entry>,
    /// Whether a file is no TOML in places, so that something may seem to be missing.
    pub(super) broken: bool,
    /// Whether a file of `omens.d` cannot be read, or not all of it: nobody knows which certificates it names.
    pub(super) hides: bool,
}

/// Reads and merges; `None` where the main file gives nothing to go on with.
pub(super) fn read(file: &Path, errors: &Errors) -> Option<Merged> {
    let main = document(file, errors, NO_SETTINGS)?;
    let mut merged = Merged { start: main.start, entries: main.entries, broken: main.broken, hides: false };
    let drop_ins = drop_ins(file, errors);
    merged.hides = drop_ins.is_none();
    for path in drop_ins.unwrap_or_default() {
        let Some(document) = document(&path, errors, "remove it, or make it a readable file") else {
            (merged.broken, merged.hides) = (true, true);
            continue;
        };
        join(&mut merged, document, errors);
    }
    Some(merged)
}

/// Adds a file of `omens.d`.
pub(super) fn join(merged: &mut Merged, document: Document, errors: &Errors) {
    merged.broken |= document.broken;
    merged.hides |= document.broken;
    for entry in document.entries {
        add(&mut merged.entries, entry, errors);
    }
}

fn document(file: &Path, errors: &Errors, otherwise: &str) -> Option<Document> {
    let name = file.display().to_string();
    let bytes = read::trusted(file).map_err(|error| errors.push(unreadable(&name, &error, otherwise))).ok()?;
    let mut document = tree::parse(&name, bytes);
    errors.extend(std::mem::take(&mut document.errors));
    Some(document)
}

fn unreadable(file: &str, error: &ReadError, otherwise: &str) -> SettingsError {
    let suggestion = match error {
        ReadError::TooLarge { .. } => {
            "split it: certificates may stand in any number of files omens.d/*.toml beside the main one".to_owned()
        }
        _ if error.code() == Code::Permissions || error.is_denied() => error.hint(),
        _ => otherwise.to_owned(),
    };
    let (code, text) = (error.code(), error.to_string());
    SettingsError { file: file.to_owned(), line: None, column: None, key: None, code, text, suggestion: Some(suggestion) }
}

/// `omens.d/*.toml` in the order of their names; hidden files are left out, as a shell's `*` does. `None` where it cannot be read.
fn drop_ins(file: &Path, errors: &Errors) -> Option<Vec<PathBuf>> {
    let directory = file.parent().unwrap_or_else(|| Path::new("")).join("omens.d");
    match read::trusted_directory(&directory) {
        Ok(None) => Some(Vec::new()),
        Ok(Some(mut files)) => {
            let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            files.retain(|path| path.extension().is_some_and(|e| e == "toml") && !hidden(path));
            Some(files)
        }
        Err(error) => {
            errors.push(unreadable(&directory.display().to_string(), &error, "make it a directory, or remove it"));
            None
        }
    }
}

fn add(entries: &mut Vec<Entry>, new: Entry, errors: &Errors) {
    let Some(old) = entries.iter_mut().find(|entry| entry.key == new.key) else {
        entries.push(new);
        return;
    };
    match (&mut old.node.value, new.node.value) {
        (Value::Array(items), Value::Array(more)) if new.key == CERTIFICATE => items.extend(more),
        (Value::Table(entries), Value::Table(more)) => {
            for entry in more {
                match entries.iter().find(|e| e.key == entry.key) {
                    Some(first) => {
                        errors.push(tree::duplicate(&format!("[{}] {}", new.key, quoted(&entry.key)), &entry.place, &first.place))
                    }
                    None => entries.push(entry),
                }
            }
        }
        _ => errors.push(tree::duplicate(&quoted(&new.key), &new.place, &old.place)),
    }
}

/// The certificates of the root, which have to be written `[[certificate]]`.
pub(super) fn certificates<'a>(node: &'a Node, errors: &Errors) -> Option<&'a [Node]> {
    match &node.value {
        Value::Array(items) => Some(items),
        other => {
            let wrong = Wrong::new(Code::WrongType, format!("expected [[certificate]], found {}", other.kind()));
            errors.at(&node.place, wrong.suggest("write [[certificate]] above each certificate, with two brackets"));
            None
        }
    }
}
