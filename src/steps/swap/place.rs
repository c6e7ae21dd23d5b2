//! Where one certificate lies: its directories in both trees, opened once and used by descriptor from then on.

use std::path::Path;
use std::sync::Arc;

use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError, Kind};
use crate::io::tpm::limit::Unanswered;
use crate::io::write::{self, Ownership};
use crate::judge::pem;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::secret::Material;
use crate::plan::generation::key_of_pem;
use crate::steps::key::Stores;

/// Both trees of a run, opened once: two descriptors, however many certificates are on their way.
#[derive(Debug)]
pub struct Trees {
    settings: Arc<Settings>,
    certs: Dir,
    run: Dir,
    stores: Arc<Stores>,
}

/// Whoever owns a directory can put something else in the place of what lies in it.
fn foreign(path: &Path, uid: u32) -> Failure {
    let text = format!(
        "{} belongs to the user {uid}, expected the one that omens runs as: its owner can exchange what lies in it",
        path.display()
    );
    let hint = format!("give it back with chown, after a look at what lies in {}", path.display());
    Failure::new(Stage::Publish, Code::ForeignOwner, text).hint(hint)
}

impl Trees {
    /// Opens both trees, making what is missing with their modes ([Owners and modes](crate::steps::swap#owners-and-modes)), and writes the
    /// pinned root where consumers find it.
    ///
    /// # Errors
    /// When a directory cannot be made or opened, or something that is not ours lies in its place.
    pub fn open(settings: &Arc<Settings>) -> Result<Arc<Self>, Failure> {
        Self::open_with(settings, Arc::new(Stores::of(settings, Unanswered::default())))
    }

    /// The same with stores that there are already.
    ///
    /// # Errors
    /// The same.
    pub fn open_with(settings: &Arc<Settings>, stores: Arc<Stores>) -> Result<Arc<Self>, Failure> {
        let trees = Self::make(settings, stores).map_err(|why| failure(Stage::Publish, &why))?;
        for path in [&settings.paths.state, &settings.paths.run] {
            let found = Dir::open(path).and_then(|dir| dir.map_or(Ok(None), |dir| dir.foreign_owner()));
            if let Some(uid) = found.map_err(|why| failure(Stage::Publish, &why))? {
                return Err(foreign(path, uid));
            }
        }
        Ok(Arc::new(trees))
    }

    fn make(settings: &Arc<Settings>, stores: Arc<Stores>) -> Result<Self, DiskError> {
        let state = write::make_path(&settings.paths.state, 0o700)?;
        let (certs, made) = write::make_dir(&state, layout::CERTS, 0o700, Ownership::default())?;
        if made {
            write::sync(&state)?;
        }
        // 0755 always: systemd re-owns a RuntimeDirectory's whole tree at start if its top is not root's (swap/ondisk.md,
        // "What lies where").
        let run = write::make_path(&settings.paths.run, 0o755)?;
        show_anchor(&run, settings)?;
        Ok(Self { settings: settings.clone(), certs, run, stores })
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &Arc<Settings> {
        &self.settings
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
        let (run, _) = write::make_dir(&trees.run, name.as_str(), 0o750, directory_owner(certificate))?;
        clean(&var)?;
        clean(&run)?;
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

    /// The run's stores of private keys.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.trees.stores
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

/// Directories in the run tree are entered by the group; a certificate with an owner but no group is entered by its owner.
fn directory_owner(certificate: &Certificate) -> Ownership {
    let owner = certificate.owner;
    Ownership { uid: owner.uid.filter(|_| owner.gid.is_none()), gid: owner.gid }
}

/// Owner of a published file.
pub(super) const fn file_owner(certificate: &Certificate) -> Ownership {
    Ownership { uid: certificate.owner.uid, gid: certificate.owner.gid }
}

/// Owner of a published generation's directory.
pub(super) fn generation_owner(certificate: &Certificate) -> Ownership {
    directory_owner(certificate)
}

/// Writes the pinned root where consumers find it, if it is not there.
fn show_anchor(run_root: &Dir, settings: &Settings) -> Result<(), DiskError> {
    let text = pem::write(&settings.anchor.der);
    let (trust, _) = write::make_dir(run_root, layout::TRUST, 0o755, Ownership::default())?;
    clean(&trust)?;
    if trust.read(layout::ANCHOR)?.is_some_and(|found| found.bytes.as_slice() == text.as_bytes()) {
        return Ok(());
    }
    write::replace_any(&trust, layout::ANCHOR, text.as_bytes(), 0o644, Ownership::default())
}

/// Removes dot-names, which a killed run leaves. The only links among them are temporaries of `live` and of `nginx.conf`; another one was put
/// there by somebody else, and is an error.
fn clean(dir: &Dir) -> Result<(), DiskError> {
    for name in dir.names()?.iter().filter(|n| n.starts_with('.')) {
        if dir.kind(name)? == Some(Kind::Link) && !name.starts_with(".live.") && !name.starts_with(".nginx.conf.") {
            return Err(DiskError::new("use", dir.join(name), rustix::io::Errno::LOOP));
        }
        write::remove(dir, name)?;
    }
    Ok(())
}

/// A disk's refusal as a failure of a stage.
pub(in crate::steps) fn failure(stage: Stage, why: &DiskError) -> Failure {
    why.failure(stage)
}
