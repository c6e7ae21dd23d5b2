//! Where one generation is published: both directories of its certificate, and what its consumers are given. It knows nothing of settings,
//! so that what is committed can be published when those are broken.

use zeroize::Zeroizing;

use super::aside::keep_aside;
use super::written;
use crate::config::settings::{Install, Owner, Part};
use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write::{self, Ownership};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::secret::Material;
use crate::plan::copies::{Wanted, leftovers, part_mode};
use crate::plan::generation::{Kept, PublishedFile, container, files_differ, key_mode};
use crate::plan::links::target;
use crate::plan::outlet::Outlet;

/// The directories of one certificate, and how one generation of it reaches its consumers.
#[derive(Debug)]
pub struct Site {
    /// `certs/NAME` of the state directory.
    pub(in crate::steps) var: Dir,
    /// `NAME` of the run directory.
    pub(in crate::steps) run: Dir,
    /// Who gets what.
    pub(in crate::steps) outlet: Outlet,
}

impl Site {
    /// Whether the run tree has this generation whole, whatever its `live` names. What cannot be looked at is staged anew.
    pub(super) fn is_whole(&self, kept: &Kept) -> bool {
        files_differ(&self.run, kept, self.outlet.expected()).is_ok_and(|difference| difference.is_none())
    }

    /// Makes the run tree's `gen-N` complete and equal; what is right already is left alone, and its key is not asked for. On tmpfs a flush
    /// means nothing, elsewhere it costs little.
    ///
    /// # Errors
    /// Stage `publish` or `seal`: a file cannot be written, or the key cannot be had.
    pub fn stage(&self, kept: &Kept, material: &dyn Fn() -> Result<Material, Failure>) -> Result<(), Failure> {
        let disk = |why: DiskError| why.failure(Stage::Publish);
        let generation = kept.generation;
        if self.is_whole(kept) {
            return Ok(());
        }
        let run = &self.run;
        let staging = format!(".{generation}");
        write::remove(run, &staging).map_err(disk)?;
        let (dir, _) = write::make_dir(run, &staging, 0o750, directory_owner(self.outlet.owner)).map_err(disk)?;
        // In clear only into the very directory of which the kernel says that it is in memory.
        if kept.keep.is_only_in_memory() {
            demand_memory(&dir)?;
        }
        let material = match kept.plain_key() {
            Some(plain) => Material::Pem(Zeroizing::new(plain.to_vec())),
            None => material()?,
        };
        let filled = self.fill(&dir, kept, &material).and_then(|()| {
            // A damaged generation of this number is exchanged, in one step where the file system can, so that `live` does not name nothing.
            write::exchange(run, &staging, &generation.to_string())?;
            write::remove(run, &staging)?;
            write::sync(run)
        });
        filled.map_err(disk)
    }

    fn fill(&self, dir: &Dir, kept: &Kept, material: &Material) -> Result<(), DiskError> {
        let owner = self.file_owner();
        let unread = || DiskError::new("publish what was not read into", dir.path(), rustix::io::Errno::INVAL);
        for PublishedFile { name, bytes } in kept.published_files(material).ok_or_else(unread)? {
            let secret = matches!(name, layout::KEY | layout::COMBINED);
            let mode = if secret { key_mode(self.outlet.owner.gid) } else { 0o644 };
            write::write_new(dir, name, &bytes, mode, owner)?;
        }
        for container in &self.outlet.containers {
            let (Some(file), Material::Pem(pem)) = (container.part.file(), material) else { continue };
            // The other files are of use without it; `show` says what is missing.
            let Ok(bytes) = container::make(container, kept, pem) else { continue };
            write::write_new(dir, file, &bytes, key_mode(self.outlet.owner.gid), owner)?;
        }
        for file in &self.outlet.rendered {
            write::write_new(dir, &file.name, &file.bytes, 0o644, owner)?;
        }
        write::sync(dir)
    }

    const fn file_owner(&self) -> Ownership {
        Ownership { uid: self.outlet.owner.uid, gid: self.outlet.owner.gid }
    }

    /// Lets the run tree's `live` name the generation, and writes the copies; says what was kept aside.
    ///
    /// # Errors
    /// When a link or a copy cannot be written.
    pub fn show(&self, kept: &Kept) -> Result<Vec<Warning>, DiskError> {
        let run = &self.run;
        for file in &self.outlet.rendered {
            point(run, &file.name, &file.link())?;
        }
        point(run, layout::LIVE, &kept.generation.to_string())?;
        let mut warnings = self.not_made(kept)?;
        if kept.keep.is_only_in_memory() && !self.outlet.copies.is_empty() {
            // Only in a revert to a generation from before the settings changed.
            let text = format!("the key of {} is sealed and never copied: consumers of copies keep what they have", kept.generation);
            warnings.push(Warning::new(Code::NotCopied, text));
            return Ok(warnings);
        }
        for install in &self.outlet.copies {
            self.copy(install, kept, &mut warnings)?;
        }
        Ok(warnings)
    }

