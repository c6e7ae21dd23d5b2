//! What a script writes, and whether the unit that runs it may write there: file systems that it sees read-only (systemd.exec(5),
//! "Sandboxing"), and the account that it runs as.

use std::path::{Path, PathBuf};

use super::keys::written;
use super::shell::Command;
use super::{Told, lints};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::io::look::View;
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;

/// A unit's limits to what it may write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confined {
    /// Where the limits are said.
    pub location: Option<Location>,
    /// Below these it may not write …
    pub read_only: Vec<PathBuf>,
    /// … but below these.
    pub writable: Vec<PathBuf>,
    /// The account, where it is not root.
    pub account: Option<String>,
}

/// A file that a script writes, and its line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::audit) struct Written {
    pub(in crate::audit) path: String,
    pub(in crate::audit) line: u32,
}

/// Judges what a script writes by how it is run.
pub(super) fn judge(view: &View, script: &Path, told: &Told, written: &[Written], findings: &mut HostFindings) {
    let confined = &told.confined;
    let below =
        |path: &Path, all: &[PathBuf]| all.iter().filter(|directory| path.starts_with(directory)).map(|one| one.as_os_str().len()).max();
    let kept_out = written.iter().find_map(|one| {
        let path = Path::new(&one.path);
        let read_only = below(path, &confined.read_only)?;
        // The longer way counts, as mounts do.
        let open = below(path, &confined.writable).is_some_and(|writable| writable >= read_only);
        (!open).then_some((one, "the unit sees it read-only".to_owned(), Severity::High))
    });
    let denied =
        || written.iter().find_map(|one| Some((one, denied(view, confined.account.as_deref()?, Path::new(&one.path))?, Severity::Medium)));
    let Some((one, found, severity)) = kept_out.or_else(denied) else { return };
    let draft =
        NewFinding::at(&lints::MAY_NOT_WRITE, Target::new("script", script.display().to_string()), Location::line(script, one.line));
    let draft = draft.severity(severity).expected(format!("leave to write {}", one.path)).found(found);
    findings.add(confined.location.clone().map_or(draft.clone(), |location| draft.file(location)));
}

/// Why an account may not make a file, where that is known: renaming and making take the right to write the directory.
fn denied(view: &View, account: &str, path: &Path) -> Option<String> {
    let directory = path.parent()?;
    let meta = view.meta(directory).ok()?;
    let accounts = view.accounts();
    let uid = accounts.uid(account).filter(|uid| *uid != 0)?;
    let shift = if meta.uid == uid {
        6
    } else if accounts.members(meta.gid).iter().any(|member| member == account) {
        3
    } else {
        0
    };
    let words = || format!("{} is {}:{} {:04o}", directory.display(), accounts.user(meta.uid), accounts.group(meta.gid), meta.mode);
    (meta.mode >> shift & 0o2 == 0).then(|| format!("{account} may not write there: {}", words()))
}

/// All files that a command writes or puts in place.
pub(super) fn puts(command: &Command) -> Vec<&str> {
    let mut files = written(command);
    if matches!(command.program(), "mv" | "install" | "ln") {
        files.extend(command.words.iter().skip(1).rfind(|word| !word.starts_with('-')).map(String::as_str));
    }
    files.retain(|file| *file != "/dev/null");
    files
}
