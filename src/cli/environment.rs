//! What the process was started with, as commands are told it: none of them asks the system itself.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::io::notify::NotifySettings;

/// What the process was started with.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The command line, the program's name first.
    pub arguments: Vec<OsString>,
    /// The working directory: where relative names of the command line begin.
    pub directory: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
    /// `$NOTIFY_SOCKET` and `$WATCHDOG_USEC`.
    pub notify: Option<NotifySettings>,
    /// Whether `$NO_COLOR` is set.
    pub no_color: bool,
    /// Whether `$TERM` cannot move a cursor.
    pub dumb: bool,
    /// Whether stdin is a terminal, where somebody may answer.
    pub stdin_is_terminal: bool,
    /// Whether stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether stderr goes to the journal, as `$JOURNAL_STREAM` says (systemd.exec(5)).
    pub stderr_is_journal: bool,
    /// Whether stderr is a terminal.
    pub stderr_is_terminal: bool,
}