    /// What `install` asks for and could not be made of this generation.
    fn not_made(&self, kept: &Kept) -> Result<Vec<Warning>, DiskError> {
        let Some(dir) = self.run.child(&kept.generation.to_string())? else { return Ok(Vec::new()) };
        let mut warnings = Vec::new();
        for container in &self.outlet.containers {
            let Some(file) = container.part.file() else { continue };
            if dir.kind(file)?.is_none() {
                let why = container.is_ready().err().map_or_else(|| "the key is not to be had".to_owned(), |why| why.text);
                warnings.push(Warning::new(Code::ContainerNotMade, format!("{} was not made: {why}", dir.join(file).display())));
            }
        }
        Ok(warnings)
    }

    /// Writes a consumer's copies, key last: a reader between two renames finds a new certificate with an old key, never a key without one.
    pub(super) fn copy(&self, install: &Install, kept: &Kept, warnings: &mut Vec<Warning>) -> Result<(), DiskError> {
        let missing = || DiskError::new("open the directory", &install.dir, rustix::io::Errno::NOENT);
        let dir = Dir::open(&install.dir)?.ok_or_else(missing)?;
        let owner = self.outlet.owner;
        for leftover in leftovers(install, &dir.names()?) {
            write::remove(&dir, &leftover)?;
        }
        let mut files = install.files.clone();
        files.sort_by_key(|(part, _)| (*part == Part::Key, part.holds_key()));
        for (part, file) in &files {
            let Some(wanted) = Wanted::of(self.outlet.trust.as_deref(), kept, install, *part) else { continue };
            if wanted.is_right(&dir, file, owner)? {
                continue;
            }
            let bytes = match wanted.write() {
                Ok(bytes) => bytes,
                Err(why) => {
                    let text = format!("the copy {} was not made: {}", dir.join(file).display(), why.text);
                    warnings.push(Warning::new(Code::ContainerNotMade, text));
                    continue;
                }
            };
            // What no generation of ours explains is somebody's, and kept aside; a link is never followed.
            let is_ours = match dir.kind(file)? {
                None => true,
                Some(Kind::File) => self.is_ours(&dir, file, install, *part)?,
                Some(Kind::Link) => dir.link(file)?.is_some_and(|found| found == target(self.run.path(), *part)),
                Some(Kind::Directory) => return Err(DiskError::new("copy over", dir.join(file), rustix::io::Errno::ISDIR)),
                Some(Kind::Other) => false,
            };
            if !is_ours {
                keep_aside(&dir, file, warnings)?;
            }
            if part.is_container()
                && let Err(why) = self.note(&dir, file, is_ours, &bytes)
            {
                // A state directory that cannot be written keeps nothing from consumers.
                tracing::warn!(%why, "the next one to be written here may find a copy that it does not know for its own");
            }
            write::replace_any(&dir, file, &bytes, part_mode(*part, owner.gid), self.file_owner())?;
        }
        Ok(())
    }

    /// Notes a container that is about to be written, beside the one of ours that lies there.
    fn note(&self, dir: &Dir, file: &str, is_ours: bool, bytes: &[u8]) -> Result<(), DiskError> {
        let found = if is_ours && dir.kind(file)? == Some(Kind::File) { dir.read(file)? } else { None };
        written::note(&self.var, &dir.join(file), found.as_ref().map(|content| content.bytes.as_slice()), bytes)
    }

    /// Whether a copy is one of a generation that we have, or was written by us under another password.
    fn is_ours(&self, dir: &Dir, file: &str, install: &Install, part: Part) -> Result<bool, DiskError> {
        let Some(found) = dir.read(file)? else { return Ok(true) };
        if part.is_container() && written::is_ours(&self.var, &dir.join(file), &found.bytes)? {
            return Ok(true);
        }
        for generation in self.var.names()?.iter().filter_map(|name| Generation::parse(name)) {
            let kept = Kept::read(&self.var, generation)?;
            if Wanted::of(self.outlet.trust.as_deref(), &kept, install, part).is_some_and(|wanted| wanted.is_in(&found.bytes)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Directories in the run tree are entered by the group; a certificate with an owner but no group is entered by its owner.
pub(super) fn directory_owner(owner: Owner) -> Ownership {
    let Owner { uid, gid } = owner.of_directory();
    Ownership { uid, gid }
}

/// Refuses a directory that is not in memory ([Sealing](crate::steps::swap#sealing)).
///
/// # Errors
/// Stage `seal`, code `run-not-tmpfs`.
pub fn demand_memory(dir: &Dir) -> Result<(), Failure> {
    if dir.is_memory_backed().map_err(|why| why.failure(Stage::Seal))? {
        return Ok(());
    }
    let text =
        format!("expected {} on tmpfs or ramfs, found another file system: no sealed key is written there in clear", dir.path().display());
    Err(Failure::new(Stage::Seal, Code::RunNotTmpfs, text)
        .hint("set paths.run to a directory in memory, such as /run/omens, or below /dev/shm or $XDG_RUNTIME_DIR"))
}

/// Makes a link name this, where it does not yet.
fn point(run: &Dir, name: &str, target: &str) -> Result<(), DiskError> {
    if run.links_to(name, target)? { Ok(()) } else { write::replace_link(run, name, target) }
}
