//! `reseal`: a new sealing key under today's PCRs, and under it the private key of every committed certificate, as the next generation with
//! the same certificate. No network and no reload: consumers find the bytes that they have. It never makes a private key.

use std::sync::Arc;
use std::time::Duration;

use super::commit::{collect, commit};
use super::flow::{collect_sealing_keys, describe_leaf};
use super::keep::keep;
use super::key::{Key, KeyStore as _, SealedStore};
use super::record::Notes;
use super::run::{Begun, Run, line};
use super::swap::{Place, Published, Staged, Trees, demand_memory, disk_failure};
use super::validate::{Unvalidated, Validated, validate};
use super::verify::Proven;
use crate::config::settings::{Certificate, Settings};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::key::Keep;
use crate::model::name::Generation;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::{CertReport, Report, RunError};
use crate::model::secret::Material;
use crate::model::state::{Proof, State};
use crate::plan::debt::proof_of_live;
use crate::plan::generation::{Condition, Kept};
use crate::plan::inventory::{self, Tree};

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
    let run = match Run::begin("reseal", settings, options.wait, clock) {
        Begun::Run(run) => run,
        Begun::Report(report) => return *report,
    };
    let sealed: Vec<&Certificate> = settings.certificates.iter().filter(|c| c.keep == Keep::Sealed).collect();
    let trees = match Trees::open(settings) {
        Ok(trees) => trees,
        Err(failure) => return without_a_key(run, &sealed, &failure),
    };
    let Some(store) = trees.stores().sealed() else { return run.end(Vec::new()) };
    let pinned = if options.new_tpm { store.adopt_tpm().map(Some) } else { Ok(None) };
    let made = pinned.and_then(|other| store.renew_sealing_key(clock.now()).map(|_| other));
    let shared = Shared { run: &run, trees: &trees, store, clock };
    let reports = match made {
        Err(failure) => return without_a_key(run, &sealed, &failure),
        Ok(other) => sealed.iter().map(|c| with_warning(shared.one(c), other)).collect(),
    };
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
struct Shared<'a> {
    run: &'a Run,
    trees: &'a Arc<Trees>,
    store: &'a SealedStore,
    clock: Clock,
}

/// All that can be known before anything is written for a certificate.
struct Ready {
    place: Arc<Place>,
    key: Key,
    validated: Validated,
    proof: Proof,
    from: Generation,
    next: Generation,
    state: State,
}

