//! What is there: both trees and `state.json` of every certificate. Reads files only; never the ledger, the network or the TPM.

use super::copies::copy_differs;
use super::generation::{Condition, Kept, certificates, difference};
use super::sealing::{SealingKeys, in_clear};
use crate::config::settings::{Certificate, InstallKind, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::judge::cert::Facts;
use crate::judge::pem;
use crate::model::canonical;
use crate::model::clock::Time;
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::state::{self, State};

/// Below this number a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 64;

/// Both trees, as far as the settings name them.
#[derive(Debug)]
pub struct Inventory {
    /// One for each certificate asked about, in the order of the settings.
    pub certificates: Vec<Observed>,
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// Directories of certificates that the settings no longer name; kept, never deleted in silence.
    pub unnamed: Vec<String>,
    /// Whether the trust anchor for consumers is missing or another one, or a killed run left something half-made beside it.
    pub half_made: bool,
    /// The sealing keys.
    pub sealing: SealingKeys,
}

/// One certificate on disk.
#[derive(Debug)]
pub struct Observed {
    /// Its name.
    pub name: CertName,
    /// Both trees, or why they cannot be read.
    pub tree: Result<Tree, DiskError>,
}

/// Both trees of one certificate.
#[derive(Debug, Default)]
pub struct Tree {
    /// `state.json`; empty where there is none.
    pub state: State,
    /// Why `state.json` could not be understood.
    pub state_broken: Option<String>,
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
    /// Those of them whose key lies there in clear, where the settings ask for a sealed one.
    pub in_clear: Vec<Generation>,
    /// What consumers read.
    pub published: Published,
    /// Why the run tree is not equal to `live`; `None` where it is.
    pub unpublished: Option<String>,
    /// Whether a killed run left something half-made.
    pub leftovers: bool,
}

/// What the run directory's `live` names.
#[derive(Debug, Default)]
pub struct Published {
    /// The generation.
    pub generation: Option<Generation>,
    /// Its leaf, where it parses.
    pub facts: Option<Facts>,
}

/// Reads everything about these certificates.
///
/// # Errors
/// When the state directory itself cannot be read.
pub fn take(settings: &Settings, wanted: &[&Certificate]) -> Result<Inventory, DiskError> {
    let state = Dir::open(&settings.paths.state)?;
    let certs = match &state {
        Some(dir) => dir.child(layout::CERTS)?,
        None => None,
    };
    let last_run = match &state {
        Some(dir) => dir.modified(layout::LOCK)?.map(Time::from_unix),
        None => None,
    };
    let run = Dir::open(&settings.paths.run)?;
    let trust = run.as_ref().map_or(Ok(None), |run| run.child(layout::TRUST))?;
    let half_made = match (&run, trust) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(_), Some(trust)) => {
            let right =
                trust.read(layout::ANCHOR)?.is_some_and(|found| found.bytes.as_slice() == pem::write(&settings.anchor.der).as_bytes());
            !right || trust.names()?.iter().any(|n| n.starts_with('.'))
        }
    };
    let unnamed = certs.as_ref().map_or(Ok(Vec::new()), |dir| unnamed(dir, settings))?;
    let sealing = SealingKeys::read(state.as_ref())?;
    let trees = (certs.as_ref(), run.as_ref());
    let look = |part: &[&Certificate]| -> Vec<Observed> {
        let one = |c: &&Certificate| Observed { name: c.name().clone(), tree: tree(settings, c, trees, &sealing) };
        part.iter().map(one).collect()
    };
    let certificates = if wanted.len() < WORTH_A_THREAD {
        look(wanted)
    } else {
        let (first, second) = wanted.split_at(wanted.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| look(second));
            let mut all = look(first);
            all.extend(other.join().unwrap_or_else(|_| look(second)));
            all
        })
    };
    Ok(Inventory { certificates, last_run, unnamed, half_made, sealing })
}

fn unnamed(certs: &Dir, settings: &Settings) -> Result<Vec<String>, DiskError> {
    let named: std::collections::BTreeSet<&str> = settings.certificates.iter().map(|c| c.name().as_str()).collect();
    Ok(certs.names()?.into_iter().filter(|n| !n.starts_with('.') && !named.contains(n.as_str())).collect())
}

/// The complete generations of a directory, sorted, and whether there are dot-names: what a killed run left half-made.
fn generations(dir: &Dir) -> Result<(Vec<Generation>, bool), DiskError> {
    let names = dir.names()?;
    let mut all: Vec<Generation> = names.iter().filter_map(|n| Generation::parse(n)).collect();
    all.sort();
    Ok((all, names.iter().any(|n| n.starts_with('.'))))
}

/// `certs` of the state directory, and the run directory.
pub type TopDirs<'a> = (Option<&'a Dir>, Option<&'a Dir>);

