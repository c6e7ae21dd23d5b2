//! A program of the administrator's that the settings name: `exec`, as a driver, as a proof, as a hook, as who is notified.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// An argument vector and how long the program may take. Never a line for a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its absolute path.
    pub path: PathBuf,
    /// What stands after it.
    pub arguments: Vec<String>,
    /// It is ended, with what it started, when it takes longer.
    pub timeout: Duration,
}

/// A variable that such a program is told something by; it is never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name, `OMENS_…`.
    pub name: &'static str,
    /// Its value.
    pub value: OsString,
}

impl Variable {
    /// A variable.
    pub fn new(name: &'static str, value: impl Into<OsString>) -> Self {
        Self { name, value: value.into() }
    }
}
