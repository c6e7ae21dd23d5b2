//! What a run is given from outside: a certification authority, stores of private keys, eyes on the wire, a clock. Services come with the
//! settings. Tests give it others (`tests/world`), and so run whole renewals in memory.

use std::sync::Arc;

use super::ending::Ending;
use crate::config::settings::Settings;
use crate::io::tpm::connection::Connection;
use crate::io::tpm::limit::Unanswered;
use crate::model::clock::Clock;
use crate::model::report::Watch;
use crate::steps::attest::AttestationGate;
use crate::steps::issue::{self, Issuer};
use crate::steps::key::Stores;
use crate::steps::prove::{Prover, Wire};

/// The outside of a run.
pub struct World<'a> {
    /// Who signs.
    pub issuer: Arc<dyn Issuer>,
    /// Whether this host is in the state that the settings demand: without that nobody is asked to sign.
    pub gate: AttestationGate,
    /// Who looks at what is served.
    pub prover: Arc<dyn Prover>,
    /// Where private keys rest.
    pub stores: Arc<Stores>,
    /// The TPM that all of these ask, where there is one: opened once, when one of them needs it.
    pub tpm: Option<Connection>,
    /// The time.
    pub clock: Clock,
    /// Who wants to know where the run is.
    pub watch: &'a dyn Watch,
    /// Whether the run is asked to end early.
    pub ending: Ending,
}

impl<'a> World<'a> {
    /// The outside that the settings name. Nothing is opened and nobody is asked before a certificate needs it.
    #[must_use]
    pub fn of(settings: &Settings, clock: Clock, watch: &'a dyn Watch) -> Self {
        Self::after(settings, clock, watch, Unanswered::default(), Ending::default())
    }

    /// The same in a process that has made runs before and may be asked to end: what earlier ones gave up still waits for its TPM.
    #[must_use]
    pub fn after(settings: &Settings, clock: Clock, watch: &'a dyn Watch, unanswered: Unanswered, ending: Ending) -> Self {
        let tpm = settings.sealing.as_ref().map(|sealing| Connection::new(&sealing.tcti, unanswered));
        Self {
            issuer: issue::of(settings, clock, tpm.clone()),
            gate: AttestationGate::of_settings(settings, clock, tpm.clone()),
            prover: Arc::new(Wire),
            stores: Arc::new(Stores::of(settings, tpm.clone())),
            tpm,
            clock,
            watch,
            ending,
        }
    }

    /// The same with another issuer.
    #[must_use]
    pub fn asking(self, issuer: Arc<dyn Issuer>) -> Self {
        Self { issuer, ..self }
    }

    /// Closes the TPM, where it was opened.
    pub(in crate::steps) fn close_tpm(&self) {
        if let Some(tpm) = &self.tpm {
            tpm.close();
        }
    }

    /// The same for a run that a person lets issue without a verdict.
    #[must_use]
    pub fn breaking_glass(self, settings: &Settings, reason: &str) -> Self {
        Self { gate: AttestationGate::broken(settings, reason), ..self }
    }
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
