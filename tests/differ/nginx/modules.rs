//! `stream` and `mail` of the nginx that is here: in the program, as a module that is loaded, or not at all.

use std::path::Path;
use std::process::Command;

use crate::{run, said};

/// One of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Module {
    /// A part of the program.
    Inside,
    /// The line that loads it.
    Loaded(String),
    Absent,
}

pub fn of(nginx: &Path, name: &str) -> Module {
    let built = said(&run(Command::new(nginx).arg("-V")));
    let options: Vec<&str> = built.split_whitespace().collect();
    if options.contains(&format!("--with-{name}").as_str()) {
        return Module::Inside;
    }
    let directory = options.iter().find_map(|option| option.strip_prefix("--modules-path=")).unwrap_or_default();
    let file = format!("{directory}/ngx_{name}_module.so");
    let there = options.contains(&format!("--with-{name}=dynamic").as_str()) && Path::new(&file).is_file();
    if there { Module::Loaded(format!("load_module {file}; ")) } else { Module::Absent }
}
