//! The planning stage of a run: what is there, what is to be done about it, and, where a plan would publish a sealed key, whether that key
//! opens. After this only the rollout decides, by what services answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Due;
use super::before::report_of;
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::DiskError;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::key::Keep;
use crate::model::name::{CertName, Generation};
use crate::model::report::CertReport;
use crate::model::window;
use crate::plan::choice::Plan;
use crate::plan::debt::is_unasked;
use crate::plan::decide::{Decision, Wishes, decide};
use crate::plan::generation::{Condition, Kept};
use crate::plan::inventory::{self, Depth, Host, Tree};
use crate::plan::links;
use crate::plan::sealing::plaintext_warning;
use crate::plan::window::Hold;
use crate::steps::attest::AttestationGate;
use crate::steps::crl::{self, Refreshed, Which};
use crate::steps::key::{Stores, at_rest};
use crate::steps::run::Run;
use crate::steps::swap::{Place, Trees, disk_failure, is_whole, withdrawn};

/// What was found of one certificate, and what that means.
pub(super) enum Found {
    /// Something that is there cannot be read.
    Unreadable(DiskError),
    /// A newer omens wrote its state.
    Newer { report: Box<CertReport>, failure: Box<Failure> },
    /// Nothing is to be done. A killed run may have left something half-made, and an older omens withdrew generations without a mark.
    Rests { report: Box<CertReport>, has_leftovers: bool, has_failed: bool, unmarked: Vec<Generation> },
    /// Something is, once a window opens.
    Waits(Box<CertReport>),
    /// Something is.
    Due { decision: Box<Decision>, tree: Box<Tree> },
}

/// What was found of the certificates of a run.
pub(super) struct Looked {
    pub(super) host: Host,
    /// In the order in which they were asked about.
    pub(super) found: Vec<Found>,
    /// What there is to say of revocation lists.
    pub(super) unlisted: Vec<Warning>,
}

/// Looks at these certificates and decides about each, and fetches the revocation lists of the issuers that were seen.
///
/// # Errors
/// The state directory itself cannot be read.
pub(super) fn look(
    settings: &Settings,
    wanted: &[&Certificate],
    wishes: Wishes,
    run: &Run,
    gate: &AttestationGate,
) -> Result<Looked, DiskError> {
    let now = run.clock().now();
    let (host, found) = look_once(settings, wanted, now, wishes)?;
    // Where something is to be signed the lists come along.
    let which = if wishes.check_revoked || signs(&found) { Which::All } else { Which::Ending };
    // Who issues is known from what is committed of any certificate, as `first_lists.rs` takes it; before that they come with the first chains.
    let lists = if host.has_chains { crl::refresh(settings, run, &host.trust, gate, which) } else { Refreshed::default() };
    // A new list is one more thing that consumers are to take up.
    let (host, found) = if lists.is_new { look_once(settings, wanted, now, wishes)? } else { (host, found) };
    Ok(Looked { host, found, unlisted: lists.warnings })
}

/// Whether anything is to be signed.
fn signs(found: &[Found]) -> bool {
    found.iter().any(|found| matches!(found, Found::Due { decision, .. } if matches!(decision.plan, Plan::Issue(_))))
}

/// Looks at these certificates and decides about each. Of those that rest no more than a report is kept: there may be thousands.
///
/// # Errors
/// The state directory itself cannot be read.
fn look_once(settings: &Settings, wanted: &[&Certificate], now: Time, wishes: Wishes) -> Result<(Host, Vec<Found>), DiskError> {
    // What is to be acted on anyway is read as a whole at once.
    let depth = if wishes.force { Depth::Whole } else { Depth::SkippingUnchanged };
    let judge = |certificate: &Certificate, tree| found(settings, certificate, tree, now, wishes);
    let (host, mut all) = inventory::each(settings, wanted, depth, judge)?;
    for (one, certificate) in all.iter_mut().zip(wanted) {
        if matches!(one, Found::Due { tree, .. } if !tree.is_whole()) {
            *one = judge(certificate, inventory::one(settings, certificate, &host.trust));
        }
    }
    Ok((host, all))
}

