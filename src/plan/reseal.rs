//! What `reseal` does to one certificate: pure, from what was found.

use super::debt::proof_of_live;
use super::generation::Condition;
use super::inventory::Tree;
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
    /// There is none to seal, or it lies in a file or in the TPM.
    Leave(Reason),
}

/// The same certificate and private key as a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    from: Generation,
    to: Generation,
    proof: Proof,
}

impl Again {
    /// The committed generation.
    #[must_use]
    pub const fn from(&self) -> Generation {
        self.from
    }

    /// The number of the new one.
    #[must_use]
    pub const fn to(&self) -> Generation {
        self.to
    }

    /// How the certificate is known to be in use: that stays so.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        self.proof
    }
}

/// Plans for one certificate whose key the settings want sealed.
///
/// # Errors
/// Stage `plan`: something waits to be settled first. Stage `seal`: the key is nowhere to be had.
pub fn reseal(name: &CertName, tree: &Tree) -> Result<Reseal, Failure> {
    let Some(live) = &tree.live else {
        return Ok(Reseal::Leave(Reason::new(ReasonCode::Missing, "no certificate was committed yet: there is no key to seal")));
    };
    match (live.keep, &live.condition) {
        (Keep::File, Condition::Unreadable(why)) => return Err(no_key(name, why)),
        (Keep::File, _) => {
            let text = format!("the key of {} lies in a file: `omens renew --all` makes one that is sealed", live.generation);
            return Ok(Reseal::Leave(Reason::new(ReasonCode::SettingsChanged, text)));
        }
        (Keep::Resident, _) => {
            let text = format!("the key of {} is resident: it never leaves its TPM, and other PCRs take a renewal", live.generation);
            return Ok(Reseal::Leave(Reason::new(ReasonCode::Fresh, text)));
        }
        (Keep::Sealed, _) => {}
    }
    if let Some(text) = unsettled(name, tree) {
        return Err(Failure::new(Stage::Plan, Code::Debt, text).hint(format!("`omens renew {name}` settles it; then `omens reseal` again")));
    }
    let proof = proof_of_live(tree).unwrap_or(Proof::None);
    Ok(Reseal::Again(Again { from: live.generation, to: Generation::after(tree.largest), proof }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Time;
    use crate::model::state::{Begun, Proven, State};
    use crate::plan::generation::Kept;

    #[test]
    fn only_what_is_settled_and_sealed_is_sealed_anew() {
        let name = CertName::parse("web").unwrap();
        let at = Time::from_unix(1_800_000_000);
        let kept = |n, keep, condition| Some(Kept::for_tests(Generation(n), keep, condition));
        let sealed = || kept(4, Keep::Sealed, Condition::Intact);
        let proven =
            State { proven: Some(Proven { generation: Generation(4), proof: Proof::Served, at, stopped: Vec::new() }), ..State::default() };
        let begun = State { begun: Some(Begun { run: "r".to_owned(), at }), ..State::default() };
        let unreadable = || Condition::Unreadable("it is gone".to_owned());
        let again = |proof| Ok(Reseal::Again(Again { from: Generation(4), to: Generation(8), proof }));
        let of = |live, debt, state| Tree { live, debt, state, largest: 7, ..Tree::default() };
        let rows = [
            ("proven", of(sealed(), None, proven), again(Proof::Served)),
            ("not proven", of(sealed(), None, State::default()), again(Proof::None)),
            // The key may still be where consumers read it.
            ("does not open", of(kept(4, Keep::Sealed, unreadable()), None, State::default()), again(Proof::None)),
            ("in a file", of(kept(4, Keep::File, Condition::Intact), None, State::default()), Err(Ok(ReasonCode::SettingsChanged))),
            ("nothing", of(None, None, State::default()), Err(Ok(ReasonCode::Missing))),
            ("gone", of(kept(4, Keep::File, unreadable()), None, State::default()), Err(Err(Code::BlobDamaged))),
            ("debt", of(sealed(), kept(5, Keep::Sealed, Condition::Intact), State::default()), Err(Err(Code::Debt))),
            ("interrupted", of(sealed(), None, begun), Err(Err(Code::Debt))),
        ];
        for (what, tree, expected) in rows {
            let found = match reseal(&name, &tree) {
                Ok(Reseal::Leave(reason)) => Err(Ok(reason.code)),
                Ok(again) => Ok(again),
                Err(failure) => Err(Err(failure.code)),
            };
            assert_eq!(found, expected, "{what}");
        }
    }
}
