//! `man`: the manual page on stdout, or the pages of all commands in a directory.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;

use super::arguments::{Arguments, Command, Man};
use super::exit::{FAILED, OK};
use super::session::Session;
use super::settings_page;
use super::words;
use crate::io::dir::Dir;
use crate::io::write::{self, Ownership};
use crate::model::code::Code;
use crate::model::report::RunError;

pub(super) fn run(session: &mut Session<'_>, command: &Command, arguments: &Man) -> u8 {
    let written = match &arguments.dir {
        // The generator's own door: pages are files of the caller, not of the host's state.
        Some(dir) => clap_mangen::generate_to(Arguments::command(), dir).and_then(|()| pages(dir)),
        None => page().map(|page| session.output.bytes(&page)),
    };
    match written {
        Ok(()) => OK,
        Err(error) => session.refuse_with(command, failure(arguments.dir.as_deref(), &error), FAILED),
    }
}

fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
    Ok(page)
}

/// What the generator knows nothing of: the pages of the settings and of the words.
fn pages(dir: &Path) -> io::Result<()> {
    let write = |dir: &Dir, name, page: String| write::replace_any(dir, name, page.as_bytes(), 0o644, Ownership::default());
    let written = Dir::open(dir).and_then(|dir| {
        let Some(dir) = dir else { return Ok(()) };
        write(&dir, settings_page::PAGE, settings_page::page())?;
        write(&dir, words::PAGE, words::page())
    });
    written.map_err(|why| io::Error::other(why.to_string()))
}

fn failure(dir: Option<&Path>, error: &io::Error) -> RunError {
    let place = dir.map_or_else(|| "stdout".to_owned(), |dir| dir.display().to_string());
    RunError {
        code: Code::Unwritable,
        text: format!("cannot write the manual pages to {place}: {error}"),
        hint: Some("name a directory that exists and that you may write to".to_owned()),
    }
}
