//! One file per subcommand: arguments in, documents and exit codes out. It must never hold a rule about certificates: those are in the
//! rooms above.
//!
#![doc = include_str!("contract.md")]

pub mod arguments;
pub mod audit_arguments;
mod chain_audit;
mod change;
mod check_config;
mod completions;
mod help;
mod look;
mod man;
pub mod online;
mod output;
mod probe;
pub mod progress;
pub mod screen;
pub mod serve;
mod session;
pub mod show;
pub mod style;
mod usage;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use crate::model::clock::Clock;
use arguments::Command;
use output::Output;
use screen::Screen;
use session::Session;

/// Nothing went wrong.
pub const OK: u8 = 0;
/// Something could not be done.
pub const FAILED: u8 = 1;
/// Wrong settings or usage: nothing was attempted.
pub const REFUSED: u8 = 2;
/// An error of `status --due`, where 1 means "not due" (facts/crates §4: systemd takes 1 to 254 as "skip").
pub const UNKNOWN: u8 = 255;

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
    /// Whether stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether stderr is a terminal.
    pub stderr_is_terminal: bool,
}

/// Does what the command line says and gives the exit code.
pub fn run(environment: &Environment, clock: Clock, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> u8 {
    let screen = Screen::new(err);
    let mut output = Output::new(out);
    let code = match usage::parse(environment) {
        Ok(arguments) => {
            let mut session = Session::new(environment, clock, arguments.global, &screen, &mut output);
            dispatch(&mut session, &arguments.command)
        }
        Err(error) => usage::refuse(&error, environment, clock, &screen, &mut output),
    };
    output.close(code, &screen)
}

fn dispatch(session: &mut Session<'_>, command: &Command) -> u8 {
    match command {
        Command::ChainAudit(arguments) => chain_audit::run(session, arguments),
        Command::CheckConfig(arguments) => check_config::run(session, arguments),
        Command::Completions(arguments) => completions::run(session, arguments),
        Command::Man(arguments) => man::run(session, arguments),
        Command::Install(arguments) => change::install(session, command, arguments),
        Command::Plan => look::plan(session, command),
        Command::Probe(arguments) => probe::run(session, command, arguments),
        Command::Renew(arguments) => change::renew(session, command, arguments),
        Command::Reseal(arguments) => change::reseal(session, command, arguments),
        Command::Restore => change::restore(session, command),
        Command::Rollback(arguments) => change::rollback(session, command, arguments),
        Command::Run(arguments) => serve::run(session, command, arguments),
        Command::Status(arguments) => look::status(session, command, arguments),
    }
}
