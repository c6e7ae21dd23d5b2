//! What the state directory says of attestation: whether a person had a certificate issued without a verdict since the last pass.

use std::path::Path;

use crate::io::dir::{Dir, DiskError};
use crate::model::attestation::BreakGlassFile;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::layout;

/// That it was done, until the next pass.
///
/// # Errors
/// What may not be read.
pub fn break_glass(state: &Path) -> Result<Option<Warning>, DiskError> {
    let Some(dir) = Dir::open(state)?.map_or(Ok(None), |state| state.child(layout::ATTEST))? else { return Ok(None) };
    let Some(content) = dir.read(layout::BREAK_GLASS)? else { return Ok(None) };
    let told = BreakGlassFile::parse(&content.bytes).map_or_else(
        || "certificates were requested without a verdict on this host's state".to_owned(),
        |note| format!("since {} certificates were requested without a verdict on this host's state: {}", note.at, note.reason),
    );
    Ok(Some(Warning::new(Code::BreakGlass, format!("{told}; `omens attest --once` ends this with a pass"))))
}
