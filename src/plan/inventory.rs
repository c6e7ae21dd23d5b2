//! What is there: both trees and `state.json` of every certificate. Reads files only; never the ledger, the network or the TPM.

mod listing;
mod state_file;

use super::copies::copy_differs;
use super::generation::{Condition, Kept, certificates, difference};
use super::links;
use super::sealing::{SealingKeys, in_clear};
use crate::config::settings::{Certificate, InstallKind, Settings};
use crate::io::dir::{Buffer, Dir, DiskError};
use crate::judge::cert::Facts;
use crate::judge::pem;
use crate::model::clock::Time;
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::state::{State, UnderWay};
use listing::Listing;
pub use state_file::StateFile;
use state_file::read_state;

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
    /// Those of them whose key lies there in clear, where the settings ask for a sealed one.
    pub in_clear: Vec<Generation>,
    /// What consumers read.
    pub published: Published,
    /// Why the run tree is not equal to `live`; `None` where it is.
    pub unpublished: Option<String>,
    /// The first link at a consumer's own path that does not lead to `live`, in words.
    pub missing_link: Option<String>,
    /// A run that is at work on it; what that has done so far is not in here then.
    pub under_way: Option<UnderWay>,
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

/// What the certificates of a host share.
#[derive(Debug)]
pub struct Host {
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// Directories of certificates that the settings no longer name; kept, never deleted in silence.
    pub unnamed: Vec<String>,
    /// Whether the trust anchor for consumers is missing or another one, or a killed run left something half-made beside it.
    pub half_made: bool,
    /// The sealing keys.
    pub sealing: SealingKeys,
}

/// Reads everything about these certificates.
///
/// # Errors
/// When the state directory itself cannot be read.
pub fn take(settings: &Settings, wanted: &[&Certificate]) -> Result<Inventory, DiskError> {
    let observed = |_: &Host, certificate: &Certificate, tree| Observed { name: certificate.name().clone(), tree };
    let (Host { last_run, unnamed, half_made, sealing }, certificates) = each(settings, wanted, observed)?;
    Ok(Inventory { certificates, last_run, unnamed, half_made, sealing })
}

/// Reads everything about these certificates, one after the other, and keeps of each what `judge` makes of it, in the order of the
/// settings: of thousands with nothing due no more than their reports is in memory at a time.
///
/// # Errors
/// When the state directory itself cannot be read.
pub fn each<T: Send>(
    settings: &Settings,
    wanted: &[&Certificate],
    judge: impl Fn(&Host, &Certificate, Result<Tree, DiskError>) -> T + Sync,
) -> Result<(Host, Vec<T>), DiskError> {
    let state = Dir::open(&settings.paths.state)?;
    let certs = state.as_ref().map_or(Ok(None), |state| state.child(layout::CERTS))?;
    let run = Dir::open(&settings.paths.run)?;
    let host = host(settings, state.as_ref(), certs.as_ref(), run.as_ref())?;
    let roots = Roots { certs: certs.as_ref(), run: run.as_ref() };
    let look = |part: &[&Certificate]| -> Vec<T> {
        let mut buffer = Buffer::default();
        part.iter()
            .map(|certificate| judge(&host, certificate, look_at(settings, certificate, roots, &host.sealing, &mut buffer)))
            .collect()
    };
    let all = if wanted.len() < WORTH_A_THREAD {
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
    Ok((host, all))
}

fn host(settings: &Settings, state: Option<&Dir>, certs: Option<&Dir>, run: Option<&Dir>) -> Result<Host, DiskError> {
    let last_run = state.map_or(Ok(None), |state| state.modified(layout::LOCK))?.map(Time::from_unix);
    let half_made = run.map_or(Ok(false), |run| trust_is_half_made(settings, run))?;
    let unnamed = certs.map_or(Ok(Vec::new()), |certs| unnamed(certs, settings))?;
    Ok(Host { last_run, unnamed, half_made, sealing: SealingKeys::read(state)? })
}

fn trust_is_half_made(settings: &Settings, run: &Dir) -> Result<bool, DiskError> {
    let Some(trust) = run.child(layout::TRUST)? else { return Ok(true) };
    let right = trust.read(layout::ANCHOR)?.is_some_and(|found| found.bytes.as_slice() == pem::write(&settings.anchor.der).as_bytes());
    Ok(!right || trust.names()?.iter().any(|n| n.starts_with('.')))
}

fn unnamed(certs: &Dir, settings: &Settings) -> Result<Vec<String>, DiskError> {
    let named: std::collections::BTreeSet<&str> = settings.certificates.iter().map(|c| c.name().as_str()).collect();
    Ok(certs.names()?.into_iter().filter(|n| !n.starts_with('.') && !named.contains(n.as_str())).collect())
}

/// Where the trees of all certificates lie.
#[derive(Clone, Copy, Debug)]
pub struct Roots<'a> {
    /// `certs` of the state directory.
    pub certs: Option<&'a Dir>,
    /// The run directory.
    pub run: Option<&'a Dir>,
}

