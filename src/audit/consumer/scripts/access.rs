//! Who besides root may change what is run: the file, and every directory and link on the way to it. It must never follow its own idea of
//! owners: those of the host that is looked at count.

use std::path::Path;

use crate::io::look::{Kind, Meta, Step, View};

const STICKY: u32 = 0o1000;

/// The first step on the way to a file that somebody else may change, in words. `runs_as` may change its own.
#[must_use]
pub fn writable(view: &View, path: &Path, runs_as: Option<u32>) -> Option<String> {
    let way = view.way(path).ok()?;
    // A copy that was made without privileges belongs to who made it.
    let copied = way.first().filter(|_| view.is_elsewhere()).map(|top| (top.meta.uid, top.meta.gid));
    way.iter().find_map(|step| fault(view, step, runs_as, copied))
}

fn fault(view: &View, step: &Step, runs_as: Option<u32>, copied: Option<(u32, u32)>) -> Option<String> {
    let Meta { kind, mode, uid, gid, .. } = step.meta;
    let what = match kind {
        Kind::Link => return None,
        Kind::Directory => "directory ",
        _ => "",
    };
    let path = step.path.display();
    let mine = uid == 0 || Some(uid) == runs_as || copied.is_some_and(|(copied, _)| copied == uid);
    if !mine {
        return Some(format!("{what}{path} belongs to {}", view.accounts().user(uid)));
    }
    // In a sticky directory nobody can replace what is another's.
    let sticky = kind == Kind::Directory && mode & STICKY != 0;
    if mode & 0o002 != 0 && !sticky {
        return Some(format!("{what}{path} has mode {mode:04o}: everybody may write"));
    }
    let own_group = gid == 0 || copied.is_some_and(|(uid, copied)| uid != 0 && copied == gid);
    let members: Vec<String> =
        view.accounts().members(gid).into_iter().filter(|name| name != "root" && view.accounts().uid(name) != runs_as).collect();
    if mode & 0o020 != 0 && !sticky && !own_group && !members.is_empty() {
        return Some(format!("{what}{path} has mode {mode:04o}: {} of group {} may write", members.join(", "), view.accounts().group(gid)));
    }
    None
}

/// Whether everybody may read a file.
#[must_use]
pub fn is_public(view: &View, path: &Path) -> bool {
    let Ok(way) = view.way(path) else { return false };
    // A directory on the way that others may not enter hides what is in it.
    let passes = |step: &Step| step.meta.kind != Kind::Directory || step.meta.mode & 0o001 != 0;
    way.iter().all(passes) && way.last().is_some_and(|step| step.meta.mode & 0o004 != 0)
}
