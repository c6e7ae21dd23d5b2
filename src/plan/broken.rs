//! What `plan` and `status` print where settings are broken: the documents of what is in order, with what lies on the disk of the rest.
//! Only reads.

use std::sync::Arc;

use super::budget;
use super::debt::{debt_of, proof_of_live};
use super::faulty::trusted;
use super::generation::Kept;
use super::inventory::{self, Depth, Roots, StateFile, Tree};
use super::outlet::{self, Bare};
use super::sealing::SealingKeys;
use super::serving::leaf_found;
use super::standing::{self, Standing};
use super::trust::TrustFiles;
use super::under_way;
use super::view::{self, Action, End, PlanDocument, Planned, StatusDocument};
use crate::config::service::Drivers;
use crate::config::settings::{Certificate, Faulty, Paths, Remains, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::entry::Outcome;
use crate::model::key::Keep;
use crate::model::layout;
use crate::model::reason::{Reason, ReasonCode};

/// Plans for these certificates, and says that nothing can be done about the faulty ones.
///
/// # Errors
/// What may not be read: that is never "due".
pub fn plan(settings: &Settings, wanted: &[&Certificate], faulty: &[Faulty], now: Time) -> Result<PlanDocument, DiskError> {
    let inventory = under_way::look(settings, wanted, Depth::SkippingUnchanged)?;
    let trust = inventory.trust.clone();
    let mut document = view::plan_of(settings, wanted, inventory, now)?;
    document.errors.clone_from(&settings.faults.errors);
    if !faulty.is_empty() {
        let found = OnDisk::below(&settings.paths, settings.drivers, &trust)?;
        document.certificates.extend(faulty.iter().map(|faulty| found.planned(faulty)));
    }
    Ok(document)
}

/// Says where these certificates stand, and what is committed of the faulty ones.
///
/// # Errors
/// What may not be read.
pub fn status(settings: &Settings, wanted: &[&Certificate], faulty: &[Faulty], now: Time) -> Result<StatusDocument, DiskError> {
    let inventory = under_way::look(settings, wanted, Depth::SkippingUnchanged)?;
    let trust = inventory.trust.clone();
    let mut document = view::status_of(settings, wanted, inventory, now)?;
    document.errors.clone_from(&settings.faults.errors);
    document.healthy &= document.errors.is_empty();
    if !faulty.is_empty() {
        let found = OnDisk::below(&settings.paths, settings.drivers, &trust)?;
        document.certificates.extend(faulty.iter().map(|faulty| found.standing(faulty, document.last_run)));
        // While names are hidden, what nothing names is shown as faulty.
        document.unnamed.retain(|name| faulty.iter().all(|faulty| faulty.name.as_str() != name));
    }
    Ok(document)
}

/// Says what is committed and what consumers read where the settings cannot be used at all.
///
/// # Errors
/// What may not be read.
pub fn status_without_settings(remains: &Remains, paths: &Paths, faulty: &[Faulty], now: Time) -> Result<StatusDocument, DiskError> {
    let trust = Arc::new(trusted(remains, paths, faulty).files());
    let found = OnDisk::below(paths, remains.drivers, &trust)?;
    let last_run = found.last_run()?;
    Ok(StatusDocument {
        schema: "omens.status/1",
        host: remains.host.clone().unwrap_or_default(),
        at: now,
        end: End::well(now),
        login_expires: None,
        logins: Vec::new(),
        logins_unknown: Vec::new(),
        tpm: None,
        warnings: Vec::new(),
        healthy: false,
        last_run,
        unnamed: Vec::new(),
        errors: remains.errors.clone(),
        certificates: faulty.iter().map(|faulty| found.standing(faulty, last_run)).collect(),
    })
}

/// What a run would do to it: nothing.
fn planned(faulty: &Faulty, found: Option<&Facts>) -> Planned {
    let reasons = vec![Reason::new(ReasonCode::Settings, faulty.failure().text)];
    let expires = found.map(|facts| facts.not_after);
    Planned {
        name: faulty.name.clone(),
        due: false,
        due_at: None,
        expires,
        reasons,
        action: Action::Nothing,
        waits_for: None,
        next_request: None,
    }
}

/// What lies on the disk of certificates whose settings are broken.
struct OnDisk<'a> {
    paths: &'a Paths,
    bare: Bare<'a>,
    state: Option<Dir>,
    keys: SealingKeys,
}

