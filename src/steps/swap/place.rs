//! Where one certificate lies: its directories in both trees, opened once and used by descriptor from then on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::foreign::{refuse_foreign, run_root};
use super::leftovers::{clean, close_to_others};
use super::site::{Site, directory_owner};
use super::trust::{self, Announced, Trust};
use super::withdrawn;
use crate::config::settings::{Certificate, Owner, Settings};
use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::write::{self, Ownership};
use crate::model::anchor::Fingerprint;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::secret::Material;
use crate::model::working::Working;
use crate::plan::generation::{Kept, key_of_pem};
use crate::plan::outlet::Outlet;
use crate::plan::trust::TrustFiles;
use crate::steps::key::Stores;

/// Both trees of a run, opened once: two descriptors, however many certificates are on their way.
#[derive(Debug)]
pub struct Trees {
    settings: Arc<Settings>,
    certs: Dir,
    run: Dir,
    stores: Arc<Stores>,
    /// What consumers are to trust, and what of it lies in the run directory.
    trust: Mutex<Trust>,
}

impl Trees {
    /// Opens both trees, making what is missing with their modes ([Owners and modes](crate::steps::swap#owners-and-modes)), and writes what
    /// consumers are to trust where they find it.
    ///
    /// # Errors
    /// When a directory cannot be made or opened, or something that is not ours lies in its place.
    pub fn open(settings: &Arc<Settings>) -> Result<Arc<Self>, Failure> {
        Self::open_with(settings, Arc::new(Stores::of(settings, None)))
    }

    /// The same with stores that there are already.
    ///
    /// # Errors
    /// The same.
    pub fn open_with(settings: &Arc<Settings>, stores: Arc<Stores>) -> Result<Arc<Self>, Failure> {
        let disk = |why: DiskError| failure(Stage::Publish, &why);
        let state = write::make_path(&settings.paths.state, 0o700).map_err(disk)?;
        refuse_foreign(&state)?;
        let run = run_root(&settings.paths)?;
        Self::make(settings, stores, &state, run).map(Arc::new).map_err(disk)
    }

    fn make(settings: &Arc<Settings>, stores: Arc<Stores>, state: &Dir, run: Dir) -> Result<Self, DiskError> {
        let (certs, made) = write::make_dir(state, layout::CERTS, 0o700, Ownership::default())?;
        if made {
            write::sync(state)?;
        }
        trust::keep(state, &settings.anchors())?;
        let trust = Mutex::new(Trust::open(settings, state, &certs, &run)?);
        Ok(Self { settings: settings.clone(), certs, run, stores, trust })
    }

    /// What consumers are to trust now.
    #[must_use]
    pub fn trust(&self) -> Arc<TrustFiles> {
        self.lock_trust().files().clone()
    }

    /// Lets consumers find the intermediates of chains that are about to be published, in place of those that are committed.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn announce(&self, chains: impl Iterator<Item = Announced>) -> Result<(), DiskError> {
        self.lock_trust().announce(&self.run, chains)
    }

    /// The same from what is committed by now: of what was announced, not everything is deployed.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn settle_trust(&self) -> Result<(), DiskError> {
        self.lock_trust().settle(&self.settings, &self.certs, &self.run)
    }

    /// Lets consumers find the revocation lists that are kept by now.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(in crate::steps) fn take_lists(&self) -> Result<(), DiskError> {
        self.lock_trust().take_lists(&self.settings, &self.run)
    }

    /// What there is to say of revocation lists that consumers do not find any more.
    pub(in crate::steps) fn removed_lists(&self) -> Vec<Warning> {
        self.lock_trust().removed().warnings()
    }

    /// Whether anything is committed or announced that says who issues.
    pub(in crate::steps) fn has_chains(&self) -> bool {
        self.lock_trust().has_chains()
    }

    fn lock_trust(&self) -> MutexGuard<'_, Trust> {
        // A panic elsewhere cannot leave it half-changed: its files are compared with what lies there before each write.
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Lets `status` know what is about to be signed, until [`Trees::ends_work`]. It is for people: what cannot be written stops nothing.
    pub(in crate::steps) fn begins_work(&self, working: &Working) {
        self.ends_work();
        // Not renamed into place: half of it says nothing, and a kill leaves one name only. Nor flushed: it counts while this run holds its
        // lock.
        let wrote = write::json(&self.run, layout::WORKING, working)
            .and_then(|bytes| write::write_passing(&self.run, layout::WORKING, &bytes, 0o600));
        if let Err(why) = wrote {
            tracing::debug!(%why, "what the run is about to do was not noted");
        }
    }

    /// Takes that back, also what a killed run left.
    pub(in crate::steps) fn ends_work(&self) {
        if let Err(why) = write::remove(&self.run, layout::WORKING) {
            tracing::debug!(%why, "what the run was about to do is still noted");
        }
    }

    /// `NAME` of the run directory, where it is there.
    pub(super) fn run_of(&self, name: &CertName) -> Result<Option<Dir>, DiskError> {
        self.run.child(name.as_str())
    }

    /// The run's stores of private keys.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.stores
    }
}

