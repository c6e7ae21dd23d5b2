//! `reseal`: a new sealing key under today's PCRs, and under it the private key of every committed certificate, as the next generation with
//! the same certificate. No network and no reload: consumers find the bytes that they have. It never makes a private key.

use std::sync::Arc;
use std::time::Duration;

use super::commit::{Committed, commit_resealed};
use super::flow::faulty;
use super::flow::{End, Journal, collect_sealing_keys, describe_leaf};
use super::keep::keep;
use super::key::{Key, KeyStore as _, SealedStore, at_rest};
use super::run::{Begun, Command, Run};
use super::swap::{Place, Published, Staged, Trees, demand_memory, disk_failure};
use super::validate::{Against, Unvalidated, Validated, validate};
use crate::config::settings::{Certificate, Settings};
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::key::Keep;
use crate::model::name::{CertName, Generation};
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::{CertReport, Report, RunError, Unwatched};
use crate::model::secret::Material;
use crate::plan::choice::Plan;
use crate::plan::debt::proof_of_live;
use crate::plan::generation::Kept;
use crate::plan::inventory::{self, Tree};
use crate::plan::reseal::{self as plan, Again, Reseal, no_key};

/// What `reseal` was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Pin the TPM that is there, whatever was pinned.
    pub new_tpm: bool,
    /// How long to wait for another run's lock.
    pub wait: Duration,
}

/// Seals the keys of all committed certificates anew.
#[must_use]
pub fn reseal(settings: &Arc<Settings>, options: Options, clock: Clock) -> Report {
    let run = match Run::begin(Command::Reseal, settings, options.wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let sealed: Vec<&Certificate> = settings.certificates.iter().filter(|c| c.keep.needs_tpm()).collect();
    let trees = match Trees::open(settings) {
        Ok(trees) => trees,
        Err(failure) => return without_a_key(*run, &sealed, &failure),
    };
    let Some(store) = trees.stores().sealed() else { return run.end(Vec::new()) };
    let pinned = if options.new_tpm { store.adopt_tpm().map(Some) } else { Ok(None) };
    let made = pinned.and_then(|other| store.renew_sealing_key(clock.now()).map(|_| other));
    let has_other_tpm = matches!(made, Ok(Some(true)));
    let sealing = Sealing { run: &run, trees: &trees, store, clock, has_other_tpm };
    let mut reports: Vec<CertReport> = match made {
        Err(failure) => return without_a_key(*run, &sealed, &failure),
        Ok(other) => sealed.iter().map(|c| with_warning(sealing.one(c), other)).collect(),
    };
    reports.iter_mut().for_each(|report| report.warnings.extend(trees.removed_lists()));
    reports.extend(faulty::all(&run, settings));
    collect_sealing_keys(&trees);
    run.end(reports)
}

/// Where nothing can be sealed the run has failed, also when no certificate would have been.
fn without_a_key(run: Run, sealed: &[&Certificate], failure: &Failure) -> Report {
    let reports = sealed.iter().map(|c| run.failed(unknown(c), failure.clone())).collect();
    let error = RunError { code: failure.code, text: failure.text.clone(), hint: failure.hint.clone() };
    Report { exit: 1, error: Some(error), ..run.end(reports) }
}

fn unknown(certificate: &Certificate) -> CertReport {
    CertReport::new(certificate.name().clone(), Outcome::Failed)
}

fn with_warning(mut report: CertReport, other_tpm: Option<bool>) -> CertReport {
    if other_tpm == Some(false) {
        report.warnings.push(Warning::new(Code::SameTpm, "--new-tpm was given, and the TPM is the one that was pinned"));
    }
    report
}

/// What all certificates of a run share.
struct Sealing<'a> {
    run: &'a Run,
    trees: &'a Arc<Trees>,
    store: &'a SealedStore,
    clock: Clock,
    /// Whether a person had another TPM pinned in this run: keys of the one before are gone, and that is what was said.
    has_other_tpm: bool,
}

/// All that can be known before anything is written for a certificate.
struct Ready {
    place: Arc<Place>,
    key: Key,
    validated: Validated,
    /// When its certificate was staged first: it is no younger for being sealed anew.
    staged: Time,
}

