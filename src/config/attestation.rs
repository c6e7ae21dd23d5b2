//! `[attestation]`: whether certificates are requested only with a verdict on this host's state, and who gives it.

use std::path::Path;
use std::time::Duration;

use super::pem::certificates;
use super::shape::{Errors, Shape, Wrong, boolean, list, parsed, placed, tagged};
use super::tables::host::{ATTESTATION, KEYLIME};
use super::tree::Node;
use super::value;
use crate::io::read;
use crate::model::code::Code;
use crate::model::text::one_line;

/// How old a pass may be where the settings say nothing.
const MAX_AGE: Duration = Duration::from_secs(600);
/// What a Keylime agent without settings is called, on every host alike.
const DEFAULT_UUID: &str = "d432fbb3-d2f1-4a97-9ef7-75bd81c00000";
/// The word for an id that is made of the endorsement key.
const HASH_EK: &str = "hash-ek";

/// `[attestation]`.
#[derive(Clone, Debug)]
pub struct Attestation {
    /// Whether certificates are requested only with a pass.
    pub required: bool,
    /// The oldest pass that counts.
    pub max_age: Duration,
    /// Who appraises.
    pub by: Option<Keylime>,
}

/// `by = [ { keylime = { … } } ]`.
#[derive(Clone, Debug)]
pub struct Keylime {
    /// `https://HOST[:PORT]` of the registrar.
    pub registrar: String,
    /// The same of the verifier.
    pub verifier: String,
    /// The roots that both are checked against, DER.
    pub ca: Vec<Vec<u8>>,
    /// What this host is called there.
    pub agent_id: AgentId,
}

/// What a host is called at Keylime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentId {
    /// The SHA-256 of its endorsement key, as Keylime's own agents make it.
    HashEk,
    /// This.
    Fixed(String),
}

/// `[attestation]`; `ca` defaults to the pinned roots.
pub(super) fn attestation(node: &Node, errors: &Errors, roots: Option<&[Vec<u8>]>, has_tpm: bool) -> Option<Attestation> {
    let shape = Shape::of(&ATTESTATION, node, errors)?;
    let required = shape.or("required", false, |node, errors| placed(boolean)(node, errors).map(|(_, value)| value));
    let max_age = shape.or("max_age", MAX_AGE, parsed(value::duration));
    let by = shape.or("by", None, |node, errors| {
        let mut all = list(|node, errors| method(node, errors, roots))(node, errors)?;
        let count = all.len();
        if count > 1 {
            let wrong = Wrong::value(format!("expected one attester, found {count}"));
            errors.at(&node.place, wrong.suggest("keep the one whose verdict counts"));
            return None;
        }
        Some(all.pop())
    });
    shape.finish();
    let (required, max_age, by) = (required?, max_age?, by?);
    let missing = |what: &str, suggestion: &str| {
        let wrong = Wrong::new(Code::Missing, format!("[attestation] {what}"));
        errors.at(&node.place, wrong.suggest(suggestion));
    };
    if required && by.is_none() {
        missing(
            "requires a verdict, and names nobody who gives one",
            "add by = [ { keylime = { registrar = \"https://…:8891\", verifier = \"https://…:8881\" } } ]",
        );
        return None;
    }
    if by.is_some() && !has_tpm {
        missing("needs the TPM that gives evidence", "add [tpm] with tcti = \"device:/dev/tpmrm0\"");
        return None;
    }
    Some(Attestation { required, max_age, by })
}

fn method(node: &Node, errors: &Errors, roots: Option<&[Vec<u8>]>) -> Option<Keylime> {
    let (_, node) = tagged("attester", &[KEYLIME.word()], &[], node, errors)?;
    let shape = Shape::of(&KEYLIME, node, errors)?;
    let registrar = shape.required("registrar", parsed(value::https));
    let verifier = shape.required("verifier", parsed(value::https));
    let ca = shape.optional("ca", |node, errors| {
        let trusted = |file: &Path| read::trusted(file);
        parsed(value::path)(node, errors).and_then(|file| certificates(&node.place, &file, errors, trusted))
    });
    let agent_id = shape.or("agent_id", AgentId::HashEk, parsed(agent_id));
    shape.finish();
    let ca = match ca? {
        Some(given) => given,
        None => roots?.to_vec(),
    };
    Some(Keylime { registrar: registrar?, verifier: verifier?, ca, agent_id: agent_id? })
}

fn agent_id(text: &str) -> Result<AgentId, Wrong> {
    if text == HASH_EK {
        return Ok(AgentId::HashEk);
    }
    if text.eq_ignore_ascii_case(DEFAULT_UUID) {
        let why = "this is the id of every Keylime agent that has no settings: hosts that share it share one record";
        return Err(Wrong::new(Code::AgentIdDefault, why).suggest(format!("write \"{HASH_EK}\"")));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=80).contains(&text.len()) && text.bytes().all(allowed) && text.bytes().any(|byte| byte != b'.') {
        return Ok(AgentId::Fixed(text.to_owned()));
    }
    let why =
        format!("expected \"{HASH_EK}\" or at most 80 letters, digits, dots, underscores and hyphens, found \"{}\"", one_line(text, 90));
    Err(Wrong::value(why).suggest(format!("write \"{HASH_EK}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_a_name_of_its_own() {
        assert_eq!(agent_id("hash-ek").unwrap(), AgentId::HashEk);
        assert_eq!(agent_id("spire.funlab_1-a").unwrap(), AgentId::Fixed("spire.funlab_1-a".to_owned()));
        assert!(agent_id(&"a".repeat(80)).is_ok());
        for wrong in ["", "a b", "a/b", "..", "ä", "D432FBB3-d2f1-4a97-9ef7-75bd81c00000", &"a".repeat(81)] {
            assert!(agent_id(wrong).is_err(), "{wrong}");
        }
    }
}
