//! What a run that did something leaves for the next ones, as its last act: which certificates it found intact, so that what did not change since is
//! not read again. Nobody is told where it cannot be written: the next run reads everything then.

use crate::config::settings::{Certificate, Settings};
use crate::io::write;
use crate::model::layout;
use crate::plan::inventory;
use crate::steps::run::Run;

/// Notes what of these certificates, and of what was noted before, is intact now.
pub(super) fn note(settings: &Settings, wanted: &[&Certificate], run: &Run) {
    let Some(file) = inventory::note(settings, wanted) else { return };
    let written = write::compact(run.state(), layout::SEEN, &file)
        .and_then(|bytes| write::replace_unkept(run.state(), layout::SEEN, &bytes, layout::SECRET_MODE));
    if let Err(why) = written {
        tracing::debug!(%why, "what was found intact is not noted, and is read again");
    }
}
