//! Directories of ours that belong to somebody else are used for nothing.

use crate::config::settings::Paths;
use crate::io::dir::Dir;
use crate::io::write;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// Refuses a directory of ours that belongs to somebody else; asked of the opened one, before anything is written into it.
///
/// # Errors
/// Stage `publish`, code `foreign-owner`.
pub fn refuse_foreign(dir: &Dir) -> Result<(), Failure> {
    match dir.foreign_owner().map_err(|why| why.failure(Stage::Publish))? {
        Some(uid) => {
            let text = dir.told_foreign(uid, "the one that omens runs as");
            let hint = format!("give it back with chown, after a look at what lies in {}", dir.path().display());
            Err(Failure::new(Stage::Publish, Code::ForeignOwner, text).hint(hint))
        }
        None => Ok(()),
    }
}

/// The same of the run directory, where there is one that can be opened.
///
/// # Errors
/// Stage `publish`, code `foreign-owner`.
pub fn refuse_foreign_run(paths: &Paths) -> Result<(), Failure> {
    Dir::open(&paths.run).ok().flatten().as_ref().map_or(Ok(()), refuse_foreign)
}

/// The run directory, made where it is missing.
///
/// # Errors
/// When it cannot be made or opened; code `foreign-owner` where it belongs to somebody else.
pub fn run_root(paths: &Paths) -> Result<Dir, Failure> {
    // 0755 always: systemd re-owns a RuntimeDirectory's whole tree at start if its top is not root's (swap/ondisk.md, "What lies where").
    let run = write::make_path(&paths.run, 0o755).map_err(|why| why.failure(Stage::Publish))?;
    refuse_foreign(&run)?;
    Ok(run)
}
