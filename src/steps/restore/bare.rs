//! A committed generation published from what it carries, since its settings are broken ([Restore](crate::steps::swap#restore)). There is no
//! profile to judge it by: it has to be the one that was staged, to the byte.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use super::{failed, nothing};
use crate::config::service::Drivers;
use crate::config::settings::{Faulty, Paths, Remains, Sealing, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::write;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::CertReport;
use crate::model::tcti::Tcti;
use crate::plan::debt::proof_of_live;
use crate::plan::faulty;
use crate::plan::generation::{Condition, Kept};
use crate::plan::inventory::{self, Roots, Tree};
use crate::plan::outlet::Bare;
use crate::plan::sealing::SealingKeys;
use crate::plan::trust::TrustFiles;
use crate::steps::flow::describe_leaf;
use crate::steps::key::Stores;
use crate::steps::swap::{Site, disk_failure, refuse_foreign, run_directory, show_trust};

/// What is known of the host beside its certificates.
pub(super) struct Ground<'a> {
    paths: &'a Paths,
    drivers: Drivers,
    /// What consumers are to trust.
    trust: Arc<TrustFiles>,
    sealing: Option<&'a Sealing>,
    clock: Clock,
    /// Whether its roots are known to be the pinned ones: the settings say so, or a committed generation does.
    is_pinned: Cell<bool>,
    /// Opened for the first key that needs it.
    stores: OnceCell<Stores>,
}

impl<'a> Ground<'a> {
    pub(super) fn of(settings: &'a Settings, clock: Clock) -> Self {
        let (paths, drivers, trust) = (&settings.paths, settings.drivers, super::trust_of(settings));
        Self { paths, drivers, trust, sealing: settings.sealing.as_ref(), clock, is_pinned: Cell::new(true), stores: OnceCell::new() }
    }

    pub(super) fn of_remains(remains: &'a Remains, paths: &'a Paths, all: &[Faulty], clock: Clock) -> Self {
        let trust = Arc::new(faulty::trusted(remains, paths, all).files());
        let (sealing, is_pinned) = (remains.sealing.as_ref(), Cell::new(!remains.anchors.is_empty()));
        Self { paths, drivers: remains.drivers, trust, sealing, clock, is_pinned, stores: OnceCell::new() }
    }

    fn bare(&self) -> Bare<'_> {
        Bare { run: &self.paths.run, drivers: self.drivers, trust: Some(&self.trust) }
    }

    /// Both trees of a certificate.
    pub(super) fn tree(&self, name: &CertName) -> Result<Tree, DiskError> {
        let state = Dir::open(&self.paths.state)?;
        let certs = state.as_ref().map_or(Ok(None), |dir| dir.child(layout::CERTS))?;
        let run = Dir::open(&self.paths.run)?;
        let keys = SealingKeys::read(state.as_ref())?;
        inventory::bare_tree(self.bare(), name, Roots { certs: certs.as_ref(), run: run.as_ref(), trust: Some(&self.trust) }, &keys)
    }

    /// Restores one certificate.
    pub(super) fn restore(&self, faulty: &Faulty) -> CertReport {
        let name = &faulty.name;
        let broken = Warning::new(Code::Settings, faulty.failure().text);
        let report = CertReport { warnings: vec![broken.clone()], ..CertReport::new(name.clone(), Outcome::Kept) };
        let tree = match self.tree(name) {
            Ok(tree) => tree,
            Err(why) => return failed(report, disk_failure(Stage::Publish, &why)),
        };
        let mut report = CertReport { previous: tree.published.generation, generation: tree.published.generation, ..report };
        let Some(live) = &tree.live else { return CertReport { warnings: vec![broken], ..nothing(name) } };
        if live.condition != Condition::Intact {
            return failed(report, damaged(name, live));
        }
        let noted = live.meta.as_ref().map(|meta| &meta.anchor_sha256);
        self.is_pinned.set(self.is_pinned.get() || noted.is_some_and(|noted| self.trust.pins(noted)));
        if live.facts.as_ref().is_some_and(|facts| facts.not_after <= self.clock.now()) {
            report.warnings.push(Warning::new(Code::Expired, "the committed certificate has expired and is published all the same"));
        }
        if let Some(text) = &tree.unpublished {
            report.reasons.push(Reason::new(ReasonCode::Unpublished, text.clone()));
            if let Err(failure) = self.publish(name, live, &mut report.warnings) {
                return failed(report, failure);
            }
            report.outcome = Outcome::Restored;
            report.generation = Some(live.generation);
        }
        report.proof = proof_of_live(&tree);
        describe_leaf(&mut report, live.facts.as_ref());
        report
    }

    fn publish(&self, name: &CertName, live: &Kept, warnings: &mut Vec<Warning>) -> Result<(), Failure> {
        let disk = |why: DiskError| disk_failure(Stage::Publish, &why);
        let gone =
            || DiskError::new("open the directory", self.paths.state.join(layout::CERTS).join(name.as_str()), rustix::io::Errno::NOENT);
        let state = Dir::open(&self.paths.state).map_err(disk)?.ok_or_else(|| disk(gone()))?;
        let certs = state.child(layout::CERTS).map_err(disk)?.ok_or_else(|| disk(gone()))?;
        let var = certs.child(name.as_str()).map_err(disk)?.ok_or_else(|| disk(gone()))?;
        // Always 0755, as in every run: systemd gives the whole tree away otherwise (swap/ondisk.md, "What lies where").
        let root = write::make_path(&self.paths.run, 0o755).map_err(disk)?;
        refuse_foreign([&self.paths.state, &self.paths.run])?;
        let outlet = self.bare().outlet(name, live, warnings);
        let run = run_directory(&root, name, outlet.owner).map_err(disk)?;
        let site = Site { var, run, outlet };
        site.stage(live, &|| self.stores(live).open(name, live)?.material())?;
        warnings.extend(site.show(live).map_err(disk)?);
        Ok(())
    }

    /// The stores of private keys; where the settings do not say which TPM, the generation does.
    fn stores(&self, live: &Kept) -> &Stores {
        self.stores.get_or_init(|| {
            let noted = || live.meta.as_ref()?.tcti.as_deref().and_then(|text| Tcti::parse(text).ok()).map(Sealing::of);
            Stores::over(&self.paths.state, self.sealing.cloned().or_else(noted), None)
        })
    }

    /// Writes what consumers are to trust where they find it.
    pub(super) fn show_trust(&self) {
        if !self.is_pinned.get() {
            return tracing::warn!(
                "what consumers are to trust was not written: neither the settings nor the state directory has the root"
            );
        }
        let shown = write::make_path(&self.paths.run, 0o755).and_then(|root| show_trust(&root, &self.trust));
        if let Err(why) = shown {
            tracing::warn!(%why, "what consumers are to trust was not written");
        }
    }
}

fn damaged(name: &CertName, live: &Kept) -> Failure {
    let why = match &live.condition {
        Condition::Intact => "it is intact",
        Condition::Changed(text) | Condition::Unreadable(text) => text,
        Condition::KeyMismatch => "certificate and key do not belong together",
    };
    let text = format!("{} of {name} cannot be published while its settings are broken: {why}", live.generation);
    Failure::new(Stage::Publish, Code::BlobDamaged, text).hint(format!("mend the settings; then `omens renew {name}` judges it"))
}
