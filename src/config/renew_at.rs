//! `renew_at` of certificates, profiles and `[defaults]`: a share of the lifetime, or a time before its end.

use super::shape::{Errors, Shape, Wrong, parsed};
use super::tables::host::DEFAULTS;
use super::tree::{Node, Value};
use crate::model::code::Code;
use crate::model::renew_at::RenewAt;

/// What to write instead of what is not understood.
const INSTEAD: &str = "write a share of the lifetime, such as 0.5, or a time before its end, such as \"8h\"";

/// The value.
pub(super) fn renew_at(node: &Node, errors: &Errors) -> Option<RenewAt> {
    let wrong = |text: String| Wrong::value(text).suggest(INSTEAD);
    match &node.value {
        Value::Text(_) => parsed(|text| RenewAt::parse(text).map_err(wrong))(node, errors),
        Value::Other { raw, .. } if raw.parse::<f64>().is_ok() => {
            RenewAt::share(raw.parse().unwrap_or_default()).map_err(|text| errors.at(&node.place, wrong(text))).ok()
        }
        other => {
            let text = format!("expected a number or a string, found {}", other.kind());
            errors.at(&node.place, Wrong::new(Code::WrongType, text).suggest(INSTEAD));
            None
        }
    }
}

/// `[defaults]`: what certificates have that do not say it themselves.
pub(super) fn defaults(node: &Node, errors: &Errors) -> Option<Option<RenewAt>> {
    let shape = Shape::of(&DEFAULTS, node, errors)?;
    let renew_at = shape.optional("renew_at", renew_at);
    shape.finish();
    renew_at
}
