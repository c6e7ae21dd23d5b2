//! What all certificates of a `restore` share, and the way of one generation back to its consumers. Nothing of that is written to the state
//! directory, which may have come back read-only: what a killed run left half-made there is for the next run to remove.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use crate::config::service::Drivers;
use crate::config::settings::{Faulty, Paths, Remains, Sealing, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::model::anchor::Fingerprint;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::tcti::Tcti;
use crate::plan::faulty;
use crate::plan::generation::Kept;
use crate::plan::inventory::{self, Roots, Tree};
use crate::plan::outlet::{Bare, Outlet};
use crate::plan::rename::Rename;
use crate::plan::sealing::SealingKeys;
use crate::plan::trust::{TrustFiles, Trusted};
use crate::steps::key::Stores;
use crate::steps::swap::{Site, disk_failure, run_directory, run_root, show_trust};

/// What is known of the host beside its certificates.
pub(super) struct Ground<'a> {
    paths: &'a Paths,
    drivers: Drivers,
    /// What consumers are to trust.
    pub(super) trust: Arc<TrustFiles>,
    sealing: Option<&'a Sealing>,
    /// Whether its roots are known to be the pinned ones: the settings say so, or a committed generation does.
    is_pinned: Cell<bool>,
    /// Whether they were written where consumers find them.
    is_shown: Cell<bool>,
    /// Opened for the first key that needs it.
    stores: OnceCell<Stores>,
}

impl<'a> Ground<'a> {
    /// By what is committed; where that cannot be read, each certificate says so in its turn.
    pub(super) fn of(settings: &'a Settings) -> Self {
        let certs = Dir::open(&settings.paths.state).ok().flatten().and_then(|state| state.child(layout::CERTS).ok().flatten());
        let trust = Arc::new(Trusted::of_settings(settings, certs.as_ref()).files());
        let ground = Self::new(&settings.paths, settings.drivers, trust, settings.sealing.as_ref());
        ground.is_pinned.set(true);
        ground
    }

    pub(super) fn of_remains(remains: &'a Remains, paths: &'a Paths, all: &[Faulty]) -> Self {
        let trust = Arc::new(faulty::trusted(remains, paths, all).files());
        let ground = Self::new(paths, remains.drivers, trust, remains.sealing.as_ref());
        ground.is_pinned.set(!remains.anchors.is_empty());
        ground
    }

    fn new(paths: &'a Paths, drivers: Drivers, trust: Arc<TrustFiles>, sealing: Option<&'a Sealing>) -> Self {
        let (is_pinned, is_shown, stores) = (Cell::default(), Cell::default(), OnceCell::new());
        Self { paths, drivers, trust, sealing, is_pinned, is_shown, stores }
    }

    /// How generations are published where the settings do not say it.
    pub(super) fn bare(&self) -> Bare<'_> {
        Bare { run: &self.paths.run, drivers: self.drivers, trust: Some(&self.trust) }
    }

    /// Both trees of a certificate whose settings are broken.
    pub(super) fn tree(&self, faulty: &Faulty) -> Result<Tree, DiskError> {
        let state = Dir::open(&self.paths.state)?;
        let certs = state.as_ref().map_or(Ok(None), |dir| dir.child(layout::CERTS))?;
        let run = Dir::open(&self.paths.run)?;
        let keys = SealingKeys::read(state.as_ref())?;
        inventory::bare_tree(self.bare(), faulty, Roots { certs: certs.as_ref(), run: run.as_ref(), trust: Some(&self.trust) }, &keys)
    }

    /// A committed generation was checked against this root.
    pub(super) fn pins(&self, root: &Fingerprint) {
        self.is_pinned.set(self.is_pinned.get() || self.trust.pins(root));
    }

    /// Publishes a generation that lies under `on_disk` in the state directory as the one of `name`.
    pub(super) fn publish(&self, name: &CertName, on_disk: &CertName, kept: &Kept, outlet: Outlet) -> Result<Vec<Warning>, Failure> {
        let disk = |why: DiskError| disk_failure(Stage::Publish, &why);
        let gone =
            || DiskError::new("open the directory", self.paths.state.join(layout::CERTS).join(on_disk.as_str()), rustix::io::Errno::NOENT);
        let state = Dir::open(&self.paths.state).map_err(disk)?.ok_or_else(|| disk(gone()))?;
        let certs = state.child(layout::CERTS).map_err(disk)?.ok_or_else(|| disk(gone()))?;
        let var = certs.child(on_disk.as_str()).map_err(disk)?.ok_or_else(|| disk(gone()))?;
        let root = run_root(self.paths)?;
        if self.is_pinned.get() {
            self.show_trust();
        }
        let run = run_directory(&root, name, outlet.owner).map_err(disk)?;
        let site = Site { var, run, outlet };
        site.stage(kept, &|| self.stores(kept).open(on_disk, kept)?.material())?;
        site.show(kept).map_err(disk)
    }

    /// What was not carried over to its new name yet is what consumers read under the earlier one: there it comes back as well.
    pub(super) fn publish_earlier(&self, tree: &Tree, kept: &Kept, warnings: &mut Vec<Warning>) {
        let Rename::Pending(earlier) = &tree.rename else { return };
        let outlet = self.bare().outlet(earlier, kept, warnings);
        match self.publish(earlier, earlier, kept, outlet) {
            Ok(more) => warnings.extend(more),
            Err(why) => warnings.push(Warning::new(why.code, format!("not published as {earlier} again: {}", why.text))),
        }
    }

    /// The stores of private keys; where the settings do not say which TPM, the generation does.
    fn stores(&self, kept: &Kept) -> &Stores {
        self.stores.get_or_init(|| {
            let noted = || kept.meta().ok()??.tcti.as_deref().and_then(|text| Tcti::parse(text).ok()).map(Sealing::of);
            Stores::over(&self.paths.state, self.sealing.cloned().or_else(noted), None)
        })
    }

    /// Writes what consumers are to trust where they find it, once. That it cannot be written keeps no certificate from them.
    pub(super) fn show_trust(&self) {
        if self.is_shown.replace(true) {
            return;
        }
        if !self.is_pinned.get() {
            return tracing::warn!(
                "what consumers are to trust was not written: neither the settings nor the state directory has the root"
            );
        }
        let disk = |why: DiskError| disk_failure(Stage::Publish, &why);
        let shown = run_root(self.paths).and_then(|root| show_trust(&root, &self.trust).map_err(disk));
        if let Err(why) = shown {
            tracing::warn!(%why, "what consumers are to trust was not written");
        }
    }
}
