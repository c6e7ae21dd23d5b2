//! What a killed run left half-made has a name with a dot in front, and goes; what somebody opened to others is closed.

use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write;
use crate::model::layout;
use crate::model::name::Generation;

/// Takes from others what lets them read a private key of the state directory, whoever gave it to them
/// ([Owners and modes](crate::steps::swap#owners-and-modes)).
pub(super) fn close_to_others(var: &Dir) -> Result<(), DiskError> {
    for generation in var.names()?.iter().filter(|name| Generation::parse(name).is_some()) {
        // A stray file by such a name is somebody else's.
        if var.kind(generation)? != Some(Kind::Directory) {
            continue;
        }
        let Some(dir) = var.child(generation)? else { continue };
        for file in [layout::KEY, layout::SEALED_KEY, layout::RESIDENT_KEY] {
            if dir.mode(file)?.is_some_and(|mode| mode & 0o077 != 0) {
                write::set_mode(&dir, file, layout::SECRET_MODE)?;
            }
        }
    }
    Ok(())
}

/// Removes dot-names, which a killed run leaves. The only links among them are temporaries of `live` and of the constant links to what drivers
/// render; another one was put there by somebody else, and is an error.
pub(super) fn clean(dir: &Dir) -> Result<(), DiskError> {
    let ours = [".live.", ".nginx.conf.", ".anchors.pem.", ".spire-"];
    for name in dir.names()?.iter().filter(|n| n.starts_with('.')) {
        if dir.kind(name)? == Some(Kind::Link) && ours.iter().all(|own| !name.starts_with(own)) {
            return Err(DiskError::new("use", dir.join(name), rustix::io::Errno::LOOP));
        }
        write::remove(dir, name)?;
    }
    Ok(())
}