/// What a look at one certificate means.
fn found(settings: &Settings, certificate: &Certificate, tree: Result<Tree, DiskError>, now: Time, wishes: Wishes) -> Found {
    let tree = match tree {
        Ok(tree) => tree,
        Err(why) => return Found::Unreadable(why),
    };
    let decision = decide(settings, certificate, &tree, now, wishes);
    if let Err(failure) = tree.demand_ours(certificate.name()) {
        return Found::Newer { report: Box::new(report_of(&decision, &tree)), failure: Box::new(failure) };
    }
    if let Hold::Until(opening) = decision.hold {
        return Found::Waits(Box::new(waiting(&decision, &tree, opening)));
    }
    if decision.plan != Plan::Rest {
        return Found::Due { decision: Box::new(decision), tree: Box::new(tree) };
    }
    let mut report = report_of(&decision, &tree);
    report.warnings.extend(plaintext_warning(&tree.in_clear));
    let missing = tree.missing_link.as_deref().filter(|_| is_unasked(&tree));
    report.warnings.extend(missing.map(|missing| Warning::new(Code::NotInstalled, links::not_installed(missing))));
    let has_failed = tree.state.last_error.is_some();
    Found::Rests { report: Box::new(report), has_leftovers: tree.leftovers, has_failed, unmarked: tree.unmarked }
}

/// The certificate of a login that rests, and whose key would not sign, since the host is not in the state that it was made in: the next login
/// renews it. Asked only where something is to be signed.
pub(super) fn refused<'a>(
    settings: &Settings,
    certificate: &'a Certificate,
    now: Time,
    wishes: Wishes,
    stores: &Stores,
) -> Option<Due<'a>> {
    let mut tree = inventory::take(settings, &[certificate], Depth::Whole).ok()?.certificates.into_iter().next()?.tree.ok()?;
    let live = tree.live.as_mut().filter(|live| live.keep == Keep::Resident)?;
    let why = match stores.keeping(live.keep).and_then(|store| store.refuses(at_rest(certificate.name(), live)?)) {
        Ok(why) => why?,
        Err(why) => {
            tracing::debug!(%why, "whether the key of a login signs is seen when it is used");
            return None;
        }
    };
    live.condition = Condition::Unreadable(why.text.clone());
    let decision = decide(settings, certificate, &tree, now, wishes);
    let mut due = Due::new(certificate, decision, tree);
    due.warnings.push(Warning::new(why.code, why.text));
    Some(due).filter(|due| matches!(due.decision.plan, Plan::Issue(_)) && !matches!(due.decision.hold, Hold::Until(_)))
}

/// A certificate that waits for its window: it is not touched, and that is no failure.
fn waiting(decision: &Decision, tree: &Tree, window: window::Opening) -> CertReport {
    let text = format!("outside of its windows; the next one opens at {} and ends at {}", window.opens, window.ends);
    let failure = Failure::new(Stage::Plan, Code::OutsideWindow, text).hint("a run in the window does it; --ignore-window does it now");
    CertReport { outcome: Outcome::Blocked, error: Some(failure), ..report_of(decision, tree) }
}

/// A certificate that rests and whose place is to be tidied up.
pub(super) struct Untidy<'a> {
    pub(super) name: &'a CertName,
    /// Withdrawn generations that nothing marks as that.
    pub(super) unmarked: Vec<Generation>,
}

/// Removes what a killed run left half-made where nothing is due: opening a place does that. What was withdrawn is marked.
/// Gives what there is to say of it.
pub(super) fn tidy_up(settings: &Arc<Settings>, of: &[Untidy<'_>]) -> Vec<Warning> {
    if of.is_empty() {
        return Vec::new();
    }
    let stay = |why: Failure| tracing::warn!(%why, "the remains of a killed run stay");
    match Trees::open(settings) {
        // One place that cannot be opened is no reason to leave the others as they are.
        Ok(trees) => {
            trees.ends_work();
            of.iter().filter_map(|one| tidy(&trees, one).err()).for_each(stay);
            trees.removed_lists()
        }
        Err(why) => {
            stay(why);
            Vec::new()
        }
    }
}

fn tidy(trees: &Arc<Trees>, one: &Untidy<'_>) -> Result<(), Failure> {
    let place = Place::open(trees, one.name)?;
    place.var().and_then(|var| withdrawn::mark(&var, &one.unmarked)).map_err(|why| disk_failure(Stage::Publish, &why))
}

/// What the planning stage gave.
pub(super) struct Planned<'a> {
    /// What is to be done.
    pub(super) due: Vec<Due<'a>>,
    /// Certificates whose part has ended: the key that they need cannot be opened now.
    pub(super) ended: Vec<CertReport>,
}

