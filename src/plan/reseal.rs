//! What `reseal` does to one certificate: pure, from what was found.

use super::debt::proof_of_live;
use super::generation::Condition;
use super::inventory::Tree;
use crate::config::settings::Certificate;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::key::Keep;
use crate::model::name::{CertName, Generation};
use crate::model::reason::{Reason, ReasonCode};
use crate::model::state::Proof;

/// What becomes of the private key of one committed certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reseal {
    /// It is put under the new sealing key.
    Again(Again),
    /// There is none to seal, or it lies in a file.
    Leave(Reason),
}

/// The same certificate and private key as a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// The committed generation.
    pub from: Generation,
    /// The number of the new one.
    pub to: Generation,
    /// How the certificate is known to be in use: that stays so.
    pub proof: Proof,
}

/// Plans for one certificate whose key the settings want sealed.
///
/// # Errors
/// Stage `plan`: something waits to be settled first. Stage `seal`: the key is nowhere to be had.
pub fn reseal(certificate: &Certificate, tree: &Tree) -> Result<Reseal, Failure> {
    let name = certificate.name();
    let Some(live) = &tree.live else {
        return Ok(Reseal::Leave(Reason::new(ReasonCode::Missing, "no certificate was committed yet: there is no key to seal")));
    };
    match (live.keep, &live.condition) {
        (Keep::File, Condition::Unreadable(why)) => return Err(no_key(name, why)),
        (Keep::File, _) => {
            let text = format!("the key of {} lies in a file: `omens renew --all` makes one that is sealed", live.generation);
            return Ok(Reseal::Leave(Reason::new(ReasonCode::SettingsChanged, text)));
        }
        (Keep::Sealed, _) => {}
    }
    if let Some(text) = unsettled(name, tree) {
        return Err(Failure::new(Stage::Plan, Code::Debt, text).hint(format!("`omens renew {name}` settles it; then `omens reseal` again")));
    }
    let proof = proof_of_live(tree).unwrap_or(Proof::None);
    Ok(Reseal::Again(Again { from: live.generation, to: Generation(tree.largest + 1), proof }))
}

/// What waits for the next renewal is not put out of its reach by a generation after it.
fn unsettled(name: &CertName, tree: &Tree) -> Option<String> {
    if let Some(debt) = &tree.debt {
        return Some(format!("{} of {name} waits to be taken up", debt.generation));
    }
    let begun = tree.state.begun.as_ref()?;
    Some(format!("the run that began at {} did not finish, and nobody knows what its services serve", begun.at))
}

/// A private key that neither rests where it should nor is published.
#[must_use]
pub fn no_key(name: &CertName, why: &str) -> Failure {
    Failure::new(Stage::Seal, Code::BlobDamaged, format!("the private key of {name} is nowhere to be had: {why}"))
        .hint(format!("`omens renew {name} --force` makes a new key and certificate"))
}
