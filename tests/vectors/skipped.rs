//! What a test could not do here: said on its output and in the summary of `./run test`.

use std::io::Write as _;

/// Says that it was not run.
pub(crate) fn skipped(why: &str) {
    println!("NOT RUN: {why}");
    if let Some(list) = std::env::var_os("OMENS_LAB_SKIPPED") {
        let list = std::fs::OpenOptions::new().append(true).create(true).open(list);
        writeln!(list.expect("the list of what was skipped"), "{why}").expect("a line");
    }
}