/// Opens the keys that the plans would publish, and plans anew where one does not open: what cannot be opened is issued again
/// (`swap/ondisk.md`, "Sealing").
pub(super) fn with_keys<'a>(trees: &Trees, run: &Run, now: Time, wishes: Wishes, due: Vec<Due<'a>>) -> Planned<'a> {
    let mut planned = Planned { due: Vec::new(), ended: Vec::new() };
    for mut one in due {
        let opening = Opening { settings: trees.settings(), certificate: one.certificate, now, wishes };
        match opening.with_keys(trees, &mut one) {
            Ok(()) => planned.due.push(one),
            Err(failure) => {
                let mut report = report_of(&one.decision, &one.tree);
                report.warnings.extend(plaintext_warning(&one.tree.in_clear));
                planned.ended.push(run.failed(report, failure));
            }
        }
    }
    make_ready(trees, &planned.due, now);
    planned
}

/// A certificate whose plan is not certain before its key was opened.
struct Opening<'a> {
    settings: &'a Settings,
    certificate: &'a Certificate,
    now: Time,
    wishes: Wishes,
}

impl Opening<'_> {
    /// # Errors
    /// Stage `seal`: the TPM cannot be asked, or is another one. Nothing is issued again for that, unless the settings keep the next key in
    /// a file: then that TPM is not needed any more, and waiting for it would leave no way on.
    fn with_keys(&self, trees: &Trees, due: &mut Due<'_>) -> Result<(), Failure> {
        while let Some(kept) = due.decision.plan.publishes().and_then(|generation| find(&mut due.tree, generation)) {
            let asks = kept.keep.needs_tpm() && kept.condition == Condition::Intact;
            if !asks || is_whole(trees, self.certificate, kept) {
                break;
            }
            match trees.stores().open(self.certificate.name(), kept) {
                Ok(_) => break,
                Err(why) if self.is_lost(&due.decision, &why) => {
                    // Nothing is given up before its successor could be kept: a pin that cannot be read looks like a damaged key here.
                    trees.stores().keeping(self.certificate.keep)?.make_ready(self.now)?;
                    due.warnings.retain(|said| said.code != why.code);
                    due.warnings.push(Warning::new(why.code, why.text.clone()));
                    kept.condition = Condition::Unreadable(why.text);
                    due.decision = decide(self.settings, self.certificate, &due.tree, self.now, self.wishes);
                }
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    fn is_lost(&self, decision: &Decision, why: &Failure) -> bool {
        let leaves = matches!(decision.plan, Plan::Issue(_)) && !self.certificate.keep.needs_tpm();
        leaves || matches!(why.code, Code::PcrChanged | Code::BlobDamaged)
    }
}

fn find(tree: &mut Tree, generation: Generation) -> Option<&mut Kept> {
    tree.live.iter_mut().chain(&mut tree.debt).find(|kept| kept.generation == generation)
}

/// Opens the TPM for the keys that need it, and closes it, before certificates go their ways: from then on children are started, and libtss2
/// opens it without close-on-exec. What fails is kept by the store, and each certificate says it in its turn.
fn make_ready(trees: &Trees, due: &[Due<'_>], now: Time) {
    let issued = due.iter().filter(|due| matches!(due.decision.plan, Plan::Issue(_)));
    let keeps: BTreeSet<Keep> = issued.map(|due| due.certificate.keep).collect();
    for keep in keeps {
        if let Err(why) = trees.stores().keeping(keep).and_then(|store| store.make_ready(now)) {
            tracing::debug!(%why, "no key can be kept");
        }
    }
}

/// Removes what a killed run left among the sealing keys, where nothing is due: half-written ones, and those that nothing needs any more.
pub(super) fn clean_sealing_keys(settings: &Settings) {
    for store in Stores::of(settings, None).all() {
        if let Err(why) = store.clean().and_then(|()| store.collect()) {
            tracing::warn!(%why, "the remains of a killed run stay");
        }
    }
}

/// Removes the sealing keys that nothing needs any more.
pub(in crate::steps) fn collect_sealing_keys(trees: &Trees) {
    for store in trees.stores().all() {
        if let Err(why) = store.collect() {
            tracing::warn!(%why, "a sealing key that nothing needs was not removed");
        }
    }
}
