//! Where a certificate with an earlier name (`renamed_from`) has its things on disk. Only reads; the run that carries them over asks it too.

use crate::io::dir::{Dir, DiskError, Kind};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::name::{CertName, Generation};

/// What there is to carry over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rename {
    /// Nothing: there never was another name, or it is done.
    #[default]
    Done,
    /// Everything lies under the earlier name; the next run carries it over.
    Pending(CertName),
    /// Both names have generations, and nobody but a person can know which count.
    Conflict(CertName),
}

impl Rename {
    /// Where things stand in `certs`.
    ///
    /// # Errors
    /// When a directory that is there cannot be read.
    pub fn of(name: &CertName, earlier: Option<&CertName>, certs: Option<&Dir>) -> Result<Self, DiskError> {
        let Some((earlier, certs)) = earlier.zip(certs) else { return Ok(Self::Done) };
        if !has_generations(certs, earlier)? {
            return Ok(Self::Done);
        }
        let is_taken = has_generations(certs, name)?;
        Ok(if is_taken { Self::Conflict(earlier.clone()) } else { Self::Pending(earlier.clone()) })
    }

    /// The name that the state directory has it under.
    #[must_use]
    pub const fn name_on_disk<'a>(&'a self, name: &'a CertName) -> &'a CertName {
        match self {
            Self::Pending(earlier) => earlier,
            Self::Done | Self::Conflict(_) => name,
        }
    }

    /// Why nothing can be done about the certificate before a person has chosen.
    #[must_use]
    pub fn conflict(&self, name: &CertName) -> Option<Failure> {
        let Self::Conflict(earlier) = self else { return None };
        let text = format!("{name} is to take over from {earlier}, and both have generations of their own on disk");
        let hint = format!("`omens forget {earlier}` where those of {name} count; or leave renamed_from out and keep both");
        Some(Failure::new(Stage::Plan, Code::RenameConflict, text).hint(hint))
    }

    /// The same for a run, which has carried over what it could before it asks.
    ///
    /// # Errors
    /// Stage `plan`, code `rename-conflict`.
    pub fn demand_done(&self, name: &CertName) -> Result<(), Failure> {
        match self {
            Self::Done => Ok(()),
            Self::Conflict(_) => self.conflict(name).map_or(Ok(()), Err),
            Self::Pending(earlier) => {
                let text = format!("what is on disk of {earlier} could not be carried over to {name}; the log says why");
                Err(Failure::new(Stage::Plan, Code::RenameConflict, text).hint("nothing was changed; the next run tries again"))
            }
        }
    }
}

/// What has none has nothing to lose but counts and failures.
fn has_generations(certs: &Dir, name: &CertName) -> Result<bool, DiskError> {
    let dir = if certs.kind(name.as_str())? == Some(Kind::Directory) { certs.child(name.as_str())? } else { None };
    Ok(dir.map_or(Ok(Vec::new()), |dir| dir.names())?.iter().any(|name| Generation::parse(name).is_some()))
}