impl Sealing<'_> {
    fn one(&self, certificate: &Certificate) -> CertReport {
        let tree = match inventory::one(self.trees.settings(), certificate, &self.trees.trust()) {
            Ok(tree) => tree,
            Err(why) => return self.run.failed(unknown(certificate), disk_failure(Stage::Plan, &why)),
        };
        let mut report = CertReport { generation: tree.published.generation, previous: tree.published.generation, ..unknown(certificate) };
        describe_leaf(&mut report, tree.published.facts.as_ref());
        report.proof = proof_of_live(&tree);
        if let Err(failure) = tree.demand_ours(certificate.name()) {
            return self.run.failed(report, failure);
        }
        let again = match plan::reseal(certificate.name(), &tree) {
            Ok(Reseal::Again(again)) => again,
            Ok(Reseal::Leave(reason)) => return self.left(report, reason, &tree),
            Err(failure) => return self.run.failed(report, failure),
        };
        match self.ready(certificate, &tree, again) {
            Ok(ready) => self.anew(ready, again, report, tree),
            Err(failure) if self.has_other_tpm && failure.stage == Stage::Seal && failure.code == Code::BlobDamaged => {
                let name = certificate.name();
                let text = format!("its key was sealed to the TPM before this one and is gone: `omens renew {name}` makes a new one");
                CertReport { outcome: Outcome::Kept, reasons: vec![Reason::new(ReasonCode::Unreadable, text)], ..report }
            }
            Err(failure) => self.run.failed(report, failure),
        }
    }

    /// Nothing is sealed anew for it. Of a key that stays in its TPM it is said whether that is still so: other PCRs, and another TPM, take a
    /// renewal.
    fn left(&self, mut report: CertReport, reason: Reason, tree: &Tree) -> CertReport {
        let mut reason = reason;
        if let Some(live) = tree.live.as_ref().filter(|live| live.keep == Keep::Resident) {
            let gone = self.has_other_tpm.then(|| self.gone(&report.name, live.generation));
            let known = tree.refused_key().map(|refused| &refused.failure).filter(|failure| failure.code == Code::TpmReplaced);
            if let Some(failure) = gone.as_ref().or(known) {
                self.run.note_refused_key(&report.name, failure.clone());
                let warning = Warning { hint: failure.hint.clone(), ..Warning::new(failure.code, failure.text.clone()) };
                report.warnings.push(warning);
                reason = Reason::new(ReasonCode::Unreadable, failure.text.clone());
            } else {
                report.warnings.push(Warning::new(Code::Resident, reason.text.clone()));
            }
        }
        CertReport { outcome: Outcome::Kept, reasons: vec![reason], ..report }
    }

    /// A key of the TPM that was pinned before.
    fn gone(&self, name: &CertName, generation: Generation) -> Failure {
        let text = format!("the key of {name} {generation} was made in the TPM before this one, and is gone with it");
        let logs_in = self.trees.settings().is_identity(name);
        let hint = if logs_in {
            format!(
                "the next run makes {name} anew by the next login of the list, where that may, and `omens enroll` by a login that is used once"
            )
        } else {
            format!("`omens renew {name}` makes a new one")
        };
        Failure::new(Stage::Seal, Code::TpmReplaced, text).hint(hint)
    }

    /// Everything that may fail before anything is written.
    fn ready(&self, certificate: &Certificate, tree: &Tree, again: Again) -> Result<Ready, Failure> {
        let (name, now) = (certificate.name(), self.clock.now());
        let live = tree.live.as_ref().ok_or_else(|| no_key(name, "nothing was committed yet"))?;
        let place = Arc::new(Place::open(self.trees, name)?);
        let material = private_key(self.store, &place, certificate, live)?;
        let key = self.store.keep(name, again.to(), &material)?;
        let unvalidated = Unvalidated { leaf_pem: live.cert_pem(), others: vec![live.chain_pem().into_owned()], spki: key.spki().to_vec() };
        let validated = validate(unvalidated, &Against::new(self.trees.settings(), certificate), now)
            .map_err(|(_, why)| why.failure.hint(format!("`omens renew {name}` makes a new key and certificate")))?;
        demand_memory(&place.run().map_err(|why| disk_failure(Stage::Publish, &why))?)?;
        let staged = live.staged().unwrap_or(now);
        Ok(Ready { place, key, validated, staged })
    }

    /// The next generation: the same certificate, and the same private key under the new sealing key. However it ends, that is in the ledger
    /// before the note goes that a run is at work (`steps::swap`, step 9).
    fn anew(&self, ready: Ready, again: Again, report: CertReport, tree: Tree) -> CertReport {
        let place = ready.place.clone();
        let mut journal = Journal::open(&place, report, tree, None, self.run, &Unwatched);
        let began = journal.notes.begin(self.clock.now(), &[]);
        let end = match began.and_then(|()| self.swap(ready, again, &mut journal)) {
            Ok(committed) => End::Resealed { committed: Box::new(committed), from: again.from() },
            // Whole in the state directory, it is debt, whatever was wrong after that.
            Err(failure) => End::Failed { failure, waits: Some(again.to()).filter(|to| place.is_complete(*to)) },
        };
        journal.finish_here(&Plan::Rest, &end)
    }

    fn swap(&self, ready: Ready, again: Again, journal: &mut Journal<'_>) -> Result<Committed, Failure> {
        let Ready { place, key, validated, staged } = ready;
        let stored = keep(place.name(), again.to(), validated, key).map_err(|why| why.1)?;
        let staged = Staged::new(&place, stored, staged).map_err(|why| why.1)?;
        journal.set_new(again.to(), staged.facts());
        let published = Published::new(staged).map_err(|why| why.1)?;
        journal.add_warnings(published.warnings().iter().cloned());
        commit_resealed(&published, &again)
    }
}

/// The private key: as it rests if that opens, and else as consumers have it.
fn private_key(store: &SealedStore, place: &Place, certificate: &Certificate, live: &Kept) -> Result<Material, Failure> {
    let opened = at_rest(certificate.name(), live).and_then(|rests| store.open(certificate.name(), live.generation, rests));
    let why = match opened {
        Ok(key) => return key.material(),
        Err(why) => why,
    };
    let spki = live.facts.as_ref().map(|facts| facts.spki.as_slice()).unwrap_or_default();
    let own = place.published_key(spki).map_err(|disk| disk_failure(Stage::Seal, &disk))?;
    own.ok_or_else(|| no_key(certificate.name(), &format!("{}; and the run directory does not hold it either", why.text)))
}
