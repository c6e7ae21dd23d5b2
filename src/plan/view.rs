//! What `plan` and `status` print: documents of what was found and decided. Nothing here changes a host.

use serde::Serialize;

use super::inventory::{Inventory, StateFile, Tree};
pub use super::planned::{Action, Planned};
use super::planned::{planned, strange};
pub use super::standing::Standing;
use super::standing::{OfHost, standing};
use super::{scheduler, under_way};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::look::View;
use crate::model::clock::Time;
use crate::model::report::SettingsError;

/// `plan --json`.
#[derive(Clone, Debug, Serialize)]
pub struct PlanDocument {
    /// `omens.plan/1`.
    pub schema: &'static str,
    /// `host.name`.
    pub host: String,
    /// The time it was made for.
    pub at: Time,
    /// Errors of the settings (exit 2).
    pub errors: Vec<SettingsError>,
    /// One for each certificate of the settings.
    pub certificates: Vec<Planned>,
}

/// `status --json`.
#[derive(Clone, Debug, Serialize)]
pub struct StatusDocument {
    /// `omens.status/1`.
    pub schema: &'static str,
    /// `host.name`.
    pub host: String,
    /// The time it was made for.
    pub at: Time,
    /// No debt, nothing missing, unpublished or expired, the last run without error.
    pub healthy: bool,
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// Certificates on disk that the settings no longer name; kept, never deleted in silence.
    pub unnamed: Vec<String>,
    /// Errors of the settings (exit 2).
    pub errors: Vec<SettingsError>,
    /// One for each certificate of the settings.
    pub certificates: Vec<Standing>,
}

/// Plans for these certificates.
///
/// # Errors
/// What may not be read: that is never "due".
pub fn plan(settings: &Settings, wanted: &[&Certificate], now: Time) -> Result<PlanDocument, DiskError> {
    let inventory = under_way::look(settings, wanted)?;
    let period = scheduler::period(&View::host());
    let mut certificates = Vec::new();
    for (observed, certificate) in inventory.certificates.into_iter().zip(wanted) {
        let planned = match observed.tree {
            Ok(tree) => planned(settings, certificate, &tree, now, period),
            Err(why) => strange(certificate, why)?,
        };
        certificates.push(planned);
    }
    Ok(PlanDocument { schema: "omens.plan/1", host: settings.host.clone(), at: now, errors: Vec::new(), certificates })
}

/// Says where these certificates stand.
///
/// # Errors
/// What may not be read.
pub fn status(settings: &Settings, wanted: &[&Certificate], now: Time) -> Result<StatusDocument, DiskError> {
    let Inventory { certificates: observed, last_run, unnamed, sealing, .. } = under_way::look(settings, wanted)?;
    let unwritable = Dir::open(&settings.paths.state)?.and_then(|state| state.refuses_writing());
    let period = scheduler::period(&View::host());
    let host = OfHost { settings, last_run, sealing: &sealing, period, unwritable: unwritable.as_deref(), now };
    let mut certificates = Vec::new();
    for (observed, certificate) in observed.into_iter().zip(wanted) {
        let standing = match observed.tree {
            Ok(tree) => standing(&host, certificate, tree),
            Err(why) => {
                let tree = Tree { state_file: StateFile::Broken(why.to_string()), ..Tree::default() };
                Standing { planned: strange(certificate, why)?, ..standing(&host, certificate, tree) }
            }
        };
        certificates.push(standing);
    }
    Ok(StatusDocument {
        schema: "omens.status/1",
        host: settings.host.clone(),
        at: now,
        healthy: certificates.iter().all(|c| c.healthy),
        last_run,
        unnamed,
        errors: Vec::new(),
        certificates,
    })
}
