//! `completions`: a script for a shell, made from the command line's own description.

use clap::CommandFactory as _;

use super::arguments::{Arguments, Completions};
use super::exit::OK;
use super::session::Session;

pub(super) fn run(session: &mut Session<'_>, arguments: &Completions) -> u8 {
    // By way of a buffer: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "omens", &mut script);
    session.output.bytes(&script);
    OK
}
