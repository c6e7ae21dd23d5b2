//! Where one certificate stands: what `status` prints of it and what its metrics say. Only reads.

use serde::Serialize;

use super::budget;
use super::debt::{debt_of, proof_of_live};
use super::generation::Kept;
use super::health::{self, Moment};
use super::inventory::{StateFile, Tree};
use super::links;
use super::overdue::Deadline;
use super::planned::{Planned, planned};
use super::sealing::{SealingKeys, plaintext_warning};
use super::serving::leaf_found;
use crate::config::settings::{Certificate, Install, Settings};
use crate::judge::cert::Facts;
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Stage, Warning};
use crate::model::key::Keep;
use crate::model::name::Generation;
use crate::model::pcr;
use crate::model::report::Debt;
use crate::model::state::{LastError, Proof, ToRevoke, UnderWay};

/// What sealing cannot do (README, "Threat model").
const KEEP_BEYOND: &str = "while it is in use a sealed key is in clear in memory: in the run directory, in its consumer and for a moment in \
                           libtss2; swap without encryption may put that on a disk";

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
    /// Serial number of the leaf that consumers find: the published one.
    pub serial: Option<String>,
    /// Its fingerprint.
    pub sha256: Option<Fingerprint>,
    /// Subject of the committed leaf.
    pub subject: Option<String>,
    /// Its subject alternative names, each as `KIND:NAME`.
    pub names: Vec<String>,
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
    /// Requests of the burst that may still be sent.
    pub budget_remaining: usize,
    /// Its notBefore.
    pub not_before: Option<Time>,
    /// When a generation was last committed.
    pub last_success: Option<Time>,
    /// When a run last acted on it.
    pub last_attempt: Option<Time>,
    /// What became of it in the last run, by what that left.
    pub last_outcome: Outcome,
    /// Whether it has been due for so long that whoever should renew it does not.
    pub overdue: bool,
    /// A run that is at work on it now; everything else is as before that run.
    pub in_progress: Option<UnderWay>,
    /// The last failure since the last success.
    pub last_error: Option<LastError>,
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// How its files reach consumers' own paths, where that is weaker than a link.
    pub copies: Vec<String>,
    /// Worth saying.
    pub warnings: Vec<Warning>,
}

impl Standing {
    /// The generation that consumers find; while a run is at work, or where nothing is published, the committed one.
    #[must_use]
    pub fn serves(&self) -> Option<Generation> {
        self.published.filter(|_| self.in_progress.is_none()).or(self.live)
    }
}

/// What all certificates of a host share in its report.
#[derive(Clone, Copy)]
pub(super) struct OfHost<'a> {
    pub(super) settings: &'a Settings,
    pub(super) last_run: Option<Time>,
    pub(super) sealing: &'a SealingKeys,
    /// How often the installed scheduler looks.
    pub(super) period: Option<std::time::Duration>,
    /// Why no run could write its state.
    pub(super) unwritable: Option<&'a str>,
    pub(super) now: Time,
}

pub(super) fn standing(host: &OfHost<'_>, certificate: &Certificate, mut tree: Tree) -> Standing {
    let OfHost { settings, last_run, sealing, period, unwritable, now } = *host;
    let planned = planned(settings, certificate, &tree, now, period);
    // What waits for its window is not late.
    let committed = tree.live.as_ref().and_then(|live| live.facts.as_ref());
    let ends = committed.map(|facts| facts.not_after).filter(|_| !planned.waits_for_window());
    let deadline = planned.due_at.zip(ends).map(|(due, expires)| Deadline { due, expires, period });
    let moment = Moment { is_due: planned.due, deadline, last_run, is_writable: unwritable.is_none(), now };
    let debt = debt_of(&tree);
    let facts = leaf_found(&tree);
    let counted = budget::counted(&tree.state, &budget::subject(settings, certificate));
    let (attempts, budget_remaining) = (counted.len(), budget::left_of_burst(counted));
    let keep = tree.live.as_ref().filter(|live| live.has_key()).map_or(certificate.keep, |live| live.keep);
    let pcrs = if keep.needs_tpm() { pcrs_of(settings, &tree, sealing) } else { Vec::new() };
    Standing {
        healthy: health::is_healthy(&tree, &moment),
        live: tree.live.as_ref().map(|live| live.generation),
        published: tree.published.generation,
        serial: facts.map(|facts| facts.serial.clone()),
        sha256: facts.map(|facts| facts.sha256.clone()),
        subject: facts.map(Facts::subject_words),
        names: facts.map(Facts::names).unwrap_or_default(),
        proof: proof_of_live(&tree),
        keep,
        keep_means: keep_means(keep, &pcrs),
        keep_beyond: keep_beyond(keep),
        pcrs,
        debt,
        attempts,
        budget_remaining,
        not_before: facts.map(|facts| facts.not_before),
        last_success: last_success(&tree),
        last_attempt: last_attempt(&tree),
        last_outcome: last_outcome(&tree, &moment),
        overdue: deadline.is_some_and(|deadline| deadline.is_over(now)),
        last_error: health::last_error(&tree, &moment).cloned(),
        last_run,
        copies: copies(&certificate.install),
        warnings: warnings(host, certificate, &tree),
        in_progress: tree.under_way.take(),
        planned,
    }
}

pub(super) fn last_success(tree: &Tree) -> Option<Time> {
    tree.state.proven.as_ref().filter(|proven| proven.proof != Proof::None).map(|proven| proven.at)
}

