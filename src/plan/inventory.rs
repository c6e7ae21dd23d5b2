//! What is there: both trees and `state.json` of every certificate. Reads files only; never the ledger, the network or the TPM.

mod committed;
mod consumers;
mod each;
mod host;
mod listing;
mod seen;
mod state_file;

use std::path::Path;
use std::sync::Arc;

use super::generation::{Condition, Kept};
use super::links;
use super::outlet::{Bare, Outlet};
use super::rename::Rename;
use super::sealing::SealingKeys;
use super::trust::TrustFiles;
use crate::config::settings::{Certificate, Faulty, Settings};
use crate::io::dir::{Buffer, Dir, DiskError};
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::failure::Failure;
use crate::model::key::Keep;
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::state::{KeyRefused, State, UnderWay};
use committed::committed;
use consumers::{differs, foreign, published_leaf};
pub use consumers::{outlet_differs, published, unpublished};
pub use each::each;
pub use host::Host;
use host::Places;
pub(super) use host::unnamed;
use listing::Listing;
pub use seen::{Depth, to_remember};
pub use state_file::StateFile;

/// Both trees, as far as the settings name them.
#[derive(Debug)]
pub struct Inventory {
    /// One for each certificate asked about, in the order of the settings.
    pub certificates: Vec<Observed>,
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// Directories of certificates that the settings no longer name; kept, never deleted in silence.
    pub unnamed: Vec<String>,
    /// Certificates that consumers still find, and that the settings no longer name.
    pub still_published: Vec<String>,
    /// The sealing keys.
    pub sealing: SealingKeys,
    /// What consumers are to trust.
    pub trust: Arc<TrustFiles>,
}

impl Inventory {
    /// What is left in either tree of certificates that the settings no longer name, each once.
    #[must_use]
    pub fn left_over(&self) -> Vec<String> {
        let published = self.still_published.iter().filter(|name| !self.unnamed.contains(name));
        self.unnamed.iter().chain(published).cloned().collect()
    }
}

/// One certificate on disk.
#[derive(Debug)]
pub struct Observed {
    /// Its name.
    pub name: CertName,
    /// Both trees, or why they cannot be read.
    pub tree: Result<Tree, DiskError>,
}

impl Tree {
    /// Why a run must not touch it: a newer omens wrote its state, or a person has to choose between two names of it.
    ///
    /// # Errors
    /// Stage `plan`, code `state-newer` or `rename-conflict`.
    pub fn demand_ours(&self, name: &CertName) -> Result<(), Failure> {
        self.rename.demand_done(name)?;
        self.state_file.demand_ours(name)
    }
}

impl Tree {
    /// Whether everything in it was read, as whoever is to act on it needs it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.live.iter().chain(&self.debt).all(Kept::is_whole)
    }

    /// What is known of the committed key not signing any more: a run that learnt it has noted it, so that nobody has to ask the TPM.
    #[must_use]
    pub fn refused_key(&self) -> Option<&KeyRefused> {
        let live = self.live.as_ref().filter(|live| live.keep == Keep::Resident)?;
        self.state.key_refused.as_ref().filter(|refused| refused.generation == live.generation)
    }
}

/// Both trees of one certificate.
#[derive(Debug, Default)]
pub struct Tree {
    /// `state.json`; empty where there is none.
    pub state: State,
    /// Whether `state.json` could be understood.
    pub state_file: StateFile,
    /// The largest generation number ever seen.
    pub largest: u64,
    /// The committed generation.
    pub live: Option<Kept>,
    /// The newest complete generation after `live` that is not withdrawn.
    pub debt: Option<Kept>,
    /// All complete generations newer than `live`.
    pub newer: Vec<Generation>,
    /// All complete generations in the state directory.
    pub complete: Vec<Generation>,
    /// Those that `state.json` alone says are withdrawn, without a mark that outlives it.
    pub unmarked: Vec<Generation>,
    /// Those of them whose key lies there in clear, where the settings ask for a sealed one.
    pub in_clear: Vec<Generation>,
    /// What consumers read.
    pub published: Published,
    /// Why the run tree is not equal to `live`; `None` where it is.
    pub unpublished: Option<String>,
    /// The first link at a consumer's own path that does not lead to `live`, in words.
    pub missing_link: Option<String>,
    /// What its consumers are to trust and did not take up yet, in words.
    pub trust_changed: Option<String>,
    /// Why others than its owner may read a key where that rests, or exchange what is committed, in words.
    pub loose: Option<String>,
    /// A run that is at work on it; what that has done so far is not in here then.
    pub under_way: Option<UnderWay>,
    /// Whether a killed run left something half-made.
    pub leftovers: bool,
    /// Where it lies, if it had another name before.
    pub rename: Rename,
}

/// What the run directory's `live` names.
#[derive(Debug, Default)]
pub struct Published {
    /// The generation.
    pub generation: Option<Generation>,
    /// Its leaf, where it parses.
    pub facts: Option<Facts>,
}

/// Reads about these certificates what this depth asks for.
///
/// # Errors
/// When the state directory itself cannot be read.
pub fn take(settings: &Settings, wanted: &[&Certificate], depth: Depth) -> Result<Inventory, DiskError> {
    let observed = |certificate: &Certificate, tree| Observed { name: certificate.name().clone(), tree };
    let (Host { last_run, unnamed, still_published, sealing, trust, .. }, certificates) = each(settings, wanted, depth, observed)?;
    Ok(Inventory { certificates, last_run, unnamed, still_published, sealing, trust })
}

