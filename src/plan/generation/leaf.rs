//! The certificate of a generation without anything else of it. Only reads.

use super::{certificates, public};
use crate::io::dir::{Dir, DiskError};
use crate::judge::cert::Facts;
use crate::judge::pem;
use crate::model::layout;
use crate::model::name::Generation;

/// What the certificate of a generation says, where it parses; its key is not asked for.
///
/// # Errors
/// Only where reading itself fails, such as for lack of permission.
pub fn leaf(certificate: &Dir, generation: Generation) -> Result<Option<Facts>, DiskError> {
    let Some(dir) = certificate.child(&generation.to_string())? else { return Ok(None) };
    Ok(public(&dir, layout::CERT)?.and_then(|bytes| leaf_of(&bytes)).and_then(|der| Facts::parse(&der).ok()))
}

/// The first certificate of one of our own PEM files.
pub(super) fn leaf_of(bytes: &[u8]) -> Option<Vec<u8>> {
    pem::first(bytes).or_else(|| certificates(bytes).into_iter().next())
}