impl<'a> OnDisk<'a> {
    /// # Errors
    /// The state directory itself cannot be read.
    fn below(paths: &'a Paths, drivers: Drivers, trust: &'a Arc<TrustFiles>) -> Result<Self, DiskError> {
        let state = Dir::open(&paths.state)?;
        let keys = SealingKeys::read(state.as_ref())?;
        Ok(Self { paths, bare: Bare { run: &paths.run, drivers, trust: Some(trust) }, state, keys })
    }

    /// When the last run took the lock.
    fn last_run(&self) -> Result<Option<Time>, DiskError> {
        Ok(self.state.as_ref().map_or(Ok(None), |state| state.modified(layout::LOCK))?.map(Time::from_unix))
    }

    fn tree(&self, faulty: &Faulty) -> Result<Tree, DiskError> {
        let certs = self.state.as_ref().map_or(Ok(None), |state| state.child(layout::CERTS))?;
        let run = Dir::open(&self.paths.run)?;
        inventory::bare_tree(self.bare, faulty, Roots { certs: certs.as_ref(), run: run.as_ref(), trust: self.bare.trust }, &self.keys)
    }

    /// What a run would do to it, with what is committed.
    fn planned(&self, faulty: &Faulty) -> Planned {
        planned(faulty, self.tree(faulty).ok().as_ref().and_then(leaf_found))
    }

    /// Where it stands: what is committed and what consumers read, whatever the settings say.
    fn standing(&self, faulty: &Faulty, last_run: Option<Time>) -> Standing {
        let tree = self.tree(faulty).unwrap_or_else(|why| Tree { state_file: StateFile::Broken(why.to_string()), ..Tree::default() });
        let mut planned = planned(faulty, leaf_found(&tree));
        planned.reasons.extend(tree.unpublished.iter().map(|text| Reason::new(ReasonCode::Unpublished, text.clone())));
        let facts = leaf_found(&tree);
        let keep = tree.live.as_ref().map_or(Keep::File, |live| live.keep);
        let pcrs = tree.live.as_ref().and_then(|live| self.keys.pcrs(live)).unwrap_or_default().to_vec();
        let meta = tree.live.as_ref().map_or(Ok(None), Kept::meta);
        planned.reasons.extend(meta.as_ref().err().map(|why| Reason::new(ReasonCode::Unreadable, why.clone())));
        let copies = meta.ok().flatten().map(outlet::copies).unwrap_or_default();
        Standing {
            healthy: false,
            live: tree.live.as_ref().map(|live| live.generation),
            published: tree.published.generation,
            serial: facts.map(|facts| facts.serial.clone()),
            sha256: facts.map(|facts| facts.sha256.clone()),
            subject: facts.map(Facts::subject_words),
            names: facts.map(Facts::names).unwrap_or_default(),
            proof: proof_of_live(&tree),
            keep,
            keep_means: standing::keep_means(keep, &pcrs),
            keep_beyond: standing::keep_beyond(keep),
            pcrs,
            debt: debt_of(&tree),
            attempts: tree.state.requests.len(),
            budget_remaining: budget::left_of_burst(&tree.state.requests),
            not_before: facts.map(|facts| facts.not_before),
            last_success: standing::last_success(&tree),
            last_attempt: standing::last_attempt(&tree),
            last_outcome: Outcome::Failed,
            overdue: false,
            in_progress: None,
            last_error: tree.state.last_error.clone(),
            last_run,
            copies: standing::copies(&copies),
            warnings: Vec::new(),
            planned,
        }
    }
}
