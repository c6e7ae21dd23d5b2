//! One file per subcommand: arguments in, documents and exit codes out. It must never hold a rule about certificates: those are in the
//! rooms above.
//!
#![doc = include_str!("contract.md")]

pub mod arguments;
pub mod attest;
pub mod attest_arguments;
pub mod audit_arguments;
mod chain_audit;
mod change;
mod check;
mod check_config;
mod completions;
mod confirm;
mod described;
mod enroll;
pub mod enroll_arguments;
mod environment;
pub mod exit;
mod explain;
mod forget;
mod help;
mod help_look;
mod init;
mod init_server;
mod journal;
mod key_kinds;
mod look;
pub mod look_arguments;
mod man;
mod mistake;
pub mod online;
mod online_evidence;
mod online_here;
mod online_logins;
mod online_names;
mod online_roles;
mod output;
mod probe;
pub mod progress;
mod refused;
pub mod revoke_arguments;
mod schema;
pub mod screen;
pub mod serve;
mod services;
mod session;
mod settings_page;
pub mod show;
mod standing;
pub mod style;
mod unpublished;
mod usage;
pub mod wait_arguments;
pub mod when;
mod words;

use std::io::Write;

use crate::model::clock::Clock;
use crate::steps::service::DRIVERS;
use arguments::Command;
pub use environment::Environment;
use output::Output;
use screen::Screen;
use session::Session;

/// Does what the command line says and gives the exit code.
pub fn run(environment: &Environment, clock: Clock, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> u8 {
    let screen = Screen::new(err);
    let mut output = Output::new(out);
    if let Some(asked) = settings_page::asked(&environment.arguments) {
        let code = settings_page::print(&asked, &screen, &mut output);
        return output.close(code, &screen);
    }
    let code = match usage::parse(environment) {
        Ok(arguments) => {
            let mut session =
                Session::new(environment, clock, arguments.global, &screen, &mut output, DRIVERS, change::leave_without_settings);
            dispatch(&mut session, &arguments.command)
        }
        Err(error) => usage::refuse(&error, environment, clock, &screen, &mut output),
    };
    output.close(code, &screen)
}

fn dispatch(session: &mut Session<'_>, command: &Command) -> u8 {
    match command {
        Command::Attest(arguments) => attest::run(session, command, arguments),
        Command::ChainAudit(arguments) => chain_audit::run(session, arguments),
        Command::CheckConfig(arguments) => check_config::run(session, arguments),
        Command::Completions(arguments) => completions::run(session, arguments),
        Command::Explain(arguments) => explain::run(session, command, arguments),
        Command::Enroll(arguments) => enroll::run(session, command, arguments),
        Command::Man(arguments) => man::run(session, command, arguments),
        Command::Init(arguments) => init::run(session, arguments),
        Command::Forget(arguments) => forget::forget(session, command, arguments),
        Command::Install(arguments) => change::install(session, command, arguments),
        Command::Plan => look::plan(session, command),
        Command::Probe(arguments) => probe::run(session, command, arguments),
        Command::Renew(arguments) => change::renew(session, command, arguments),
        Command::Reseal(arguments) => change::reseal(session, command, arguments),
        Command::Restore => change::restore(session, command),
        Command::Revoke(arguments) => change::revoke(session, command, arguments),
        Command::Rollback(arguments) => change::rollback(session, command, arguments),
        Command::Schema(arguments) => schema::run(session, arguments),
        Command::Run(arguments) => serve::run(session, command, arguments),
        Command::Unblock(arguments) => change::unblock(session, command, arguments),
        Command::Status(arguments) => look::status(session, command, arguments),
    }
}
