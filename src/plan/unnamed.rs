//! What is left of a certificate that the settings no longer name: what `forget` would remove, and what it would not. Only reads.

use std::path::Path;

use super::generation::{certificates, meta_in};
use crate::config::settings::Paths;
use crate::io::dir::{Dir, DiskError, Kind};
use crate::judge::cert::Facts;
use crate::model::layout;
use crate::model::name::{CertName, Generation};

/// What is left of it.
#[derive(Debug)]
pub struct Unnamed {
    /// Its name.
    pub name: CertName,
    /// The committed generation.
    pub live: Option<Generation>,
    /// Its leaf, where it parses.
    pub facts: Option<Facts>,
    /// What `forget` removes, a line each.
    pub goes: Vec<String>,
    /// What it leaves alone, a line each.
    pub stays: Vec<String>,
}

impl Unnamed {
    /// Looks for it in both trees; `None` where there is nothing of this name.
    ///
    /// # Errors
    /// When something that is there cannot be read.
    pub fn look(paths: &Paths, name: &CertName) -> Result<Option<Self>, DiskError> {
        let certs = Dir::open(&paths.state)?.map_or(Ok(None), |state| state.child(layout::CERTS))?;
        let run_root = Dir::open(&paths.run)?;
        let (var, run) = (directory(certs.as_ref(), name)?, directory(run_root.as_ref(), name)?);
        let strays = [stray(certs.as_ref(), name)?, stray(run_root.as_ref(), name)?];
        let goes: Vec<String> = strays.into_iter().flatten().collect();
        if var.is_none() && run.is_none() && goes.is_empty() {
            return Ok(None);
        }
        let mut found = Self { name: name.clone(), live: None, facts: None, goes, stays: Vec::new() };
        if let Some(var) = &var {
            found.committed(var)?;
        }
        if let Some(run) = &run {
            let text = "what consumers read, with its private keys; links that `omens install` made lead nowhere then";
            found.goes.push(format!("{}: {text}", run.path().display()));
        }
        Ok(Some(found))
    }

    fn committed(&mut self, var: &Dir) -> Result<(), DiskError> {
        let mut generations: Vec<Generation> = var.names()?.iter().filter_map(|name| Generation::parse(name)).collect();
        generations.sort_unstable();
        self.live = var.link(layout::LIVE)?.as_deref().and_then(Generation::parse);
        let mut copies = Vec::new();
        for generation in &generations {
            let meta = var.child(&generation.to_string())?.map_or(Ok(None), |dir| meta_in(&dir))?;
            for copied in meta.iter().flat_map(|meta| &meta.copies) {
                copies.extend(copied.files.values().map(|file| copied.dir.join(file)).filter(|path| is_there(path.as_path())));
            }
        }
        if let Some(live) = self.live
            && let Some(dir) = var.child(&live.to_string())?
        {
            // Also of a generation that is no longer whole.
            let leaf = dir.read(layout::CERT)?.and_then(|content| certificates(&content.bytes).into_iter().next());
            self.facts = leaf.and_then(|der| Facts::parse(&der).ok());
        }
        copies.sort();
        copies.dedup();
        self.stays = copies.iter().map(|path| format!("{}: a copy at a consumer's own path", path.display())).collect();
        let each = |generation: &Generation| {
            let end = self.facts.as_ref().filter(|_| self.live == Some(*generation));
            end.map_or_else(|| generation.to_string(), |facts| format!("{generation} (committed, valid until {})", facts.not_after))
        };
        let listed: Vec<String> = generations.iter().map(each).collect();
        let what = if listed.is_empty() { "no generation".to_owned() } else { format!("{} with their private keys", listed.join(", ")) };
        self.goes.push(format!("{}: {what}, and its state", var.path().display()));
        Ok(())
    }
}

fn directory(parent: Option<&Dir>, name: &CertName) -> Result<Option<Dir>, DiskError> {
    let Some(parent) = parent else { return Ok(None) };
    if parent.kind(name.as_str())? == Some(Kind::Directory) { parent.child(name.as_str()) } else { Ok(None) }
}

/// What somebody else put in the place of a certificate's directory.
fn stray(parent: Option<&Dir>, name: &CertName) -> Result<Option<String>, DiskError> {
    let Some(parent) = parent else { return Ok(None) };
    let path = parent.join(name.as_str());
    Ok(match parent.kind(name.as_str())? {
        Some(Kind::Link) => Some(format!("{}: a link, which is not followed", path.display())),
        Some(Kind::File | Kind::Other) => Some(format!("{}: no directory", path.display())),
        Some(Kind::Directory) | None => None,
    })
}

/// A copy that nobody can look at is named all the same.
fn is_there(path: &Path) -> bool {
    let Some((dir, file)) = path.parent().zip(path.file_name().and_then(std::ffi::OsStr::to_str)) else { return false };
    match Dir::open(dir) {
        Ok(Some(dir)) => !matches!(dir.kind(file), Ok(None)),
        Ok(None) => false,
        Err(_) => true,
    }
}