/// Both trees of one certificate.
///
/// # Errors
/// When something that is there cannot be read.
pub fn tree(settings: &Settings, certificate: &Certificate, roots: Roots<'_>, keys: &SealingKeys) -> Result<Tree, DiskError> {
    look_at(settings, certificate, roots, keys, &mut Buffer::default())
}

fn look_at(
    settings: &Settings,
    certificate: &Certificate,
    roots: Roots<'_>,
    keys: &SealingKeys,
    buffer: &mut Buffer,
) -> Result<Tree, DiskError> {
    let name = certificate.name().as_str();
    let mut var = roots.certs.map_or(Ok(None), |certs| certs.child(name))?;
    let mut run = roots.run.map_or(Ok(None), |run| run.child(name))?;
    let mut tree = Tree::default();
    if let Some(var) = &mut var {
        committed(certificate, var, keys, &mut tree, buffer)?;
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
        tree.unpublished = differs(settings, certificate, run.as_ref(), named.as_deref(), live, buffer)?;
        tree.missing_link = links::missing(settings, certificate);
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

/// What the state directory holds of a certificate.
fn committed(certificate: &Certificate, var: &mut Dir, keys: &SealingKeys, tree: &mut Tree, buffer: &mut Buffer) -> Result<(), DiskError> {
    (tree.state, tree.state_file) = read_state(var, buffer)?;
    let listing = Listing::of(var)?;
    tree.largest = listing.largest().max(tree.state.largest);
    (tree.complete, tree.leftovers) = (listing.generations, listing.leftovers);
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
    choose_debt(tree, var)?;
    tree.live.iter_mut().chain(&mut tree.debt).for_each(|kept| keys.judge(kept));
    Ok(())
}

fn strange_link(var: &Dir, text: &str) -> DiskError {
    tracing::warn!(link = %var.join(layout::LIVE).display(), target = text, "the link names no generation");
    DiskError::new("understand the link", var.join(layout::LIVE), rustix::io::Errno::INVAL)
}

/// The newest complete generation after `live` that is not withdrawn; what is older than it was superseded.
fn choose_debt(tree: &mut Tree, var: &Dir) -> Result<(), DiskError> {
    let live = tree.live.as_ref().map_or(0, |k| k.generation.0);
    tree.newer = tree.complete.iter().copied().filter(|g| g.0 > live).collect();
    // Without a readable state nobody knows what was withdrawn: nothing is published again then.
    if tree.state_file != StateFile::Known {
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
    let named = run.map_or(Ok(None), |run| run.link(layout::LIVE))?;
    differs(settings, cert, run, named.as_deref(), live, &mut Buffer::default())
}

fn differs(
    settings: &Settings,
    cert: &Certificate,
    run: Option<&Dir>,
    named: Option<&str>,
    live: &Kept,
    buffer: &mut Buffer,
) -> Result<Option<String>, DiskError> {
    let name = cert.name();
    let Some(run) = run else { return Ok(Some(format!("{} is gone", settings.paths.run.join(name.as_str()).display()))) };
    if let Some(text) = difference(run, named, live, cert.owner, &settings.rendered(cert, live.generation), buffer)? {
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
