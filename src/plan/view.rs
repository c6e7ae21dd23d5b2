//! What `plan` and `status` print: documents of what was found and decided. Nothing here changes a host.

use serde::Serialize;

use super::choice::Plan;
use super::decide::{Decision, decide};
use super::inventory::{Inventory, StateFile, Tree};
use super::overdue::Deadline;
pub use super::standing::Standing;
use super::standing::{OfHost, standing};
use super::{scheduler, under_way};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::look::View;
use crate::model::clock::Time;
use crate::model::name::{CertName, Generation};
use crate::model::reason::{Reason, ReasonCode};
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

/// What a run does to a certificate, in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Ask the CA for a new one.
    Issue,
    /// Nothing.
    Nothing,
    /// Deploy a generation that is already here.
    Settle(Generation),
}

impl From<&Plan> for Action {
    fn from(plan: &Plan) -> Self {
        match plan {
            Plan::Rest => Self::Nothing,
            Plan::Issue(_) => Self::Issue,
            Plan::Settle(settle) => Self::Settle(settle.generation),
        }
    }
}

/// What a run would do to one certificate.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// Its name.
    pub name: CertName,
    /// Whether a run would do anything.
    pub due: bool,
    /// When it is due by its lifetime.
    pub due_at: Option<Time>,
    /// When it expires.
    pub expires: Option<Time>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What.
    pub action: Action,
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

/// A certificate in whose place something lies that is not ours: one strange file does not take the others' report away. What may not be
/// read is an error of the whole, never "due".
fn strange(certificate: &Certificate, why: DiskError) -> Result<Planned, DiskError> {
    if why.denied() {
        return Err(why);
    }
    let reasons = vec![Reason::new(ReasonCode::Unreadable, why.to_string())];
    Ok(Planned { name: certificate.name().clone(), due: true, due_at: None, expires: None, reasons, action: Action::Issue })
}

/// What a run would do to a certificate; `period` is how often the installed scheduler looks.
pub(super) fn planned(
    settings: &Settings,
    certificate: &Certificate,
    tree: &Tree,
    now: Time,
    period: Option<std::time::Duration>,
) -> Planned {
    let Decision { name, due_at, expires, mut reasons, plan } = decide(settings, certificate, tree, now, false);
    let overdue = due_at.zip(expires).and_then(|(due, expires)| Deadline { due, expires, period }.reason(now));
    if let Some(overdue) = overdue {
        reasons.retain(|reason| reason.code != ReasonCode::Overdue);
        reasons.push(overdue);
        reasons.sort_by_key(|reason| reason.code);
    }
    let action = Action::from(&plan);
    // A run would fail over a state of a newer version, and say so: that is no "nothing to do".
    let due = action != Action::Nothing || matches!(tree.state_file, StateFile::Newer(_));
    Planned { name, due, due_at, expires, reasons, action }
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
