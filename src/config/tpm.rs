//! `[tpm]`: which TPM private keys are sealed to, and what beside it.

use std::time::Duration;

use super::settings::Sealing;
use super::shape::{Errors, Shape, Wrong, list, parsed, placed};
use super::tables::host::TPM;
use super::tree::{Node, Value};
use super::value;
use crate::model::code::Code;
use crate::model::pcr::PcrList;
use crate::model::span;
use crate::model::tcti::Tcti;

/// How old a sealing key grows where the settings say nothing ([Sealing](crate::steps::swap#sealing)).
const MAX_AGE: Duration = Duration::from_secs(7 * 86_400);
/// A sealing key that is changed more often than this is made for nearly every run.
const MAX_AGE_MIN: Duration = Duration::from_secs(3600);

/// The debug and the application PCR: resettable from locality 0 (TCG PC Client Platform TPM Profile §4.6.2).
const RESETTABLE: [u32; 2] = [16, 23];

impl Sealing {
    /// This TPM, with the defaults of everything else.
    #[must_use]
    pub fn of(tcti: Tcti) -> Self {
        Self { tcti, pcrs: PcrList::default(), max_age: MAX_AGE }
    }
}

/// `[tpm]`.
pub(super) fn tpm(node: &Node, errors: &Errors) -> Option<Sealing> {
    let shape = Shape::of(&TPM, node, errors)?;
    let tcti = shape.required("tcti", parsed(tcti));
    let pcrs = shape.or("pcrs", PcrList::default(), pcrs);
    let max_age = shape.or("max_age", MAX_AGE, max_age);
    shape.finish();
    Some(Sealing { tcti: tcti?, pcrs: pcrs?, max_age: max_age? })
}

fn tcti(text: &str) -> Result<Tcti, Wrong> {
    Tcti::parse(text).map_err(|refused| Wrong::value(refused.why).suggest(refused.instead))
}

fn pcrs(node: &Node, errors: &Errors) -> Option<PcrList> {
    let number = |node: &Node, errors: &Errors| match &node.value {
        Value::Other { raw, .. } if raw.parse::<u32>().is_ok() => raw.parse::<u32>().ok(),
        other => {
            let found = if let Value::Other { raw, .. } = other { raw.as_str() } else { other.kind() };
            let wrong = Wrong::new(Code::WrongType, format!("expected the number of a PCR, found {found}"));
            errors.at(&node.place, wrong.suggest("write numbers without quotes: [7]"));
            None
        }
    };
    let numbers = list(number)(node, errors)?;
    let read = PcrList::new(&numbers).and_then(|list| match list.numbers().iter().find(|number| RESETTABLE.contains(number)) {
        Some(number) => Err(format!("expected PCRs that only a boot sets back, found {number}, which every program may reset")),
        None => Ok(list),
    });
    read.map_err(|why| errors.at(&node.place, Wrong::value(why).suggest(USABLE))).ok()
}

/// PCRs 16 and 23 are for debugging and for applications (TCG PC Client Platform TPM Profile §4.6).
const USABLE: &str = "write numbers of 0 to 15 and 17 to 22, each once: [7], or [] for none";

fn max_age(node: &Node, errors: &Errors) -> Option<Duration> {
    let (place, age) = placed(parsed(value::duration))(node, errors)?;
    if age >= MAX_AGE_MIN {
        return Some(age);
    }
    let text = format!("expected a max_age of at least {}, found {}", span::show(MAX_AGE_MIN), span::show(age));
    errors.at(place, Wrong::value(text).suggest(format!("write \"{}\", the usual one", span::show(MAX_AGE))));
    None
}
