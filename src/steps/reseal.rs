//! `reseal`: a new sealing key under today's PCRs, and under it the private key of every committed certificate, as the next generation with
//! the same certificate. No network and no reload: consumers find the bytes that they have. It never makes a private key.

use std::sync::Arc;
use std::time::Duration;

use super::commit::{collect, commit};
use super::flow::{collect_sealing_keys, describe_leaf};
use super::record::Notes;
use super::run::{Begun, Run, line};
use super::seal::{KeyStore as _, SealedStore, seal};
use super::swap::{Place, Published, Staged, Trees, disk_failure};
use super::validate::{Material, validate};
use super::verify::Proven;
use crate::config::settings::{Certificate, Settings};
use crate::model::clock::Clock;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::key::Keep;
use crate::model::name::Generation;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::{CertReport, Report, RunError};
use crate::model::secret::PlainKey;
use crate::model::state::Proof;
use crate::plan::debt::proof_of_live;
use crate::plan::generation::Kept;
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
    let pinned = if options.new_tpm { store.pin_new_tpm(clock.now()).map(Some) } else { Ok(None) };
    let made = pinned.and_then(|other| store.renew_sealing_key(clock.now()).map(|_| other));
    let reports = match made {
        Err(failure) => return without_a_key(run, &sealed, &failure),
        Ok(other) => sealed.iter().map(|c| with_warning(one(&run, &trees, store, c, clock), other)).collect(),
    };
    collect_sealing_keys(&trees);
    run.end(reports)
}

/// Where nothing can be sealed the run has failed, also when no certificate would have been.
fn without_a_key(run: Run, sealed: &[&Certificate], failure: &Failure) -> Report {
    let reports = sealed.iter().map(|c| run.failed(unknown(c), failure.clone())).collect();
    let error = RunError { code: failure.code.clone(), text: failure.text.clone(), hint: failure.hint.clone() };
    Report { exit: 1, error: Some(error), ..run.end(reports) }
}

fn unknown(certificate: &Certificate) -> CertReport {
    CertReport::new(certificate.name().clone(), Outcome::Failed)
}

fn with_warning(mut report: CertReport, other_tpm: Option<bool>) -> CertReport {
    if other_tpm == Some(false) {
        report.warnings.push(Warning::new("same-tpm", "--new-tpm was given, and the TPM is the one that was pinned"));
    }
    report
}

fn one(run: &Run, trees: &Arc<Trees>, store: &SealedStore, certificate: &Certificate, clock: Clock) -> CertReport {
    let tree = match inventory::take(trees.settings(), &[certificate]).map(|found| found.certificates.into_iter().next()) {
        Ok(Some(observed)) => observed.tree,
        Ok(None) => return unknown(certificate),
        Err(why) => Err(why),
    };
    let tree = match tree {
        Ok(tree) => tree,
        Err(why) => return run.failed(unknown(certificate), disk_failure(Stage::Plan, &why)),
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
        Some(live) if live.keep != Keep::Sealed => {
            let text = format!("the key of {} lies in a file: `omens renew` makes one that is sealed", live.generation);
            kept(report, ReasonCode::SettingsChanged, text)
        }
        Some(_) => match anew(run, trees, store, certificate, tree, clock) {
            Err(failure) => run.failed(report, failure),
            Ok(generation) => {
                let mut entry = line(&run.id, certificate.name(), Stage::Commit, Outcome::Resealed, clock.now());
                (entry.generation, entry.serial, entry.sha256) = (Some(generation), report.serial.clone(), report.sha256.clone());
                run.note(&entry);
                CertReport { outcome: Outcome::Resealed, generation: Some(generation), ..report }
            }
        },
    }
}

/// The next generation: the same certificate, and the same private key under the new sealing key.
fn anew(
    run: &Run,
    trees: &Arc<Trees>,
    store: &SealedStore,
    certificate: &Certificate,
    mut tree: Tree,
    clock: Clock,
) -> Result<Generation, Failure> {
    let name = certificate.name();
    let (now, next, proof) = (clock.now(), Generation(tree.largest + 1), proof_of_live(&tree).unwrap_or(Proof::None));
    unsettled(certificate, &tree)?;
    let Some(live) = tree.live.take() else { return Err(no_key(certificate, "nothing was committed yet")) };
    let place = Arc::new(Place::open(trees, name)?);
    let key = private_key(store, &place, certificate, &live)?;
    let material = Material { leaf_pem: live.cert_pem(), others: vec![live.chain_pem()], spki: key.spki().to_vec() };
    let validated = validate(material, &certificate.request, &trees.settings().anchor, now)
        .map_err(|(_, why)| why.failure.hint(format!("`omens renew {name}` makes a new key and certificate")))?;
    let (stopped, failure, before) = (
        tree.state.proven.as_ref().map(|proven| proven.stopped.clone()).unwrap_or_default(),
        tree.state.debt.as_ref().map(|debt| debt.failure.clone()),
        tree.state.previous,
    );
    let notes = Notes::new(place.clone(), &run.id, tree.state);
    notes.begin(now, &[])?;
    let stored = seal(store, name, next, validated, &key).map_err(|why| why.1)?;
    let staged = Staged::new(&place, stored, &key, now).map_err(|why| why.1)?;
    let published = Published::new(staged).map_err(|why| why.1)?;
    let committed = commit(Proven::resealed(published, proof)).map_err(|why| why.1)?;
    // The way back is the certificate before this one, not this one under an older sealing key.
    notes.committed(&committed, stopped, failure.as_ref(), now)?;
    notes.resealed(before)?;
    if let Err(why) = collect(&place, before, &[]) {
        tracing::warn!(%why, "an old generation was not removed");
    }
    notes.over()?;
    Ok(next)
}

/// What waits for the next renewal is not put out of its reach by a generation after it.
fn unsettled(certificate: &Certificate, tree: &Tree) -> Result<(), Failure> {
    let name = certificate.name();
    let text = match (&tree.debt, &tree.state.begun) {
        (Some(debt), _) => format!("{} of {name} waits to be taken up", debt.generation),
        (None, Some(begun)) => format!("the run that began at {} did not finish, and nobody knows what its services serve", begun.at),
        (None, None) => return Ok(()),
    };
    Err(Failure::new(Stage::Plan, "debt", text).hint(format!("`omens renew {name}` settles it; then `omens reseal` again")))
}

/// The private key: as it rests if that opens, and else as consumers have it.
fn private_key(store: &SealedStore, place: &Place, certificate: &Certificate, live: &Kept) -> Result<PlainKey, Failure> {
    let why = match store.open(certificate.name(), live.generation, live.key_at_rest()) {
        Ok(key) => return Ok(key),
        Err(why) => why,
    };
    let published = place.published_key().map_err(|disk| disk_failure(Stage::Seal, &disk))?;
    let own = published.filter(|key| live.facts.as_ref().is_some_and(|facts| facts.spki == key.spki()));
    own.ok_or_else(|| no_key(certificate, &format!("{}; and the run directory does not hold it either", why.text)))
}

fn no_key(certificate: &Certificate, why: &str) -> Failure {
    let name = certificate.name();
    Failure::new(Stage::Seal, "blob-damaged", format!("the private key of {name} is nowhere to be had: {why}"))
        .hint(format!("`omens renew {name} --force` makes a new key and certificate"))
}
