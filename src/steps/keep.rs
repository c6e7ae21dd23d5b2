//! Keeping: a validated certificate together with the key that it belongs to, complete for a generation. It never writes anything itself.

use std::fmt;

use super::key::Key;
use super::validate::Validated;
use crate::judge::cert::Facts;
use crate::judge::pem;
use crate::model::anchor::Fingerprint;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::finding::Finding;
use crate::model::name::{CertName, Generation};

/// A certificate that passed `validate`, with its key in the form in which it rests.
pub struct Stored {
    generation: Generation,
    facts: Facts,
    findings: Vec<Finding>,
    pub(super) cert: String,
    pub(super) chain: String,
    pub(super) anchor: Fingerprint,
    pub(super) key: Key,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("sha256", &self.facts.sha256).finish_non_exhaustive()
    }
}

impl Stored {
    /// The generation it was kept for.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// What the leaf says.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the gate noted without refusing.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// Puts a validated certificate and its key together.
///
/// # Errors
/// The value and why, when the key is another certificate's.
pub fn keep(name: &CertName, generation: Generation, validated: Validated, key: Key) -> Result<Stored, Box<(Validated, Failure)>> {
    if key.spki() != validated.spki() {
        let why = Failure::new(Stage::Seal, Code::BlobDamaged, format!("the key of {name} {generation} is not the one that was validated"));
        return Err(Box::new((validated, why)));
    }
    Ok(Stored {
        generation,
        cert: pem::write(validated.leaf()),
        chain: validated.chain().iter().map(|der| pem::write(der)).collect(),
        anchor: validated.anchor().clone(),
        facts: validated.facts().clone(),
        findings: validated.findings().to_vec(),
        key,
    })
}
