//! Who may read a key where it rests.

use crate::io::dir::Dir;
use crate::model::layout;

/// Why others than its owner may read this file of the state directory, which has this mode, in words ([Owners and modes](crate::steps::swap#owners-and-modes)).
pub(super) fn loose(dir: &Dir, file: &str, mode: u32) -> Option<String> {
    let text = || format!("{} has mode {mode:04o}, expected {:04o}: it holds a private key", dir.join(file).display(), layout::SECRET_MODE);
    (mode & 0o077 != 0).then(text)
}
