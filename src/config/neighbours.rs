//! What certificates share while they are read, and what no two of them may have.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::driver::DraftInstall;
use super::profile::Profiles;
use super::service::Drivers;
use super::settings::{Install, InstallKind, Paths};
use super::shape::{Errors, Wrong, parsed};
use super::tree::{self, Node, Place};
use super::value;
use crate::model::key::Keep;
use crate::model::name::CertName;
use crate::model::report::SettingsError;

/// What certificates share while they are read: their profiles, and what no two of them may have.
#[derive(Debug)]
pub(super) struct Neighbours<'a> {
    pub(super) profiles: Profiles,
    paths: Paths,
    pub(super) has_tpm: bool,
    /// Whether keys are bound to PCRs too.
    pub(super) has_pcrs: bool,
    pub(super) drivers: Drivers,
    names: RefCell<BTreeMap<CertName, &'a Place>>,
    targets: RefCell<BTreeMap<PathBuf, &'a Place>>,
}

impl<'a> Neighbours<'a> {
    pub(super) fn new(paths: Paths, has_tpm: bool, drivers: Drivers) -> Self {
        let (names, targets) = (RefCell::default(), RefCell::default());
        Self { profiles: Profiles::new(&paths.policies), paths, has_tpm, has_pcrs: false, drivers, names, targets }
    }

    /// The same where keys are bound to PCRs too.
    pub(super) fn with_pcrs(self, has_pcrs: bool) -> Self {
        Self { has_pcrs, ..self }
    }

    pub(super) fn name(&self, node: &'a Node, errors: &Errors) -> Option<CertName> {
        let name = parsed(value::cert_name)(node, errors)?;
        if let Some(first) = self.names.borrow().get(&name) {
            errors.push(tree::duplicate(&format!("certificate \"{name}\""), &node.place, first));
            return None;
        }
        self.names.borrow_mut().insert(name.clone(), &node.place);
        Some(name)
    }

    /// What is wrong in the profile of this certificate: that is said once, where the first certificate names it, and is wrong with all.
    pub(super) fn profile_fault(&self, node: &Node) -> Option<SettingsError> {
        node.text_of("profile").and_then(|profile| self.profiles.fault(profile))
    }

    /// How keys are kept where a certificate says nothing: sealed wherever there is a TPM to seal to.
    pub(super) const fn keep(&self) -> Keep {
        if self.has_tpm { Keep::Sealed } else { Keep::File }
    }

    pub(super) fn install(&self, draft: DraftInstall<'a>, keep: Option<Keep>, errors: &Errors) -> Option<Install> {
        if keep.is_some_and(|keep| !keep.rests_in_clear()) && draft.install.kind == InstallKind::Copy {
            let wrong = Wrong::value("copies would put the plaintext of a sealed key on a disk, and of a resident one there is none");
            errors.at(draft.dir, wrong.suggest("write as = \"link\", or keep = \"file\" for this certificate"));
            return None;
        }
        let own = [&self.paths.run, &self.paths.state].into_iter().find(|own| draft.install.dir.starts_with(own));
        if let Some(own) = own {
            let wrong = Wrong::value(format!("{} lies in {}, which omens keeps for itself", draft.install.dir.display(), own.display()));
            errors.at(
                draft.dir,
                wrong.suggest("name the consumer's own directory, or let it read the run directory and leave this entry out"),
            );
            return None;
        }
        let mut free = true;
        for (target, place) in draft.targets {
            let first = self.targets.borrow_mut().insert(target.clone(), place);
            if let Some(first) = first {
                errors.push(tree::duplicate(&format!("the install target {}", target.display()), place, first));
                free = false;
            }
        }
        free.then_some(draft.install)
    }
}
