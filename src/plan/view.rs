//! What `plan` and `status` print: documents of what was found and decided. Nothing here changes a host.

use serde::Serialize;

use super::budget;
use super::choice::Plan;
use super::debt::{debt_of, proof_of_live};
use super::decide::{Decision, Wishes, decide};
use super::generation::Condition;
use super::inventory::{self, Tree};
use super::sealing::{SealingKeys, plaintext_warning};
use super::window::Hold;
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::DiskError;
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;
use crate::model::failure::Warning;
use crate::model::key::Keep;
use crate::model::name::{CertName, Generation};
use crate::model::pcr;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::{Debt, SettingsError};
use crate::model::state::{LastError, Proof};
use crate::model::window::Opening;

/// What sealing cannot do (README, "Threat model").
const KEEP_BEYOND: &str = "while it is in use a sealed key is in clear in memory: in the run directory, in its consumer and for a moment in \
                           libtss2; swap without encryption may put that on a disk";

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
    /// The window that a run waits for, where it does nothing before that.
    pub waits_for: Option<Opening>,
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

/// Where one certificate stands.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// What a run would do.
    #[serde(flatten)]
    pub planned: Planned,
    /// Whether all is well with it.
    pub healthy: bool,
    /// The committed generation.
    pub live: Option<Generation>,
    /// What consumers read.
    pub published: Option<Generation>,
    /// Serial number of the committed leaf.
    pub serial: Option<String>,
    /// Fingerprint of the committed leaf.
    pub sha256: Option<Fingerprint>,
    /// How it is known that it is in use.
    pub proof: Option<Proof>,
    /// Where the key of the committed generation rests; without one, where the next one will.
    pub keep: Keep,
    /// What that protects against, in words.
    pub keep_means: String,
    /// What it does not protect against, where that is not obvious.
    pub keep_beyond: Option<&'static str>,
    /// PCRs the key is bound to; none for a file, and none where it is bound to the TPM alone.
    pub pcrs: Vec<u32>,
    /// Issued, but not deployed.
    pub debt: Option<Debt>,
    /// Signing requests that count against the budget.
    pub attempts: usize,
    /// The last failure since the last success.
    pub last_error: Option<LastError>,
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// How its files reach consumers' own paths, where that is weaker than a link.
    pub copies: Vec<String>,
    /// Worth saying.
    pub warnings: Vec<Warning>,
}

