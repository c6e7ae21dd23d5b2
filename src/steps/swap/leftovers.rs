//! What a killed run left half-made has a name with a dot in front, and goes; what somebody opened to others is closed.

use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write;
use crate::model::layout;
use crate::model::name::Generation;

/// Takes from others what lets them read a private key of the state directory, whoever gave it to them
/// ([Owners and modes](crate::steps::swap#owners-and-modes)).
pub(super) fn close_to_others(var: &Dir) -> Result<(), DiskError> {
    for generation in var.names()?.iter().filter(|name| Generation::parse(name).is_some()) {
        // What is no directory is none of ours.
        let dir = if var.kind(generation)? == Some(Kind::Directory) { var.child(generation)? } else { None };
        let Some(dir) = dir else { continue };
        for file in [layout::KEY, layout::SEALED_KEY, layout::RESIDENT_KEY] {
            if dir.mode(file)?.is_some_and(|mode| mode & 0o077 != 0) {
                // One of another user stays as it is, and `status` goes on saying so: that is no reason not to renew.
                if let Err(why) = write::set_mode(&dir, file, layout::SECRET_MODE) {
                    tracing::warn!(%why, "others may read a private key");
                }
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
