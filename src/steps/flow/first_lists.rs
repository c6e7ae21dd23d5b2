//! Revocation lists that consumers have none of, fetched once it is known who issues: after the first chains were announced, and before
//! anything is published that a service may read together with them.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::block;
use crate::config::settings::Part;
use crate::io::dir::Dir;
use crate::model::clock::Clock;
use crate::model::failure::{Failure, Stage, Warning};
use crate::plan::trust::TrustFiles;
use crate::steps::attest::AttestationGate;
use crate::steps::crl::{self, Refreshed};
use crate::steps::swap::{Trees, disk_failure};

/// What came of it so far in a run.
#[derive(Debug, Default)]
pub(super) struct FirstLists(Mutex<Tried>);

#[derive(Debug, Default)]
struct Tried {
    /// The issuers that were known when lists were last asked for.
    issuers: Option<String>,
    /// What was not delivered.
    warnings: Vec<Warning>,
}

impl FirstLists {
    /// At the start of a run: where anything is committed of the certificates of the settings, its planning has asked already.
    pub(super) fn new(trees: &Trees) -> Self {
        let issuers = trees.has_chains().then(|| issuers(&trees.trust())).flatten();
        Self(Mutex::new(Tried { issuers, warnings: Vec::new() }))
    }

    /// Fetches them, where issuers are known by now that were not before. One that does not come stops nothing.
    ///
    /// # Errors
    /// Stage `publish`: a file cannot be written.
    pub(super) async fn fetch(&self, trees: &Arc<Trees>, gate: &AttestationGate, clock: Clock) -> Result<(), Failure> {
        // Groups that come meanwhile wait: their services may read the same lists.
        let mut tried = self.0.lock().await;
        let trust = trees.trust();
        let missing = crl::missing(trees.settings(), &trust);
        if missing.is_empty() || tried.issuers == issuers(&trust) {
            return Ok(());
        }
        tried.issuers = issuers(&trust);
        let fetched = crl::fetch_all(trees.settings(), missing, gate, clock).await;
        let (trees, now) = (trees.clone(), clock.now());
        let refreshed = block(Stage::Publish, move || {
            let disk = |why| disk_failure(Stage::Publish, &why);
            let Some(state) = Dir::open(&trees.settings().paths.state).map_err(disk)? else { return Ok(Refreshed::default()) };
            let refreshed = crl::take_up(&state, fetched, &trust, now);
            trees.take_lists().map_err(disk)?;
            Ok(refreshed)
        });
        tried.warnings = refreshed.await?.warnings;
        Ok(())
    }

    /// What was not delivered.
    pub(super) async fn warnings(&self) -> Vec<Warning> {
        self.0.lock().await.warnings.clone()
    }
}

fn issuers(trust: &TrustFiles) -> Option<String> {
    trust.file(Part::Bundle).map(str::to_owned)
}
