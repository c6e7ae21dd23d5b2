//! What certificates share while they are read, and what no two of them may have.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::driver::{self, DraftInstall};
use super::profile::Profiles;
use super::service::{Drivers, Service};
use super::settings::{Install, InstallKind, Paths};
use super::shape::{Errors, Wrong, parsed};
use super::tree::{self, Node, Place};
use super::value;
use crate::io::account::Lookups;
use crate::model::key::Keep;
use crate::model::name::CertName;
use crate::model::profile::Profile;
use crate::model::renew_at::RenewAt;
use crate::model::report::SettingsError;

/// What certificates share while they are read: their profiles, and what no two of them may have.
#[derive(Debug)]
pub(super) struct Neighbours<'a> {
    pub(super) profiles: Profiles,
    paths: Paths,
    pub(super) has_tpm: bool,
    /// Whether keys are bound to PCRs too.
    pub(super) has_pcrs: bool,
    /// The certificates that logins show.
    identities: Vec<CertName>,
    pub(super) drivers: Drivers,
    /// `[defaults] renew_at`.
    default_renew_at: Option<RenewAt>,
    names: RefCell<BTreeMap<CertName, &'a Place>>,
    targets: RefCell<BTreeMap<PathBuf, &'a Place>>,
    /// What services can take one certificate for.
    taken: RefCell<BTreeMap<String, &'a Place>>,
    /// What all certificates of the settings are called, also those that are not read yet.
    all_names: BTreeSet<&'a str>,
    earlier_names: RefCell<BTreeMap<CertName, &'a Place>>,
    /// The owners of keys.
    pub(super) accounts: Lookups,
}

impl<'a> Neighbours<'a> {
    /// For these `[[certificate]]`s.
    pub(super) fn new(certificates: &'a [Node], paths: Paths, has_tpm: bool, drivers: Drivers) -> Self {
        Self {
            profiles: Profiles::new(&paths.policies),
            paths,
            has_tpm,
            has_pcrs: false,
            identities: Vec::new(),
            drivers,
            default_renew_at: None,
            names: RefCell::default(),
            targets: RefCell::default(),
            taken: RefCell::default(),
            all_names: certificates.iter().filter_map(|node| node.text_of("name")).collect(),
            earlier_names: RefCell::default(),
            accounts: Lookups::default(),
        }
    }

    /// The same with `[defaults] renew_at`.
    pub(super) fn due_at(self, default_renew_at: Option<RenewAt>) -> Self {
        Self { default_renew_at, ..self }
    }

    /// `renamed_from`: a name that no certificate has any more, and that one certificate takes over.
    pub(super) fn earlier_name(&self, node: &'a Node, errors: &Errors) -> Option<CertName> {
        let name = parsed(value::cert_name)(node, errors)?;
        if self.all_names.contains(name.as_str()) {
            let wrong = Wrong::value(format!("the settings still have a certificate \"{name}\": what it has on disk is its own"));
            errors.at(&node.place, wrong.suggest(format!("take the [[certificate]] \"{name}\" out, or leave renamed_from out")));
            return None;
        }
        if let Some(first) = self.earlier_names.borrow().get(&name) {
            errors.push(tree::duplicate(&format!("the earlier name \"{name}\""), &node.place, first));
            return None;
        }
        self.earlier_names.borrow_mut().insert(name.clone(), &node.place);
        Some(name)
    }

    /// The same where keys are bound to PCRs too.
    pub(super) fn with_pcrs(self, has_pcrs: bool) -> Self {
        Self { has_pcrs, ..self }
    }

    /// The same where logins show these certificates.
    pub(super) fn with_identities(self, identities: Vec<CertName>) -> Self {
        Self { identities, ..self }
    }

    /// Whether a login shows the certificate of this name.
    pub(super) fn is_identity(&self, name: Option<&CertName>) -> bool {
        name.is_some_and(|name| self.identities.contains(name))
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

    /// When a certificate is due: as it says itself, or its profile, or `[defaults]`.
    pub(super) fn renew_at(
        &self,
        own: Option<(&Place, RenewAt)>,
        ttl: Duration,
        profile: Option<&Profile>,
        certificate: &Place,
        errors: &Errors,
    ) -> Option<RenewAt> {
        let of_profile = profile.and_then(|profile| Some((format!("renew_at of profile {}: ", profile.name), profile.renew_at?)));
        let of_defaults = || self.default_renew_at.map(|at| ("renew_at of [defaults]: ".to_owned(), at));
        let (place, (whose, at)) = match (own, of_profile.or_else(of_defaults)) {
            (Some((place, at)), _) => (place, (String::new(), at)),
            (None, Some(other)) => (certificate, other),
            (None, None) => return Some(RenewAt::Usual),
        };
        let suggest = "write another time, or a share of the lifetime such as 0.7";
        at.suit(ttl).map(|()| at).map_err(|text| errors.at(place, Wrong::value(format!("{whose}{text}")).suggest(suggest))).ok()
    }

    /// `reload`, of which no other certificate may name what is for one alone.
    pub(super) fn reload(&self, node: &'a Node, errors: &Errors) -> Option<Vec<Arc<dyn Service>>> {
        let services = driver::reload(node, errors, self.drivers)?;
        for what in services.iter().filter_map(|service| service.takes_one()) {
            if let Some(first) = self.taken.borrow_mut().insert(what.clone(), &node.place) {
                errors.push(tree::duplicate(&what, &node.place, first));
                return None;
            }
        }
        Some(services)
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