/// Plans for these certificates.
///
/// # Errors
/// What may not be read: that is never "due".
pub fn plan(settings: &Settings, wanted: &[&Certificate], now: Time) -> Result<PlanDocument, DiskError> {
    let inventory = inventory::take(settings, wanted)?;
    let mut certificates = Vec::new();
    for (observed, certificate) in inventory.certificates.into_iter().zip(wanted) {
        let planned = match observed.tree {
            Ok(tree) => planned(settings, certificate, &tree, now),
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
    Ok(Planned {
        name: certificate.name().clone(),
        due: true,
        due_at: None,
        expires: None,
        reasons,
        action: Action::Issue,
        waits_for: None,
    })
}

fn planned(settings: &Settings, certificate: &Certificate, tree: &Tree, now: Time) -> Planned {
    let Decision { name, due_at, expires, reasons, plan, hold } = decide(settings, certificate, tree, now, Wishes::default());
    let action = Action::from(&plan);
    let waits_for = if let Hold::Until(opening) = hold { Some(opening) } else { None };
    Planned { name, due: action != Action::Nothing, due_at, expires, reasons, action, waits_for }
}

/// Says where these certificates stand.
///
/// # Errors
/// What may not be read.
pub fn status(settings: &Settings, wanted: &[&Certificate], now: Time) -> Result<StatusDocument, DiskError> {
    let inventory = inventory::take(settings, wanted)?;
    let host = OfHost { settings, last_run: inventory.last_run, sealing: &inventory.sealing, now };
    let mut certificates = Vec::new();
    for (observed, certificate) in inventory.certificates.into_iter().zip(wanted) {
        let standing = match observed.tree {
            Ok(tree) => standing(&host, certificate, tree),
            Err(why) => {
                let tree = Tree { state_broken: Some(why.to_string()), ..Tree::default() };
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
        last_run: inventory.last_run,
        unnamed: inventory.unnamed,
        errors: Vec::new(),
        certificates,
    })
}

/// What all certificates of a host share in its report.
#[derive(Clone, Copy)]
struct OfHost<'a> {
    settings: &'a Settings,
    last_run: Option<Time>,
    sealing: &'a SealingKeys,
    now: Time,
}

fn standing(host: &OfHost<'_>, certificate: &Certificate, tree: Tree) -> Standing {
    let OfHost { settings, last_run, sealing, now } = *host;
    let planned = planned(settings, certificate, &tree, now);
    let debt = debt_of(&tree);
    let facts = tree.live.as_ref().and_then(|live| live.facts.as_ref());
    let usable = tree.live.as_ref().is_some_and(|live| live.condition == Condition::Intact);
    // An error counts until a later run had no cause to repeat it: that run writes nothing but the lock's time (cli/contract.md,
    // "Commands and exit codes").
    let last_error = tree.state.last_error.as_ref().filter(|last| planned.due || last_run.is_none_or(|run| last.at >= run));
    let errorless = last_error.is_none();
    let unexpired = facts.is_some_and(|facts| facts.not_after > now);
    let keep = tree.live.as_ref().filter(|live| !live.key_at_rest().is_empty()).map_or(certificate.keep, |live| live.keep);
    let pcrs = if keep.needs_tpm() { pcrs_of(settings, &tree, sealing) } else { Vec::new() };
    Standing {
        // `restore` leaves no error in the state, which may be read-only at a boot: what it could not publish is seen here.
        healthy: debt.is_none() && usable && unexpired && errorless && tree.unpublished.is_none(),
        live: tree.live.as_ref().map(|live| live.generation),
        published: tree.published.generation,
        serial: facts.map(|facts| facts.serial.clone()),
        sha256: facts.map(|facts| facts.sha256.clone()),
        proof: proof_of_live(&tree),
        keep,
        keep_means: keep_means(keep, &pcrs),
        keep_beyond: (keep == Keep::Sealed).then_some(KEEP_BEYOND),
        pcrs,
        debt,
        attempts: budget::counted(&tree.state, &budget::subject(settings, certificate)).len(),
        last_error: last_error.cloned(),
        last_run,
        copies: copies(certificate),
        warnings: plaintext_warning(&tree.in_clear).into_iter().collect(),
        planned,
    }
}

/// What the sealed key of `live` is bound to, or what the next one will be.
fn pcrs_of(settings: &Settings, tree: &Tree, sealing: &SealingKeys) -> Vec<u32> {
    let bound = tree.live.as_ref().and_then(|live| sealing.pcrs(live));
    let asked = settings.sealing.as_ref().map(|asked| asked.pcrs.numbers());
    bound.or(asked).unwrap_or_default().to_vec()
}

fn keep_means(keep: Keep, pcrs: &[u32]) -> String {
    match (keep, pcrs) {
        (Keep::File, _) => "a file in the state directory, for root alone: whoever reads the disk or a backup has the key".to_owned(),
        (Keep::Sealed, []) => "sealed to this host's TPM, whatever boots there: a stolen disk, backup or image does not open it".to_owned(),
        (Keep::Sealed, pcrs) => format!(
            "sealed to this host's TPM while {} {} then: neither a stolen disk, backup or image nor another boot chain opens it",
            pcr::named(pcrs),
            if pcrs.len() == 1 { "is as it was" } else { "are as they were" },
        ),
    }
}

fn copies(certificate: &Certificate) -> Vec<String> {
    use crate::config::settings::InstallKind::Copy;
    let copied = certificate.install.iter().filter(|install| install.kind == Copy);
    copied.flat_map(|install| install.files.iter().map(|(_, file)| install.dir.join(file).display().to_string())).collect()
}
