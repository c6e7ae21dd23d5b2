//! What the process was started with, as commands are told it: none of them asks the system itself.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the process was started with.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The command line, the program's name first.
    pub arguments: Vec<OsString>,
    /// The working directory: where relative names of the command line begin.
    pub directory: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
    /// Whether `$NO_COLOR` is set.
    pub no_color: bool,
    /// Whether `$TERM` cannot move a cursor.
    pub dumb: bool,
    /// Whether stdin is a terminal, where somebody may answer.
    pub stdin_is_terminal: bool,
    /// Whether stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether stderr is a terminal.
    pub stderr_is_terminal: bool,
}