pub(super) fn last_attempt(tree: &Tree) -> Option<Time> {
    let state = &tree.state;
    let noted = [state.proven.as_ref().map(|proven| proven.at), state.last_error.as_ref().map(|last| last.at)];
    let begun = tree.under_way.as_ref().and_then(|under_way| under_way.since).or(state.begun.as_ref().map(|begun| begun.at));
    noted.into_iter().flatten().chain(begun).chain(state.requests.iter().copied()).max()
}

/// By what the last run left; nothing due leaves nothing.
fn last_outcome(tree: &Tree, moment: &Moment) -> Outcome {
    if let Some(last) = health::last_error(tree, moment) {
        return match (last.failure.stage, last.failure.code) {
            (_, Code::Exhausted) => Outcome::Exhausted,
            (Stage::Attest, _) => Outcome::Blocked,
            (Stage::Validate, _) => Outcome::Refused,
            (Stage::Publish | Stage::Reload | Stage::Verify, _) if tree.debt.is_some() => Outcome::RolledBack,
            _ => Outcome::Failed,
        };
    }
    let is_of_last_run = |time: Time| moment.last_run.is_some_and(|run| time >= run);
    let staged = tree.live.as_ref().and_then(Kept::staged);
    match (last_success(tree).is_some_and(is_of_last_run), staged.is_some_and(is_of_last_run)) {
        (true, true) => Outcome::Renewed,
        (true, false) => Outcome::Settled,
        (false, _) => Outcome::NotDue,
    }
}

fn warnings(host: &OfHost<'_>, certificate: &Certificate, tree: &Tree) -> Vec<Warning> {
    let (name, unwritable) = (certificate.name(), host.unwritable);
    let mut warnings: Vec<Warning> = plaintext_warning(&tree.in_clear).into_iter().collect();
    warnings.extend(tree.live.as_ref().and_then(|live| host.sealing.lost_pin_warning(live)));
    warnings.extend(tree.missing_link.as_ref().map(|text| Warning::new(Code::LinkMissing, links::with_remedy(text))));
    warnings.extend(tree.state_file.problem().map(|text| {
        let code = if matches!(tree.state_file, StateFile::Newer(_)) { Code::StateNewer } else { Code::StateBroken };
        Warning::new(code, text)
    }));
    warnings.extend(tree.rename.conflict(name).map(|conflict| {
        let hint = conflict.hint.unwrap_or_default();
        Warning::new(conflict.code, format!("{}; {hint}", conflict.text))
    }));
    warnings.extend(tree.loose.as_ref().map(|text| Warning::new(Code::Permissions, format!("{text}; the next run sets it right"))));
    warnings.extend(unwritable.map(|text| Warning::new(Code::StateNotWritten, text)));
    warnings.extend(owed_revocations(host, certificate, tree));
    warnings
}

/// Certificates that were replaced, and that the CA has not revoked yet although the settings want it.
fn owed_revocations(host: &OfHost<'_>, certificate: &Certificate, tree: &Tree) -> Vec<Warning> {
    let has_login = !host.settings.openbao.revoke_login.is_empty();
    let when =
        if has_login { "the next run in which something is due asks for it again" } else { "the settings have no openbao.revoke_login" };
    let owed = tree.state.to_revoke.iter().filter(|owed| certificate.revoke_replaced && owed.ends > host.now);
    let text = |owed: &ToRevoke| format!("{}, which was replaced, is not revoked, and is valid until {}: {when}", owed.serial, owed.ends);
    owed.map(|owed| Warning::new(Code::NotRevoked, text(owed))).collect()
}

/// What the sealed key of `live` is bound to, or what the next one will be.
fn pcrs_of(settings: &Settings, tree: &Tree, sealing: &SealingKeys) -> Vec<u32> {
    if let Some(resident) = tree.live.as_ref().and_then(|live| live.resident_pcrs()) {
        return resident;
    }
    let bound = tree.live.as_ref().and_then(|live| sealing.pcrs(live));
    let asked = settings.sealing.as_ref().map(|asked| asked.pcrs.numbers());
    bound.or(asked).unwrap_or_default().to_vec()
}

/// What a key that rests so is not protected against, where that is not obvious.
pub(super) fn keep_beyond(keep: Keep) -> Option<&'static str> {
    (keep == Keep::Sealed).then_some(KEEP_BEYOND)
}

pub(super) fn keep_means(keep: Keep, pcrs: &[u32]) -> String {
    match (keep, pcrs) {
        (Keep::File, _) => "a file in the state directory, for root alone: whoever reads the disk or a backup has the key".to_owned(),
        (Keep::Resident, []) => {
            "made in this host's TPM, which it never leaves, whatever boots there: root here can use it, and nobody can take it away"
                .to_owned()
        }
        (Keep::Resident, pcrs) => format!(
            "made in this host's TPM, which it never leaves, and used only while {} {} then",
            pcr::named(pcrs),
            if pcrs.len() == 1 { "is as it was" } else { "are as they were" },
        ),
        (Keep::Sealed, []) => "sealed to this host's TPM, whatever boots there: a stolen disk, backup or image does not open it".to_owned(),
        (Keep::Sealed, pcrs) => format!(
            "sealed to this host's TPM while {} {} then: neither a stolen disk, backup or image nor another boot chain opens it",
            pcr::named(pcrs),
            if pcrs.len() == 1 { "is as it was" } else { "are as they were" },
        ),
    }
}

pub(super) fn copies(install: &[Install]) -> Vec<String> {
    use crate::config::settings::InstallKind::Copy;
    let copied = install.iter().filter(|install| install.kind == Copy);
    copied.flat_map(|install| install.files.iter().map(|(_, file)| install.dir.join(file).display().to_string())).collect()
}
