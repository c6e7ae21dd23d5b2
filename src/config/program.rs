//! `{ command = ["/PATH", "ARGUMENT"], timeout = "30s" }`: a program that the settings name, and who may have written it.

use std::time::Duration;

use super::shape::{Errors, Shape, Wrong, list, parsed, placed};
use super::tables::host::NOTIFY;
use super::tree::Node;
use super::value;
use crate::io::read;
use crate::model::program::Program;

/// How long a program may take where the settings do not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Beyond this nobody waits: a run would hold its lock until then.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// The keys `command` and `timeout` of a shape that may have others.
pub fn program(shape: &Shape<'_>) -> Option<Program> {
    let command = shape.required("command", command);
    let timeout = shape.or("timeout", TIMEOUT, parsed(timeout));
    let (path, arguments) = command?;
    Some(Program { path, arguments, timeout: timeout? })
}

/// `[notify]`: who is told when something failed or recovered.
pub(super) fn notify(node: &Node, errors: &Errors) -> Option<Option<Program>> {
    let shape = Shape::of(&NOTIFY, node, errors)?;
    let command = shape.required("exec", command);
    let timeout = shape.or("timeout", TIMEOUT, parsed(timeout));
    shape.finish();
    let (path, arguments) = command?;
    Some(Some(Program { path, arguments, timeout: timeout? }))
}

/// An argument vector alone: `["/PATH", "ARGUMENT"]`. The program has to be one that nobody but root or the caller could have written.
pub fn command(node: &Node, errors: &Errors) -> Option<(std::path::PathBuf, Vec<String>)> {
    let words = list(placed(parsed(word)))(node, errors)?;
    let Some(((place, path), arguments)) = words.split_first() else {
        errors
            .at(&node.place, Wrong::value("expected a program, found an empty list").suggest("write [\"/PATH/TO/PROGRAM\", \"ARGUMENT\"]"));
        return None;
    };
    let path = value::path(path).map_err(|wrong| errors.at(place, wrong)).ok()?;
    if let Err(error) = read::check_program(&path) {
        errors.at(place, Wrong::new(error.code(), error.to_string()).suggest(error.hint()));
        return None;
    }
    Some((path, arguments.iter().map(|(_, word)| word.clone()).collect()))
}

/// No argument holds a NUL (execve(2)).
fn word(text: &str) -> Result<String, Wrong> {
    if text.contains('\0') {
        return Err(Wrong::value("an argument cannot hold a NUL character").suggest("leave it out"));
    }
    Ok(text.to_owned())
}

/// A time that a run may wait for something.
///
/// # Errors
/// None at all, or more than ten minutes.
pub fn timeout(text: &str) -> Result<Duration, Wrong> {
    let length = value::duration(text)?;
    if length.is_zero() || length > TIMEOUT_MAX {
        return Err(Wrong::value(format!("expected a timeout of at most 10m and more than nothing, found \"{text}\""))
            .suggest("leave it out for 30s"));
    }
    Ok(length)
}
