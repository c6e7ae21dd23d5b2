//! `schema`: the JSON schema of a document, or the names of all. `tests/it/schemas.rs` holds them against the documents themselves.

use serde::Serialize;

use super::arguments::Schema;
use super::described::{ALL, names};
use super::exit::OK;
use super::session::Session;

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    names: Vec<&'static str>,
}

pub(super) fn run(session: &mut Session<'_>, arguments: &Schema) -> u8 {
    let wanted = ALL.iter().find(|described| Some(described.name) == arguments.name.as_deref());
    match wanted {
        Some(described) => session.output.text(described.text),
        None if session.global.json => session.ended(&Document { schema: "omens.schema/1", names: names() }, OK),
        None => session.output.text(&names().iter().map(|name| format!("{name}\n")).collect::<String>()),
    }
    OK
}