/// Where the trees of all certificates lie.
#[derive(Clone, Copy, Debug)]
pub struct Roots<'a> {
    /// `certs` of the state directory.
    pub certs: Option<&'a Dir>,
    /// The run directory.
    pub run: Option<&'a Dir>,
    /// What consumers are to trust, where it is known.
    pub trust: Option<&'a Arc<TrustFiles>>,
}

/// Both trees of one certificate, where it is known what consumers are to trust.
///
/// # Errors
/// When something that is there cannot be read.
pub fn one(settings: &Settings, certificate: &Certificate, trust: &Arc<TrustFiles>) -> Result<Tree, DiskError> {
    let Places { state, certs, run } = Places::open(settings)?;
    let keys = SealingKeys::read(state.as_ref())?;
    let roots = Roots { certs: certs.as_ref(), run: run.as_ref(), trust: Some(trust) };
    look_at(settings, certificate, roots, &keys, &mut Buffer::default())
}

/// Both trees of a certificate whose settings are broken, compared by what its committed generation carries.
///
/// # Errors
/// When something that is there cannot be read.
pub fn bare_tree(bare: Bare<'_>, faulty: &Faulty, roots: Roots<'_>, keys: &SealingKeys) -> Result<Tree, DiskError> {
    let (name, earlier) = (&faulty.name, faulty.renamed_from.as_ref());
    let outlet = |live: &Kept| bare.outlet(name, live, &mut Vec::new());
    let subject = Subject { name, earlier, keep: None, run: bare.run, outlet: &outlet, missing_link: &|| None, trust_changed: &|_| None };
    subject.look_at(roots, keys, &mut Buffer::default())
}

fn look_at(
    settings: &Settings,
    certificate: &Certificate,
    roots: Roots<'_>,
    keys: &SealingKeys,
    buffer: &mut Buffer,
) -> Result<Tree, DiskError> {
    let outlet = |live: &Kept| Outlet::of_settings(settings, certificate, live.generation, roots.trust.cloned());
    let name = certificate.name();
    Subject {
        name,
        earlier: certificate.renamed_from.as_ref(),
        keep: Some(certificate.keep),
        run: &settings.paths.run,
        outlet: &outlet,
        missing_link: &|| links::missing(settings, certificate),
        trust_changed: &|state| roots.trust.and_then(|trust| trust.changed(certificate, state)),
    }
    .look_at(roots, keys, buffer)
}

/// A certificate that is looked at.
struct Subject<'a> {
    name: &'a CertName,
    /// The name that it had before.
    earlier: Option<&'a CertName>,
    /// How the settings want its key to be kept, where they say it.
    keep: Option<Keep>,
    /// The run directory.
    run: &'a Path,
    /// How a generation of it reaches consumers.
    outlet: &'a dyn Fn(&Kept) -> Outlet,
    /// The first of its links that is not there.
    missing_link: &'a dyn Fn() -> Option<String>,
    /// What its consumers are to trust and did not take up yet.
    trust_changed: &'a dyn Fn(&State) -> Option<String>,
}

impl Subject<'_> {
    fn look_at(&self, roots: Roots<'_>, keys: &SealingKeys, buffer: &mut Buffer) -> Result<Tree, DiskError> {
        let name = self.name.as_str();
        let rename = Rename::of(self.name, self.earlier, roots.certs)?;
        let mut var = roots.certs.map_or(Ok(None), |certs| certs.child(rename.name_on_disk(self.name).as_str()))?;
        let mut run = roots.run.map_or(Ok(None), |run| run.child(name))?;
        let mut tree = Tree { rename, ..Tree::default() };
        if let Some(var) = &mut var {
            committed(self.keep, var, keys, &mut tree, buffer)?;
        }
        let mut named = None;
        if let Some(run) = &mut run {
            let listing = Listing::of(run)?;
            tree.largest = tree.largest.max(listing.largest());
            tree.leftovers |= listing.leftovers;
            named = run.link(layout::LIVE)?;
            tree.published.generation = named.as_deref().and_then(Generation::parse);
        }
        // What is not what was staged is due for that reason, whatever consumers read.
        if let Some(live) = tree.live.as_ref().filter(|live| live.condition == Condition::Intact) {
            tree.unpublished = match &run {
                None => Some(format!("{} is gone", self.run.join(name).display())),
                Some(run) => match foreign(roots)? {
                    None => differs(&(self.outlet)(live), run, named.as_deref(), live, buffer)?,
                    is_foreign => is_foreign,
                },
            };
            tree.missing_link = (self.missing_link)();
            tree.trust_changed = (self.trust_changed)(&tree.state);
            // Equal trees hold equal leaves: nothing is parsed twice.
            if tree.unpublished.is_none() && tree.published.generation == Some(live.generation) {
                tree.published.facts.clone_from(&live.facts);
                return Ok(tree);
            }
        }
        if let Some((run, generation)) = run.as_ref().zip(tree.published.generation) {
            tree.published.facts = published_leaf(run, generation)?;
        }
        Ok(tree)
    }
}
