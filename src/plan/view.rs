//! What `plan` and `status` print: documents of what was found and decided. Nothing here changes a host.

use serde::Serialize;

use super::inventory::{Depth, Inventory, StateFile, Tree};
use super::login;
use super::logins::{self, Needs};
pub use super::planned::{Action, Keeps, Planned, Wait};
use super::planned::{planned, strange};
pub use super::standing::Standing;
use super::standing::{OfHost, standing};
use super::{scheduler, under_way};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::look::View;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::login_end::{LoginEnd, Logins, UnknownEnd};
use crate::model::report::{RunError, SettingsError};

/// `plan --json`.
#[derive(Clone, Debug, Serialize)]
pub struct PlanDocument {
    /// `omens.plan/1`.
    pub schema: &'static str,
    /// `host.name`.
    pub host: String,
    /// The time it was made for.
    pub at: Time,
    /// How the command ended where it has no document of its own.
    #[serde(flatten)]
    pub end: End,
    /// Errors of the settings (exit 2).
    pub errors: Vec<SettingsError>,
    /// One for each certificate of the settings.
    pub certificates: Vec<Planned>,
}

/// What every document of a command has, so that it has one shape at every exit code.
#[derive(Clone, Debug, Serialize)]
pub struct End {
    /// When the command began.
    pub started: Time,
    /// When it ended.
    pub finished: Time,
    /// The exit code.
    pub exit: u8,
    /// An error of the whole command (exit 2, or 255 with `--due`).
    pub error: Option<RunError>,
}

impl End {
    /// It went well.
    #[must_use]
    pub const fn well(at: Time) -> Self {
        Self { started: at, finished: at, exit: 0, error: None }
    }
}

impl PlanDocument {
    /// A document with nothing in it, of a command that could not even begin.
    #[must_use]
    pub const fn refused(host: String, end: End, errors: Vec<SettingsError>) -> Self {
        Self { schema: "omens.plan/1", host, at: end.started, end, errors, certificates: Vec::new() }
    }
}

impl StatusDocument {
    /// A document with nothing in it, of a command that could not even begin.
    #[must_use]
    pub const fn refused(host: String, end: End, errors: Vec<SettingsError>) -> Self {
        Self {
            schema: "omens.status/1",
            host,
            at: end.started,
            end,
            healthy: false,
            last_run: None,
            unnamed: Vec::new(),
            login_expires: None,
            logins: Vec::new(),
            logins_unknown: Vec::new(),
            tpm: None,
            warnings: Vec::new(),
            errors,
            certificates: Vec::new(),
        }
    }
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
    /// How the command ended where it has no document of its own.
    #[serde(flatten)]
    pub end: End,
    /// No debt, nothing missing, unpublished or expired, the last run without error.
    pub healthy: bool,
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// Certificates on disk that the settings no longer name; kept, never deleted in silence.
    pub unnamed: Vec<String>,
    /// When the login that ends first ends, of those whose end is known.
    pub login_expires: Option<Time>,
    /// Logins whose end is known.
    pub logins: Vec<LoginEnd>,
    /// Logins that may end and of which it is not known when.
    pub logins_unknown: Vec<UnknownEnd>,
    /// How the TPM was when it was last needed: `ok`, or the code of what went wrong; `None` where the settings name none.
    pub tpm: Option<&'static str>,
    /// Worth saying of the host as a whole.
    pub warnings: Vec<Warning>,
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
    plan_of(settings, wanted, under_way::look(settings, wanted, Depth::SkippingUnchanged)?, now)
}

/// Plans for these certificates by what was found of them.
pub(super) fn plan_of(settings: &Settings, wanted: &[&Certificate], inventory: Inventory, now: Time) -> Result<PlanDocument, DiskError> {
    let period = scheduler::period(&View::host());
    let mut certificates = Vec::new();
    for (observed, certificate) in inventory.certificates.into_iter().zip(wanted) {
        let planned = match observed.tree {
            Ok(tree) => planned(settings, certificate, &tree, now, period),
            Err(why) => strange(certificate, why)?,
        };
        certificates.push(planned);
    }
    Ok(PlanDocument { schema: "omens.plan/1", host: settings.host.clone(), at: now, end: End::well(now), errors: Vec::new(), certificates })
}

/// Says where these certificates stand.
///
/// # Errors
/// What may not be read.
pub fn status(settings: &Settings, wanted: &[&Certificate], now: Time) -> Result<StatusDocument, DiskError> {
    status_of(settings, wanted, under_way::look(settings, wanted, Depth::SkippingUnchanged)?, now)
}

/// Says where these certificates stand by what was found of them.
pub(super) fn status_of(
    settings: &Settings,
    wanted: &[&Certificate],
    inventory: Inventory,
    now: Time,
) -> Result<StatusDocument, DiskError> {
    let unnamed = inventory.left_over();
    let Inventory { certificates: observed, last_run, sealing, .. } = inventory;
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
        let ends = standing.planned.expires;
        let mut standing = standing;
        standing.warnings.extend(login::expiring(settings, certificate.name(), ends, period, now));
        certificates.push(standing);
    }
    if let Some(warning) = super::attestation::break_glass(&settings.paths.state)? {
        for standing in &mut certificates {
            standing.healthy = false;
            standing.warnings.push(warning.clone());
        }
    }
    let Logins { logins, unknown, .. } = logins::known(settings)?;
    Ok(StatusDocument {
        schema: "omens.status/1",
        host: settings.host.clone(),
        at: now,
        end: End { exit: u8::from(!certificates.iter().all(|c| c.healthy)), ..End::well(now) },
        healthy: certificates.iter().all(|c| c.healthy),
        last_run,
        unnamed,
        login_expires: logins.iter().map(|login| login.expires).min(),
        tpm: settings.sealing.as_ref().map(|_| tpm_state(&certificates)),
        warnings: Needs::of(settings, &certificates, now).map_or_else(Vec::new, |needs| needs.warnings(&logins, now)),
        logins,
        logins_unknown: unknown,
        errors: Vec::new(),
        certificates,
    })
}

/// What sealing keys last failed over, where that still counts.
pub const TPM_STATES: [Code; 6] =
    [Code::TpmUnreachable, Code::TpmBusy, Code::TpmLockout, Code::TpmReplaced, Code::PcrChanged, Code::PcrUnmeasured];

/// What [`StatusDocument::tpm`] says where nothing is wrong.
pub const TPM_OK: &str = "ok";

fn tpm_state(certificates: &[Standing]) -> &'static str {
    let failed =
        certificates.iter().filter_map(|standing| standing.last_error.as_ref()).find(|last| TPM_STATES.contains(&last.failure.code));
    let known = failed.and_then(|last| TPM_STATES.into_iter().find(|code| *code == last.failure.code));
    known.map_or(TPM_OK, Code::as_str)
}