/// The place of one certificate. It holds no descriptor of its own: a thousand certificates may be on their way at once.
#[derive(Debug)]
pub struct Place {
    trees: Arc<Trees>,
    index: usize,
}

impl Place {
    /// The place of a certificate, with both directories made where they are missing, and without what a killed run left half-made.
    ///
    /// # Errors
    /// When a directory cannot be made or opened, or something that is not ours lies in its place.
    pub fn open(trees: &Arc<Trees>, name: &CertName) -> Result<Self, Failure> {
        Self::make_dirs(trees, name).map_err(|why| failure(Stage::Publish, &why))
    }

    fn make_dirs(trees: &Arc<Trees>, name: &CertName) -> Result<Self, DiskError> {
        let missing = || DiskError::new("find in the settings", trees.certs.join(name.as_str()), rustix::io::Errno::NOENT);
        let mut named = trees.settings.certificates.iter().enumerate();
        let (index, certificate) = named.find(|(_, c)| c.name() == name).ok_or_else(missing)?;
        let (var, made) = write::make_dir(&trees.certs, name.as_str(), 0o700, Ownership::default())?;
        if made {
            write::sync(&trees.certs)?;
        }
        clean(&var)?;
        close_to_others(&var)?;
        withdrawn::clean(&var)?;
        run_directory(&trees.run, name, certificate.owner)?;
        Ok(Self { trees: trees.clone(), index })
    }

    /// `certs/NAME` of the state directory; a link in its place is not followed.
    ///
    /// # Errors
    /// When it is not there any more, or something else is.
    pub(in crate::steps) fn var(&self) -> Result<Dir, DiskError> {
        existing(&self.trees.certs, self.name())
    }

    /// `NAME` of the run directory, opened likewise.
    ///
    /// # Errors
    /// When it is not there any more, or something else is.
    pub(in crate::steps) fn run(&self) -> Result<Dir, DiskError> {
        existing(&self.trees.run, self.name())
    }

    /// Where a generation of it is published.
    ///
    /// # Errors
    /// As [`Place::var`] and [`Place::run`].
    pub(super) fn site(&self, kept: &Kept) -> Result<Site, DiskError> {
        let outlet = Outlet::of_settings(self.settings(), self.certificate(), kept.generation, Some(self.trees.trust()));
        Ok(Site { var: self.var()?, run: self.run()?, outlet })
    }

    /// The run's stores of private keys.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.trees.stores
    }

    /// The trust files that consumers of this certificate read now, with their SHA-256.
    #[must_use]
    pub fn trusted(&self) -> BTreeMap<String, Fingerprint> {
        self.trees.trust().read_by(self.certificate())
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.trees.settings
    }

    /// The certificate's settings.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        // `index` was found in these very settings, which never change.
        #[expect(clippy::indexing_slicing, reason = "the index was found in this vector by make_dirs")]
        &self.trees.settings.certificates[self.index]
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &CertName {
        self.certificate().name()
    }

    /// What the run directory's `live` names.
    #[must_use]
    pub fn published(&self) -> Option<Generation> {
        live(self.run())
    }

    /// What the state directory's `live` names.
    #[must_use]
    pub fn committed(&self) -> Option<Generation> {
        live(self.var())
    }

    /// The private key that consumers find at `live`, if it is the one of this public key (DER of the SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// When it is there and may not be read.
    pub fn published_key(&self, spki: &[u8]) -> Result<Option<Material>, DiskError> {
        let run = self.run()?;
        let Some(link) = run.link(layout::LIVE)? else { return Ok(None) };
        let content = run.child(&link)?.map_or(Ok(None), |dir| dir.read(layout::KEY))?;
        let own = content.filter(|content| key_of_pem(&content.bytes).is_ok_and(|key| key.spki() == spki));
        Ok(own.map(|content| Material::Pem(content.bytes)))
    }

    /// Whether the state directory holds this generation whole.
    #[must_use]
    pub fn is_complete(&self, generation: Generation) -> bool {
        self.var().and_then(|var| var.kind(&generation.to_string())).is_ok_and(|kind| kind == Some(Kind::Directory))
    }
}

fn existing(root: &Dir, name: &CertName) -> Result<Dir, DiskError> {
    root.child(name.as_str())?.ok_or_else(|| DiskError::new("open the directory", root.join(name.as_str()), rustix::io::Errno::NOENT))
}

fn live(dir: Result<Dir, DiskError>) -> Option<Generation> {
    dir.and_then(|dir| dir.link(layout::LIVE)).ok().flatten().as_deref().and_then(Generation::parse)
}

/// `NAME` of the run directory, made where it is missing, and without what a killed run left half-made.
///
/// # Errors
/// When it cannot be made or opened, or something that is not ours lies in its place.
pub fn run_directory(run_root: &Dir, name: &CertName, owner: Owner) -> Result<Dir, DiskError> {
    let (run, _) = write::make_dir(run_root, name.as_str(), 0o750, directory_owner(owner))?;
    clean(&run)?;
    Ok(run)
}

/// A disk's refusal as a failure of a stage.
pub(in crate::steps) fn failure(stage: Stage, why: &DiskError) -> Failure {
    why.failure(stage)
}
