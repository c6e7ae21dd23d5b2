//! What the certificates of a host share: the last run, the trust anchor for consumers, the sealing keys, and what nothing names. Only reads.

use std::sync::Arc;

use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Dir, DiskError, Kind};
use crate::model::clock::Time;
use crate::model::layout;
use crate::model::name::CertName;
use crate::plan::rename::Rename;
use crate::plan::sealing::SealingKeys;
use crate::plan::trust::{TrustFiles, Trusted};

/// What the certificates of a host share.
#[derive(Debug)]
pub struct Host {
    /// When the last run took the lock.
    pub last_run: Option<Time>,
    /// Directories of certificates that the settings no longer name; kept, never deleted in silence.
    pub unnamed: Vec<String>,
    /// Certificates that consumers still find, and that the settings no longer name.
    pub still_published: Vec<String>,
    /// Whether a file of what consumers are to trust is missing or another one, or a killed run left something half-made beside it.
    pub half_made: bool,
    /// The sealing keys.
    pub sealing: SealingKeys,
    /// What consumers are to trust.
    pub trust: Arc<TrustFiles>,
}

pub(super) fn host(settings: &Settings, state: Option<&Dir>, certs: Option<&Dir>, run: Option<&Dir>) -> Result<Host, DiskError> {
    let last_run = state.map_or(Ok(None), |state| state.modified(layout::LOCK))?.map(Time::from_unix);
    let trust = Arc::new(Trusted::of_settings(settings, certs).files());
    let half_made = run.map_or(Ok(false), |run| run_is_half_made(&trust, run))? || state.map_or(Ok(false), state_is_half_made)?;
    let unnamed = certs.map_or(Ok(Vec::new()), |certs| unnamed(certs, settings))?;
    let still_published = run.map_or(Ok(Vec::new()), |run| still_published(run, settings))?;
    Ok(Host { last_run, unnamed, still_published, half_made, sealing: SealingKeys::read(state)?, trust })
}

fn run_is_half_made(wanted: &TrustFiles, run: &Dir) -> Result<bool, DiskError> {
    // Whoever asks for this holds the lock: nobody else is at work.
    if run.kind(layout::WORKING)?.is_some() {
        return Ok(true);
    }
    let Some(trust) = run.child(layout::TRUST)? else { return Ok(true) };
    for (name, text) in wanted.iter() {
        if trust.read(name)?.is_none_or(|found| found.bytes.as_slice() != text.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(trust.names()?.iter().any(|n| n.starts_with('.')))
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
    for certificate in &settings.certificates {
        if let Rename::Pending(earlier) = Rename::of(certificate.name(), certificate.renamed_from.as_ref(), Some(certs))? {
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
