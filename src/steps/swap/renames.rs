//! A certificate that has another name from now on: its directory is renamed, so that generations, budget and state come along in one step
//! (`swap/ondisk.md`, "Another name").

use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write::{self, Ownership};
use crate::model::layout;
use crate::model::name::CertName;
use crate::plan::rename::Rename;

/// A certificate that was carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Its name from now on.
    pub name: CertName,
    /// Its earlier one.
    pub earlier: CertName,
}

/// Carries over what the settings say; the caller holds the lock. What cannot be carried over stays where it is, and is said by whoever
/// works on that certificate.
pub fn carry_over(state: &Dir, settings: &Settings) -> Vec<Renamed> {
    let of = |certificate: &Certificate| {
        let (name, earlier) = (certificate.name(), certificate.renamed_from.as_ref()?);
        match one(state, name, earlier) {
            Ok(is_done) => is_done.then(|| Renamed { name: name.clone(), earlier: earlier.clone() }),
            Err(why) => {
                tracing::error!(%why, "what is on disk of {earlier} was not carried over to {name}");
                None
            }
        }
    };
    settings.certificates.iter().filter_map(of).collect()
}

fn one(state: &Dir, name: &CertName, earlier: &CertName) -> Result<bool, DiskError> {
    let Some(certs) = state.child(layout::CERTS)? else { return Ok(false) };
    let Rename::Pending(_) = Rename::of(name, Some(earlier), Some(&certs))? else {
        clear(&certs, name, earlier)?;
        return Ok(false);
    };
    let Some(dir) = certs.child(earlier.as_str())? else { return Ok(false) };
    // Sealed keys are bound to the name that they were made under: with the mark they open under the new one as well.
    let mark = layout::earlier_name(earlier);
    write::refuse_link(&dir, &mark)?;
    if dir.kind(&mark)?.is_none() {
        write::write_new(&dir, &mark, &[], 0o600, Ownership::default())?;
        write::sync(&dir)?;
    }
    // What the new name had, counts and failures of runs before this, changes places with it and goes.
    write::exchange(&certs, earlier.as_str(), name.as_str())?;
    write::sync(&certs)?;
    clear(&certs, name, earlier)?;
    Ok(true)
}

/// Removes what changed places, where a kill left it: a directory without generations under the earlier name of one that was carried over.
fn clear(certs: &Dir, name: &CertName, earlier: &CertName) -> Result<(), DiskError> {
    let is_carried_over = certs.kind(&format!("{name}/{}", layout::earlier_name(earlier)))? == Some(Kind::File);
    if is_carried_over && Rename::of(name, Some(earlier), Some(certs))? == Rename::Done && certs.kind(earlier.as_str())?.is_some() {
        write::remove(certs, earlier.as_str())?;
    }
    Ok(())
}
