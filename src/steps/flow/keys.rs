//! Sealed keys around a run: those that consumers lack are opened before anything is decided about them, and sealing keys that no
//! generation needs any more are removed when all is over.

use crate::config::settings::{Certificate, Settings};
use crate::io::tpm::limit::Unanswered;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Warning};
use crate::model::name::Generation;
use crate::plan::decide::{Action, Step, decide};
use crate::plan::generation::{Condition, Kept};
use crate::plan::inventory::Tree;
use crate::steps::key::Stores;
use crate::steps::swap::{Trees, is_whole};

/// A certificate and what was decided about it from what its files say.
pub(super) struct Undecided<'a> {
    pub(super) settings: &'a Settings,
    pub(super) certificate: &'a Certificate,
    pub(super) now: Time,
    pub(super) force: bool,
}

impl Undecided<'_> {
    /// Opens the key that the step would have to publish. One that does not open is one more thing that was found out, and it is decided anew:
    /// what cannot be opened is re-issued (ONDISK, Sealing).
    ///
    /// # Errors
    /// Stage `seal`: the TPM cannot be asked, or is another one. Nothing is re-issued for that, unless the settings keep the next key in a
    /// file: then that TPM is not needed any more, and waiting for it would leave no way on.
    pub(super) fn with_keys(&self, trees: &Trees, tree: &mut Tree, mut step: Step) -> Result<(Step, Vec<Warning>), Failure> {
        let mut warnings = Vec::new();
        while let Some(kept) = to_publish(&step).and_then(|generation| find(tree, generation)) {
            let asks = kept.keep.needs_tpm() && kept.condition == Condition::Intact;
            if !asks || is_whole(trees, self.certificate, kept) {
                break;
            }
            match trees.stores().open(self.certificate.name(), kept) {
                Ok(_) => break,
                Err(why) if self.is_lost(&step, &why) => {
                    // Nothing is given up before its successor could be kept: a pin that cannot be read looks like a damaged key here.
                    trees.stores().keeping(self.certificate.keep)?.make_ready(self.now)?;
                    warnings.push(Warning::new(why.code, why.text.clone()));
                    kept.condition = Condition::Unreadable(why.text);
                    step = decide(self.settings, self.certificate, tree, self.now, self.force);
                }
                Err(why) => return Err(why),
            }
        }
        Ok((step, warnings))
    }

    fn is_lost(&self, step: &Step, why: &Failure) -> bool {
        let leaves = step.action == Action::Issue && !self.certificate.keep.needs_tpm();
        leaves || matches!(why.code, Code::PcrChanged | Code::BlobDamaged)
    }
}

/// The generation of the state directory that a step puts into the run directory.
const fn to_publish(step: &Step) -> Option<Generation> {
    match step.action {
        Action::Settle(generation) => Some(generation),
        Action::Issue => step.republish,
        Action::Nothing => None,
    }
}

fn find(tree: &mut Tree, generation: Generation) -> Option<&mut Kept> {
    tree.live.iter_mut().chain(&mut tree.debt).find(|kept| kept.generation == generation)
}

/// Removes what a killed run left among the sealing keys, where nothing is due: half-written ones, and those that nothing needs any more.
pub(super) fn clean_sealing_keys(settings: &Settings) {
    for store in Stores::of(settings, Unanswered::default()).all() {
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
