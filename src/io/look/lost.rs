//! `estate.toml`: what a copy of a host's files has lost, its name, owners and modes. It must never say anything about content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Accounts, LookError, Meta};
use crate::model::clock::Time;

/// Where it lies in the copy.
pub(super) const FILE: &str = "/estate.toml";

/// Why a copy cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LostError {
    /// The directory itself.
    #[error("{0}")]
    Root(LookError),
    /// `estate.toml` is not TOML, or says something else than it may.
    #[error("estate.toml: {0}")]
    Toml(String),
}

/// What a copy has lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub(super) host: Option<String>,
    files: BTreeMap<PathBuf, Entry>,
}

/// One file or directory of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    owner: Option<String>,
    group: Option<String>,
    mode: Option<u32>,
    modified: Option<Time>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    host: Option<String>,
    #[serde(default, alias = "files")]
    file: Files,
    /// Path to `USER` or `USER:GROUP`.
    #[serde(default)]
    owners: BTreeMap<PathBuf, String>,
    /// Path to mode.
    #[serde(default)]
    modes: BTreeMap<PathBuf, ModeShape>,
}

/// A list of tables with a path each, or one table by path.
#[derive(Deserialize)]
#[serde(untagged)]
enum Files {
    List(Vec<FileShape>),
    Table(BTreeMap<PathBuf, FileShape>),
}

impl Default for Files {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

#[derive(Deserialize)]
struct FileShape {
    path: Option<PathBuf>,
    owner: Option<String>,
    group: Option<String>,
    mode: Option<ModeShape>,
    modified: Option<String>,
}

/// `"0640"`, or `0o640` as TOML writes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum ModeShape {
    Text(String),
    Number(u32),
}

impl Lost {
    /// Reads the text of `estate.toml`.
    ///
    /// # Errors
    /// What is not understood.
    pub fn parse(text: &str) -> Result<Self, LostError> {
        let shape: Shape = toml::from_str(text).map_err(|error| LostError::Toml(error.message().to_owned()))?;
        let mut files: BTreeMap<PathBuf, Entry> = BTreeMap::new();
        let listed: Vec<FileShape> = match shape.file {
            Files::List(list) => list,
            Files::Table(table) => table.into_iter().map(|(path, file)| FileShape { path: Some(path), ..file }).collect(),
        };
        for file in listed {
            let path = file.path.ok_or_else(|| LostError::Toml("a [[file]] has no path".to_owned()))?;
            let entry = files.entry(absolute(&path)).or_default();
            entry.set_owner(file.owner.as_deref());
            entry.group = file.group.or(entry.group.take());
            entry.mode = file.mode.as_ref().map(|mode| octal(mode, &path)).transpose()?;
            let time = |text: String| {
                Time::parse(&text).ok_or_else(|| LostError::Toml(format!("{}: modified is no RFC 3339 time", path.display())))
            };
            entry.modified = file.modified.map(time).transpose()?;
        }
        for (path, owner) in shape.owners {
            files.entry(absolute(&path)).or_default().set_owner(Some(&owner));
        }
        for (path, mode) in shape.modes {
            files.entry(absolute(&path)).or_default().mode = Some(octal(&mode, &path)?);
        }
        Ok(Self { host: shape.host, files })
    }

    /// Puts right what the copy says wrongly.
    pub(super) fn correct<'a>(&self, path: &Path, meta: &mut Meta, accounts: impl FnOnce() -> &'a Accounts) {
        let Some(entry) = self.files.get(path) else { return };
        let accounts = accounts();
        // A name that the copy's own passwd does not know belongs to somebody who is not root.
        let somebody = u32::MAX - 1;
        if let Some(owner) = &entry.owner {
            meta.uid = accounts.uid(owner).unwrap_or(somebody);
        }
        if let Some(group) = &entry.group {
            meta.gid = accounts.gid(group).unwrap_or(somebody);
        }
        meta.mode = entry.mode.unwrap_or(meta.mode);
        meta.modified = entry.modified.unwrap_or(meta.modified);
    }
}

impl Entry {
    fn set_owner(&mut self, owner: Option<&str>) {
        let Some(owner) = owner else { return };
        let (user, group) = owner.split_once(':').map_or((owner, None), |(user, group)| (user, Some(group)));
        self.owner = Some(user.to_owned());
        self.group = group.map(str::to_owned).or(self.group.take());
    }
}

fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}

fn octal(mode: &ModeShape, path: &Path) -> Result<u32, LostError> {
    let wrong = || LostError::Toml(format!("{}: mode is not octal, expected something like \"0640\"", path.display()));
    match mode {
        ModeShape::Text(text) => {
            u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(wrong)
        }
        ModeShape::Number(number) => Some(*number).filter(|mode| *mode <= 0o7777).ok_or_else(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_say_it_mean_the_same() {
        let entry = Entry { owner: Some("a".into()), group: Some("b".into()), mode: Some(0o640), modified: None };
        let expected: BTreeMap<PathBuf, Entry> = [(PathBuf::from("/etc/x"), entry)].into();
        for text in [
            "[[file]]\npath = \"/etc/x\"\nowner = \"a\"\ngroup = \"b\"\nmode = \"0640\"",
            "[[files]]\npath = \"etc/x\"\nowner = \"a:b\"\nmode = 0o640",
            "[files.\"/etc/x\"]\nowner = \"a\"\ngroup = \"b\"\nmode = \"640\"",
            "[owners]\n\"/etc/x\" = \"a:b\"\n[modes]\n\"/etc/x\" = \"0640\"",
        ] {
            assert_eq!(Lost::parse(text).unwrap().files, expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for text in
            ["[[file]]\nmode = \"0640\"", "[modes]\nx = \"0999\"", "nonsense", "hosts = 1", "[[file]]\npath=\"/x\"\nmodified=\"now\""]
        {
            assert!(Lost::parse(text).is_err(), "{text}");
        }
    }
}
