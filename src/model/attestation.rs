//! What the attestation agent keeps on disk: its key, its last verdict, and that a person had a certificate issued without one. None of it is
//! a secret that leaves the TPM.

use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::canonical::{Bytes, Format};
use super::clock::Time;
use super::verdict::Verdict;

const VERSION: u32 = 1;

/// `attest/ak.json`: the attestation key, which only the TPM that made it can load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AkFile {
    v: u32,
    /// SHA-256 of the DER of the endorsement key's SubjectPublicKeyInfo: the TPM that made it.
    pub ek_sha256: Fingerprint,
    /// When it was made.
    pub created: Time,
    /// TPMT_PUBLIC.
    pub public: Bytes,
    /// TPM2B_PRIVATE, without its length.
    pub private: Bytes,
    /// Where it is registered.
    pub registered: Option<Registered>,
}

/// A registration that was activated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// Under which id.
    pub agent_id: String,
    /// At which registrar.
    pub registrar: String,
    /// When.
    pub at: Time,
}

impl AkFile {
    /// A key that is registered nowhere.
    #[must_use]
    pub const fn new(ek_sha256: Fingerprint, created: Time, public: Vec<u8>, private: Vec<u8>) -> Self {
        Self { v: VERSION, ek_sha256, created, public: Bytes(public), private: Bytes(private), registered: None }
    }
}

impl Format for AkFile {
    fn check(&self) -> Result<(), &'static str> {
        if self.v != VERSION {
            return Err("v: expected version 1");
        }
        if self.public.0.is_empty() || self.private.0.is_empty() { Err("the attestation key is empty") } else { Ok(()) }
    }
}

/// `.attest.json`: the last verdict of this boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictFile {
    v: u32,
    /// When it was written.
    pub at: Time,
    /// Whose it is.
    pub agent_id: String,
    /// Who gave it; not in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
}

impl VerdictFile {
    /// This verdict of this verifier on this agent.
    #[must_use]
    pub const fn new(at: Time, agent_id: String, verifier: String, verdict: Verdict) -> Self {
        Self { v: VERSION, at, agent_id, verifier: Some(verifier), verdict }
    }

    /// Reads one document and nothing after it.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(bytes).ok().filter(|file| file.v == VERSION)
    }
}

/// `attest/break-glass.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassFile {
    v: u32,
    /// When.
    pub at: Time,
    /// Why, in the person's words.
    pub reason: String,
}

impl BreakGlassFile {
    /// One of now.
    #[must_use]
    pub const fn new(at: Time, reason: String) -> Self {
        Self { v: VERSION, at, reason }
    }

    /// Reads one; what cannot be read was still written by such a run.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(bytes).ok()
    }
}
