//! What a run that did something leaves for the next ones when its work is done: which certificates it found intact, so that what did not change
//! since is not read again. Nobody is told where it cannot be written: the next run reads everything then.

use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError, OWN_FILE};
use crate::io::write;
use crate::model::layout;
use crate::model::seen::SeenFile;
use crate::plan::inventory;
use crate::steps::run::Run;

/// Remembers what of these certificates, and of what was remembered before, is intact now.
pub(super) fn remember(settings: &Settings, wanted: &[&Certificate], run: &Run) {
    let Some(file) = inventory::to_remember(settings, wanted) else { return };
    if let Err(why) = put(run.state(), &file) {
        tracing::debug!(%why, "what was found intact is not remembered, and is read again");
    }
}

/// What would be too large to be read back is not written: what lies there is judged by itself, and may hold of some certificates still.
fn put(state: &Dir, file: &SeenFile) -> Result<(), DiskError> {
    let bytes = write::compact(state, layout::SEEN, file)?;
    if bytes.len() > OWN_FILE {
        return Err(DiskError::new("keep small enough to be read back", state.join(layout::SEEN), rustix::io::Errno::FBIG));
    }
    write::replace_unkept(state, layout::SEEN, &bytes, layout::SECRET_MODE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::anchor::Fingerprint;
    use crate::model::seen::Issuer;

    #[test]
    fn what_would_not_be_read_back_is_not_written() {
        let here = tempfile::tempdir().unwrap();
        let state = Dir::open(here.path()).unwrap().unwrap();
        let empty = serde_json::to_vec(&of_length(0)).unwrap().len();
        for (length, is_written) in [(0, true), (OWN_FILE - empty, true), (OWN_FILE - empty + 1, false)] {
            write::remove(&state, layout::SEEN).unwrap();
            assert_eq!(put(&state, &of_length(length)).is_ok(), is_written, "{length}");
            assert_eq!(state.read(layout::SEEN).unwrap().is_some(), is_written, "{length}");
        }
    }

    fn of_length(length: usize) -> SeenFile {
        let issuer = Issuer { chain: "x".repeat(length), anchor_sha256: Fingerprint::of(b"root") };
        SeenFile { issuers: vec![issuer], ..SeenFile::default() }
    }
}