impl Shared<'_> {
    fn one(&self, certificate: &Certificate) -> CertReport {
        let tree = match inventory::take(self.trees.settings(), &[certificate]).map(|found| found.certificates.into_iter().next()) {
            Ok(Some(observed)) => observed.tree,
            Ok(None) => return unknown(certificate),
            Err(why) => Err(why),
        };
        let tree = match tree {
            Ok(tree) => tree,
            Err(why) => return self.run.failed(unknown(certificate), disk_failure(Stage::Plan, &why)),
        };
        let mut report = CertReport { generation: tree.published.generation, previous: tree.published.generation, ..unknown(certificate) };
        describe_leaf(&mut report, tree.published.facts.as_ref());
        report.proof = proof_of_live(&tree);
        let kept = |report: CertReport, code, text: String| {
            let reasons = vec![Reason::new(code, text)];
            CertReport { outcome: Outcome::Kept, reasons, ..report }
        };
        match &tree.live {
            None => kept(report, ReasonCode::Missing, "no certificate was committed yet: there is no key to seal".to_owned()),
            Some(Kept { keep: Keep::File, condition: Condition::Unreadable(why), .. }) => {
                let failure = no_key(certificate, why);
                self.run.failed(report, failure)
            }
            Some(live) if live.keep == Keep::File => {
                let text = format!("the key of {} lies in a file: `omens renew --all` makes one that is sealed", live.generation);
                kept(report, ReasonCode::SettingsChanged, text)
            }
            Some(_) => match self.ready(certificate, tree) {
                Ok(ready) => self.anew(ready, report),
                Err(failure) => self.run.failed(report, failure),
            },
        }
    }

    /// Everything that may fail before anything is written.
    fn ready(&self, certificate: &Certificate, mut tree: Tree) -> Result<Ready, Failure> {
        let (name, now) = (certificate.name(), self.clock.now());
        unsettled(certificate, &tree)?;
        let (next, proof) = (Generation(tree.largest + 1), proof_of_live(&tree).unwrap_or(Proof::None));
        let Some(live) = tree.live.take() else { return Err(no_key(certificate, "nothing was committed yet")) };
        let place = Arc::new(Place::open(self.trees, name)?);
        let material = private_key(self.store, &place, certificate, &live)?;
        let key = self.store.keep(name, next, &material)?;
        let again = Unvalidated { leaf_pem: live.cert_pem(), others: vec![live.chain_pem()], spki: key.spki().to_vec() };
        let validated = validate(again, &certificate.request, &certificate.issuer, &self.trees.settings().anchor, now)
            .map_err(|(_, why)| why.failure.hint(format!("`omens renew {name}` makes a new key and certificate")))?;
        demand_memory(&place.run().map_err(|why| disk_failure(Stage::Publish, &why))?)?;
        Ok(Ready { place, key, validated, proof, from: live.generation, next, state: tree.state })
    }

    /// The next generation: the same certificate, and the same private key under the new sealing key. However it ends, that is in the ledger
    /// before the note goes that a run is at work (`steps::swap`, step 9).
    fn anew(&self, ready: Ready, mut report: CertReport) -> CertReport {
        let Ready { place, key, validated, proof, from, next, state } = ready;
        let notes = Notes::new(place.clone(), &self.run.id, state);
        let began = notes.begin(self.clock.now(), &[]);
        let warn = |report: &mut CertReport, noted: Result<(), Failure>| {
            report.warnings.extend(noted.err().map(|why| Warning::new(Code::StateNotWritten, why.text)));
        };
        match began.and_then(|()| self.swap(&place, next, (validated, proof), key)) {
            Ok(said) => {
                report.warnings.extend(said);
                // From here on it is what boots, whatever becomes of the notes.
                warn(&mut report, notes.resealed(from, next));
                if let Err(why) = collect(&place, &notes.state()) {
                    tracing::warn!(%why, "an old generation was not removed");
                }
                report.outcome = Outcome::Resealed;
                let mut entry = line(&self.run.id, place.name(), Stage::Commit, Outcome::Resealed, self.clock.now());
                (entry.generation, entry.serial, entry.sha256) = (Some(next), report.serial.clone(), report.sha256.clone());
                self.run.note(&entry);
            }
            Err(failure) => {
                // Whole in the state directory, it is debt, whatever was wrong after that.
                let waits = Some(next).filter(|next| place.is_complete(*next));
                warn(&mut report, notes.failed(&failure, waits, self.clock.now()));
                report = self.run.failed(report, failure);
            }
        }
        warn(&mut report, notes.over());
        CertReport { generation: place.published(), ..report }
    }

    fn swap(
        &self,
        place: &Arc<Place>,
        next: Generation,
        (validated, proof): (Validated, Proof),
        key: Key,
    ) -> Result<Vec<Warning>, Failure> {
        let stored = keep(place.name(), next, validated, key).map_err(|why| why.1)?;
        let staged = Staged::new(place, stored, self.clock.now()).map_err(|why| why.1)?;
        let published = Published::new(staged).map_err(|why| why.1)?;
        let warnings = published.warnings().to_vec();
        commit(Proven::resealed(published, proof)).map_err(|why| why.1)?;
        Ok(warnings)
    }
}

/// What waits for the next renewal is not put out of its reach by a generation after it.
fn unsettled(certificate: &Certificate, tree: &Tree) -> Result<(), Failure> {
    let name = certificate.name();
    let text = match (&tree.debt, &tree.state.begun) {
        (Some(debt), _) => format!("{} of {name} waits to be taken up", debt.generation),
        (None, Some(begun)) => format!("the run that began at {} did not finish, and nobody knows what its services serve", begun.at),
        (None, None) => return Ok(()),
    };
    Err(Failure::new(Stage::Plan, Code::Debt, text).hint(format!("`omens renew {name}` settles it; then `omens reseal` again")))
}

/// The private key: as it rests if that opens, and else as consumers have it.
fn private_key(store: &SealedStore, place: &Place, certificate: &Certificate, live: &Kept) -> Result<Material, Failure> {
    let why = match store.open(certificate.name(), live.generation, live.key_at_rest()) {
        Ok(key) => return key.material(),
        Err(why) => why,
    };
    let spki = live.facts.as_ref().map(|facts| facts.spki.as_slice()).unwrap_or_default();
    let own = place.published_key(spki).map_err(|disk| disk_failure(Stage::Seal, &disk))?;
    own.ok_or_else(|| no_key(certificate, &format!("{}; and the run directory does not hold it either", why.text)))
}

fn no_key(certificate: &Certificate, why: &str) -> Failure {
    let name = certificate.name();
    Failure::new(Stage::Seal, Code::BlobDamaged, format!("the private key of {name} is nowhere to be had: {why}"))
        .hint(format!("`omens renew {name} --force` makes a new key and certificate"))
}
