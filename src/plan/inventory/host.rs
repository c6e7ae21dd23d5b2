//! What the certificates of a host share: the last run, the trust anchor for consumers, the sealing keys, and what nothing names. Only reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError, Kind};
use crate::model::clock::Time;
use crate::model::layout;
use crate::model::name::CertName;
use crate::plan::rename::Rename;
use crate::plan::sealing::SealingKeys;
use crate::plan::trust::{TrustFiles, is_ours, kept_lists, names_list};

/// What the certificates of a host share.
#[derive(Debug)]
pub struct Host {
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// Directories of certificates that the settings no longer name; kept, never deleted in silence.
    pub unnamed: Vec<String>,
    /// Certificates that consumers still find, and that the settings no longer name.
    pub still_published: Vec<String>,
    /// Whether a file of what consumers are to trust is missing or another one, or something else lies beside it: half-made by a killed run, or a list that the
    /// settings named.
    pub half_made: bool,
    /// The sealing keys.
    pub sealing: SealingKeys,
    /// What consumers are to trust.
    pub trust: Arc<TrustFiles>,
    /// Whether a certificate of the settings is committed, whichever were asked about, so that it is known who issues.
    pub has_chains: bool,
}

/// Where what is asked about lies.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) state: Option<Dir>,
    pub(super) certs: Option<Dir>,
    pub(super) run: Option<Dir>,
}

impl Places {
    pub(super) fn open(settings: &Settings) -> Result<Self, DiskError> {
        let state = Dir::open(&settings.paths.state)?;
        let certs = state.as_ref().map_or(Ok(None), |state| state.child(layout::CERTS))?;
        Ok(Self { state, certs, run: Dir::open(&settings.paths.run)? })
    }
}

/// What consumers find to trust, before it is known whether that is what they should find.
pub(super) struct Found {
    pub(super) files: Arc<TrustFiles>,
    /// The revocation lists that they should find.
    pub(super) lists: BTreeMap<String, String>,
    /// Whether something lies beside it, half-made or of settings that were, or nothing is there.
    pub(super) is_half_made: bool,
}

impl Found {
    pub(super) fn of(settings: &Settings, places: &Places) -> Result<Self, DiskError> {
        let lists = kept_lists(settings, places.state.as_ref());
        let Some(run) = &places.run else {
            return Ok(Self { files: Arc::new(TrustFiles::found(settings, None, &lists)?), lists, is_half_made: false });
        };
        let trust = run.child(layout::TRUST)?;
        let files = Arc::new(TrustFiles::found(settings, trust.as_ref(), &lists)?);
        let names = trust.as_ref().map(Dir::names).transpose()?;
        // After a boot they are here alone.
        let unnamed = places.state.as_ref().is_some_and(|state| keeps_others(settings, state));
        // Whoever asks for this holds the lock: nobody else is at work.
        let is_working = run.kind(layout::WORKING)?.is_some();
        let is_half_made = is_working || unnamed || names.is_none_or(|names| names.iter().any(|name| !is_ours(name, &lists)));
        Ok(Self { files, lists, is_half_made })
    }
}

/// Whether revocation lists are kept that the settings do not name, or nobody can tell.
fn keeps_others(settings: &Settings, state: &Dir) -> bool {
    let names = state.child(layout::CRL).and_then(|dir| dir.as_ref().map_or(Ok(Vec::new()), Dir::names));
    names.map_or(true, |names| names.iter().any(|name| !names_list(settings, name)))
}

/// What consumers are to trust, once that is known.
pub(super) struct ToTrust {
    pub(super) files: Arc<TrustFiles>,
    /// Whether a chain says who issues.
    pub(super) has_chains: bool,
    /// Whether something else lies there.
    pub(super) is_half_made: bool,
}

/// What the certificates share, once it is known what consumers are to trust, and whether that lies there.
pub(super) fn host(settings: &Settings, places: &Places, sealing: SealingKeys, trust: ToTrust) -> Result<Host, DiskError> {
    let Places { state, certs, run } = places;
    let ToTrust { files: trust, has_chains, is_half_made } = trust;
    let last_run = state.as_ref().map_or(Ok(None), |state| state.modified(layout::LOCK))?.map(Time::from_unix);
    let half_made = is_half_made || state.as_ref().map_or(Ok(false), state_is_half_made)?;
    let unnamed = certs.as_ref().map_or(Ok(Vec::new()), |certs| unnamed(certs, settings))?;
    let still_published = run.as_ref().map_or(Ok(Vec::new()), |run| still_published(run, settings))?;
    Ok(Host { last_run, unnamed, still_published, half_made, sealing, trust, has_chains })
}

fn state_is_half_made(state: &Dir) -> Result<bool, DiskError> {
    Ok(state.names()?.iter().any(|name| layout::is_half_made(name)))
}

/// Directories of certificates that the settings do not name.
pub(in crate::plan) fn unnamed(certs: &Dir, settings: &Settings) -> Result<Vec<String>, DiskError> {
    let mut names: Vec<String> = certs.names()?;
    let named = named(settings);
    names.retain(|name| !name.starts_with('.') && !named.contains(name.as_str()));
    // What a certificate is about to take over is not left over.
    for (heir, earlier) in settings.renames() {
        if let Rename::Pending(earlier) = Rename::of(heir, Some(earlier), Some(certs))? {
            names.retain(|name| name != earlier.as_str());
        }
    }
    Ok(names)
}

/// Certificates that consumers find in the run directory and that the settings do not name, as a rename leaves one until the next boot.
fn still_published(run: &Dir, settings: &Settings) -> Result<Vec<String>, DiskError> {
    let named = named(settings);
    let mut found = Vec::new();
    for name in run.names()?.into_iter().filter(|name| CertName::parse(name).is_ok() && !named.contains(name.as_str())) {
        if run.kind(&format!("{name}/{}", layout::LIVE))? == Some(Kind::Link) {
            found.push(name);
        }
    }
    Ok(found)
}

fn named(settings: &Settings) -> std::collections::BTreeSet<&str> {
    let faulty = settings.faults.certificates.iter().map(|faulty| &faulty.name);
    settings.certificates.iter().map(Certificate::name).chain(faulty).map(CertName::as_str).collect()
}