/// Both trees of one certificate.
///
/// # Errors
/// When something that is there cannot be read.
pub fn tree(settings: &Settings, certificate: &Certificate, (certs, run): TopDirs<'_>, keys: &SealingKeys) -> Result<Tree, DiskError> {
    let name = certificate.name();
    let var = certs.map_or(Ok(None), |dir| dir.child(name.as_str()))?;
    let run = run.map_or(Ok(None), |dir| dir.child(name.as_str()))?;
    let mut tree = Tree::default();
    if let Some(var) = &var {
        (tree.state, tree.state_broken) = read_state(var)?;
        (tree.complete, tree.leftovers) = generations(var)?;
        if !certificate.keep.rests_in_clear() {
            tree.in_clear = in_clear(var, &tree.complete);
        }
        let link = var.link(layout::LIVE)?;
        let live = link.as_deref().map(|text| (Generation::parse(text), text));
        tree.live = match live {
            None => None,
            Some((Some(generation), _)) => Some(Kept::read(var, generation)?),
            Some((None, text)) => return Err(strange_link(var, text)),
        };
        choose_debt(&mut tree, var)?;
        tree.live.iter_mut().chain(&mut tree.debt).for_each(|kept| keys.judge(kept));
    }
    let mut largest = tree.complete.iter().map(|g| g.0).max().unwrap_or(0).max(tree.state.largest);
    if let Some(run) = &run {
        let (generations, leftovers) = generations(run)?;
        largest = generations.iter().map(|g| g.0).max().unwrap_or(0).max(largest);
        tree.leftovers |= leftovers;
        tree.published.generation = run.link(layout::LIVE)?.as_deref().and_then(Generation::parse);
    }
    tree.largest = largest;
    // What is not what was staged is due for that reason, whatever consumers read.
    if let Some(live) = tree.live.as_ref().filter(|live| live.condition == Condition::Intact) {
        tree.unpublished = unpublished(settings, certificate, run.as_ref(), live)?;
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

fn strange_link(var: &Dir, text: &str) -> DiskError {
    tracing::warn!(link = %var.join(layout::LIVE).display(), target = text, "the link names no generation");
    DiskError::new("understand the link", var.join(layout::LIVE), rustix::io::Errno::INVAL)
}

fn read_state(var: &Dir) -> Result<(State, Option<String>), DiskError> {
    let Some(content) = var.read(layout::STATE)? else { return Ok((State::default(), None)) };
    match serde_json::from_slice::<State>(&content.bytes) {
        Ok(state) if state.v == state::VERSION => Ok((state, None)),
        Ok(state) => Ok((State::default(), Some(format!("it has version {}, this build knows {}", state.v, state::VERSION)))),
        Err(why) => Ok((State::default(), Some(canonical::unreadable(&why, content.bytes.len())))),
    }
}

/// The newest complete generation after `live` that is not withdrawn; what is older than it was superseded.
fn choose_debt(tree: &mut Tree, var: &Dir) -> Result<(), DiskError> {
    let live = tree.live.as_ref().map_or(0, |k| k.generation.0);
    tree.newer = tree.complete.iter().copied().filter(|g| g.0 > live).collect();
    // Without a readable state nobody knows what was withdrawn: nothing is published again then.
    if tree.state_broken.is_some() {
        return Ok(());
    }
    let newest = tree.newer.iter().rev().copied().find(|g| !tree.state.withdrawn.contains(g));
    tree.debt = newest.map(|g| Kept::read(var, g)).transpose()?;
    Ok(())
}

fn published_leaf(run: &Dir, generation: Generation) -> Result<Option<Facts>, DiskError> {
    let Some(dir) = run.child(&generation.to_string())? else { return Ok(None) };
    let leaf = dir.read(layout::CERT)?.and_then(|c| certificates(&c.bytes).into_iter().next());
    Ok(leaf.and_then(|der| Facts::parse(&der).ok()))
}

/// Why what consumers read is not the committed generation.
///
/// # Errors
/// When something that is there cannot be read.
pub fn unpublished(settings: &Settings, cert: &Certificate, run: Option<&Dir>, live: &Kept) -> Result<Option<String>, DiskError> {
    let name = cert.name();
    let Some(run) = run else { return Ok(Some(format!("{} is gone", settings.paths.run.join(name.as_str()).display()))) };
    if let Some(text) = difference(run, live, cert.owner, &settings.rendered(cert, live.generation))? {
        return Ok(Some(text));
    }
    // A sealed key is never copied: its certificate has copies only since the settings changed, and is due for that.
    let copied = live.plain_key().is_some();
    for install in cert.install.iter().filter(|i| copied && i.kind == InstallKind::Copy) {
        if let Some(text) = copy_differs(settings, install, cert.owner, live)? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
