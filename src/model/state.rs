//! `state.json` of one certificate: what is known about the proof of `live`, and what was tried. The links decide; this file explains.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::clock::Time;
use super::failure::{Failure, Stage};
use super::name::Generation;
use super::words::words;

/// The version of the format.
pub const VERSION: u32 = 1;

words! {
    /// How it is known that a generation is in use.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Proof {
        /// The leaf was seen at every endpoint of the settings, or by a driver.
        Served = "served",
        /// No leaf was seen: it was read back through `live`, and no service refused it.
        File = "file",
        /// Not proven; stays as debt.
        None = "none",
        /// The service was not running; proven once it runs.
        ServiceStopped = "service-stopped",
    }
}

impl Proof {
    /// Whether the generation is known to be in use.
    #[must_use]
    pub const fn is_in_use(self) -> bool {
        matches!(self, Self::Served | Self::File)
    }
}

/// The proof of one committed generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proven {
    /// Which generation.
    pub generation: Generation,
    /// How.
    pub proof: Proof,
    /// When it was committed.
    pub at: Time,
    /// The services that were found stopped then, by name: they are still to be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<String>,
}

/// Why a generation is debt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebtState {
    /// Which generation.
    pub generation: Generation,
    /// Since when it waits.
    pub since: Time,
    /// The last failure to deploy it.
    pub failure: Failure,
    /// How often that was tried.
    pub attempts: u32,
}

/// The last thing that went wrong with a certificate; gone after the next success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastError {
    /// When.
    pub at: Time,
    /// What.
    pub failure: Failure,
}

/// A run that has begun to act on the certificate; still there at the next run only if that one was interrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// The run's id, as in the ledger.
    pub run: String,
    /// When it began to act.
    pub at: Time,
}

/// A certificate that was replaced, and that the CA is still to be asked to revoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToRevoke {
    /// Its serial number.
    pub serial: String,
    /// When it ends: from then on there is nothing to revoke.
    pub ends: Time,
}

/// A key in the TPM that was seen not to sign any more, by a login or because another TPM was taken for its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRefused {
    /// The generation whose key it is: of another one this says nothing.
    pub generation: Generation,
    /// When that was seen.
    pub at: Time,
    /// Why it does not sign, and what makes a new one.
    pub failure: Failure,
}

impl KeyRefused {
    /// Why, and what to do, in one text.
    #[must_use]
    pub fn text(&self) -> String {
        let Failure { text, hint, .. } = &self.failure;
        hint.as_ref().map_or_else(|| text.clone(), |hint| format!("{text}; {hint}"))
    }
}

/// A run that is at work on a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnderWay {
    /// The stage that it has reached, by what it has left so far.
    pub stage: Stage,
    /// The generation that it works on, where it came that far.
    pub generation: Option<Generation>,
    /// Since when.
    pub since: Option<Time>,
}

/// `state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// [`VERSION`].
    pub v: u32,
    /// The largest generation ever seen, so that a number is never used twice.
    #[serde(default)]
    pub largest: u64,
    /// The proof of `live`.
    #[serde(default)]
    pub proven: Option<Proven>,
    /// The generation that was committed before `live`: where `rollback` goes.
    #[serde(default)]
    pub previous: Option<Generation>,
    /// Generations newer than `live` that must not be published again.
    #[serde(default)]
    pub withdrawn: Vec<Generation>,
    /// Debt, with why.
    #[serde(default)]
    pub debt: Option<DebtState>,
    /// When signing requests were sent since the last commit, the newest six (the budget).
    #[serde(default)]
    pub requests: Vec<Time>,
    /// What they asked for and of whom, as a hash: of something else they do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_for: Option<Fingerprint>,
    /// SHA-256 of the trust files that its consumers took up, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trust: BTreeMap<String, Fingerprint>,
    /// Serial numbers of its certificates that the CA has revoked, as far as a run saw it or asked for it; the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<String>,
    /// What took the place of these was proven, and the settings want them revoked: kept until the CA has done so, or they have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_revoke: Vec<ToRevoke>,
    /// The key of a generation that rests in the TPM and does not sign any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_refused: Option<KeyRefused>,
    /// The run that acts on it now.
    #[serde(default)]
    pub begun: Option<Begun>,
    /// The last failure.
    #[serde(default)]
    pub last_error: Option<LastError>,
}

/// The version that the bytes of a `state.json` say, where it is newer than [`VERSION`].
#[must_use]
pub fn newer_version(bytes: &[u8]) -> Option<u64> {
    /// All that every version has.
    #[derive(Deserialize)]
    struct Versioned {
        v: u64,
    }
    let found: Versioned = serde_json::from_slice(bytes).ok()?;
    Some(found.v).filter(|version| *version > u64::from(VERSION))
}

impl Default for State {
    /// A state that knows nothing yet.
    fn default() -> Self {
        Self {
            v: VERSION,
            largest: 0,
            proven: None,
            previous: None,
            withdrawn: Vec::new(),
            debt: None,
            requests: Vec::new(),
            requests_for: None,
            trust: BTreeMap::new(),
            revoked: Vec::new(),
            to_revoke: Vec::new(),
            key_refused: None,
            begun: None,
            last_error: None,
        }
    }
}
