//! What a killed run left half-made has a name with a dot in front, and goes.

use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write;

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
